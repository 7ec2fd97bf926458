"""How alike answers are: known answers of every measure."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.diversity.homogeneity import (
    bin_shares,
    cross_means,
    exchangeable_mixing,
    expected_distinct,
    mixing,
    over_prompts,
    pair_mean,
    random_pairs,
    share_above,
    weighted_mean,
)


def units(rows: int, width: int, seed: int = 0) -> np.ndarray:
    found = np.random.default_rng(seed).normal(size=(rows, width))
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def test_identical_answers_are_at_one() -> None:
    assert pair_mean(np.tile(units(1, 16), (50, 1))) == pytest.approx(1, abs=1e-12)


def test_orthonormal_answers_are_at_zero_and_at_one_fiftieth_with_themselves() -> None:
    groups = np.zeros(50, dtype=np.int64)
    assert pair_mean(np.eye(50)) == pytest.approx(0, abs=1e-15)
    shown = cross_means(np.eye(50), groups, 1, self_pairs=True)
    assert shown[0, 0] == pytest.approx(0.02, abs=1e-15)


def test_the_published_cell_is_s_plus_the_rest_over_n() -> None:
    vectors, groups = units(50, 8), np.zeros(50, dtype=np.int64)
    mean = pair_mean(vectors)
    shown = cross_means(vectors, groups, 1, self_pairs=True)[0, 0]
    assert shown == pytest.approx(mean + (1 - mean) / 50, abs=1e-12)


def test_the_mean_is_that_of_the_strict_upper_triangle() -> None:
    vectors = units(23, 5)
    cosines = vectors @ vectors.T
    assert pair_mean(vectors) == pytest.approx(cosines[np.triu_indices(23, 1)].mean(), abs=1e-12)


def test_between_groups_every_pair_counts() -> None:
    vectors, groups = units(9, 4), np.array([0, 0, 1, 1, 1, 1, 2, 2, 2])
    found = cross_means(vectors, groups, 3)
    cosines = vectors @ vectors.T
    for one in range(3):
        for other in range(3):
            block = cosines[np.ix_(groups == one, groups == other)]
            if one == other:
                block = block[np.triu_indices(len(block), 1)]
            assert found[one, other] == pytest.approx(block.mean(), abs=1e-12)


def test_no_pair_gives_no_figure() -> None:
    assert math.isnan(pair_mean(units(1, 4)))
    assert math.isnan(pair_mean(np.zeros((0, 4))))
    assert np.isnan(cross_means(units(2, 4), np.array([0, 0]), 2)).sum() == 3


def test_bins_are_a_tenth_wide_and_closed_below() -> None:
    shares = bin_shares(np.array([0.8, 0.89, 0.79, 1.0, -1.0, np.nan]))
    assert {edge: share for edge, share in shares.items() if share} == {
        -1.0: 0.2, 0.7: 0.2, 0.8: 0.4, 0.9: 0.2,
    }  # fmt: skip
    assert sum(shares.values()) == pytest.approx(1)
    assert len(shares) == 20


def test_the_headline_counts_what_lies_strictly_above() -> None:
    assert share_above(np.array([0.8, 0.81, 0.2, np.nan])) == pytest.approx(1 / 3)
    assert math.isnan(share_above(np.array([np.nan])))


def test_separate_models_mix_with_themselves_only() -> None:
    vectors, sources = np.repeat(np.eye(25), 50, axis=0), np.repeat(np.arange(25), 50)
    noisy = vectors + 0.01 * units(1250, 25)
    noisy /= np.linalg.norm(noisy, axis=1, keepdims=True)
    assert mixing(noisy, sources, 49) == pytest.approx(1)


def test_exchangeable_models_mix_as_the_hypergeometric_law_says() -> None:
    assert exchangeable_mixing([50] * 25, 50) == pytest.approx(21.89, abs=0.005)


def test_equal_answers_mix_as_if_exchangeable_whatever_their_order() -> None:
    sources = np.repeat(np.arange(25), 50)
    found = mixing(np.tile(units(1, 4), (1250, 1)), sources, 50)
    assert found == pytest.approx(exchangeable_mixing([50] * 25, 50), abs=1e-9)


def test_random_answers_mix_nearly_as_if_exchangeable() -> None:
    found = mixing(units(1250, 256), np.repeat(np.arange(25), 50), 50).mean()
    assert found == pytest.approx(21.89, abs=0.15)


def test_neighbours_are_cut_to_the_answers_there_are() -> None:
    assert mixing(units(3, 4), np.array([0, 1, 2]), 50) == pytest.approx(2)
    assert mixing(units(1, 4), np.array([0]), 50) == pytest.approx(0)
    assert len(mixing(np.zeros((0, 4)), np.zeros(0, dtype=np.int64), 5)) == 0
    assert exchangeable_mixing([1], 50) == 0
    assert exchangeable_mixing([1, 1, 1], 50) == pytest.approx(2)


@given(
    st.lists(st.integers(min_value=1, max_value=4), min_size=2, max_size=4),
    st.integers(min_value=1, max_value=8),
)
@settings(max_examples=40, deadline=None)
def test_the_expectation_is_that_of_shuffled_ties(sizes: list[int], neighbours: int) -> None:
    sources = np.repeat(np.arange(len(sizes)), sizes)
    wanted = min(neighbours, len(sources) - 1)
    source = np.random.default_rng(0)
    drawn = []
    for _ in range(400):
        row = int(source.integers(len(sources)))
        others = np.delete(np.arange(len(sources)), row)
        drawn.append(len(set(sources[source.permutation(others)[:wanted]])))
    assert exchangeable_mixing(sizes, neighbours) == pytest.approx(np.mean(drawn), abs=0.25)


def test_the_floor_is_the_mean_over_pairs_of_different_prompts() -> None:
    vectors, prompts = units(12, 5), np.array([0] * 3 + [1] * 4 + [2] * 5)
    every = np.arange(12)
    floor = random_pairs(vectors, prompts, 3, every, every)
    cosines = vectors @ vectors.T
    apart = prompts[:, None] != prompts[None, :]
    assert floor.mean() == pytest.approx(cosines[apart].mean(), abs=1e-12)
    twice = floor.mean(np.array([2.0, 1.0, 0.0]))
    block = cosines[np.ix_(prompts == 0, prompts == 1)]
    assert twice == pytest.approx(block.mean(), abs=1e-12)
    assert math.isnan(floor.mean(np.array([3.0, 0.0, 0.0])))


def test_the_floor_between_two_models_pairs_one_with_the_other() -> None:
    vectors, prompts = units(12, 5), np.array([0, 1, 2] * 4)
    one, other = np.arange(0, 6), np.arange(6, 12)
    floor = random_pairs(vectors, prompts, 3, one, other)
    cosines = vectors[one] @ vectors[other].T
    apart = prompts[one][:, None] != prompts[other][None, :]
    assert floor.mean() == pytest.approx(cosines[apart].mean(), abs=1e-12)


def test_an_interval_over_prompts_holds_its_value_and_shrinks() -> None:
    source = np.random.default_rng(0)
    few, many = source.normal(0.5, 0.1, 20), source.normal(0.5, 0.1, 2000)
    small, large = (
        over_prompts(len(v), weighted_mean(v), 400, np.random.default_rng(1)) for v in (few, many)
    )
    assert small.low < small.value < small.high
    assert large.high - large.low < (small.high - small.low) / 5
    assert small.value == pytest.approx(few.mean())


def test_an_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    source, covered = np.random.default_rng(3), 0
    for _ in range(200):
        values = source.normal(0.4, 0.2, 40)
        found = over_prompts(40, weighted_mean(values), 200, source)
        covered += found.low <= 0.4 <= found.high
    assert 0.88 <= covered / 200 <= 0.99


def test_prompts_without_a_figure_are_passed_over() -> None:
    found = over_prompts(3, weighted_mean(np.array([0.2, np.nan, 0.4])), 100,
                         np.random.default_rng(0))  # fmt: skip
    assert found.value == pytest.approx(0.3)
    none = over_prompts(2, weighted_mean(np.array([np.nan, np.nan])), 10, np.random.default_rng(0))
    assert math.isnan(none.value)
    assert math.isnan(none.low)


def test_a_hundred_draws_of_fifty_show_forty_three() -> None:
    assert expected_distinct(50, 100) == pytest.approx(43.37, abs=0.005)
    assert expected_distinct(1, 7) == 1
    assert expected_distinct(10, 1) == pytest.approx(1)
