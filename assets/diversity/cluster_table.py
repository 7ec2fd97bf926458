"""The table of clusters that `row-clusters` writes, as other methods read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assets.rows import read_rows
from registry.errors import MethodError

if TYPE_CHECKING:
    import polars

    from registry.context import Context

TABLE = "clusters.parquet"


def given_clusters(context: Context, role: str = "clusters") -> polars.DataFrame | None:
    """`row_id` and `cluster` of the rows, where the role is given.

    Raises MethodError where a row belongs to two clusters.
    """
    given = context.inputs(role)
    if not given:
        return None
    table = read_rows(given[0].files / TABLE).select("row_id", "cluster")
    if table["row_id"].n_unique() != len(table):
        twice = table.filter(table["row_id"].is_duplicated())["row_id"][0]
        raise MethodError(
            f"the row {twice} belongs to two clusters",
            where=given[0].label,
            why="it would count twice",
            mend="drop exact repetitions before features are made and clustered",
        )
    return table
