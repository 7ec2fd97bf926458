"""Tables of an artifact as a page shows them: columns, a few rows, what was left out and why."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry.pages.showing import text

ROWS = 10
"""Rows of a table that a page shows."""
REJECTED = "rejected.parquet"
_COUNTED = 200 * 1024 * 1024
"""Bytes of a file beyond which its columns are named and not counted."""


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    name: str
    type: str
    empty: int | None
    """Rows without a value; None where that was not counted."""
    distinct: int | None
    """Different values; None where they were not counted."""


@dataclass(frozen=True)
class Sample:
    """A table: what it holds, and a few of its rows."""

    path: str
    rows: int
    columns: tuple[Column, ...]
    shown: tuple[tuple[str, ...], ...]
    """The first rows; none where they may not be shown."""
    reasons: tuple[tuple[str, int], ...] = ()
    """For rows that were left out: each reason and how many, the most frequent first."""
    unreadable: str = ""
    """Why it could not be read, if it could not."""

    @property
    def rejected(self) -> bool:
        """Whether it holds what was left out."""
        return self.path.rpartition("/")[2] == REJECTED


def sample(path: str, place: Path, *, rows: bool) -> Sample:
    """A Parquet file as a page shows it.

    Args:
        path: Its path in the artifact.
        place: Where its bytes are.
        rows: Whether rows and counts of values may be shown.
    """
    import polars as pl

    try:
        lazy = pl.scan_parquet(place, glob=False)
        schema = lazy.collect_schema()
        count = int(lazy.select(pl.len()).collect().item())
        counted = rows and place.stat().st_size <= _COUNTED
        frame = lazy.collect() if counted else lazy.head(ROWS).collect() if rows else None
    except (pl.exceptions.PolarsError, OSError) as error:
        return Sample(path, 0, (), (), unreadable=type(error).__name__)
    columns = tuple(
        Column(
            name,
            str(kind),
            frame[name].null_count() if frame is not None and counted else None,
            _distinct(frame[name]) if frame is not None and counted else None,
        )
        for name, kind in schema.items()
    )
    shown: tuple[tuple[str, ...], ...] = ()
    reasons: tuple[tuple[str, int], ...] = ()
    if frame is not None:
        shown = tuple(_cells(row) for row in frame.head(ROWS).iter_rows())
        if path.rpartition("/")[2] == REJECTED and "reason" in frame.columns and counted:
            reasons = _reasons(frame["reason"].to_list())
    return Sample(path, count, columns, shown, reasons)


def _distinct(series: Any) -> int | None:
    """How many different values; None for nested ones, which have no order."""
    import polars as pl

    try:
        return int(series.n_unique())
    except pl.exceptions.PolarsError:
        return None


def _reasons(found: Iterable[Any]) -> tuple[tuple[str, int], ...]:
    counts: dict[str, int] = {}
    for reason in found:
        counts[str(reason)] = counts.get(str(reason), 0) + 1
    return tuple(sorted(counts.items(), key=lambda one: (-one[1], one[0])))


def _cells(row: Iterable[Any]) -> tuple[str, ...]:
    return tuple(_cell(value) for value in row)


def _cell(value: Any) -> str:
    match value:
        case None | bool():
            return {None: "", True: "yes", False: "no"}[value]
        case float():
            return f"{value:.4g}"
        case bytes():
            return f"{len(value)} bytes"
        case list() if not any(isinstance(one, (list, dict)) for one in value):
            return text(" · ".join(_cell(one) for one in value))
        case list() | dict():
            return text(json.dumps(value, ensure_ascii=False, default=str))
        case _:
            return text(value)
