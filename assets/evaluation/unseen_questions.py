"""Does a model know anything of a question that nobody asked? Beside the mean of its battery.

Arithmetic over `opinion-cross-validation`. A table that says of a new question what people said of
the others of its battery is the one to beat. A shrunken model lies between that table and the
model; how far is chosen on the other parts, by the shares that models learned from, and not going
towards the model at all is among the choices. "Cannot be told apart" is a result.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from assets.evaluation.cross_validation import POOLED
from assets.evaluation.distances import Array, total_variation
from assets.evaluation.predictors import Item, read_items, uniform_answer
from assets.evaluation.resampling import (
    distances,
    flip_clusters,
    holm,
    interval,
    normal_p,
    resample,
    shares_of,
    widening,
)
from assets.opinion_tables import OpinionTable, read_still_told
from assets.rows import LIBRARIES, read_rows, write_rows
from registry.errors import MethodError
from registry.method import Method, Role
from registry.typed import Frozen

if TYPE_CHECKING:
    from registry.context import Context, Input

OWN, TABLE, POOLED_TABLE = "own model", "own battery mean", "pooled battery mean"
POOLED_MODEL, FLOOR, UNIFORM = "pooled model", "own table (noise floor)", "uniform"
SHRUNK, POOLED_SHRUNK = "own model, shrunk", "pooled model, shrunk"
_HOLM = (
    "p for other people, and for other batteries, over all lines (Holm). Where an interval holds 0 "
    "the two cannot be told apart."
)
Tables = Mapping[str, Mapping[str, Array]]
"""For each community the shares of each item."""
Answers = Mapping[str, Array]
"""For each item what one answerer says of it."""


class Params(Frozen):
    """How far models are shrunk, and how sure figures are made."""

    shrinkage: tuple[float, ...] = Field(default=(0.0, 0.25, 0.5, 0.75, 1.0), min_length=2)
    """How much of a model may be taken; the rest is the battery's mean. 0 takes none of it."""
    resamples: int = Field(default=1000, ge=50)
    """Draws of new respondents, for the intervals."""
    flips: int = Field(default=10_000, ge=100)
    """Draws of batteries that change sides, at most."""
    item_correlation: float = Field(default=0.08, ge=0, le=1)
    """As in `pluralism`."""


@dataclass(frozen=True)
class Validated:
    """What models said in one cross-validation."""

    leave_out: str
    parts: Mapping[str, int]
    communities: Sequence[str]
    said: Mapping[str, Mapping[int, Answers]]
    """For each learner and seed what it said of each item, over wordings and orders."""


def read_validated(given: Input) -> Validated:
    """What a cross-validation kept."""
    told = json.loads((given.files / "parts.json").read_bytes())
    if told["leave_out"] == "wordings" or len(told["trials"]) > 1:
        raise MethodError(
            "leaves out wordings, or tries several ways to learn",
            where=given.label,
            mend="give a cross-validation of items or batteries with one way to learn",
        )
    shown: dict[tuple[str, int, str], dict[tuple[str, str], dict[str, float]]] = {}
    for row in read_rows(given.files / "probabilities.parquet").to_dicts():
        key = (row["learner"], row["seed"], row["item"])
        reading = shown.setdefault(key, {}).setdefault((row["wording"], row["order"]), {})
        reading[row["option"]] = row["probability"]
    said: dict[str, dict[int, dict[str, Array]]] = {}
    for (learner, seed, item), readings in shown.items():
        first = sorted(next(iter(readings.values())))
        found = np.array([[one[option] for option in first] for one in readings.values()])
        mean: Array = (found / found.sum(axis=1, keepdims=True)).mean(axis=0)
        said.setdefault(learner, {}).setdefault(seed, {})[item] = mean
    return Validated(told["leave_out"], told["parts"], told["communities"], said)


def in_order(item: Item, answer: Array) -> Array:
    """An answer with its options as the questionnaire has them, not sorted by their names."""
    names = sorted(item.options)
    return np.array([answer[names.index(option)] for option in item.options])


def table_of(
    item: Item, items: Mapping[str, Item], parts: Mapping[str, int], shares: Mapping[str, Array]
) -> Array:
    """What the table says of an item that was left out: the mean of what was not.

    Of its battery, where some of it was learned; otherwise of all items with as many options,
    place by place.
    """
    others = [one for one in items.values() if one.id in parts and parts[one.id] != parts[item.id]]
    near = [shares[one.id] for one in others if one.battery == item.battery]
    alike = [shares[one.id] for one in others if len(one.options) == len(item.options)]
    found = near or alike
    return np.mean(found, axis=0) if found else uniform_answer(item)


