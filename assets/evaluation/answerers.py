"""Everyone who answers: models, averaged over their seeds, and every baseline beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np

from assets.evaluation.distances import Array
from assets.evaluation.linear_programmes import lowest_worst
from assets.evaluation.predictors import (
    SLICES,
    Answers,
    Item,
    Predictor,
    Slice,
    battery_mean,
    items_of,
    mean_of_others,
    model_predictor,
)
from assets.opinion_tables import OpinionTable
from registry.errors import MethodError

Kind = Literal["baseline", "model", "own models", "mark"]
UNIFORM = "uniform"
OWN_TABLE = "own table (noise floor)"
LOWEST_MEAN = "best single predictor (sees the answers)"
"""Many answers share the lowest mean; how it is split between communities says nothing."""
LOWEST_WORST = "fairest single predictor (sees the answers)"
"""The one answer for all whose worst-served community is served best."""
NOISE = "exact answers (same-n noise)"
_MARKS = (LOWEST_MEAN, LOWEST_WORST, OWN_TABLE, NOISE)
_ALIKE = 1e-6


@dataclass(frozen=True)
class Answerer:
    """One line of every table."""

    label: str
    kind: Kind
    """A `mark` is no rival: it has seen the answers, or is made of the same people."""
    predictors: tuple[Predictor, ...]
    """One for each seed."""
    models: tuple[Answers, ...] = ()
    """The models behind it, one for each seed."""

    @property
    def community(self) -> str | None:
        """Whose own model it is, if anybody's."""
        return self.models[0].community if self.models else None

    @property
    def name(self) -> str:
        """Without the community: what the own models of all groups have in common."""
        return self.label.partition("@")[0] if self.community else self.label


def require_usable(
    items: Mapping[str, Item], tables: Mapping[str, Mapping[str, OpinionTable]], fewest: float
) -> dict[str, str]:
    """The items that too few people answered, each with the reason.

    Args:
        items: The items that every community tells about.
        tables: Each community's held-out table.
        fewest: The smallest effective number of respondents that a figure may rest on.

    Raises:
        MethodError: Where an item has one option, or too few answered everything.
    """
    if single := [item.id for item in items.values() if len(item.options) == 1]:
        raise MethodError(
            f"item {single[0]} has one option",
            why="every answer to it is right, so that it would make all models look better",
            mend="take it out of the questionnaire, or give it another option",
        )
    reasons: dict[str, str] = {}
    for item in items:
        fewer = {c: t[item].n_effective for c, t in tables.items() if t[item].n_effective < fewest}
        if fewer:
            community = min(fewer, key=lambda name: fewer[name])
            reasons[item] = (
                f"only {fewer[community]:.0f} people of {community} (effective number) were "
                f"held out; at least {fewest:g} are needed"
            )
    if items and len(reasons) == len(items):
        raise MethodError(
            "no item was answered by enough people in every community",
            why=next(iter(reasons.values())),
            mend="name the larger communities in `communities`, or lower `fewest_people`",
        )
    return reasons


def further_baselines(
    items: Mapping[str, Item],
    learned: Mapping[str, Mapping[str, Array]],
    held: Mapping[str, Mapping[str, Array]],
) -> dict[str, Predictor]:
    """What needs no model either, beside `baselines`.

    A constant table answers every item with as many options alike: the mean over the other asked
    items of all batteries, by place. It knows that people like the first options, and no more.
    """
    pooled: dict[str, Array] = {
        item: np.mean([table[item] for table in learned.values()], axis=0) for item in items
    }
    fairest: dict[str, Array] = {}
    for part in ("asked", "unseen questions"):
        chosen = [item.id for item in items_of(part, items)]
        if chosen:
            answers = lowest_worst({c: [t[i] for i in chosen] for c, t in held.items()})
            fairest |= dict(zip(chosen, answers, strict=True))

    def alike(item: Item) -> list[Item]:
        return [one for one in items.values() if len(one.options) == len(item.options)]

    def constant(_: Slice, item: Item, community: str) -> Array:
        return mean_of_others(item, alike(item), learned[community])

    def pooled_constant(_: Slice, item: Item, __: str) -> Array:
        return mean_of_others(item, alike(item), pooled)

    def pooled_battery(_: Slice, item: Item, __: str) -> Array:
        return battery_mean(item, items, pooled)

    def lowest(_: Slice, item: Item, __: str) -> Array:
        return fairest[item.id]

    def exact(_: Slice, item: Item, community: str) -> Array:
        return held[community][item.id]

    return {
        "constant table": constant,
        "pooled constant table": pooled_constant,
        "pooled table of battery means": pooled_battery,
        LOWEST_WORST: lowest,
        NOISE: exact,
    }


