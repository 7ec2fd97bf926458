"""Who is left after a filter: rows before and after, by community, by source and by cluster.

A filter that raises diversity can thin out a minority: whoever writes much alike looks like a
repetition. So every method that leaves rows out writes `kept.parquet`, and its contract holds the
communities to 0.8 of the rate at which all rows are kept:

    - expect: expect_column_values_to_be_between
      table: kept.parquet
      column: community_rate
      min_value: 0.8
      reason: A community kept at under 0.8 of the overall rate was thinned out.

`community_rate` is the relative rate where the group is a community, and null elsewhere, since
dense clusters and dull sources are what a filter is there to thin out.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from registry.errors import MethodError

if TYPE_CHECKING:
    import polars

KEPT = "kept.parquet"
KINDS = ("community", "source", "cluster")
LEAST_RATE = 0.8
"""The least that a community may be kept at, relative to all rows (the four-fifths rule of the US
Uniform Guidelines on Employee Selection Procedures, 1978, section 4D)."""


def kept_by_group(
    rows: polars.DataFrame, kept: Collection[str], clusters: polars.DataFrame | None = None
) -> polars.DataFrame:
    """One line for each community, source and cluster, and how many of its rows were kept.

    Args:
        rows: All rows before the filter, with `row_id` and, where known, `community` and `source`.
        kept: The ids of the rows that were kept.
        clusters: `row_id` and `cluster` of the rows, as in `clusters.parquet`.

    Returns:
        `group`, `kind`, `before`, `after`, `rate` (after / before), `relative_rate` (rate / rate
        over all rows; 0 where nothing was kept) and `community_rate`. Rows without a community
        count in the overall rate and stand in no group.

    Raises:
        MethodError: Where an id was kept that was not there before, or stands there twice.
    """
    import polars

    ids = rows["row_id"]
    if ids.n_unique() != len(ids):
        twice = ids.filter(ids.is_duplicated())[0]
        raise MethodError(
            f"the row {twice} stands in the table twice",
            why="it could not be said which of the two was kept",
            mend="drop exact repetitions first",
        )
    chosen = polars.Series("row_id", sorted(set(kept)), dtype=polars.String)
    if foreign := sorted(set(chosen) - set(ids)):
        raise MethodError(
            f"the row {foreign[0]} was kept and is not among the rows before",
            mend="count with the table that the filter read",
        )
    table = rows.select("row_id", *(c for c in ("community", "source") if c in rows.columns))
    table = table.with_columns(kept=polars.col("row_id").is_in(chosen.implode()))
    if clusters is not None:
        table = table.join(clusters.select("row_id", "cluster"), on="row_id", how="left")
    overall = len(chosen) / len(table) if len(table) else 0.0
    parts = [_counted(table, kind) for kind in KINDS if kind in table.columns]
    counted = polars.concat([_counted(table.clear(), None), *parts])
    relative = polars.col("rate") / overall if overall else polars.lit(0.0)
    return counted.with_columns(relative_rate=relative).with_columns(
        community_rate=polars.when(polars.col("kind") == "community").then("relative_rate")
    )


def write_kept(
    files: Path,
    rows: polars.DataFrame,
    kept: Collection[str],
    clusters: polars.DataFrame | None = None,
) -> polars.DataFrame:
    """Writes `kept.parquet` into an artifact's files; returns what it holds."""
    table = kept_by_group(rows, kept, clusters)
    table.write_parquet(files / KEPT, compression="zstd", statistics=False)
    return table


def _counted(table: polars.DataFrame, kind: str | None) -> polars.DataFrame:
    """The groups of one kind by name (clusters by number), with rows before and after."""
    import polars

    group = polars.col(kind) if kind else polars.lit(None, dtype=polars.String)
    return (
        table.select(group.alias("group"), "kept")
        .drop_nulls("group")
        .group_by("group")
        .agg(
            before=polars.len().cast(polars.Int64),
            after=polars.col("kept").sum().cast(polars.Int64),
        )
        .sort("group")
        .select(
            polars.col("group").cast(polars.String),
            polars.lit(kind, dtype=polars.String).alias("kind"),
            "before",
            "after",
            (polars.col("after") / polars.col("before")).alias("rate"),
        )
    )
