"""A larger teacher writes problems of its own; what most of several solutions say is the answer."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from assets.rows import row_id
from assets.sources.mathematics import number
from assets.sources.verifiers import extract
from assets.synthesis.candidates import Candidate, Plan, new_row, normal
from assets.synthesis.journal import Progress, ask_all
from assets.synthesis.sampling import Sampling, recorded, seed_of
from assets.synthesis.slots import leak, slot
from assets.synthesis.teachers import Completion, Request, Teacher
from registry.typed import Frozen

_PROBLEM = re.compile(r"<problem>(.*?)</problem>", re.DOTALL)
_LONGEST_ANSWER = 200


class FreeFormParams(Frozen):
    """How problems are written and solved."""

    problems: int = Field(default=2, ge=1, le=20)
    """Problems a request."""
    writing: Sampling = Sampling(max_new_tokens=1024)
    """How problems are drawn."""
    solutions: int = Field(default=5, ge=1, le=99)
    """Solutions of each problem, whose answers are counted."""
    least_agreement: float = Field(default=0.6, gt=0, le=1)
    """The part of all solutions that must give one answer; the most given one, alone, is taken."""
    solving: Sampling = Sampling(temperature=0.7, top_p=0.95, max_new_tokens=1024)
    """How solutions are drawn."""
    shortest_problem: int = Field(default=20, ge=1)
    """Characters of a problem; a shorter one is left out."""
    longest_problem: int = Field(default=2000, ge=50)
    """Characters of a problem; a longer one is left out."""


@dataclass(frozen=True)
class Vote:
    """What most solutions say."""

    answer: str | None
    """As the first of them wrote it; None where no answer is alone in front."""
    votes: int
    """How many solutions give it."""
    agreement: float
    """The part of all solutions that this is."""
    first: int
    """The place of the first solution that gives it."""


def count_votes(answers: Sequence[str | None]) -> Vote:
    """The answer given most often, numbers by value; those without an answer count in the whole."""
    keys = [None if answer is None else _key(answer) for answer in answers]
    counted = Counter(key for key in keys if key is not None).most_common(2)
    if not counted:
        return Vote(None, 0, 0.0, 0)
    key, votes = counted[0]
    first = keys.index(key)
    tied = len(counted) > 1 and counted[1][1] == votes
    return Vote(None if tied else answers[first], votes, votes / len(answers), first)


def _key(answer: str) -> str:
    found = number(answer)
    return str(found) if found is not None else normal(answer).rstrip(".")


def problem_instructions(count: int) -> str:
    """What the teacher is told when it writes."""
    return (
        f"Write {count} new problems in the spirit of the examples. Change the subject, the "
        "numbers and the way of solving. Each problem has one short answer that can be checked. "
        "Write each between <problem> and </problem>, and no solution."
    )


SOLVE = (
    "Solve the problem in the slot. Think step by step, and end with the final answer alone, "
    "between <answer> and </answer>."
)


class FreeFormWriter:
    """Lets a teacher write problems and another, or the same, solve them."""

    def __init__(self, writer: Teacher, solver: Teacher, params: FreeFormParams) -> None:
        self._writer, self._solver, self._params = writer, solver, params
        self._sampling = recorded(params.writing)

    def write(self, plans: Sequence[Plan], folder: Path, progress: Progress) -> list[Candidate]:
        """As many candidates a plan as problems are asked for."""
        told = problem_instructions(self._params.problems)
        requests = [
            Request(plan.id, f"{slot([r['prompt'] for r in plan.examples])}\n\n{told}", plan.seed)
            for plan in plans
        ]
        said = ask_all(self._writer, requests, folder / "problems", progress)
        found = []
        for plan in plans:
            answer = said.completions.get(plan.id)
            if answer is None:
                found += self._missing(plan, 0, said.refused[plan.id], "", None)
            else:
                found += self._problems(plan, answer, told)
        return self._solve(found, folder, progress)

    def describe(self) -> dict[str, Any]:
        """Who wrote, who solved, and how answers are checked."""
        return {
            "writer": self._writer.describe(),
            "solver": self._solver.describe(),
            "checked_by": "the answer that most solutions give",
        }

    def _problems(self, plan: Plan, answer: Completion, told: str) -> list[Candidate]:
        texts = [text.strip() for text in _PROBLEM.findall(answer.text)][: self._params.problems]
        shown = {normal(row["prompt"]): row["row_id"] for row in plan.examples}
        found = []
        for part, text in enumerate(texts):
            candidate = Candidate(self._row(plan, part, text, answer), text)
            if normal(text) in shown:
                cause = shown[normal(text)]
                candidate = candidate.left_out("it copies an example", caused_by=cause)
            elif not self._params.shortest_problem <= len(text) <= self._params.longest_problem:
                candidate = candidate.left_out("the problem is too short or too long", len(text))
            elif reason := leak(text, f"{told} {SOLVE}"):
                candidate = candidate.left_out(reason)
            found.append(candidate)
        reason = "no problem stands between the marks"
        return found + self._missing(plan, len(found), reason, answer.text, answer)

    def _missing(
        self, plan: Plan, start: int, reason: str, text: str, answer: Completion | None
    ) -> list[Candidate]:
        """A candidate for each problem that was asked for and did not come."""
        return [
            Candidate(self._row(plan, part, text, answer), text).left_out(reason)
            for part in range(start, self._params.problems)
        ]

    def _row(self, plan: Plan, part: int, text: str, answer: Completion | None) -> Any:
        return new_row(
            plan,
            self._writer.name,
            part,
            plan.examples,
            prompt=text,
            source="synthetic:free-form",
            sampling=self._sampling,
            served_by=answer.served_by if answer else None,
        )

    def _solve(
        self, candidates: list[Candidate], folder: Path, progress: Progress
    ) -> list[Candidate]:
        """Solves every candidate that still stands, and counts its answers."""
        requests = []
        for candidate in candidates:
            if candidate.reason is None:
                prompt = f"{SOLVE}\n\n{slot([candidate.row['prompt']])}"
                for sample in range(self._params.solutions):
                    name = f"{candidate.row['row_id']}-{sample}"
                    requests.append(Request(name, prompt, seed_of(candidate.row["seed"], name)))
        solved = ask_all(self._solver, requests, folder / "solutions", progress)
        return [
            self._judge(c, [solved.completions.get(f"{c.row['row_id']}-{sample}")
                            for sample in range(self._params.solutions)])
            if c.reason is None
            else c
            for c in candidates
        ]  # fmt: skip

    def _judge(self, candidate: Candidate, solutions: Sequence[Completion | None]) -> Candidate:
        answers = [_answer(solution) for solution in solutions]
        vote = count_votes(answers)
        row = {**candidate.row, "votes": vote.votes, "agreement": vote.agreement}
        found = Candidate(row, candidate.question)
        if vote.votes == 0:
            return found.left_out("no solution gives an answer", 0.0)
        if vote.answer is None:
            return found.left_out("two answers are given equally often", vote.agreement)
        if vote.agreement < self._params.least_agreement:
            return found.left_out("too few solutions agree", vote.agreement)
        chosen = solutions[vote.first]
        text = chosen.text.strip() if chosen else ""
        if reason := leak(text, SOLVE):
            return found.left_out(reason, vote.agreement)
        name = row_id(row["row_id"], text)
        whole = {**row, "row_id": name, "completion": text, "answer": vote.answer}
        return Candidate(whole, candidate.question)


def _answer(solution: Completion | None) -> str | None:
    """The answer of a solution that came to its end."""
    if solution is None or solution.finish_reason != "stop":
        return None
    found = extract(solution.text)
    return found if found is not None and len(found) <= _LONGEST_ANSWER else None
