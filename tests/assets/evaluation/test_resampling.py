"""Resampling, flipped signs and Holm, against figures that can be worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from assets.evaluation.distances import jensen_shannon, total_variation
from assets.evaluation.resampling import (
    average_seeds,
    distances,
    flip_clusters,
    holm,
    normal_p,
    permute_labels,
    permute_owners,
    widened,
)

SOURCE = np.random.default_rng(0)


def test_many_answerers_and_draws_at_once_are_the_same_as_one_by_one() -> None:
    source = np.random.default_rng(1)
    predicted = [source.dirichlet(np.ones(k), 3) for k in (2, 4, 5)]
    redrawn = [source.dirichlet(np.ones(k), 7) for k in (2, 4, 5)]
    for metric in (total_variation, jensen_shannon):
        found = distances(predicted, redrawn, metric)
        assert found.shape == (3, 7)
        for answerer in range(3):
            for draw in range(7):
                expected = np.mean(
                    [metric(p[answerer], r[draw]) for p, r in zip(predicted, redrawn, strict=True)]
                )
                assert found[answerer, draw] == pytest.approx(float(expected), abs=1e-12)


def test_seeds_are_averaged_before_anything_else() -> None:
    rows = np.array([[0.1, 0.3], [0.3, 0.5], [0.7, 0.7]])
    assert average_seeds(rows, [(0, 1), (2,)]) == pytest.approx(np.array([[0.2, 0.4], [0.7, 0.7]]))


def test_all_batteries_on_one_side_is_the_smallest_p_that_so_few_can_give() -> None:
    differences = np.array([[0.1, 0.2, 0.1, 0.3], [0.1, 0.2, 0.1, -0.4]])
    one, other = flip_clusters(differences, ("a", "b", "c", "d"), 1000, SOURCE)
    assert one.exact
    assert one.p == pytest.approx(one.smallest) == pytest.approx(2 / 16)
    assert other.p == 1


def test_items_of_one_battery_change_sides_together() -> None:
    differences = np.full((1, 12), 0.1)
    (together,) = flip_clusters(differences, ["a"] * 6 + ["b"] * 6, 10_000, SOURCE)
    (apart,) = flip_clusters(differences, [str(i) for i in range(12)], 10_000, SOURCE)
    assert together.p == pytest.approx(0.5)
    assert apart.p == pytest.approx(2 / 2**12)


def test_drawn_flips_agree_with_all_flips_and_are_never_nought() -> None:
    source = np.random.default_rng(3)
    differences = source.normal(0.2, 1, (4, 12))
    clusters = [str(i) for i in range(12)]
    every = flip_clusters(differences, clusters, 2048, source)
    drawn = flip_clusters(differences, clusters, 2047, source)
    assert [one.exact for one in (every[0], drawn[0])] == [True, False]
    assert [o.p for o in drawn] == pytest.approx([o.p for o in every], abs=0.04)
    (sure,) = flip_clusters(np.ones((1, 40)), [str(i) for i in range(40)], 99, source)
    assert sure.p == pytest.approx(0.01)


def test_no_difference_at_all_is_no_evidence() -> None:
    (found,) = flip_clusters(np.zeros((1, 3)), ("a", "b", "c"), 100, SOURCE)
    assert found.p == 1
    (one,) = flip_clusters(np.ones((1, 3)), ("a", "a", "a"), 100, SOURCE)
    assert one.p == one.smallest == 1


def test_under_no_difference_a_flip_test_is_wrong_as_often_as_it_says() -> None:
    source = np.random.default_rng(5)
    differences = source.normal(0, 1, (2000, 10))
    found = [t.p for t in flip_clusters(differences, [str(i) for i in range(10)], 1000, source)]
    assert np.mean(np.array(found) <= 0.05) == pytest.approx(0.05, abs=0.015)


def test_holm_is_the_textbooks() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == pytest.approx([1, 1])
    assert holm([]).tolist() == []


@given(some.lists(some.floats(0, 1), min_size=1, max_size=20))
def test_holm_keeps_the_order_and_never_makes_a_p_smaller(values: list[float]) -> None:
    found = holm(values)
    assert np.all(found >= np.array(values) - 1e-12)
    assert np.all(found <= 1)
    assert np.all(np.diff(found[np.argsort(values, kind="stable")]) >= -1e-12)


def test_a_difference_of_two_spreads_has_p_of_one_in_twenty() -> None:
    again = np.random.default_rng(0).normal(5, 0.1, 20_000)
    assert normal_p(0.196, again, 1.0) == pytest.approx(0.05, abs=0.002)
    assert normal_p(-0.392, again, 2.0) == pytest.approx(0.05, abs=0.002)
    assert normal_p(0.0, np.ones(10), 1.0) == 1
    assert normal_p(0.1, np.ones(10), 1.0) == 0


def test_widened_draws_lie_around_the_value() -> None:
    again = np.array([[0.3, 0.5], [0.2, 0.4]])
    found = widened(np.array([0.1, 0.0]), again, 2.0)
    assert found == pytest.approx(np.array([[-0.1, 0.3], [-0.2, 0.2]]))


def test_an_own_model_that_wins_everywhere_has_the_lowest_p_there_is() -> None:
    scores = np.array([[0.9, 0.8, 0.7], [0.1, 0.2, 0.3], [0.3, 0.2, 0.1], [0.0, 0.1, 0.2]])
    found = permute_labels(scores, 0, ["p", "q", "r"], 1000, SOURCE)
    assert found.exact
    assert found.p == found.smallest == pytest.approx(4**-3)
    assert found.difference == pytest.approx(np.mean([0.9 - 0.4 / 3, 0.8 - 0.5 / 3, 0.7 - 0.2]))
    drawn = permute_labels(np.tile(scores, 8), 0, [str(i) for i in range(24)], 1000, SOURCE)
    assert not drawn.exact
    assert drawn.p == drawn.smallest == pytest.approx(1 / 1001)


def test_models_that_are_alike_have_p_one_and_no_steerability() -> None:
    scores = np.tile([0.3, 0.6, 0.9], (4, 1))
    for clusters in (["p", "q", "r"], [str(i) for i in range(3)]):
        found = permute_labels(scores, 2, clusters, 1000, SOURCE)
        assert (found.p, found.difference) == (1, pytest.approx(0, abs=1e-12))
    owners = permute_owners(np.tile([0.2, 0.4, 0.9], (3, 1)), 1000, SOURCE)
    assert (owners.p, owners.difference) == (1, pytest.approx(0, abs=1e-12))
    drawn = permute_labels(np.tile(scores, 8), 2, [str(i) for i in range(24)], 100, SOURCE)
    assert (drawn.p, drawn.exact) == (1, False)


def test_items_of_one_battery_change_labels_together() -> None:
    scores = np.array([[1.0] * 6, [0.0] * 6])
    found = permute_labels(scores, 0, ["p"] * 4 + ["q"] * 2, 1000, SOURCE)
    assert (found.difference, found.p) == (1, 0.25)
    assert permute_labels(scores, 1, ["p"] * 4 + ["q"] * 2, 1000, SOURCE).p == 1


def test_exact_owners_have_the_lowest_p_that_so_few_communities_allow() -> None:
    for count in (2, 3, 4, 5):
        found = permute_owners(np.eye(count), 1000, SOURCE)
        assert found.exact
        assert found.difference == 1
        assert found.p == found.smallest == pytest.approx(1 / math.factorial(count))
    drawn = permute_owners(np.eye(9), 500, SOURCE)
    assert (drawn.exact, drawn.p) == (False, pytest.approx(1 / 501))


def test_labels_by_chance_are_rarely_called_significant() -> None:
    source = np.random.default_rng(3)
    clusters = [str(i // 3) for i in range(12)]
    found = [permute_labels(source.random((3, 12)), 0, clusters, 100, source).p for _ in range(400)]
    assert np.mean([p <= 0.05 for p in found]) == pytest.approx(0.05, abs=0.035)
