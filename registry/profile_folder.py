"""A profile folder: its profile, tables and events, and whether it may be used for something."""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from registry.artifact import FileEntry, Hasher, content_digest
from registry.consent import Use
from registry.errors import Place, Problem, RefusedError, relative
from registry.profile import SCHEMA_VERSION, ValueProfile
from registry.profile_life import ACTIVE, EVENT_NAME, Life, ReleaseReview, Stage, read_life
from registry.profile_tables import HELD_OUT, SHAPES, Read, Shape, read_table
from registry.profile_tests import FOLDER as TEST_RECORDS
from registry.profile_tests import RECORD_NAME, TESTS, Marked, Tests, read_tests
from registry.profile_v1 import ValueProfileV1, upgraded
from registry.strict_yaml import Document, read, typed

CONTENT = "content"
"""Where the tables lie that are held by consent or mandate: tracked by DVC, never in Git."""
_NO_TEXT = frozenset({"id", "author", "foundations", "values", "item"})
"""Columns that hold names of things, not words of the community."""
TABLES = tuple(shape.file for shape in SHAPES)
"""Every table that a profile folder may hold."""
HELD = (*TABLES, TESTS.file)
"""Every file with words of the community: its tables, and its tests, which no event speaks of."""


@dataclass(frozen=True)
class Profile:
    """A profile folder: its typed profile, its document, and its life."""

    folder: Path
    profile: ValueProfile
    document: Document
    life: Life

    @property
    def id(self) -> str:
        """The community's id."""
        return self.profile.id

    @property
    def stage(self) -> Stage:
        """Where it stands in its life."""
        return self.life.stage

    @property
    def active(self) -> bool:
        """Whether models may be made from it."""
        return self.stage in ACTIVE

    @property
    def review(self) -> ReleaseReview | None:
        """The latest review for release of this revision."""
        return self.life.release_review(self.profile.revision)

    @property
    def home(self) -> Path:
        """The folder that holds its tables."""
        held = self.profile.permission != "licence"
        return self.folder / CONTENT if held else self.folder

    def table(self, name: str) -> Path:
        """The path of one of its tables."""
        return self.home / name

    def tables(self) -> dict[str, Read[Any]]:
        """Every table that is there, read and typed."""
        return {
            shape.file: read_table(self.table(shape.file), self.shown(shape.file), shape)
            for shape in SHAPES
            if self.table(shape.file).exists()
        }

    @cached_property
    def tests(self) -> Tests:
        """The community's own tests, and what became of each."""
        return read_tests(self.folder, self.home, self.folder.parents[1])

    def shown(self, name: str) -> str:
        """A table's path as people read it."""
        return relative(self.table(name), self.folder.parents[1])

    @cached_property
    def digest(self) -> str:
        """The digest of the profile and its tables: what an event speaks of."""
        paths = {"profile.yaml": self.folder / "profile.yaml"}
        paths |= {name: self.table(name) for name in TABLES if self.table(name).is_file()}
        hasher = Hasher(None)
        return content_digest(
            FileEntry(path=name, size=0, sha256=hasher.file(path)) for name, path in paths.items()
        )

    def refusal(self, use: Use, today: dt.date) -> tuple[str, str] | None:
        """Why a use is not granted on a day, with the mend; None where it is granted."""
        if changed := self._changed():
            return changed
        consent = self.profile.consent
        if use != "publish-weights" or self.profile.permission != "licence":
            return consent.refusal(use, today)
        if self.review is None:
            event = f"value_profiles/{self.id}/events/NNNN-release-reviewed.yaml"
            what = "is a licence, and no review of purpose, identifiability and harm "
            mend = f"record one for revision {self.profile.revision} in {event} (docs/release.md)"
            return f"{what}grants publish-weights", mend
        if not self.review.granted:
            return "was reviewed for release and not granted", "see the review in its events"
        return consent.lapse(today)

    def _changed(self) -> tuple[str, str] | None:
        """Whether the profile is another than the one that was accepted."""
        settled = self.life.settled()
        if settled is None or not settled.chained or settled.event.profile_sha256 == self.digest:
            return None
        what = (
            f"covers what was {settled.event.event} on {settled.event.on}, not what lies here now"
        )
        return what, f"have the change reviewed (`chorus profile status {self.id}` says how)"

    def require(self, use: Use, today: dt.date, where: str) -> None:
        """Raises RefusedError unless the permission grants a use on a day."""
        if refused := self.refusal(use, today):
            what, mend = refused
            raise RefusedError(
                f"the permission of {self.id} {what}",
                where=where,
                why="nothing is made from a profile without a permission that holds now",
                mend=mend,
            )


