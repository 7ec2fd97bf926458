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
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from registry.errors import Place, Problem
from registry.message import Message, about
from registry.partly import Key, Model, governing, known_part
from registry.plain_words import choices, found, in_plain_words, shortened

MAX_BYTES = 256 * 1024
MAX_DEPTH = 24

LACKS = "lacks the key {name!r}"
"""The template of a message about a key that is absent."""
WHOLE = "the file: {what}"
"""The template of a message about no field in particular."""

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

    def value(self, key: Key) -> Any:
        """What stands at `key`."""
        found = self.data
        for step in key:
            found = found[step]
        return found

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
        what = Message("is not a plain file")
        mend = Message("put the file itself there, not a link")
        return None, [Problem(Place(shown_as), what, mend)]
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        what = Message("cannot be read: {reason}", reason=str(error.strerror))
        mend = Message("check that the file exists and is readable")
        return None, [Problem(Place(shown_as), what, mend)]
    return parse(raw, shown_as)


def parse(raw: bytes, shown_as: str) -> tuple[Document | None, list[Problem]]:
    """Parses one YAML document; see `read`."""
    if len(raw) > MAX_BYTES:
        what = Message("is larger than {count:,} bytes", count=MAX_BYTES)
        mend = Message("split it, or move tables into CSV files")
        return None, [Problem(Place(shown_as), what, mend)]
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        what, mend = Message("is not UTF-8 text"), Message("save it as UTF-8")
        return None, [Problem(Place(shown_as, line), what, mend)]
    lines = tuple(_LINE_BREAK.split(text))
    if problems := list(_text_problems(lines, shown_as)):
        return None, problems
    builder = _Builder(_events(text))
    try:
        data = builder.document()
    except yaml.MarkedYAMLError as error:
        mark: Any = error.problem_mark or error.context_mark
        reason = str(error.problem or error.context)
        what = Message("is not valid YAML: {reason}", reason=reason)
        mend = Message("check indentation, quotes and colons near this place")
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
            code = f"{ord(line[hidden[0] - 1]):04X}"
            what = Message("holds the invisible character U+{code}", code=code)
            shown = "".join("\ufffd" if _hidden(character) else character for character in line)
            mend = Message("delete that character")
            yield Problem(Place(path, number, hidden[0], shown), what, mend)
        if not unicodedata.is_normalized("NFC", line):
            what = Message("holds letters in decomposed form")
            mend = Message("save the file in Unicode NFC")
            yield Problem(Place(path, number, 1, line), what, mend)


def _where(event: Any) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _refuse_indirection(event: Any) -> None:
    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
        raise _RefusedError(
            Message("uses an anchor or alias (& or *)"),
            Message("write the value out"),
            event.start_mark,
        )
    if getattr(event, "tag", None) is not None:
        mend = Message("remove the tag; types come from the schema")
        raise _RefusedError(Message("uses the tag {tag}", tag=event.tag), mend, event.start_mark)


def _text(event: Any) -> str:
    """The text of a scalar, in which no escape may bring what the file itself may not hold."""
    text = str(event.value)
    for character in text:
        if character != "\n" and _hidden(character):
            code = f"{ord(character):04X}"
            what = Message("holds the invisible character U+{code} as an escape", code=code)
            raise _RefusedError(what, Message("delete that escape"), event.start_mark)
    if not unicodedata.is_normalized("NFC", text):
        mend = Message("write the letters without escapes, in Unicode NFC")
        raise _RefusedError(Message("holds letters in decomposed form"), mend, event.start_mark)
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
                mend = Message("write at least a name")
                raise _RefusedError(Message("is empty"), mend, event.start_mark)
            event = next(self._events)
        data = self._value(next(self._events), ())
        next(self._events)
        after = next(self._events)
        if isinstance(after, yaml.DocumentStartEvent):
            mend = Message("keep one document a file")
            raise _RefusedError(Message("holds a second document"), mend, after.start_mark)
        return data

    def _value(self, event: Any, key: Key) -> Any:
        _refuse_indirection(event)
        if len(key) > MAX_DEPTH:
            what = Message("is nested deeper than {count} levels", count=MAX_DEPTH)
            raise _RefusedError(what, Message("flatten it"), event.start_mark)
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
                    Message("uses a list or mapping as a key"),
                    Message("use plain text as keys"),
                    event.start_mark,
                )
            name = _text(event)
            if name in mapping:
                raise _RefusedError(
                    Message("has the key {name!r} twice", name=name),
                    Message("keep one of the two"),
                    event.start_mark,
                )
            self.places[*key, name] = _where(event)
            mapping[name] = self._value(next(self._events), (*key, name))
        return mapping


