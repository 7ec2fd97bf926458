"""CSV files whose cells hold lists and mappings as Python prints them, as opinion benchmarks do."""

from __future__ import annotations

import ast
import csv
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from registry.errors import UsageError
from registry.intake.tables import header

MAX_BYTES = 256 * 1024 * 1024
MAX_CELL = 200_000
_DEFAULT = re.compile(r"\s*defaultdict\(<class '\w+'>,\s*(\{.*\})\)\s*", re.DOTALL)


def rows_of(path: Path, needed: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and needed cells of each row.

    Raises:
        UsageError: The file is too large or no CSV, or lacks a column, or a row has other cells.
    """
    names = header(path)
    if lacking := [name for name in needed if name not in names]:
        raise UsageError(
            f"has no column {lacking[0]!r}",
            where=f"{path}:1",
            mend=f"its columns are: {', '.join(names[:20])}",
        )
    if path.stat().st_size > MAX_BYTES:
        raise UsageError(
            f"is larger than {MAX_BYTES // 2**20} MiB", where=str(path), mend="give the right file"
        )
    csv.field_size_limit(min(sys.maxsize, 4 * MAX_CELL))
    with path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream, strict=True)
        try:
            for row in reader:
                if None in row or any(row[name] is None for name in needed):
                    raise UsageError(
                        "has other cells than its first line",
                        where=f"{path}:{reader.line_num}",
                        mend="put text with commas into double quotes",
                    )
                yield reader.line_num, {name: row[name].strip() for name in needed}
        except csv.Error as error:
            what = f"is no CSV: {error}"
            mend = "check the quotes"
            raise UsageError(what, where=f"{path}:{reader.line_num}", mend=mend) from None
        except UnicodeDecodeError:
            raise UsageError(
                "is not UTF-8 text", where=f"{path}:{reader.line_num + 1}", mend="save it as UTF-8"
            ) from None


def printed(text: str, kind: type, where: str) -> Any:
    """A list or mapping as Python prints it; nothing else is read, and nothing is run."""
    wrapped = _DEFAULT.fullmatch(text)
    try:
        if len(text) > MAX_CELL:
            raise ValueError
        found = ast.literal_eval(wrapped[1] if wrapped else text.strip())
        if not isinstance(found, kind):
            raise TypeError
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        raise UsageError(
            f"holds {text[:60]!r}, which is no {'list' if kind is list else 'mapping'}",
            where=where,
            mend="give the file as it was published",
        ) from None
    return found
