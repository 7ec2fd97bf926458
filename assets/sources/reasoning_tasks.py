"""Tasks of reasoning-gym, each with an answer that a verifier can check.

A row's prompt is the generator's question, its completion the reference answer alone: generators
give no worked solutions. Generators are split by name into those that models learn from and those
that are held out, so that no evaluation asks what was trained on. A question that came before, or
whose own answer the verifier refuses, goes to `rejected.parquet`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from assets.rows import (
    LIBRARIES,
    REJECTED,
    ROWS,
    reason_schema,
    row_id,
    row_schema,
    turned_away,
    write_rows,
)
from assets.sources.verifiers import LIBRARIES as GENERATOR_LIBRARIES
from assets.sources.verifiers import REFUSED, require_task, verify, write_entry
from registry.artifact import digest_of
from registry.errors import MethodError, UsageError
from registry.method import Method
from registry.strict_yaml import nearest
from registry.typed import Frozen

if TYPE_CHECKING:
    from registry.context import Context

HELD_OUT = (
    "advanced_geometry", "color_cube_rotation", "count_bits", "dice", "isomorphic_strings", "lcm",
    "letter_jumble", "needle_haystack", "polynomial_equations", "products", "ransom_note",
    "syllogism", "word_sequence_reversal", "zebra_puzzles",
)  # fmt: skip
"""Generators that no model learns from, unless a declaration says otherwise."""
_TRIES = 4
"""How many questions are drawn for one that is kept, before a generator is taken as used up."""


def _read_setting(value: Any) -> Any:
    """A setting as YAML gives it, which is text, in the type that it looks like."""
    if isinstance(value, list | tuple):
        return [_read_setting(one) for one in value]
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


Setting = Annotated[Any, BeforeValidator(_read_setting)]


class TaskGenerator(Frozen):
    """One generator, and what is drawn from it."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    """Its name in reasoning-gym."""
    rows: int = Field(default=25, ge=1, le=1_000_000)
    """How many rows to draw at each level."""
    levels: tuple[Annotated[int, Field(ge=1, le=100)], ...] = Field(default=(1,), min_length=1)
    """Levels of the generator's own curriculum, 1 the easiest; they are rows' `difficulty`."""
    settings: dict[str, Setting] = Field(default_factory=dict)
    """Parameters of the generator, beyond what a level sets."""
    seed: int | None = Field(default=None, ge=0, le=2**31 - 1)
    """The seed of its questions; else it follows from the node's seed, the name and the level."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if self.name in REFUSED:
            raise ValueError(f"{self.name} is not used: {REFUSED[self.name]}")
        if taken := sorted({"seed", "size"} & set(self.settings)):
            raise ValueError(f"`{taken[0]}` is no setting; use `seed` or `rows` beside it")
        return self


class Params(Frozen):
    """Which tasks."""

    generators: tuple[TaskGenerator, ...] = Field(min_length=1)
    """The generators to draw from."""
    side: Literal["train", "held-out"] = "train"
    """Whether models may learn from the rows, or only be measured on them."""
    held_out: tuple[str, ...] = HELD_OUT
    """Generators that no model learns from."""
    longest_prompt: int = Field(default=1500, ge=50)
    """Characters of a prompt; a longer one is left out."""

    @model_validator(mode="after")
    def _split_by_name(self) -> Self:
        names = [generator.name for generator in self.generators]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"{twice[0]} is named twice; give it more rows or levels instead")
        for name in names:
            if self.side == "train" and name in self.held_out:
                raise ValueError(f"{name} is held out; no model may learn from it")
            if self.side == "held-out" and name not in self.held_out:
                raise ValueError(f"{name} is not held out; name it under `held_out` as well")
        return self


def task_schema() -> dict[str, Any]:
    """The columns of verifiable tasks."""
    import polars

    text = polars.String
    return row_schema() | {
        "task": text,
        "answer": text,
        "entry": text,
        "difficulty": polars.Float64,
    }


