"""Shares of stances in free answers against option probabilities, and both against people.

Of N answers to a question only those with a stance make shares; how many have none is a figure of
its own, and the distance with `no stance` counted as an answer of its own stands beside. Few
answers are far from anything by chance, so the same-n noise null stands beside every distance: what
as many answers drawn exactly from the other side would show.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from assets.evaluation.distances import Array, total_variation
from assets.evaluation.resampling import NORMAL, resample, shares_of, widening
from assets.opinion_tables import OpinionTable
from registry.results import Result

WORDS_OPTIONS = "free answers to option probabilities"
WORDS_PEOPLE = "free answers to people"
OPTIONS_PEOPLE = "option probabilities to people"
CARRIED = "free answers minus option probabilities, to people"
SILENT, TORN = "answers with no stance", "answers for several options alike"
NULL, UNIFORM, SILENT_COUNTED = (
    "as many answers drawn from the other side (same-n noise)",
    "uniform answers",
    "with no stance counted as an answer of its own",
)
MEANING: Mapping[str, str] = {
    WORDS_OPTIONS: "TV of the shares in free answers to the option probabilities",
    WORDS_PEOPLE: "TV of the shares in free answers to people held out",
    OPTIONS_PEOPLE: "TV of the option probabilities to people held out, on the same items",
    CARRIED: "above 0, what the model says in words is farther from its people than its options",
    SILENT: "share of all answers",
    TORN: "share of all answers",
}


@dataclass(frozen=True)
class Told:
    """What one model answered to one question."""

    item: str
    held_out: bool
    counts: Array
    """How many answers spoke for each option."""
    silent: int
    torn: int
    options: Array
    """The model's option probabilities in the same wording."""

    @property
    def stances(self) -> int:
        """How many answers had a stance."""
        return round(float(self.counts.sum()))

    @property
    def answers(self) -> int:
        """How many answers there were."""
        return self.stances + self.silent + self.torn

    @property
    def shares(self) -> Array:
        """The share of each option among answers with a stance."""
        found: Array = self.counts / self.counts.sum()
        return found


@dataclass(frozen=True)
class Figure:
    """One figure of one model, on one community's people or on its own answers alone."""

    model: str
    community: str
    slice: str
    figure: str
    value: float
    low: float
    high: float
    items: int
    answers: int
    """How many answers it is over: with a stance, or all."""
    people: int | None
    null: float | None = None
    """The mean of the same-n noise null."""
    p: float | None = None
    """How often that noise alone is as large."""
    uniform: float | None = None
    silent_counted: float | None = None
    """The same distance with `no stance` as an answer of its own, over all items."""


def silent_counted(told: Told, other: Array) -> float:
    """TV of all answers to the other side, where answers without a stance are an option more."""
    whole = np.append(told.counts, told.silent + told.torn) / told.answers
    return float(total_variation(whole, np.append(other, 0.0)))


@dataclass(frozen=True)
class _Drawn:
    """A figure over items: its value, and the same where answers or people are drawn anew."""

    value: float
    answers: Array
    people: Array

    def ends(self, factor: float) -> tuple[float, float]:
        """A 95 % interval. Answers are drawn each by itself; people answered all items."""
        spread = float(np.sqrt(self.answers.var(ddof=1) + factor**2 * self.people.var(ddof=1)))
        return self.value - NORMAL * spread, self.value + NORMAL * spread


