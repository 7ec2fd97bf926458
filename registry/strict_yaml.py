"""YAML that is safe to read from strangers and knows its line and column.

Ordinary loaders turn `NO` into false, `012` into ten, accept a key twice, and expand a few hundred
bytes of aliases into millions of leaves. Here scalars stay strings until a type asks for something
else, and anchors, aliases, tags, duplicate keys, invisible characters (plain or escaped), links and
oversized or deeply nested files are refused, each with its place.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from registry.errors import Place, Problem

MAX_BYTES = 256 * 1024
MAX_DEPTH = 24
_SHOWN = 80
"""Characters of a wrong value that a message shows."""

Key = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)

_Loader: Any = getattr(yaml, "CLoader", yaml.Loader)
_LINE_BREAK = re.compile(r"\r\n|\r|\n")
_WRITTEN = frozenset(
    "\t\u200c\u200d\u180e\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2"
)
"""Format characters without which emoji, Arabic, Syriac, Mongolian and others are misspelt."""
_INVISIBLE = frozenset({"Cc", "Cf", "Zl", "Zp"})
_NO_CHARACTERS = frozenset("\ufffe\uffff")


@dataclass(frozen=True)
class Document:
    """A parsed file: nested dicts, lists and strings, and where each of them stands."""

    path: str
    data: Any
    places: dict[Key, tuple[int, int]] = field(repr=False)
    lines: tuple[str, ...] = field(repr=False)

    def place(self, key: Key = ()) -> Place:
        """Where `key` stands, or its nearest enclosing key where it is absent."""
        while key and key not in self.places:
            key = key[:-1]
        line, column = self.places.get(key, (1, 1))
        text = self.lines[line - 1] if line <= len(self.lines) else None
        return Place(self.path, line, column, text)

    def problem(self, key: Key, what: str, mend: str = "") -> Problem:
        """A problem at `key` of this document."""
        return Problem(self.place(key), what, mend)


class _RefusedError(Exception):
    def __init__(self, what: str, mend: str, mark: Any) -> None:
        super().__init__(what)
        self.what, self.mend, self.mark = what, mend, mark


def read(path: Path, shown_as: str) -> tuple[Document | None, list[Problem]]:
    """Reads `path`; returns the document, or the problems that keep it from being read."""
    if path.is_symlink() or (path.exists() and not path.is_file()):
        what = "is not a plain file"
        return None, [Problem(Place(shown_as), what, "put the file itself there, not a link")]
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        what = f"cannot be read: {error.strerror}"
        return None, [Problem(Place(shown_as), what, "check that the file exists and is readable")]
    return parse(raw, shown_as)


def parse(raw: bytes, shown_as: str) -> tuple[Document | None, list[Problem]]:
    """Parses one YAML document; see `read`."""
    if len(raw) > MAX_BYTES:
        what = f"is larger than {MAX_BYTES:,} bytes"
        return None, [Problem(Place(shown_as), what, "split it, or move tables into CSV files")]
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        return None, [Problem(Place(shown_as, line), "is not UTF-8 text", "save it as UTF-8")]
    lines = tuple(_LINE_BREAK.split(text))
    if problems := list(_text_problems(lines, shown_as)):
        return None, problems
    builder = _Builder(_events(text))
    try:
        data = builder.document()
    except yaml.MarkedYAMLError as error:
        mark: Any = error.problem_mark or error.context_mark
        what = f"is not valid YAML: {error.problem or error.context}"
        mend = "check indentation, quotes and colons near this place"
        return None, [_marked(what, mend, mark, shown_as, lines)]
    except _RefusedError as error:
        return None, [_marked(error.what, error.mend, error.mark, shown_as, lines)]
    return Document(shown_as, data, builder.places, lines), []


def _events(text: str) -> Iterator[Any]:
    yield from yaml.parse(text, Loader=_Loader)


def _marked(what: str, mend: str, mark: Any, path: str, lines: tuple[str, ...]) -> Problem:
    if mark is None:
        return Problem(Place(path), what, mend)
    text = lines[mark.line] if mark.line < len(lines) else None
    return Problem(Place(path, mark.line + 1, mark.column + 1, text), what, mend)


def _hidden(character: str) -> bool:
    """Whether a character does not show: controls, direction marks, zero widths, tags."""
    if character in _WRITTEN:
        return False
    return character in _NO_CHARACTERS or unicodedata.category(character) in _INVISIBLE


def _text_problems(lines: tuple[str, ...], path: str) -> Iterator[Problem]:
    for number, line in enumerate(lines, 1):
        if line.isascii() and line.isprintable():
            continue
        hidden = [column for column, character in enumerate(line, 1) if _hidden(character)]
        if hidden:
            what = f"holds the invisible character U+{ord(line[hidden[0] - 1]):04X}"
            shown = "".join("\ufffd" if _hidden(character) else character for character in line)
            yield Problem(Place(path, number, hidden[0], shown), what, "delete that character")
        if not unicodedata.is_normalized("NFC", line):
            what = "holds letters in decomposed form"
            yield Problem(Place(path, number, 1, line), what, "save the file in Unicode NFC")


def _where(event: Any) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _refuse_indirection(event: Any) -> None:
    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
        raise _RefusedError(
            "uses an anchor or alias (& or *)", "write the value out", event.start_mark
        )
    if getattr(event, "tag", None) is not None:
        mend = "remove the tag; types come from the schema"
        raise _RefusedError(f"uses the tag {event.tag}", mend, event.start_mark)


def _text(event: Any) -> str:
    """The text of a scalar, in which no escape may bring what the file itself may not hold."""
    text = str(event.value)
    for character in text:
        if character != "\n" and _hidden(character):
            what = f"holds the invisible character U+{ord(character):04X} as an escape"
            raise _RefusedError(what, "delete that escape", event.start_mark)
    if not unicodedata.is_normalized("NFC", text):
        mend = "write the letters without escapes, in Unicode NFC"
        raise _RefusedError("holds letters in decomposed form", mend, event.start_mark)
    return text


class _Builder:
    """Builds plain data from YAML events, noting where every key and element stands."""

    def __init__(self, events: Iterator[Any]) -> None:
        self._events = events
        self.places: dict[Key, tuple[int, int]] = {}

    def document(self) -> Any:
        event = next(self._events)
        while not isinstance(event, yaml.DocumentStartEvent):
            if isinstance(event, yaml.StreamEndEvent):
                raise _RefusedError("is empty", "write at least a name", event.start_mark)
            event = next(self._events)
        data = self._value(next(self._events), ())
        next(self._events)
        after = next(self._events)
        if isinstance(after, yaml.DocumentStartEvent):
            raise _RefusedError(
                "holds a second document", "keep one document a file", after.start_mark
            )
        return data

    def _value(self, event: Any, key: Key) -> Any:
        _refuse_indirection(event)
        if len(key) > MAX_DEPTH:
            raise _RefusedError(
                f"is nested deeper than {MAX_DEPTH} levels", "flatten it", event.start_mark
            )
        self.places.setdefault(key, _where(event))
        if isinstance(event, yaml.ScalarEvent):
            return _text(event)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(key)
        return self._mapping(key)

    def _sequence(self, key: Key) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._value(event, (*key, len(items))))
        return items

    def _mapping(self, key: Key) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            _refuse_indirection(event)
            if not isinstance(event, yaml.ScalarEvent):
                raise _RefusedError(
                    "uses a list or mapping as a key", "use plain text as keys", event.start_mark
                )
            name = _text(event)
            if name in mapping:
                raise _RefusedError(
                    f"has the key {name!r} twice", "keep one of the two", event.start_mark
                )
            self.places[*key, name] = _where(event)
            mapping[name] = self._value(next(self._events), (*key, name))
        return mapping


def typed(
    model: type[Model], document: Document, at: Key = ()
) -> tuple[Model | None, list[Problem]]:
    """The part of `document` below `at` as a `model`, or every reason why it is not one."""
    data = document.data
    for step in at:
        data = data[step]
    try:
        return model.model_validate(data), []
    except ValidationError as error:
        return None, [_typed_problem(model, document, at, detail) for detail in error.errors()]


def _typed_problem(
    model: type[BaseModel], document: Document, at: Key, detail: ErrorDetails
) -> Problem:
    location = tuple(step for step in detail["loc"] if isinstance(step, (str, int)))
    key = (*at, *location)
    name = str(location[-1]) if location else ""
    mend = ""
    match detail["type"]:
        case "extra_forbidden":
            what = f"has the unknown key {name!r}"
            mend = _nearest(name, _known(model, location[:-1]))
        case "missing":
            what = f"lacks the key {name!r}"
            mend = f"add `{name}:`" + _described(model, location)
        case "literal_error":
            given = str(detail["input"])
            known = re.findall(r"'([^']*)'", detail["ctx"]["expected"])
            what = f"{'.'.join(map(str, location))} cannot be {_shortened(given)!r}"
            mend = nearest(given, known) or f"write one of: {', '.join(known)}"
        case _:
            message = detail["msg"].removeprefix("Value error, ")
            given = detail["input"]
            shown = f" (found {_shortened(given)!r})" if isinstance(given, str) else ""
            what = f"{'.'.join(map(str, location)) or 'the file'}: {message}{shown}"
            mend = _described(model, location).strip(" ()")
    return document.problem(key, what, mend)


def _field_model(model: type[BaseModel], location: Key) -> type[BaseModel] | None:
    """The model that governs `location`, following nested models and tuples of them."""
    current: type[BaseModel] | None = model
    for step in location:
        if isinstance(step, int):
            continue
        if current is None or step not in current.model_fields:
            return None
        current = _model_in(current.model_fields[step].annotation)
    return current


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that an annotation is, or the first that its tuple or union holds."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)


def _known(model: type[BaseModel], location: Key) -> list[str]:
    governing = _field_model(model, location)
    return [f.alias or n for n, f in governing.model_fields.items()] if governing else []


def _described(model: type[BaseModel], location: Key) -> str:
    governing = _field_model(model, location[:-1])
    if governing is None or not location:
        return ""
    for name, info in governing.model_fields.items():
        if (info.alias or name) == location[-1] and info.description:
            return f" ({info.description.splitlines()[0]})"
    return ""


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "\u2026"


def _nearest(name: str, known: list[str]) -> str:
    return nearest(name, known) or ("known keys: " + ", ".join(sorted(known)) if known else "")


def nearest(name: str, known: list[str]) -> str:
    """`did you mean ...?` where a known word is close to `name`, else nothing."""
    import difflib

    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else ""