def shrunk(
    model: Answers,
    table: Answers,
    learned: Mapping[str, Array],
    parts: Mapping[str, int],
    choices: Sequence[float],
) -> tuple[dict[str, Array], dict[int, float]]:
    """A model moved towards a table, each part by what is best on the others.

    Returns:
        The answers, and for each part how much of the model was taken.
    """
    costs = {
        choice: {
            item: float(total_variation(choice * model[item] + (1 - choice) * table[item], goal))
            for item, goal in learned.items()
            if item in model
        }
        for choice in choices
    }
    taken = {}
    for part in sorted(set(parts.values())):
        inner = [item for item in model if parts[item] != part]
        taken[part] = min(choices, key=lambda c: (np.mean([costs[c][i] for i in inner]), c))
    moved = {
        item: taken[parts[item]] * model[item] + (1 - taken[parts[item]]) * table[item]
        for item in model
    }
    return moved, taken


class Unseen:
    """Every answerer on the items of one cross-validation, for one community."""

    def __init__(
        self, found: Validated, items: Mapping[str, Item], learned: Tables, choices: Sequence[float]
    ) -> None:
        self.items = {item: items[item] for item in found.parts if item in items}
        self.found, self.learned, self.choices = found, learned, choices
        pooled: dict[str, Array] = {
            item: np.mean([table[item] for table in learned.values()], axis=0)
            for item in self.items
        }
        self.pooled = pooled

    def answers(self, community: str) -> tuple[dict[str, list[Answers]], dict[str, Any]]:
        """For each answerer its answers, one for each seed; and how far models were shrunk."""
        parts, own = self.found.parts, self.learned[community]
        tables = {
            TABLE: {i: table_of(item, self.items, parts, own) for i, item in self.items.items()},
            POOLED_TABLE: {
                i: table_of(item, self.items, parts, self.pooled) for i, item in self.items.items()
            },
        }
        said: dict[str, list[Answers]] = {
            UNIFORM: [{i: uniform_answer(item) for i, item in self.items.items()}],
            **{name: [table] for name, table in tables.items()},
            FLOOR: [{item: own[item] for item in self.items}],
        }
        taken: dict[str, Any] = {}
        for name, moved, learner, table in (
            (OWN, SHRUNK, community, TABLE),
            (POOLED_MODEL, POOLED_SHRUNK, POOLED, POOLED_TABLE),
        ):
            if learner not in self.found.said:
                continue
            models = [
                {i: in_order(self.items[i], answer) for i, answer in one.items() if i in self.items}
                for one in self.found.said[learner].values()
            ]
            goal = own if name == OWN else self.pooled
            nearer = [shrunk(one, tables[table], goal, parts, self.choices) for one in models]
            said |= {name: [*models], moved: [answers for answers, _ in nearer]}
            taken[moved] = [found for _, found in nearer]
        return said, taken


