"""How well scores of two answers agree with which of them people preferred.

A reward model that agrees with a majority says little about pairs on which people were divided. So
pairs with the least agreement among people stand beside as many pairs drawn at random: a score
falls on a smaller set by chance too, and only the rest of the fall is the disagreement's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assets.evaluation.intervals import wilson

Array = NDArray[np.float64]
Whole = NDArray[np.int64]
FEWEST = 5
"""Pairs in a bin, at least: shares of fewer say nothing."""


def right(differences: Array) -> Array:
    """1 where the preferred answer has the higher score, 0 where the lower, 1/2 for a tie."""
    found: Array = (np.sign(differences) + 1) / 2
    return found


def certainty(differences: Array) -> Array:
    """How sure a Bradley-Terry model is that its favourite is preferred, from 1/2 up."""
    found: Array = 1 / (1 + np.exp(-np.abs(differences)))
    return found


def bins_of(sure: Array, hits: Array, bins: int) -> list[tuple[float, float, int]]:
    """Pairs put by certainty into at most `bins` bins of as equal numbers as may be.

    Returns:
        For each bin its mean certainty, its share of right favourites, and its number of pairs.
    """
    order = np.argsort(sure, kind="stable")
    count = max(1, min(bins, len(sure) // FEWEST))
    return [
        (float(sure[part].mean()), float(hits[part].mean()), len(part))
        for part in np.array_split(order, count)
    ]


def calibration_error(sure: Array, hits: Array, bins: int = 10) -> float:
    """The expected calibration error: how far certainty and being right are apart, bin by bin.

    The mean over pairs of the distance in their bin; Naeini et al. (2015), with bins of equal mass.
    """
    parts = bins_of(sure, hits, bins)
    return sum(n * abs(mean - share) for mean, share, n in parts) / len(sure)


def calibrated_error(sure: Array, bins: int, draws: int, source: np.random.Generator) -> float:
    """The error that a model as sure as this shows on so few pairs although it is calibrated."""
    drawn = source.random((draws, len(sure))) < sure
    return float(np.mean([calibration_error(sure, hits.astype(float), bins) for hits in drawn]))


def interval(values: Array, draws: int, source: np.random.Generator) -> tuple[float, float]:
    """The middle 95 % of the mean over pairs drawn again with replacement."""
    drawn = source.integers(len(values), size=(draws, len(values)))
    low, high = np.percentile(values[drawn].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


def by_length(longer: Array) -> float:
    """What somebody gets right who always takes the longer answer, or always the shorter.

    Whichever is better; `longer` is 1 where the preferred answer is the longer one.
    """
    share = float(longer.mean())
    return max(share, 1 - share)


def disputed(strengths: Sequence[float], share: float) -> Whole:
    """The places of the pairs with the least agreement among people: `share` of them, at least one.

    Of equal ones those that stand first.
    """
    count = max(1, round(share * len(strengths)))
    return np.sort(np.argsort(np.asarray(strengths), kind="stable")[:count])


@dataclass(frozen=True)
class Against:
    """Agreement on disputed pairs, and on as many at random."""

    disputed: float
    disputed_low: float
    disputed_high: float
    random: float
    """The mean over random sets of the same size."""
    difference: float
    low: float
    high: float
    """The 95 % interval of disputed less random, with both drawn again."""
    size: int


def against_random(hits: Array, chosen: Whole, draws: int, source: np.random.Generator) -> Against:
    """Compares agreement on some pairs with that on random sets of all pairs of the same size."""
    inside = hits[chosen]
    size = len(chosen)
    again = inside[source.integers(size, size=(draws, size))].mean(axis=1)
    at_random = np.array([
        hits[source.choice(len(hits), size, replace=False)].mean() for _ in range(draws)
    ])  # fmt: skip
    low, high = wilson(float(inside.mean()), size)
    apart = np.percentile(again - at_random, [2.5, 97.5])
    return Against(
        disputed=float(inside.mean()),
        disputed_low=low,
        disputed_high=high,
        random=float(at_random.mean()),
        difference=float(inside.mean() - at_random.mean()),
        low=float(apart[0]),
        high=float(apart[1]),
        size=size,
    )
