"""Everything that the pluralism evaluation writes beside the cross matrix."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assets.evaluation.answerers import OWN_TABLE, UNIFORM, Answerer, constant
from assets.evaluation.distances import Array
from assets.evaluation.linear_programmes import uniform_distances
from assets.evaluation.pluralism_comparisons import compare
from assets.evaluation.pluralism_figures import (
    COVERAGE,
    METRICS,
    SKILL,
    Panel,
    Scored,
    mean_of,
    measure,
    rows_of,
)
from assets.evaluation.pluralism_page import notes_of, page
from assets.evaluation.pluralism_plots import draw_calibration, draw_skill, draw_weights
from assets.evaluation.pluralism_welfare import jury, sizes_of, weightings, who_loses
from assets.evaluation.predictors import SLICES, Item, items_of
from assets.evaluation.probability_calibration import curve, pairs
from assets.evaluation.resampling import shares_of, widening
from assets.opinion_tables import OpinionTable
from assets.rows import write_rows
from registry.errors import MethodError
from registry.results import Result

Row = dict[str, Any]
NOTES = "notes.json"
"""What a reader must know before any figure, for pages that are made from these."""
_BESIDE = ("table of battery means", "pooled table", OWN_TABLE)
Tables = Mapping[str, Mapping[str, OpinionTable]]


@dataclass(frozen=True)
class Setting:
    """What all figures have in common."""

    items: Mapping[str, Item]
    learned: Tables
    held: Tables
    redrawn: Mapping[str, Mapping[str, Array]]
    names: Mapping[str, str]
    """What each community is called."""
    ordinal: Sequence[str]
    population: Mapping[str, float]
    item_correlation: float
    left_out: Mapping[str, str]
    """Items that stand in no figure, each with the reason."""


@dataclass(frozen=True)
class Details:
    """All rows."""

    figures: Sequence[Row]
    jury: Sequence[Row]
    weights: Sequence[Row]
    comparisons: Sequence[Row]
    notes: Sequence[str]


def write_details(
    setting: Setting,
    answerers: Sequence[Answerer],
    out: Path,
    source: np.random.Generator,
) -> list[Result]:
    """Writes tables, page and pictures; returns what belongs on models' cards."""
    scored = _score(setting, answerers)
    found = details(setting, scored, answerers, source)
    tables = {"figures": found.figures, "jury": found.jury, "weights": found.weights}
    for name, rows in tables.items():
        if rows:
            write_rows(out / f"{name}.parquet", rows)
    if found.comparisons:
        write_rows(out / "comparisons.parquet", found.comparisons)
    text = page(
        found.figures, found.jury, found.weights, found.comparisons, setting.names, found.notes
    )
    (out / "figures.md").write_text(text)
    (out / NOTES).write_text(json.dumps(list(found.notes), indent=2) + "\n")
    if skills := [r for r in found.figures if r["metric"] == SKILL and r["community"]]:
        draw_skill(skills, setting.names, out / "skill.png")
    if curves := _curves(scored):
        draw_calibration(curves, setting.names, out / "calibration.png")
    if found.weights:
        draw_weights(found.weights, setting.names, out / "weights.png")
    return list(_results(found.figures, answerers))


def _score(setting: Setting, answerers: Sequence[Answerer]) -> list[Scored]:
    unknown = set(setting.ordinal) - {item.battery for item in setting.items.values()}
    if unknown and not setting.left_out:
        raise MethodError(
            f"`ordinal` names the battery {min(unknown)!r}, of which no item is compared",
            why=f"there are {', '.join(sorted({i.battery for i in setting.items.values()}))}",
            mend="name batteries of the questionnaire",
        )
    scored = []
    for part in SLICES:
        chosen = items_of(part, setting.items)
        for community, tables in setting.held.items() if chosen else ():
            shares = shares_of(tables)
            panel = Panel(
                part=part,
                community=community,
                items=chosen,
                held=[shares[item.id] for item in chosen],
                redrawn=[setting.redrawn[community][item.id] for item in chosen],
                tables=[tables[item.id] for item in chosen],
                factor=widening(len(chosen), setting.item_correlation),
            )
            scored.append(measure(panel, answerers, setting.ordinal))
    return scored


