"""What a table holds, to be read in ten seconds: rows, columns, texts, communities.

Counts are exact, but for the number of different values, which DuckDB estimates. Texts are judged
by what an installed package offers (`registry.quality.languages`), if one does, and on an even
sample where there are many.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.quality import languages
from registry.quality.sql import columns_of, name, parquet
from registry.typed import Frozen

if TYPE_CHECKING:
    import duckdb

TEXTS = ("prompt", "completion", "chosen", "rejected", "question", "answer", "text", "explanation")
"""Columns whose texts are judged, where a table has them."""
_SAMPLE = 2_000
"""Texts that are judged of a column."""
_FEW = 12
"""Different values up to which each is counted."""
_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE", "DECIMAL")


class Column(Frozen):
    """One column."""

    name: str
    """Its name."""
    type: str
    """Its type, by DuckDB's name."""
    nulls: int
    """Rows without a value."""
    different: int
    """Different values, estimated."""
    low: float | None = None
    """The smallest number, or the shortest length of a text or list."""
    middle: float | None = None
    """The median of the numbers or lengths."""
    high: float | None = None
    """The largest."""
    counts: dict[str, int] | None = None
    """Rows of each value, where there are few values; the most frequent first."""


class Texts(Frozen):
    """What the texts of one column are."""

    column: str
    """The column."""
    judged: int
    """How many of its texts were judged."""
    languages: dict[str, int]
    """Texts in each language; `und` where that cannot be told."""
    repeated: int
    """Texts that nearly repeat another (sequences of five words, Jaccard similarity 0.8)."""


class Table(Frozen):
    """One table."""

    table: str
    """The Parquet file."""
    rows: int
    """Its rows."""
    columns: tuple[Column, ...]
    """Its columns."""
    communities: dict[str, int]
    """Rows of each community; empty where rows name none."""
    texts: tuple[Texts, ...]
    """Its columns of text."""


def describe(files: Path) -> tuple[Table, ...]:
    """What every Parquet file below `files` holds."""
    import duckdb

    with duckdb.connect() as connection:
        return tuple(
            _table(connection, path, path.relative_to(files).as_posix())
            for path in sorted(files.rglob("*.parquet"))
        )


def _table(connection: duckdb.DuckDBPyConnection, path: Path, called: str) -> Table:
    source = parquet(path)
    types = columns_of(connection, source)
    ((rows,),) = connection.execute(f"select count(*) from {source}").fetchall()
    judge = languages.offered()
    communities = _counts(connection, source, "community") if "community" in types else {}
    return Table(
        table=called,
        rows=rows,
        columns=tuple(_columns(connection, source, types)),
        communities=communities,
        texts=tuple(
            _texts(connection, source, column, rows, judge)
            for column in TEXTS
            if judge and types.get(column) == "VARCHAR" and rows
        ),
    )


def measured(column: str, kind: str) -> str:
    """The number that stands for a value: itself, or its length; nothing where it has neither."""
    if kind.startswith(_NUMBERS) and not kind.endswith("]"):
        finite = f"isfinite(cast({name(column)} as double))"
        return f"case when {finite} then cast({name(column)} as double) end"
    if kind == "VARCHAR" or kind.endswith("[]"):
        return f"cast(length({name(column)}) as double)"
    return ""


def _columns(
    connection: duckdb.DuckDBPyConnection, source: str, types: Mapping[str, str]
) -> list[Column]:
    asked = []
    for column, kind in types.items():
        number = measured(column, kind) or "cast(null as double)"
        quoted = name(column)
        asked += [
            f"count(*) - count({quoted})", f"approx_count_distinct({quoted})",
            f"min({number})", f"median({number})", f"max({number})",
        ]  # fmt: skip
    found = connection.execute(f"select {', '.join(asked)} from {source}").fetchone() or ()
    columns = []
    for place, (column, kind) in enumerate(types.items()):
        nulls, different, low, middle, high = found[5 * place : 5 * place + 5]
        few = different <= _FEW and not kind.endswith("]") and not kind.startswith("STRUCT")
        columns.append(
            Column(
                name=column, type=kind, nulls=nulls, different=different,
                low=low, middle=middle, high=high,
                counts=_counts(connection, source, column) if few else None,
            )
        )  # fmt: skip
    return columns


def _counts(connection: duckdb.DuckDBPyConnection, source: str, column: str) -> dict[str, int]:
    found = connection.execute(
        f"select cast({name(column)} as varchar) as value, count(*) as times from {source} "
        f"where {name(column)} is not null group by all order by times desc, value"
    )
    return {str(value): times for value, times in found.fetchall()}


def _texts(
    connection: duckdb.DuckDBPyConnection,
    source: str,
    column: str,
    rows: int,
    judge: languages.Texts,
) -> Texts:
    """Every n-th text, so that the same table is always described alike."""
    step = max(1, rows // _SAMPLE)
    numbered = f"select {name(column)} as text, row_number() over () as place from {source}"
    query = f"select text from ({numbered}) where text is not null and place % {step} = 0"
    read: list[Any] = [text for (text,) in connection.execute(query).fetchall()]
    repeated = sum(place is not None for place in judge.repeated(read)) if read else 0
    found = dict(judge.languages(read))
    return Texts(column=column, judged=len(read), languages=found, repeated=repeated)
