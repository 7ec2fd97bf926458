"""Who answers: models by their option probabilities, and what needs no model at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
    inside: Mapping[tuple[Slice, str], float] = field(default_factory=dict)
    """The mean mass that each item's options get together; what is missing from 1 is outside."""
    told: Mapping[str, Answers] = field(default_factory=dict)
    """Where one model is told whom to answer as: its answers as each community."""

    @property
    def node(self) -> str:
        """The model's node."""
        return f"{self.name}@{self.community}" if self.community else self.name

    @property
    def label(self) -> str:
        """What a reader sees: the model's node, and whether it is told whom to answer as."""
        return f"{self.name}, told the group" if self.told else self.node

    def seen(self, part: Slice, item: str, community: str) -> Array:
        """The distribution of each wording and order, to one who asks about a community."""
        return self._asked(community).single[part, item]

    def mean(self, part: Slice, item: str, community: str = "") -> Array:
        """The distribution averaged over wordings and orders."""
        averaged: Array = self._asked(community).single[part, item].mean(axis=0)
        averaged /= averaged.sum()
        return averaged

    def coverage(self, part: Slice, item: str, community: str = "") -> float:
        """The mean probability that an item's options get together, before dividing by it."""
        return self._asked(community).inside[part, item]

    def _asked(self, community: str) -> Answers:
        if not self.told:
            return self
        if community not in self.told:
            raise MethodError(
                f"{self.name} was not asked as {community}",
                why=f"it was asked as {', '.join(sorted(self.told))}",
                mend="score it as every community that the evaluation reads",
            )
        return self.told[community]


def gather(answers: Sequence[tuple[Answers, str | None]]) -> list[Answers]:
    """Puts together what one model answered as each community; other models stay as they are.

    Args:
        answers: What was read, each with the community that its model was told, if any.
    """
    found: list[Answers] = []
    told: dict[str, dict[str, Answers]] = {}
    for one, community in answers:
        if community is None:
            found.append(one)
            continue
        if one.name not in told:
            told[one.name] = {}
            found.append(replace(one, told=told[one.name]))
        if community in told[one.name]:
            raise MethodError(
                f"the answers of {one.name} as {community} are given twice",
                mend="name each model once",
            )
        told[one.name][community] = one
    return [_over_all(one) if one.told else one for one in found]


def _over_all(model: Answers) -> Answers:
    """The mass outside the options as a mean over the communities that a model was asked as."""
    parts = {part for one in model.told.values() for part in one.outside}
    outside = {p: float(np.mean([o.outside[p] for o in model.told.values()])) for p in parts}
    return replace(model, outside={part: outside[part] for part in SLICES if part in outside})


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
    return read_told(files)[0]


def read_told(files: Path) -> tuple[Answers, str | None]:
    """The same, and the community that the model was told to answer as, if any."""
    named = json.loads((files / "model.json").read_text())
    found: dict[tuple[Slice, str], dict[tuple[str, str], list[float]]] = {}
    outside: dict[Slice, list[float]] = {part: [] for part in SLICES}
    inside: dict[tuple[Slice, str], list[float]] = {}
    for row in read_rows(files / "probabilities.parquet").to_dicts():
        part = slice_of(row["held_out"], row["wording"])
        variants = found.setdefault((part, row["item"]), {})
        variants.setdefault((row["wording"], row["order"]), []).append(row["probability"])
        if row["position"] == 1:
            outside[part].append(row["outside"])
            inside.setdefault((part, row["item"]), []).append(1 - row["outside"])
    single = {key: np.array(list(variants.values())) for key, variants in found.items()}
    for (_, item), rows in single.items():
        _require_probabilities(named["model"], item, rows)
    answers = Answers(
        named["model"],
        named["community"],
        {key: rows / rows.sum(axis=1, keepdims=True) for key, rows in single.items()},
        {part: float(np.mean(masses)) for part, masses in outside.items() if masses},
        {key: float(np.mean(masses)) for key, masses in inside.items()},
    )
    return answers, named.get("told")


def _require_probabilities(model: str, item: str, rows: Array) -> None:
    """Raises MethodError where a reading cannot be divided by its sum."""
    if not (np.isfinite(rows).all() and (rows >= 0).all() and (rows.sum(axis=1) > 0).all()):
        raise MethodError(
            f"the answers of {model} to item {item} are no probabilities",
            why="each must be a number of at least 0, and not all of an item may be 0",
            mend="score the model again; if it stays so, its weights hold infinite numbers",
        )


def require_same_questionnaire(models: Sequence[Answers], items: Mapping[str, Item]) -> None:
    """Raises MethodError where a model was scored on other items than the questionnaire has."""
    asked = {(part, item.id) for part in SLICES for item in items_of(part, items)}
    for model in models:
        every = model.told.values() or (model,)
        if differing := next((d for one in every if (d := asked ^ set(one.single))), None):
            raise MethodError(
                f"{model.label} did not answer this questionnaire",
                why=f"item {min(differing)[1]} differs, or whether it is held out",
                mend="score the model on the questionnaire that the evaluation names",
            )


def items_of(part: Slice, items: Mapping[str, Item]) -> list[Item]:
    """The items that a slice reports."""
    return [item for item in items.values() if item.held_out == (part == "unseen questions")]


def uniform_answer(item: Item) -> Array:
    """Every option alike."""
    flat: Array = np.full(len(item.options), 1 / len(item.options))
    return flat


def mean_of_others(item: Item, others: Iterable[Item], table: Mapping[str, Array]) -> Array:
    """The mean answer to the *other* asked items among some; uniform where there is none."""
    found = [table[one.id] for one in others if one.id != item.id and not one.held_out]
    if not found:
        return uniform_answer(item)
    mean: Array = np.stack(found).mean(axis=0)
    return mean


def battery_mean(item: Item, items: Mapping[str, Item], table: Mapping[str, Array]) -> Array:
    """The mean answer to the *other* asked items of a battery; uniform where there is none."""
    return mean_of_others(item, [o for o in items.values() if o.battery == item.battery], table)


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
        return uniform_answer(item)

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
    """A model as a predictor: the same whoever is asked about, unless it is told."""
    return partial(_answer, model)


def _answer(model: Answers, part: Slice, item: Item, community: str) -> Array:
    return model.mean(part, item.id, community)
