"""The greedy choice is exact, beats chance, and keeps what communities are promised."""

from __future__ import annotations

import math
from typing import Any

import numpy
import pytest

from assets.diversity import subset
from assets.diversity.subset import at_random, cluster_balanced, log_det, promise
from assets.diversity.vendi import vendi
from registry.errors import MethodError
from tests.assets.diversity.conftest import Planted


def cloud(rows: int, dimensions: int, seed: int = 0) -> Any:
    drawn = numpy.random.default_rng(seed).standard_normal((rows, dimensions))
    drawn *= numpy.arange(1, dimensions + 1) ** -0.5
    unit = drawn / numpy.linalg.norm(drawn, axis=1, keepdims=True)
    return unit.astype(numpy.float32)


def by_determinants(vectors: Any, m: int, ridge: float) -> list[int]:
    """Greedy, by computing every determinant anew."""
    wide = vectors.astype(numpy.float64)
    wide /= numpy.linalg.norm(wide, axis=1, keepdims=True)
    kernel = wide @ wide.T
    chosen: list[int] = []
    for _ in range(m):
        values = {}
        for row in set(range(len(vectors))) - set(chosen):
            some = [*chosen, row]
            part = kernel[numpy.ix_(some, some)] + ridge * numpy.eye(len(some))
            values[row] = numpy.linalg.slogdet(part)[1]
        chosen.append(max(values, key=lambda row: (round(values[row], 7), -row)))
    return chosen


@pytest.mark.parametrize(("dimensions", "m"), [(20, 12), (5, 15)])
@pytest.mark.parametrize("ridge", [1e-3, 0.01, 1.0])
def test_greedy_chooses_what_determinants_say(dimensions: int, m: int, ridge: float) -> None:
    vectors = cloud(40, dimensions)
    assert log_det(vectors, m, ridge=ridge).tolist() == by_determinants(vectors, m, ridge)


@pytest.mark.parametrize("front", [1, 3, 10, 1000])
def test_following_few_candidates_chooses_the_same(
    monkeypatch: pytest.MonkeyPatch, front: int
) -> None:
    vectors = cloud(300, 12)
    expected = log_det(vectors, 60).tolist()
    monkeypatch.setattr(subset, "_FRONT", front)
    monkeypatch.setattr(subset, "_PENDING", 7)
    assert log_det(vectors, 60).tolist() == expected


def test_one_of_each_direction_is_chosen_first(planted: Planted) -> None:
    vectors, labels = planted([200, 50, 10, 3, 1])
    assert sorted(labels[log_det(vectors, 5)]) == [0, 1, 2, 3, 4]
    assert vendi(vectors[log_det(vectors, 5)]) == pytest.approx(5, rel=0.01)
    assert vendi(vectors[at_random(len(vectors), 5)]) < 4


@pytest.mark.parametrize("m", [20, 100, 300])
def test_chosen_rows_are_more_diverse_than_random_ones(m: int) -> None:
    vectors = cloud(1000, 64)
    chance = [vendi(vectors[at_random(1000, m, seed=s)]) for s in range(10)]
    assert vendi(vectors[log_det(vectors, m)]) > 1.15 * max(chance)


def test_all_rows_can_be_chosen_and_each_only_once() -> None:
    vectors = cloud(50, 4)
    labels = numpy.arange(50) % 3
    for found in (log_det(vectors, 50), cluster_balanced(labels, 50), at_random(50, 50)):
        assert sorted(found.tolist()) == list(range(50))


def test_rows_that_are_all_the_same_are_chosen_in_their_order() -> None:
    assert log_det(numpy.ones((6, 3), dtype=numpy.float32), 4).tolist() == [0, 1, 2, 3]


def test_clusters_give_the_same_number_or_all_they_have() -> None:
    labels = numpy.repeat([0, 1, 2, 7], [100, 30, 5, 1])
    for seed in range(3):
        chosen = labels[cluster_balanced(labels, 46, seed=seed)]
        assert numpy.bincount(chosen)[[0, 1, 2, 7]].tolist() == [20, 20, 5, 1]
    first, again = (cluster_balanced(labels, 46, seed=s).tolist() for s in (0, 0))
    assert first == again
    assert first != cluster_balanced(labels, 46, seed=1).tolist()


@pytest.mark.parametrize("choice", ["log-det", "cluster-balanced", "random"])
@pytest.mark.parametrize("m", [10, 60, 150])
def test_a_community_that_writes_alike_keeps_four_fifths_of_its_share(
    planted: Planted, choice: str, m: int
) -> None:
    """180 rows of many kinds, and 20 of one community that are nearly the same."""
    many = cloud(180, 32)
    alike, _ = planted([20], spread=0.001)
    vectors = numpy.concatenate([many, alike])
    groups: list[str | None] = [None] * 80 + ["a"] * 100 + ["b"] * 20

    def chosen(share: float) -> Any:
        promised = promise(groups, m, share) if share else None
        if choice == "log-det":
            return log_det(vectors, m, promised=promised)
        if choice == "random":
            return at_random(200, m, promised=promised)
        return cluster_balanced(numpy.repeat([0, 1, 2, 3, 4], 40), m, promised=promised)

    kept = chosen(0.8)
    assert len(set(kept.tolist())) == m
    for name, size in (("a", 100), ("b", 20)):
        rate = sum(groups[i] == name for i in kept) / size
        assert rate >= 0.8 * m / 200
    if choice == "log-det" and m < 150:
        assert sum(groups[i] == "b" for i in chosen(0)) < math.ceil(0.8 * m / 10)


def test_a_promise_costs_little_diversity() -> None:
    vectors = cloud(500, 48)
    groups = ["a" if i % 10 else "b" for i in range(500)]
    free = vendi(vectors[log_det(vectors, 100)])
    held = vendi(vectors[log_det(vectors, 100, promised=promise(groups, 100, 1.0))])
    assert held > 0.97 * free


def test_a_promise_that_cannot_be_kept_is_refused() -> None:
    with pytest.raises(MethodError, match="3 rows are too few: 10 communities are promised 10"):
        promise([f"c{i % 10}" for i in range(50)], 3, 0.8)
    before = ["a"] * 50 + ["b"] * 50
    with pytest.raises(MethodError, match="b is promised 20 rows, and 19 of its 50 rows can be"):
        promise(before[:69], 50, 0.8, among=before)
    assert promise(before[:70], 50, 0.8, among=before).owed.tolist() == [20, 20]


@pytest.mark.parametrize("m", [0, 6, -1])
def test_more_rows_than_there_are_cannot_be_chosen(m: int) -> None:
    with pytest.raises(MethodError, match=f"{m} of 5 rows"):
        log_det(cloud(5, 3), m)
    with pytest.raises(MethodError, match=f"{m} of 5 rows"):
        at_random(5, m)
    with pytest.raises(MethodError, match="choose from a dataset that has rows"):
        cluster_balanced(numpy.zeros(0, dtype=int), 1)


def test_a_vector_of_zeros_is_named() -> None:
    with pytest.raises(MethodError, match="vector 2 holds only zeros"):
        log_det(numpy.eye(3, 2, dtype=numpy.float32), 1)
