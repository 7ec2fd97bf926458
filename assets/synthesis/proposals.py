"""A small teacher proposes settings and wording of a task; a generator makes it, a verifier checks.

A small model cannot be trusted with a problem and its answer. So it is shown lines of settings for
one generator of reasoning-gym and goes on with a line of its own. The generator makes the question
and knows the answer; the teacher's opening sentence is put before the question, which stays as it
is. So what is asked, and what is right, never hang on the teacher.
"""

from __future__ import annotations

import dataclasses
import json
import random
import re
from collections.abc import Mapping, Sequence
from functools import cache
from math import isfinite
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from assets.sources.reasoning_tasks import TaskGenerator, open_generator
from assets.sources.verifiers import require_task, verify, write_entry
from assets.synthesis.candidates import Candidate, Plan, new_row
from assets.synthesis.journal import Progress, ask_all
from assets.synthesis.sampling import Sampling, recorded
from assets.synthesis.slots import leak, quote
from assets.synthesis.teachers import Completion, Request, Teacher
from registry.errors import MethodError, UsageError
from registry.typed import Frozen

Settings = dict[str, int | float]
INSTRUCTIONS = (
    "Exercises, one on each line, as JSON: the task, its settings and an opening sentence."
)
OPENINGS = (
    "Here is something to try before lunch.", "Take your time with this one.",
    "A short exercise for the evening.", "My grandmother liked to ask this kind of thing.",
    "On the bus home we passed the time like this.", "Sharpen your pencil first.",
    "The shop is quiet, so let us practise.", "A neighbour left this on a slip of paper.",
    "While the rice cooks, think about this.", "The class has ten minutes left.",
)  # fmt: skip
"""Openings to start from, written for this project."""
_LEAST_BOUND = 5
"""Settings whose default is smaller are bounded as if it were this."""
_TRIES = 20
_OPENING = re.compile(r"[^\W\d_][^\d?:;\"{}<>\[\]`|\\]{3,118}[.!]")
_ASKS = re.compile(r"\b(?:answers?|ignor\w*|instead|instructions?|questions?)\b", re.IGNORECASE)
_PLAIN = json.JSONDecoder(strict=True)


class LineSampling(Sampling):
    """How proposals are drawn: each is one line of bare text."""

    temperature: float = Field(default=0.9, ge=0, le=10)
    """What log-probabilities are divided by; 0 takes the most likely token."""
    top_p: float = Field(default=0.95, gt=0, le=1)
    """The fewest most likely tokens that together reach this probability may be drawn."""
    max_new_tokens: int = Field(default=96, ge=1, le=65_536)
    """Tokens after which an answer is cut."""
    until: Literal["end of turn", "end of line"] = "end of line"
    """What ends an answer before that."""
    chat_template: bool = False
    """Whether the prompt is put as a chat; without it the model continues the bare text."""


class ProposalParams(Frozen):
    """How settings and wording are proposed."""

    lines: int = Field(default=5, ge=1, le=50)
    """Lines that the teacher is shown; where the examples are fewer, more are drawn."""
    stretch: float = Field(default=4.0, ge=1, le=100)
    """No setting may be larger than this many times its default."""
    sampling: LineSampling = LineSampling()
    """How the teacher's words are drawn."""
    openings: bool = True
    """Whether the teacher's opening sentence is put before the question."""
    longest_prompt: int = Field(default=1500, ge=50)
    """Characters of a prompt; a longer one is left out."""


class ProposalWriter:
    """Lets a teacher propose tasks."""

    def __init__(self, teacher: Teacher, params: ProposalParams) -> None:
        self._teacher, self._params = teacher, params
        self._sampling = recorded(params.sampling)

    def write(self, plans: Sequence[Plan], folder: Path, progress: Progress) -> list[Candidate]:
        """One candidate a plan."""
        tasks = {plan.id: choose_task(plan) for plan in plans}
        starts = {plan.id: start_line(plan, tasks[plan.id], self._params) for plan in plans}
        requests = [Request(plan.id, starts[plan.id], plan.seed) for plan in plans]
        said = ask_all(self._teacher, requests, folder / "proposals", progress)
        found = []
        for plan in plans:
            answer = said.completions.get(plan.id)
            if answer is None:
                empty = self._row(plan, tasks[plan.id], None, prompt="")
                found.append(Candidate(empty, "").left_out(said.refused[plan.id]))
                continue
            line = starts[plan.id].rpartition("\n")[2] + answer.text
            found.append(self._check(plan, tasks[plan.id], line, answer))
        return found

    def describe(self) -> dict[str, Any]:
        """The teacher, and how its tasks are checked."""
        return {"writer": self._teacher.describe(), "checked_by": "the generator's verifier"}

    def _check(self, plan: Plan, task: str, line: str, answer: Completion) -> Candidate:
        """The candidate that a line proposes."""
        try:
            settings, opening = read_line(line, task, self._params.stretch)
            entry = make_entry(task, settings, plan.seed)
        except UsageError as error:
            row = self._row(plan, task, answer, prompt=line)
            return Candidate(row, line).left_out(error.what)
        wording = self._opening(opening)
        question = str(entry["question"])
        row = self._row(
            plan,
            task,
            answer,
            prompt=f"{wording}\n\n{question}" if wording else question,
            completion=str(entry["answer"]),
            answer=str(entry["answer"]),
            entry=write_entry(entry),
            settings=json.dumps(settings, sort_keys=True),
            opening=wording,
        )
        found = Candidate(row, question)
        if len(row["prompt"]) > self._params.longest_prompt:
            most = self._params.longest_prompt
            return found.left_out(f"longer than {most} characters", float(len(row["prompt"])))
        if not verify(task, row["entry"], row["completion"]):
            return found.left_out("the verifier refuses the generator's answer", 0.0)
        return found

    def _row(self, plan: Plan, task: str, said: Completion | None, **values: Any) -> Any:
        parents = [row for row in plan.examples if row["task"] == task]
        values |= {
            "source": f"synthetic:{task}",
            "task": task,
            "sampling": self._sampling,
            "served_by": said.served_by if said else None,
        }
        return new_row(plan, self._teacher.name, 0, parents, **values)

    def _opening(self, text: str | None) -> str | None:
        """The teacher's opening, where it is one sentence that asks and orders nothing."""
        if text is None or not self._params.openings:
            return None
        fits = _OPENING.fullmatch(text) and not _ASKS.search(text)
        return text if fits and leak(text, INSTRUCTIONS) is None else None


