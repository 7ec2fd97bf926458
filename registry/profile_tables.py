"""The tables of a value profile: CSV that a spreadsheet opens, and JSONL for longer text.

Every row is typed, and every problem names file, line, column and the mend. Nothing here trusts the
file: size, encoding, formulas, control characters and duplicate ids are all looked at.
"""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError

from registry.declaration import Slug
from registry.errors import Place, Problem
from registry.message import Message, about
from registry.plain_words import found, in_plain_words, shortened
from registry.typed import Frozen

MAX_BYTES = 32 * 1024 * 1024
"""The largest table that is read."""
MAX_ROWS = 200_000
MAX_PROBLEMS = 50
"""Problems of one table that are shown; a broken file has thousands of the same kind."""
_SHOWN = 60
_HEADER = 400
"""Characters of a wrong value, and of a wrong first line, that a message shows."""
_SPREADSHEET = ("=", "+", "-", "@", "\t", "\r")
"""What makes a spreadsheet run a cell."""
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")
_JOINERS = frozenset("\u200c\u200d")
"""Format characters without which emoji and several scripts are misspelt."""

Foundation = Literal["care-harm", "fairness-cheating", "loyalty-betrayal", "authority-subversion",
                     "sanctity-degradation"]  # fmt: skip


def check_text(value: str) -> str:
    """Returns `value` in NFC if it is plain text: nothing invisible, nothing that runs."""
    text = unicodedata.normalize("NFC", value)
    plain = text.isascii() and text.replace("\n", "").isprintable()
    for character in () if plain else text:
        if character in _BIDI:
            raise ValueError(
                Message("holds a character that turns the direction of writing; remove it")
            )
        category = unicodedata.category(character)
        if category == "Cc" and character != "\n":
            raise ValueError(Message("holds a control character; remove it"))
        if category in ("Cf", "Co", "Cs") and character not in _JOINERS:
            raise ValueError(Message("holds an invisible character; remove it"))
    if text.lstrip().startswith(_SPREADSHEET) and not _NUMBER.fullmatch(text.strip()):
        raise ValueError(
            Message(
                "starts with {sign!r}, which a spreadsheet runs as a formula; write a word first",
                sign=text.lstrip()[0],
            )
        )
    return text.strip()


def _check_length(value: str, longest: int) -> str:
    """Returns `value` as plain text if it is neither empty nor very long."""
    text, shortest = check_text(value), 3
    if len(text) < shortest:
        raise ValueError(Message("must have at least {bound} characters", bound=shortest))
    if len(text) > longest:
        raise ValueError(Message("must have at most {bound} characters", bound=longest))
    return text


def _listed(value: object) -> object:
    """Ids in one cell are parted by blanks or semicolons."""
    return tuple(part for part in re.split(r"[\s;]+", str(value)) if part)


def _or_none(value: object) -> object:
    return None if value == "" else value


Text = Annotated[str, AfterValidator(check_text)]
Short = Annotated[str, AfterValidator(partial(_check_length, longest=280))]
Long = Annotated[str, AfterValidator(partial(_check_length, longest=4000))]
Optional = Annotated[Text | None, Field(max_length=1000), BeforeValidator(_or_none)]
Ids = Annotated[tuple[Slug, ...], BeforeValidator(_listed)]
Item = Annotated[str | None, Field(max_length=100), BeforeValidator(_or_none)]


class Value(Frozen):
    """One row of `values.csv`: something the community holds."""

    id: Slug
    """Its id."""
    statement: Short
    """What is held, in one sentence."""
    rationale: Optional = None
    """Why."""
    strength: int = Field(ge=1, le=5)
    """How strongly: 1 to 5."""
    agreement: float = Field(ge=0, le=1)
    """The share of those asked who agreed."""
    n: int = Field(ge=1)
    """How many were asked."""
    dissent: Optional = None
    """What members disagree about."""


class Guidance(Frozen):
    """One row of `guidance.csv`: what an answer should do in a kind of situation."""

    id: Slug
    """Its id."""
    when: Short
    """In which situation."""
    prefer: Short
    """What an answer should do."""
    avoid: Optional = None
    """What it should not do."""
    values: Ids = ()
    """The values that it follows from, their ids parted by blanks."""


class Norm(Frozen):
    """One row of `norms.csv`: a rule of thumb, in the form of Social Chemistry 101."""

    id: Slug
    """Its id."""
    situation: Short
    """What somebody does."""
    rule: Short
    """The rule of thumb."""
    judgement: int = Field(ge=-2, le=2)
    """-2 very bad, -1 bad, 0 it is all right or depends, 1 good, 2 very good."""
    agreement: int = Field(ge=0, le=4)
    """How many people agree: 0 under 1 %, 1 about a quarter, 2 half, 3 three quarters, 4 nearly
    all."""
    foundations: Annotated[tuple[Foundation, ...], BeforeValidator(_listed)] = ()
    """Moral foundations, parted by blanks."""
    item: Item = None
    """The survey item that it was derived from, if any."""


