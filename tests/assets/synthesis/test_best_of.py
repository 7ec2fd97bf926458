"""The best of several samples, by known answers."""

from __future__ import annotations

from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.synthesis.best_of import (
    Candidate,
    best_of_curve,
    draw_best_of,
    expected_best,
    keep_best,
)

SCORES = st.lists(st.floats(-5, 5), min_size=1, max_size=7)


def candidates(*scores, texts=None, reasons=None):
    return [
        Candidate("p", f"row-{i}", i, (texts or "abcdefghij")[i], (reasons or [""] * 99)[i], score)
        for i, score in enumerate(scores)
    ]


@given(SCORES)
def test_the_expected_best_is_the_mean_over_all_choices(values):
    for k in range(1, len(values) + 1):
        chosen = [max(some) for some in combinations(values, k)]
        assert expected_best(values, k) == pytest.approx(sum(chosen) / len(chosen), abs=1e-9)


@given(SCORES)
def test_more_samples_are_never_worse(values):
    found = [expected_best(values, k) for k in range(1, len(values) + 1)]
    assert all(b >= a - 1e-9 for a, b in pairwise(found))
    assert found[-1] == pytest.approx(max(values))


@given(SCORES)
def test_the_best_of_more_is_never_worse(values):
    best = [keep_best(candidates(*values[:k]), 1)[0].score for k in range(1, len(values) + 1)]
    assert best == sorted(best)


def test_for_right_and_wrong_it_is_pass_at_k():
    # Chen et al. (2021): 1 - C(n - c, k) / C(n, k) with n = 5, c = 2, k = 2
    assert expected_best([1, 0, 0, 1, 0], 2) == pytest.approx(1 - 3 / 10)


def test_of_equal_ones_the_first_is_kept_and_of_one_text_only_one():
    given = candidates(1.0, 2.0, 2.0, 0.5, texts="abba")
    kept = keep_best(given, 2)
    assert [one.sample for one in kept] == [1, 0]
    assert given[2].reason == "the same text is kept already"
    assert given[2].caused_by == "row-1"
    assert given[3].reason == "the same text is kept already"


def test_those_that_are_beaten_name_who_beat_them():
    given = candidates(1.0, 3.0, 2.0, reasons=["", "it was cut", ""])
    assert [one.sample for one in keep_best(given, 1)] == [2]
    assert given[0].reason == "another answer was better"
    assert given[0].caused_by == "row-2"
    assert given[1].reason == "it was cut"


def test_the_curve_is_a_mean_over_prompts():
    curve = best_of_curve([[1, 0], [0, 0]])
    assert curve == [
        {"samples": 1, "expected_best": 0.25}, {"samples": 2, "expected_best": 0.5},
    ]  # fmt: skip
    assert draw_best_of(curve, "prompts answered").startswith(b"\x89PNG")
