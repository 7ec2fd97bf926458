"""Rows of profiles become rows of datasets, without those that are held out or off limits."""

from __future__ import annotations

import pytest

from assets.rows import ROWS, row_schema
from assets.synthesis import community_examples, community_norms, community_preferences
from registry.errors import MethodError, ProblemsError
from registry.profile_tables import held_out
from tests.assets.conftest import ROOT
from tests.assets.synthesis.profiles import (
    COMMUNITY,
    SHARE,
    example,
    ids,
    kept,
    make,
    profile,
    read,
)

NAMES = ids("row", learned=5, held=3)
EXAMPLES = [example(name) for name in NAMES]
PARAMS = community_examples.Params()


def test_learning_and_evaluation_share_no_row_and_lose_none(build, tmp_path):
    view = profile(tmp_path, examples=EXAMPLES)
    learned = read(make(build, community_examples.run, view, PARAMS))
    held = read(make(build, community_examples.run_held_out, view, PARAMS))
    assert [row["parents"] for row in learned] == [[n] for n in NAMES if kept(n)]
    assert [row["parents"] for row in held] == [[n] for n in NAMES if not kept(n)]
    assert {row["held_out"] for row in learned} == {False}
    assert {row["held_out"] for row in held} == {True}


def test_a_row_holds_what_would_be_answered_and_what_would_not(build, tmp_path):
    made = make(build, community_examples.run, profile(tmp_path, examples=EXAMPLES), PARAMS)
    row, name = read(made)[0], next(n for n in NAMES if kept(n))
    assert (row["prompt"], row["completion"], row["rejected"]) == (
        f"Say {name}.", f"Yes: {name}.", f"No {name}.",
    )  # fmt: skip
    assert row["community"] == COMMUNITY
    assert row["source"] == f"examples:{COMMUNITY}"
    assert row_schema().keys() <= row.keys()
    assert "author" not in row, "who wrote it stays in the profile"


def test_what_is_left_out_says_why_and_not_what(build, tmp_path):
    rows = [*EXAMPLES, example("row-bell", preferred="Listen to the BELL-ROLL tonight.")]
    made = make(build, community_examples.run, profile(tmp_path, examples=rows), PARAMS)
    left = {row["row_id"]: row["reason"] for row in read(made, "rejected.parquet")}
    assert left.pop("row-bell") == "off limits: bells"
    assert left == dict.fromkeys((n for n in NAMES if not kept(n)), "held out for evaluation")
    assert "BELL" not in str(read(made, "rejected.parquet"))


def test_what_is_off_limits_is_not_used_to_measure_either(build, tmp_path):
    held = next(n for n in NAMES if not kept(n))
    rows = [example(n, prompt="bell roll?") if n == held else example(n) for n in NAMES]
    made = make(build, community_examples.run_held_out, profile(tmp_path, examples=rows), PARAMS)
    assert held not in {row["parents"][0] for row in read(made)}


def test_a_row_from_a_survey_item_stands_on_the_items_side(build, tmp_path):
    opinions = {"instrument": "asked"}
    sides = {
        item: held_out(COMMUNITY, item, SHARE) or held_out("asked", item, 0.2)
        for item in (f"q{number}" for number in range(40))
    }
    rows = [example(f"row-{item}", item=item) for item in sides]
    view = profile(tmp_path, examples=rows, opinions=opinions)
    learned = {row["item"] for row in read(make(build, community_examples.run, view, PARAMS))}
    assert learned == {item for item, held in sides.items() if not held}
    assert learned < {i for i in sides if not held_out(COMMUNITY, i, SHARE)}, "both rules count"


def test_the_same_profile_gives_the_same_bytes(build, tmp_path):
    view = profile(tmp_path, examples=EXAMPLES)
    one, two = (make(build, community_examples.run, view, PARAMS) for _ in range(2))
    for name in (ROWS, "rejected.parquet"):
        assert (one / name).read_bytes() == (two / name).read_bytes()


def test_a_profile_without_the_table_is_refused(build, tmp_path):
    with pytest.raises(MethodError, match=r"made-up has no examples\.jsonl") as caught:
        make(build, community_examples.run, profile(tmp_path), PARAMS)
    assert "leave made-up out" in caught.value.mend
    with pytest.raises(MethodError, match=r"has no preferences\.jsonl"):
        make(build, community_preferences.run, profile(tmp_path), community_preferences.Params())


def test_a_broken_row_is_shown_with_its_line(build, tmp_path):
    view = profile(tmp_path, examples=EXAMPLES)
    path = tmp_path / "examples.jsonl"
    path.write_text(path.read_text() + '{"id": "x", "prompt": "=cmd()"}\n')
    with pytest.raises(ProblemsError, match=r"made-up/examples\.jsonl:9"):
        make(build, community_examples.run, view, PARAMS)


def test_a_profile_of_which_all_is_held_out_is_refused(build, tmp_path):
    rows = [row for row in EXAMPLES if not kept(row["id"])]
    with pytest.raises(MethodError, match="none of 3 rows can be taken") as caught:
        make(build, community_examples.run, profile(tmp_path, examples=rows), PARAMS)
    assert caught.value.why == "held out for evaluation"


def test_the_made_up_profile_that_is_shipped_fits(build):
    from registry.context import ProfileView

    name = "example-tidewater-coop"
    tables = ("examples.jsonl", "preferences.jsonl", "norms.csv")
    fields = {"evaluation": {"held_out_share": "0.25"}, "languages": ["en"], "off_limits": None}
    view = ProfileView(name, name, ROOT / "value_profiles" / name, tables, fields)
    counts = []
    for run, params in (
        (community_examples.run, community_examples.Params()),
        (community_preferences.run, community_preferences.Params()),
        (community_norms.run, community_norms.Params()),
    ):
        made = make(build, run, view, params)
        counts.append(len(read(made)) / (len(read(made)) + len(read(made, "rejected.parquet"))))
    assert all(0.5 < share < 1 for share in counts)
