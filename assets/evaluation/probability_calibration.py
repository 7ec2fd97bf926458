"""Whether options that a model gives 30 % are chosen by about 30 % of people.

The expected calibration error with bins of equal mass: the pairs of a probability and a share, one
for each option of each item, are sorted by probability and cut into bins of equally many. It is a
property of a whole questionnaire, not of an item, and it rewards caution: uniform answers to items
with as many options are perfectly calibrated and say nothing. So it stands beside a distance, never
alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from assets.evaluation.distances import Array

BINS = 10


def membership(predicted: Array, bins: int) -> Array:
    """How much of each pair lies in each bin, shape (pairs, bins); every bin holds equally much.

    Equal probabilities share their places, so that no order of the rows changes the figure.
    """
    count = len(predicted)
    bins = min(bins, count)
    edges = np.arange(bins + 1) * count / bins
    _, tied, sizes = np.unique(predicted, return_inverse=True, return_counts=True)
    ends = np.cumsum(sizes)
    starts = ends - sizes
    overlap = np.minimum(ends[:, None], edges[None, 1:]) - np.maximum(
        starts[:, None], edges[None, :-1]
    )
    shared: Array = (np.clip(overlap, 0, None) / sizes[:, None])[tied.ravel()]
    return shared


def calibration_error(predicted: Array, observed: Array, bins: int = BINS) -> Array:
    """The mean over bins of |mean probability - mean share|: between 0 and 1.

    Args:
        predicted: The probability of every option of every item, shape (pairs,).
        observed: The share of people who chose it, shape (..., pairs): one set, or many draws.
        bins: How many bins; as many as there are pairs where they are fewer.
    """
    member = membership(predicted, bins)
    gaps = (predicted - observed) @ member
    error: Array = np.abs(gaps).sum(axis=-1) / len(predicted)
    return error


def pairs(tables: Sequence[Array]) -> Array:
    """The options of all items in one row, shape (..., pairs)."""
    return np.concatenate(list(tables), axis=-1)


def curve(predicted: Array, observed: Array, bins: int = BINS) -> tuple[Array, Array]:
    """The mean probability and the mean share of every bin."""
    member = membership(predicted, bins)
    mass = member.sum(axis=0)
    return predicted @ member / mass, observed @ member / mass
