"""Advantages are relative to their group, and clipping follows the sign of the advantage."""

from __future__ import annotations

import pytest
import torch

from assets.alignment.groups import advantages, against_others, surrogate


def test_one_right_of_four_by_either_standard_deviation():
    rewards = torch.tensor([[1.0, 0, 0, 0]], dtype=torch.float64)
    population = advantages(rewards, "population")[0].tolist()
    assert population == pytest.approx([1.732, -0.577, -0.577, -0.577], abs=1e-3)
    assert advantages(rewards, "sample")[0].tolist() == pytest.approx(
        [1.5, -0.5, -0.5, -0.5], abs=1e-3
    )
    assert advantages(rewards)[0].tolist() == [0.75, -0.25, -0.25, -0.25]


@pytest.mark.parametrize("scale", ["none", "population", "sample"])
def test_a_group_of_equal_rewards_has_no_advantage(scale):
    assert advantages(torch.full((2, 4), 0.3), scale).abs().max() == 0


def test_a_reward_is_compared_with_the_mean_of_the_others():
    rewards = torch.rand(5, 6, dtype=torch.float64)
    found = against_others(rewards)
    for group, row in zip(rewards, found, strict=True):
        for member, value in enumerate(row):
            others = torch.cat([group[:member], group[member + 1 :]])
            assert value == pytest.approx(float(group[member] - others.mean()), abs=1e-12)
    assert found.sum(dim=1).abs().max() < 1e-12


def test_the_loss_is_the_mean_over_members_of_the_mean_over_tokens():
    ratios = torch.ones(2, 3)
    mask = torch.tensor([[1.0, 1, 1], [1, 0, 0]])
    loss, clipped = surrogate(ratios, torch.tensor([2.0, -1.0]), mask, 0.2, 0.2)
    assert loss == -0.5
    assert clipped == 0


@pytest.mark.parametrize(
    ("ratio", "gain", "term"),
    [(1.5, 1, 1.2), (0.5, 1, 0.5), (1.5, -1, -1.5), (0.5, -1, -0.8), (1.1, 1, 1.1)],
)
def test_clipping_bounds_what_can_be_won_and_never_what_can_be_lost(ratio, gain, term):
    loss, clipped = surrogate(
        torch.tensor([[ratio]]), torch.tensor([float(gain)]), torch.ones(1, 1), 0.2, 0.2
    )
    assert -loss.item() == pytest.approx(term)
    assert clipped.item() == (term not in (ratio, -ratio))


def test_a_member_without_tokens_adds_nothing():
    loss, _ = surrogate(
        torch.ones(2, 2), torch.tensor([1.0, 5.0]), torch.tensor([[1.0, 1], [0, 0]]), 0.2, 0.2
    )
    assert loss == -0.5