def choose_task(plan: Plan) -> str:
    """The task of one of a plan's examples, drawn by the plan's seed."""
    tasks = [row["task"] for row in plan.examples if row.get("task")]
    if not tasks:
        raise MethodError(
            "the examples name no task of a generator",
            mend="give rows of reasoning-tasks, or let a larger teacher write freely",
        )
    chosen: str = random.Random(plan.seed).choice(tasks)  # noqa: S311
    require_task(chosen)
    return chosen


def start_line(plan: Plan, task: str, params: ProposalParams) -> str:
    """What the teacher reads: lines of settings for a task, and the beginning of one more.

    Examples that were proposed themselves show their own settings; others show some drawn around
    the generator's defaults.
    """
    source = random.Random(plan.seed + 1)  # noqa: S311
    lines = []
    for number in range(params.lines):
        row = plan.examples[number] if number < len(plan.examples) else {}
        own = row.get("settings") if row.get("task") == task else None
        settings = json.loads(own) if own else vary(task, source)
        opening = (row.get("opening") if own else None) or source.choice(OPENINGS)
        line = {"task": task, "settings": settings, "opening": quote(opening)}
        lines.append(json.dumps(line, ensure_ascii=False))
    beginning = f'{{"task": "{task}", "settings": {{'
    if names := list(bounds(task, params.stretch)):
        beginning += f'"{names[0]}":'
    return "\n".join([INSTRUCTIONS, *lines, beginning])


@cache
def _defaults(task: str) -> Mapping[str, int | float]:
    from reasoning_gym.factory import DATASETS

    require_task(task)
    configuration = DATASETS[task][1]
    found: dict[str, int | float] = {}
    for field in dataclasses.fields(configuration):
        value: Any = field.default
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if number and field.name not in ("seed", "size"):
            found[field.name] = value
    return found


def bounds(task: str, stretch: float) -> dict[str, float]:
    """The numbers of a generator that can be set, and how large each may be."""
    return {
        name: stretch * max(abs(value), _LEAST_BOUND) for name, value in _defaults(task).items()
    }


def vary(task: str, source: random.Random) -> Settings:
    """Settings around a generator's defaults that it takes; its defaults where none are found."""
    defaults = dict(_defaults(task))
    for _ in range(_TRIES):
        drawn: Settings = {}
        for name, value in defaults.items():
            if isinstance(value, int):
                low, high = sorted((value // 2, value * 2 if abs(value) > 1 else value + 2))
                drawn[name] = source.randint(low, high)
            else:
                drawn[name] = round(value * source.uniform(0.5, 2), 2)
        try:
            open_generator(TaskGenerator(name=task, settings=drawn), 1, 0, 1)
        except UsageError:
            continue
        return drawn
    return defaults


def read_line(line: str, task: str, stretch: float) -> tuple[Settings, str | None]:
    """The settings and the opening of a proposed line; raises UsageError where it is none."""
    try:
        found, _ = _PLAIN.raw_decode(line)
    except (ValueError, RecursionError):
        raise UsageError("the line is no JSON") from None
    if not isinstance(found, dict) or not isinstance(found.get("settings"), dict):
        raise UsageError("the line has no settings")
    if found.get("task") != task:
        raise UsageError("the line names another task")
    allowed = bounds(task, stretch)
    for name, value in found["settings"].items():
        if name not in allowed:
            raise UsageError("it sets what the generator does not have")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UsageError("a setting is no number")
        if not isfinite(value) or abs(value) > allowed[name]:
            raise UsageError("a setting is out of bounds")
        if isinstance(_defaults(task)[name], int) and not isinstance(value, int):
            raise UsageError("a setting is no whole number")
    opening = found.get("opening")
    return found["settings"], opening.strip() if isinstance(opening, str) else None


def make_entry(task: str, settings: Settings, seed: int) -> dict[str, Any]:
    """The question and answer that a generator makes; raises UsageError where it cannot."""
    try:
        generator = open_generator(TaskGenerator(name=task, settings=settings), 1, seed, 1)
        entry: dict[str, Any] = generator[0]
    except UsageError:
        raise UsageError("the generator does not take these settings together") from None
    except Exception:  # noqa: BLE001 - generators raise anything at all on settings that do not fit
        raise UsageError("the generator fails with these settings") from None
    if not isinstance(entry.get("answer"), str) or not entry["answer"].strip():
        raise UsageError("the generator gives no answer with these settings")
    return entry
