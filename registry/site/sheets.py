"""Uploaded tables: a spreadsheet's CSV, or JSONL, as rows on the page or as the file it is.

A short table becomes rows that can be mended on the page. A long one is kept, and its messages name
its lines. What cannot be read as a table at all is not taken, with the checker's own message.
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from typing import Any

from registry.message import Message
from registry.profile_tables import MAX_ROWS as MOST
from registry.profile_tables import Shape, parse_table
from registry.site.fields import FILES, MAX_ROWS, TABLES
from registry.site.form import csv_line, json_line
from registry.site.uploads import UploadRefusedError, finding_of, refused

_PARTED_BY = (";", "\t")
"""What spreadsheets part columns by where the comma parts decimals."""


@dataclass(frozen=True)
class Sheet:
    """An uploaded table."""

    rows: tuple[dict[str, str], ...] = ()
    """Its rows, where they fit on the page."""
    raw: bytes | None = None
    """Its bytes, where they do not."""
    shifted: bool = False
    """Whether its lines lie one below those of the spreadsheet: the header is gone."""


def read_sheet(raw: bytes, name: str) -> Sheet:
    """Reads an uploaded table by the form's name for it; raises UploadRefusedError."""
    _refuse_other_kinds(raw, name)
    shape = FILES[name]
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _as_checked(raw, name) from None
    if "\0" in text:
        raise _as_checked(raw, name)
    if shape.file.endswith(".jsonl") and text.lstrip().startswith("{"):
        return _json_sheet(raw, text, name)
    return _csv_sheet(raw, text, name)


def _refuse_other_kinds(raw: bytes, name: str) -> None:
    """Refuses what is plainly another kind of file, and says how to save it."""
    mend = Message("in the spreadsheet, save it as `CSV UTF-8`")
    if raw.startswith(b"PK"):
        what = Message("is an archive or a workbook (such as .xlsx), not plain text")
        raise refused(name, what, mend)
    if raw.startswith(b"\xd0\xcf\x11\xe0"):
        raise refused(name, Message("is an old workbook (.xls), not plain text"), mend)
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise refused(name, Message("is UTF-16 text"), mend)
    if not raw.strip():
        raise refused(name, Message("is empty"), mend)


def _as_checked(raw: bytes, name: str, file: str = "") -> UploadRefusedError:
    """What the checker says of a table that cannot be read."""
    shape = FILES[name]
    problems = parse_table(raw, file or shape.file, shape).problems
    return UploadRefusedError([finding_of(name, problem) for problem in problems])


def _csv_sheet(raw: bytes, text: str, name: str) -> Sheet:
    shape = FILES[name]
    as_csv = Shape(file=f"{name}.csv", model=shape.model, key=shape.key)
    head = text.partition("\n")[0]
    by = next((mark for mark in _PARTED_BY if mark in head and "," not in head), ",")
    records: list[dict[str, str]] = []
    try:
        source = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=by)
        header = [cell.strip() for cell in next(source, [])]
        whole = sorted(header) == sorted(shape.columns)
        for cells in source:
            if not any(cell.strip() for cell in cells):
                continue
            whole = whole and len(cells) == len(header) and len(records) < MOST
            if not whole:
                break
            records.append(dict(zip(header, cells, strict=True)))
    except csv.Error:
        whole = False
    if not whole:
        plain = raw if by == "," else _with_commas(text, by)
        problems = parse_table(plain, as_csv.file, as_csv).problems
        raise UploadRefusedError([finding_of(name, problem) for problem in problems])
    if name in TABLES and len(records) <= MAX_ROWS:
        return Sheet(rows=tuple(records))
    if shape.file.endswith(".jsonl"):
        return Sheet(raw="".join(map(json_line, records)).encode(), shifted=True)
    lines = [shape.columns, *(tuple(r[column] for column in shape.columns) for r in records)]
    return Sheet(raw=raw if by == "," else "".join(map(csv_line, lines)).encode())


def _with_commas(text: str, by: str) -> bytes:
    """A table parted by something else, as the checker reads it."""
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=by))
    except csv.Error:
        return text.encode()
    return "".join(csv_line(tuple(row)) for row in rows).encode()


def _json_sheet(raw: bytes, text: str, name: str) -> Sheet:
    lines = [line for line in text.split("\n") if line.strip()]
    if name not in TABLES or len(lines) > MAX_ROWS:
        return Sheet(raw=raw)
    rows: list[dict[str, str]] = []
    for line in lines:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            raise _as_checked(raw, name) from None
        row = _plain(record, FILES[name].columns)
        if row is None:
            return Sheet(raw=raw)
        rows.append(row)
    return Sheet(rows=tuple(rows))


def _plain(record: Any, columns: tuple[str, ...]) -> dict[str, str] | None:
    """A JSON object as cells of text, or None where it is more than that."""
    if not isinstance(record, dict) or not set(record) <= set(columns):
        return None
    row: dict[str, str] = {}
    for name, value in record.items():
        if isinstance(value, list) and all(isinstance(each, str) for each in value):
            row[name] = " ".join(value)
        elif isinstance(value, str):
            row[name] = value
        elif value is not None:
            return None
    return row
