"""How much a group says about an answer: values that can be checked by hand."""

from __future__ import annotations

import math

import pytest

from registry.group_spread import entropy, explained, within

EVEN = {"q": {"yes": 0.5, "no": 0.5}}
YES, NO = {"q": {"yes": 1.0, "no": 0.0}}, {"q": {"yes": 0.0, "no": 1.0}}
SAME = [{"q": 100}, {"q": 100}]


def test_groups_that_answer_alike_explain_nothing() -> None:
    assert explained([EVEN, EVEN], SAME) == (0.0, 1)


def test_groups_that_answer_oppositely_explain_everything() -> None:
    assert explained([YES, NO], SAME) == (pytest.approx(1.0), 1)


def test_a_mixed_case_by_hand() -> None:
    # One group says yes 3 of 4, the other 1 of 4: H(answer) = ln 2, H(answer | group) = H(1/4).
    tables = [{"q": {"yes": 0.75, "no": 0.25}}, {"q": {"yes": 0.25, "no": 0.75}}]
    quarter = entropy((0.25, 0.75))
    found, _ = explained(tables, SAME)
    assert found == pytest.approx((math.log(2) - quarter) / math.log(2))
    assert found == pytest.approx(0.18872, abs=1e-5)


def test_groups_weigh_as_their_people() -> None:
    # Three of four people belong to the group that says yes: H(answer) = H(1/4), nothing is left.
    assert explained([YES, NO], [{"q": 300}, {"q": 100}])[0] == pytest.approx(1.0)
    tables = [EVEN, YES]
    mixed = entropy((0.5 * 0.75 + 0.25, 0.5 * 0.75))
    expected = (mixed - 0.75 * math.log(2)) / mixed
    assert explained(tables, [{"q": 300}, {"q": 100}])[0] == pytest.approx(expected)


def test_only_questions_that_all_answered_count() -> None:
    assert explained([EVEN | {"r": {"a": 1.0}}, EVEN], SAME)[1] == 1
    assert explained([{"r": {"a": 1.0}}, EVEN], SAME) == (0.0, 0)


def test_the_spread_within_a_group() -> None:
    assert within(EVEN) == pytest.approx(1.0)
    assert within(YES) == 0.0
    assert within({**EVEN, "r": {"a": 1.0, "b": 0.0}}) == pytest.approx(0.5)
    assert within({}) == 0.0
