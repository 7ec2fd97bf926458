"""From what was typed to a profile folder: its YAML, its tables, and where each line came from.

Pure functions but for `write`. The folder is then read by the very functions of `chorus profile
check`; the maps of lines lead their messages back to the field.
"""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from registry.declaration import SLUG
from registry.profile import SCHEMA_VERSION, ValueProfile
from registry.profile_folder import CONTENT
from registry.profile_tables import Shape
from registry.site.drafts import Draft, State
from registry.site.fields import FIELDS, FILES, MAX_ROWS, NEVER, TABLES, Field, Table

NAMELESS = "new-profile"
"""The folder of a profile whose id cannot be a name."""
Key = tuple[str | int, ...]
_DECIMAL_COMMA = re.compile(r"-?[0-9]+,[0-9]+")
_PLAIN_KEY = re.compile(r"[a-z_][a-z0-9_]*")
_NUMBERS = frozenset({
    "agreement", "n", "strength", "judgement", "at_most", "at_least", "held_out_share",
})  # fmt: skip


@dataclass(frozen=True)
class Built:
    """A profile folder that is not written yet."""

    id: str
    """Its folder's name: the id, where that can be a name."""
    yaml: str
    keys: Mapping[int, Key] = field(repr=False)
    """For each line of the YAML, the key that stands there."""
    tables: Mapping[str, bytes] = field(repr=False)
    """Tables made from rows on the page, by file name."""
    files: Mapping[str, Path] = field(repr=False)
    """Uploaded tables, by file name."""
    rows: Mapping[str, Mapping[int, int]] = field(repr=False)
    """For each table made from rows, the row on the page for each line of the file."""

    def write(self, folder: Path) -> None:
        """Writes it into a folder that does not exist yet."""
        (folder / CONTENT).mkdir(parents=True)
        (folder / "profile.yaml").write_text(self.yaml, encoding="utf-8")
        for name, content in self.tables.items():
            (folder / CONTENT / name).write_bytes(content)
        for name, path in self.files.items():
            target = folder / CONTENT / name
            target.parent.mkdir(exist_ok=True)
            shutil.copyfile(path, target)


def build(draft: Draft) -> Built:
    """The profile folder that a draft describes."""
    state, kept = draft.state, draft.files
    document, rows = _document(state)
    yaml, keys = dump(document)
    tables: dict[str, bytes] = {}
    for table in TABLES.values():
        filled = filled_rows(state, table)
        if table.shape is None or table.name in kept or not filled:
            continue
        tables[table.file], rows[table.name] = _table(table.name, table.shape, filled)
    name = state.base.id if state.base else state.one("id")
    is_name = SLUG.fullmatch(name) and "--" not in name
    files = {FILES[kept_name].file: draft.table(kept_name) for kept_name in kept}
    return Built(name if is_name else NAMELESS, yaml, keys, tables, files, rows)


def row_count(state: State, table: Table) -> int:
    """How many rows of a table the page shows."""
    return max(min(state.rows.get(table.name, table.start), MAX_ROWS), 1)


def filled_rows(state: State, table: Table) -> dict[int, dict[str, tuple[str, ...]]]:
    """The rows of a table in which anything was typed, by their place on the page."""
    found: dict[int, dict[str, tuple[str, ...]]] = {}
    for row in range(row_count(state, table)):
        cells = {c.name: state.fields.get(f"{table.name}.{row}.{c.name}", ())
                 for c in table.columns}  # fmt: skip
        if any(text for texts in cells.values() for text in texts):
            found[row] = cells
    return found


def _document(state: State) -> tuple[dict[str, Any], dict[str, Mapping[int, int]]]:
    """The profile as nested text; and for each of its tables, the row on the page of each entry."""
    document: dict[str, Any] = {
        "schema_version": str(SCHEMA_VERSION),
        "revision": "1",
        **json.loads(json.dumps(state.carried)),
        "kind": "self-described",
    }
    for group in ("steward", "authority", "elicitation", "consent", "withdrawal"):
        document.setdefault(group, {})
    document["elicitation"].setdefault("dates", {})
    for asked in FIELDS.values():
        if (given := _given(state, asked)) is not None:
            _put(document, asked.key, given)
    if state.base:
        _put(document, ("id",), state.base.id)
        _put(document, ("revision",), str(state.base.revision + 1))
        _put(document, ("supersedes",), state.base.sha256)
    rows: dict[str, Mapping[int, int]] = {}
    for table in (table for table in TABLES.values() if table.at):
        filled = filled_rows(state, table)
        rows[table.name] = dict(enumerate(filled))
        if filled:
            entries = [_entry(table, n, cells) for n, cells in enumerate(filled.values(), 1)]
            _put(document, table.at, entries)
    order = [*ValueProfile.model_fields, *document]
    return {name: document[name] for name in order if name in document}, rows


