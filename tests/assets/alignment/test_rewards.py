"""Rewards against known answers: gradients by enumerating every group that can be drawn."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from assets.alignment.rewards import OUTSIDE, floor, format_kept, match, smoothed


def expected_gradient(policy: np.ndarray, target: list[float], size: int) -> np.ndarray:
    """What GRPO's gradient by the policy's logits is on average, over all K^G groups."""
    options = len(policy)
    logs = np.log(policy)
    total = np.zeros(options)
    for group in itertools.product(range(options), repeat=size):
        chance = np.prod(policy[list(group)])
        paid = np.array([match(target, a, float(logs[a]), -99.0) for a in group])
        for reward, answer in zip(paid - paid.mean(), group, strict=True):
            total += chance * reward * (np.eye(options)[answer] - policy) / size
    return total


def divergence_gradient(policy: np.ndarray, target: list[float]) -> np.ndarray:
    """The gradient of -KL(policy || target) by the policy's logits."""
    gap = np.log(target) - np.log(policy)
    return policy * (gap - (policy * gap).sum())


@pytest.mark.parametrize("size", [2, 4, 5])
def test_a_policy_that_matches_people_is_left_alone(size: int) -> None:
    shares = np.array([0.70, 0.20, 0.08, 0.02])
    assert np.abs(expected_gradient(shares, list(shares), size)).max() < 1e-12


@pytest.mark.parametrize("size", [2, 3, 5])
def test_its_gradient_is_that_of_the_divergence(size: int) -> None:
    policy, target = np.array([0.5, 0.3, 0.2]), [0.1, 0.2, 0.7]
    found = expected_gradient(policy, target, size)
    # The group's mean holds each member's own reward, which costs a part of 1 / G.
    assert found == pytest.approx(
        divergence_gradient(policy, target) * (size - 1) / size, abs=1e-12
    )


def test_a_score_for_the_whole_group_teaches_nothing() -> None:
    shared = np.full(8, 3.7)
    assert not (shared - shared.mean()).any()


def test_shares_are_smoothed_by_half_a_person_an_option() -> None:
    assert smoothed((1.0, 0.0), 10) == pytest.approx([10.5 / 11, 0.5 / 11])
    assert sum(smoothed((0.5, 0.3, 0.2), 7)) == pytest.approx(1)
    assert smoothed((0.25, 0.75), 0) == [0.5, 0.5]


def test_leaving_the_options_never_pays() -> None:
    targets = [smoothed((0.9, 0.1, 0.0), 50), smoothed((0.5, 0.5), 900)]
    outside = floor(targets, 1.0)
    lowest = min(
        match(target, answer, math.log(own), outside)
        for target in targets
        for answer in range(len(target))
        for own in (1.0, 0.5, 1e-6)
    )
    assert outside == pytest.approx(math.log(0.5 / 51.5) - 1)
    assert match(targets[0], OUTSIDE, 0.0, outside) == outside < lowest


def test_the_format_pays_for_an_option_and_nothing_else() -> None:
    assert [format_kept(answer) for answer in (0, 3, OUTSIDE)] == [1, 1, 0]
