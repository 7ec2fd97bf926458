"""A community's own tests: answers that a partner marked wrong, kept for ever.

A test is a line of `tests.jsonl`, in the profile's home, so that words held by consent are never in
Git. What happened to it is a record in `tests/`, in Git: added, or retired with a reason. Records
name the test's digest and the record before them, so that a test can neither vanish nor be altered
unseen. They form a chain of their own, apart from the profile's events: a test belongs to the
community and not to a revision, so adding one restarts no review, not even of a revision that is
being read at the moment.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from registry.artifact import digest_of
from registry.consent import Date
from registry.declaration import Slug
from registry.errors import Problem, ProblemsError, UsageError, relative
from registry.message import Message, about
from registry.profile import PublicKey, Reference, Sha256, Signature
from registry.profile_tables import Long, Shape, check_text, read_table
from registry.strict_yaml import read, typed
from registry.typed import Frozen

FOLDER = "tests"
RECORD_NAME = re.compile(r"[0-9]{4}-(added|retired)\.yaml")
MAX_OPTIONS = 26
NODE = r"^[a-z0-9.-]+(@[a-z0-9-]+)?$"
"""What the name of a model's node looks like."""
_ENDS = re.compile(r"^(?:(?!-\d)[\W_])+|[\W_]+$")
"""Marks at the ends of a text; the minus of a number is none."""
_MINUS = "\N{MINUS SIGN}"


def _check_said(value: str, shortest: int, longest: int) -> str:
    """Returns `value` as plain text of some length; an answer may be as short as "No"."""
    text = check_text(value)
    if not shortest <= len(text) <= longest:
        raise ValueError(
            Message("must have {least} to {most} characters", least=shortest, most=longest)
        )
    return text


Said = Annotated[str, AfterValidator(partial(_check_said, shortest=1, longest=4000))]
Reason = Annotated[str, AfterValidator(partial(_check_said, shortest=10, longest=1000))]


def normalised(text: str) -> str:
    """A text without what two people would write differently: case, blanks, marks at its ends."""
    seen = "".join(c if c.isprintable() else " " if c.isspace() else "" for c in text)
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", seen).casefold())
    plain = " ".join(folded.replace(_MINUS, "-").split())
    return _ENDS.sub("", plain) or plain


def plain_answer(text: str) -> str:
    """A model's own words as a text that a table takes, and that is `normalised` to the same.

    Models write what nobody would type: invisible characters, or a dash first, which a spreadsheet
    runs.
    """
    seen = "".join(c if c == "\n" or c.isprintable() else " " if c.isspace() else "" for c in text)
    plain = [unicodedata.normalize("NFKC", c) for c in seen]
    start = next((n for n, c in enumerate(plain) if any(map(str.isalnum, c))), len(seen))
    number = start < len(seen) and plain[start][0].isnumeric()
    below_zero = number and "".join(plain[:start]).endswith(("-", _MINUS))
    return (_MINUS if below_zero else "") + seen[start:].strip()


class Marked(Frozen):
    """An answer that somebody marked wrong."""

    question: Long
    """What was asked."""
    options: tuple[Said, ...] = Field(default=(), max_length=MAX_OPTIONS)
    """The options it was asked with, in order; none where the answer was free text."""
    wrong: Said
    """The answer that is wrong: one of the options, or the text."""
    better: Said | None = None
    """An answer that would have been better, if one was named."""
    why: Reason
    """Why it is wrong, in the words of whoever marked it."""
    model: str = Field(pattern=NODE, max_length=200)
    """The node of the model that gave the answer."""
    content: Sha256
    """The digest of that model's content."""
    on: Date
    """The day it was marked."""
    by: Reference
    """Who marked it: a reference, never an address."""
    salt: str = Field(default_factory=lambda: secrets.token_hex(16), pattern=r"^[0-9a-f]{32}$")
    """Random, and kept only here: without it a digest in Git confirms no guess at the words."""

    @property
    def kind(self) -> Literal["options", "free"]:
        """How the question was put."""
        return "options" if self.options else "free"

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(self.options) == 1 or len(set(self.options)) != len(self.options):
            raise ValueError(about("options", Message("give two or more different ones")))
        for name in ("wrong", "better"):
            said = getattr(self, name)
            if self.options and said is not None and said not in self.options:
                none = Message("{answer!r} is none of the options", answer=said)
                raise ValueError(about(name, none))
        if self.better is not None and normalised(self.better) == normalised(self.wrong):
            raise ValueError(about("better", Message("is the answer that is marked wrong")))
        return self

    def same_as(self, other: Marked) -> bool:
        """Whether another mark is of the same answer to the same question."""
        return (
            normalised(self.question) == normalised(other.question)
            and sorted(self.options) == sorted(other.options)
            and normalised(self.wrong) == normalised(other.wrong)
            and self.better == other.better
        )


class CommunityTest(Marked):
    """One line of `tests.jsonl`: a marked answer that every later model of the community meets."""

    id: Slug
    """Its id."""

    @cached_property
    def sha256(self) -> str:
        """Its digest: of what it says, whatever the order of keys or the ends of lines."""
        return digest_of(self.model_dump(mode="json", exclude_defaults=True))


