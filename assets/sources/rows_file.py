"""Prompts and completions from a file of the project."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assets.rows import LIBRARIES
from assets.sources.table_rows import TableParams, read_table, write_table_rows
from registry.method import Method, SourcePath

if TYPE_CHECKING:
    from registry.context import Context


class Params(TableParams):
    """Which file, and how it is read."""

    path: SourcePath
    """A JSON Lines or Parquet file, from the project's root; its bytes count as an input."""


def run(context: Context) -> None:
    """Reads the file."""
    params = context.typed(Params)
    table = read_table(context.source(params.path), params.path, params)
    write_table_rows({params.path: table}, params, context.out)
    context.progress(1, 1)


method = Method(
    name="rows-file",
    kind="dataset",
    description="Prompts and completions from a JSON Lines or Parquet file of the project.",
    params=Params,
    run=run,
    libraries=LIBRARIES,
)