class Example(Frozen):
    """One line of `examples.jsonl`: a prompt with an answer to give and one to avoid."""

    id: Slug
    """Its id."""
    prompt: Long
    """What a user says."""
    preferred: Long
    """What the community would have answered."""
    dispreferred: Long
    """What it would not."""
    values: tuple[Slug, ...] = ()
    """The values that it follows from."""
    author: Annotated[str, Field(min_length=2, max_length=60), AfterValidator(check_text)]
    """Who wrote it, as a pseudonym."""
    item: str | None = Field(default=None, max_length=100)
    """The survey item that it was derived from, if any."""


class Preference(Frozen):
    """One line of `preferences.jsonl`: of two answers, the one that is preferred."""

    id: Slug
    """Its id."""
    prompt: Long
    """What a user says."""
    chosen: Long
    """The preferred answer."""
    rejected: Long
    """The other one."""
    agreement: float | None = Field(default=None, ge=0.5, le=1)
    """The share of those asked who preferred it, if counted."""
    n: int | None = Field(default=None, ge=1)
    """How many were asked, if counted."""
    item: str | None = Field(default=None, max_length=100)
    """The survey item or statement that it was derived from, if any."""


class Opinion(Frozen):
    """One row of `opinions.csv`: how many people chose one option of one item."""

    item: str = Field(min_length=1, max_length=100)
    """The item, as the questionnaire names it."""
    option: Annotated[str, Field(min_length=1, max_length=200), AfterValidator(check_text)]
    """The option."""
    position: int = Field(ge=1, le=50)
    """Where it stands among the options."""
    count: int = Field(ge=0)
    """How many people chose it, unweighted."""
    share: float = Field(ge=0, le=1)
    """The weighted share of those who answered."""
    n: int = Field(ge=50)
    """How many answered the item: at least 50."""
    n_effective: float = Field(gt=0)
    """Kish's effective number of them."""
    mark: Literal["", "rounded", "merged"]
    """Whether a rare answer was rounded to 5 or merged into its neighbour."""


Row = TypeVar("Row", bound=Frozen)


@dataclass(frozen=True)
class Shape(Generic[Row]):
    """One kind of table."""

    file: str
    model: type[Row]
    key: str = "id"
    """The column whose value stands once; empty where none does."""
    required: tuple[str, ...] = ()
    """The kinds of profile that must have it."""
    allowed: tuple[str, ...] = ("self-described",)
    """The kinds of profile that may have it."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns, in order."""
        return tuple(self.model.model_fields)

    def identity(self, row: Row) -> str:
        """What a row goes by: its id; of opinions, the item that all options share."""
        return str(getattr(row, self.key or "item"))


ALL = ("self-described", "survey-population", "opinion-cluster")
VALUES = Shape("values.csv", Value, required=("self-described",))
GUIDANCE = Shape("guidance.csv", Guidance)
NORMS = Shape("norms.csv", Norm)
EXAMPLES = Shape("examples.jsonl", Example, required=("self-described",))
PREFERENCES = Shape("preferences.jsonl", Preference, allowed=("self-described", "opinion-cluster"))
OPINIONS = Shape("opinions.csv", Opinion, key="", allowed=ALL,
                 required=("survey-population", "opinion-cluster"))  # fmt: skip
HELD_OUT = Shape("evaluation/opinions.csv", Opinion, key="", allowed=ALL,
                 required=("survey-population", "opinion-cluster"))  # fmt: skip
SHAPES: tuple[Shape[Any], ...] = (
    VALUES, GUIDANCE, NORMS, EXAMPLES, PREFERENCES, OPINIONS, HELD_OUT,
)  # fmt: skip


@dataclass(frozen=True)
class Read(Generic[Row]):
    """The rows of a table with the line each stands on, and everything wrong with it."""

    rows: tuple[Row, ...]
    lines: tuple[int, ...]
    problems: tuple[Problem, ...]


def read_table(path: Path, shown: str, shape: Shape[Row]) -> Read[Row]:
    """Reads one table; rows that are wrong are left out and reported."""
    raw, problem = _bytes(path, shown)
    if problem:
        return Read((), (), (problem,))
    return parse_table(raw, shown, shape)


