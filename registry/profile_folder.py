"""A profile folder: its profile, tables and events, and whether it may be used for something."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from registry.artifact import FileEntry, Hasher, content_digest
from registry.consent import Use
from registry.errors import Place, Problem, RefusedError, relative
from registry.event_details import ReleaseReview
from registry.message import Message
from registry.partly import nothing_of
from registry.plain_words import shortened
from registry.profile import SCHEMA_VERSION, ValueProfile
from registry.profile_life import ACTIVE, EVENT_NAME, Life, Stage, read_life
from registry.profile_tables import HELD_OUT, SHAPES, Read, Shape, read_table
from registry.profile_tests import FOLDER as TEST_RECORDS
from registry.profile_tests import RECORD_NAME, TESTS, Tests, read_tests
from registry.profile_v1 import ValueProfileV1, upgraded
from registry.stewardship import broken_words, unsound_retirements
from registry.strict_yaml import Document, partly_typed, read, typed

CONTENT = "content"
"""Where the tables lie that are held by consent or mandate: tracked by DVC, never in Git."""
NAMED_OTHERWISE = "is {id!r} in the folder {folder!r}"
"""The template of a message about a profile whose folder has another name."""
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

    def doubts_of_tests(self) -> Iterator[str]:
        """Everything about its tests that does not fit together, or that stands on no word."""
        yield from self.tests.doubts()
        yield from unsound_retirements(self.profile, self.life, self.tests)

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
        if changed := self._changed() or self._unsigned:
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
        if settled is None or not settled.chained or self.life.content_now() == self.digest:
            return None
        what = (
            f"covers what was {settled.event.event} on {settled.event.on}, not what lies here now"
        )
        return what, f"have the change reviewed (`chorus profile status {self.id}` says how)"

    @cached_property
    def _unsigned(self) -> tuple[str, str] | None:
        """Whether it rests on a word of its steward that does not stand."""
        broken = next(broken_words(self.profile, self.life), None)
        mend = f"run `chorus profile status {self.id} --verify`, and restore the events from Git"
        return (f"rests on an event that does not stand: {broken}", mend) if broken else None

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

    Tables are looked for, not read: `registry.profile_check` reads them.
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
                ("id",),
                Message(NAMED_OTHERWISE, id=profile.id, folder=folder.name),
                Message("give both one name"),
            )
        )
    found = Profile(folder, profile, document, life)
    if found.stage != "withdrawn":
        problems += table_problems(found, root)
    return found, problems


def _typed(document: Document) -> tuple[ValueProfile | None, list[Problem]]:
    found, problems = _partly_typed(document)
    return (None if problems else found), problems


def _partly_typed(document: Document) -> tuple[ValueProfile | None, list[Problem]]:
    data = document.data if isinstance(document.data, dict) else {}
    version = data.get("schema_version")
    if version == "1":
        old, problems = typed(ValueProfileV1, document)
        return (upgraded(old) if old else None), problems
    if version is not None and version != str(SCHEMA_VERSION):
        what = Message("is of version {version}; this Chorus reads versions 1 and {known}",
                       version=shortened(str(version)), known=SCHEMA_VERSION)  # fmt: skip
        mend = Message("use a newer Chorus")
        return None, [document.problem(("schema_version",), what, mend)]
    return partly_typed(ValueProfile, document)


def known_part(folder: Path, root: Path) -> Profile:
    """What can be known of a profile that is wrong: its tables, and the fields that are right.

    Reading a field that is not known raises AttributeError.
    """
    document, _ = read(folder / "profile.yaml", relative(folder / "profile.yaml", root))
    found = _partly_typed(document)[0] if document else None
    part = found or nothing_of(ValueProfile)
    if "permission" not in part.__dict__:
        held = (folder / CONTENT).is_dir()
        part.__dict__["permission"] = "consent" if held else "licence"
    empty = Document(relative(folder / "profile.yaml", root), {}, {}, ())
    return Profile(folder, part, document or empty, read_life(folder, root)[0])


def table_problems(profile: Profile, root: Path) -> Iterator[Problem]:
    """Tables that the kind of profile must have and lacks, or has and must not."""
    kind = profile.profile.kind
    for shape in SHAPES:
        path = profile.table(shape.file)
        place = Place(relative(path, root))
        if path.exists() and kind not in shape.allowed and not profile.profile.fictional:
            what = Message("does not belong to a profile of kind {kind}", kind=kind)
            allowed = ", ".join(shape.allowed)
            yield Problem(
                place, what, Message("only profiles of kind {kinds} hold one", kinds=allowed)
            )
        elif not path.exists() and kind in shape.required and not _spared(profile, shape):
            mend = Message("add the table")
            if profile.home.name == CONTENT and not profile.home.exists():
                home = relative(profile.home, root)
                mend = Message("fetch it with `dvc pull {home}.dvc`, or add it", home=home)
            yield Problem(place, Message("is missing"), mend)
    held = profile.table("opinions.csv").exists()
    if held and profile.profile.opinions is None:
        what = Message("has a table of opinions, and says nothing about it")
        mend = Message("add `opinions:` with instrument and dates")
        yield profile.document.problem((), what, mend)


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
    mend = Message("remove it; a profile holds data only: {names}, events/ and tests/",
                   names=", ".join(sorted(allowed)))  # fmt: skip
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder).as_posix()
        place = Place(relative(path, root))
        if path.is_symlink():
            yield Problem(place, Message("is a link"), mend)
        elif path.is_dir():
            if inside not in folders:
                yield Problem(place, Message("is a folder that a profile does not have"), mend)
        elif held and inside in HELD:
            what = Message("is held by consent or mandate, and would stay in Git for ever")
            moved = Message(
                "move it to {folder}/, which DVC tracks and a withdrawal can empty", folder=CONTENT
            )
            yield Problem(place, what, moved)
        elif inside not in allowed and not _is_event(inside) and not _is_record(inside):
            yield Problem(place, Message("is a file that a profile does not have"), mend)


def _is_event(inside: str) -> bool:
    return inside.startswith("events/") and bool(EVENT_NAME.fullmatch(inside[len("events/") :]))


def _is_record(inside: str) -> bool:
    before, _, name = inside.partition("/")
    return before == TEST_RECORDS and bool(RECORD_NAME.fullmatch(name))


def shape_of(name: str) -> Shape[Any]:
    """The shape of a table by its file name."""
    return next(shape for shape in SHAPES if shape.file == name)
