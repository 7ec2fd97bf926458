"""What communities hold of situations, from norms that are held out."""

from __future__ import annotations

import pytest

from assets.rows import REJECTED, ROWS, read_rows
from assets.sources import community_views
from assets.sources.community_views import Params, merged
from assets.sources.view_rows import VIEWS
from assets.synthesis.profile_rows import Taken
from registry.errors import MethodError
from registry.profile_tables import NORMS
from tests.assets.synthesis.profiles import ids, kept, norm, profile

NAMES = ids("row", learned=4, held=3)


def norms(*rows):
    return [NORMS.model.model_validate(row) for row in rows]


def test_only_norms_that_are_held_out_become_views(build, tmp_path):
    view = profile(tmp_path, norms=[norm(name) for name in NAMES])
    context = build(Params(), profiles=[view])
    community_views.run(context)
    views = read_rows(context.out / VIEWS).to_dicts()
    held = [name for name in NAMES if not kept(name)]
    assert [row["parents"] for row in views] == [[name] for name in held]
    assert views[0]["prompt"] == f"What do you think of keeping {held[0]}?"
    assert views[0]["view"] == f"It's wrong to keep {held[0]}."
    assert views[0]["opposite"] == f"It's not wrong to keep {held[0]}."
    assert views[0]["held_by"] == ["made-up"]
    assert read_rows(context.out / ROWS).height == 3
    rejected = read_rows(context.out / REJECTED)
    assert sorted(rejected["caused_by"]) == [name for name in NAMES if kept(name)]
    assert not any(rejected["view"])  # their text stays in the profile


def test_communities_that_hold_the_same_share_a_view():
    both = {"situation": "lending", "judgement": -1, "agreement": 3}
    rows = norms(
        norm("a-1", rule="It's wrong to lend.", **both),
        norm("b-1", rule="it's wrong  to lend.", **both),
        norm("b-2", rule="You should lend.", **both),
    )
    taken = [Taken("a", rows[0]), Taken("b", rows[1]), Taken("b", rows[2])]
    found = merged(taken, "Is {situation} right?")
    assert [(one.view, one.held_by, one.parents) for one in found] == [
        ("It's wrong to lend.", ("a", "b"), ("a-1", "b-1")),
        ("You should lend.", ("b",), ("b-2",)),
    ]


def test_one_view_each_is_too_few_where_two_are_asked_for(build, tmp_path):
    view = profile(tmp_path, norms=[norm(name) for name in NAMES])
    with pytest.raises(MethodError, match="no situation has 2 views"):
        community_views.run(build(Params(fewest_views=2), profiles=[view]))