def _bytes(path: Path, shown: str) -> tuple[bytes, Problem | None]:
    if path.is_symlink() or not path.is_file():
        what = Message("is missing, or no plain file")
        return b"", Problem(Place(shown), what, Message("put the file itself there"))
    with path.open("rb") as stream:
        raw = stream.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        what = Message("is larger than {count} MiB", count=MAX_BYTES // 2**20)
        mend = Message("split it, or leave out what models need not see")
        return b"", Problem(Place(shown), what, mend)
    return raw, None


def parse_table(raw: bytes, shown: str, shape: Shape[Row]) -> Read[Row]:
    """Reads the bytes of one table; see `read_table`."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        mend = Message("save it as UTF-8 (in a spreadsheet: `CSV UTF-8`)")
        return Read((), (), (Problem(Place(shown, line), Message("is not UTF-8 text"), mend),))
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        what, mend = Message("holds a NUL byte"), Message("remove it")
        return Read((), (), (Problem(Place(shown, line), what, mend),))
    records = _json_lines if shape.file.endswith(".jsonl") else _csv_rows
    reader = _Reader(shown, shape)
    for line, record, problem in records(text, shape.columns):
        if problem:
            reader.problem(line, "", *problem)
        else:
            reader.row(line, record)
        if reader.full:
            break
    return reader.read()


Record = tuple[int, Mapping[str, Any], tuple[str, str] | None]


def _csv_rows(text: str, columns: Sequence[str]) -> Iterator[Record]:
    """Each row by column name; a header that differs is the one problem."""
    source = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip() for name in next(source, [])]
        unknown = [name for name in header if name not in columns]
        lacking = [name for name in columns if name not in header]
        if unknown or lacking or len(set(header)) != len(header):
            named = shortened(", ".join(header), _HEADER) or Message("none")
            mend = Message("the first line reads: {columns}", columns=",".join(columns))
            if len(header) == 1 and ";" in header[0]:
                mend = Message("part the columns by commas, not semicolons; {mend}", mend=mend)
            yield 1, {}, (Message("has the columns {names}", names=named), mend)
            return
        for row in source:
            if not any(cell.strip() for cell in row):
                continue
            if len(row) != len(header):
                counted = Message("has {count} cells where the first line has {wanted}",
                                  count=len(row), wanted=len(header))  # fmt: skip
                mend = Message("put text with commas into double quotes")
                yield source.line_num, {}, (counted, mend)
            else:
                yield source.line_num, dict(zip(header, row, strict=True)), None
    except csv.Error as error:
        what = Message("is no CSV here: {reason}", reason=str(error))
        yield source.line_num, {}, (what, Message("check the quotes on this line"))


def _json_lines(text: str, _columns: Sequence[str]) -> Iterator[Record]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line, object_pairs_hook=_once)
        except (ValueError, RecursionError) as error:
            said = error.args[0] if error.args else Message("nested too deeply")
            if not isinstance(said, Message):
                said = shortened(str(error))
            what = Message("is no JSON object: {reason}", reason=said)
            yield number, {}, (what, Message("one object a line, in braces"))
            continue
        if isinstance(record, dict):
            yield number, record, None
        else:
            what = Message("is no JSON object")
            yield number, {}, (what, Message("one object a line, in braces"))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(Message("the key {name!r} stands twice", name=shortened(name)))
        found[name] = value
    return found


class _Reader(Generic[Row]):
    """Collects typed rows and problems."""

    def __init__(self, shown: str, shape: Shape[Row]) -> None:
        self._shown, self._shape = shown, shape
        self._rows: list[Row] = []
        self._lines: list[int] = []
        self._problems: list[Problem] = []
        self._seen: dict[str, int] = {}

    @property
    def full(self) -> bool:
        """Whether enough is known to stop."""
        return len(self._problems) >= MAX_PROBLEMS or len(self._rows) > MAX_ROWS

    def problem(self, line: int, column: str, what: str, mend: str) -> None:
        """Notes one problem."""
        named = about(column, what) if column else what
        self._problems.append(Problem(Place(self._shown, line), named, mend))

    def row(self, line: int, record: Mapping[str, Any]) -> None:
        """Types one row."""
        try:
            row = self._shape.model.model_validate(record)
        except ValidationError as error:
            for detail in error.errors():
                column = shortened(str(detail["loc"][0])) if detail["loc"] else ""
                what, given = in_plain_words(detail), detail["input"]
                if isinstance(given, (str, int, float)) and detail["type"] != "extra_forbidden":
                    what = found(what, shortened(str(given), _SHOWN))
                self.problem(line, column, what, self._described(column))
            return
        key = str(getattr(row, self._shape.key)) if self._shape.key else ""
        if key and key in self._seen:
            mend = Message("give each row an id of its own")
            what = Message("{key!r} stands on line {line} already", key=key, line=self._seen[key])
            self.problem(line, "id", what, mend)
            return
        self._seen[key] = line
        self._rows.append(row)
        self._lines.append(line)

    def _described(self, column: str) -> str:
        info = self._shape.model.model_fields.get(column)
        if info is None:
            return Message("known here: {known}", known=", ".join(self._shape.columns))
        return Message(" ".join((info.description or "").split()))

    def read(self) -> Read[Row]:
        """What was found."""
        if len(self._rows) > MAX_ROWS:
            what = Message("has more than {count:,} rows", count=MAX_ROWS)
            self.problem(0, "", what, Message("split the profile"))
        return Read(tuple(self._rows), tuple(self._lines), tuple(self._problems))


def held_out(origin: str, item: str, share: float) -> bool:
    """Whether an item is held out from all learning: a function of its id alone."""
    import hashlib

    digest = hashlib.sha256(f"held-out:{origin}:{item}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64
