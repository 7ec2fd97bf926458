"""Every figure of every answerer for one community, with what it rests on.

All metrics of all answerers are computed at once for one slice and community; seeds are averaged
first, and only then is anything redrawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from assets.evaluation.answerers import LOWEST_MEAN, NOISE, UNIFORM, Answerer
from assets.evaluation.distances import (
    Array,
    entropy,
    entropy_of_sample,
    jensen_shannon,
    representativeness,
    total_variation,
)
from assets.evaluation.predictors import Item, Slice
from assets.evaluation.probability_calibration import calibration_error, pairs
from assets.evaluation.resampling import average_seeds, distances, interval
from assets.evaluation.welfare import skill
from assets.opinion_tables import OpinionTable

TV, SKILL, JSD = "total variation", "skill", "Jensen-Shannon divergence"
NEARNESS, COVERAGE = "representativeness", "option coverage"
CALIBRATION, ENTROPY, GAP = "calibration error", "entropy", "entropy gap"
METRICS = {TV: True, SKILL: False, JSD: True, NEARNESS: False, CALIBRATION: True,
           ENTROPY: None, GAP: None, COVERAGE: False}  # fmt: skip
"""Each metric, and whether lower is better; None where neither is."""
_BOUNDS = {TV: (0, 1), SKILL: (None, 1), JSD: (0, float(np.log(2))), NEARNESS: (0, 1),
           CALIBRATION: (0, 1), ENTROPY: (0, None), COVERAGE: (0, 1)}  # fmt: skip


@dataclass(frozen=True)
class Panel:
    """One community's held-out people, and other people like them, on one slice."""

    part: Slice
    community: str
    items: Sequence[Item]
    held: Sequence[Array]
    """The shares of each item."""
    redrawn: Sequence[Array]
    """The shares of each item in every draw, shape (draws, options)."""
    tables: Sequence[OpinionTable]
    factor: float
    """How much wider intervals are, since the same people answered all items."""

    @property
    def people(self) -> int:
        """The fewest that answered any item."""
        return min(table.n for table in self.tables)


@dataclass(frozen=True)
class Figure:
    """One metric of all answerers."""

    values: Array
    """Shape (answerers,)."""
    again: Array | None
    """The same for other respondents, shape (answerers, draws); None where no respondent counts."""
    each: Array | None = None
    """The same by item, shape (answerers, items), where the figure is a mean over items."""
    items: int = 0
    """How many items it is over."""


@dataclass(frozen=True)
class Scored:
    """All figures of all answerers on one panel."""

    panel: Panel
    answerers: Sequence[Answerer]
    figures: Mapping[str, Figure]
    item_distances: Array
    """Total variation by item and draw, shape (answerers, items, draws)."""

    def place(self, label: str) -> int:
        """Which row an answerer is."""
        return next(i for i, one in enumerate(self.answerers) if one.label == label)


def measure(panel: Panel, answerers: Sequence[Answerer], ordinal: Sequence[str]) -> Scored:
    """Every metric of every answerer.

    Args:
        panel: Whom to compare with.
        answerers: Who answers, the exact answers among them.
        ordinal: The batteries whose options stand in an order.
    """
    groups: list[range] = []
    for one in answerers:
        start = groups[-1].stop if groups else 0
        groups.append(range(start, start + len(one.predictors)))
    said = [
        np.stack([p(panel.part, item, panel.community) for a in answerers for p in a.predictors])
        for item in panel.items
    ]

    def over_items(metric: Callable[[Array, Array], Array], chosen: Sequence[int]) -> Figure:
        each = np.stack([metric(said[i], panel.held[i]) for i in chosen], axis=1)
        again = distances([said[i] for i in chosen], [panel.redrawn[i] for i in chosen], metric)
        by_item, redrawn = average_seeds(each, groups), average_seeds(again, groups)
        return _noise(answerers, Figure(by_item.mean(axis=1), redrawn, by_item, len(chosen)))

    every = range(len(panel.items))
    by_draw = np.stack(
        [
            average_seeds(np.stack([total_variation(one, drawn) for one in rows]), groups)
            for rows, drawn in zip(said, panel.redrawn, strict=True)
        ],
        axis=1,
    )
    figures = {TV: over_items(total_variation, every), JSD: over_items(jensen_shannon, every)}
    figures |= _skill(figures[TV], answerers)
    if ordered := [i for i in every if panel.items[i].battery in ordinal]:
        figures[NEARNESS] = over_items(representativeness, ordered)
    figures[CALIBRATION] = _noise(answerers, _calibration(panel, said, groups))
    figures |= _entropies(panel, said, groups)
    figures[COVERAGE] = _coverage(panel, answerers)
    ordered_figures = {name: figures[name] for name in METRICS if name in figures}
    return Scored(panel, answerers, ordered_figures, by_draw)


def _noise(answerers: Sequence[Answerer], figure: Figure) -> Figure:
    """The exact answers get what redrawing alone makes of them, not the nought that they have."""
    place = next(i for i, one in enumerate(answerers) if one.label == NOISE)
    if figure.again is None:
        return figure
    values = figure.values.copy()
    values[place] = figure.again[place].mean()
    return replace(figure, values=values)


