"""The answers of several models to the same prompts, as the measures of likeness need them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.diversity.homogeneity import Whole
from assets.rows import read_rows
from registry.errors import MethodError

if TYPE_CHECKING:
    from registry.context import Input

ANSWERS = "answers.parquet"
_NEEDED = ("row_id", "prompt_id", "prompt", "text", "model", "chat_template", "sampling")
_SHOWN = ("temperature", "top_p", "top_k", "min_p")
"""Settings of sampling that tell two ways of asking one model apart."""


@dataclass(frozen=True, order=True)
class Arm:
    """One model asked in one way. The same model asked otherwise is another arm."""

    model: str
    """The model's node."""
    chat_template: bool
    """Whether it was asked through its chat template."""
    sampling: str
    """The settings that its answers were drawn with, as JSON."""

    @property
    def setting(self) -> str:
        """How it was asked, for readers."""
        drawn = json.loads(self.sampling or "{}")
        names = [f"{n.replace('_', '-')} {drawn[n]:g}" for n in _SHOWN if _is_set(drawn, n)]
        return ", ".join(["chat template" if self.chat_template else "bare text", *names])

    @property
    def label(self) -> str:
        """The model and how it was asked."""
        return f"{self.model} ({self.setting})"


def _is_set(drawn: Mapping[str, Any], name: str) -> bool:
    """Whether a setting is there and does anything."""
    off = {"temperature": None, "top_p": 1, "top_k": 0, "min_p": 0}[name]
    return isinstance(drawn.get(name), int | float) and drawn[name] != off


@dataclass(frozen=True)
class Pool:
    """Answers that can be measured, and those that cannot."""

    arms: tuple[Arm, ...]
    prompts: tuple[str, ...]
    """The row ids of the prompts."""
    rows: tuple[dict[str, Any], ...]
    """The answers, by prompt and arm."""
    arm_of: Whole
    """The place in `arms` of each answer."""
    prompt_of: Whole
    """The place in `prompts` of each answer."""
    rejected: tuple[dict[str, Any], ...]
    """Answers that were left out, with the reason."""

    @property
    def texts(self) -> list[str]:
        """What was answered, without the space around it."""
        return [row["text"].strip() for row in self.rows]

    @property
    def models(self) -> tuple[str, ...]:
        """The models, each once."""
        return tuple(sorted({arm.model for arm in self.arms}))

    @property
    def model_of(self) -> Whole:
        """The place in `models` of each answer's model."""
        places = np.array([self.models.index(arm.model) for arm in self.arms], dtype=np.int64)
        return places[self.arm_of]


def read_pool(given: Sequence[Input]) -> Pool:
    """Reads the answers of one or several artifacts.

    Raises MethodError where a column is missing, an answer comes twice, or none has any text.
    """
    rows = [row for one in given for row in _read(one.files)]
    ids = [row["row_id"] for row in rows]
    if len(set(ids)) != len(ids):
        twice = next(one for one in ids if ids.count(one) > 1)
        raise MethodError(
            f"the answer {twice} is given twice",
            why="it would be compared with itself",
            mend="name each artifact of answers once",
        )
    rejected = tuple(_reject(row) for row in rows if not (row["text"] or "").strip())
    kept = [row for row in rows if (row["text"] or "").strip()]
    if not kept:
        raise MethodError("no answer has any text", mend="look at the answers' own node")
    arms = tuple(sorted({_arm(row) for row in kept}))
    prompts = tuple(sorted({row["prompt_id"] for row in kept}))
    arm_places = {arm: place for place, arm in enumerate(arms)}
    prompt_places = {prompt: place for place, prompt in enumerate(prompts)}
    kept.sort(key=lambda r: (prompt_places[r["prompt_id"]], arm_places[_arm(r)], r["row_id"]))
    return Pool(
        arms=arms,
        prompts=prompts,
        rows=tuple(kept),
        arm_of=np.array([arm_places[_arm(row)] for row in kept], dtype=np.int64),
        prompt_of=np.array([prompt_places[row["prompt_id"]] for row in kept], dtype=np.int64),
        rejected=rejected,
    )


def _read(files: Path) -> Iterator[dict[str, Any]]:
    path = files / ANSWERS
    if not path.is_file():
        raise MethodError(
            f"has no {ANSWERS}", where=str(files), mend="give what the method `answers` made"
        )
    table = read_rows(path)
    if lacking := [name for name in _NEEDED if name not in table.columns]:
        raise MethodError(
            f"has no column {lacking[0]!r}", where=str(path), mend="make the answers again"
        )
    return table.iter_rows(named=True)


def _arm(row: Mapping[str, Any]) -> Arm:
    return Arm(row["model"], bool(row["chat_template"]), row["sampling"] or "")


def _reject(row: Mapping[str, Any]) -> dict[str, Any]:
    named = {name: row[name] for name in ("row_id", "prompt_id", "model", "chat_template")}
    return {**named, "reason": "the answer is empty", "caused_by": row["row_id"]}