def line_up(
    models: Sequence[Answers],
    seeds: Mapping[str, Sequence[str]],
    baselines: Mapping[str, Predictor],
    communities: Sequence[str],
) -> list[Answerer]:
    """Baselines, then models, then marks; the exact answers stand last."""
    plain = [
        Answerer(label, "baseline", (p,)) for label, p in baselines.items() if label not in _MARKS
    ]
    marks = [Answerer(label, "mark", (baselines[label],)) for label in _MARKS]
    found = _models(models, seeds)
    return [*plain, *found, *_arrangements(found, communities), *marks]


def _arrangements(found: Sequence[Answerer], communities: Sequence[str]) -> Iterator[Answerer]:
    """Where every community has its own model: all of them together, each asked by its own."""
    own: dict[str, dict[str, Answerer]] = {}
    for one in found:
        if one.community:
            own.setdefault(one.name, {})[one.community] = one
    for name, group in own.items():
        if set(communities) - set(group):
            continue
        counts = {community: len(group[community].models) for community in communities}
        if len(set(counts.values())) > 1:
            fewest = min(counts, key=lambda c: counts[c])
            raise MethodError(
                f"{name} has {counts[fewest]} seeds for {fewest} and more for others",
                why="a mean over communities would weigh some seeds more than others",
                mend="score as many seeds for every community",
            )
        models = tuple(
            replace(group[communities[0]].models[seed], community=None, told={
                c: group[c].models[seed] for c in communities
            })
            for seed in range(counts[communities[0]])
        )  # fmt: skip
        predictors = tuple(model_predictor(model) for model in models)
        yield Answerer(f"each group's own {name}", "own models", predictors, models)


def _models(models: Sequence[Answers], seeds: Mapping[str, Sequence[str]]) -> list[Answerer]:
    known = {model.name for model in models}
    named = [name for names in seeds.values() for name in names]
    for name in named:
        if name not in known or named.count(name) > 1:
            what = "is no model that was scored" if name not in known else "is named twice"
            raise MethodError(
                f"`seeds`: {name} {what}",
                why=f"scored were {', '.join(sorted(known))}",
                mend="name each model that differs only in its seed once",
            )
    over = {name: key for key, names in seeds.items() for name in names}
    groups: dict[tuple[str, str | None, bool], list[Answers]] = {}
    for model in models:
        key = (over.get(model.name, model.name), model.community, bool(model.told))
        groups.setdefault(key, []).append(model)
    return [
        Answerer(
            group[0].label.replace(group[0].name, name, 1),
            "model",
            tuple(model_predictor(model) for model in group),
            tuple(group),
        )
        for (name, _, _), group in groups.items()
    ]


def constant(answerer: Answerer, items: Mapping[str, Item], communities: Sequence[str]) -> bool:
    """Whether a model gives all questions with as many options the same answer, place by place.

    Such a scorer does not read what it is asked, whatever its figures are.
    """
    compared = False
    for model, community in ((m, c) for m in answerer.models for c in communities):
        by_size: dict[int, list[Array]] = {}
        for part in SLICES:
            for item in items_of(part, items):
                by_size.setdefault(len(item.options), []).append(
                    model.mean(part, item.id, community)
                )
        for one, other in (pair for rows in by_size.values() for pair in pairwise(rows)):
            compared = True
            if np.abs(one - other).max() > _ALIKE:
                return False
    return compared
