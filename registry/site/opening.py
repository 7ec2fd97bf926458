"""A profile that exists, taken apart into the form's fields, rows and files."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from registry.message import Message
from registry.profile import ValueProfile
from registry.site.drafts import Finding
from registry.site.fields import FIELDS, FOLDER, MAX_ROWS, NEVER, TABLES, Table
from registry.site.sheets import Sheet, read_sheet
from registry.site.uploads import PROFILE, UploadRefusedError, refused
from registry.strict_yaml import parse, typed

_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass
class Taking:
    """A draft while it changes."""

    fields: dict[str, tuple[str, ...]] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    carried: dict[str, Any] = field(default_factory=dict)
    shifted: set[str] = field(default_factory=set)
    refused: list[Finding] = field(default_factory=list)
    tables: dict[str, bytes | None] = field(default_factory=dict)
    """Files to keep, and those to remove."""


def clean(text: str) -> str:
    """Text as it is kept: one kind of line end, letters composed, nothing around it."""
    text = _SURROGATE.sub("\ufffd", text).replace("\r\n", "\n").replace("\r", "\n")
    return unicodedata.normalize("NFC", text).strip()


def sheet_of(raw: bytes, table: str) -> Sheet:
    """A table of a folder: rows on the page where it is short, else the file that it is."""
    return read_sheet(raw, table) if table in TABLES else Sheet(raw=raw)


def take_sheet(taking: Taking, name: str, sheet: Sheet) -> None:
    """Puts a table in the place of the one that was there."""
    taking.shifted -= {name}
    if sheet.raw is not None:
        taking.tables[name] = sheet.raw
        taking.shifted |= {name} if sheet.shifted else set()
        return
    taking.tables[name] = None
    _put_rows(taking, name, sheet.rows)


def _put_rows(taking: Taking, name: str, rows: Iterable[Mapping[str, str]]) -> None:
    table = TABLES[name]
    for old in [old for old in taking.fields if old.startswith(f"{name}.")]:
        del taking.fields[old]
    number = 0
    for number, row in enumerate(rows, 1):
        for column in table.columns:
            if text := clean(row.get(column.name, "")):
                parts = tuple(text.split()) if column.widget == "ticks" else (text,)
                taking.fields[f"{name}.{number - 1}.{column.name}"] = parts
    taking.rows[name] = max(number, table.start)


def open_profile(taking: Taking, raw: bytes) -> None:
    """Takes a `profile.yaml` apart into fields, rows, and keys that the form does not ask for.

    Raises UploadRefusedError where it is none, or not a community's own.
    """
    document, problems = parse(raw, PROFILE)
    mend = Message("see the example")
    data = document.data if document is not None else None
    if document is None or not isinstance(data, dict):
        found = [
            Finding(field=FOLDER, what=Message("{file}: {what}", file=PROFILE, what=p.what),
                    mend=p.mend, line=p.place.line, lead="lead.not-taken")
            for p in problems
        ]  # fmt: skip
        what = Message("holds no profile")
        raise UploadRefusedError(found) if found else refused(FOLDER, what, mend)
    described = data.get("kind", "self-described") == "self-described"
    if not described or data.get("permission") == "licence":
        what = Message("is not a community's own description, given by consent or mandate")
        raise refused(FOLDER, what, Message("hand it in with `chorus profile submit`"))
    carried = dict(data)
    carried.pop("kind", None)
    fields: dict[str, tuple[str, ...]] = {}
    for name, asked in FIELDS.items():
        value = _take_out(carried, asked.key)
        if value is None:
            continue
        if isinstance(value, str) and asked.widget != "ticks":
            fields[name] = (clean(value),)
        elif isinstance(value, list) and all(isinstance(each, str) for each in value):
            ticked = asked.widget == "ticks"
            fields[name] = tuple(map(clean, value)) if ticked else (" ".join(value),)
        else:
            problems = typed(ValueProfile, document)[1]
            what = Message("{file}: {name} is not of the kind that belongs there",
                           file=PROFILE, name=name)  # fmt: skip
            raise refused(FOLDER, what, problems[0].mend if problems else mend)
    if fields.get("consent.expires_on") == ("never",):
        fields[NEVER] = ("true",)
        del fields["consent.expires_on"]
    taking.fields = {n: t for n, t in taking.fields.items() if n not in FIELDS and n != NEVER}
    taking.fields |= fields
    for table in (table for table in TABLES.values() if table.at):
        entries = _take_out(carried, table.at)
        rows = _rows(table, entries)
        if rows is None:
            _put_back(carried, table.at, entries)
        _put_rows(taking, table.name, rows or [])
    taking.carried = carried


def _take_out(data: dict[str, Any], key: tuple[str, ...]) -> Any:
    """Takes the value of a key out of nested data, and the groups that are empty then.

    Where a group is no mapping, `{}` stands for a value that fits no field.
    """
    head, rest = key[0], key[1:]
    if head not in data:
        return None
    if not rest:
        return data.pop(head)
    if not isinstance(data[head], dict):
        return {}
    data[head] = dict(data[head])
    found = _take_out(data[head], rest)
    if not data[head]:
        del data[head]
    return found


def _put_back(data: dict[str, Any], key: tuple[str, ...], value: Any) -> None:
    for step in key[:-1]:
        data = data.setdefault(step, {})
    data[key[-1]] = value


def _rows(table: Table, given: Any) -> list[dict[str, str]] | None:
    """The entries of a list as rows on the page, or None where they do not fit there."""
    if given is None:
        return []
    if not isinstance(given, list) or len(given) > MAX_ROWS:
        return None
    rows = [_row(table, entry) for entry in given]
    return None if None in rows else [row for row in rows if row is not None]


def _row(table: Table, entry: Any) -> dict[str, str] | None:
    columns = {column.name: column for column in table.columns}
    if not isinstance(entry, dict) or not set(entry) <= set(columns):
        return None
    row: dict[str, str] = {}
    for name, value in entry.items():
        listed = columns[name].widget == "listed"
        if listed and isinstance(value, list) and all(isinstance(each, str) for each in value):
            row[name] = ", ".join(value)
        elif isinstance(value, str) and not listed:
            if columns[name].widget != "ticks" or value in columns[name].options:
                row[name] = value
        else:
            return None
    return row
