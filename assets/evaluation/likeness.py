"""Figures of how alike models answer, each a mean over prompts with an interval and beside chance.

Nothing here reads or writes files; `hivemind.py` does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import combinations
from math import nan
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.diversity.homogeneity import (
    REPETITIVE,
    Array,
    Whole,
    cross_means,
    exchangeable_mixing,
    mixing,
    over_prompts,
    random_pairs,
    weighted_mean,
)
from assets.evaluation.answer_pool import Arm, Pool
from registry.results import Result

if TYPE_CHECKING:
    from assets.diversity.features import Vectors

WITHIN = "likeness of a model's answers to one prompt"
ABOVE = f"share of prompts above {REPETITIVE}"
DISTINCT = "share of a model's answers that are different"
BETWEEN = "likeness of two models' answers to one prompt"
SOURCES = "models among the nearest answers"


@dataclass(frozen=True)
class Measure:
    """One figure with its interval over prompts."""

    measure: str
    model: str
    """The model; empty where it is about all."""
    setting: str
    """How it was asked."""
    chat_template: bool | None
    other: str
    """The other model, where two are compared."""
    other_setting: str
    other_chat_template: bool | None
    value: float
    low: float
    high: float
    chance: float
    """What chance gives: random answers to different prompts, or models that are one."""
    published: float
    """The same in the published form, where a model's answers are paired with themselves too."""
    prompts: int
    answers: int


def measure_schema() -> dict[str, Any]:
    """The columns of `measures.parquet`."""
    import polars

    types = {"str": polars.String, "float": polars.Float64, "int": polars.Int64}
    return {f.name: types.get(str(f.type), polars.Boolean) for f in fields(Measure)}


