"""Nothing that is held out, or was made from it, is learned: known answers, and real nodes."""

from __future__ import annotations

import polars as pl
import pytest

from registry.expectation import Expectation
from registry.held_out import HeldOut, kept_back
from registry.profile_folder import read_profile
from registry.profile_tables import held_out
from registry.quality import Surroundings, check
from tests.conftest import Folder
from tests.registry.proposals import ID, propose

KNOWN = HeldOut(frozenset({"q1", "row-1"}), frozenset({("ours", "n1")}), ("questionnaire",))


def verdict(tmp_path, columns, column="item", known=KNOWN, schema=None):
    pl.DataFrame(columns, schema_overrides=schema).write_parquet(tmp_path / "rows.parquet")
    wanted = {
        "expect": "expect_column_values_to_not_be_held_out",
        "table": "rows.parquet",
        "column": column,
        "reason": "It matters to these tests.",
    }
    (found,) = check(tmp_path, [Expectation.model_validate(wanted)], Surroundings(held_out=known))
    return found


LISTS = {"parents": pl.List(pl.String)}


@pytest.mark.parametrize(
    ("columns", "column", "unexpected"),
    [
        ({"item": ["q2", "q3"]}, "item", 0),
        ({"item": ["q1", "q2", "q1"]}, "item", 2),
        ({"item": ["Q1", "q1 ", None]}, "item", 0),
        ({"item": ["n1", "n2"]}, "item", 1),
        ({"item": ["n1", "n1"], "community": ["ours", "theirs"]}, "item", 1),
        ({"item": ["q1", "q2"], "community": ["theirs", "ours"]}, "item", 1),
        ({"parents": [["row-1"], ["row-2"], [], None]}, "parents", 1),
        ({"parents": [["row-2", "row-1"], ["row-2"]]}, "parents", 1),
        ({"parents": [["n1"], ["n1"]], "community": ["ours", "theirs"]}, "parents", 1),
        ({"item": []}, "item", 0),
        ({"item": [1, 2]}, "item", 0),
    ],
    ids=["none", "an item", "only exactly", "an own row", "another's own row", "everybody's item",
         "a parent", "one of two parents", "an own parent", "no rows", "numbers"],
)  # fmt: skip
def test_rows_that_are_held_out_are_counted(tmp_path, columns, column, unexpected):
    schema = LISTS if "parents" in columns else {"item": pl.String} if not columns["item"] else None
    found = verdict(tmp_path, columns, column, schema=schema)
    assert (found.unexpected, found.detail) == (unexpected, "")
    assert bool(found.examples) is (unexpected > 0)


@pytest.mark.parametrize("known", [None, HeldOut()])
def test_where_nobody_says_what_is_held_out_nothing_is_proved(tmp_path, known):
    found = verdict(tmp_path, {"item": ["q2"]}, known=known)
    assert found.stops
    assert "nothing is proved" in found.detail


def test_a_column_that_is_not_there_breaks_it(tmp_path):
    assert "no column parents" in verdict(tmp_path, {"item": ["q2"]}, "parents").detail


QUESTIONS = """\
name: questions
description: Questions of which some are held out from all learning.
method: toy-questions
inputs: {}
params: {}
contract: []
licence: CC0-1.0
"""
LESSONS = """\
name: lessons
description: What is learned from the questions, in two steps.
method: toy-lessons
inputs: {questions: questions}
params: {leak: LEAK}
contract:
  - expect: expect_column_values_to_not_be_held_out
    table: lessons.parquet
    column: parents
    reason: Nothing that is held out may be learned from.
licence: CC0-1.0
"""


@pytest.mark.parametrize("leak", ["none", "item", "grandparent"])
def test_a_node_that_learns_from_what_is_held_out_is_stopped(toy: Folder, leak):
    toy.declare("datasets", QUESTIONS)
    toy.declare("datasets", LESSONS.replace("LEAK", leak))
    toy.chorus("sync")
    toy.chorus("make", "questions")
    done = toy.chorus("make", "lessons", expect=0 if leak == "none" else 1)
    said = "error: expect_column_values_to_not_be_held_out(column=parents) in lessons.parquet"
    assert (said in done.err) is (leak != "none")
    assert (toy.root / "data/lessons/manifest.json").exists() is (leak == "none")


def test_a_profiles_own_rows_are_split_by_their_item_or_id(toy: Folder) -> None:
    folder = propose(toy.root)
    profile, _ = read_profile(folder, toy.root)
    assert profile is not None
    expected = {
        (table, row)
        for table, rows in (
            ("norms.csv", ("borrowing", "teaching")),
            ("examples.jsonl", tuple(f"example-{n}" for n in range(1, 6))),
        )
        for row in rows
        if held_out(ID, row, 0.2)
    }
    assert set(kept_back(profile)) == expected


def test_a_norm_from_a_survey_item_stands_on_the_items_side(toy: Folder) -> None:
    folder = propose(toy.root)
    with (folder / "profile.yaml").open("a") as stream:
        stream.write(
            "opinions:\n  instrument: net-questions\n  weighting: none\n  held_out: false\n"
            '  fielded: {start: "2026-03-01", end: "2026-03-02"}\n'
        )
    items = [f"q{n}" for n in range(20)]
    norms = ["id,situation,rule,judgement,agreement,foundations,item"]
    norms += [f"from-{one},some situation,a rule here,1,2,,{one}" for one in items]
    rows = ["item,option,position,count,share,n,n_effective,mark"]
    rows += [f"{one},Yes,1,60,1.0,60,60," for one in items]
    (folder / "content/norms.csv").write_text("\n".join(norms) + "\n")
    (folder / "content/opinions.csv").write_text("\n".join(rows) + "\n")
    profile, problems = read_profile(folder, toy.root)
    assert profile is not None
    assert not problems
    back = {row for table, row in kept_back(profile, 0.5) if table == "norms.csv"}
    assert back == {f"from-{one}" for one in items if held_out("net-questions", one, 0.5)}
    assert 0 < len(back) < len(items)
