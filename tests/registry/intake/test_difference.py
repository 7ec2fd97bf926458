"""Known answers: what is the same scores 1, what differs scores more."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from registry.intake.difference import (
    Separation,
    expected_noise,
    quadratic_mean,
    sampled_separation,
    separation,
    total_variation,
)

ITEMS = 200


def halves(random: np.random.Generator, truth: np.ndarray, n: int) -> dict:
    return {
        str(item): tuple((random.multinomial(n, p) / n).tolist() for _ in range(2))
        for item, p in enumerate(truth)
    }


def truths(random: np.random.Generator) -> np.ndarray:
    return random.dirichlet([2.0, 2.0, 2.0], ITEMS)


def test_by_hand() -> None:
    found = separation(
        {
            "one": {"Q": ((0.5, 0.5), (0.6, 0.4))},
            "two": {"Q": ((0.2, 0.8), (0.2, 0.8)), "more": ((1, 0), (1, 0))},
        }
    )
    (pair,) = found.pairs
    assert pair.items == 1
    assert pair.distance == pytest.approx((0.3 + 0.4) / 2)
    assert pair.noise == pytest.approx(0.1 / math.sqrt(2))
    assert found.noise == {"one": pytest.approx(0.1), "two": 0}
    assert found.usable


def test_total_variation_and_quadratic_mean() -> None:
    assert total_variation((0.7, 0.3), (0.3, 0.7)) == pytest.approx(0.4)
    assert total_variation((1, 0, 0), (0, 0, 1)) == 1
    assert quadratic_mean(3, 4) == pytest.approx(math.sqrt(12.5))


@pytest.mark.parametrize("sizes", [(200, 200), (60, 900)])
def test_groups_of_the_same_people_score_one(sizes: tuple[int, int]) -> None:
    random = np.random.default_rng(1)
    truth = truths(random)
    found = separation({"a": halves(random, truth, sizes[0]), "b": halves(random, truth, sizes[1])})
    assert found.ratio == pytest.approx(1, abs=0.08)
    assert not found.usable
    assert found.indistinguishable == found.pairs


def test_a_planted_difference_is_found() -> None:
    random = np.random.default_rng(2)
    truth = truths(random)
    moved = 0.8 * truth + 0.2 * np.array([1.0, 0, 0])
    found = separation({"a": halves(random, truth, 400), "b": halves(random, moved, 400)})
    assert found.usable
    assert found.distance == pytest.approx(0.2 * (1 - truth[:, 0]).mean(), abs=0.03)


def test_one_pair_can_be_indistinguishable_in_a_usable_set() -> None:
    random = np.random.default_rng(3)
    truth = truths(random)
    far = 0.4 * truth + 0.6 * np.array([1.0, 0, 0])
    found = separation(
        {
            "a": halves(random, truth, 300),
            "b": halves(random, truth, 300),
            "c": halves(random, far, 300),
        }
    )
    assert found.usable
    assert [(pair.one, pair.other) for pair in found.indistinguishable] == [("a", "b")]


def test_expected_noise_by_formula_and_by_drawing() -> None:
    assert expected_noise((0.5, 0.5), 100) == pytest.approx(2 * math.sqrt(0.25 / (math.pi * 100)))
    random = np.random.default_rng(4)
    p = (0.5, 0.3, 0.2)
    drawn = random.multinomial(400, p, (4000, 2)) / 400
    assert np.abs(drawn[:, 0] - drawn[:, 1]).sum(1).mean() / 2 == pytest.approx(
        expected_noise(p, 400), rel=0.02
    )


def test_samples_of_the_same_people_score_one() -> None:
    random = np.random.default_rng(5)
    truth = truths(random)
    groups = {
        name: {str(i): ((random.multinomial(n, p) / n).tolist(), n) for i, p in enumerate(truth)}
        for name, n in (("a", 150), ("b", 1200))
    }
    assert sampled_separation(groups).ratio == pytest.approx(1, abs=0.08)


def test_the_limit_is_never_below_twice_the_noise() -> None:
    assert Separation((), {}, "").limit == 2
    assert Separation((), {}, "", null=1.3).limit == 2
    assert Separation((), {}, "", null=2.7).limit == 2.7


def test_without_a_common_item_nothing_is_usable() -> None:
    found = separation({"a": {"x": ((1, 0), (1, 0))}, "b": {"y": ((1, 0), (1, 0))}})
    assert found.pairs == ()
    assert not found.usable
    assert found.to_json()["ratio"] == 0


def test_a_difference_without_any_noise_is_a_difference() -> None:
    found = separation({"a": {"x": ((1, 0), (1, 0))}, "b": {"x": ((0, 1), (0, 1))}})
    assert found.ratio == math.inf
    assert found.usable
    assert found.to_json()["ratio"] is None


def test_noise_falls_with_the_number_of_people() -> None:
    noise = [expected_noise((0.4, 0.6), n) for n in (50, 200, 800)]
    assert all(a == pytest.approx(2 * b) for a, b in pairwise(noise))