def details(
    setting: Setting,
    scored: Sequence[Scored],
    answerers: Sequence[Answerer],
    source: np.random.Generator,
) -> Details:
    """All rows of all slices."""
    communities = list(setting.held)
    alike = [a.label for a in answerers if constant(a, setting.items, communities)]
    figures: list[Row] = []
    people = {
        c: min(tables[item].n for item in setting.items) for c, tables in setting.held.items()
    }
    by_size, sizes = sizes_of(setting.population, people)
    juries: list[Row] = []
    weights: list[Row] = []
    comparisons: list[Row] = []
    notes: list[str] = []
    for part in SLICES:
        chosen = [one for one in scored if one.panel.part == part]
        if not chosen:
            continue
        figures += [row for one in (*chosen, mean_of(chosen)) for row in rows_of(one, alike)]
        juries += jury(chosen, sizes)
        comparisons += compare(chosen, source)
        if part == "asked":
            weights, notes = _weights(setting, chosen, by_size, sizes)
    flat = [setting.names[s.panel.community] for s in scored if SKILL not in s.figures]
    unordered = not setting.ordinal
    notes = [*notes_of(setting.left_out, alike, list(dict.fromkeys(flat)), unordered), *notes]
    return Details(figures, juries, weights, comparisons, notes)


def _weights(
    setting: Setting, scored: Sequence[Scored], by_size: str, sizes: Mapping[str, float]
) -> tuple[list[Row], list[str]]:
    """Who loses under which weights; a note where a group's table lets none be weighed."""
    learned = {
        community: [shares[item.id] for item in scored[0].panel.items]
        for community, shares in ((c, shares_of(t)) for c, t in setting.learned.items())
    }
    if flat := [c for c, distance in uniform_distances(learned).items() if distance == 0]:
        name = setting.names[flat[0]]
        return [], [f"No weights are compared: {name} answers as {UNIFORM} answers would."]
    return list(who_loses(scored, learned, weightings(learned, sizes, by_size))), []


def _curves(scored: Sequence[Scored]) -> dict[str, dict[str, tuple[Array, Array]]]:
    """The calibration of each model on the asked items, by community."""
    models = [a.label for a in scored[0].answerers if a.kind == "model"] if scored else []
    curves: dict[str, dict[str, tuple[Array, Array]]] = {label: {} for label in models}
    for one in (s for s in scored if s.panel.part == "asked"):
        panel = one.panel
        for answerer in (a for a in one.answerers if a.kind == "model"):
            if answerer.community in (None, panel.community):
                first = answerer.predictors[0]
                said = [first(panel.part, item, panel.community) for item in panel.items]
                found = curve(pairs(said), pairs(panel.held))
                curves[answerer.label][panel.community] = found
    return {label: found for label, found in curves.items() if found}


def _results(figures: Sequence[Row], answerers: Sequence[Answerer]) -> Iterator[Result]:
    """Skill and option coverage of each model on its own people, or on everybody's."""
    beside = {
        UNIFORM,
        *_BESIDE,
        *(a.label for a in answerers if a.kind == "model" and not a.community),
    }
    nodes = [model.node for a in answerers if a.kind == "model" for model in a.models]
    for one in (a for a in answerers if a.kind == "model" and len(a.models) == 1):
        twice = nodes.count(one.models[0].node) > 1
        for row in figures:
            if row["predictor"] != one.label or row["metric"] not in (SKILL, COVERAGE):
                continue
            if not row["community"] or row["low"] is None:
                continue
            if one.community not in (None, row["community"]):
                continue
            yield Result(
                about=one.models[0].node,
                community=row["community"],
                slice=row["slice"],
                metric=row["metric"] + (", told the group" if twice and one.models[0].told else ""),
                lower_is_better=METRICS[row["metric"]] is True,
                value=row["value"],
                low=row["low"],
                high=row["high"],
                items=row["items"],
                people=row["people"],
                beside={
                    other["predictor"]: other["value"]
                    for other in figures
                    if (other["slice"], other["community"], other["metric"])
                    == (row["slice"], row["community"], row["metric"])
                    and other["predictor"] in beside - {one.label}
                },
            )
