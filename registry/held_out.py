"""Which rows no model may learn from, and everything that was made from them.

Whether an item is held out is a function of its id alone. A questionnaire says so of its items; a
profile's own norms, examples, pairs and guidance are split by its `evaluation.held_out_share`. What
has a held-out row among its parents, however far back, is held out with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from registry.artifact import FILES
from registry.graph import Graph, Node
from registry.profile_folder import Profile
from registry.profile_tables import EXAMPLES, GUIDANCE, NORMS, OPINIONS, PREFERENCES, held_out
from registry.project import Project

if TYPE_CHECKING:
    import duckdb

SPLIT = (EXAMPLES, NORMS, GUIDANCE, PREFERENCES)
"""The tables of a profile of which a part is kept for evaluation."""


@dataclass(frozen=True)
class HeldOut:
    """Ids that no learned row may bear or come from."""

    ids: frozenset[str] = frozenset()
    """Ids that mean one thing in the whole project: items and rows of datasets."""
    own: frozenset[tuple[str, str]] = frozenset()
    """Ids of a profile's own rows, which another profile may use for something else."""
    known_from: tuple[str, ...] = field(default=())
    """Which questionnaires and profiles said so; without any, nothing is proved."""


def kept_back(profile: Profile, asked: float = 0.0) -> Iterator[tuple[str, str]]:
    """The rows of a profile that no model learns from, each by its table and id.

    Args:
        profile: The profile.
        asked: The share of its questionnaire's items that are held out. A row that was derived
            from one of these items stands on the item's own side.
    """
    share, opinions = profile.profile.evaluation.held_out_share, profile.profile.opinions
    tables = profile.tables()
    items = {row.item for row in tables[OPINIONS.file].rows} if OPINIONS.file in tables else set()
    for shape in SPLIT:
        for row in tables[shape.file].rows if shape.file in tables else ():
            item = getattr(row, "item", None)
            if opinions and item and item in items:
                back = held_out(opinions.instrument, item, asked)
            else:
                back = held_out(profile.id, item or row.id, share)
            if back:
                yield shape.file, row.id


def instrument_share(project: Project, instrument: str) -> float:
    """The share of a questionnaire's items that its declaration holds out; 0 where none does."""
    for declared in project.declarations.values():
        params = declared.params.model_dump(mode="json")
        if params.get("instrument") == f"registry/instruments/{instrument}.yaml":
            return float(params.get("held_out_share", 0))
    return 0.0


def held_out_for(graph: Graph, node: Node) -> HeldOut:
    """Everything that a node may not learn from, by what it is made from."""
    import duckdb

    ids: set[str] = set()
    own: set[tuple[str, str]] = set()
    known: list[str] = []
    for community in graph.permissions(node):
        profile = graph.project.profiles[community]
        if not any(profile.table(shape.file).is_file() for shape in SPLIT):
            continue
        opinions = profile.profile.opinions
        asked = instrument_share(graph.project, opinions.instrument) if opinions else 0.0
        own |= {(community, row) for _, row in kept_back(profile, asked)}
        known.append(f"value_profiles/{community}")
    with duckdb.connect() as connection:
        for above in graph.upstream([node]):
            if above.id != node.id and above.declaration.kind == "dataset":
                for path in _tables(graph, above):
                    known += [above.id] if _spread(connection, path, ids, own, above) else []
    return HeldOut(frozenset(ids), frozenset(own), tuple(dict.fromkeys(known)))


def _tables(graph: Graph, node: Node) -> list[Path]:
    return sorted((graph.artifact(node).directory / FILES).rglob("*.parquet"))


def _spread(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    ids: set[str],
    own: set[tuple[str, str]],
    node: Node,
) -> bool:
    """Adds what a table says is held out, and what comes from that; whether it says anything."""
    described = connection.execute("DESCRIBE SELECT * FROM read_parquet($1)", [str(path)])
    columns = {str(row[0]): str(row[1]) for row in described.fetchall()}
    says = columns.get("held_out") == "BOOLEAN"
    wanted = [name for name in ("row_id", "item", "parents", "community") if name in columns]
    if not wanted:
        return False
    marked = "coalesce(held_out, false)" if says else "false"
    rows = connection.execute(
        f"SELECT {marked}, {', '.join(wanted)} FROM read_parquet($1)",  # noqa: S608 - named above
        [str(path)],
    )
    for held, *cells in rows.fetchall():
        row = dict(zip(wanted, cells, strict=True))
        community = str(row.get("community") or node.community or "")
        parents = row.get("parents") if isinstance(row.get("parents"), list) else []
        from_own = any((community, one) in own for one in parents or ())
        if held and row.get("item"):
            ids.add(str(row["item"]))
        comes = not ids.isdisjoint(parents or ()) or from_own
        if row.get("row_id") and (held or comes or row.get("item") in ids):
            ids.add(str(row["row_id"]))
    return says