def known(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row in which what is not known is null, not NaN."""
    return {k: None if isinstance(v, float) and np.isnan(v) else v for k, v in row.items()}


@dataclass(frozen=True)
class Likeness:
    """What is measured prompt by prompt, from which every figure is a mean."""

    within: Array
    """Mean cosine of the answers of each arm to each prompt, shape (prompts, arms)."""
    between: Array
    """Mean cosine of every two arms, shape (prompts, arms, arms); the diagonal is `within`."""
    published: Array
    """The same with a row's pair with itself."""
    distinct: Array
    """The share of an arm's answers to a prompt that are different, shape (prompts, arms)."""
    sources: Array
    """Models among the nearest answers, the mean over a prompt's answers."""
    one_model: Array
    """The same if all models were one."""


def liken(pool: Pool, vectors: Vectors, neighbours: int | None) -> Likeness:
    """Measures every prompt."""
    arms, prompts = len(pool.arms), len(pool.prompts)
    between, published = (np.full((prompts, arms, arms), np.nan) for _ in range(2))
    distinct = np.full((prompts, arms), np.nan)
    sources, one_model = (np.full(prompts, np.nan) for _ in range(2))
    texts, model_of = pool.texts, pool.model_of
    for prompt in range(prompts):
        here = np.flatnonzero(pool.prompt_of == prompt)
        groups = pool.arm_of[here]
        between[prompt] = cross_means(vectors[here], groups, arms)
        published[prompt] = cross_means(vectors[here], groups, arms, self_pairs=True)
        for arm in set(groups.tolist()):
            said = [texts[place] for place in here[groups == arm]]
            distinct[prompt, arm] = len(set(said)) / len(said)
        wanted = neighbours or int(np.bincount(groups).max())
        sizes = np.bincount(model_of[here])
        if (sizes > 0).sum() > 1:
            sources[prompt] = mixing(vectors[here], model_of[here], wanted).mean()
            one_model[prompt] = exchangeable_mixing(sizes[sizes > 0].tolist(), wanted)
    within = np.einsum("paa->pa", between)
    return Likeness(within, between, published, distinct, sources, one_model)


def measures_of(
    pool: Pool, vectors: Vectors, likeness: Likeness, resamples: int, seed: int
) -> Iterator[Measure]:
    """Every figure with its interval over prompts."""

    def measure(
        name: str, values: Array, about: Mapping[str, Any], chance: float = nan, shown: float = nan
    ) -> Measure:
        source = np.random.default_rng(seed)
        found = over_prompts(len(values), weighted_mean(values), resamples, source)
        count = int((~np.isnan(values)).sum())
        return Measure(
            measure=name, chance=chance, published=shown, prompts=count, **asdict(found), **about
        )

    def chance(one: Whole, other: Whole) -> float:
        return random_pairs(vectors, pool.prompt_of, len(pool.prompts), one, other).mean()

    places = [np.flatnonzero(pool.arm_of == place) for place in range(len(pool.arms))]
    for place, arm in enumerate(pool.arms):
        here, within = places[place], likeness.within[:, place]
        about = _about(len(here), arm)
        shown = _mean(likeness.published[:, place, place])
        yield measure(WITHIN, within, about, chance(here, here), shown)
        yield measure(ABOVE, _above(within), about)
        yield measure(DISTINCT, likeness.distinct[:, place], about)
    floors = []
    for one, other in _pairs(pool):
        about = _about(len(places[one]) + len(places[other]), pool.arms[one], pool.arms[other])
        floors.append(chance(places[one], places[other]))
        yield measure(BETWEEN, likeness.between[:, one, other], about, floors[-1])
    if floors:
        about = _about(len(pool.rows))
        floor = _mean(np.array(floors))
        yield measure(BETWEEN, between_models(pool, likeness.between), about, floor)
        yield measure(SOURCES, likeness.sources, about, _mean(likeness.one_model))


def _about(answers: int, arm: Arm | None = None, other: Arm | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {"answers": answers}
    for prefix, one in (("", arm), ("other_", other)):
        found |= {
            "other" if prefix else "model": one.model if one else "",
            f"{prefix}setting": one.setting if one else "",
            f"{prefix}chat_template": one.chat_template if one else None,
        }
    return found


def _pairs(pool: Pool) -> list[tuple[int, int]]:
    """The arms of different models, two by two."""
    return [
        (one, other)
        for one, other in combinations(range(len(pool.arms)), 2)
        if pool.arms[one].model != pool.arms[other].model
    ]


def between_models(pool: Pool, between: Array) -> Array:
    """For each prompt the mean over pairs of arms of different models; NaN where there is none."""
    found = np.stack([between[:, one, other] for one, other in _pairs(pool)], axis=1)
    return mean_of_known(found.T)


def mean_of_known(values: Array) -> Array:
    """The mean along the first axis, NaN passed over; NaN where nothing else is."""
    count = (~np.isnan(values)).sum(axis=0)
    means: Array = np.where(count > 0, np.nansum(values, axis=0) / np.maximum(count, 1), np.nan)
    return means


def _above(values: Array) -> Array:
    return np.where(np.isnan(values), np.nan, (values > REPETITIVE).astype(np.float64))


def _mean(values: Array) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def results_of(measures: Sequence[Measure]) -> Iterator[Result]:
    """The figures that belong on the models' cards."""
    for found in measures:
        if not found.model or np.isnan([found.value, found.low, found.high]).any():
            continue
        chance = {} if np.isnan(found.chance) else {"random answers": found.chance}
        for about, setting in {
            found.model: found.setting,
            **({found.other: found.other_setting} if found.other else {}),
        }.items():
            rival = found.model if about == found.other else found.other
            yield Result(
                about=about,
                slice=setting,
                metric=f"{found.measure}, with {rival}" if rival else found.measure,
                lower_is_better=found.measure != DISTINCT,
                value=found.value,
                low=found.low,
                high=found.high,
                items=found.prompts,
                beside=chance,
            )


def headline_of(pool: Pool, measures: Sequence[Measure]) -> dict[str, float]:
    """The figures to see first, each beside chance."""
    found: dict[str, float] = {"prompts": len(pool.prompts)}
    for one in measures:
        if np.isnan(one.value) or one.measure not in (WITHIN, ABOVE, SOURCES, BETWEEN):
            continue
        if one.measure == BETWEEN and one.model:
            continue
        where = f": {one.model} ({one.setting})" if one.model else ""
        found[f"{one.measure}{where}"] = one.value
        if not np.isnan(one.chance):
            found[f"by chance, {one.measure}{where}"] = one.chance
    return found
