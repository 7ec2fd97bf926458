"""Questions with options from files as Social IQa is handed out; every sentence is made up here."""

from __future__ import annotations

import json

import polars
import pytest
from pydantic import ValidationError

from assets.rows import REJECTED, ROWS, read_rows
from assets.sources import choice_questions
from assets.sources.choice_questions import ChoiceColumns, Params
from registry.errors import UsageError

COLUMNS = ChoiceColumns(context="context", options=("a", "b", "c"), label="label")
LABELS = ("1", "2", "3")


def line(place=0, **other):
    return {"context": f"Mo lost key {place}.", "question": "What next?", "a": "look for it",
            "b": "sing", "c": "sleep", "label": "1", **other}  # fmt: skip


def write(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        polars.DataFrame(lines).write_parquet(path)
    else:
        path.write_text("".join(json.dumps(one) + "\n" for one in lines))


def make(build, folder, **params):
    given = {"columns": COLUMNS, "labels": LABELS, "path": "q.jsonl"} | params
    context = build(Params(**given), root=folder)
    choice_questions.run(context)
    return context.out


@pytest.mark.parametrize("name", ["q.jsonl", "q.parquet"])
def test_questions_with_options(build, tmp_path, name):
    write(tmp_path / name, [line(0), line(1, label="3"), line(2, c=None, label="2"), line(0)])
    out = make(build, tmp_path, path=name)
    rows = read_rows(out / ROWS).to_dicts()
    assert [row["correct"] for row in rows] == [0, 2, 1]
    assert rows[1]["completion"] == "sleep"
    assert rows[2]["options"] == ["look for it", "sing"]
    assert rows[0]["prompt"] == "Mo lost key 0.\nWhat next?"
    assert read_rows(out / REJECTED)["reason"].to_list() == ["the same question came before"]


def test_labels_that_are_numbers(build, tmp_path):
    write(tmp_path / "q.jsonl", [line(0, label=2), line(1, label=3)])
    assert read_rows(make(build, tmp_path) / ROWS)["correct"].to_list() == [1, 2]


def test_labels_in_a_file_of_their_own(build, tmp_path):
    write(tmp_path / "dev/dev.jsonl", [line(0), line(1)])
    write(tmp_path / "dev/train.jsonl", [line(2)])
    (tmp_path / "dev/dev-labels.lst").write_text("2\n3\n")
    columns = ChoiceColumns(context="context", options=("a", "b", "c"))
    given = {"path": "dev", "files": ["dev.jsonl"], "columns": columns,
             "labels_file": "dev/dev-labels.lst"}  # fmt: skip
    assert read_rows(make(build, tmp_path, **given) / ROWS)["correct"].to_list() == [1, 2]
    for text in ("2\n", "2\n3\n1\n"):
        (tmp_path / "dev/dev-labels.lst").write_text(text)
        with pytest.raises(UsageError, match="another one's label"):
            make(build, tmp_path, **given)


def test_a_folder_of_several_tables_needs_a_choice(build, tmp_path):
    write(tmp_path / "dev/dev.jsonl", [line(0)])
    write(tmp_path / "dev/train.jsonl", [line(2)])
    with pytest.raises(UsageError, match=r"holds 2 tables: dev\.jsonl, train\.jsonl"):
        make(build, tmp_path, path="dev")
    with pytest.raises(UsageError, match=r"holds no test\.jsonl"):
        make(build, tmp_path, path="dev", files=["test.jsonl"])
    with pytest.raises(UsageError, match="is no folder"):
        make(build, tmp_path, path="dev/dev.jsonl", files=["dev.jsonl"])
    with pytest.raises(ValidationError, match="pattern"):
        Params(path="dev", files=["../x.jsonl"], columns=COLUMNS, labels=LABELS)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"b": "", "c": None}, "q.jsonl:2: has 1 options"),
        ({"b": "Look  for it"}, "has the option 'look for it' twice"),
        ({"label": "4"}, "names the right option '4'; `labels` has 1, 2, 3"),
        ({"c": "", "label": "3"}, "says that the option '3' is right, which is empty"),
        ({"question": ""}, "'question' is empty"),
        ({"a": 3}, "'a' is float, and str in an earlier row"),
        ({"label": None}, "names the right option 'None'"),
        ({"a": ["look"]}, "'a' is list"),
    ],
)
def test_wrong_lines_are_named(build, tmp_path, wrong, said):
    write(tmp_path / "q.jsonl", [line(0), line(1, **wrong)])
    with pytest.raises(UsageError) as caught:
        make(build, tmp_path)
    assert said in str(caught.value)


def test_a_missing_column_is_named(build, tmp_path):
    write(tmp_path / "q.jsonl", [{k: v for k, v in line().items() if k != "c"}])
    with pytest.raises(UsageError, match="has no 'c'"):
        make(build, tmp_path)


@pytest.mark.parametrize(
    "params",
    [
        {"columns": {"options": ["a"], "label": "l"}, "labels": ["1", "2"]},
        {"columns": {"options": ["a", "b"], "label": "l"}, "labels": ["1", "2", "3"]},
        {"columns": {"options": ["a", "b"], "label": "l"}, "labels": ["1", "1"]},
        {"columns": {"options": ["a", "b"]}, "labels": ["1", "2"]},
        {"columns": {"options": ["a", "a"], "label": "l"}, "labels": ["1", "2"]},
    ],
)
def test_parameters_that_cannot_be(params):
    with pytest.raises(ValidationError):
        Params(path="q.jsonl", **params)


def test_other_licences_are_left_out(build, tmp_path):
    write(tmp_path / "q.jsonl", [line(0, licence="MIT"), line(1, licence="none")])
    out = make(build, tmp_path, licences={"column": "licence", "allowed": ["mit"]})
    assert read_rows(out / ROWS).height == 1
    assert "licence" in read_rows(out / REJECTED)["reason"][0]
