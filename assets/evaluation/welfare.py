"""A jury of communities: how well one answerer serves all of them, and who loses.

Every figure is on skill, 1 - TV(model) / TV(uniform): the part of the way from uniform answers to a
community's own that a model goes. Raw distances cannot be compared between communities, since one
whose people nearly agree is far from every careless answer; skill can. 1 is exact, 0 no better than
uniform, and below 0 worse.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from assets.evaluation.distances import Array

Whole = NDArray[np.int64]
_TIE = 1e-12


def skill(distance: Array, uniform: Array) -> Array:
    """1 - distance / uniform; NaN where a community's own answers are uniform.

    Both are means over items, so the quotient is of means: a mean of quotients would be ruled by
    the items on which people are nearly uniform.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Array = np.where(uniform > 0, 1 - distance / uniform, np.nan)
    return found


def veto_share(distance: Array, uniform: Array) -> Array:
    """The share of items on which a community would do better with uniform answers.

    Args:
        distance: A model's distance on each item, shape (..., items).
        uniform: That of uniform answers.
    """
    share: Array = (distance > uniform + _TIE).mean(axis=-1)
    return share


def elect(distance: Array, weights: Array) -> Array:
    """The candidate whom communities elect by Black's rule (Duncan Black, 1958).

    Each community ranks candidates by how near they are to it. The candidate who beats every other
    by weighted majority is elected; where there is none, the one with the highest Borda count.
    Whoever shares first place shares the election.

    Args:
        distance: Shape (communities, candidates, ...).
        weights: How many votes each community has, shape (communities,).

    Returns:
        What part of the election falls to each candidate, shape (candidates, ...).
    """
    votes = weights / weights.sum()
    mine, theirs = distance[:, :, None], distance[:, None, :]
    ahead = (mine < theirs - _TIE) + 0.5 * (np.abs(mine - theirs) <= _TIE)
    support = np.tensordot(votes, ahead, axes=1)
    others = ~np.eye(distance.shape[1], dtype=bool)
    others = others.reshape(*others.shape, *([1] * (distance.ndim - 2)))
    winners = np.where(others, support > 0.5 + _TIE, True).all(axis=1)
    borda = np.where(others, support, 0.0).sum(axis=1)
    first = borda >= borda.max(axis=0, keepdims=True) - 1e-9
    chosen = np.where(winners.any(axis=0, keepdims=True), winners, first)
    elected: Array = chosen / chosen.sum(axis=0, keepdims=True)
    return elected


def mixture(tables: Sequence[Sequence[Array]], weights: Sequence[float]) -> list[Array]:
    """The weighted mean of the communities' tables, item by item.

    Args:
        tables: For each community its shares of each item.
        weights: One for each community; only their ratios count.
    """
    parts = np.asarray(weights, dtype=np.float64)
    parts = parts / parts.sum()
    return [parts @ np.stack(item) for item in zip(*tables, strict=True)]
