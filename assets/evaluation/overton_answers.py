"""The answers of several models to situations, and the views that they may cover."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from assets.evaluation.answer_pool import ANSWERS, Arm
from assets.evaluation.overton_checks import Held
from assets.evaluation.overton_coverage import sentences
from assets.rows import read_rows
from assets.sources.view_rows import VIEWS
from registry.errors import MethodError

if TYPE_CHECKING:
    from registry.context import Input

_ANSWER = ("row_id", "prompt_id", "prompt", "sample", "text", "model", "chat_template", "sampling")
_VIEW = ("row_id", "prompt_id", "prompt", "view", "explanation", "opposite", "prevalence",
         "held_by")  # fmt: skip


@dataclass(frozen=True)
class Viewed:
    """One view of a situation."""

    row_id: str
    prompt_id: str
    held: Held
    prevalence: float | None
    held_by: tuple[str, ...]


@dataclass(frozen=True)
class Answer:
    """One answer; an empty one covers nothing, and counts."""

    row_id: str
    prompt_id: str
    sample: int
    arm: Arm
    said: tuple[str, ...]
    """Its sentences."""


@dataclass(frozen=True)
class Material:
    """What coverage is computed from."""

    views: dict[str, tuple[Viewed, ...]]
    """By situation, those that every model answered, in the order of their ids."""
    answers: dict[str, dict[str, tuple[Answer, ...]]]
    """By the model's name and the situation."""
    left_out: int
    """Situations that some model did not answer."""

    @property
    def held(self) -> list[Held]:
        """Every view."""
        return [one.held for views in self.views.values() for one in views]

    @property
    def weighted(self) -> bool:
        """Whether every view has its prevalence."""
        return all(one.prevalence is not None for group in self.views.values() for one in group)


def read_material(views: Sequence[Input], answers: Sequence[Input]) -> Material:
    """Views and answers of the situations that all models answered.

    Raises:
        MethodError: Where a column is missing, an answer comes twice, or no situation is left.
    """
    held: dict[str, list[Viewed]] = {}
    for given in views:
        for row in _table(given, VIEWS, _VIEW, "views-file"):
            held.setdefault(row["prompt_id"], []).append(_viewed(row, given.label))
    found = _by_arm(answers)
    names = _names(list(found))
    answered = [set(by_prompt) for by_prompt in found.values()]
    common = sorted(set(held).intersection(*answered))
    if not common:
        raise MethodError(
            f"no situation of {len(held)} with views was answered by all {len(found)} models",
            where=", ".join(one.label for one in answers),
            why="only answers to the same situations can be compared",
            mend="let every model answer the same views, with the method `answers`",
        )
    return Material(
        views={prompt: tuple(held[prompt]) for prompt in common},
        answers={
            names[arm]: {prompt: tuple(by_prompt[prompt]) for prompt in common}
            for arm, by_prompt in found.items()
        },
        left_out=len(held) - len(common),
    )


def _table(given: Input, name: str, needed: Sequence[str], maker: str) -> list[dict[str, Any]]:
    path = given.files / name
    if not path.is_file():
        raise MethodError(
            f"has no {name}", where=given.label, mend=f"give what the method `{maker}` made"
        )
    table = read_rows(path)
    if lacking := [column for column in needed if column not in table.columns]:
        raise MethodError(
            f"{name} has no column {lacking[0]!r}", where=given.label, mend="make that node again"
        )
    return table.to_dicts()


def _viewed(row: dict[str, Any], where: str) -> Viewed:
    if not (row["view"] or "").strip():
        raise MethodError(f"the view {row['row_id']} is empty", where=where, mend="write it out")
    return Viewed(
        row_id=row["row_id"],
        prompt_id=row["prompt_id"],
        held=Held(row["prompt"], row["view"], row["explanation"], row["opposite"]),
        prevalence=row["prevalence"],
        held_by=tuple(row["held_by"] or ()),
    )


def _by_arm(given: Sequence[Input]) -> dict[Arm, dict[str, list[Answer]]]:
    found: dict[Arm, dict[str, list[Answer]]] = {}
    seen: set[str] = set()
    for one in given:
        for row in _table(one, ANSWERS, _ANSWER, "answers"):
            if row["row_id"] in seen:
                raise MethodError(
                    f"the answer {row['row_id']} is given twice",
                    where=one.label,
                    why="it would count double",
                    mend="name each artifact of answers once",
                )
            seen.add(row["row_id"])
            arm = Arm(row["model"], bool(row["chat_template"]), row["sampling"] or "")
            answer = Answer(
                row_id=row["row_id"],
                prompt_id=row["prompt_id"],
                sample=row["sample"],
                arm=arm,
                said=tuple(sentences(row["text"] or "")),
            )
            found.setdefault(arm, {}).setdefault(row["prompt_id"], []).append(answer)
    return found


def _names(arms: Sequence[Arm]) -> dict[Arm, str]:
    """A model's node alone where it was asked in one way, else with how it was asked."""
    models = [arm.model for arm in arms]
    return {arm: arm.model if models.count(arm.model) == 1 else arm.label for arm in arms}
