"""How names and values of a declaration stand in DuckDB's SQL: quoted, and never as SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import duckdb

TRUSTS_STATISTICS = "filter_pushdown,statistics_propagation"
"""Optimisers that believe a Parquet file's statistics, which may be wrong and leave out NaN."""
FLOATS = ("FLOAT", "DOUBLE")
"""The types that can hold NaN."""
_WIDTH = 60
"""Characters of a cell that a message shows."""


def name(column: str) -> str:
    """A column's name."""
    return '"' + column.replace('"', '""') + '"'


def literal(value: str) -> str:
    """A text."""
    return "'" + value.replace("'", "''") + "'"


def parquet(*paths: Path, numbered: bool = False) -> str:
    """The rows of Parquet files; `numbered` adds `file_row_number`."""
    listed = ", ".join(literal(str(path)) for path in paths)
    more = ", file_row_number = true" if numbered else ""
    return f"read_parquet([{listed}], hive_partitioning = false, union_by_name = true{more})"


def columns_of(connection: duckdb.DuckDBPyConnection, source: str) -> dict[str, str]:
    """The columns of a source with their types; raises duckdb.Error where it cannot be read."""
    rows = connection.execute(f"describe select * from {source}").fetchall()
    return {str(row[0]): str(row[1]) for row in rows}


def of_type(connection: duckdb.DuckDBPyConnection, kind: str, values: Sequence[str]) -> list[str]:
    """The values that a column of this type can hold, as its type writes them.

    What is written in another way is left out: `1.5` is no whole number, and no cell equals it.
    """
    if kind == "VARCHAR":
        return list(values)
    cast = ", ".join(
        f"coalesce(cast(try_cast({literal(v)} as {kind}) as varchar) = {literal(v)}, false)"
        for v in values
    )
    fits = connection.execute(f"select {cast}").fetchone() or ()
    return [value for value, fit in zip(values, fits, strict=True) if fit]


def listed(kind: str, values: Sequence[str]) -> str:
    """Values that `of_type` let through, as a list to compare a column with."""
    return ", ".join(f"cast({literal(value)} as {kind})" for value in values) or "null"


def bounds(value: str, given: Mapping[str, Any], *, floating: bool = False) -> str:
    """The condition that a value lies outside of bounds; NaN lies outside of any."""
    low, high = given.get("min_value"), given.get("max_value")
    below = "<=" if given.get("strict_min") else "<"
    above = ">=" if given.get("strict_max") else ">"
    parts = [f"{value} {below} {number(low)}"] if low is not None else []
    parts += [f"{value} {above} {number(high)}"] if high is not None else []
    parts += [f"isnan({value})"] if floating and high is None else []
    return "(" + " or ".join(parts) + ")"


def number(value: float) -> str:
    """A bound; a whole one as such, so that large whole numbers are compared exactly."""
    return str(int(value)) if float(value).is_integer() else repr(value)


def shown(value: Any) -> str:
    """A value on one short line, with nothing in it that a terminal would obey."""
    line = "".join(c if c.isprintable() else "\ufffd" for c in " ".join(str(value).split()))
    return line if len(line) <= _WIDTH else line[: _WIDTH - 1] + "\u2026"


def rows_shown(cursor: duckdb.DuckDBPyConnection) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The ids of the rows that a query gives, where they have any, and each row as a line."""
    names = [column[0] for column in cursor.description or ()]
    rows = cursor.fetchall()
    lines = [
        ", ".join(f"{shown(n)}={shown(v)}" for n, v in zip(names, r, strict=True)) for r in rows
    ]
    place = names.index("row_id") if "row_id" in names else None
    ids = [str(r[place]) for r in rows if r[place] is not None] if place is not None else []
    return tuple(ids), tuple(lines)
