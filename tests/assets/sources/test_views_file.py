"""Views of situations from a file, hostile ones among them."""

from __future__ import annotations

import json
from pathlib import Path

import polars
import pytest
from pydantic import ValidationError

from assets.rows import REJECTED, ROWS, read_rows
from assets.sources import views_file
from assets.sources.view_rows import VIEWS, prompt_id
from assets.sources.views_file import Params, ViewColumns
from registry.errors import ChorusError, MethodError, UsageError
from tests.assets.conftest import ROOT

ALL = ViewColumns(explanation="why", opposite="not", prevalence="share")


def line(view, situation="Lend?", **other):
    return {"situation": situation, "view": view, "why": "W.", "not": f"Not {view}", "share": 0.5,
            **other}  # fmt: skip


def make(build, folder: Path, lines, name="views.jsonl", **other):
    path = folder / name
    if path.suffix == ".parquet":
        polars.DataFrame(lines).write_parquet(path)
    else:
        path.write_text("\n".join(json.dumps(one) for one in lines))
    context = build(Params(path=name, **({"columns": ALL} | other)), root=folder)
    views_file.run(context)
    return context.out


@pytest.mark.parametrize("name", ["views.jsonl", "views.parquet"])
def test_situations_and_views(build, tmp_path, name):
    out = make(build, tmp_path, [line("Yes."), line("No."), line("A."), line("One.", "Other?")],
               name, prompt="Say: {situation}")  # fmt: skip
    (prompt,) = read_rows(out / ROWS).to_dicts()
    assert (prompt["prompt"], prompt["row_id"]) == ("Say: Lend?", prompt_id("Say: Lend?"))
    views = read_rows(out / VIEWS).to_dicts()
    assert [one["view"] for one in views] == ["Yes.", "No.", "A."]
    assert {one["prompt_id"] for one in views} == {prompt["row_id"]}
    assert (views[0]["opposite"], views[0]["prevalence"]) == ("Not Yes.", 0.5)
    (rejected,) = read_rows(out / REJECTED).to_dicts()
    assert rejected["reason"] == "its situation has 1 views, fewer than 2"


def test_a_view_counts_once(build, tmp_path):
    out = make(build, tmp_path, [line("Yes."), line("yes. "), line("No.")])
    assert read_rows(out / VIEWS).height == 2
    assert "came before" in read_rows(out / REJECTED)["reason"][0]


def test_other_licences_are_left_out(build, tmp_path):
    rows = [line("Yes.", licence="CC0-1.0"), line("No.", licence="cc0-1.0"),
            line("Never.", licence="proprietary")]  # fmt: skip
    out = make(build, tmp_path, rows, licences={"column": "licence", "allowed": ["CC0-1.0"]})
    assert read_rows(out / VIEWS)["view"].to_list() == ["Yes.", "No."]
    assert "licence" in read_rows(out / REJECTED)["reason"][0]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([line("")], "views.jsonl:1: 'view' is empty"),
        ([line("Yes."), line("No.", "")], "views.jsonl:2: 'situation' is empty"),
        ([line("Yes.", share=0)], "'share' is 0, not a share"),
        ([line("Yes.", share=1.5)], "'share' is 1.5, not a share"),
        ([line("Yes.", share=True)], "'share' is True, not a number"),
        ([line("Yes.", share="half")], "'share' is 'half', not a number"),
        ([line("Yes.", **{"not": "Yes."})], "says the same as 'view'"),
        ([line("Yes.", why=3)], "'why' is int, not text"),
        ([line(["Yes."])], "'view' is list, not text"),
        ([{"situation": "s"}], "has no 'view'"),
    ],
)
def test_wrong_lines_are_named(build, tmp_path, lines, said):
    with pytest.raises(UsageError) as caught:
        make(build, tmp_path, lines)
    assert said in str(caught.value)


def test_no_view_at_all(build, tmp_path):
    with pytest.raises(MethodError, match="holds no views"):
        make(build, tmp_path, [])
    with pytest.raises(MethodError, match="no situation has 2 views"):
        make(build, tmp_path, [line("Yes.")])


def test_half_of_the_prevalences_is_refused(build, tmp_path):
    with pytest.raises(MethodError, match=r"'No\.' has no prevalence"):
        make(build, tmp_path, [line("Yes."), line("No.", share=None)])


def test_a_prompt_needs_its_slot(build, tmp_path):
    with pytest.raises(ValidationError, match=r"must hold \{situation\} once"):
        Params(path="x.jsonl", prompt="What?")
    with pytest.raises(ChorusError, match="named for two things"):
        make(build, tmp_path, [line("Yes.")], columns=ViewColumns(explanation="view"))


def test_the_shipped_views(build):
    columns = ViewColumns(explanation="explanation", opposite="opposite")
    context = build(
        Params(path="registry/prompts/everyday-views.jsonl", columns=columns), root=ROOT
    )
    views_file.run(context)
    assert read_rows(context.out / ROWS).height == 10
    views = read_rows(context.out / VIEWS)
    assert views.height == 27
    assert views["explanation"].null_count() == views["opposite"].null_count() == 0
    assert read_rows(context.out / REJECTED).height == 0