def typed(
    model: type[Model], document: Document, at: Key = ()
) -> tuple[Model | None, list[Problem]]:
    """The part of `document` below `at` as a `model`, or every reason why it is not one."""
    found, problems = partly_typed(model, document, at)
    return (None if problems else found), problems


def partly_typed(
    model: type[Model], document: Document, at: Key = ()
) -> tuple[Model | None, list[Problem]]:
    """As much of a `model` as is valid, and every reason why it is not all; see `known_part`."""
    data = document.data
    for step in at:
        data = data[step]
    try:
        return model.model_validate(data), []
    except ValidationError as error:
        details = error.errors()
    problems = [_typed_problem(model, document, at, detail) for detail in details]
    part, broken = known_part(model, data, details)
    for rule in broken:
        told: ErrorDetails = {
            "type": "value_error", "loc": rule.at, "msg": str(rule.error), "input": None,
            "ctx": {"error": rule.error},
        }  # fmt: skip
        problems.append(_typed_problem(model, document, at, told))
    return part, list(dict.fromkeys(problems))


def _typed_problem(
    model: type[BaseModel], document: Document, at: Key, detail: ErrorDetails
) -> Problem:
    location = tuple(step for step in detail["loc"] if isinstance(step, (str, int)))
    key = (*at, *location)
    name = str(location[-1]) if location else ""
    dotted = ".".join(map(str, location))
    mend = described(model, location)
    given = detail["input"]
    match detail["type"]:
        case "extra_forbidden":
            what = Message("has the unknown key {name!r}", name=name, at=dotted)
            mend = _nearest(name, _known(model, location[:-1]))
        case "missing":
            what = Message(LACKS, name=name, at=dotted)
            mend = (
                Message("add `{name}:` ({described})", name=name, described=mend)
                if mend
                else Message("add `{name}:`", name=name)
            )
        case "literal_error":
            known = choices(detail)
            refused = Message("cannot be {given!r}", given=shortened(str(given)))
            what = Message("{at} {what}", at=dotted, what=refused)
            mend = nearest(str(given), known) or Message(
                "write one of: {known}", known=", ".join(known)
            )
        case _:
            said = in_plain_words(detail)
            said = found(said, shortened(given)) if isinstance(given, str) else said
            what = about(dotted, said) if dotted else Message(WHOLE, what=said)
    return document.problem(key, what, mend)


def _known(model: type[BaseModel], location: Key) -> list[str]:
    holds = governing(model, location)
    return [f.alias or n for n, f in holds.model_fields.items()] if holds else []


def described(model: type[BaseModel], location: Key) -> str:
    """What a schema says of a field, in its first line; nothing where it says nothing."""
    holds = governing(model, location[:-1]) if location else None
    for name, info in holds.model_fields.items() if holds else ():
        if (info.alias or name) == location[-1] and info.description:
            return Message(info.description.splitlines()[0])
    return ""


def _nearest(name: str, known: list[str]) -> str:
    if close := nearest(name, known):
        return close
    return Message("known keys: {known}", known=", ".join(sorted(known))) if known else ""


def nearest(name: str, known: list[str]) -> str:
    """`did you mean ...?` where a known word is close to `name`, else nothing."""
    import difflib

    close = difflib.get_close_matches(name, known, n=1)
    return Message("did you mean {word!r}?", word=close[0]) if close else ""
