"""Why a row is in, or out, where it came from, and what learned from it.

Rows keep their ids from artifact to artifact, `parents` names the rows that one was made from, and
what leaves rows out writes them to a table with `reason`, `score` and `caused_by`. So one id leads
up to the item of a profile that it asks about, and down to every model and release.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from registry.artifact import FILES
from registry.errors import UsageError
from registry.known import Known, key_of, read_known
from registry.profile_folder import CONTENT

if TYPE_CHECKING:
    import duckdb

_SHOWN = ("reason", "score", "caused_by", "parents", "item")


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
    item: str = field(default="", repr=False)
    """The item of a profile that it asks about, where it says so."""

    def to_json(self) -> dict[str, Any]:
        """The line as JSON."""
        return {**vars(self), "parents": list(self.parents)}


class Origin(NamedTuple):
    """A row of a profile's table that a dataset's row rests on."""

    table: str
    item: str
    asked_in: str
    """The artifact whose method read that table."""


@dataclass(frozen=True)
class Explanation:
    """Everything that the tables say of one row."""

    standings: tuple[Standing, ...]
    """Where it stands, and what was made from it at once; inputs first."""
    ancestors: tuple[Standing, ...]
    """What it was made from, nearest first, back to rows that have no parents."""
    origins: tuple[Origin, ...]
    """The items of profiles at the end of that way."""
    descendants: tuple[Standing, ...]
    """What was made from what was made from it."""
    used_by: tuple[str, ...]
    """Artifacts made from one in which it, or what was made from it, was kept."""
    releases: tuple[str, ...]
    """Releases that rest on one of these."""

    def to_json(self) -> dict[str, Any]:
        """The explanation as JSON."""
        return {
            **{part: [one.to_json() for one in getattr(self, part)]
               for part in ("standings", "ancestors", "descendants")},
            "origins": [origin._asdict() for origin in self.origins],
            "used_by": list(self.used_by),
            "releases": list(self.releases),
        }  # fmt: skip


def explain(root: Path, row: str, known: Known | None = None) -> Explanation:
    """Every line of every made artifact that is this row, led to it, or came from it.

    Raises:
        UsageError: Where no table of any made artifact names the row.
    """
    import duckdb

    known = known or read_known(root)
    with duckdb.connect() as connection:
        tables = list(_tables(connection, root, known))
        standings = [s for table in tables if table.holds for s in table.lines([row], family=True)]
        if not standings:
            raise UsageError(
                f"no table of a made artifact names the row {row!r}",
                mend="take an id from a column `row_id`, and make what holds it first: "
                "`chorus status`",
            )
        own = [one for one in standings if one.row == row]
        ancestors = list(_ancestors(tables, own, row))
        children = {one.row for one in standings} - {row}
        descendants = list(_descendants(tables, children, {row}))
    kept = {one.node for one in (*standings, *descendants) if not one.reason}
    used = _users(known, kept)
    return Explanation(
        tuple(standings),
        tuple(ancestors),
        tuple(_origins(root, known, [*own, *ancestors])),
        tuple(descendants),
        tuple(node for node in known.here if node in used and node not in kept),
        tuple(known.released_with(key_of(known.here[n]) for n in kept | used if n in known.here)),
    )


def holders(root: Path, known: Known, row: str) -> dict[str, int]:
    """The artifacts that keep a row or anything made from it, with the number of such lines."""
    found = explain(root, row, known)
    kept = [one for one in (*found.standings, *found.descendants) if not one.reason]
    return {one.node: sum(other.node == one.node for other in kept) for one in kept}


def _users(known: Known, kept: set[str]) -> set[str]:
    wanted = {key_of(known.here[node]) for node in kept if node in known.here}
    touched = known.touched(lambda one: "holds it" if key_of(one) in wanted else "")
    return {node for node, _ in touched} - kept


@dataclass(frozen=True)
class _Table:
    """A table whose rows have ids."""

    connection: duckdb.DuckDBPyConnection
    node: str
    name: str
    path: Path
    columns: Mapping[str, str]

    @property
    def holds(self) -> bool:
        """Whether it holds rows; a table of scores, say, names rows and holds none."""
        return bool(self.columns.keys() & {"reason", "parents"})

    def lines(self, rows: Sequence[str], *, family: bool = False) -> Iterator[Standing]:
        """The lines of these rows and, with `family`, of their children."""
        shown = [c if c in self.columns else f"null as {c}" for c in _SHOWN]
        lists = family and self.columns.get("parents") == "VARCHAR[]"
        also = " or list_has_any(parents, $rows)" if lists else ""
        query = (
            f"select row_id, {', '.join(shown)} from read_parquet($path)"  # noqa: S608
            f" where list_contains($rows, row_id){also}"
        )
        given = {"path": str(self.path), "rows": list(rows)}
        for line in self.connection.execute(query, given).fetchall():
            name, reason, score, caused_by, parents, item = line
            above = tuple(parents) if isinstance(parents, list) else ()
            yield Standing(self.node, self.name, str(name), above, reason or "", score,
                           caused_by or "", str(item or ""))  # fmt: skip


def _tables(connection: duckdb.DuckDBPyConnection, root: Path, known: Known) -> Iterator[_Table]:
    """Every table with a column `row_id`, inputs first."""
    import duckdb

    data = root / "data"
    places = {node: data / node.replace("@", "/") for node in known.here}
    places |= {"@".join(path.parent.relative_to(data).parts): path.parent
               for path in sorted([*data.glob(f"*/{FILES}"), *data.glob(f"*/*/{FILES}")])
               if not path.parent.name.startswith(".")}  # fmt: skip
    for node, place in places.items():
        for path in sorted((place / FILES).rglob("*.parquet")):
            name = path.relative_to(place / FILES).as_posix()
            try:
                query = "describe select * from read_parquet(?)"
                described = connection.execute(query, [str(path)]).fetchall()
            except duckdb.Error as error:
                raise UsageError(
                    "is not a Parquet file that can be read",
                    where=f"{node}: {name}",
                    mend="run `chorus lineage verify` on it, then make it again",
                ) from error
            columns = {str(column): str(kind) for column, kind, *_ in described}
            if columns.get("row_id") == "VARCHAR":
                yield _Table(connection, node, name, path, columns)


def _ancestors(tables: Sequence[_Table], own: Iterable[Standing], row: str) -> Iterator[Standing]:
    """What rows were made from, a generation at a time."""
    seen = {row}
    wanted = {parent for one in own for parent in one.parents} - seen
    while wanted:
        found: dict[str, Standing] = {}
        for table in sorted(tables, key=lambda table: not table.holds):  # those of scores last
            for line in table.lines(sorted(wanted)):
                found.setdefault(line.row, line)
        yield from found.values()
        seen |= wanted
        wanted = {parent for one in found.values() for parent in one.parents} - seen


def _descendants(
    tables: Sequence[_Table], children: set[str], seen: set[str]
) -> Iterator[Standing]:
    """What was made from these rows, a generation at a time."""
    holding = [table for table in tables if table.holds]
    while children := children - seen:
        seen |= children
        lines = [line for table in holding for line in table.lines(sorted(children), family=True)]
        below = [line for line in lines if line.row not in seen]
        yield from below
        children = {line.row for line in below}


def _origins(root: Path, known: Known, lines: Iterable[Standing]) -> Iterator[Origin]:
    """The rows of profiles' tables whose items these lines ask about."""
    seen = set()
    for line in lines:
        for entry in known.here.get(line.node, {}).get("profiles", ()) if line.item else ():
            for table in entry["tables"]:
                home = "" if entry["permission"] == "licence" else f"{CONTENT}/"
                path = f"value_profiles/{entry['id']}/{home}{table}"
                found = Origin(path, line.item, line.node)
                if found not in seen and _has(root / path, line.item):
                    seen.add(found)
                    yield found


def _has(table: Path, item: str) -> bool:
    """Whether a table has a row of this item, or with this id."""
    if not table.is_file():
        return False
    with table.open(encoding="utf-8", newline="") as stream:
        return any(item in (row.get("item"), row.get("id")) for row in csv.DictReader(stream))
