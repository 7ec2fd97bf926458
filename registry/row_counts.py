"""How many rows the tables of an artifact have."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from registry.artifact import FileEntry
from registry.errors import MethodError


def count_rows(files: Path, entries: Iterable[FileEntry]) -> dict[str, int]:
    """Rows of every Parquet file of an artifact; raises MethodError on one that is none."""
    tables = [entry.path for entry in entries if entry.path.endswith(".parquet")]
    if not tables:
        return {}
    import duckdb

    counts: dict[str, int] = {}
    with duckdb.connect() as connection:
        for table in tables:
            query = "select count(*) from read_parquet(?)"
            try:
                ((counts[table],),) = connection.execute(query, [str(files / table)]).fetchall()
            except duckdb.Error:
                raise MethodError("is not a Parquet file that can be read", where=table) from None
    return counts
