"""Distributional pluralism: how near each model's answers are to each community's.

Arithmetic over option probabilities and the tables of respondents who were held out. Every model
stands beside what needs no model: uniform answers, the mean of the other items of a battery, the
pooled table, the community's own table (the noise that is left between two halves of the same
people), and the best that any single answerer could do for all.

The cross matrix is read down its columns: who serves this community best. Along a row one mostly
reads how near a community is to uniform.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from assets.evaluation.answerers import further_baselines, line_up, require_usable
from assets.evaluation.distances import (
    Array,
    jensen_shannon,
    total_variation,
)
from assets.evaluation.pluralism_details import Setting, write_details
from assets.evaluation.predictors import (
    SLICES,
    Answers,
    Item,
    baselines,
    gather,
    items_of,
    model_predictor,
    read_items,
    read_told,
    require_same_questionnaire,
)
from assets.evaluation.resampling import (
    Metric,
    interval,
    resample,
    score,
    shares_of,
    widening,
)
from assets.opinion_tables import OpinionTable, read_still_told
from assets.rows import LIBRARIES, write_rows
from registry.errors import MethodError
from registry.method import Method, Role
from registry.results import Result, Results
from registry.typed import Frozen

if TYPE_CHECKING:
    from registry.context import Context

METRICS: dict[str, Metric] = {"tv": total_variation, "jsd": jensen_shannon}


class Params(Frozen):
    """How sure the figures are made."""

    resamples: int = Field(default=400, ge=50)
    """Draws of new respondents, for the intervals."""
    item_correlation: float = Field(default=0.08, ge=0, le=1)
    """How alike the errors of two items move when other people are drawn, as one figure for all
    pairs. A table does not say it; the default was measured (docs/pluralism.md)."""
    ordinal: tuple[str, ...] = ()
    """The batteries whose options stand in an order, such as from agree to disagree; only they can
    say how many steps an answer is off."""
    population: dict[str, float] = Field(default_factory=dict)
    """How large each community is, for weights and votes by population. Where it is left out, the
    number of its respondents stands in."""
    seeds: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Models that differ only in their seed, under one name; their figures are averaged before
    anything is redrawn."""
    fewest_people: float = Field(default=20, ge=2)
    """An item that fewer were held out on (effective number), in any community, is left out."""


