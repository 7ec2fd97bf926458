"""Distances between answer distributions, their entropy, and the best that one for all can do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def total_variation(p: Array, q: Array) -> Array:
    """Total variation distance along the last axis: half the sum of absolute differences."""
    apart = np.abs(p - q)
    result: Array = apart @ np.full(apart.shape[-1], 0.5)  # twice as fast as a sum of few columns
    return result


def _relative_entropy(p: Array, q: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(p > 0, p * np.log(p / q), 0.0)
    result: Array = terms.sum(axis=-1)
    return result


def jensen_shannon(p: Array, q: Array) -> Array:
    """Jensen-Shannon divergence in nats along the last axis (not its root; at most ln 2)."""
    middle = 0.5 * (p + q)
    divergence = 0.5 * _relative_entropy(p, middle) + 0.5 * _relative_entropy(q, middle)
    # Rounding can bring that of equal ones below 0.
    result: Array = np.maximum(divergence, 0.0)
    return result


def representativeness(p: Array, q: Array) -> Array:
    """1 - WD / WD_max for options in order, along the last axis (Santurkar et al., 2023).

    WD is the 1-Wasserstein distance with neighbouring options one step apart: the sum of the
    absolute differences of the cumulative shares. WD_max, from one end to the other, is options
    minus 1. 1 where both are equal, 0 where they stand at opposite ends.
    """
    moved = np.abs(np.cumsum(p - q, axis=-1)[..., :-1]).sum(axis=-1)
    result: Array = 1 - moved / (np.asarray(p).shape[-1] - 1)
    return result


def entropy(p: Array) -> Array:
    """Shannon entropy in nats along the last axis: 0 for one sure answer, ln K for K alike."""
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(p > 0, -p * np.log(p), 0.0)
    result: Array = terms.sum(axis=-1)
    return result


def entropy_of_sample(p: Array, n: float) -> Array:
    """The entropy of shares among n respondents, made up for what few of them leave out.

    Observed shares are more uneven than the truth: entropy is too low by about (K - 1) / 2n, with K
    the options that somebody chose (Miller, 1955). At most ln of all options.
    """
    chosen = (np.asarray(p) > 0).sum(axis=-1)
    result: Array = np.minimum(entropy(p) + (chosen - 1) / (2 * n), np.log(np.asarray(p).shape[-1]))
    return result


def best_single_predictor(tables: Sequence[Array]) -> Array:
    """The one distribution with the lowest mean total variation to several.

    The linear programme min mean_c sum_k t_ck / 2 subject to t_ck >= |p_ck - q_k|, sum q = 1.

    Args:
        tables: One distribution for each group, each of shape (options,).
    """
    from scipy.optimize import linprog

    groups, options = len(tables), len(tables[0])
    targets = np.stack(tables)
    cost = np.concatenate([np.zeros(options), np.full(groups * options, 0.5 / groups)])
    identity = np.tile(np.eye(options), (groups, 1))
    slack = -np.eye(groups * options)
    upper = np.block([[identity, slack], [-identity, slack]])
    bounds = np.concatenate([targets.ravel(), -targets.ravel()])
    equal = np.concatenate([np.ones(options), np.zeros(groups * options)])[None, :]
    solved = linprog(cost, A_ub=upper, b_ub=bounds, A_eq=equal, b_eq=[1.0], method="highs")
    single: Array = np.clip(np.asarray(solved.x)[:options], 0, None)
    single /= single.sum()
    return single