def read_profile(folder: Path, root: Path) -> tuple[Profile | None, list[Problem]]:
    """Reads one profile folder; returns the profile, or everything wrong with it.

    Tables are looked for, not read: `check_tables` reads them.
    """
    shown = relative(folder / "profile.yaml", root)
    document, problems = read(folder / "profile.yaml", shown)
    life, event_problems = read_life(folder, root)
    problems += event_problems
    if document is None:
        return None, [*_intruders(folder, root, None), *problems]
    profile, typed_problems = _typed(document)
    problems = [*_intruders(folder, root, profile), *problems, *typed_problems]
    if profile is None:
        return None, problems
    if profile.id != folder.name:
        problems.append(
            document.problem(
                ("id",), f"is {profile.id!r} in the folder {folder.name!r}", "give both one name"
            )
        )
    found = Profile(folder, profile, document, life)
    if found.stage != "withdrawn":
        problems += _table_problems(found, root)
    return found, problems


def _typed(document: Document) -> tuple[ValueProfile | None, list[Problem]]:
    data = document.data if isinstance(document.data, dict) else {}
    version = data.get("schema_version")
    if version == "1":
        old, problems = typed(ValueProfileV1, document)
        return (upgraded(old) if old else None), problems
    if version is not None and version != str(SCHEMA_VERSION):
        what = f"is of version {version}; this Chorus reads versions 1 and {SCHEMA_VERSION}"
        return None, [document.problem(("schema_version",), what, "use a newer Chorus")]
    return typed(ValueProfile, document)


def _table_problems(profile: Profile, root: Path) -> Iterator[Problem]:
    """Tables that the kind of profile must have and lacks, or has and must not."""
    kind = profile.profile.kind
    for shape in SHAPES:
        path = profile.table(shape.file)
        place = Place(relative(path, root))
        if path.exists() and kind not in shape.allowed and not profile.profile.fictional:
            mend = f"only {' and '.join(shape.allowed)} profiles hold one"
            yield Problem(place, f"does not belong to a profile of kind {kind}", mend)
        elif not path.exists() and kind in shape.required and not _spared(profile, shape):
            mend = "add the table"
            if profile.home.name == CONTENT and not profile.home.exists():
                mend = f"fetch it with `dvc pull {relative(profile.home, root)}.dvc`, or add it"
            yield Problem(place, "is missing", mend)
    held = profile.table("opinions.csv").exists()
    if held and profile.profile.opinions is None:
        what = "has a table of opinions, and says nothing about it"
        yield profile.document.problem((), what, "add `opinions:` with instrument and dates")


def _spared(profile: Profile, shape: Shape[Any]) -> bool:
    """Whether the profile says that it has nobody to measure against."""
    opinions = profile.profile.opinions
    return shape is HELD_OUT and opinions is not None and not opinions.held_out


def _intruders(folder: Path, root: Path, profile: ValueProfile | None) -> Iterator[Problem]:
    """Everything in a profile folder that the schema does not list.

    Strangers fill these folders: a planted `dvc.yaml` would be run by `dvc repro -P`.
    """
    held = profile is not None and profile.permission != "licence"
    content = {f"{CONTENT}/{name}" for name in HELD} | {f"{CONTENT}.dvc"}
    allowed = {"profile.yaml", *(content if held else HELD)}
    if profile is None:
        allowed |= content
    folders = {"events", "evaluation", TEST_RECORDS}
    folders |= {CONTENT, f"{CONTENT}/evaluation"} if held or profile is None else set()
    mend = f"remove it; a profile holds data only: {', '.join(sorted(allowed))} and events/"
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder).as_posix()
        place = Place(relative(path, root))
        if path.is_symlink():
            yield Problem(place, "is a link", mend)
        elif path.is_dir():
            if inside not in folders:
                yield Problem(place, "is a folder that a profile does not have", mend)
        elif held and inside in HELD:
            what = "is held by consent or mandate, and would stay in Git for ever"
            moved = f"move it to {CONTENT}/, which DVC tracks and a withdrawal can empty"
            yield Problem(place, what, moved)
        elif inside not in allowed and not _is_event(inside) and not _is_record(inside):
            yield Problem(place, "is a file that a profile does not have", mend)


def _is_event(inside: str) -> bool:
    return inside.startswith("events/") and bool(EVENT_NAME.fullmatch(inside[len("events/") :]))


def _is_record(inside: str) -> bool:
    before, _, name = inside.partition("/")
    return before == TEST_RECORDS and bool(RECORD_NAME.fullmatch(name))


def check_tables(profile: Profile) -> list[Problem]:
    """Everything wrong with the rows of a profile, across its tables too."""
    tables = profile.tables()
    problems = [p for read_ in tables.values() for p in read_.problems]
    return [*problems, *profile.tests.problems, *_across(profile, tables)]


def _across(profile: Profile, tables: Mapping[str, Read[Any]]) -> Iterator[Problem]:
    """What only several tables together show."""
    known = {row.id for row in _rows(tables, "values.csv")}
    for name in ("guidance.csv", "examples.jsonl"):
        for line, row in _lines(tables, name):
            for value in row.values:
                if value not in known:
                    yield _at(profile, name, line, f"values: no value has the id {value!r}",
                              "name an id from values.csv")  # fmt: skip
    examples = tables.get("examples.jsonl")
    few = 5
    if profile.profile.described_by_itself and examples and len(examples.rows) < few:
        yield _at(profile, "examples.jsonl", 1, f"holds {len(examples.rows)} examples",
                  f"write at least {few}")  # fmt: skip
    yield from _off_limits(profile, tables)
    for shape in SHAPES:
        read = tables.get(shape.file)
        needed = read is not None and profile.profile.kind in shape.required
        if read and needed and not read.rows and not read.problems:
            yield _at(profile, shape.file, 1, "has no rows", "add at least one")
    for name in ("opinions.csv", "evaluation/opinions.csv"):
        yield from _opinion_problems(profile, name, tables)
    yield from _same_options(profile, tables)