def run(context: Context) -> None:
    """Scores every model and baseline on every community, and draws the cross matrix."""
    from assets.evaluation.cross_matrix import draw, markdown

    params = context.typed(Params)
    items = read_items(context.input("questionnaire").files)
    options = {item.id: item.options for item in items.values()}
    tables = {
        profile.id: (
            read_still_told(profile.table("opinions.csv"), options),
            read_still_told(profile.table("evaluation/opinions.csv"), options),
        )
        for profile in context.profiles
    }
    if not tables:
        raise MethodError(
            "no community to score on", mend="admit a profile, or widen `communities`"
        )
    learned = {c: shares_of(learning) for c, (learning, _) in tables.items()}
    held = {c: shares_of(evaluation) for c, (_, evaluation) in tables.items()}
    source = np.random.default_rng(context.seed)
    redrawn = {c: resample(t[1], params.resamples, source) for c, t in tables.items()}
    models = gather([read_told(given.files) for given in context.inputs("answers")])
    require_same_questionnaire(models, items)
    if twice := sorted({m.label for m in models if sum(o.label == m.label for o in models) > 1}):
        raise MethodError(f"the answers of {twice[0]} are given twice", mend="name each model once")
    # A member may have taken an answer back: what every community still tells is compared.
    items = {
        i: item for i, item in items.items() if all(i in t for p in tables.values() for t in p)
    }
    left_out = require_usable(items, {c: t[1] for c, t in tables.items()}, params.fewest_people)
    items = {i: item for i, item in items.items() if i not in left_out}
    plain = baselines(items, learned, held)
    predictors = dict(plain)
    predictors |= {model.label: model_predictor(model) for model in models}
    rows: list[dict[str, Any]] = []
    samples: dict[tuple[str, str, str], Array] = {}
    for part in SLICES:
        chosen = items_of(part, items)
        widened = widening(len(chosen), params.item_correlation)
        for community in tables if chosen else ():
            goal = [held[community][item.id] for item in chosen]
            again = [redrawn[community][item.id] for item in chosen]
            for label, predictor in predictors.items():
                predicted = [predictor(part, item, community) for item in chosen]
                for name, metric in METRICS.items():
                    value, spread = score(predicted, goal, again, metric)
                    low, high = interval(value, spread, widened)
                    rows.append(_row(part, community, label, name, value, low, high, chosen))
                    if name == "tv":
                        samples[part, community, label] = spread
    rows += _single_order_rows(models, held, items)
    write_rows(context.out / "scores.parquet", rows)
    comparisons = list(_comparisons(rows, samples, models, params.item_correlation))
    names = {profile.id: profile.name for profile in context.profiles}
    matrix = matrix_of(rows)
    summary = {
        "schema_version": 1,
        "communities": names,
        "items": {part: len(items_of(part, items)) for part in SLICES},
        "metric": "mean total variation to respondents held out",
        "cross_matrix": matrix,
        "own_minus_rivals": comparisons,
        "outside": {model.label: model.outside for model in models},
        "scores": rows,
    }
    (context.out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    headline = json.dumps(headline_of(matrix, models), indent=2)
    (context.out / "headline.json").write_text(headline + "\n")
    (context.out / "cross-matrix.md").write_text(markdown(matrix, names, comparisons))
    draw(matrix, names, context.out / "cross-matrix.png")
    setting = Setting(
        items=items,
        learned={c: t[0] for c, t in tables.items()},
        held={c: t[1] for c, t in tables.items()},
        redrawn=redrawn,
        names=names,
        ordinal=params.ordinal,
        population=params.population,
        item_correlation=params.item_correlation,
        left_out=left_out,
    )
    answerers = line_up(
        models, params.seeds, plain | further_baselines(items, learned, held), tuple(held)
    )
    more = write_details(setting, answerers, context.out, source)
    Results(results=(*results_of(rows, models, _people(tables, items)), *more)).write(context.out)
    context.progress(1, 1)


def _people(
    tables: Mapping[str, tuple[Mapping[str, OpinionTable], Mapping[str, OpinionTable]]],
    items: Mapping[str, Item],
) -> dict[tuple[str, str], int]:
    """The fewest people that any item of a slice rests on, by slice and community."""
    return {
        (part, community): min(held_out[item.id].n for item in items_of(part, items))
        for part, (community, (_, held_out)) in product(SLICES, tables.items())
        if items_of(part, items)
    }


def headline_of(
    matrix: Mapping[str, Mapping[str, Mapping[str, float]]], models: Sequence[Answers]
) -> dict[str, float]:
    """The figures to see first: mean total variation of own models and of each model for all."""
    asked = matrix.get("asked", {})
    found = {label: list(asked[label].values()) for label in ("uniform",) if label in asked}
    for model in models:
        line = asked.get(model.label, {})
        if model.community is None:
            found[model.label] = list(line.values())
        elif model.community in line:
            found.setdefault(f"each group's own {model.name}", []).append(line[model.community])
    return {f"tv on asked questions, {w}": float(np.mean(v)) for w, v in found.items() if v}


def _row(
    part: str,
    community: str,
    label: str,
    metric: str,
    value: float,
    low: float,
    high: float,
    chosen: Sequence[Item],
) -> dict[str, Any]:
    return {
        "slice": part,
        "community": community,
        "predictor": label,
        "metric": metric,
        "value": value,
        "low": max(0.0, low),
        "high": high,
        "items": len(chosen),
    }


def _single_order_rows(
    models: Sequence[Answers], held: Mapping[str, Mapping[str, Array]], items: Mapping[str, Item]
) -> list[dict[str, Any]]:
    """The mean distance of single wordings and orders, which averaging hides."""
    rows = []
    for model in models:
        for part in SLICES:
            chosen = items_of(part, items)
            for community in held if chosen else ():
                values = [
                    float(total_variation(model.seen(part, i.id, community), goal).mean())
                    for i in chosen
                    for goal in (held[community][i.id],)
                ]
                mean = float(np.mean(values))
                row = _row(part, community, model.label, "tv-single", mean, mean, mean, chosen)
                rows.append(row | {"low": None, "high": None})
    return rows


def matrix_of(
    rows: Sequence[Mapping[str, Any]],
) -> dict[str, dict[str, dict[str, float]]]:
    """Total variation by slice, predictor and community."""
    matrix: dict[str, dict[str, dict[str, float]]] = {}
    for row in rows:
        if row["metric"] == "tv":
            line = matrix.setdefault(row["slice"], {}).setdefault(row["predictor"], {})
            line[row["community"]] = row["value"]
    return matrix


def results_of(
    rows: Sequence[Mapping[str, Any]],
    models: Sequence[Answers],
    people: Mapping[tuple[str, str], int],
) -> Iterator[Result]:
    """What belongs on the card of each model: its distance to its own people, or to everybody.

    Beside it stand the baselines and every model for all.
    """
    chosen = [row for row in rows if row["metric"] == "tv"]
    values = {(r["slice"], r["community"], r["predictor"]): r["value"] for r in chosen}
    own = {model.label for model in models if model.community}
    nodes = [model.node for model in models]
    for model in models:
        # One model that was asked in both ways has two lines on its card.
        told = ", told the group" if model.told and nodes.count(model.node) > 1 else ""
        for row in (r for r in chosen if r["predictor"] == model.label):
            part, community = row["slice"], row["community"]
            if model.community in (None, community):
                yield Result(
                    about=model.node,
                    community=community,
                    slice=part,
                    metric="total variation" + told,
                    lower_is_better=True,
                    value=row["value"],
                    low=row["low"],
                    high=row["high"],
                    items=row["items"],
                    people=people[part, community],
                    beside={
                        label: value
                        for (one, other, label), value in values.items()
                        if (one, other) == (part, community)
                        and label not in own | {model.label}
                        and not label.startswith("best single")
                    },
                )


def rivals_of(own: Answers, models: Sequence[Answers]) -> list[Answers]:
    """What an own model is compared with: models for all, and own models named before it."""
    earlier = models[: models.index(own)]
    return [m for m in models if m.community is None] + [
        m for m in earlier if m.community == own.community
    ]


def _comparisons(
    rows: Sequence[Mapping[str, Any]],
    samples: Mapping[tuple[str, str, str], Array],
    models: Sequence[Answers],
    correlation: float,
) -> Iterator[dict[str, Any]]:
    """Own model minus each rival, with an interval over respondents."""
    chosen = [row for row in rows if row["metric"] == "tv"]
    values = {(r["slice"], r["community"], r["predictor"]): r["value"] for r in chosen}
    pairs = [
        (own.community, own.label, other.label)
        for own in models
        if own.community
        for other in rivals_of(own, models)
    ]
    parts = {row["slice"]: row["items"] for row in chosen}
    for (part, items), (community, own, other) in product(parts.items(), pairs):
        mine, theirs = (part, community, own), (part, community, other)
        if mine not in values:
            continue
        value, spread = values[mine] - values[theirs], samples[mine] - samples[theirs]
        low, high = interval(value, spread, widening(items, correlation))
        yield {
            "slice": part,
            "community": community,
            "own": own,
            "other": other,
            "difference": value,
            "low": low,
            "high": high,
        }


method = Method(
    name="pluralism",
    kind="evaluation",
    description="How near each model's answers are to each community's, with a cross matrix.",
    params=Params,
    run=run,
    inputs={
        "answers": Role("evaluation", "option probabilities of the models", many=True),
        "questionnaire": Role("dataset", "the items in every wording"),
    },
    reads=("opinions.csv", "evaluation/opinions.csv"),
    use="evaluate",
    libraries=(*LIBRARIES, "numpy", "scipy", "matplotlib"),
)