def compared(
    said: Mapping[str, Sequence[Answers]],
    items: Mapping[str, Item],
    held: Mapping[str, OpinionTable],
    params: Params,
    source: np.random.Generator,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Each answerer's distance to people held out, and models minus tables; seeds first."""
    told = sorted(set(items) & set(held))
    redrawn = list(resample({i: held[i] for i in told}, params.resamples, source).values())
    goal = shares_of(held)
    wide = widening(len(told), params.item_correlation)
    each: dict[str, Array] = {}
    again: dict[str, Array] = {}
    for name, seeds in said.items():
        each[name] = np.mean(
            [[total_variation(one[i], goal[i]) for i in told] for one in seeds], axis=0
        )
        lines = [np.stack([one[i] for one in seeds]) for i in told]
        again[name] = distances(lines, redrawn).mean(axis=0)
    people = min(held[item].n for item in told)
    figures = []
    for name, values in each.items():
        low, high = interval(float(values.mean()), again[name], wide)
        figures.append({
            "answerer": name, "tv": float(values.mean()), "low": low, "high": high,
            "items": len(told), "people": people,
        })  # fmt: skip
    clusters = [items[item].battery for item in told]
    rows = []
    models = [name for name in (OWN, SHRUNK, POOLED_MODEL, POOLED_SHRUNK) if name in each]
    for name, rival in product(models, (TABLE, POOLED_TABLE)):
        apart = each[name] - each[rival]
        value, spread = float(apart.mean()), again[name] - again[rival]
        low, high = interval(value, spread, wide)
        test = flip_clusters(apart[None], clusters, params.flips, source)[0]
        rows.append({
            "answerer": name, "rival": rival, "difference": value, "low": low, "high": high,
            "p_people": normal_p(value, spread, wide), "p_batteries": test.p,
            "smallest_p": test.smallest, "batteries": test.clusters,
        })  # fmt: skip
    return figures, rows


def _told(context: Context, file: str, items: Mapping[str, Item]) -> Iterator[tuple[str, Any]]:
    options = {item.id: item.options for item in items.values()}
    for profile in context.profiles:
        path = profile.table(file)
        yield profile.id, read_still_told(path, options)


def run(context: Context) -> None:
    """Compares models with tables on what they did not learn from."""
    params = context.typed(Params)
    items = read_items(context.input("questionnaire").files)
    learning = dict(_told(context, "opinions.csv", items))
    held = dict(_told(context, "evaluation/opinions.csv", items))
    every = set.intersection(*(set(table) for table in [*learning.values(), *held.values()]))
    learned = {name: shares_of(table) for name, table in learning.items()}
    source = np.random.default_rng(context.seed)
    figures: list[dict[str, Any]] = []
    comparisons: list[dict[str, Any]] = []
    shrinkage: dict[str, Any] = {}
    for given in context.inputs("answers"):
        found = read_validated(given)
        if absent := sorted(set(found.communities) - set(held)):
            raise MethodError(
                f"holds answers for {absent[0]}, whose profile this node does not read",
                where=given.label,
                mend="name the same `communities` in both declarations",
            )
        unseen = Unseen(
            found, {i: items[i] for i in items if i in every}, learned, params.shrinkage
        )
        for community in found.communities:
            said, taken = unseen.answers(community)
            head = {"left_out": found.leave_out, "community": community}
            some, more = compared(said, unseen.items, held[community], params, source)
            figures += [head | row for row in some]
            comparisons += [head | row for row in more]
            shrinkage[f"{found.leave_out}, {community}"] = taken
    for which in ("p_people", "p_batteries"):
        for row, p in zip(comparisons, holm([row[which] for row in comparisons]), strict=True):
            row[f"{which}_holm"] = float(p)
    write_rows(context.out / "figures.parquet", figures)
    write_rows(context.out / "comparisons.parquet", comparisons)
    (context.out / "shrinkage.json").write_text(json.dumps(shrinkage, indent=2) + "\n")
    (context.out / "unseen.md").write_text(page(figures, comparisons), encoding="utf-8")
    headline = {
        f"{r['community']}, {r['left_out']} left out: {r['answerer']}": r["tv"]
        for r in figures
        if r["answerer"] in (OWN, TABLE)
    }
    (context.out / "headline.json").write_text(json.dumps(headline, indent=2) + "\n")


def page(figures: Sequence[Mapping[str, Any]], comparisons: Sequence[Mapping[str, Any]]) -> str:
    """The figures as Markdown."""
    lines = [
        "# Questions that no model learned from", "",
        "Mean total variation to respondents held out, with 95 % intervals; lower is nearer.",
    ]  # fmt: skip
    for left_out in dict.fromkeys(row["left_out"] for row in figures):
        rows = [row for row in figures if row["left_out"] == left_out]
        communities = list(dict.fromkeys(row["community"] for row in rows))
        cell = {(row["answerer"], row["community"]): row for row in rows}
        lines += ["", f"## {left_out} left out ({rows[0]['items']} items)", ""]
        lines += ["| | " + " | ".join(communities) + " |", "|---" * (len(communities) + 1) + "|"]
        for name in dict.fromkeys(row["answerer"] for row in rows):
            shown = [cell[name, community] for community in communities]
            texts = [f"{row['tv']:.3f} ({row['low']:.3f} to {row['high']:.3f})" for row in shown]
            lines.append("| " + " | ".join([name, *texts]) + " |")
    lines += [
        "", "## Models beside tables", "",
        _HOLM, "",
        "| left out | group | | minus | difference | p people | p batteries |",
        "|---" * 7 + "|",
    ]  # fmt: skip
    lines += [
        f"| {r['left_out']} | {r['community']} | {r['answerer']} | {r['rival']} | "
        f"{r['difference']:+.3f} ({r['low']:+.3f} to {r['high']:+.3f}) | "
        f"{r['p_people_holm']:.3f} | {r['p_batteries_holm']:.3f} |"
        for r in comparisons
    ]
    return "\n".join(lines) + "\n"


method = Method(
    name="unseen-questions",
    kind="evaluation",
    description="Models on questions that they did not learn from, beside the mean of the battery.",
    params=Params,
    run=run,
    inputs={
        "answers": Role("evaluation", "cross-validations", many=True),
        "questionnaire": Role("dataset", "the items in every wording"),
    },
    reads=("opinions.csv", "evaluation/opinions.csv"),
    use="evaluate",
    libraries=(*LIBRARIES, "numpy", "polars"),
)
