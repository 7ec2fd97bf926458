"""What group-relative methods share: advantages within a group, and the clipped surrogate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch

Scale = Literal["none", "population", "sample"]
"""What a group's rewards are divided by: nothing, or either kind of standard deviation."""
_LEAST = 1e-4
"""Added to a standard deviation, so that a group of almost equal rewards is not blown up."""


def advantages(rewards: torch.Tensor, scale: Scale = "none") -> torch.Tensor:
    """Each reward against its group's mean; a group of equal rewards has none.

    Args:
        rewards: Shape (groups, members).
        scale: What the differences are divided by.
    """
    import torch

    apart = rewards - rewards.mean(dim=1, keepdim=True)
    if scale == "none":
        return apart
    deviation = rewards.std(dim=1, keepdim=True, correction=int(scale == "sample"))
    return torch.where(deviation > 0, apart / (deviation + _LEAST), torch.zeros_like(apart))


def against_others(rewards: torch.Tensor) -> torch.Tensor:
    """Each reward against the mean of the *other* members: G/(G-1) times the usual difference.

    A member's own reward is no part of what it is compared with, so that the baseline does not
    shrink the gradient.
    """
    members = rewards.shape[1]
    return advantages(rewards) * members / (members - 1)


def surrogate(
    ratios: torch.Tensor, gains: torch.Tensor, mask: torch.Tensor, low: float, high: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """The clipped objective, and the part of the tokens at which clipping decided.

    Args:
        ratios: Probability of each token now over what it was when it was drawn, (members, tokens).
        gains: The advantage of each member, shape (members,).
        mask: Which tokens count, shape (members, tokens); a member without any adds nothing.
        low: A ratio may fall this far below 1.
        high: A ratio may rise this far above 1.

    Returns:
        The loss: minus the mean over members of each member's mean over its tokens.
    """
    import torch

    gain = gains[:, None]
    free, held = ratios * gain, ratios.clamp(1 - low, 1 + high) * gain
    terms = torch.minimum(free, held) * mask
    lengths = mask.sum(dim=1).clamp(min=1)
    loss = -(terms.sum(dim=1) / lengths).mean()
    decided = ((held < free) & mask.bool()).sum() / mask.sum().clamp(min=1)
    return loss, decided
