"""How sure a figure is: other respondents drawn, other batteries asked, many comparisons at once.

Three sources of luck are kept apart. Seeds of one training are averaged before anything else, so
that three seeds do not count as three times as many people. Respondents are redrawn for the
interval of a figure about the questions that were asked. Whole batteries change sides where a
figure is to hold for other questions, too, since the items of one battery are answered alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import permutations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from assets.evaluation.distances import Array, total_variation
from assets.opinion_tables import OpinionTable

Metric = Callable[[Array, Array], Array]
NORMAL = 1.959964
"""The 97.5 % point of the standard normal distribution."""


def shares_of(table: Mapping[str, OpinionTable]) -> dict[str, Array]:
    """The shares of every item, which sum to one exactly."""
    return {item: np.array(t.shares) / sum(t.shares) for item, t in table.items()}


def resample(
    tables: Mapping[str, OpinionTable], draws: int, source: np.random.Generator
) -> dict[str, Array]:
    """New respondents for every item, as many as the table's effective number.

    Shape (draws, options) for each item. Items are drawn on their own, since a table of shares does
    not say who answered which two questions alike; `widening` makes up for it. Weights count twice:
    the shares are weighted, and the effective number says how much precision weighting costs.
    """
    shares = shares_of(tables)
    return {
        item: source.multinomial(max(1, round(table.n_effective)), shares[item], draws)
        / max(1, round(table.n_effective))
        for item, table in tables.items()
    }


def score(
    predicted: Sequence[Array], held: Sequence[Array], redrawn: Sequence[Array], metric: Metric
) -> tuple[float, Array]:
    """Mean distance over items, and the same for each redrawn set of respondents."""
    value = float(np.mean([metric(p, h) for p, h in zip(predicted, held, strict=True)]))
    again = np.mean([metric(p[None], r) for p, r in zip(predicted, redrawn, strict=True)], axis=0)
    return value, again


def distances(
    predicted: Sequence[Array], redrawn: Sequence[Array], metric: Metric = total_variation
) -> Array:
    """The mean distance over items of many answerers to many redrawn sets of respondents.

    Args:
        predicted: For each item what every answerer says, shape (answerers, options).
        redrawn: For each item the shares of every draw, shape (draws, options).
        metric: The distance along the last axis.

    Returns:
        Shape (answerers, draws).
    """
    total = np.zeros((len(predicted[0]), len(redrawn[0])))
    for said, drawn in zip(predicted, redrawn, strict=True):
        for place, one in enumerate(said):
            total[place] += metric(one, drawn)
    return total / len(predicted)


def widening(items: int, correlation: float) -> float:
    """How much wider an interval is since the same people answered all items.

    The root of Kish's design effect 1 + (m - 1) rho (Survey Sampling, 1965, section 5.4): a person
    is a cluster of m answers.
    """
    return math.sqrt(1 + (items - 1) * correlation)


def widened(values: Array, again: Array, factor: float) -> Array:
    """Redrawn values as far apart as `factor` says, and around the values themselves.

    Noise adds to every distance, so that redrawn ones lie higher; only their spread is used.

    Args:
        values: Shape (...).
        again: Shape (..., draws).
        factor: From `widening`.
    """
    around: Array = values[..., None] + factor * (again - again.mean(axis=-1, keepdims=True))
    return around


def interval(value: float, again: Array, factor: float) -> tuple[float, float]:
    """A 95 % interval over respondents: the value and the spread of the redrawn values.

    The redrawn values themselves lie higher, since noise adds to every distance; so only their
    spread is used.
    """
    margin = NORMAL * factor * float(np.std(again, ddof=1))
    return value - margin, value + margin


def average_seeds(rows: Array, groups: Sequence[Sequence[int]]) -> Array:
    """The mean over the seeds of each model, of figures or of redrawn figures alike.

    Args:
        rows: One row for each trained model, shape (models, ...).
        groups: For each answerer the rows of its seeds.
    """
    return np.stack([rows[list(group)].mean(axis=0) for group in groups])


class FlipTest(NamedTuple):
    """How often chance alone would give a mean difference as large, by flipped signs."""

    p: float
    """Two-sided."""
    clusters: int
    """How many batteries or persons could change sides."""
    exact: bool
    """Whether every flip was tried; otherwise flips were drawn."""

    @property
    def smallest(self) -> float:
        """No difference, however large, can have a smaller p with so few clusters."""
        return float(2 / 2**self.clusters)


def flip_clusters(
    differences: Array, clusters: Sequence[str], draws: int, source: np.random.Generator
) -> list[FlipTest]:
    """Permutation tests of paired differences: each cluster keeps its sign or changes it whole.

    Under the hypothesis that neither side is better, swapping the two sides of all items of a
    battery (or of all answers of a person) changes nothing. Every flip is tried where there are no
    more than `draws`; otherwise as many are drawn, and (1 + as extreme) / (1 + draws) is given,
    which is never nought (Phipson and Smyth, 2010).

    Args:
        differences: Shape (comparisons, items): one side's distance minus the other's.
        clusters: The battery, or the person, of each item.
        draws: How many flips to draw at most.
        source: Where flips come from.
    """
    names = sorted(set(clusters))
    member = np.array([[one == name for name in names] for one in clusters], dtype=float)
    sums = differences @ member
    exact = 2 ** (len(names) - 1) <= draws
    if exact:
        # The first cluster keeps its sign: the other half are the same flips, mirrored.
        codes = np.arange(2 ** (len(names) - 1))[:, None] >> np.arange(len(names))
        signs = 1.0 - 2.0 * (codes & 1)
    else:
        signs = 1.0 - 2.0 * source.integers(0, 2, (draws, len(names)))
    extreme = np.abs(sums.sum(axis=1)) - 1e-12 * (1 + np.abs(sums).sum(axis=1))
    hits = (np.abs(sums @ signs.T) >= extreme[:, None]).sum(axis=1)
    more = 0 if exact else 1
    found = (hits + more) / (len(signs) + more)
    return [FlipTest(float(p), len(names), exact) for p in found]


def normal_p(value: float, again: Array, factor: float) -> float:
    """The two-sided p of a difference by the spread of its redrawn values; 1 for none at all."""
    spread = factor * float(np.std(again, ddof=1))
    if spread == 0:
        return 1.0 if value == 0 else 0.0
    return math.erfc(abs(value) / spread / math.sqrt(2))


def holm(p: Sequence[float]) -> NDArray[np.float64]:
    """P-values that hold for all comparisons of a family together (Holm, 1979).

    Sorted upwards, the i-th of m is multiplied by m - i + 1, never falls below the one before it
    and never rises above 1.
    """
    given = np.asarray(p, dtype=np.float64)
    order = np.argsort(given, kind="stable")
    stepped = np.maximum.accumulate(given[order] * np.arange(len(given), 0, -1))
    adjusted = np.empty_like(given)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


class LabelTest(NamedTuple):
    """How often another model would seem to be a community's own as clearly, by permuted labels."""

    difference: float
    """The own model's score minus the mean of the others', the mean over items."""
    p: float
    """One-sided: whether the own model scores higher."""
    smallest: float
    """No difference, however large, can have a smaller p with so few models and clusters."""
    exact: bool
    """Whether every labelling was tried; otherwise labellings were drawn."""


