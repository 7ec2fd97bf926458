"""Rows out of CSV files that strangers wrote, beside those of JSON Lines and Parquet.

Cells are text; nothing is guessed. What cannot be read is an error with its line.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from assets.sources.table_rows import TableParams, read_table
from registry.errors import UsageError
from registry.strict_yaml import nearest

LONGEST_CELL = 131_072
"""Characters of a cell, the limit of Python's reader."""


def read_any(path: Path, shown: str, params: TableParams) -> Iterator[dict[str, object]]:
    """The rows of a CSV, JSON Lines or Parquet file, with their `line`; see `read_table`."""
    if not path.is_file():
        raise UsageError("there is no such file", where=shown, mend="check the path")
    match path.suffix:
        case ".csv":
            names = params.columns.names + ([params.licences.column] if params.licences else [])
            return read_csv(path, shown, names, params.limits.rows)
        case ".jsonl" | ".parquet":
            return read_table(path, shown, params)
        case other:
            raise UsageError(
                f"cannot read {other or 'a file without an ending'}",
                where=shown,
                mend="give CSV (.csv), JSON Lines (.jsonl) or Parquet (.parquet)",
            )


def read_csv(
    path: Path, shown: str, names: Sequence[str], most: int
) -> Iterator[dict[str, object]]:
    """The wanted columns of each row, and its `line`, where it begins.

    Raises:
        UsageError: The file is no CSV in UTF-8, lacks a column, or has too many rows.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            source = csv.reader(stream, strict=True)
            header = next(source, [])
            _require_columns(header, names, shown)
            places = {name: header.index(name) for name in names}
            before, count = source.line_num, 0
            for row in source:
                line, before = before + 1, source.line_num
                if not any(cell.strip() for cell in row):
                    continue
                count += 1
                if count > most:
                    raise UsageError(
                        f"has more than {most:,} rows",
                        where=shown,
                        mend="raise `limits.rows`, or split the file",
                    )
                if len(row) != len(header):
                    raise UsageError(
                        f"has {len(row)} cells where the first line has {len(header)}",
                        where=f"{shown}:{line}",
                        mend="put text with commas into double quotes",
                    )
                yield {**{name: row[place] for name, place in places.items()}, "line": line}
    except UnicodeDecodeError as error:
        raise UsageError(
            f"byte {error.start + 1} is not UTF-8", where=shown, mend="save it as UTF-8"
        ) from None
    except csv.Error as error:
        raise UsageError(
            f"is no CSV: {error}",
            where=shown,
            mend=f"check the quotes; a cell has {LONGEST_CELL:,} characters at most",
        ) from None


def _require_columns(header: Sequence[str], names: Sequence[str], shown: str) -> None:
    if twice := next((name for name in names if header.count(name) > 1), None):
        raise UsageError(f"has the column {twice!r} twice", where=f"{shown}:1")
    if lacking := next((name for name in names if name not in header), None):
        listed = nearest(lacking, list(header)) or "it has " + (", ".join(header)[:200] or "none")
        if len(header) == 1 and ";" in header[0]:
            listed = "part the columns by commas, not semicolons"
        raise UsageError(f"has no column {lacking!r}", where=f"{shown}:1", mend=listed)
