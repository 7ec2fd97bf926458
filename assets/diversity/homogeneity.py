"""How alike answers are: within one model, between models, and by chance.

The measures of the "Artificial Hivemind" study (Jiang et al., 2025, sections 4 and 5), over unit
vectors, so that an inner product is a cosine. Sums of vectors replace matrices of pairs: the mean
over all pairs of n vectors is (|sum|^2 - sum of |x|^2) / (n (n - 1)).

A cosine means something only beside the encoder's own floor: the mean over pairs of answers to
different prompts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Whole = NDArray[np.int64]

REPETITIVE = 0.8
"""A mean cosine above this counts as repetition in the study's headline."""
BIN = 0.1
_TIE = 1e-6
"""Cosines nearer than this are equal: an encoder's float32 does not say which is larger."""
_BLOCK = 1024


def pair_mean(vectors: NDArray[Any]) -> float:
    """The mean cosine over all pairs of different rows; NaN for fewer than two rows."""
    found = cross_means(vectors, np.zeros(len(vectors), dtype=np.int64), 1)
    return float(found[0, 0])


def cross_means(
    vectors: NDArray[Any], groups: Whole, count: int, *, self_pairs: bool = False
) -> Array:
    """The mean cosine between every two of `count` groups, shape (count, count).

    On the diagonal pairs of a row with itself are left out, unless `self_pairs`: the published
    comparison keeps them, which turns a mean of s into s + (1 - s) / n. A group without rows, or
    without a pair, gives NaN.
    """
    exact = vectors.astype(np.float64)
    sums = np.zeros((count, exact.shape[1]))
    np.add.at(sums, groups, exact)
    sizes = np.bincount(groups, minlength=count).astype(np.float64)
    products = sums @ sums.T
    pairs = np.outer(sizes, sizes)
    if not self_pairs:
        squares = np.bincount(groups, weights=(exact**2).sum(axis=1), minlength=count)
        products[np.diag_indices(count)] -= squares
        pairs[np.diag_indices(count)] -= sizes
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Array = np.where(pairs > 0, products / pairs, np.nan)
    return found


def bin_shares(values: Array) -> dict[float, float]:
    """The share of values in each bin of 0.1 between -1 and 1, by its lower edge."""
    known = values[~np.isnan(values)]
    lowest, highest = round(-1 / BIN), round(1 / BIN) - 1
    places = np.clip(np.floor(known / BIN + _TIE), lowest, highest).astype(int)
    shares = np.bincount(places - lowest, minlength=highest - lowest + 1) / max(1, len(known))
    return {round((lowest + i) * BIN, 1): float(share) for i, share in enumerate(shares)}


def share_above(values: Array, threshold: float = REPETITIVE) -> float:
    """The share of values above a threshold; NaN where there are none."""
    known = values[~np.isnan(values)]
    return float((known > threshold).mean()) if len(known) else float("nan")


def mixing(vectors: NDArray[Any], sources: Whole, neighbours: int) -> Array:
    """For each row, how many sources its nearest rows come from.

    The row itself is no neighbour. Where cosines tie at the last place, which neighbours count is
    chance, and the number is its expectation; so equal rows say nothing about the order in which
    they were given. `neighbours` is cut to the rows there are.
    """
    count = int(sources.max()) + 1 if len(sources) else 0
    wanted = min(neighbours, len(vectors) - 1)
    member = np.eye(count)[sources] if count else np.zeros((0, 0))
    found = np.zeros(len(vectors))
    for start in range(0, len(vectors), _BLOCK) if wanted > 0 else ():
        stop = min(start + _BLOCK, len(vectors))
        cosines = vectors[start:stop].astype(np.float32) @ vectors.astype(np.float32).T
        cosines[np.arange(stop - start), np.arange(start, stop)] = -np.inf
        last = -np.partition(-cosines, wanted - 1, axis=1)[:, wanted - 1, None]
        above = cosines > last + _TIE
        tied = (cosines >= last - _TIE) & ~above
        left = wanted - above.sum(axis=1)
        seen, could = above @ member, tied @ member
        missed = _none_of(could, tied.sum(axis=1)[:, None], left[:, None])
        found[start:stop] = np.where(seen > 0, 1.0, 1 - missed).sum(axis=1)
    return found