def open_generator(generator: TaskGenerator, level: int, seed: int, rows: int) -> Any:
    """A generator of reasoning-gym at a level; raises UsageError where it does not take that."""
    from reasoning_gym.factory import CURRICULA, DATASETS

    require_task(generator.name)
    _, configuration = DATASETS[generator.name]
    where = f"generator {generator.name}"
    known = [f.name for f in dataclasses.fields(configuration) if f.name not in ("seed", "size")]
    for name in generator.settings:
        if name not in known:
            mend = nearest(name, known) or "known: " + ", ".join(known)
            raise UsageError(f"takes no setting {name!r}", where=where, mend=mend)
    defaults = {"seed": seed, "size": rows}
    if generator.name in CURRICULA:
        curriculum = CURRICULA[generator.name]()
        highest = max((len(a.levels) for a in curriculum.attributes.values()), default=1)
        _require_level(level, highest, where)
        curriculum.set_global_level(level - 1)
        found = curriculum.generate_configuration(defaults)
    else:
        _require_level(level, 1, where)
        found = configuration(**defaults)
    try:
        found = dataclasses.replace(found, **generator.settings)
        return DATASETS[generator.name][0](config=found)
    except (AssertionError, TypeError, ValueError) as error:
        raise UsageError(
            f"cannot be set up: {error or 'a setting is out of range'}",
            where=where,
            mend="change `settings` or `levels`",
        ) from None


def _require_level(level: int, highest: int, where: str) -> None:
    if level > highest:
        raise UsageError(f"has no level {level}; its highest is {highest}", where=where)


def draw(
    generator: TaskGenerator, level: int, node_seed: int, longest: int, seen: dict[str, str]
) -> Iterator[tuple[dict[str, Any], str]]:
    """Rows of a generator, each with the reason to leave it out, or an empty text.

    `seen` holds every question so far and the id of its row; it grows. Generators draw anew until
    enough rows are kept, or `_TRIES` times as many questions were drawn.
    """
    derived = int(digest_of([node_seed, generator.name, level])[:7], 16)
    seed = derived if generator.seed is None else generator.seed
    most = generator.rows * _TRIES
    questions = open_generator(generator, level, seed, most)
    kept = 0
    for index in range(most):
        if kept == generator.rows:
            return
        row = _row(generator.name, questions[index], level)
        reason = _reason(row, longest, seen)
        seen.setdefault(row["prompt"], row["row_id"])
        kept += not reason
        yield row, reason


def _row(task: str, entry: dict[str, Any], level: int) -> dict[str, Any]:
    answer = entry["answer"]
    if not isinstance(answer, str):
        raise MethodError(f"the generator {task} gives no reference answer", mend="take another")
    return {
        "row_id": row_id("reasoning-gym", [task, entry["question"], answer]),
        "parents": [],
        "prompt": entry["question"],
        "completion": answer,
        "source": f"reasoning-gym:{task}",
        "community": None,
        "task": task,
        "answer": answer,
        "entry": write_entry(entry),
        "difficulty": float(level),
    }


def _reason(row: dict[str, Any], longest: int, seen: dict[str, str]) -> str:
    if row["prompt"] in seen:
        return "the question came before"
    if len(row["prompt"]) > longest:
        return f"the prompt is longer than {longest} characters"
    if not verify(row["task"], row["entry"], row["completion"]):
        return "the verifier refuses the reference answer"
    return ""


def run(context: Context) -> None:
    """Draws the tasks."""
    params = context.typed(Params)
    parts = [(generator, level) for generator in params.generators for level in generator.levels]
    rows: list[dict[str, Any]] = []
    rejected: list[dict[str, Any]] = []
    seen: dict[str, str] = {}
    for done, (generator, level) in enumerate(parts, 1):
        for row, reason in draw(generator, level, context.seed, params.longest_prompt, seen):
            if reason:
                away = turned_away(row["row_id"], reason, caused_by=seen[row["prompt"]])
                rejected.append({**row, **away})
            else:
                rows.append(row)
        context.progress(done, len(parts))
    if not rows:
        raise MethodError("no generator gave a row that can be kept", mend="raise `longest_prompt`")
    write_rows(context.out / ROWS, rows, task_schema())
    write_rows(context.out / REJECTED, rejected, task_schema() | reason_schema())


method = Method(
    name="reasoning-tasks",
    kind="dataset",
    description="Reasoning tasks with answers that a verifier checks, drawn from generators.",
    params=Params,
    run=run,
    libraries=(*LIBRARIES, *GENERATOR_LIBRARIES),
    limits=(
        "Its tasks come from programs: right, but narrow, in English, and unlike what people ask.",
    ),
)
