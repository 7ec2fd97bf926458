"""Which rows of a dataset came and went between two versions, and how far its columns moved.

A version is the working tree or what a Git revision records, with its bytes from DVC's cache.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from registry import git
from registry.errors import IntegrityError, UsageError
from registry.graph import Graph, Node
from registry.ground import Revision
from registry.quality.drift import Moved, drift
from registry.quality.sql import columns_of, name, parquet
from registry.store import lock_path
from registry.typed import Frozen

if TYPE_CHECKING:
    import duckdb

SHOWN = 10
"""Rows that are named of each kind."""
_LEFT_OUT = "rejected.parquet"
HERE = "the working tree"


class Row(Frozen):
    """A row that came or went."""

    row: str
    """Its id, or all of it where the table has no ids."""
    reason: str = ""
    """Why it was left out, where the other version says so."""


class TableDifference(Frozen):
    """How one table differs."""

    table: str
    """The Parquet file."""
    before: int
    """Rows of the earlier version; 0 where it had no such table."""
    after: int
    """Rows of the later version."""
    came: int
    """Rows that only the later version has."""
    went: int
    """Rows that only the earlier version has."""
    changed: int
    """Rows with the same id and another content."""
    came_rows: tuple[Row, ...]
    """The first rows that came."""
    went_rows: tuple[Row, ...]
    """The first rows that went."""
    changed_rows: tuple[Row, ...]
    """The first rows that changed."""
    moved: tuple[Moved, ...]
    """How far each column moved."""


@dataclass(frozen=True)
class Version:
    """The files of an artifact at one time."""

    label: str
    """What it is called in messages."""
    files: Mapping[str, Path]
    """Where the bytes of each file lie."""


def here(graph: Graph, node: Node) -> Version:
    """What stands in the working tree."""
    files = graph.artifact(node).files
    if not files.is_dir():
        raise UsageError(
            "there is nothing to compare: it was not made",
            where=node.id,
            mend=f"run `chorus make {node.id} --upstream`",
        )
    return Version(
        HERE, {p.relative_to(files).as_posix(): p for p in sorted(files.rglob("*.parquet"))}
    )


def at(graph: Graph, node: Node, revision: str) -> Version:
    """What a Git revision records.

    Raises:
        UsageError: Where the revision is unknown, or records no such artifact.
        IntegrityError: Where its bytes are neither in the working tree nor in DVC's cache.
    """
    root = graph.project.root
    commit = git.ask(root, "rev-parse", "--verify", "--quiet", "--end-of-options",
                     f"{revision}^{{commit}}").strip()  # fmt: skip
    if not commit:
        raise UsageError(
            f"no revision is called {revision!r}",
            where=node.id,
            mend="name a commit, a branch, a tag or `HEAD~1`; `git log --oneline` lists commits",
        )
    ground = Revision(root, commit)
    if ground.record(node.id) is None:
        raise UsageError(
            f"{revision} records no such artifact",
            where=node.id,
            mend=f"`git log --oneline -- {lock_path(node.community)}` lists commits with records",
        )
    paths = ground.readable(node.id)
    if paths is None:
        raise IntegrityError(
            f"the bytes that {revision} records are not here",
            where=node.id,
            why="DVC keeps content beside Git, and its cache lacks this version",
            mend=f"run `dvc fetch --all-commits` for {node.path}, if a remote has it",
        )
    return Version(revision, {p: path for p, path in paths.items() if p.endswith(".parquet")})


def previous(graph: Graph, node: Node) -> Version | None:
    """The version recorded last that differs from the working tree; None where none is here."""
    root = graph.project.root
    manifest = graph.artifact(node).manifest
    standing = manifest.read_bytes() if manifest.is_file() else b""
    for commit in git.ask(root, "log", "--format=%H", "--", lock_path(node.community)).split():
        ground = Revision(root, commit)
        recorded = ground.manifest(node.id)
        if recorded is not None and recorded != standing:
            paths = ground.readable(node.id)
            tables = {p: path for p, path in (paths or {}).items() if p.endswith(".parquet")}
            return Version(commit[:10], tables) if tables else None
    return None


def difference(before: Version, after: Version) -> tuple[TableDifference, ...]:
    """How every table of two versions differs."""
    import duckdb

    with duckdb.connect() as connection:
        return tuple(
            _of_table(connection, table, before, after)
            for table in sorted(before.files.keys() | after.files.keys())
        )


def _of_table(
    connection: duckdb.DuckDBPyConnection, table: str, before: Version, after: Version
) -> TableDifference:
    old, new = before.files.get(table), after.files.get(table)
    one, two = (_keyed(connection, path) for path in (old, new))
    sides = {
        "went": f"select key from ({one}) anti join ({two}) other using (key)",
        "came": f"select key from ({two}) anti join ({one}) other using (key)",
        "changed": f"select a.key from ({one}) a join ({two}) b using (key) where a.held <> b.held",
    }
    rows = {
        kind: [str(key) for (key,) in connection.execute(f"{query} order by key").fetchall()]
        for kind, query in sides.items()
    }
    reasons = _reasons(connection, after.files.get(_LEFT_OUT), rows["went"][:SHOWN])
    earlier = _reasons(connection, before.files.get(_LEFT_OUT), rows["came"][:SHOWN])
    counts = [
        connection.execute(f"select count(*) from ({q})").fetchall()[0][0] for q in (one, two)
    ]
    return TableDifference(
        table=table,
        before=counts[0],
        after=counts[1],
        came=len(rows["came"]),
        went=len(rows["went"]),
        changed=len(rows["changed"]),
        came_rows=tuple(Row(row=r, reason=earlier.get(r, "")) for r in rows["came"][:SHOWN]),
        went_rows=tuple(Row(row=r, reason=reasons.get(r, "")) for r in rows["went"][:SHOWN]),
        changed_rows=tuple(Row(row=r) for r in rows["changed"][:SHOWN]),
        moved=drift(old, new) if old and new else (),
    )


def _keyed(connection: duckdb.DuckDBPyConnection, path: Path | None) -> str:
    """A query that gives what names a row, and what it holds as one text.

    Columns stand in the order of their names, so that a reordered table is no other one. Rows
    without an id are named by what they hold, and numbered where they repeat.
    """
    if path is None:
        return "select '' as key, '' as held where false"
    columns = columns_of(connection, parquet(path))
    pairs = ", ".join(f"{name(column)} := {name(column)}" for column in sorted(columns))
    held = f"to_json(struct_pack({pairs}))::varchar"
    once = f"select count(*) = count(distinct row_id) from {parquet(path)}"
    if "row_id" in columns and connection.execute(once).fetchall()[0][0]:
        return f"select cast(row_id as varchar) as key, {held} as held from {parquet(path)}"
    again = "row_number() over (partition by held)"
    numbered = f"select held, {again} as time from (select {held} as held from {parquet(path)})"
    return (
        "select held || case when time > 1 then ' (' || time || ')' else '' end as key, held "
        f"from ({numbered})"
    )


def _reasons(
    connection: duckdb.DuckDBPyConnection, path: Path | None, rows: list[str]
) -> dict[str, str]:
    """Why rows were left out of a version."""
    if path is None or not rows:
        return {}
    columns = columns_of(connection, parquet(path))
    if not {"row_id", "reason"} <= columns.keys():
        return {}
    query = (
        f"select cast(row_id as varchar), cast(reason as varchar) from {parquet(path)} "
        "where list_contains(?, cast(row_id as varchar))"
    )
    return {row: reason or "" for row, reason in connection.execute(query, [rows]).fetchall()}
