"""Who is served and who loses: each answerer before a jury of all communities.

Beside single answerers stands the arrangement in which each group has its own model. A pooled
table is made with each set of declared weights, to show who loses under which.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from assets.evaluation.answerers import LOWEST_MEAN, OWN_TABLE, UNIFORM
from assets.evaluation.distances import Array, total_variation
from assets.evaluation.linear_programmes import max_min_weights
from assets.evaluation.pluralism_figures import SKILL, TV, Scored
from assets.evaluation.resampling import distances, interval, widened
from assets.evaluation.welfare import elect, mixture, skill, veto_share
from registry.errors import MethodError

MEAN, WORST, VETOES = "mean skill", "worst community's skill", "veto rate"
ELECTED, SURE = "elected", "elected, share of redraws"


def sizes_of(
    population: Mapping[str, float], people: Mapping[str, int]
) -> tuple[str, dict[str, float]]:
    """How many each community stands for, and in which words.

    The declared sizes; where none are declared, the number of its respondents.

    Raises:
        MethodError: Where sizes are declared for some communities only, or are none.
    """
    if not population:
        return "by number of respondents", {c: float(n) for c, n in people.items()}
    if missing := sorted(set(people) - set(population)):
        raise MethodError(
            f"`population` does not say how large {missing[0]} is",
            why="weights of some communities say nothing without those of all",
            mend="give every community its size, or leave `population` out",
        )
    if wrong := [c for c in people if not 0 < population[c] < float("inf")]:
        raise MethodError(
            f"`population`: {wrong[0]} has the size {population[wrong[0]]}",
            mend="give a number above 0",
        )
    return "by population", {c: float(population[c]) for c in people}


def jury(scored: Sequence[Scored], sizes: Mapping[str, float]) -> Iterator[dict[str, Any]]:
    """Mean, worst, vetoes and the election of one slice, a row for each answerer and figure.

    Communities that themselves answer uniformly cannot tell skill and do not sit on the jury.

    Args:
        scored: The figures of all communities on the slice.
        sizes: How many votes each has in an election by size.
    """
    seated = [one for one in scored if SKILL in one.figures]
    if not seated:
        return
    names = [one.panel.community for one in seated]
    answerers = seated[0].answerers
    standing = [a for a in answerers if a.kind == "model"]
    votes = {
        "": np.ones(len(names)),
        ", votes by size": np.array([sizes[name] for name in names]),
    }
    base = {
        "slice": seated[0].panel.part,
        "communities": len(names),
        "items": len(seated[0].panel.items),
        "people": min(one.panel.people for one in seated),
    }
    for place, one in enumerate(answerers):
        if one.label == LOWEST_MEAN:
            continue
        for row in _of_answerer(seated, names, place):
            yield base | {"predictor": one.label, "kind": one.kind, **row}
    if standing:
        places = [answerers.index(one) for one in standing]
        figures = [(one.figures[TV], one.panel.factor) for one in seated]
        values = np.stack([figure.values[places] for figure, _ in figures])
        again = np.stack(
            [widened(f.values, _draws(f.again), factor)[places] for f, factor in figures]
        )
        for suffix, weights in votes.items():
            shares, redrawn = elect(values, weights), elect(again, weights).mean(axis=-1)
            for one, share, sure in zip(standing, shares, redrawn, strict=True):
                for metric, value in ((ELECTED, share), (SURE, sure)):
                    yield (
                        base
                        | {"predictor": one.label, "kind": one.kind}
                        | _row(metric + suffix, float(value), None, None)
                    )


def _draws(again: Array | None) -> Array:
    if again is None:
        raise ValueError("a figure over people has draws")
    return again


def _of_answerer(
    scored: Sequence[Scored], names: Sequence[str], place: int
) -> Iterator[dict[str, Any]]:
    skills = [(one.figures[SKILL], one.panel.factor) for one in scored]
    values = np.array([figure.values[place] for figure, _ in skills])
    again = np.stack([widened(f.values, _draws(f.again), factor)[place] for f, factor in skills])
    mean, worst = float(values.mean()), float(values.min())
    yield _row(MEAN, mean, *_capped(interval(mean, again.mean(axis=0), 1.0), None))
    who = names[int(values.argmin())] if np.ptp(values) > 0 else None
    yield _row(WORST, worst, *_capped(interval(worst, again.min(axis=0), 1.0), None)) | {
        "worst_community": who
    }
    vetoes, drawn = [], []
    for s in scored:
        flat = s.place(UNIFORM)
        each = s.figures[TV].each
        if each is not None:
            vetoes.append(float(veto_share(each[place], each[flat])))
        moved = s.item_distances[[place, flat]]
        redrawn = veto_share(moved[0].T, moved[1].T)
        drawn.append(vetoes[-1] + s.panel.factor * (redrawn - redrawn.mean()))
    share = float(np.mean(vetoes))
    yield _row(VETOES, share, *_capped(interval(share, np.mean(drawn, axis=0), 1.0), 0.0))


def _capped(given: tuple[float, float], smallest: float | None) -> tuple[float, float]:
    low, high = given
    return low if smallest is None else max(smallest, low), min(1.0, high)


def _row(metric: str, value: float, low: float | None, high: float | None) -> dict[str, Any]:
    return {"metric": metric, "value": value, "low": low, "high": high, "worst_community": None}


@dataclass(frozen=True)
class Weighting:
    """A pooled table with declared weights."""

    name: str
    weights: Mapping[str, float]
    """They sum to one."""


def weightings(
    learned: Mapping[str, Sequence[Array]], sizes: Mapping[str, float], by_size: str
) -> list[Weighting]:
    """Equal, by size, and those with which the worst served is served best.

    All follow from the learning tables alone: no held-out answer is seen.
    """

    def normal(weights: Mapping[str, float]) -> dict[str, float]:
        total = sum(weights.values())
        return {c: weights[c] / total for c in learned}

    return [
        Weighting("equal", normal(dict.fromkeys(learned, 1.0))),
        Weighting(by_size, normal(sizes)),
        Weighting("max-min", max_min_weights(learned)),
    ]


def who_loses(
    scored: Sequence[Scored],
    learned: Mapping[str, Sequence[Array]],
    chosen: Sequence[Weighting],
) -> Iterator[dict[str, Any]]:
    """The skill of the pooled table under each weighting, and what each community loses by it.

    The loss is against the community's own table: what one answer for all costs, noise apart.

    Args:
        scored: The figures of all communities on the asked items.
        learned: Each community's learning table of those items.
        chosen: The weightings.
    """
    for weighting in chosen:
        table = mixture(list(learned.values()), [weighting.weights[c] for c in learned])
        for one in (s for s in scored if SKILL in s.figures):
            panel = one.panel
            own, flat = one.place(OWN_TABLE), one.place(UNIFORM)
            figure, skills = one.figures[TV], one.figures[SKILL]
            each = [total_variation(p, q) for p, q in zip(table, panel.held, strict=True)]
            redrawn = distances([p[None] for p in table], panel.redrawn)[0]
            value = float(skill(np.mean(each, keepdims=True), figure.values[[flat]])[0])
            again = skill(redrawn, _draws(figure.again)[flat])
            low, high = interval(value, again, panel.factor)
            loss = float(skills.values[own]) - value
            lost = interval(loss, _draws(skills.again)[own] - again, panel.factor)
            yield {
                "weighting": weighting.name,
                "community": panel.community,
                "weight": weighting.weights[panel.community],
                "skill": value,
                "low": low,
                "high": min(1.0, high),
                "own_table": float(skills.values[own]),
                "loss": loss,
                "loss_low": lost[0],
                "loss_high": lost[1],
                "items": len(panel.items),
                "people": panel.people,
            }
