"""The best answer for the worst served, against what can be worked out by hand and a grid."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from assets.evaluation.distances import Array, best_single_predictor, total_variation
from assets.evaluation.linear_programmes import lowest_worst, max_min_weights, uniform_distances
from assets.evaluation.welfare import mixture
from registry.errors import MethodError


def worst(answer: Sequence[Array], tables: Mapping[str, Sequence[Array]]) -> float:
    return max(
        float(np.mean([total_variation(p, q) for p, q in zip(answer, shares, strict=True)]))
        for shares in tables.values()
    )


def share(first: float) -> Array:
    return np.array([first, 1 - first])


def test_the_middle_serves_the_worst_best_where_the_median_serves_the_mean_best() -> None:
    tables = {name: [share(x)] for name, x in (("a", 0.1), ("b", 0.2), ("c", 0.9))}
    (found,) = lowest_worst(tables)
    assert found == pytest.approx(share(0.5), abs=1e-6)
    assert best_single_predictor([t[0] for t in tables.values()])[0] == pytest.approx(0.2)
    assert worst([found], tables) == pytest.approx(0.4, abs=1e-6)


def test_one_item_may_make_up_for_another() -> None:
    tables = {"a": [share(0.0), share(0.6)], "b": [share(1.0), share(0.4)]}
    found = lowest_worst(tables)
    assert worst(found, tables) == pytest.approx(0.3, abs=1e-6)
    alone = {"a": [share(0.0), share(0.5)], "b": [share(0.2), share(0.5)]}
    assert worst(lowest_worst(alone), alone) == pytest.approx(0.05, abs=1e-6)


def test_no_point_of_a_grid_is_better() -> None:
    source = np.random.default_rng(0)
    grid = np.arange(0, 1.0001, 0.05)
    for _ in range(5):
        tables = {
            c: [share(x), share(y)] for c, (x, y) in zip("abc", source.random((3, 2)), strict=True)
        }
        found = worst(lowest_worst(tables), tables)
        best = min(worst([share(x), share(y)], tables) for x, y in itertools.product(grid, grid))
        assert found <= best + 1e-9
        assert found == pytest.approx(best, abs=0.05)


def test_one_community_is_served_exactly() -> None:
    tables = {"a": [np.array([0.2, 0.3, 0.5]), share(0.9)]}
    for p, q in zip(lowest_worst(tables), tables["a"], strict=True):
        assert p == pytest.approx(q, abs=1e-6)
    assert max_min_weights(tables) == {"a": 1.0}


def test_two_that_agree_share_half_of_the_weight() -> None:
    tables = {"a": [share(0.9)], "b": [share(0.9)], "c": [share(0.1)]}
    weights = max_min_weights(tables)
    assert weights["c"] == pytest.approx(0.5, abs=1e-6)
    assert sum(weights.values()) == pytest.approx(1)


def test_weights_equal_the_skill_of_those_who_would_lose() -> None:
    tables = {"a": [share(0.9)], "b": [share(0.7)]}
    weights = max_min_weights(tables)
    pooled = mixture(list(tables.values()), list(weights.values()))[0][0]
    skills = [1 - abs(pooled - x) / abs(x - 0.5) for x in (0.9, 0.7)]
    assert skills[0] == pytest.approx(skills[1], abs=1e-6)
    assert pooled == pytest.approx(0.7 + 0.2 / 3, abs=1e-6)


def test_who_answers_uniformly_has_no_skill_to_lose() -> None:
    tables = {"a": [share(0.9)], "b": [share(0.5)]}
    assert uniform_distances(tables) == {"a": pytest.approx(0.4), "b": 0}
    with pytest.raises(MethodError, match="b answers every item uniformly"):
        max_min_weights(tables)