def exchangeable_mixing(sizes: Sequence[int], neighbours: int) -> float:
    """The mean of `mixing` where sources cannot be told apart: the most that can be expected."""
    counts = np.asarray(sizes, dtype=np.float64)
    total = counts.sum() - 1
    if total < 1:
        return 0.0
    drawn = np.asarray(min(neighbours, int(total)))
    others = counts[None, :] - np.eye(len(counts))
    found = (1 - _none_of(others, np.asarray(total), drawn)).sum(axis=1)
    return float((found * counts).sum() / counts.sum())


def _none_of(marked: Array, total: Array, drawn: Array) -> Array:
    """The chance that `drawn` of `total` without return hold none of the `marked`."""
    rest = total - marked
    possible = rest >= drawn
    safe = np.where(possible, rest, total + 0 * marked)
    log_chance = _log_choose(safe, drawn) - _log_choose(total + 0 * marked, drawn)
    return np.where(possible, np.exp(log_chance), 0.0)


def _log_choose(total: Array, drawn: Array) -> Array:
    from scipy.special import gammaln  # 0.1 s to import

    found: Array = gammaln(total + 1) - gammaln(drawn + 1) - gammaln(total - drawn + 1)
    return found


@dataclass(frozen=True)
class Floor:
    """What two answers to different prompts have in common, in sums over prompts."""

    products: Array
    """The inner product of the summed vectors of every two prompts, one side by the other."""
    sizes: Array
    """Answers to each prompt on the one side."""
    others: Array
    """Answers to each prompt on the other side."""

    def mean(self, weights: Array | None = None) -> float:
        """The mean cosine between answers to different prompts; NaN for a single prompt.

        `weights` says how often each prompt was drawn. A prompt drawn twice is no other prompt.
        """
        drawn = np.ones(len(self.sizes)) if weights is None else weights
        one, other = drawn * self.sizes, drawn * self.others
        pairs = one.sum() * other.sum() - (one * other).sum()
        total = drawn @ self.products @ drawn - (drawn**2 * np.diag(self.products)).sum()
        return float(total / pairs) if pairs > 0 else float("nan")


def random_pairs(
    vectors: NDArray[Any], prompts: Whole, count: int, chosen: Whole, others: Whole
) -> Floor:
    """The encoder's floor between the answers at two sets of places, which may be the same set.

    Exact over all pairs of answers to different prompts, so nothing is drawn.
    """
    sides = [np.zeros((count, vectors.shape[1])) for _ in range(2)]
    for side, places in zip(sides, (chosen, others), strict=True):
        np.add.at(side, prompts[places], vectors[places].astype(np.float64))
    sizes = [
        np.bincount(prompts[places], minlength=count).astype(np.float64)
        for places in (chosen, others)
    ]
    return Floor(sides[0] @ sides[1].T, sizes[0], sizes[1])


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float


def over_prompts(
    prompts: int,
    figure: Callable[[Array], float],
    draws: int,
    source: np.random.Generator,
) -> Estimate:
    """A figure with its percentile interval over prompts drawn anew with return.

    `figure` takes how often each prompt counts. Draws in which it is NaN are passed over.
    """
    weights = source.multinomial(prompts, np.full(prompts, 1 / prompts), draws).astype(np.float64)
    again = np.array([figure(one) for one in weights])
    again = again[~np.isnan(again)]
    value = figure(np.ones(prompts))
    if not len(again):
        return Estimate(value, float("nan"), float("nan"))
    low, high = np.percentile(again, [2.5, 97.5])
    return Estimate(value, float(low), float(high))


def weighted_mean(values: Array) -> Callable[[Array], float]:
    """The mean of what prompts give, as a figure for `over_prompts`; NaN is passed over."""
    known = ~np.isnan(values)
    clean = np.where(known, values, 0.0)

    def figure(weights: Array) -> float:
        total = float(weights[known].sum())
        return float(weights @ clean) / total if total else float("nan")

    return figure


def expected_distinct(answers: int, draws: int) -> float:
    """How many of `answers` equally likely answers `draws` draws show: k (1 - (1 - 1/k)^n)."""
    return answers * (1 - (1 - 1 / answers) ** draws)
