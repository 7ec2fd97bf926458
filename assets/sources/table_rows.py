"""Rows out of tables that strangers wrote: JSON Lines or Parquet, read with limits.

What cannot be read at all is an error with its line; nothing is guessed, repaired or passed over.
What can be read but not used (an empty prompt, a repetition, another licence) is left out with the
reason.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, model_validator

from assets.rows import row_id, row_schema
from assets.sources.taken import SHOWN, Taken
from registry.errors import Place, Problem, ProblemsError, UsageError
from registry.strict_yaml import nearest
from registry.typed import Frozen

if TYPE_CHECKING:
    import polars

DEPTH = 32
"""Levels of lists and objects in a line."""
LINE_BYTES = 4 * 1024 * 1024
"""Bytes that a line may have."""
_OWN = {"task", "answer", "entry", "difficulty", "reason", "score", "caused_by", "line"}
"""Columns whose content means something here: answers that are checked come from generators only,
since some verifiers would trust what an entry says."""


class RowColumns(Frozen):
    """Which column of the table is which."""

    prompt: str = Field(default="prompt", min_length=1)
    """The prompt."""
    completion: str | None = Field(default=None, min_length=1)
    """The completion; without one, rows are prompts alone."""
    keep: tuple[str, ...] = ()
    """Further columns that come along, each of text, of numbers or of truth values."""

    @model_validator(mode="after")
    def _no_own_names(self) -> Self:
        taken = {"row_id", "parents", "prompt", "completion", "source", "community"} | _OWN
        if wrong := sorted(taken & set(self.keep)):
            raise ValueError(f"the column {wrong[0]!r} has a meaning here and cannot come along")
        if len(set(self.keep)) != len(self.keep):
            raise ValueError("a column is kept twice")
        return self

    @property
    def names(self) -> list[str]:
        """All columns that are read."""
        completion = [self.completion] if self.completion else []
        return list(dict.fromkeys([self.prompt, *completion, *self.keep]))


class RowLicences(Frozen):
    """Rows that state a licence each."""

    column: str = Field(min_length=1)
    """The column with the licence."""
    allowed: tuple[str, ...] = Field(min_length=1)
    """Licences whose rows are taken; compared without regard to case."""


class RowLimits(Frozen):
    """What is too much."""

    rows: int = Field(default=1_000_000, ge=1)
    """Rows of a file; one with more is refused."""
    characters: int = Field(default=32_000, ge=1)
    """Characters of a prompt or completion; a longer row is left out."""


class TableParams(Frozen):
    """How a table is read."""

    columns: RowColumns = RowColumns()
    """Which column is which."""
    licences: RowLicences | None = None
    """Where rows state a licence each, those that are taken."""
    limits: RowLimits = RowLimits()
    """What is too much."""


def read_table(path: Path, shown_as: str, params: TableParams) -> Iterator[dict[str, Any]]:
    """The rows of a file, with the columns that are asked for and their `line`, counted from 1.

    Raises UsageError where it is neither format, or with every line that is wrong.
    """
    if not path.is_file():
        raise UsageError("there is no such file", where=shown_as, mend="check the path")
    names = params.columns.names + ([params.licences.column] if params.licences else [])
    match path.suffix:
        case ".jsonl":
            rows = _read_lines(path, shown_as, names, params.limits.rows)
        case ".parquet":
            rows = _read_parquet(path, shown_as, names, params.limits.rows)
        case other:
            raise UsageError(
                f"cannot read {other or 'a file without an ending'}",
                where=shown_as,
                mend="give JSON Lines (.jsonl) or Parquet (.parquet)",
            )
    return _checked(rows, shown_as, params.columns)


def _read_lines(path: Path, shown: str, names: list[str], most: int) -> Iterator[dict[str, Any]]:
    problems: list[Problem] = []
    with path.open("rb") as stream:
        number = 0
        while raw := stream.readline(LINE_BYTES + 1):
            number += 1
            if number > most:
                raise _too_many(shown, most)
            if number == 1:
                raw = raw.removeprefix(b"\xef\xbb\xbf")
            try:
                row = _line(raw, names)
            except ValueError as error:
                problems.append(Problem(Place(shown, number), str(error)))
                if len(problems) == SHOWN or len(raw) > LINE_BYTES:
                    break
                continue
            if row is not None and not problems:
                yield {**row, "line": number}
    if problems:
        raise UsageError(str(ProblemsError(problems)))


def _line(raw: bytes, names: list[str]) -> dict[str, Any] | None:
    """One line's columns; None for an empty line. Raises ValueError with what is wrong."""
    if len(raw) > LINE_BYTES:
        raise ValueError(f"is longer than {LINE_BYTES:,} bytes")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start + 1} is not UTF-8") from None
    if not text.strip():
        return None
    if _deep(text):
        raise ValueError(f"is nested deeper than {DEPTH} levels")
    try:
        found = json.loads(text, object_pairs_hook=_object, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON: {error.msg} at character {error.pos + 1}") from None
    if type(found) is not dict:
        raise ValueError("is not an object with columns")
    if lacking := [name for name in names if name not in found]:
        mend = nearest(lacking[0], list(found)) or "it has " + ", ".join(map(repr, found))
        raise ValueError(f"has no {lacking[0]!r}; {mend}")
    return {name: found[name] for name in names}


def _deep(text: str) -> bool:
    """Whether text may nest deeper than allowed; brackets inside strings are not counted."""
    if text.count("[") + text.count("{") <= DEPTH:
        return False
    depth, inside, escaped = 0, False, False
    for character in text:
        if inside:
            inside = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character == '"':
            inside = True
        elif character in "[{":
            depth += 1
            if depth > DEPTH:
                return True
        elif character in "]}":
            depth -= 1
    return False


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"has {next(n for n in names if names.count(n) > 1)!r} twice")
    return found


