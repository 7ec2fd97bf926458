"""Word problems whose solutions end with `#### number`, from a file: as GSM8K is handed out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field

from assets.rows import LIBRARIES, row_id, row_schema
from assets.sources.mathematics import number
from assets.sources.table_files import FileName, table_files
from assets.sources.table_rows import (
    RowColumns,
    RowLicences,
    RowLimits,
    TableParams,
    not_taken,
    read_table,
)
from assets.sources.taken import Taken, each_made
from registry.method import Method, SourcePath
from registry.typed import Frozen

if TYPE_CHECKING:
    from registry.context import Context

MARK = "####"
"""What stands before the answer."""
_CALCULATION = re.compile(r"<<[^<>\n]*>>")
"""Marks that tell a calculator what to compute; no reader sees them."""


class ProblemColumns(Frozen):
    """Which column of the file is which."""

    question: str = Field(default="question", min_length=1)
    """The problem."""
    answer: str = Field(default="answer", min_length=1)
    """Its solution, which ends with `#### number`."""


class Params(Frozen):
    """Which file, and how it is read."""

    path: SourcePath
    """A JSON Lines or Parquet file, or a folder with such files; its bytes count as an input."""
    files: tuple[FileName, ...] = ()
    """Which files of a folder are read."""
    columns: ProblemColumns = ProblemColumns()
    """Which column is which."""
    licences: RowLicences | None = None
    """Where rows state a licence each, those that are taken."""
    limits: RowLimits = RowLimits()
    """What is too much."""

    @property
    def table(self) -> TableParams:
        """The same as the table reader takes it."""
        columns = RowColumns(prompt=self.columns.question, completion=self.columns.answer)
        return TableParams(columns=columns, licences=self.licences, limits=self.limits)


def problem_schema() -> dict[str, Any]:
    """The columns of word problems."""
    import polars

    return row_schema() | {"number": polars.String, "line": polars.Int64}


def problem_row(found: Mapping[str, Any], source: str, params: Params) -> dict[str, Any]:
    """One problem as a row; raises ValueError with what is wrong."""
    question = (found[params.columns.question] or "").strip()
    solution = (found[params.columns.answer] or "").strip()
    if not question:
        raise ValueError(f"{params.columns.question!r} is empty")
    _, mark, last = solution.rpartition(MARK)
    if not mark:
        raise ValueError(f"{params.columns.answer!r} does not end with '{MARK} number'")
    expected = number(last)
    if expected is None:
        raise ValueError(
            f"{params.columns.answer!r} ends with {last.strip()!r}, which is no number"
        )
    return {
        "row_id": row_id("word-problem", [question, str(expected)]),
        "parents": [],
        "prompt": question,
        "completion": _CALCULATION.sub("", solution),
        "source": source,
        "community": None,
        "number": str(expected),
        "line": found["line"],
    }


def run(context: Context) -> None:
    """Reads the files."""
    params = context.typed(Params)
    tables = table_files(context.root, params.path, params.files)
    lines = [(shown, read_table(path, shown, params.table)) for shown, path in tables.items()]
    taken = Taken("problem")
    for found, row in each_made(lines, lambda one, shown: problem_row(one, shown, params)):
        taken.add(row, not_taken(found, (row["prompt"], row["completion"]), params.table))
    taken.write(context.out, problem_schema(), tables)
    context.progress(1, 1)


method = Method(
    name="word-problems-file",
    kind="dataset",
    description="Word problems with solutions that end with `#### number`, from a file.",
    params=Params,
    run=run,
    libraries=LIBRARIES,
)
