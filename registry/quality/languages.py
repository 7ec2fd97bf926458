"""Languages of a column's texts, by whatever an installed package offers to tell them apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol

from registry.errors import UsageError
from registry.expectation import Expectation
from registry.quality.conditions import Sight
from registry.quality.sql import name, parquet, rows_shown
from registry.quality.verdict import EXAMPLES, Verdict, broken, enough

GROUP = "chorus.texts"
_BATCH = 4096


class Texts(Protocol):
    """What is asked of texts beyond what SQL can say."""

    def foreign(self, texts: Sequence[str], languages: Sequence[str]) -> Sequence[bool]:
        """Which texts are surely in none of these languages."""

    def languages(self, texts: Sequence[str]) -> Mapping[str, int]:
        """How many texts are in each language; `und` counts those that cannot be told."""

    def repeated(self, texts: Sequence[str]) -> Sequence[int | None]:
        """For each text, the place of an earlier one that it nearly repeats."""


def offered() -> Texts | None:
    """What an installed package offers; None where none does."""
    points = {point.name: point for point in entry_points(group=GROUP)}
    found: Texts | None = points["default"].load() if "default" in points else None
    return found


def texts() -> Texts:
    """What an installed package offers; raises UsageError where none does."""
    found = offered()
    if found is None:
        raise UsageError(
            "no installed package tells languages apart",
            where=GROUP,
            mend="install one that offers the entry point, or leave the expectation out",
        )
    return found


def in_languages(given: Expectation, path: Path, sight: Sight) -> Verdict:
    """The verdict on an expectation about the languages of a column."""
    wanted = given.languages or sight.around.languages
    if not wanted:
        return broken(given, "cannot be checked: no profile that it rests on names a language")
    column = name(str(given.column))
    source = parquet(path, numbered=True)
    cursor = sight.connection.cursor()
    cursor.execute(f"select file_row_number, {column} from {source} where {column} is not null")
    judge, considered = texts(), 0
    found: list[int] = []
    while rows := cursor.fetchmany(_BATCH):
        considered += len(rows)
        foreign = judge.foreign([str(text) for _, text in rows], wanted)
        found += [number for (number, _), out in zip(rows, foreign, strict=True) if out]
    met = enough(considered, len(found), given.mostly)
    if not found:
        return Verdict(given, met)
    first = ", ".join(map(str, found[:EXAMPLES]))
    shown = f"select * exclude (file_row_number) from {source} where file_row_number in ({first})"
    ids, lines = rows_shown(sight.connection.execute(shown))
    detail = f"{len(found):,} of {considered:,} are surely in no language of {', '.join(wanted)}"
    return Verdict(given, met, len(found), detail, ids, lines)
