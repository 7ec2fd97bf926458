"""Planted responses: who cannot tell a view from its negation is not called Overton."""

from __future__ import annotations

import pytest

from assets.evaluation.overton_checks import (
    ABOUT_ELSE,
    ELSEWHERE,
    NEGATED,
    REPORTED,
    SAME,
    TRUISM,
    TRUISMS,
    Held,
    denied,
    outcome,
    planted,
    require_told_apart,
    require_views_enough,
)
from registry.errors import MethodError
from tests.assets.entailment import held_views


def checks(score, form="covered", held=None):
    plants = list(planted(form, held or held_views()))
    scores = {one.pair: score(one) for one in plants}
    return {one.check: one for one in outcome(plants, scores, 0.5, 0.9)}


def knows(one):
    return 1.0 if one.check == SAME else 0.0


@pytest.mark.parametrize(
    ("view", "opposite", "said"),
    [
        ("It's wrong to lie.", None, "It's not wrong to lie."),
        ("You should help.", None, "You shouldn't help."),
        ("Lies hurt.", None, "It is not true that lies hurt."),
        ("I help.", None, "It is not true that I help."),
        ("NATO helps.", None, "It is not true that NATO helps."),
        ("Lies hurt.", "Lies hurt nobody.", "Lies hurt nobody."),
    ],
)
def test_views_are_denied(view, opposite, said):
    assert denied(Held("p", view, None, opposite)) == said


def test_whoever_knows_passes():
    found = checks(knows)
    assert all(one.passed for one in found.values())
    assert (found[SAME].tried, found[TRUISM].tried) == (10, 10 * len(TRUISMS))
    assert found[ELSEWHERE].tried == 10 * (len(ABOUT_ELSE) + 1)
    require_told_apart(list(found.values()), "covered", "scorer")


def test_the_last_check_is_shown_and_decides_nothing():
    found = checks(knows)[REPORTED]
    assert found.share == 0
    assert found.passed


def test_a_scorer_of_topics_fails_at_the_negation_alone():
    found = checks(lambda one: float(one.check in (SAME, NEGATED)))
    assert [name for name, one in found.items() if not one.passed] == [NEGATED]
    with pytest.raises(MethodError, match="the view denied: 0 of 10 told right") as caught:
        require_told_apart(list(found.values()), "covered", "scorer")
    assert "denies every view" in caught.value.why
    assert "topic coverage" in caught.value.mend


def test_a_scorer_that_pays_truisms_fails():
    found = checks(lambda one: float(one.check in (SAME, TRUISM)))
    assert [name for name, one in found.items() if not one.passed] == [TRUISM]


@pytest.mark.parametrize("constant", [0.0, 1.0, 0.5])
def test_a_constant_scorer_fails(constant):
    found = checks(lambda _: constant)
    assert not found[NEGATED].right  # who covers nothing tells nothing apart
    with pytest.raises(MethodError, match="does not pass the planted checks"):
        require_told_apart(list(found.values()), "covered", "scorer")


def test_one_in_ten_may_be_missed_and_no_more():
    names = [one.view for one in held_views()]
    assert checks(lambda o: knows(o) or float(o.check == NEGATED and o.view == names[0]))[
        NEGATED
    ].passed
    assert not checks(lambda o: knows(o) or float(o.check == NEGATED and o.view in names[:2]))[
        NEGATED
    ].passed


def test_text_about_something_else_is_of_another_situation():
    held = held_views()
    prompts = {one.view: one.prompt for one in held}
    for one in planted("covered", held):
        if one.check == ELSEWHERE and one.said in prompts:
            assert prompts[one.said] != prompts[one.view]


def test_too_few_views_show_nothing():
    require_views_enough(held_views(), "views")
    with pytest.raises(MethodError, match="only 7 of 7 views") as caught:
        require_views_enough(held_views()[:7], "views")
    assert "give more situations" in caught.value.mend
    long = [Held("p", f"One {place}. Two.", None, None) for place in range(9)]
    with pytest.raises(MethodError, match="only 0 of 9 views"):
        require_views_enough(long, "views")
