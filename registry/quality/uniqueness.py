"""Uniqueness: asked in a query of its own, in little memory.

Counting different values would hold every one of them in memory. Different hashes are counted
instead, which DuckDB does in parts and on disk where it must: as many hashes as rows prove that no
value stands twice. Where there are fewer, the values themselves are grouped, and counted exactly.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from registry.expectation import Expectation
from registry.quality.conditions import Sight
from registry.quality.sql import FLOATS, name, parquet, rows_shown
from registry.quality.verdict import EXAMPLES, Verdict, enough

if TYPE_CHECKING:
    import duckdb

UNIQUE = ("expect_column_values_to_be_unique", "expect_compound_columns_to_be_unique")


def unique(given: Expectation, path: Path, sight: Sight) -> Verdict:
    """The verdict on an expectation that nothing stands twice."""
    source, columns = parquet(path), _columns(given)
    keys = ", ".join(map(name, columns))
    there = " or ".join(f"{name(column)} is not null" for column in columns)
    # Numbers that are equal may have another hash (0.0 and -0.0), and nested values hold numbers.
    hashable = all(_plain(sight.types[column]) for column in columns)
    one = f"hash({keys})" if hashable else f"({keys})"
    grouped = f"select count(*) as times from {source} where {there} group by {one}"
    counted = f"select coalesce(sum(times), 0), count(*) from ({grouped})"
    ((rows, different),) = sight.connection.execute(counted).fetchall()
    if rows == different:
        return Verdict(given, success=True)
    return _repeated(given, sight.connection, source, keys, there, int(rows))


def _columns(given: Expectation) -> tuple[str, ...]:
    return (given.column,) if given.column is not None else (given.column_list or ())


def _plain(kind: str) -> bool:
    return not kind.endswith("]") and not kind.startswith((*FLOATS, "STRUCT", "MAP", "UNION"))


def _repeated(
    given: Expectation,
    connection: duckdb.DuckDBPyConnection,
    source: str,
    keys: str,
    there: str,
    rows: int,
) -> Verdict:
    """Counts every row of a value that stands more than once; a key of nulls repeats nothing."""
    again = f"count(*) as times from {source} where {there} group by {keys} having count(*) > 1"
    counted = f"select coalesce(sum(times), 0) from (select {again})"
    ((unexpected,),) = connection.execute(counted).fetchall()
    query = f"select {keys}, {again} order by all limit {EXAMPLES}"
    _, lines = rows_shown(connection.execute(query))
    met = enough(rows, int(unexpected), given.mostly)
    return Verdict(given, met, int(unexpected), examples=lines)
