"""Pairs come from a profile's table and its examples, and keep to one side."""

from __future__ import annotations

import pytest

from assets.synthesis import community_examples, community_preferences
from registry.errors import MethodError
from tests.assets.synthesis.profiles import (
    COMMUNITY,
    example,
    ids,
    kept,
    make,
    preference,
    profile,
    read,
)

NAMES = ids("row", learned=5, held=3)
EXAMPLES = [example(name) for name in NAMES]


def test_pairs_come_from_the_table_and_from_examples(build, tmp_path):
    rows = [preference(name) for name in NAMES]
    rows[0] |= {"agreement": None, "n": None}
    view = profile(tmp_path, examples=EXAMPLES, preferences=rows)
    examples = make(build, community_examples.run, view, community_examples.Params())
    params = community_preferences.Params()
    found = read(make(build, community_preferences.run, view, params, examples=examples))
    learned = [n for n in NAMES if kept(n)]
    assert [row["parents"][0] for row in found[:5]] == learned
    assert [row["parents"][0] for row in found[5:]] == [r["row_id"] for r in read(examples)]
    assert {row["strength"] for row in found[5:]} == {None}
    counted = next(row for row in found if row["parents"] == [learned[-1]])
    assert (counted["prompt"], counted["chosen"], counted["rejected"]) == (
        f"Ask {learned[-1]}.", f"Yes: {learned[-1]}.", f"No {learned[-1]}.",
    )  # fmt: skip
    assert (counted["strength"], counted["people"]) == (0.8, 40)
    assert len({row["row_id"] for row in found}) == 10
    assert {row["community"] for row in found} == {COMMUNITY}


def test_examples_of_the_other_side_are_refused(build, tmp_path):
    view = profile(tmp_path, examples=EXAMPLES, preferences=[preference(n) for n in NAMES])
    params = community_preferences.Params()
    held = make(build, community_examples.run_held_out, view, community_examples.Params())
    with pytest.raises(MethodError, match="is held out"):
        make(build, community_preferences.run, view, params, examples=held)
    learned = make(build, community_examples.run, view, community_examples.Params())
    with pytest.raises(MethodError, match="is not held out"):
        make(build, community_preferences.run_held_out, view, params, examples=learned)
    pairs = read(make(build, community_preferences.run_held_out, view, params, examples=held))
    assert len(pairs) == 6
    assert all(row["held_out"] for row in pairs)
