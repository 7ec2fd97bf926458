"""Equal-mass calibration error, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from assets.evaluation.probability_calibration import calibration_error, curve, membership


def test_two_bins_by_hand() -> None:
    predicted = np.array([0.1, 0.9, 0.2, 0.8])
    observed = np.array([0.3, 0.7, 0.2, 0.8])
    assert float(calibration_error(predicted, observed, 2)) == pytest.approx(0.1)
    assert float(calibration_error(predicted, observed, 1)) == pytest.approx(0, abs=1e-12)
    assert float(calibration_error(predicted, observed, 4)) == pytest.approx(0.1)
    assert float(calibration_error(predicted, predicted, 3)) == 0


def test_exactly_wrong_is_wrong_by_one() -> None:
    assert float(calibration_error(np.array([0.0, 1.0]), np.array([1.0, 0.0]), 10)) == 1


def test_every_bin_holds_as_much_and_every_pair_is_held_once() -> None:
    source = np.random.default_rng(0)
    predicted = source.choice([0.1, 0.2, 0.25, 0.5], 23)
    member = membership(predicted, 5)
    assert member.sum(axis=0) == pytest.approx(np.full(5, 23 / 5))
    assert member.sum(axis=1) == pytest.approx(np.ones(23))


def test_ties_make_the_order_of_rows_matter_nothing() -> None:
    source = np.random.default_rng(1)
    predicted = source.choice([0.2, 0.3, 0.5], 30)
    observed = source.random(30)
    found = calibration_error(predicted, observed, 4)
    order = source.permutation(30)
    assert calibration_error(predicted[order], observed[order], 4) == pytest.approx(float(found))


def test_a_constant_scorer_is_calibrated_and_says_nothing() -> None:
    observed = np.array([0.9, 0.1, 0.3, 0.7])
    assert float(calibration_error(np.full(4, 0.5), observed)) == pytest.approx(0, abs=1e-12)


def test_many_draws_at_once() -> None:
    source = np.random.default_rng(2)
    predicted, observed = source.random(12), source.random((5, 12))
    found = calibration_error(predicted, observed, 3)
    assert found == pytest.approx([float(calibration_error(predicted, o, 3)) for o in observed])


def test_the_curve_of_exact_answers_is_the_diagonal() -> None:
    shares = np.random.default_rng(3).random(40)
    predicted, observed = curve(shares, shares)
    assert len(predicted) == 10
    assert predicted == pytest.approx(observed)