TESTS: Shape[CommunityTest] = Shape("tests.jsonl", CommunityTest)


class Record(Frozen):
    """What happened to a test: a file that is added and never edited."""

    happened: Literal["added", "retired"]
    """What happened."""
    test: Slug
    """Its id."""
    test_sha256: Sha256
    """Its digest."""
    on: Date
    """The day."""
    by: tuple[Reference, ...] = Field(min_length=1)
    """Who decided: references such as `maintainer:7`, never addresses."""
    reason: Reason | None = None
    """Why it was retired."""
    previous: Sha256 | None = None
    """Digest of the record before it; nothing in the first."""
    steward_key: PublicKey | None = None
    """The steward's public key, as the profile named it then."""
    signature: Signature | None = None
    """The steward's Ed25519 signature over all of the above, in base64."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.happened == "retired") != (self.reason is not None):
            only = Message("belongs to a test that is retired, and only there")
            raise ValueError(about("reason", only))
        return self


@dataclass(frozen=True)
class Kept:
    """A record and the file that holds it."""

    file: str
    sha256: str
    record: Record


@dataclass(frozen=True)
class Tests:
    """The tests of a community and their records, in order."""

    rows: tuple[CommunityTest, ...]
    records: tuple[Kept, ...]
    problems: tuple[Problem, ...]
    """What is wrong with the files themselves."""

    @cached_property
    def retired(self) -> dict[str, Record]:
        """The record that retired a test, by the test's id."""
        return {k.record.test: k.record for k in self.records if k.record.happened == "retired"}

    @property
    def standing(self) -> tuple[CommunityTest, ...]:
        """The tests that a model must pass."""
        return tuple(row for row in self.rows if row.id not in self.retired)

    @cached_property
    def unrecorded(self) -> tuple[CommunityTest, ...]:
        """Tests whose record is missing: whoever wrote them was cut off."""
        known = {kept.record.test for kept in self.records if kept.record.happened == "added"}
        return tuple(row for row in self.rows if row.id not in known)

    def within(self, others: Tests) -> bool:
        """Whether these are all among others, none altered and none more."""
        rows = {row.sha256 for row in self.rows} <= {row.sha256 for row in others.rows}
        records = {kept.sha256 for kept in self.records} <= {k.sha256 for k in others.records}
        return rows and records and not self.problems

    def row(self, test: str) -> CommunityTest:
        """The test with this id; raises UsageError where there is none."""
        found = {row.id: row for row in self.rows}
        if test not in found:
            raise UsageError(f"no test is called {test!r}", mend=f"known: {', '.join(found)}")
        return found[test]

    @property
    def last(self) -> str | None:
        """The digest of the last record."""
        return self.records[-1].sha256 if self.records else None

    def doubts(self) -> Iterator[str]:
        """Everything that does not fit together, tests without a record too."""
        yield from self.broken()
        for row in self.unrecorded:
            yield f"{row.id} in {TESTS.file} has no record: whoever added it was cut off"

    def broken(self) -> Iterator[str]:
        """What shows that a test or a record was altered, moved or left out."""
        yield from (f"{problem.place}: {problem.what}" for problem in self.problems)
        previous: str | None = None
        rows = {row.id: row for row in self.rows}
        added: dict[str, str] = {}
        for number, kept in enumerate(self.records, 1):
            record, shown = kept.record, f"{FOLDER}/{kept.file}"
            if kept.file != f"{number:04}-{record.happened}.yaml":
                yield f"{shown} stands at place {number}: one before it is missing"
            if record.previous != previous:
                yield f"{shown} follows another record than the one that stands before it"
            previous = kept.sha256
            if record.happened == "added":
                if record.test in added:
                    yield f"{shown} adds {record.test}, which was added before"
                added[record.test] = record.test_sha256
            elif added.get(record.test) != record.test_sha256:
                yield f"{shown} retires a test that was never added"
        for test, digest in added.items():
            if test not in rows:
                yield f"{test} is gone from {TESTS.file}"
            elif rows[test].sha256 != digest:
                yield f"{test} in {TESTS.file} was altered after it was added"


def read_tests(folder: Path, home: Path, root: Path) -> Tests:
    """The tests of a profile folder, whose tables lie in `home`; wrong lines are reported."""
    path = home / TESTS.file
    problems: list[Problem] = []
    rows: tuple[CommunityTest, ...] = ()
    if path.exists() or path.is_symlink():
        table = read_table(path, relative(path, root), TESTS)
        rows, problems = table.rows, list(table.problems)
    records: list[Kept] = []
    place = folder / FOLDER
    for file in [] if place.is_symlink() else sorted(place.glob("*.yaml")):
        document, found = read(file, relative(file, root))
        problems += found
        if document is None:
            continue
        record, found = typed(Record, document)
        problems += found
        if record is not None:
            digest = hashlib.sha256(file.read_bytes()).hexdigest()
            records.append(Kept(file.name, digest, record))
    return Tests(rows, tuple(records), tuple(problems))


def rows_of(path: Path) -> tuple[CommunityTest, ...]:
    """Every test of a table, retired ones too; raises ProblemsError with every wrong line."""
    table = read_table(path, path.name, TESTS)
    if table.problems:
        raise ProblemsError(table.problems)
    return table.rows
