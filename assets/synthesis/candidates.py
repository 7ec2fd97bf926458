"""Candidates: what a teacher proposes as rows, kept or left out, each with where it comes from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from assets.rows import REJECTED, reason_schema, row_id, write_rows
from assets.sources.reasoning_tasks import task_schema
from assets.synthesis.journal import Progress
from registry.errors import MethodError

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Plan:
    """One request to a teacher for new rows."""

    id: str
    """What it is known by; it seeds everything random that is made from it."""
    seed: int
    """The seed of what is drawn for it."""
    examples: tuple[Row, ...]
    """The rows that the teacher is shown."""


@dataclass(frozen=True)
class Candidate:
    """A row that a teacher proposed."""

    row: dict[str, Any]
    question: str
    """What it asks, without any wording around it: two rows with one question are the same."""
    reason: str | None = None
    """Why it is left out; None where it is kept."""
    score: float | None = None
    """The figure that the reason rests on."""
    caused_by: str | None = None
    """The row on whose account it is left out."""

    def left_out(
        self, reason: str, score: float | None = None, caused_by: str | None = None
    ) -> Candidate:
        """The same, left out."""
        return replace(self, reason=reason, score=score, caused_by=caused_by)


class Writer(Protocol):
    """Lets a teacher write candidates, and checks each by itself."""

    def write(self, plans: Sequence[Plan], folder: Path, progress: Progress) -> list[Candidate]:
        """The candidates of all plans, in their order; `folder` keeps what the teacher said."""
        ...

    def describe(self) -> dict[str, Any]:
        """Who wrote and checked."""
        ...


def candidate_schema() -> dict[str, Any]:
    """The columns of synthetic rows."""
    import polars

    text = polars.String
    return task_schema() | {
        "settings": text,
        "opening": text,
        "teacher": text,
        "served_by": text,
        "sampling": text,
        "seed": polars.Int64,
        "votes": polars.Int32,
        "agreement": polars.Float64,
        "round": polars.Int32,
    }


def new_row(plan: Plan, teacher: str, part: int, parents: Iterable[Row], **values: Any) -> Row:
    """A row with every column, those not given null; its id follows from plan and content."""
    given = list(parents)
    communities = {row.get("community") for row in given}
    row: dict[str, Any] = dict.fromkeys(candidate_schema())
    row |= {
        "prompt": "",
        "completion": "",
        "parents": [parent["row_id"] for parent in given],
        "community": communities.pop() if len(communities) == 1 else None,
        "teacher": teacher,
        "seed": plan.seed,
        **values,
    }
    content = [plan.id, part, row["prompt"], row["completion"]]
    return {**row, "row_id": row_id(f"synthetic:{teacher}", content)}


def normal(question: str) -> str:
    """A question without what two writings of one question may differ in."""
    return " ".join(question.casefold().split())


def question_of(row: Row) -> str:
    """What a row of a pool asks: its generator's own question, where it is of one."""
    if row.get("entry"):
        from assets.sources.verifiers import read_entry

        found = read_entry(row["entry"]).get("question")
        if isinstance(found, str):
            return found
    return str(row["prompt"])


def leave_out_repeats(candidates: Iterable[Candidate], seen: dict[str, str]) -> list[Candidate]:
    """Leaves out every candidate whose question came before.

    `seen` holds normal questions and the id of the row that asked first; it grows.
    """
    found = []
    for candidate in candidates:
        asked = normal(candidate.question)
        if candidate.reason is None and asked in seen:
            found.append(candidate.left_out("its question came before", caused_by=seen[asked]))
            continue
        if candidate.reason is None:
            seen[asked] = candidate.row["row_id"]
        found.append(candidate)
    return found


def read_pool(rows: Sequence[Row], where: str) -> list[Row]:
    """Rows that can be examples; raises MethodError where there are none, or one stands twice."""
    if not rows:
        raise MethodError("has no rows to show as examples", where=where)
    for column in ("row_id", "prompt"):
        if column not in rows[0]:
            raise MethodError(f"its rows have no column {column!r}", where=where)
    if len({row["row_id"] for row in rows}) != len(rows):
        raise MethodError("two rows have the same row_id", where=where)
    return list(rows)


def write_rejected(files: Path, candidates: Iterable[Candidate]) -> None:
    """Writes the candidates that are left out, with reason, score and cause."""
    rows = [
        {**c.row, "reason": c.reason, "score": c.score, "caused_by": c.caused_by}
        for c in candidates
        if c.reason is not None
    ]
    write_rows(files / REJECTED, rows, candidate_schema() | reason_schema())
