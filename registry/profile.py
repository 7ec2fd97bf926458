"""Value profiles: who a community is, what it holds, and what it allows (schema version 1)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from registry.consent import Consent, Date, Permission
from registry.declaration import Slug
from registry.errors import Place, Problem, relative
from registry.strict_yaml import Document, read, typed
from registry.typed import Frozen

SCHEMA_VERSION = 1

TABLES = ("opinions.csv", "evaluation/opinions.csv")
"""The tables that a profile folder may hold."""

Stage = Literal["submitted", "accepted", "admitted", "suspended", "withdrawn"]
ACTIVE: frozenset[Stage] = frozenset({"accepted", "admitted"})

_EVENT_NAME = re.compile(r"[0-9]{4}-(submitted|accepted|admitted|suspended|withdrawn)\.yaml")


def check_sha256(value: str) -> str:
    """Returns `value` if it is a SHA-256 digest in hex."""
    if not re.fullmatch(r"[0-9a-f]{64}", value):
        raise ValueError("write the SHA-256 digest as 64 small hex digits")
    return value


def check_language(value: str) -> str:
    """Returns `value` if it has the shape of a BCP-47 language tag."""
    if not re.fullmatch(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*", value):
        raise ValueError('write a language as a tag in quotes, like "en-US" or "no"')
    return value


Sha256 = Annotated[str, AfterValidator(check_sha256)]
Language = Annotated[str, AfterValidator(check_language)]


class Source(Frozen):
    """Where a profile's figures come from."""

    title: str = Field(min_length=3, max_length=300)
    """The title of the source."""
    publisher: str = Field(min_length=2, max_length=200)
    """Who published it."""
    citation: str = Field(min_length=10, max_length=600)
    """How to cite it."""
    url: str = Field(pattern=r"^https?://[^\s]+$", max_length=500)
    """Where a reader finds it."""
    licence: str = Field(min_length=2, max_length=100)
    """SPDX identifier of its licence."""
    sha256: Sha256
    """Digest of the file that the figures were computed from."""


class Fielded(Frozen):
    """When people were asked."""

    start: Date
    """The first day."""
    end: Date
    """The last day."""


class Opinions(Frozen):
    """What `opinions.csv` and `evaluation/opinions.csv` hold."""

    instrument: Slug
    """The questionnaire whose items the tables name."""
    fielded: Fielded
    """When people were asked."""
    weighting: str = Field(min_length=3, max_length=300)
    """How `share` was weighted."""


class ValueProfile(Frozen):
    """A community's `profile.yaml`."""

    schema_version: int = Field(ge=SCHEMA_VERSION, le=SCHEMA_VERSION)
    """The version of this schema."""
    id: Slug
    """The community's id; the same as the folder's name."""
    revision: int = Field(ge=1)
    """Counts up with each change that the community makes."""
    kind: Literal["self-described", "survey-population", "opinion-cluster"]
    """Who speaks: a body that answers to its members, sampled people, or a cluster of votes."""
    name: str = Field(min_length=3, max_length=100)
    """What readers see; only a self-described profile is called a community."""
    description: str = Field(min_length=20, max_length=2000)
    """What this profile is."""
    scope: str = Field(min_length=20, max_length=2000)
    """Whom it speaks for, and whom not."""
    languages: tuple[Language, ...] = Field(min_length=1)
    """The languages of its material, as BCP-47 tags."""
    source: Source
    """Where its figures come from."""
    permission: Permission
    """Why Chorus may use it."""
    consent: Consent
    """What that permission grants, and until when."""
    opinions: Opinions
    """Its table of opinions."""

    @model_validator(mode="after")
    def _permission_fits(self) -> Self:
        if self.permission == "licence" and "publish-weights" in self.consent.uses:
            raise ValueError(
                "a licence grants publish-weights only after a recorded review of purpose, "
                "identifiability and harm; remove it from consent.uses"
            )
        if self.permission == "licence" and self.kind == "self-described":
            raise ValueError("a self-described profile rests on consent or a mandate")
        return self


class Event(Frozen):
    """One step in a profile's life: a file that is added and never edited."""

    event: Stage
    """What happened."""
    revision: int = Field(ge=1)
    """The revision of the profile that it speaks about."""
    on: Date
    """The day it happened."""
    by: tuple[str, ...] = Field(min_length=1)
    """Who decided."""
    reason: str = Field(min_length=10, max_length=1000)
    """Why, in a sentence."""


@dataclass(frozen=True)
class Profile:
    """A profile folder: its typed profile, its document, and where it stands in its life."""

    folder: Path
    profile: ValueProfile
    document: Document
    stage: Stage

    @property
    def id(self) -> str:
        """The community's id."""
        return self.profile.id

    @property
    def active(self) -> bool:
        """Whether declarations fan out to it."""
        return self.stage in ACTIVE

    def table(self, name: str) -> Path:
        """The path of one of its tables."""
        return self.folder / name


def read_profile(folder: Path, root: Path) -> tuple[Profile | None, list[Problem]]:
    """Reads one profile folder; returns the profile, or everything wrong with it."""
    problems = list(_intruders(folder, root))
    shown = relative(folder / "profile.yaml", root)
    document, read_problems = read(folder / "profile.yaml", shown)
    problems += read_problems
    stage, event_problems = _stage(folder, root)
    problems += event_problems
    if document is None:
        return None, problems
    profile, typed_problems = typed(ValueProfile, document)
    problems += typed_problems
    if profile is None:
        return None, problems
    if profile.id != folder.name:
        problems.append(
            document.problem(
                ("id",), f"is {profile.id!r} in the folder {folder.name!r}", "give both one name"
            )
        )
    for table in TABLES:
        if not (folder / table).is_file():
            problems.append(
                Problem(Place(relative(folder / table, root)), "is missing", "add the table")
            )
    return Profile(folder, profile, document, stage), problems


def _intruders(folder: Path, root: Path) -> Iterator[Problem]:
    """Everything in a profile folder that the schema does not list.

    Strangers fill these folders: a planted `dvc.yaml` would be run by `dvc repro -P`.
    """
    allowed = {"profile.yaml", *TABLES}
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder).as_posix()
        if path.is_symlink():
            what = "is a link"
        elif path.is_dir():
            if inside in ("events", "evaluation"):
                continue
            what = "is a folder that a profile does not have"
        elif inside in allowed or (
            inside.startswith("events/") and _EVENT_NAME.fullmatch(inside.removeprefix("events/"))
        ):
            continue
        else:
            what = "is a file that a profile does not have"
        mend = f"remove it; a profile holds data only: {', '.join(sorted(allowed))} and events/"
        yield Problem(Place(relative(path, root)), what, mend)


def _stage(folder: Path, root: Path) -> tuple[Stage, list[Problem]]:
    stage: Stage = "submitted"
    problems: list[Problem] = []
    events = folder / "events"
    for path in [] if events.is_symlink() else sorted(events.glob("*.yaml")):
        document, found = read(path, relative(path, root))
        problems += found
        if document is None:
            continue
        event, found = typed(Event, document)
        problems += found
        if event is None:
            continue
        if path.stem.partition("-")[2] != event.event:
            what = f"says {event.event!r} in the file {path.name}"
            problems.append(document.problem(("event",), what, "let both say what happened"))
        stage = event.event
    return stage, problems
