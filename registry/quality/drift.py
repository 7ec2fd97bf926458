"""How far a table has moved from its previous version: total variation, column by column.

Values are put into the groups of the previous version: each value where there are few, else the
tenths of the numbers or lengths. The figure is half the sum of the differences of shares (total
variation), from 0 (the same shares) to 1 (nothing in common); nulls are a group of their own.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from registry.quality.description import measured
from registry.quality.sql import columns_of, name, parquet
from registry.typed import Frozen

if TYPE_CHECKING:
    import duckdb

_FEW = 50
"""Different values up to which each is a group."""
_TENTHS = "[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]"


class Moved(Frozen):
    """How far one column has moved."""

    column: str
    """The column."""
    distance: float
    """The total variation between both versions, from 0 to 1."""


def drift(old: Path, new: Path) -> tuple[Moved, ...]:
    """How far each column that both versions have has moved, the farthest first."""
    import duckdb

    with duckdb.connect() as connection:
        before = columns_of(connection, parquet(old))
        after = columns_of(connection, parquet(new))
        found = [
            Moved(column=column, distance=round(moved, 4))
            for column, kind in before.items()
            if after.get(column) == kind
            and (moved := _distance(connection, old, new, column, kind)) is not None
        ]
    return tuple(sorted(found, key=lambda one: (-one.distance, one.column)))


def _distance(
    connection: duckdb.DuckDBPyConnection, old: Path, new: Path, column: str, kind: str
) -> float | None:
    groups = _groups(connection, parquet(old), column, kind)
    if groups is None:
        return None
    shares = (
        f"select {groups} as value, count(*) / sum(count(*)) over () as share "
        "from {source} group by all"
    )
    before, after = (shares.format(source=parquet(path)) for path in (old, new))
    query = (
        f"select sum(abs(coalesce(b.share, 0) - coalesce(a.share, 0))) / 2 from ({before}) b "
        f"full join ({after}) a on b.value is not distinct from a.value"
    )
    found = connection.execute(query).fetchone()
    return float(found[0]) if found and found[0] is not None else 0.0


def _groups(
    connection: duckdb.DuckDBPyConnection, source: str, column: str, kind: str
) -> str | None:
    """The SQL of the group that a value falls into; None where a column has no distribution.

    An id, of which every value stands once, has none.
    """
    quoted = name(column)
    counted = f"select count({quoted}), count(distinct {quoted}) from {source}"
    ((values, different),) = connection.execute(counted).fetchall()
    if different <= _FEW and not (different == values and values > 1):
        return f"cast({quoted} as varchar)"
    number = measured(column, kind)
    if not number or column.endswith("_id"):
        return None
    query = f"select quantile_cont({number}, {_TENTHS}) from {source}"
    ((tenths,),) = connection.execute(query).fetchall()
    edges = sorted(set(tenths or ()))
    cases = " ".join(f"when {number} <= {edge!r} then {place}" for place, edge in enumerate(edges))
    return f"case when {number} is null then null {cases} else {len(edges)} end"
