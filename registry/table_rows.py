"""Takes single rows out of a table's bytes; every other row stays as it was written."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

from registry.profile_tables import Shape

_BOM = "\ufeff"
_REFERENCES = "values"
"""The column that names rows of `values.csv`."""


def without(raw: bytes, shape: Shape[Any], row: str) -> bytes:
    """The table without a row; of opinions, without every option of an item."""
    key = shape.key or "item"
    kept = [text for text, cells in _records(raw, shape) if cells.get(key) != row]
    return "".join(kept).encode()


def without_reference(raw: bytes, shape: Shape[Any], value: str) -> bytes:
    """The table with one id struck from the values that its rows follow from."""
    if _REFERENCES not in shape.columns:
        return raw
    records = _records(raw, shape)
    return "".join(_struck(text, cells, shape, value) for text, cells in records).encode()


def _struck(text: str, cells: dict[str, Any], shape: Shape[Any], value: str) -> str:
    named = cells.get(_REFERENCES) or ()
    ids = named.replace(";", " ").split() if isinstance(named, str) else list(named)
    if value not in ids:
        return text
    kept = [one for one in ids if one != value]
    end = text[len(text.rstrip("\r\n")) :]
    if shape.file.endswith(".jsonl"):
        return json.dumps(cells | {_REFERENCES: kept}, ensure_ascii=False) + end
    out = io.StringIO(newline="")
    row = (cells | {_REFERENCES: " ".join(kept)}).values()
    csv.writer(out, lineterminator=end).writerow(row)
    return out.getvalue()


def _records(raw: bytes, shape: Shape[Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each record as it stands in the file, with its cells; what is no row has none."""
    text = raw.decode("utf-8")
    if shape.file.endswith(".jsonl"):
        for line in io.StringIO(text, newline="\n"):
            yield line, json.loads(line.removeprefix(_BOM)) if line.strip(_BOM).strip() else {}
        return
    lines = list(io.StringIO(text, newline=""))
    reader = csv.reader(iter(lines), strict=True)
    header: list[str] = []
    start = 0
    for cells in reader:
        record, start = "".join(lines[start : reader.line_num]), reader.line_num
        if not header:
            header = [name.strip().removeprefix(_BOM) for name in cells]
            yield record, {}
        else:
            row = dict(zip(header, cells, strict=False)) if len(cells) == len(header) else {}
            yield record, {name: cell.strip() for name, cell in row.items()}
