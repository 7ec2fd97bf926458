"""The rows that a filter reads: one table of all datasets given, checked at the start."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from assets.diversity.filtering.steps import Part
from assets.rows import ROWS, row_schema
from registry.context import Input
from registry.errors import MethodError

if TYPE_CHECKING:
    import polars

_NEEDED = ("row_id", "prompt", "completion")


@dataclass(frozen=True)
class Table:
    """Rows in the order in which the declaration names their datasets."""

    frame: polars.DataFrame
    digest: str
    """SHA-256 of the ids, texts and communities of all rows, in their order."""

    def __len__(self) -> int:
        return len(self.frame)

    def texts(self, of: Part) -> polars.Series:
        """A text of each row; what is missing counts as empty."""
        return texts(self.frame, of)


def texts(frame: polars.DataFrame, of: Part) -> polars.Series:
    """A text of each row of a table; what is missing counts as empty."""
    import polars

    prompt, completion = (polars.col(name).fill_null("") for name in ("prompt", "completion"))
    chosen = {
        "prompt": prompt,
        "completion": completion,
        "both": polars.concat_str([prompt, completion], separator="\n"),
    }[of]
    return frame.select(chosen.alias("text"))["text"]


def table_of(frame: polars.DataFrame) -> Table:
    """A table with the digest of what it holds."""
    digest = hashlib.sha256()
    for row in frame.select(*_NEEDED, "community").iter_rows():
        for value in row:
            raw = b"" if value is None else value.encode()
            digest.update(b"%d:" % (-1 if value is None else len(raw)) + raw)
    return Table(frame, digest.hexdigest())


def read_table(given: Sequence[Input]) -> Table:
    """The rows of all datasets given, under one another; where a column is lacking it is null.

    Raises:
        MethodError: Where a table is missing, cannot be read or is empty of rows altogether, where
            a column is missing or of another type, or where a row id is missing or stands twice.
    """
    import polars

    parts = []
    for one in given:
        part = read_part(one)
        if one.community is not None:
            part = part.with_columns(polars.col("community").fill_null(one.community))
        parts.append(part)
    frame = polars.concat(parts, how="diagonal_relaxed")
    if frame.is_empty():
        raise MethodError(
            "there are no rows to filter",
            where=", ".join(one.label for one in given),
            mend="look at what the inputs left out: `rejected.parquet`",
        )
    ids = frame["row_id"]
    if ids.n_unique() != len(ids):
        twice = ids.filter(ids.is_duplicated())[0]
        holders = [
            one.label
            for one, part in zip(given, parts, strict=True)
            for _ in range(part.filter(polars.col("row_id") == twice).height)
        ]
        raise MethodError(
            f"the row {twice} stands twice",
            where=" and ".join(holders[:2]),
            why="it could not be said which of the two was left out",
            mend="name each dataset once, and none that another one holds already",
        )
    return table_of(frame)


def read_part(one: Input) -> polars.DataFrame:
    """The rows of one dataset, with every column that such a dataset has."""
    frame = read_parquet(one.files / ROWS, one.label)
    schema = row_schema()
    if lacking := [name for name in _NEEDED if name not in frame.columns]:
        raise MethodError(
            f"{ROWS} lacks the column {lacking[0]!r}; it has {', '.join(frame.columns)}",
            where=one.label,
            mend="name a dataset of prompts and completions",
        )
    for name, wanted in schema.items():
        if name not in frame.columns:
            continue
        found = frame.schema[name]
        if found != wanted and not (found == "Null" or str(found) == "Null"):
            raise MethodError(
                f"the column {name!r} of {ROWS} holds {found}, not {wanted}",
                where=one.label,
                mend="mend the method that made it",
            )
    frame = frame.cast({name: t for name, t in schema.items() if name in frame.columns})
    if frame["row_id"].null_count():
        position = int(frame["row_id"].is_null().arg_true()[0])
        raise MethodError(
            f"row {position + 1} of {ROWS} has no id",
            where=one.label,
            why="what is left out could not be named",
            mend="mend the method that made it",
        )
    return frame.with_columns(
        _nothing(name, wanted) for name, wanted in schema.items() if name not in frame.columns
    )


def read_parquet(path: Path, where: str) -> polars.DataFrame:
    """A Parquet file; raises MethodError where it is missing or holds what is no text."""
    import polars

    try:
        return polars.read_parquet(path)
    except FileNotFoundError:
        raise MethodError(
            f"holds no {path.name}", where=where, mend="name an artifact that holds one"
        ) from None
    except (polars.exceptions.PolarsError, OSError) as error:
        raise MethodError(
            f"{path.name} cannot be read: {str(error).splitlines()[0]}",
            where=where,
            why="a text that is not UTF-8, or a damaged file, would be taken for other rows",
            mend="make it again with `chorus make NODE --force`, or `dvc checkout`",
        ) from None


def _nothing(name: str, kind: polars.DataType) -> polars.Expr:
    import polars

    return polars.lit(None, dtype=kind).alias(name)
