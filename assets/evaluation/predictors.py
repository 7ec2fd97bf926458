"""Who answers: models by their option probabilities, and what needs no model at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from assets.evaluation.distances import Array, best_single_predictor
from assets.rows import read_rows
from assets.sources.questionnaire import UNSEEN
from registry.errors import MethodError

Slice = Literal["asked", "unseen wording", "unseen questions"]
SLICES: tuple[Slice, ...] = ("asked", "unseen wording", "unseen questions")


@dataclass(frozen=True)
class Item:
    """What is known of one item."""

    id: str
    battery: str
    options: tuple[str, ...]
    held_out: bool


@dataclass(frozen=True)
class Answers:
    """A model's answers: for each slice and item, one distribution a wording and order."""

    name: str
    community: str | None
    single: Mapping[tuple[Slice, str], Array]
    """Shape (wordings x orders, options), normalised over the options."""
    outside: Mapping[Slice, float]
    """Mean probability mass outside the options."""

    @property
    def label(self) -> str:
        """The model's node."""
        return f"{self.name}@{self.community}" if self.community else self.name

    def mean(self, part: Slice, item: str) -> Array:
        """The distribution averaged over wordings and orders."""
        averaged: Array = self.single[part, item].mean(axis=0)
        averaged /= averaged.sum()
        return averaged


def read_items(questionnaire: Path) -> dict[str, Item]:
    """The items of a questionnaire, in its order."""
    items: dict[str, Item] = {}
    for row in read_rows(questionnaire / "items.parquet").to_dicts():
        items.setdefault(
            row["item"], Item(row["item"], row["battery"], tuple(row["options"]), row["held_out"])
        )
    return items


def slice_of(held_out: bool, wording: str) -> Slice:
    """The slice in which a question is reported."""
    if held_out:
        return "unseen questions"
    return "unseen wording" if wording == UNSEEN else "asked"


def read_answers(files: Path) -> Answers:
    """The answers of one model from its `option-probabilities` artifact."""
    named = json.loads((files / "model.json").read_text())
    found: dict[tuple[Slice, str], dict[tuple[str, str], list[float]]] = {}
    outside: dict[Slice, list[float]] = {part: [] for part in SLICES}
    for row in read_rows(files / "probabilities.parquet").to_dicts():
        part = slice_of(row["held_out"], row["wording"])
        variants = found.setdefault((part, row["item"]), {})
        variants.setdefault((row["wording"], row["order"]), []).append(row["probability"])
        if row["position"] == 1:
            outside[part].append(row["outside"])
    single = {key: np.array(list(variants.values())) for key, variants in found.items()}
    return Answers(
        named["model"],
        named["community"],
        {key: rows / rows.sum(axis=1, keepdims=True) for key, rows in single.items()},
        {part: float(np.mean(masses)) for part, masses in outside.items() if masses},
    )


def require_same_questionnaire(models: Sequence[Answers], items: Mapping[str, Item]) -> None:
    """Raises MethodError where a model was scored on other items than the questionnaire has."""
    asked = {(part, item.id) for part in SLICES for item in items_of(part, items)}
    for model in models:
        if differing := asked ^ set(model.single):
            raise MethodError(
                f"{model.label} did not answer this questionnaire",
                why=f"item {min(differing)[1]} differs, or whether it is held out",
                mend="score the model on the questionnaire that the evaluation names",
            )


def items_of(part: Slice, items: Mapping[str, Item]) -> list[Item]:
    """The items that a slice reports."""
    return [item for item in items.values() if item.held_out == (part == "unseen questions")]


def _uniform(item: Item) -> Array:
    flat: Array = np.full(len(item.options), 1 / len(item.options))
    return flat


def battery_mean(item: Item, items: Mapping[str, Item], table: Mapping[str, Array]) -> Array:
    """The mean answer to the *other* asked items of a battery; uniform where there is none."""
    others = [
        table[other.id]
        for other in items.values()
        if other.battery == item.battery and other.id != item.id and not other.held_out
    ]
    if not others:
        return _uniform(item)
    mean: Array = np.stack(others).mean(axis=0)
    return mean


Predictor = Callable[[Slice, Item, str], Array]
"""Slice, item and community to the predicted distribution."""


def baselines(
    items: Mapping[str, Item],
    learned: Mapping[str, Mapping[str, Array]],
    held: Mapping[str, Mapping[str, Array]],
) -> dict[str, Predictor]:
    """What needs no model. A table of an unseen question is not known to any learner."""
    pooled: dict[str, Array] = {
        item: np.mean([table[item] for table in learned.values()], axis=0) for item in items
    }
    single = {
        item: best_single_predictor([table[item] for table in held.values()]) for item in items
    }

    def uniform(_: Slice, item: Item, __: str) -> Array:
        return _uniform(item)

    def battery(_: Slice, item: Item, community: str) -> Array:
        return battery_mean(item, items, learned[community])

    def pooled_table(part: Slice, item: Item, _: str) -> Array:
        if part == "unseen questions":
            return battery_mean(item, items, pooled)
        return pooled[item.id]

    def best_single(_: Slice, item: Item, __: str) -> Array:
        return single[item.id]

    def own_table(_: Slice, item: Item, community: str) -> Array:
        return learned[community][item.id]

    return {
        "uniform": uniform,
        "table of battery means": battery,
        "pooled table": pooled_table,
        "best single predictor (sees the answers)": best_single,
        "own table (noise floor)": own_table,
    }


def model_predictor(model: Answers) -> Predictor:
    """A model as a predictor: it answers the same whoever is asked about."""
    return partial(_answer, model)


def _answer(model: Answers, part: Slice, item: Item, _: str) -> Array:
    return model.mean(part, item.id)
