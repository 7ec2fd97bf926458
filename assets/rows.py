"""Rows of datasets: their identity, and how they are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.artifact import digest_of

if TYPE_CHECKING:
    import polars

LIBRARIES = ("polars",)
ROWS, REJECTED = "rows.parquet", "rejected.parquet"
"""The tables of a dataset of prompts and completions: what it holds, and what was left out."""


def row_schema() -> dict[str, Any]:
    """The columns that every dataset of prompts and completions has; a method may add others.

    `source` says where a row comes from: a generator, a set of prompts, a file. `community` is null
    where a row belongs to none. What filters rows keeps all columns, and adds `reason`, `score` and
    `caused_by` to those that it leaves out.
    """
    import polars

    text = polars.String
    return {
        "row_id": text,
        "parents": polars.List(text),
        "prompt": text,
        "completion": text,
        "source": text,
        "community": text,
    }


def reason_schema() -> dict[str, Any]:
    """The columns that say why a row was left out."""
    import polars

    return {"reason": polars.String, "score": polars.Float64, "caused_by": polars.String}


def turned_away(
    own: str, reason: str, score: float | None = None, caused_by: str | None = None
) -> dict[str, Any]:
    """A row that was left out: why, how far it was from staying, and the row that caused it.

    That is the row itself unless another one did.
    """
    return {
        "row_id": own, "reason": reason, "score": score, "caused_by": caused_by or own,
    }  # fmt: skip


def write_left_out(folder: Path, rejected: Sequence[Mapping[str, Any]]) -> None:
    """Writes the rows that were not learned from."""
    import polars

    write_rows(folder / REJECTED, rejected, {"row_id": polars.String, **reason_schema()})


def row_id(origin: str, content: Any) -> str:
    """The identity of a row: 16 hex digits from what it holds and where it comes from."""
    return digest_of([origin, content])[:16]


def write_rows(
    path: Path, rows: Sequence[Mapping[str, Any]], schema: Mapping[str, Any] | None = None
) -> None:
    """Writes rows as Parquet; `schema` is needed where there may be none."""
    import polars

    frame = polars.DataFrame(list(rows), schema=schema, infer_schema_length=None, orient="row")
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.write_parquet(path, compression="zstd", statistics=False)


def read_rows(path: Path) -> polars.DataFrame:
    """Reads a Parquet file."""
    import polars

    return polars.read_parquet(path)
