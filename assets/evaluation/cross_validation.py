"""Cross-validation of opinion training: what models say of questions that they did not learn from.

Items, whole batteries or wordings are dealt into parts. For each part, seed, learner (each
community by itself, and all of them pooled) and way to learn, a model learns from the other parts
and is asked about this one. Its probabilities and losses are kept, its weights never. Each of these
models is kept as it ends, so that a run that was stopped repeats none of them.

Nothing of people held out is read. So a way to learn may be chosen here, by the distance to the
shares that were learned from: `trials.md` has every one that was tried.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from assets.alignment.adapter import enrol
from assets.alignment.examples import Example
from assets.alignment.opinion_sft import Params as Training
from assets.alignment.opinion_sft import batches, train
from assets.compute import LIBRARIES
from assets.rows import read_rows, write_rows
from assets.sources.questionnaire import MIXED
from assets.synthesis.sampling import seed_of
from registry.artifact import digest_of, write_atomically
from registry.errors import MethodError
from registry.method import Method, Role
from registry.profile_tables import held_out
from registry.typed import Frozen

if TYPE_CHECKING:
    from assets.alignment.adapter import Pupil
    from registry.context import Context

Row = Mapping[str, Any]
POOLED = "pooled"
"""The learner that learns from all communities at once."""
_FEWEST = 2


class Params(Frozen):
    """What is left out together, and how models learn."""

    leave_out: Literal["items", "batteries", "wordings"] = "items"
    """Whether single items are left out, of whose batteries others are learned, or whole ones, or
    all questions in one wording, also where its stem or phrase is mixed with others."""
    parts: int = Field(default=4, ge=2)
    """How many parts items or batteries are dealt into; each wording is a part."""
    asked_share: float = Field(default=1.0, gt=0, le=1)
    """The share of items that are used at all, decided by their ids: a search for a way to learn
    should leave some for later."""
    only_pooled: bool = False
    """Whether only the pooled learner is tried, which is enough to search for a way to learn."""
    seeds: tuple[int, ...] = Field(default=(0,), min_length=1)
    """Models of each learner and part; their figures are averaged."""
    trials: dict[str, Training] = Field(
        default={"plain": Training(steps=400, checkpoint_every=0)}, min_length=1
    )
    """The ways to learn, by name."""
    batch_size: int = Field(default=16, ge=1)
    """Prompts at once when a model is asked."""

    @model_validator(mode="after")
    def _nothing_is_resumed_within(self) -> Self:
        for name, training in self.trials.items():
            if training.checkpoint_every or training.weights:
                raise ValueError(
                    f"`trials.{name}` takes no `checkpoint_every` and no `weights`: each model is "
                    "kept as it ends, and communities count alike"
                )
        return self


class Unit(NamedTuple):
    """One model of the cross-validation."""

    trial: str
    learner: str
    part: int
    seed: int

    @property
    def name(self) -> str:
        """What it is known by."""
        return f"{self.trial}-{self.learner}-{self.part}-{self.seed}"


@dataclass(frozen=True)
class Material:
    """The prompts with shares, and in which part each item or wording stands."""

    rows: Sequence[Row]
    parts: Mapping[str, int]
    column: Literal["item", "wording"] = "item"

    @property
    def communities(self) -> list[str]:
        """Whose shares there are."""
        return sorted({row["community"] for row in self.rows})

    def learned(self, unit: Unit) -> dict[str, list[Example]]:
        """What a model learns from, by community."""
        found: dict[str, list[Example]] = {}
        for row in self.rows:
            own = unit.learner in (POOLED, row["community"])
            if own and unit.part not in self._parts(row):
                example = Example(row["community"], row["prompt"], tuple(row["shares"]), row["n"])
                found.setdefault(example.community, []).append(example)
        return found

    def asked(self, unit: Unit) -> list[Row]:
        """What a model is asked: each prompt of its part once."""
        found = {row["prompt"]: row for row in self.rows if self._parts(row) == {unit.part}}
        return list(found.values())

    def _parts(self, row: Row) -> set[int]:
        """The parts that a row is of; a mixed wording is of two."""
        return {self.parts[name] for name in str(row[self.column]).split(MIXED)}


def deal(batteries: Mapping[str, str], params: Params, seed: int) -> dict[str, int]:
    """The part of each item.

    Items of a battery are dealt out one after the other, so that every part has some of each;
    whole batteries go to the part that is smallest so far, the largest battery first.

    Args:
        batteries: The battery of each item.
        params: What is left out together.
        seed: Decides among equals.

    Raises:
        MethodError: There are fewer items, or batteries, than parts.
    """
    source = random.Random(seed)  # noqa: S311 - which items go together is no secret
    members: dict[str, list[str]] = {}
    for item in sorted(batteries):
        members.setdefault(batteries[item], []).append(item)
    whole = params.leave_out == "batteries"
    count = len(members) if whole else len(batteries)
    if count < params.parts:
        raise MethodError(
            f"{count} {params.leave_out} cannot be dealt into {params.parts} parts",
            mend="lower params.parts",
        )
    names = sorted(members)
    source.shuffle(names)
    if whole:
        sizes = [0] * params.parts
        found: dict[str, int] = {}
        for name in sorted(names, key=lambda one: -len(members[one])):
            part = sizes.index(min(sizes))
            sizes[part] += len(members[name])
            found |= dict.fromkeys(members[name], part)
        return found
    order = [item for name in names for item in source.sample(members[name], len(members[name]))]
    return {item: place % params.parts for place, item in enumerate(order)}


def run(context: Context) -> None:
    """Trains and asks every model."""
    params = context.typed(Params)
    material = _material(context, params)
    learners = material.communities
    if len(learners) >= _FEWEST:
        learners = [POOLED] if params.only_pooled else [*learners, POOLED]
    units = [
        Unit(trial, learner, part, seed)
        for trial in params.trials
        for learner in learners
        for part in sorted(set(material.parts.values()))
        for seed in params.seeds
    ]
    answers: list[dict[str, Any]] = []
    losses: list[dict[str, Any]] = []
    for done, unit in enumerate(units):
        found = _kept(context, params, material, unit, done, len(units))
        named = unit._asdict()
        answers += [named | row for row in found["answers"]]
        losses += [named | {"step": step, "loss": loss} for step, loss in found["losses"]]
    write_rows(context.out / "probabilities.parquet", answers)
    write_rows(context.out / "losses.parquet", losses)
    rows = tried(answers, losses, material)
    write_rows(context.out / "trials.parquet", rows)
    (context.out / "trials.md").write_text(_page(rows, params.leave_out), encoding="utf-8")
    told = {
        "schema_version": 1,
        "leave_out": params.leave_out,
        "trials": sorted(params.trials),
        "parts": material.parts,
        "communities": material.communities,
    }
    (context.out / "parts.json").write_text(json.dumps(told, indent=2, sort_keys=True) + "\n")


def _material(context: Context, params: Params) -> Material:
    rows = [
        row
        for given in context.inputs("items")
        for row in read_rows(given.files / "items.parquet").to_dicts()
        if held_out("asked", row["item"], params.asked_share)
    ]
    if params.leave_out == "wordings":
        names = sorted({row["wording"] for row in rows if MIXED not in row["wording"]})
        if len(names) < _FEWEST:
            raise MethodError(
                "there are fewer than two wordings to leave out",
                mend="give items in several wordings, or leave out items",
            )
        return Material(rows, {name: part for part, name in enumerate(names)}, "wording")
    parts = deal({row["item"]: row["battery"] for row in rows}, params, context.seed)
    return Material(rows, parts)


def tried(
    answers: Sequence[Row], losses: Sequence[Row], material: Material
) -> list[dict[str, Any]]:
    """For each way to learn and learner the distance of what was left out to what others learned.

    Readings of an item are averaged over wordings and orders, then distances over items and seeds.
    """
    shares: dict[tuple[str, str], dict[str, float]] = {}
    for row in material.rows:
        found = dict(zip(row["options"], row["shares"], strict=True))
        shares[row["community"], row["item"]] = found
    readings: dict[tuple[Any, ...], dict[str, list[float]]] = {}
    for row in answers:
        key = (row["trial"], row["learner"], row["seed"], row["part"], row["item"])
        readings.setdefault(key, {}).setdefault(row["option"], []).append(row["probability"])
    apart: dict[tuple[str, str], list[float]] = {}
    for (trial, learner, _, _, item), options in readings.items():
        whole = sum(map(sum, options.values()))
        for community in material.communities if learner == POOLED else [learner]:
            goal = shares[community, item]
            tv = sum(abs(sum(found) / whole - goal[o]) for o, found in options.items()) / 2
            apart.setdefault((trial, learner), []).append(tv)
    last: dict[tuple[str, str], list[float]] = {}
    for row in losses:
        last.setdefault((row["trial"], row["learner"]), []).append(row["loss"])
    return [
        {
            "trial": trial,
            "learner": learner,
            "tv": sum(found) / len(found),
            "distances": len(found),
            "lowest_loss": min(last[trial, learner]),
        }
        for (trial, learner), found in apart.items()
    ]


def _page(rows: Sequence[Row], leave_out: str) -> str:
    lines = [
        f"Mean total variation to the shares learned from, {leave_out} left out. Nothing of people",
        "held out was read.",
        "",
        "| way to learn | learner | distance | lowest loss |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {r['trial']} | {r['learner']} | {r['tv']:.3f} | {r['lowest_loss']:.3f} |" for r in rows
    ]
    return "\n".join(lines) + "\n"


def _kept(
    context: Context, params: Params, material: Material, unit: Unit, done: int, whole: int
) -> dict[str, Any]:
    """What one model said, from an earlier attempt where it came so far."""
    folder = context.work / "units"
    path = folder / f"{digest_of(unit.name)[:24]}.json"  # names of trials are free text
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        found = _train(context, params, material, unit, done, whole)
        write_atomically(path, json.dumps(found).encode())
    kept: dict[str, Any] = json.loads(path.read_bytes())
    context.progress(done + 1, whole)
    return kept


def _train(
    context: Context, params: Params, material: Material, unit: Unit, done: int, whole: int
) -> dict[str, Any]:
    training = params.trials[unit.trial]
    learned, asked = material.learned(unit), material.asked(unit)
    prompts = {example.prompt for examples in learned.values() for example in examples}
    options = max(len(row["shares"]) for row in material.rows)
    seed = seed_of(context.seed, unit.name)
    every = sorted(prompts | {row["prompt"] for row in asked})
    quiet = replace(context, events=None, seed=seed)
    pupil = enrol(quiet, training, every, options, 0, training.adapter_dropout)
    source = batches(
        learned, dict.fromkeys(sorted(learned), 1.0), training.batch_size,
        random.Random(seed),  # noqa: S311 - the order of prompts is no secret
    )  # fmt: skip

    def tell(step: int, figures: Mapping[str, float]) -> None:
        steps = training.steps
        context.progress(done * steps + step, whole * steps, loss=figures["loss"])

    curve = train(pupil, source, training, seed, context.work / "none.pt", tell)
    return {
        "answers": list(_ask(pupil, asked, params.batch_size)),
        "losses": [(row["step"], row["loss"]) for row in curve],
    }


def _ask(pupil: Pupil, asked: Sequence[Row], size: int) -> Iterator[dict[str, Any]]:
    """The model's probability of each option of each prompt, in the questionnaire's order."""
    import torch

    pupil.model.eval()
    for start in range(0, len(asked), size):
        rows = asked[start : start + size]
        with torch.inference_mode():
            logits = pupil.logits(pupil.model, [pupil.ids[row["prompt"]] for row in rows])
        found = logits.float().softmax(dim=-1)[:, pupil.letters].cpu().tolist()
        for row, shown in zip(rows, found, strict=True):
            for option, probability in zip(row["options"], shown, strict=False):
                yield {
                    "item": row["item"],
                    "wording": row["wording"],
                    "order": row["order"],
                    "option": option,
                    "probability": probability,
                }


method = Method(
    name="opinion-cross-validation",
    kind="evaluation",
    description="What models say of questions, or whole batteries, that they did not learn from.",
    params=Params,
    run=run,
    inputs={
        "base": Role("model", "the model that each starts from", form="language model"),
        "items": Role("dataset", "prompts with shares, of one or more communities", many=True),
    },
    use="train-sft",
    libraries=(*LIBRARIES, "peft", "polars"),
)
