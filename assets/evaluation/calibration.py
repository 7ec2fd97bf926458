"""Whether a judge agrees with people less where people disagree with each other.

Spearman's rank correlation between a scorer and the mean rating falls on items on which raters
disagree, even for a scorer without any taste of its own: their means lie nearer together, and are
less certain. So the items with the most disagreement are compared with items of the *same mean
ratings* on which raters agree, one by one, and both correlations are divided by the most that any
scorer could reach, from splitting the raters in halves. Only a difference that is left after both
is the scorer's.

After Jiang et al. (2025), section 6, whose subsets are trimmed by quality or by disagreement
alone; the matching and the ceiling are ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.stats import rankdata

from registry.errors import MethodError

Array = NDArray[np.float64]
Whole = NDArray[np.int64]
FEWEST_PAIRS = 10
"""Fewer pairs of items say nothing."""


def entropy(labels: Sequence[float]) -> float:
    """The Shannon entropy of ratings in bits: 0 where all are equal, log2 k for k alike."""
    _, counts = np.unique(np.asarray(labels), return_counts=True)
    shares = counts / counts.sum()
    return float(-(shares * np.log2(shares)).sum()) + 0.0


def spearman(one: Array, other: Array) -> Array:
    """Spearman's correlation along the last axis; ties share ranks; NaN where one side is flat."""
    ranks = [rankdata(side, axis=-1) for side in (one, other)]
    ranks = [side - side.mean(axis=-1, keepdims=True) for side in ranks]
    norms = np.sqrt((ranks[0] ** 2).sum(axis=-1) * (ranks[1] ** 2).sum(axis=-1))
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Array = np.where(norms > 0, (ranks[0] * ranks[1]).sum(axis=-1) / norms, np.nan)
    return found


@dataclass(frozen=True)
class Rated:
    """Items with their ratings, in one order."""

    items: tuple[str, ...]
    means: Array
    entropies: Array
    halves: tuple[Array, Array]
    """Mean ratings of one half of the raters and of the other, shape (splits, items)."""


def rate(ratings: Mapping[str, Sequence[float]], splits: int, source: np.random.Generator) -> Rated:
    """Means, entropies and split halves of every item, its raters split anew each time."""
    items = tuple(sorted(ratings))
    values = [np.asarray(ratings[item], dtype=np.float64) for item in items]
    first, second = np.empty((splits, len(items))), np.empty((splits, len(items)))
    for place, given in enumerate(values):
        order = np.argsort(source.random((splits, len(given))), axis=1)
        middle = len(given) // 2
        first[:, place] = given[order[:, :middle]].mean(axis=1)
        second[:, place] = given[order[:, middle:]].mean(axis=1)
    means = np.array([given.mean() for given in values])
    return Rated(items, means, np.array([entropy(v.tolist()) for v in values]), (first, second))


def ceiling(rated: Rated, chosen: Whole) -> float:
    """The most that a perfect scorer could correlate with the mean rating of these items.

    The root of the reliability r' = 2 r / (1 + r), with r the mean correlation between halves of
    the raters (Spearman and Brown, 1910). NaN where the halves do not agree at all.
    """
    first, second = (half[:, chosen] for half in rated.halves)
    agreement = float(spearman(first, second).mean())
    return float(np.sqrt(2 * agreement / (1 + agreement))) if agreement > 0 else float("nan")


@dataclass(frozen=True)
class Subsets:
    """The items with most disagreement, and their partners with little, place by place."""

    disputed: Whole
    matched: Whole


def match(rated: Rated, share: float, caliper: float) -> Subsets:
    """Pairs each of the most disputed items with one of the others that has the same mean rating.

    `share` of the items count as disputed. The pairing has the least total difference of means;
    pairs that differ by more than `caliper` standard deviations of all means are dropped from both
    sides. Raises MethodError where too few are left.
    """
    count = round(share * len(rated.items))
    order = np.lexsort((np.arange(len(rated.items)), -rated.entropies))
    disputed, rest = np.sort(order[:count]), np.sort(order[count:])
    distance = np.abs(rated.means[disputed][:, None] - rated.means[rest][None, :])
    near = distance <= caliper * float(rated.means.std())
    rows, columns = linear_sum_assignment(np.where(near, distance, 1e6))
    good = near[rows, columns]
    if int(good.sum()) < FEWEST_PAIRS:
        raise MethodError(
            f"only {int(good.sum())} disputed items have a partner with the same mean rating",
            why=f"fewer than {FEWEST_PAIRS} pairs say nothing",
            mend="give more items, or a larger `share` or `caliper`",
        )
    return Subsets(disputed[rows[good]], rest[columns[good]])


@dataclass(frozen=True)
class Calibration:
    """How well a scorer agrees with people, on disputed items and on their partners."""

    everything: float
    """Correlation with mean ratings on all items."""
    disputed: float
    matched: float
    disputed_ceiling: float
    matched_ceiling: float
    difference: float
    """Disputed less matched, each divided by its ceiling."""
    low: float
    high: float
    """Its 95 % interval over pairs of items."""

    @property
    def falls(self) -> bool:
        """Whether the scorer agrees less with people where people disagree."""
        return self.high < 0


def calibrate(
    rated: Rated, scores: Array, subsets: Subsets, draws: int, source: np.random.Generator
) -> Calibration:
    """Compares a scorer's agreement with people on both subsets."""
    disputed, matched = subsets.disputed, subsets.matched
    ceilings = ceiling(rated, disputed), ceiling(rated, matched)
    plain = [float(spearman(scores[c], rated.means[c])) for c in (disputed, matched)]
    drawn = source.integers(len(disputed), size=(draws, len(disputed)))
    again = np.array([
        _corrected(rated, scores, disputed[places]) - _corrected(rated, scores, matched[places])
        for places in drawn
    ])  # fmt: skip
    again = again[~np.isnan(again)]
    difference = plain[0] / ceilings[0] - plain[1] / ceilings[1]
    low, high = np.percentile(again, [2.5, 97.5]) if len(again) else (np.nan, np.nan)
    return Calibration(
        everything=float(spearman(scores, rated.means)),
        disputed=plain[0],
        matched=plain[1],
        disputed_ceiling=ceilings[0],
        matched_ceiling=ceilings[1],
        difference=difference,
        low=float(low),
        high=float(high),
    )


def _corrected(rated: Rated, scores: Array, chosen: Whole) -> float:
    return float(spearman(scores[chosen], rated.means[chosen])) / ceiling(rated, chosen)
