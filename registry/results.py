"""What an evaluation says about models, in a form that cards and pages read: `results.json`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydantic import Field

from registry.typed import Frozen

FILE = "results.json"
VERDICTS = "verdicts.json"


class Result(Frozen):
    """One figure about one model or dataset."""

    about: str
    """The node of the model or dataset."""
    community: str = ""
    """Whose people it was measured on, if it speaks of people."""
    slice: str
    """Which part of the material."""
    metric: str
    """What was measured, in words."""
    lower_is_better: bool
    """Which way is better."""
    value: float
    """The figure."""
    low: float
    """The lower end of its 95 % interval."""
    high: float
    """The upper end of its 95 % interval."""
    items: int = Field(ge=1)
    """How many questions, tasks or rows it is over."""
    people: int | None = Field(default=None, ge=1)
    """How many people it was measured against; the fewest that answered any item."""
    beside: dict[str, float]
    """The same figure of what it is compared with."""

    @property
    def columns(self) -> tuple[bool, tuple[str, ...]]:
        """Results of which this is the same belong in one table."""
        return self.lower_is_better, tuple(self.beside)


def in_tables(results: Iterable[Result]) -> list[list[Result]]:
    """The results that belong in one table each, in the order in which each kind first came."""
    tables: dict[tuple[bool, tuple[str, ...]], list[Result]] = {}
    for result in results:
        tables.setdefault(result.columns, []).append(result)
    return list(tables.values())


class Results(Frozen):
    """Every figure of an evaluation that belongs on a card."""

    schema_version: int = 1
    """The version of this schema."""
    results: tuple[Result, ...]
    """The figures."""

    def write(self, files: Path) -> None:
        """Writes `results.json` into an artifact's files."""
        (files / FILE).write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")


def read_results(files: Path) -> tuple[Result, ...]:
    """The figures of an evaluation's artifact; none where it gives none."""
    path = files / FILE
    return Results.model_validate_json(path.read_bytes()).results if path.is_file() else ()


class Verdict(Frozen):
    """How a model did on one of a community's own tests."""

    test: str
    """The test's id."""
    sha256: str
    """The digest of the test, as the model met it."""
    passed: bool
    """Whether it passed."""
    why: str = ""
    """Why not, in a sentence; nothing where it passed."""


class Verdicts(Frozen):
    """How a model did on every test of a community."""

    schema_version: int = 1
    """The version of this schema."""
    verdicts: tuple[Verdict, ...]
    """One a test, in the table's order."""

    def write(self, files: Path) -> None:
        """Writes `verdicts.json` into an artifact's files."""
        text = self.model_dump_json(indent=2) + "\n"
        (files / VERDICTS).write_text(text, encoding="utf-8")


def read_verdicts(files: Path) -> tuple[Verdict, ...]:
    """The verdicts of an evaluation's artifact; none where it gives none."""
    path = files / VERDICTS
    return Verdicts.model_validate_json(path.read_bytes()).verdicts if path.is_file() else ()
