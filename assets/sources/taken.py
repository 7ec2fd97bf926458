"""Rows of a file that become rows of ours: all wrong lines at once, and what is left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from assets.rows import REJECTED, ROWS, reason_schema, turned_away, write_rows
from registry.errors import MethodError, Place, Problem, ProblemsError

if TYPE_CHECKING:
    from pathlib import Path

Row = dict[str, Any]
SHOWN = 20
"""Wrong lines that a message names."""


def each_made(
    tables: Iterable[tuple[str, Iterable[Mapping[str, Any]]]],
    make: Callable[[Mapping[str, Any], str], Row],
) -> Iterator[tuple[Mapping[str, Any], Row]]:
    """Each line of files, and the row that it becomes.

    Args:
        tables: The lines of each file, by the name that it is shown as; each line has its number as
            `line`.
        make: Makes a row of a line and that name; raises ValueError with what is wrong.

    Raises:
        ProblemsError: After the last line, with all that are wrong; or after the twentieth of them.
    """
    problems: list[Problem] = []
    for shown, lines in tables:
        for found in lines:
            try:
                row = make(found, shown)
            except ValueError as error:
                problems.append(Problem(Place(shown, found["line"]), str(error)))
                if len(problems) == SHOWN:
                    raise ProblemsError(problems) from None
                continue
            yield found, row
    if problems:
        raise ProblemsError(problems)


class Taken:
    """The rows that are kept, and those that are left out with the reason."""

    def __init__(self, what: str = "row") -> None:
        self.kept: list[Row] = []
        self.rejected: list[Row] = []
        self._what = what
        self._seen: set[str] = set()

    def add(self, row: Row, reason: str) -> None:
        """Keeps a row that came for the first time and has no reason to be left out."""
        if not reason and row["row_id"] in self._seen:
            reason = f"the same {self._what} came before"
        self._seen.add(row["row_id"])
        if reason:
            self.rejected.append({**row, **turned_away(row["row_id"], reason)})
        else:
            self.kept.append(row)

    def write(self, out: Path, schema: Mapping[str, Any], tables: Iterable[str]) -> None:
        """Writes both; raises MethodError where nothing is kept of the files."""
        if not self.kept:
            first = ""
            if self.rejected:
                first = f"; the first was left out since {self.rejected[0]['reason']}"
            raise MethodError(f"no {self._what} can be used{first}", where=", ".join(tables))
        write_rows(out / ROWS, self.kept, schema)
        write_rows(out / REJECTED, self.rejected, {**schema, **reason_schema()})
