"""Agreement with people's choices, by known answers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from assets.evaluation.intervals import wilson
from assets.evaluation.pair_agreement import (
    against_random,
    bins_of,
    by_length,
    calibrated_error,
    calibration_error,
    certainty,
    disputed,
    interval,
    right,
)


def source():
    return np.random.default_rng(0)


def test_the_higher_score_is_the_favourite_and_a_tie_is_half():
    assert right(np.array([2.0, -0.1, 0.0])).tolist() == [1, 0, 0.5]
    sure = certainty(np.array([0.0, math.log(3), -math.log(3), 1000.0]))
    assert sure.tolist() == pytest.approx([0.5, 0.75, 0.75, 1.0])


def test_the_calibration_error_by_hand():
    """Ten pairs at 3/4, of which half are right, and ten at 9/10, all right."""
    sure = np.array([0.75] * 10 + [0.9] * 10)
    hits = np.array([1.0] * 5 + [0.0] * 5 + [1.0] * 10)
    assert bins_of(sure, hits, 2) == [
        (pytest.approx(0.75), 0.5, 10), (pytest.approx(0.9), 1.0, 10),
    ]  # fmt: skip
    assert calibration_error(sure, hits, 2) == pytest.approx(0.5 * 0.25 + 0.5 * 0.1)


def test_few_pairs_make_few_bins():
    assert [n for _, _, n in bins_of(np.full(12, 0.7), np.ones(12), 10)] == [6, 6]
    assert len(bins_of(np.full(3, 0.7), np.ones(3), 10)) == 1
    assert [n for _, _, n in bins_of(np.full(103, 0.7), np.ones(103), 10)] == [11] * 3 + [10] * 7


def test_a_calibrated_model_has_a_small_error_that_falls_with_more_pairs():
    few = calibrated_error(np.full(20, 0.8), 10, 200, source())
    many = calibrated_error(np.full(2000, 0.8), 10, 200, source())
    assert many < few / 3
    assert 0 < few < 0.3


def test_one_that_is_always_sure_and_always_right_has_none():
    assert calibration_error(np.ones(50), np.ones(50)) == 0


def test_disputed_pairs_are_those_with_the_least_agreement():
    assert disputed([0.9, 0.55, 0.7, 0.55, 0.8], 0.4).tolist() == [1, 3]
    assert disputed([0.9, 0.8], 0.01).tolist() == [1]


def test_a_fall_on_disputed_pairs_shows_beside_random_sets():
    hits = np.array([0.0, 1.0] * 25 + [1.0] * 150)
    found = against_random(hits, np.arange(50), 500, source())
    assert found.disputed == 0.5
    assert found.random == pytest.approx(0.875, abs=0.02)
    assert found.high < 0
    assert found.low < found.difference < found.high


def test_no_fall_shows_none():
    hits = np.array([0.0, 1.0, 1.0, 1.0] * 50)
    found = against_random(hits, np.arange(60), 500, source())
    assert found.low < 0 < found.high


def test_a_share_of_all_is_no_certainty():
    low, high = wilson(1.0, 9)
    assert high == pytest.approx(1)
    assert low == pytest.approx(9 / (9 + 1.959964**2), abs=1e-6)
    assert wilson(0.5, 10)[0] == pytest.approx(1 - wilson(0.5, 10)[1])


def test_length_alone_takes_the_better_of_both_ways():
    assert by_length(np.array([1.0, 1.0, 0.0, 1.0])) == 0.75
    assert by_length(np.array([0.0, 0.0, 0.5, 0.0])) == pytest.approx(0.875)


def test_the_interval_of_a_mean_holds_it():
    values = np.array([0.0] * 20 + [1.0] * 80)
    low, high = interval(values, 2000, source())
    # a binomial share: 0.8 plus or minus 1.96 sqrt(0.8 * 0.2 / 100)
    assert (low, high) == (pytest.approx(0.722, abs=0.02), pytest.approx(0.878, abs=0.02))