def _refuse_constant(name: str) -> None:
    raise ValueError(f"holds {name}, which is no JSON")


def _too_many(shown: str, most: int) -> UsageError:
    return UsageError(
        f"has more than {most:,} rows", where=shown, mend="raise `limits.rows`, or split the file"
    )


def _read_parquet(path: Path, shown: str, names: list[str], most: int) -> Iterator[dict[str, Any]]:
    import polars

    try:
        table = polars.scan_parquet(path)
        columns = table.collect_schema().names()
        if lacking := [name for name in names if name not in columns]:
            mend = nearest(lacking[0], columns) or "it has " + ", ".join(columns)
            raise UsageError(f"has no column {lacking[0]!r}", where=shown, mend=mend)
        chosen = table.select(names).head(most + 1).collect()
    except (polars.exceptions.PolarsError, OSError) as error:
        message = str(error).splitlines()[0]
        raise UsageError(f"is no Parquet file that can be read: {message}", where=shown) from None
    if len(chosen) > most:
        raise _too_many(shown, most)
    for number, row in enumerate(chosen.iter_rows(named=True), 1):
        yield {**row, "line": number}


def _checked(
    rows: Iterator[dict[str, Any]], shown: str, columns: RowColumns
) -> Iterator[dict[str, Any]]:
    """The same rows; raises UsageError with every value that is of a wrong type."""
    problems: list[Problem] = []
    kinds: dict[str, type] = {}
    texts = [columns.prompt, *([columns.completion] if columns.completion else [])]
    for row in rows:
        wrong = [_wrong_text(name, row[name]) for name in texts]
        wrong += [_wrong_kept(name, row[name], kinds) for name in columns.keep]
        place = Place(shown, row["line"])
        problems += [Problem(place, message) for message in wrong if message]
        if len(problems) >= SHOWN:
            break
        if not problems:
            yield row
    if problems:
        raise UsageError(str(ProblemsError(problems)))


def _wrong_text(name: str, value: Any) -> str:
    if value is not None and not isinstance(value, str):
        return f"{name!r} is {type(value).__name__}, not text"
    return _unwritable(name, value)


def _unwritable(name: str, value: Any) -> str:
    try:
        (value if isinstance(value, str) else "").encode()
    except UnicodeEncodeError:
        return f"{name!r} holds half a character, which no file can hold"
    return ""


def _wrong_kept(name: str, value: Any, kinds: dict[str, type]) -> str:
    """What is wrong with a value that comes along; each column is of one kind."""
    if value is None:
        return ""
    if not isinstance(value, str | bool | int | float):
        return f"{name!r} is {type(value).__name__}, not text, a number or a truth value"
    kind = float if isinstance(value, int | float) and not isinstance(value, bool) else type(value)
    if kinds.setdefault(name, kind) is not kind:
        return f"{name!r} is {kind.__name__}, and {kinds[name].__name__} in an earlier row"
    return _unwritable(name, value)


def write_table_rows(
    tables: Mapping[str, Iterator[dict[str, Any]]], params: TableParams, out: Path
) -> None:
    """Writes rows of files, each by the name that it has as a source; the rest with the reason."""
    import polars

    taken = Taken()
    for source, table in tables.items():
        for found in table:
            row = _row(found, source, params.columns)
            taken.add(row, _reason(row, found, params))
    kept = _kept_schema(taken.kept + taken.rejected, params)
    taken.write(out, row_schema() | {"line": polars.Int64} | kept, tables)


def _row(found: Mapping[str, Any], source: str, columns: RowColumns) -> dict[str, Any]:
    completion = found[columns.completion] if columns.completion else None
    kept = {name: _kept(found[name]) for name in columns.keep}
    return {
        "row_id": row_id("file", [found[columns.prompt], completion, kept]),
        "parents": [],
        "prompt": found[columns.prompt],
        "completion": completion,
        "source": source,
        "community": None,
        "line": found["line"],
        **kept,
    }


def _kept(value: Any) -> Any:
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _reason(row: Mapping[str, Any], found: Mapping[str, Any], params: TableParams) -> str:
    texts = [row["prompt"], *([row["completion"]] if params.columns.completion else [])]
    if any(not (text or "").strip() for text in texts):
        return "the prompt is empty" if not (row["prompt"] or "").strip() else (
            "the completion is empty"
        )  # fmt: skip
    return not_taken(found, texts, params)


def not_taken(found: Mapping[str, Any], texts: Iterable[str], params: TableParams) -> str:
    """Why a row of a file is not taken, too long or under another licence; nothing where it is."""
    if any(len(text) > params.limits.characters for text in texts):
        return f"it is longer than {params.limits.characters:,} characters"
    if params.licences is not None:
        allowed = {name.casefold() for name in params.licences.allowed}
        licence = found[params.licences.column]
        if not isinstance(licence, str) or licence.strip().casefold() not in allowed:
            return "its licence is not one of those that are taken"
    return ""


def _kept_schema(rows: list[dict[str, Any]], params: TableParams) -> dict[str, Any]:
    import polars

    types: dict[type, Any] = {str: polars.String, bool: polars.Boolean, float: polars.Float64}
    found: dict[str, type[polars.DataType]] = {}
    for name in params.columns.keep:
        kind = next((type(row[name]) for row in rows if row[name] is not None), str)
        found[name] = types[kind]
    return found
