"""Survey items as open questions, with statements for their options."""

from __future__ import annotations

import csv

import pytest
from pydantic import ValidationError

from assets.rows import ROWS, read_rows
from assets.sources import open_questions
from assets.sources.open_questions import STANCES, Params
from registry.errors import ChorusError, MethodError, UsageError


def make(build, civic, folder, **params):
    context = build(Params(**params), inputs={"questionnaire": civic}, root=folder)
    open_questions.run(context)
    return context.out


def test_every_item_is_asked_without_its_options(build, civic, tmp_path):
    out = make(build, civic, tmp_path)
    rows = read_rows(out / ROWS).to_dicts()
    assert len(rows) == 43
    assert sum(row["held_out"] for row in rows) == 12
    assert rows[0]["prompt"] == (
        "How important a part of being a good American is casting a vote at election time?\n"
        "Answer in one or two sentences, in your own words."
    )
    stances = [one for one in read_rows(out / STANCES).to_dicts() if one["item"] == "Q2_1"]
    assert [one["position"] for one in stances] == [1, 2, 3, 4]
    assert stances[0]["statement"].endswith("my answer is: Very important.")
    assert {one["prompt_id"] for one in stances} == {rows[0]["row_id"]}
    assert stances[0]["opposite"] is None


def write(folder, lines, columns=("item", "option", "statement", "opposite")):
    with (folder / "says.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        writer.writerows(lines)


TWO = [("Q5", "It makes a real difference", "It matters who wins.", "It does not matter."),
       ("Q5", "It makes little difference", "It hardly matters who wins.", "")]  # fmt: skip


def test_statements_come_from_a_file(build, civic, tmp_path):
    write(tmp_path, TWO)
    out = make(build, civic, tmp_path, items=("Q5",), statements="says.csv")
    stances = read_rows(out / STANCES).to_dicts()
    assert [(one["statement"], one["opposite"]) for one in stances] == [
        ("It matters who wins.", "It does not matter."), ("It hardly matters who wins.", None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (TWO[:1], "does not say what the option 'It makes little difference' of item Q5 means"),
        ([TWO[0], TWO[0]], "says.csv:3: states the option"),
        ([TWO[0], ("Q5", TWO[1][1], " it matters  who WINS.", "")], "two options of item Q5 mean"),
        ([TWO[0], ("Q5", TWO[1][1], "", "")], "says.csv:3: 'statement' is empty"),
        ([("Q5", TWO[0][1], "Same.", "Same.")], "says the same as 'statement'"),
    ],
)
def test_statements_that_tell_nothing_apart_are_refused(build, civic, tmp_path, lines, said):
    write(tmp_path, lines)
    with pytest.raises(ChorusError) as caught:
        make(build, civic, tmp_path, items=("Q5",), statements="says.csv")
    assert said in str(caught.value)


def test_what_the_questionnaire_does_not_have_is_named(build, civic, tmp_path):
    with pytest.raises(MethodError, match="no wording 'z'") as caught:
        make(build, civic, tmp_path, wording="z")
    assert "a, b, c, unseen" in caught.value.mend
    with pytest.raises(MethodError, match="no item 'Q99'"):
        make(build, civic, tmp_path, items=("Q99",))
    with pytest.raises(UsageError, match="no such file"):
        make(build, civic, tmp_path, statements="none.csv")
    with pytest.raises(ValidationError, match="must hold"):
        Params(statement="No slot.")
