"""Several datasets of rows as one; a row whose text came before is left out, and named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assets.rows import LIBRARIES, REJECTED, ROWS, read_rows
from registry.errors import MethodError
from registry.method import Method, Role
from registry.typed import Frozen

if TYPE_CHECKING:
    from registry.context import Context


class Params(Frozen):
    """Nothing to choose: datasets come in the order in which they are given."""


def run(context: Context) -> None:
    """Writes all rows with the columns of all."""
    import polars

    parts = [read_rows(given.files / ROWS) for given in context.inputs("rows")]
    try:
        whole = polars.concat(parts, how="diagonal_relaxed")
    except polars.exceptions.PolarsError as error:
        raise MethodError(
            f"the datasets do not fit together: {error}",
            why="a column has a different type in each",
            mend="make them with the same method, or leave one out",
        ) from None
    first = polars.col("row_id").first().over("prompt", "completion")
    marked = whole.with_columns(
        caused_by=first, again=polars.struct("prompt", "completion").is_first_distinct().not_()
    )
    kept = marked.filter(~polars.col("again")).drop("caused_by", "again")
    if kept["row_id"].n_unique() != len(kept):
        raise MethodError(
            "two rows with different text have the same row_id",
            why="lineage could not tell them apart",
            mend="make one of the datasets again with another origin",
        )
    rejected = (
        marked.filter("again")
        .drop("again")
        .with_columns(
            reason=polars.lit("the same text came before"), score=polars.lit(None, polars.Float64)
        )
    )
    kept.write_parquet(context.out / ROWS, compression="zstd", statistics=False)
    rejected.write_parquet(context.out / REJECTED, compression="zstd", statistics=False)


method = Method(
    name="joined-rows",
    kind="dataset",
    description="Several datasets of rows as one, each text once.",
    params=Params,
    run=run,
    inputs={"rows": Role("dataset", "rows of prompts and completions", many=True)},
    libraries=LIBRARIES,
)
