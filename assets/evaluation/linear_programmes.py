"""The best that one answer for all could do for the worst served, and weights that serve it best.

Both are exact: total variation is piecewise linear, so that the smallest worst case is the solution
of a linear programme.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from assets.evaluation.distances import Array, total_variation
from registry.errors import MethodError

_TIE = 1e-6
"""Among equally good solutions the one with the lowest mean is taken."""


def lowest_worst(tables: Mapping[str, Sequence[Array]]) -> list[Array]:
    """One answer for each item, the same for all, whose worst-served community is served best.

    The linear programme min t subject to mean_i TV(p_i, q_ci) <= t for every community c. It runs
    over all items together: an item may favour one community if another makes up for it.

    Args:
        tables: For each community its shares of each item, items in one order.

    Returns:
        A distribution for each item.
    """
    sizes = [len(shares) for shares in next(iter(tables.values()))]
    total = sum(sizes)
    stacked = np.stack([np.concatenate(list(shares)) for shares in tables.values()])
    sums = np.zeros((len(sizes), total))
    starts = np.cumsum([0, *sizes])
    for row, (start, end) in enumerate(pairwise(starts)):
        sums[row, start:end] = 1
    solved = _solve(np.eye(total), stacked, np.full(len(tables), 0.5 / len(sizes)), sums)
    parts = np.split(np.clip(solved, 0, None), starts[1:-1])
    return [part / part.sum() for part in parts]


def max_min_weights(tables: Mapping[str, Sequence[Array]]) -> dict[str, float]:
    """Weights of a pooled table with which the community that loses most loses least.

    The pooled table is the weighted mean of the communities' tables; the weights maximise the
    lowest skill, 1 - TV(pooled) / TV(uniform), by linear programme over the weights.

    Args:
        tables: For each community its shares of each item, items in one order.
    """
    stacked = np.stack([np.concatenate(list(shares)) for shares in tables.values()])
    flat = uniform_distances(tables)
    if zero := [name for name, distance in flat.items() if distance == 0]:
        raise MethodError(
            f"{zero[0]} answers every item uniformly, so that no skill can be told",
            mend="leave the community out, or score it on other items",
        )
    items = len(next(iter(tables.values())))
    scale = np.array([0.5 / items / distance for distance in flat.values()])
    solved = _solve(stacked.T, stacked, scale, np.ones((1, len(tables))))
    weights = np.clip(solved, 0, None)
    return dict(zip(tables, (weights / weights.sum()).tolist(), strict=True))


def uniform_distances(tables: Mapping[str, Sequence[Array]]) -> dict[str, float]:
    """The mean total variation of each community's answers to uniform ones."""
    return {
        name: float(np.mean([total_variation(np.full(len(q), 1 / len(q)), q) for q in shares]))
        for name, shares in tables.items()
    }


def _solve(mixing: Array, targets: Array, scale: Array, sums: Array) -> Array:
    """Min over x >= 0 of max_c scale_c |mixing x - target_c|_1, with `sums` x = 1.

    Args:
        mixing: Shape (cells, unknowns).
        targets: Shape (communities, cells).
        scale: Shape (communities,).
        sums: Which unknowns sum to one, shape (constraints, unknowns).
    """
    from scipy.optimize import linprog
    from scipy.sparse import block_diag, coo_matrix, eye, hstack, vstack

    communities, cells = targets.shape
    unknowns = mixing.shape[1]
    slacks = communities * cells
    tiled: Any = vstack([coo_matrix(mixing)] * communities)
    none: Any = coo_matrix((slacks, 1))
    above = hstack([tiled, -eye(slacks), none])
    below = hstack([-tiled, -eye(slacks), none])
    worst = hstack(
        [
            coo_matrix((communities, unknowns)),
            block_diag([np.full((1, cells), one) for one in scale]),
            coo_matrix(-np.ones((communities, 1))),
        ]
    )
    bounds = np.concatenate([targets.ravel(), -targets.ravel(), np.zeros(communities)])
    cost = np.concatenate([np.zeros(unknowns), _TIE * np.repeat(scale, cells), [1.0]])
    equal = hstack([coo_matrix(sums), coo_matrix((len(sums), slacks + 1))])
    programme: Any = linprog  # its types know no sparse matrices
    solved = programme(
        cost,
        A_ub=vstack([above, below, worst]).tocsr(),
        b_ub=bounds,
        A_eq=equal.tocsr(),
        b_eq=np.ones(len(sums)),
        method="highs",
    )
    if solved.x is None:
        raise MethodError(
            "the best answer for all could not be found",
            why=str(solved.message),
            mend="look for shares that are no numbers in the opinion tables",
        )
    found: Array = np.asarray(solved.x)[:unknowns]
    return found
