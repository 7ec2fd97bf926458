"""Big tables of strangers, read as a stream: nothing of a row becomes a Python object.

DuckDB scans the file as often as it is asked, within a limit of memory, and spills to disk beyond
it. Columns get names of our own, so that no name of the file ever becomes part of a query.
"""

from __future__ import annotations

import csv
import gzip
import re
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from registry.errors import UsageError
from registry.intake.labelled import as_parquet, is_labelled

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MEMORY = "1GiB"
"""What DuckDB may hold at once; a larger file takes longer, not more."""
_HEADER_BYTES = 1024 * 1024
_PARQUET = b"PAR1"
_LINE = re.compile(r"(?:CSV Error on )?Line: ?([0-9]+)")


@contextmanager
def opened(
    path: Path, columns: Mapping[str, str], delimiter: str = ",", by_label: Collection[str] = ()
) -> Iterator[DuckDBPyConnection]:
    """A connection in which the view `raw` holds some columns of a file, as text.

    Args:
        path: CSV, gzipped CSV, Parquet, Stata or SPSS.
        columns: For each name in the view, small letters and digits, the column of the file.
        delimiter: What parts the columns of a CSV file.
        by_label: Columns of a Stata or SPSS file whose values are given by their labels.

    Raises:
        UsageError: The file is none, or lacks a column, or turns out broken while it is scanned.
    """
    if is_labelled(path):
        with tempfile.TemporaryDirectory(prefix="chorus-import-") as pieces:
            pattern = as_parquet(path, list(dict.fromkeys(columns.values())), by_label,
                                 Path(pieces))  # fmt: skip
            with _scanned(pattern, columns, delimiter, parquet=True) as connection:
                yield connection
        return
    parquet = _is_parquet(path)
    names = _parquet_columns(path) if parquet else header(path, delimiter)
    if missing := [name for name in columns.values() if name not in names]:
        raise UsageError(
            f"has no column {missing[0]!r}",
            where=str(path),
            mend=f"its columns are: {', '.join(names[:40])}{' ...' if len(names) > 40 else ''}",  # noqa: PLR2004
        )
    with _scanned(path, columns, delimiter, parquet=parquet) as connection:
        yield connection


@contextmanager
def _scanned(
    path: Path, columns: Mapping[str, str], delimiter: str, *, parquet: bool
) -> Iterator[DuckDBPyConnection]:
    import duckdb

    with tempfile.TemporaryDirectory(prefix="chorus-import-") as scratch:
        connection = duckdb.connect(
            ":memory:", config={"memory_limit": MEMORY, "temp_directory": scratch}
        )
        try:
            if parquet:
                found = connection.read_parquet(str(path))
                positions = {name: name for name in columns.values()}
            else:
                names = header(path, delimiter)
                positions = {name: f"c{index}" for index, name in enumerate(names)}
                found = connection.sql(
                    "SELECT * FROM read_csv($path, header = true, auto_detect = false, "
                    "delim = $delimiter, quote = '\"', escape = '\"', columns = $columns)",
                    params={
                        "path": str(path),
                        "delimiter": delimiter,
                        "columns": dict.fromkeys(positions.values(), "VARCHAR"),
                    },
                )
            found.select(
                *(
                    duckdb.ColumnExpression(positions[name]).cast("VARCHAR").alias(alias)
                    for alias, name in columns.items()
                )
            ).create_view("raw")
            yield connection
        except duckdb.Error as error:
            raise _broken(path, error) from error
        finally:
            connection.close()


def _broken(path: Path, error: Exception) -> UsageError:
    said = str(error)
    line = _LINE.search(said)
    where = f"{path}:{line[1]}" if line else str(path)
    if "utf-8" in said.lower() or "unicode" in said.lower():
        what, mend = "is not UTF-8 text", "save it as UTF-8 (in a spreadsheet: `CSV UTF-8`)"
    elif line:
        what = "is no row like the others: it has other columns, or a quote that never ends"
        mend = "check commas and double quotes on this line"
    else:
        what, mend = "cannot be read", "give a whole CSV, gzipped CSV or Parquet file"
        what += f": {said.splitlines()[0][:200]}"
    return UsageError(
        what, where=where, why="a row that is misread is a person miscounted", mend=mend
    )


def _is_parquet(path: Path) -> bool:
    if not path.is_file():
        raise UsageError("is no file", where=str(path), mend="give the path of the source's file")
    with path.open("rb") as stream:
        return stream.read(len(_PARQUET)) == _PARQUET


def _parquet_columns(path: Path) -> list[str]:
    import duckdb

    try:
        with duckdb.connect(":memory:") as connection:
            return list(connection.read_parquet(str(path)).columns)
    except duckdb.Error as error:
        raise _broken(path, error) from error


def header(path: Path, delimiter: str = ",") -> list[str]:
    """The columns that the first line of a CSV file names.

    Raises:
        UsageError: The first line is none that names columns.
    """
    where = f"{path}:1"
    try:
        with path.open("rb") as stream:
            zipped = stream.read(2) == b"\x1f\x8b"
        opener = gzip.open if zipped else Path.open
        with cast("BinaryIO", opener(path, "rb")) as stream:
            line = stream.readline(_HEADER_BYTES)
    except (OSError, EOFError) as error:
        raise UsageError(f"cannot be read: {error}", where=str(path)) from error
    if b"\0" in line or (len(line) == _HEADER_BYTES and not line.endswith(b"\n")):
        raise UsageError("is no line of text", where=where, mend="give a CSV or Parquet file")
    try:
        names = next(csv.reader([line.decode("utf-8-sig")], delimiter=delimiter, strict=True), [])
    except UnicodeDecodeError:
        mend = "save it as UTF-8 (in a spreadsheet: `CSV UTF-8`)"
        raise UsageError("is not UTF-8 text", where=where, mend=mend) from None
    except csv.Error as error:
        raise UsageError(f"is no CSV: {error}", where=where, mend="check the quotes") from None
    if len(names) == 1 and ";" in names[0]:
        raise UsageError("parts its columns by semicolons", where=where, mend="save it with commas")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(
            f"has the column {twice[0]!r} twice",
            where=where,
            why="it is not clear which one is meant",
            mend="rename one",
        )
    return names
