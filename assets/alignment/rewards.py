"""Rewards for GRPO: credit for each member of a group, never one score for the whole group.

GRPO subtracts the group's mean, so a score that all members share teaches nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

OUTSIDE = -1
"""The place of an answer that is none of the options."""


def smoothed(shares: Sequence[float], n: int) -> list[float]:
    """Shares of `n` people as (count + 1/2) / (n + K/2), so that none of the K is zero."""
    options = len(shares)
    return [(share * n + 0.5) / (n + options / 2) for share in shares]


def floor(targets: Sequence[Sequence[float]], margin: float) -> float:
    """What an answer outside the options gets: `margin` below the lowest that any option can get.

    An option never gets less than the log of its target, since a probability is at most 1. Zero
    would pay for leaving the options, where all of their rewards are negative.
    """
    return min(math.log(share) for shares in targets for share in shares) - margin


def match(targets: Sequence[float], answer: int, log_probability: float, outside: float) -> float:
    """How much rarer the policy gives an answer than people did: log p(a) - log q(a).

    Its policy gradient is that of minus the Kullback-Leibler divergence of the policy's option
    probabilities q from the target p. It must not be divided by the group's standard deviation.

    Args:
        targets: The target p of each option, none zero.
        answer: The place of the option that was given, or `OUTSIDE`.
        log_probability: The log of the policy's own probability q of it, among the options.
        outside: What an answer outside the options gets.
    """
    return outside if answer == OUTSIDE else math.log(targets[answer]) - log_probability


def format_kept(answer: int) -> float:
    """1 for an answer that is one of the options, 0 for any other."""
    return float(answer != OUTSIDE)
