"""Distances and the best single predictor, against figures that can be worked out by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from scipy.spatial.distance import jensenshannon
from scipy.stats import wasserstein_distance

from assets.evaluation.distances import (
    Array,
    best_single_predictor,
    entropy,
    entropy_of_sample,
    jensen_shannon,
    representativeness,
    total_variation,
)

SURE = np.array([1.0, 0.0])
EVEN = np.array([0.5, 0.5])


@some.composite
def groups(draw: some.DrawFn, options: int = 3) -> list[Array]:
    """Answers of some groups to one item, in steps of a fiftieth."""
    rows = draw(
        some.lists(
            some.lists(some.integers(0, 50), min_size=options, max_size=options).filter(any),
            min_size=1,
            max_size=5,
        )
    )
    return [np.array(row) / sum(row) for row in rows]


def mean_distance(single: Array, tables: list[Array]) -> float:
    return float(np.mean([total_variation(single, table) for table in tables]))


def test_known_distances() -> None:
    assert total_variation(SURE, EVEN) == 0.5
    assert jensen_shannon(SURE, EVEN) == pytest.approx(0.75 * math.log(4 / 3), abs=1e-12)
    assert jensen_shannon(SURE, EVEN) == pytest.approx(0.2158, abs=5e-5)
    assert total_variation(SURE, SURE[::-1]) == 1
    assert jensen_shannon(SURE, SURE[::-1]) == pytest.approx(math.log(2), abs=1e-12)
    assert total_variation(EVEN, EVEN) == jensen_shannon(EVEN, EVEN) == 0


def test_distances_run_along_the_last_axis() -> None:
    p, q = np.stack([SURE, EVEN]), np.stack([[EVEN, EVEN], [SURE, EVEN], [SURE, SURE]])
    assert total_variation(p, q).tolist() == [[0.5, 0.0], [0.0, 0.0], [0.0, 0.5]]
    assert jensen_shannon(p, q).shape == (3, 2)


@given(groups())
def test_distances_are_symmetric_and_bounded(tables: list[Array]) -> None:
    for p, q in itertools.combinations_with_replacement(tables, 2):
        distance, divergence = float(total_variation(p, q)), float(jensen_shannon(p, q))
        assert distance == pytest.approx(float(total_variation(q, p)), abs=1e-12)
        assert divergence == pytest.approx(float(jensen_shannon(q, p)), abs=1e-12)
        assert -1e-12 <= distance <= 1 + 1e-12
        assert 0 <= divergence <= math.log(2) + 1e-12
        assert divergence <= distance * math.log(2) + 1e-12
        assert divergence == pytest.approx(float(jensenshannon(p, q)) ** 2, abs=1e-9)


def test_between_two_groups_any_point_is_best_and_costs_half_their_distance() -> None:
    tables = [np.array([0.7, 0.2, 0.1]), np.array([0.3, 0.3, 0.4])]
    single = best_single_predictor(tables)
    assert single.sum() == pytest.approx(1)
    assert mean_distance(single, tables) == pytest.approx(
        float(total_variation(*tables)) / 2, abs=1e-9
    )


def test_for_three_groups_and_two_options_the_median_is_best() -> None:
    tables = [np.array([share, 1 - share]) for share in (0.1, 0.35, 0.9)]
    assert best_single_predictor(tables) == pytest.approx(np.array([0.35, 0.65]), abs=1e-9)


def test_one_group_is_predicted_by_itself() -> None:
    table = np.array([0.5, 0.3, 0.2])
    assert best_single_predictor([table]) == pytest.approx(table, abs=1e-9)


def test_no_point_of_a_grid_is_better() -> None:
    source = np.random.default_rng(0)
    steps = 40
    grid = np.array([(a, b, steps - a - b) for a in range(steps + 1) for b in range(steps + 1 - a)])
    for _ in range(10):
        tables = list(source.dirichlet(np.ones(3), size=4))
        single = best_single_predictor(tables)
        best = min(mean_distance(point / steps, tables) for point in grid)
        found = mean_distance(single, tables)
        assert found <= best + 1e-9
        assert found == pytest.approx(best, abs=1.5 / steps)


@given(groups(options=4))
def test_it_is_a_distribution_and_never_worse_than_the_plain_mean(tables: list[Array]) -> None:
    single = best_single_predictor(tables)
    assert single.min() >= 0
    assert single.sum() == pytest.approx(1, abs=1e-12)
    plain: Array = np.mean(tables, axis=0)
    assert mean_distance(single, tables) <= mean_distance(plain, tables) + 1e-9


def test_representativeness_is_one_for_equals_and_nought_for_opposite_ends() -> None:
    ends = np.array([1.0, 0.0, 0.0, 0.0])
    assert float(representativeness(ends, ends)) == 1
    assert float(representativeness(ends, ends[::-1])) == 0
    assert float(representativeness(ends, np.array([0.0, 1.0, 0.0, 0.0]))) == pytest.approx(2 / 3)


def test_representativeness_counts_the_steps_that_total_variation_does_not() -> None:
    p = np.array([0.5, 0.5, 0.0])
    near, far = np.array([0.5, 0.0, 0.5]), np.array([0.0, 0.5, 0.5])
    assert float(total_variation(p, near)) == float(total_variation(p, far)) == 0.5
    assert float(representativeness(p, near)) == pytest.approx(0.75)
    assert float(representativeness(p, far)) == pytest.approx(0.5)
    assert representativeness(p, np.stack([near, far])).shape == (2,)


@given(groups(options=2))
def test_with_two_options_it_is_one_minus_total_variation(tables: list[Array]) -> None:
    for p, q in itertools.combinations(tables, 2):
        assert float(representativeness(p, q)) == pytest.approx(1 - float(total_variation(p, q)))


@given(groups(options=5))
def test_it_is_scipys_wasserstein_distance(tables: list[Array]) -> None:
    places = np.arange(5)
    for p, q in itertools.combinations(tables, 2):
        expected = 1 - wasserstein_distance(places, places, p, q) / 4
        assert float(representativeness(p, q)) == pytest.approx(expected)


def test_known_entropies() -> None:
    assert float(entropy(SURE)) == 0
    assert float(entropy(EVEN)) == pytest.approx(math.log(2))
    assert entropy(np.stack([SURE, EVEN])).tolist() == pytest.approx([0, math.log(2)])


def test_entropy_is_made_up_for_few_respondents() -> None:
    truth, n = np.array([0.4, 0.3, 0.2, 0.1]), 100
    drawn = np.random.default_rng(0).multinomial(n, truth, 20_000) / n
    plain, mended = float(entropy(drawn).mean()), float(entropy_of_sample(drawn, n).mean())
    assert float(entropy(truth)) - plain == pytest.approx(3 / (2 * n), rel=0.05)
    assert mended == pytest.approx(float(entropy(truth)), abs=0.001)
    assert float(entropy_of_sample(EVEN, 1)) == pytest.approx(math.log(2))