def _rows(tables: Mapping[str, Read[Any]], name: str) -> tuple[Any, ...]:
    return tables[name].rows if name in tables else ()


def _lines(tables: Mapping[str, Read[Any]], name: str) -> Iterator[tuple[int, Any]]:
    if name in tables:
        yield from zip(tables[name].lines, tables[name].rows, strict=True)


def _at(profile: Profile, name: str, line: int, what: str, mend: str) -> Problem:
    return Problem(Place(profile.shown(name), line), what, mend)


def _off_limits(profile: Profile, tables: Mapping[str, Read[Any]]) -> Iterator[Problem]:
    """Rows that touch a topic on which the profile itself forbids to generate."""
    pattern = _pattern(profile)
    if pattern is None:
        return
    for shape in SHAPES:
        texts = [name for name in shape.columns if name not in _NO_TEXT]
        for line, row in _lines(tables, shape.file):
            said = " ".join(str(getattr(row, name) or "") for name in texts)
            if found := pattern.search(_folded(said)):
                yield _at(
                    profile,
                    shape.file,
                    line,
                    f"touches {found[0]!r}, which is off limits",
                    "leave the row out, or narrow the topic",
                )


def _pattern(profile: Profile) -> re.Pattern[str] | None:
    terms = [t for topic in profile.profile.off_limits for t in topic.terms if t.strip()]
    either = "|".join(re.escape(_folded(term)) for term in terms)
    return re.compile(rf"(?<!\w)(?:{either})(?!\w)") if terms else None


def forbidden(profile: Profile, marked: Marked) -> str:
    """The words of a marked answer that touch a topic which is off limits; nothing where none."""
    pattern = _pattern(profile)
    said = [marked.question, *marked.options, marked.wrong, marked.better or "", marked.why]
    found = pattern.search(_folded(" ".join(said))) if pattern else None
    return found[0] if found else ""


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


def _opinion_problems(
    profile: Profile, name: str, tables: Mapping[str, Read[Any]]
) -> Iterator[Problem]:
    """Items whose rows contradict each other."""
    items: dict[str, list[tuple[int, Any]]] = {}
    for line, row in _lines(tables, name):
        items.setdefault(row.item, []).append((line, row))
    for item, found in items.items():
        line, first = found[0]
        options = [row.option for _, row in found]
        if len(set(options)) != len(options):
            yield _at(profile, name, line, f"item {item}: an option stands twice", "keep one row")
        if sorted(row.position for _, row in found) != list(range(1, len(found) + 1)):
            yield _at(profile, name, line, f"item {item}: positions are not 1 to {len(found)}",
                      "number the options in their order")  # fmt: skip
        if len({(row.n, row.n_effective) for _, row in found}) > 1:
            yield _at(profile, name, line, f"item {item}: n differs between its rows",
                      "it counts those who answered the item")  # fmt: skip
        total = sum(row.count for _, row in found)
        rounded = any(row.mark for _, row in found)
        if total != first.n and not rounded:
            yield _at(profile, name, line, f"item {item}: counts sum to {total}, n is {first.n}",
                      "n is the number of people who answered")  # fmt: skip
        share = sum(row.share for _, row in found)
        tolerance = 1e-4
        if abs(share - 1) > tolerance:
            yield _at(profile, name, line, f"item {item}: shares sum to {share:.4f}",
                      "shares of an item sum to 1")  # fmt: skip
        few = 5
        for at, row in found:
            if 0 < row.count < few:
                what = f"item {item}: {row.count} people chose {row.option!r}; it could name them"
                mend = "write 5 and mark it `rounded`, or merge it into its neighbour"
                yield _at(profile, name, at, what, mend)


def _same_options(profile: Profile, tables: Mapping[str, Read[Any]]) -> Iterator[Problem]:
    """Items that the table for learning and the one for evaluation do not show alike."""
    learning, held = (
        {(row.item, row.option, row.position) for row in _rows(tables, name)}
        for name in ("opinions.csv", "evaluation/opinions.csv")
    )
    both = {item for item, *_ in learning} & {item for item, *_ in held}
    for item, option, _ in sorted(learning ^ held):
        if item in both:
            yield _at(profile, "evaluation/opinions.csv", 1,
                      f"item {item}: {option!r} is not the same in both tables",
                      "list the same options in the same order")  # fmt: skip


def shape_of(name: str) -> Shape[Any]:
    """The shape of a table by its file name."""
    return next(shape for shape in SHAPES if shape.file == name)