def figures_of(
    model: str,
    community: str,
    part: str,
    told: Sequence[Told],
    held: Mapping[str, OpinionTable],
    settings: Settings,
) -> list[Figure]:
    """All figures of one model on one slice, beside one community's people.

    Items with fewer stances than `settings.fewest` are counted in the shares without a stance, and
    in nothing else.
    """
    source = np.random.default_rng(settings.seed)
    found = _mute(model, community, part, told)
    spoken = [one for one in told if one.stances >= settings.fewest and one.item in held]
    if not spoken:
        return found
    tables = {one.item: held[one.item] for one in spoken}
    goals = shares_of(tables)
    redrawn = resample(tables, settings.draws, source)
    factor = widening(len(spoken), settings.correlation)
    said = [source.multinomial(o.stances, o.shares, settings.draws) / o.stances for o in spoken]
    nothing = np.zeros(settings.draws)
    common: dict[str, Any] = {
        "model": model, "community": community, "slice": part, "items": len(spoken),
        "answers": sum(one.stances for one in spoken),
        "people": min(table.n for table in tables.values()),
    }  # fmt: skip
    to_options = _Drawn(
        _mean([total_variation(o.shares, o.options) for o in spoken]),
        _mean_rows([total_variation(s, o.options) for s, o in zip(said, spoken, strict=True)]),
        nothing,
    )
    to_people = _Drawn(
        _mean([total_variation(o.shares, goals[o.item]) for o in spoken]),
        _mean_rows([total_variation(s, goals[o.item]) for s, o in zip(said, spoken, strict=True)]),
        _mean_rows([total_variation(o.shares[None], redrawn[o.item]) for o in spoken]),
    )
    options = _Drawn(
        _mean([total_variation(o.options, goals[o.item]) for o in spoken]),
        nothing,
        _mean_rows([total_variation(o.options[None], redrawn[o.item]) for o in spoken]),
    )
    carried = _Drawn(
        to_people.value - options.value,
        to_people.answers,
        to_people.people - options.people,
    )
    flat = [np.full(len(o.options), 1 / len(o.options)) for o in spoken]
    far = _mean([total_variation(f, goals[o.item]) for f, o in zip(flat, spoken, strict=True)])
    own_far = _mean([total_variation(f, o.options) for f, o in zip(flat, spoken, strict=True)])
    nulls = {
        WORDS_OPTIONS: _null([(o.stances, o.options) for o in spoken], settings, source),
        WORDS_PEOPLE: _null([(o.stances, goals[o.item]) for o in spoken], settings, source),
    }
    known = [one for one in told if one.item in held]
    every = shares_of({one.item: held[one.item] for one in known})
    counted = {
        WORDS_OPTIONS: _mean([silent_counted(o, o.options) for o in known]),
        WORDS_PEOPLE: _mean([silent_counted(o, every[o.item]) for o in known]),
    }
    for name, one, uniform in (
        (WORDS_OPTIONS, to_options, own_far),
        (WORDS_PEOPLE, to_people, far),
        (OPTIONS_PEOPLE, options, far),
        (CARRIED, carried, None),
    ):
        low, high = one.ends(factor)
        null = nulls.get(name)
        found.append(
            Figure(
                **common,
                figure=name,
                value=one.value,
                low=low if name == CARRIED else max(0.0, low),
                high=high,
                null=None if null is None else float(null.mean()),
                p=None if null is None else _as_far(one.value, null),
                uniform=uniform,
                silent_counted=counted.get(name),
            )
        )
    return found


@dataclass(frozen=True)
class Settings:
    """How sure figures are made."""

    draws: int
    correlation: float
    fewest: int
    seed: int


def _mean(values: Sequence[Any]) -> float:
    return float(np.mean(values))


def _mean_rows(values: Sequence[Array]) -> Array:
    found: Array = np.mean(values, axis=0)
    return found


def _null(
    drawn: Sequence[tuple[int, Array]], settings: Settings, source: np.random.Generator
) -> Array:
    """The mean distance of as many answers drawn from a distribution to that distribution."""
    rows = [
        total_variation(source.multinomial(n, p / p.sum(), settings.draws) / n, p) for n, p in drawn
    ]
    return _mean_rows(rows)


def _as_far(value: float, null: Array) -> float:
    """One-sided; never nought (Phipson and Smyth, 2010)."""
    return float((1 + (null >= value - 1e-12).sum()) / (1 + len(null)))


def _mute(model: str, community: str, part: str, told: Sequence[Told]) -> list[Figure]:
    """The shares of answers that speak for no option, or for several alike, over all items.

    A mean over items, with an interval by Student's t, since the answers to one question go
    together.
    """
    from assets.evaluation.intervals import mean

    found = []
    for name, counts in ((SILENT, [o.silent for o in told]), (TORN, [o.torn for o in told])):
        values = [count / one.answers for count, one in zip(counts, told, strict=True)]
        value, low, high = mean(values)
        if len(values) == 1:
            low, high = 0.0, 1.0
        found.append(
            Figure(
                model=model,
                community=community,
                slice=part,
                figure=name,
                value=value,
                low=max(0.0, low),
                high=min(1.0, high),
                items=len(told),
                answers=sum(one.answers for one in told),
                people=None,
            )
        )
    return found


def results_of(figures: Sequence[Figure]) -> Iterator[Result]:
    """The same as they stand on cards."""
    for one in figures:
        given = {NULL: one.null, UNIFORM: one.uniform, SILENT_COUNTED: one.silent_counted}
        yield Result(
            about=one.model,
            community=one.community,
            slice=one.slice,
            metric=f"stance in words: {one.figure}",
            lower_is_better=True,
            value=one.value,
            low=one.low,
            high=one.high,
            items=one.items,
            people=one.people,
            beside={name: value for name, value in given.items() if value is not None},
        )
