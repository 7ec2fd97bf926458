"""What a pluralism evaluation found, as the report asks for it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from assets.evaluation.pluralism_details import NOTES
from assets.evaluation.pluralism_figures import TV
from assets.evaluation.predictors import SLICES
from assets.evaluation.report_estimates import Difference, Estimate, Missing, counted
from assets.rows import read_rows
from registry.context import Input
from registry.errors import MethodError
from registry.results import read_results
from registry.strict_yaml import nearest

Row = Mapping[str, Any]
ASKED = SLICES[0]
_NEEDED = ("figures.parquet", "summary.json")


@dataclass(frozen=True)
class Opinions:
    """The rows of one pluralism evaluation."""

    names: Mapping[str, str]
    """What each group is called."""
    figures: tuple[Row, ...]
    comparisons: tuple[Row, ...]
    notes: tuple[str, ...]
    """What was left out, refused or marked there."""
    cards: frozenset[str]
    """The models of which the evaluation says something on their cards."""

    @cached_property
    def slices(self) -> list[str]:
        """The slices that have figures, in the usual order."""
        found = {row["slice"] for row in self.figures}
        return [part for part in SLICES if part in found]

    @cached_property
    def first(self) -> str:
        """The slice that is shown first."""
        return self.slices[0]

    @cached_property
    def models(self) -> list[str]:
        """The labels of all models."""
        return list(dict.fromkeys(r["predictor"] for r in self.figures if r["kind"] == "model"))

    @cached_property
    def constant(self) -> set[str]:
        """Models that answer all questions alike: a good figure of theirs is luck."""
        return {row["predictor"] for row in self.figures if row["answers_all_alike"]}

    @cached_property
    def _by_place(self) -> dict[tuple[str, str, str, str], Row]:
        return {
            (row["metric"], row["slice"], row["community"], row["predictor"]): row
            for row in self.figures
        }

    def community_of(self, label: str) -> str | None:
        """Whose own model it is, if anybody's."""
        community = label.partition("@")[2]
        return community if community in self.names and label in self.models else None

    def own_models(self, community: str) -> list[str]:
        """The models of one group, those that answer all alike left out."""
        return [
            label for label in self.models
            if self.community_of(label) == community and label not in self.constant
        ]  # fmt: skip

    def of_kind(self, kind: str) -> list[str]:
        """The labels of baselines, or of marks."""
        return list(dict.fromkeys(r["predictor"] for r in self.figures if r["kind"] == kind))

    def metrics(self) -> list[str]:
        """The metrics that have figures."""
        return list(dict.fromkeys(row["metric"] for row in self.figures))

    def estimate(self, metric: str, part: str, community: str, label: str) -> Estimate | Missing:
        """One figure."""
        row = self._by_place.get((metric, part, community, label))
        return Missing("") if row is None else _estimate(row)

    def distance(self, part: str, community: str, label: str) -> Estimate | Missing:
        """The total variation of one answerer."""
        return self.estimate(TV, part, community, label)

    def nearest(self, part: str, community: str, labels: Sequence[str]) -> list[str]:
        """Those of `labels` that have a figure, the nearest to a group first."""
        found = [(self._by_place.get((TV, part, community, label)), label) for label in labels]
        return [label for _, label in sorted((row["value"], label) for row, label in found if row)]

    def minus(self, part: str, community: str, own: str, rival: str) -> Difference | Missing:
        """How much nearer or farther a model is than another, on the same people."""
        for row in self.comparisons:
            found = (row["slice"], row["community"], row["model"], row["rival"])
            if found == (part, community, own, rival):
                return Difference(
                    row["difference"], row["low"], row["high"], size_of(row), row["items"],
                    row["people"], rival=rival, p=row["p_people_family"],
                )  # fmt: skip
        return Missing(f"{own} and {rival} were not compared")


def size_of(row: Row) -> str:
    """How many questions and people a row rests on."""
    return f"{counted(row['items'], 'question')}, at least {row['people']:,} people"


def _estimate(row: Row) -> Estimate:
    return Estimate(
        row["value"], row["low"], row["high"], size_of(row), row["items"], row["people"]
    )


def read_opinions_of(given: Input) -> Opinions:
    """Reads the artifact of a pluralism evaluation; raises MethodError where it is none."""
    lacking = [name for name in _NEEDED if not (given.files / name).is_file()]
    if lacking:
        raise MethodError(
            f"has no {lacking[0]}",
            where=given.label,
            why="the report rests on what the method `pluralism` wrote",
            mend="name a node of the method `pluralism`, or make it again with today's code",
        )
    summary = json.loads((given.files / "summary.json").read_text())
    figures = read_rows(given.files / "figures.parquet").to_dicts()
    if not any(row["kind"] == "model" for row in figures):
        raise MethodError(
            "compares no model", where=given.label, mend="give it the answers of a model"
        )
    compared = given.files / "comparisons.parquet"
    notes = given.files / NOTES
    return Opinions(
        names=summary["communities"],
        figures=tuple(figures),
        comparisons=tuple(read_rows(compared).to_dicts() if compared.is_file() else ()),
        notes=tuple(json.loads(notes.read_text())) if notes.is_file() else (_UNKNOWN_NOTES,),
        cards=frozenset(result.about for result in read_results(given.files)),
    )


_UNKNOWN_NOTES = (
    "What the pluralism evaluation left out or marked is not known here: it was made by older "
    "code, which wrote it on its page `figures.md` only."
)


@dataclass(frozen=True)
class Roles:
    """Which model is what."""

    base: str | None
    """The model before alignment."""
    pooled: tuple[str, ...]
    """Models for all."""
    conditioned: tuple[str, ...]
    """Models for all that are told whom to answer as."""


def roles_of(
    opinions: Opinions, base: str, pooled: Sequence[str], conditioned: Sequence[str]
) -> Roles:
    """Finds the named models; raises MethodError where the evaluation knows no such model."""
    found = Roles(
        base=_label(opinions, "base", base) if base else None,
        pooled=tuple(_label(opinions, "pooled", name) for name in pooled),
        conditioned=tuple(_label(opinions, "conditioned", name) for name in conditioned),
    )
    named = [*(found.pooled), *(found.conditioned), *([found.base] if found.base else [])]
    if twice := [name for name in named if named.count(name) > 1]:
        raise MethodError(
            f"{twice[0]} is named twice among `base`, `pooled` and `conditioned`",
            why="a model would be compared with itself",
            mend="name each model once",
        )
    for name in named:
        if opinions.community_of(name):
            raise MethodError(
                f"{name} is one group's own model, and cannot be a model for all",
                mend="name models that do not fan out",
            )
    return found


def _label(opinions: Opinions, parameter: str, name: str) -> str:
    told = [label for label in opinions.models if label.partition(", ")[0] == name]
    if name in opinions.models:
        return name
    if told:
        return told[0]
    raise MethodError(
        f"`{parameter}` names {name!r}, of which the pluralism evaluation says nothing",
        mend=nearest(name, opinions.models) or f"it compares {', '.join(opinions.models)}",
    )
