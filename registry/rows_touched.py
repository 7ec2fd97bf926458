"""Which artifacts hold what a profile's row became: by the tables read, and by the rows' parents.

What an artifact read is recorded in manifests, and decides. Which of its rows came from one row is
looked up in `id`, `item`, `row_id` and `parents`, and only shown.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry.artifact import FILES
from registry.impact import Touched, artifacts_on
from registry.known import manifest_paths

_NAMES = ("id", "item", "row_id")
_FROM = ("parents", "caused_by")


@dataclass(frozen=True)
class Rows:
    """Rows of one table of an artifact."""

    node: str
    table: str
    count: int

    def to_json(self) -> dict[str, Any]:
        """The rows as JSON."""
        return vars(self)


def readers(root: Path, community: str, after: Mapping[str, str]) -> list[Touched]:
    """The artifacts that rest on these tables as they were.

    Args:
        root: The project.
        community: The profile.
        after: For each table the digest that it has without the row.
    """
    known = [json.loads(path.read_bytes()) for path in manifest_paths(root)]
    by_content = {(data["node"], data["content"]): data for data in known}

    def read(data: Mapping[str, Any]) -> bool:
        if reads(data, community, after):
            return True
        for entry in data["inputs"]:
            above = by_content.get((entry["node"], entry["content"]))
            # What it was made from is gone: then only the profile that it names can tell.
            if read(above) if above else any(p["id"] == community for p in data["profiles"]):
                return True
        return False

    held = {data["node"] for data in known if read(data)}
    return [touched for touched in artifacts_on(root, community) if touched.node in held]


def reads(manifest: Mapping[str, Any], community: str, after: Mapping[str, str]) -> bool:
    """Whether an artifact itself read a table that was another than it is without the row."""
    tables = [p["tables"] for p in manifest["profiles"] if p["id"] == community]
    return any(
        table in after and digest != after[table]
        for part in tables
        for table, digest in part.items()
    )


def rows_of(root: Path, touched: Iterable[Touched], community: str, row: str) -> list[Rows]:
    """The rows of these artifacts that are a profile's row, or have it among their parents."""
    tables = [
        (one.node, path, root / one.path / FILES)
        for one in touched
        for path in sorted((root / one.path / FILES).rglob("*.parquet"))
    ]
    names, size = {row}, 0
    counts: dict[tuple[str, str], int] = {}
    while size != len(names):  # a round for each step from parent to child
        size = len(names)
        for node, path, files in tables:
            found, own = _matching(path, community, names, top=row)
            names |= own
            if found:
                counts[node, path.relative_to(files).as_posix()] = found
    return [Rows(node, table, count) for (node, table), count in sorted(counts.items())]


def _matching(path: Path, community: str, names: set[str], top: str) -> tuple[int, set[str]]:
    """How many rows of a table are named, or come from what is named; and their own ids."""
    import duckdb

    with duckdb.connect() as connection:
        try:
            source = connection.read_parquet(str(path))
        except duckdb.Error:
            return 0, set()
        columns = dict(zip(source.columns, map(str, source.types), strict=True))
        tests = list(_tests(columns))
        if not tests:
            return 0, set()
        own = "row_id" if "row_id" in columns else "id" if "id" in columns else "NULL"
        scope = "community = $community" if "community" in columns else "$community <> ''"
        query = f"""
            SELECT count(*), list(DISTINCT CAST({own} AS VARCHAR)) FROM read_parquet($path)
            WHERE ({scope}) AND ({" OR ".join(tests)})
        """  # noqa: S608 - columns are among the five that are named above
        given = {"path": str(path), "community": community, "names": sorted(names), "top": top}
        asked = {name: value for name, value in given.items() if f"${name}" in query}
        count, found = connection.execute(query, asked).fetchall()[0]
    return int(count), {str(name) for name in found or () if name is not None}


def _tests(columns: Mapping[str, str]) -> Iterator[str]:
    """The SQL conditions under which a row is named or comes from what is named."""
    for name in _NAMES:
        if columns.get(name) == "VARCHAR":
            yield f"{name} = $top"
    for name in _FROM:
        if columns.get(name) == "VARCHAR":
            yield f"list_contains($names, {name})"
        elif columns.get(name) == "VARCHAR[]":
            yield f"list_has_any({name}, $names)"


def item_behind(root: Path, touched: Iterable[Touched], row: str) -> str | None:
    """The item that a dataset's row asks about, by its `row_id`; None where no row has it."""
    import duckdb

    for one in touched:
        for path in sorted((root / one.path / FILES).rglob("*.parquet")):
            with duckdb.connect() as connection:
                columns = connection.read_parquet(str(path)).columns
                if not {"row_id", "item"} <= set(columns):
                    continue
                query = "SELECT item FROM read_parquet($path) WHERE row_id = $row"
                found = connection.execute(query, {"path": str(path), "row": row}).fetchone()
                if found is not None:
                    return str(found[0])
    return None