def _given(state: State, asked: Field) -> Any:
    """What was typed into a field, as `profile.yaml` writes it; None where nothing was."""
    text = state.one(asked.name)
    match asked.widget:
        case "ticks":
            return list(state.fields.get(asked.name, ())) or None
        case "words":
            return words(text) or None
        case "until" if state.one(NEVER):
            return "never"
    return _number(asked.name, text) or None


def words(text: str) -> list[str]:
    """Words parted by blanks, commas or semicolons."""
    return [word for word in re.split(r"[\s,;]+", text) if word]


def _put(document: dict[str, Any], key: tuple[str, ...], value: Any) -> None:
    for step in key[:-1]:
        document = document.setdefault(step, {})
    document[key[-1]] = value


def _entry(table: Table, number: int, cells: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    """One row of a table as `profile.yaml` holds it: what was left empty is left out."""
    entry: dict[str, Any] = {}
    for column in table.columns:
        text = next(iter(cells[column.name]), "")
        if column.name == "id":
            text = text or f"{ID_PREFIX[table.name]}-{number}"
        if column.widget == "listed":
            entry[column.name] = [part.strip() for part in text.split(",") if part.strip()]
        elif text:
            entry[column.name] = _number(column.name, text)
    return {name: value for name, value in entry.items() if value}


def _number(name: str, text: str) -> str:
    """A number as the checker reads it, where the comma parts decimals."""
    parted = name.rpartition(".")[2] in _NUMBERS and _DECIMAL_COMMA.fullmatch(text)
    return text.replace(",", ".") if parted else text


def _table(
    name: str, shape: Shape[Any], filled: Mapping[int, Mapping[str, tuple[str, ...]]]
) -> tuple[bytes, dict[int, int]]:
    """A table's bytes, and for each line the row on the page that it came from."""
    columns = shape.columns
    records = []
    for row, cells in filled.items():
        record = {column: " ".join(cells.get(column, ())) for column in columns}
        record["id"] = record["id"] or f"{ID_PREFIX[name]}-{row + 1}"
        records.append({column: _number(column, text) for column, text in record.items()})
    lines = _json_lines(records) if shape.file.endswith(".jsonl") else _csv_lines(records, columns)
    out, at, rows = io.StringIO(newline=""), 0, iter(filled)
    places: dict[int, int] = {}
    for is_record, text in lines:
        out.write(text)
        at += text.count("\n")
        if is_record:
            places[at] = next(rows)
    return out.getvalue().encode(), places


ID_PREFIX = {
    "values": "value", "guidance": "guidance", "norms": "norm", "examples": "example",
    "preferences": "pair", "off_limits": "topic",
}  # fmt: skip
"""What an id starts with that nobody typed."""


def _csv_lines(
    records: list[dict[str, str]], columns: tuple[str, ...]
) -> Iterator[tuple[bool, str]]:
    yield False, csv_line(columns)
    for record in records:
        yield True, csv_line(tuple(record[name] for name in columns))


def csv_line(cells: tuple[str, ...]) -> str:
    """One row as CSV."""
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerow(cells)
    return out.getvalue()


def _json_lines(records: list[dict[str, str]]) -> Iterator[tuple[bool, str]]:
    for record in records:
        yield True, json_line(record)


def json_line(record: Mapping[str, str]) -> str:
    """One example as a line of JSON: what was left empty is left out."""
    typed: dict[str, Any] = {name: text for name, text in record.items() if text}
    if typed.get("values"):
        typed["values"] = words(typed["values"])
    return json.dumps(typed, ensure_ascii=False) + "\n"


def dump(document: Mapping[str, Any]) -> tuple[str, dict[int, Key]]:
    """A document as YAML with one text a line, always in quotes, and the key on each line."""
    lines: list[str] = []
    keys: dict[int, Key] = {}

    def put(text: str, key: Key) -> None:
        lines.append(text)
        keys[len(lines)] = key

    def walk(data: Mapping[str, Any], key: Key, indent: str, first: str) -> None:
        for number, (name, value) in enumerate(data.items()):
            shown = name if _PLAIN_KEY.fullmatch(name) else json.dumps(name, ensure_ascii=False)
            one(value, (*key, name), f"{indent if number else first}{shown}:", indent)

    def one(value: Any, key: Key, start: str, indent: str) -> None:
        if isinstance(value, dict) and value:
            put(start, key)
            walk(value, key, f"{indent}  ", f"{indent}  ")
        elif isinstance(value, list) and value:
            put(start, key)
            for number, item in enumerate(value):
                each: Key = (*key, number)
                if isinstance(item, dict) and item:
                    walk(item, each, f"{indent}    ", f"{indent}  - ")
                else:
                    put(f"{indent}  - {_scalar(item)}", each)
        else:
            put(f"{start} {_scalar(value)}", key)

    walk(document, (), "", "")
    return "\n".join(lines) + "\n", keys


def _scalar(value: Any) -> str:
    return json.dumps(value if isinstance(value, (dict, list)) else str(value), ensure_ascii=False)
