"""Planted answers, in a world of two communities where every figure is known beforehand."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.evaluation import pluralism
from assets.evaluation.pluralism import Params
from assets.opinion_tables import COLUMNS
from assets.rows import read_rows, write_rows
from registry.context import Input, ProfileView

if TYPE_CHECKING:
    from tests.assets.conftest import Build

OPTIONS = {"one": "XYZ", "two": "XYZ", "three": "XYZ", "four": "XY", "five": "XY"}
BATTERIES = {"one": "p", "two": "p", "three": "p", "four": "q", "five": "r"}
HELD_OUT = {"three", "five"}
LEARNED = {
    "north": {
        "one": (0.6, 0.3, 0.1),
        "two": (0.2, 0.2, 0.6),
        "three": (0.3, 0.3, 0.4),
        "four": (0.9, 0.1),
        "five": (0.4, 0.6),
    },
    "south": {
        "one": (0.1, 0.3, 0.6),
        "two": (0.4, 0.4, 0.2),
        "three": (0.5, 0.4, 0.1),
        "four": (0.3, 0.7),
        "five": (0.7, 0.3),
    },
}
HELD = {
    "north": {
        "one": (0.5, 0.4, 0.1),
        "two": (0.3, 0.2, 0.5),
        "three": (0.2, 0.2, 0.6),
        "four": (0.8, 0.2),
        "five": (0.5, 0.5),
    },
    "south": {
        "one": (0.2, 0.2, 0.6),
        "two": (0.4, 0.3, 0.3),
        "three": (0.6, 0.3, 0.1),
        "four": (0.4, 0.6),
        "five": (0.8, 0.2),
    },
}
FLOOR = "own table (noise floor)"
BEST = "best single predictor (sees the answers)"
Planted = Callable[[str, str, str], tuple[float, ...]]
"""Item, wording and order to the option probabilities of a model."""


def uniform(item: str, _: str = "", __: str = "") -> tuple[float, ...]:
    return (1 / len(OPTIONS[item]),) * len(OPTIONS[item])


def write_table(path: Path, shares: Mapping[str, tuple[float, ...]], n: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        for item, values in shares.items():
            for index, value in enumerate(values):
                option = OPTIONS[item][index]
                writer.writerow((item, option, index + 1, round(n * value), value, n, n, ""))


@dataclass(frozen=True)
class World:
    """A questionnaire, two communities, and a way to plant models."""

    build: Build
    questionnaire: Path
    profiles: tuple[ProfileView, ...]

    def plant(
        self, name: str, community: str | None, planted: Planted, outside: float = 0.0
    ) -> Input:
        """The answers of one model, as `option-probabilities` writes them."""
        folder = self.build(Params()).out
        rows = [
            {
                "item": item,
                "wording": wording,
                "held_out": item in HELD_OUT,
                "order": order,
                "option": option,
                "position": position,
                "probability": probability * (1 - outside),
                "outside": outside,
            }
            for item, options in OPTIONS.items()
            for wording in ("a", "b", "unseen")
            for order in ("forward", "reversed")
            for position, (option, probability) in enumerate(
                zip(options, planted(item, wording, order), strict=True), 1
            )
        ]
        write_rows(folder / "probabilities.parquet", rows)
        (folder / "model.json").write_text(json.dumps({"model": name, "community": community}))
        return Input("option-probabilities", community, folder)

    def evaluate(self, *models: Input, **params: Any) -> Evaluated:
        """Runs the evaluation."""
        inputs = {"answers": list(models), "questionnaire": self.questionnaire}
        context = self.build(Params(**params), inputs=inputs, profiles=self.profiles)
        pluralism.run(context)
        rows = read_rows(context.out / "scores.parquet").to_dicts()
        return Evaluated(context.out, rows)


@dataclass(frozen=True)
class Evaluated:
    """What an evaluation wrote."""

    files: Path
    rows: list[dict[str, Any]]

    def row(self, part: str, community: str, label: str, metric: str = "tv") -> dict[str, Any]:
        (found,) = (
            row
            for row in self.rows
            if (row["slice"], row["community"], row["predictor"], row["metric"])
            == (part, community, label, metric)
        )
        return found

    def value(self, part: str, community: str, label: str, metric: str = "tv") -> float:
        return float(self.row(part, community, label, metric)["value"])

    @property
    def summary(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads((self.files / "summary.json").read_text())
        return loaded


def planted_world(build: Build, root: Path) -> World:
    """The questionnaire and both communities, without any model."""
    questionnaire = build(Params()).out
    rows = [
        {
            "battery": BATTERIES[item],
            "item": item,
            "wording": wording,
            "options": list(options),
            "held_out": item in HELD_OUT,
        }
        for item, options in OPTIONS.items()
        for wording in ("a", "b", "unseen")
    ]
    write_rows(questionnaire / "items.parquet", rows)
    for community, learned in LEARNED.items():
        write_table(root / community / "opinions.csv", learned, 400)
        write_table(root / community / "evaluation" / "opinions.csv", HELD[community], 400)
    tables = ("opinions.csv", "evaluation/opinions.csv")
    profiles = tuple(
        ProfileView(name, f"respondents of the {name}", root / name, tables, {}) for name in LEARNED
    )
    return World(build, questionnaire, profiles)