def advantage(scores: Array) -> Array:
    """Each model's score minus the mean of all other models' scores, shape (models, ...)."""
    count = len(scores)
    ahead: Array = (scores * count - scores.sum(axis=0)) / (count - 1)
    return ahead


def permute_labels(
    scores: Array, own: int, clusters: Sequence[str], draws: int, source: np.random.Generator
) -> LabelTest:
    """Whether one of several models serves a community better than the others do.

    Under the hypothesis that it does not matter which model is the community's own, the label
    `own` may stand at any of them, anew in each cluster: a battery of items, a norm, a pair. Every
    labelling is tried where there are no more than `draws`; otherwise as many are drawn, and
    (1 + as clear) / (1 + draws) is given.

    Args:
        scores: Shape (models, items); higher is better.
        own: The row of the community's own model.
        clusters: The cluster of each item.
        draws: How many labellings to draw at most.
        source: Where labellings come from.
    """
    names = sorted(set(clusters))
    member = np.array([[one == name for name in names] for one in clusters], dtype=float)
    ahead = advantage(scores) @ member / scores.shape[1]
    models, count = ahead.shape
    exact = count * math.log(models) <= math.log(draws) + 1e-9
    if exact:
        sums = np.zeros(1)
        for column in ahead.T:
            sums = np.add.outer(sums, column).ravel()
    else:
        labels = source.integers(0, models, (draws, count))
        sums = ahead[labels, np.arange(count)].sum(axis=1)
    return _as_clear(float(ahead[own].sum()), sums, float(np.abs(ahead).sum()), exact)


def permute_owners(scores: Array, draws: int, source: np.random.Generator) -> LabelTest:
    """The same for all communities at once: which model is whose is permuted among them.

    Args:
        scores: Shape (communities, communities): the model of the first on the second's material.
        draws: How many permutations to draw at most, where there are more.
        source: Where permutations come from.
    """
    ahead = advantage(scores)
    count = len(ahead)
    exact = math.factorial(count) <= draws
    every = (
        np.array(list(permutations(range(count))))
        if exact
        else source.permuted(np.tile(np.arange(count), (draws, 1)), axis=1)
    )
    sums = ahead[every, np.arange(count)].mean(axis=1)
    value = float(np.trace(ahead)) / count
    return _as_clear(value, sums, float(np.abs(ahead).sum()), exact)


def _as_clear(value: float, sums: Array, size: float, exact: bool) -> LabelTest:
    """How many labellings are as clear as the true one, among all or among those drawn."""
    more = 0 if exact else 1
    hits = int((sums >= value - 1e-12 * (1 + size)).sum())
    total = len(sums) + more
    return LabelTest(value, (hits + more) / total, 1 / total, exact)
