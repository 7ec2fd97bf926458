"""Rules that look at one row, and lines that are seen too often."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pydantic
import pytest

from assets.diversity.filtering.rules import passes
from assets.diversity.filtering.steps import ScoreCriterion
from assets.diversity.row_filter import Params
from registry.errors import MethodError
from tests.assets.diversity.filtering.conftest import Filter, dataset, kept, left_out, profile, row

LINE = "Subscribe to our newsletter for more"


@pytest.mark.parametrize(("times", "stays"), [(6, True), (7, False)])
def test_a_line_seen_six_times_stays_and_one_seen_seven_times_goes(
    times: int, stays: bool, run_filter: Filter
) -> None:
    rows = [row(i, "p", f"A sentence of row number {i} alone.\n {LINE} ") for i in range(times)]
    made = run_filter(rows, {"kind": "lines"})
    texts = pl.read_parquet(made.out / "rows.parquet")["completion"].to_list()
    assert len(texts) == times
    assert all((LINE in text) == stays for text in texts)


def test_a_row_that_loses_a_line_goes_on_as_its_own_child(run_filter: Filter) -> None:
    rows = [row(i, "p", f"Only in row {i}, and long enough.\n{LINE}") for i in range(6)]
    rows += [row(6, "p", LINE), row(7, "p", "untouched")]
    made = run_filter(rows, {"kind": "lines"}, {"kind": "length", "at_least": 1})
    found = pl.read_parquet(made.out / "rows.parquet").to_dicts()
    assert [one["parents"] for one in found] == [[f"row-{i}"] for i in range(6)] + [[]]
    assert found[-1]["row_id"] == "row-7"
    gone = left_out(made)
    assert gone["row-2"]["reason"] == f"lost lines seen too often, goes on as {found[2]['row_id']}"
    assert gone["row-6"]["reason"] == "only lines seen too often"
    assert {one["caused_by"] for one in gone.values()} == {"row-0"}
    assert gone["row-6"]["score"] == 1
    groups = pl.read_parquet(made.out / "kept.parquet").row(0, named=True)
    assert (groups["before"], groups["after"]) == (8, 7)


def test_brackets_and_bare_answers_are_no_lines(run_filter: Filter) -> None:
    rows = [row(i, f"prompt {i}", "42\n}") for i in range(20)]
    assert len(kept(run_filter(rows, {"kind": "lines"}))) == 20


def test_lines_stand_first() -> None:
    with pytest.raises(pydantic.ValidationError, match="stands first"):
        Params.model_validate({"steps": [{"kind": "exact"}, {"kind": "lines"}]})


def test_the_or_filter_keeps_the_union() -> None:
    draw = np.random.default_rng(0)
    first, second = draw.random(1000), draw.random(1000)
    everything = np.ones(1000, bool)
    a = passes(ScoreCriterion(column="a", top_share=0.25), first, everything)
    b = passes(ScoreCriterion(column="b", at_least=0.9), second, everything)
    assert a.sum() == 250
    assert (a | b).sum() == a.sum() + b.sum() - (a & b).sum()


def test_a_row_that_any_scorer_likes_is_kept(run_filter: Filter, tmp_path: Path) -> None:
    rows = [row(i, f"text {i}", quality=q) for i, q in enumerate([4.0, 3.0, 2.0, None, 3.0])]
    (tmp_path / "rated").mkdir()
    pl.DataFrame({"row_id": ["row-2", "row-0"], "rating": [3, 1]}).write_parquet(
        tmp_path / "rated" / "scores.parquet"
    )
    step = {
        "kind": "scores",
        "any_of": [{"column": "quality", "top_share": 0.5}, {"column": "rating", "at_least": 3}],
    }
    made = run_filter(rows, step, ratings=tmp_path / "rated")
    assert kept(made) == ["row-0", "row-1", "row-2", "row-4"], "equal values pass together"
    assert left_out(made)["row-3"]["reason"] == "too low in quality, rating"
    assert pl.read_parquet(made.out / "scores.parquet")["scores_1"].to_list() == [1, 1, 1, 0, 1]


def test_a_share_is_counted_among_rows_that_are_still_there(run_filter: Filter) -> None:
    rows = [row(i, "same" if i < 4 else f"text {i}", quality=9.0 - i) for i in range(8)]
    best = {"kind": "scores", "any_of": [{"column": "quality", "top_share": 0.4}]}
    assert kept(run_filter(rows, {"kind": "exact"}, best)) == ["row-0", "row-4"]


@pytest.mark.parametrize(
    ("column", "message"),
    [("taste", "no column 'taste'"), ("prompt", "is no number")],
)
def test_a_column_that_rates_nothing_is_refused(
    column: str, message: str, run_filter: Filter
) -> None:
    step = {"kind": "scores", "any_of": [{"column": column, "at_least": 1}]}
    with pytest.raises(MethodError, match=message):
        run_filter([row(0, "a")], step)


def test_lengths_have_bounds_on_both_sides(run_filter: Filter) -> None:
    rows = [row(i, "p", text) for i, text in enumerate(["", "日本", "three more words", "x" * 50])]
    made = run_filter(rows, {"kind": "length", "at_least": 2, "at_most": 20})
    assert kept(made) == ["row-1", "row-2"]
    reasons = {name: one["reason"] for name, one in left_out(made).items()}
    assert reasons == {
        "row-0": "completion has under 2 characters",
        "row-3": "completion has over 20 characters",
    }
    words = run_filter(rows, {"kind": "length", "unit": "words", "at_least": 3})
    assert kept(words) == ["row-2"]


def test_tokens_are_those_of_the_model(run_filter: Filter, small_model: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(small_model)
    texts = ["", "one", "a few words of some length", "ünïcödé 漢字 " * 20]
    rows = [row(i, "p", text) for i, text in enumerate(texts)]
    step = {"kind": "length", "unit": "tokens", "at_least": 1, "at_most": 40}
    made = run_filter(rows, step, tokenizer=small_model)
    wanted = [len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts]
    assert pl.read_parquet(made.out / "scores.parquet")["length_1"].to_list() == wanted
    assert kept(made) == ["row-1", "row-2"]


def test_topics_off_limits_bind_their_community_and_rows_of_none(
    run_filter: Filter, tmp_path: Path
) -> None:
    rows = [
        row(0, "Who read the Bell\u00a0ROLL aloud?", "It was", community="coop"),
        row(1, "bell-rolls are a kind of bread", community="coop"),
        row(2, "the bell  roll", community="town"),
        row(3, "x", "a bell\u200b-roll", community=None),
        row(4, "a mobell roll", community="coop"),
    ]
    topics = [
        {"id": "bell-roll", "topic": "…", "terms": ["bell roll"]},
        {"id": "kept-back", "steward_only": True},
    ]
    profiles = [
        profile("coop", tmp_path, languages=["en"], off_limits=topics),
        profile("town", tmp_path, languages=["en"], off_limits=None),
    ]
    made = run_filter(rows, {"kind": "off-limits"}, profiles=profiles)
    assert kept(made) == ["row-1", "row-2", "row-4"]
    found = left_out(made)["row-0"]
    assert (found["reason"], found["caused_by"]) == ("off limits: bell-roll", "row-0")
    own = run_filter(rows, {"kind": "off-limits"}, profiles=profiles[:1], community="coop")
    assert kept(own) == ["row-1", "row-4"]


def test_what_is_off_limits_is_not_copied(run_filter: Filter, tmp_path: Path) -> None:
    rows = [row(0, "the secret name", "Ulm", answer="Ulm"), row(1, "fine", answer="x")]
    made = run_filter(rows, {"kind": "off-limits", "terms": ["Secret"]})
    found = left_out(made)["row-0"]
    assert (found["prompt"], found["completion"], found["answer"]) == (None, None, None)
    assert found["source"] == "test"
    texts = b"".join(path.read_bytes() for path in made.out.rglob("*") if path.is_file())
    assert b"Ulm" not in texts


def test_terms_in_scripts_without_spaces_are_found_inside(
    run_filter: Filter, tmp_path: Path
) -> None:
    rows = [row(0, "これは秘密の名前です"), row(1, "これは名前です")]
    made = run_filter(rows, {"kind": "off-limits", "terms": ["秘密"]})
    assert kept(made) == ["row-1"]


def test_ratings_name_each_row_once(run_filter: Filter, tmp_path: Path) -> None:
    rated = dataset(tmp_path / "rated", [row(0, "a", taste=1.0), row(0, "a", taste=2.0)])
    step = {"kind": "scores", "any_of": [{"column": "taste", "at_least": 1}]}
    with pytest.raises(MethodError, match="does not name each row once"):
        run_filter([row(0, "a")], step, ratings=rated)
