"""Known answers for shares, rounding and Kish's number."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.intake.codebook import Named
from registry.intake.estimates import (
    Answers,
    estimate,
    is_learned_from,
    kish,
    largest_remainder,
    opinion_rows,
)
from registry.intake.group import Group


def test_kish() -> None:
    assert kish(10 * 2.0, 10 * 4.0) == 10
    assert kish(1 + 3, 1 + 9) == pytest.approx(1.6)


def test_a_rare_answer_is_published_as_five_with_its_total() -> None:
    found = estimate(Answers((60, 38, 2), (66.0, 33.0, 1.0), 90.0))
    assert found.counts == (60, 38, 5)
    assert found.n == 103
    assert found.rounded == (False, False, True)
    rare = 5 / 103
    assert found.shares[2] == round(rare * 1e6)
    assert found.shares[0] == pytest.approx((1 - rare) * 2 / 3 * 1e6, abs=1)
    assert sum(found.shares) == 1_000_000


def test_nothing_is_set_to_zero_and_nobody_is_made_up() -> None:
    found = estimate(Answers((60, 0, 1), (60.0, 0.0, 9.0), 50.0))
    assert found.counts == (60, 0, 5)
    assert found.shares[1] == 0


def test_all_answers_rare() -> None:
    found = estimate(Answers((4,) * 20, (4.0,) * 20, 80.0))
    assert set(found.shares) == {50_000}


def test_largest_remainder() -> None:
    assert largest_remainder((0.335, 0.335, 0.33), 10) == (4, 3, 3)
    assert sum(largest_remainder((1 / 3, 1 / 3, 1 / 3), 1_000_000)) == 1_000_000


@given(st.lists(st.tuples(st.integers(0, 500), st.floats(0.1, 5)), min_size=2, max_size=10))
def test_shares_sum_to_one(options: list[tuple[int, float]]) -> None:
    if not any(count for count, _ in options):
        return
    counts = tuple(count for count, _ in options)
    weights = tuple(count * weight for count, weight in options)
    found = estimate(Answers(counts, weights, 1.0))
    assert sum(found.shares) == 1_000_000
    assert all(c == 0 or c >= 5 for c in found.counts)
    rows = (
        opinion_rows("Q1", [f"option {n}" for n in range(len(counts))], found)
        if (found.n >= 50)
        else []
    )
    assert [row.position for row in rows] == list(range(1, len(rows) + 1))


def test_the_half_is_a_function_of_the_id() -> None:
    assert is_learned_from(0, "470001") == (
        hashlib.sha256(b"half:0:470001").hexdigest()[0] in "01234567"
    )
    sides = [is_learned_from(7, str(n)) for n in range(2000)]
    assert 900 < sum(sides) < 1100
    assert sides != [is_learned_from(8, str(n)) for n in range(2000)]


def test_small_items_are_left_out_of_both_halves_with_a_reason() -> None:
    large, small = Answers((50, 0), (1, 1), 50), Answers((49, 0), (1, 1), 49)
    group = Group(
        Named(id="abc", name="some people"),
        (100, 100),
        {"Q1": large, "Q2": small, "Q3": large, "Q4": large},
        {"Q1": large, "Q2": large, "Q3": small},
    ).published()
    assert list(group.learning) == ["Q1"]
    assert list(group.held_out or ()) == ["Q1"]
    assert group.left_out == {
        "Q2": "fewer than 50 answers to learn from",
        "Q3": "fewer than 50 answers in the half for evaluation",
        "Q4": "fewer than 50 answers in the half for evaluation",
    }
