"""Why a row is in, or out: read from the tables of whatever was made.

Rows keep their ids from artifact to artifact, and what leaves rows out writes them to a table with
`reason`, `score` and `caused_by`. So one id leads to every place where its row stands.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.errors import UsageError
from registry.graph import Graph

if TYPE_CHECKING:
    import duckdb

_SHOWN = ("reason", "score", "caused_by", "parents")


@dataclass(frozen=True)
class Standing:
    """One line of a table that is a row, or that was made from it."""

    node: str
    """The artifact."""
    table: str
    """The table in it."""
    row: str
    """The row's id; that of its child where the line was made from it."""
    parents: tuple[str, ...] = ()
    """The rows that it was made from."""
    reason: str = ""
    """Why it was left out; empty where it was not."""
    score: float | None = None
    """The number behind the reason."""
    caused_by: str = ""
    """The row that is the reason."""

    def to_json(self) -> dict[str, Any]:
        """The line as JSON."""
        return {**vars(self), "parents": list(self.parents)}


def explain(graph: Graph, row: str) -> tuple[Standing, ...]:
    """Every line of every made artifact that is this row or was made from it, inputs first.

    Raises:
        UsageError: Where no table of any made artifact names the row.
    """
    import duckdb

    found: list[Standing] = []
    with duckdb.connect() as connection:
        for node in graph.nodes.values():
            files = graph.artifact(node).files
            for path in sorted(files.rglob("*.parquet")):
                name = path.relative_to(files).as_posix()
                found += _standings(connection, node.id, name, path, row)
    if not found:
        raise UsageError(
            f"no table of a made artifact names the row {row!r}",
            mend="take an id from a column `row_id`, and make what holds it first: `chorus status`",
        )
    return tuple(found)


def _standings(
    connection: duckdb.DuckDBPyConnection, node: str, table: str, path: Path, row: str
) -> Iterator[Standing]:
    import duckdb

    given = [str(path)]
    try:
        described = connection.execute("describe select * from read_parquet(?)", given).fetchall()
    except duckdb.Error as error:
        raise UsageError(
            "is not a Parquet file that can be read",
            where=f"{node}: {table}",
            mend="run `chorus lineage verify` on it, then make it again",
        ) from error
    columns = {str(name): str(kind) for name, kind, *_ in described}
    if "row_id" not in columns or not columns.keys() & {"reason", "parents"}:
        return  # a table of scores, say, names rows and holds none
    shown = [c if c in columns else f"null as {c}" for c in _SHOWN]
    parents = columns.get("parents") == "VARCHAR[]"
    also = " or list_contains(parents, ?)" if parents else ""
    query = f"select row_id, {', '.join(shown)} from read_parquet(?) where row_id = ?{also}"  # noqa: S608
    values = [*given, row, *([row] if parents else [])]
    for name, reason, score, caused_by, above in connection.execute(query, values).fetchall():
        yield Standing(
            node, table, str(name), tuple(above or ()), reason or "", score, caused_by or ""
        )