def _skill(distance: Figure, answerers: Sequence[Answerer]) -> dict[str, Figure]:
    """Skill, unless the community itself answers uniformly."""
    place = next(i for i, one in enumerate(answerers) if one.label == UNIFORM)
    again = distance.again
    if again is None or not distance.values[place] > 0 or not (again[place] > 0).all():
        return {}
    values = skill(distance.values, distance.values[place])
    return {SKILL: Figure(values, skill(again, again[place][None, :]), None, distance.items)}


def _calibration(panel: Panel, said: Sequence[Array], groups: Sequence[range]) -> Figure:
    held, redrawn = pairs(panel.held), pairs(panel.redrawn)
    rows = pairs(said)
    values = np.array([calibration_error(row, held) for row in rows])
    again = np.stack([calibration_error(row, redrawn) for row in rows])
    return Figure(
        average_seeds(values, groups), average_seeds(again, groups), None, len(panel.items)
    )


def _entropies(panel: Panel, said: Sequence[Array], groups: Sequence[range]) -> dict[str, Figure]:
    """The entropy of answers, and by how much it exceeds that of people."""
    each = average_seeds(np.stack([entropy(rows) for rows in said], axis=1), groups)
    own = np.zeros(len(panel.redrawn[0]))
    people = 0.0
    for held, drawn, table in zip(panel.held, panel.redrawn, panel.tables, strict=True):
        people += float(entropy_of_sample(held, table.n_effective)) / len(panel.items)
        own += entropy_of_sample(drawn, table.n_effective) / len(panel.items)
    mean = each.mean(axis=1)
    count = len(panel.items)
    gaps = Figure(mean - people, mean[:, None] - own[None, :], None, count)
    return {ENTROPY: Figure(mean, None, each, count), GAP: gaps}


def _coverage(panel: Panel, answerers: Sequence[Answerer]) -> Figure:
    """What part of a model's probability is on the options at all; tables leave nothing out."""
    each = np.ones((len(answerers), len(panel.items)))
    for place, one in enumerate(answerers):
        if one.models:
            each[place] = [
                np.mean([m.coverage(panel.part, i.id, panel.community) for m in one.models])
                for i in panel.items
            ]
    return Figure(each.mean(axis=1), None, each, len(panel.items))


def rows_of(scored: Scored, alike: Iterable[str]) -> Iterator[dict[str, Any]]:
    """A row for each answerer and metric; the mean over communities has the community "".

    Args:
        scored: The figures of one panel.
        alike: The labels of the models that answer all questions alike.
    """
    panel, constant = scored.panel, set(alike)
    for metric, figure in scored.figures.items():
        uniform = float(figure.values[scored.place(UNIFORM)])
        for place, one in enumerate(scored.answerers):
            if one.label == LOWEST_MEAN and (metric != TV or panel.community):
                continue
            value = float(figure.values[place])
            low, high = _bounds(figure, place, panel.factor)
            smallest, largest = _BOUNDS.get(metric, (None, None))
            yield {
                "slice": panel.part,
                "community": panel.community,
                "predictor": one.label,
                "kind": one.kind,
                "metric": metric,
                "value": value,
                "low": low if low is None or smallest is None else max(smallest, low),
                "high": high if high is None or largest is None else min(largest, high),
                "over": "questions" if figure.again is None else "people",
                "items": figure.items,
                "people": panel.people,
                "seeds": len(one.predictors),
                "uniform": uniform,
                "answers_all_alike": one.label in constant,
            }


def _bounds(figure: Figure, place: int, factor: float) -> tuple[float | None, float | None]:
    if figure.again is not None:
        return interval(float(figure.values[place]), figure.again[place], factor)
    if figure.each is None or figure.items == 1:
        return None, None
    value, spread = float(figure.values[place]), float(np.std(figure.each[place], ddof=1))
    margin = _student(figure.items) * spread / figure.items**0.5
    return value - margin, value + margin


@cache
def _student(n: int) -> float:
    """The 97.5 % point of Student's t for a mean of n."""
    from scipy.stats import t

    return float(t.ppf(0.975, n - 1))


def mean_of(scored: Sequence[Scored]) -> Scored:
    """The plain mean over communities of one slice, whose people were drawn apart."""
    first = scored[0]
    shared = [m for m in first.figures if all(m in one.figures for one in scored)]

    def middle(given: Sequence[Array | None]) -> Array | None:
        found = [one for one in given if one is not None]
        return np.mean(found, axis=0) if found else None

    figures = {}
    for metric in shared:
        each = [one.figures[metric] for one in scored]
        values: Array = np.mean([figure.values for figure in each], axis=0)
        again, by_item = middle([f.again for f in each]), middle([f.each for f in each])
        figures[metric] = Figure(values, again, by_item, each[0].items)
    panel = replace(
        first.panel, community="", tables=[t for one in scored for t in one.panel.tables]
    )
    return Scored(panel, first.answerers, figures, np.zeros((0, 0, 0)))
