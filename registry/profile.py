"""Value profiles: who a community is, what it holds, and what it allows (schema version 1)."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from registry.consent import Consent, Date, Permission, Use
from registry.declaration import Slug
from registry.errors import Place, Problem, RefusedError, relative
from registry.strict_yaml import Document, read, typed
from registry.typed import Frozen

SCHEMA_VERSION = 1

TABLES = ("opinions.csv", "evaluation/opinions.csv")
"""The tables that a profile folder may hold."""

Stage = Literal["submitted", "accepted", "admitted", "suspended", "withdrawn"]
ACTIVE: frozenset[Stage] = frozenset({"accepted", "admitted"})

Happening = Literal[
    "submitted", "accepted", "admitted", "suspended", "withdrawn", "release-reviewed"
]
RELEASE_REVIEWED: Literal["release-reviewed"] = "release-reviewed"
_EVENT_NAME = re.compile(
    r"[0-9]{4}-(submitted|accepted|admitted|suspended|withdrawn|release-reviewed)\.yaml"
)


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
                f"identifiability and harm (an event {RELEASE_REVIEWED!r}); remove it from "
                "consent.uses"
            )
        if self.permission == "licence" and self.kind == "self-described":
            raise ValueError("a self-described profile rests on consent or a mandate")
        return self


class ReleaseReview(Frozen):
    """Whether weights that rest on licensed figures may be published, and why.

    A licence says that figures may be used. It does not say that the people behind them are well
    served by a published model, so a person looks at that and writes down what they found.
    """

    purpose: str = Field(min_length=20, max_length=1000)
    """What a published model is for."""
    identifiability: str = Field(min_length=20, max_length=1000)
    """Whether anybody could be recognised from it."""
    harm: str = Field(min_length=20, max_length=1000)
    """What it could do to the people that it speaks about, and what stands against that."""
    granted: bool
    """Whether weights may be published."""


class Event(Frozen):
    """One step in a profile's life: a file that is added and never edited."""

    event: Happening
    """What happened."""
    revision: int = Field(ge=1)
    """The revision of the profile that it speaks about."""
    on: Date
    """The day it happened."""
    by: tuple[str, ...] = Field(min_length=1)
    """Who decided."""
    reason: str = Field(min_length=10, max_length=1000)
    """Why, in a sentence."""
    review: ReleaseReview | None = None
    """What was found, where a release was reviewed."""

    @model_validator(mode="after")
    def _review_fits(self) -> Self:
        if (self.event == RELEASE_REVIEWED) != (self.review is not None):
            raise ValueError(f"a review belongs to the event {RELEASE_REVIEWED!r}, and only there")
        return self


@dataclass(frozen=True)
class Profile:
    """A profile folder: its typed profile, its document, and where it stands in its life."""

    folder: Path
    profile: ValueProfile
    document: Document
    stage: Stage
    review: ReleaseReview | None
    """The latest review for release of this revision, if there was one."""

    @property
    def id(self) -> str:
        """The community's id."""
        return self.profile.id

    @property
    def active(self) -> bool:
        """Whether declarations fan out to it."""
        return self.stage in ACTIVE

    def refusal(self, use: Use, today: dt.date) -> tuple[str, str] | None:
        """Why a use is not granted on a day, with the mend; None where it is granted."""
        consent = self.profile.consent
        if use != "publish-weights" or self.profile.permission != "licence":
            return consent.refusal(use, today)
        if self.review is None:
            event = f"value_profiles/{self.id}/events/NNNN-{RELEASE_REVIEWED}.yaml"
            what = "is a licence, and no review of purpose, identifiability and harm "
            mend = f"record one for revision {self.profile.revision} in {event} (docs/release.md)"
            return f"{what}grants publish-weights", mend
        if not self.review.granted:
            return "was reviewed for release and not granted", "see the review in its events"
        return consent.lapse(today)

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

    def table(self, name: str) -> Path:
        """The path of one of its tables."""
        return self.folder / name


def read_profile(folder: Path, root: Path) -> tuple[Profile | None, list[Problem]]:
    """Reads one profile folder; returns the profile, or everything wrong with it."""
    problems = list(_intruders(folder, root))
    shown = relative(folder / "profile.yaml", root)
    document, read_problems = read(folder / "profile.yaml", shown)
    problems += read_problems
    events, event_problems = _events(folder, root)
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
    stage: Stage = "submitted"
    review = None
    for event in events:
        if event.event != RELEASE_REVIEWED:
            stage = event.event
        elif event.revision == profile.revision:
            review = event.review
    return Profile(folder, profile, document, stage, review), problems


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


def _events(folder: Path, root: Path) -> tuple[list[Event], list[Problem]]:
    found: list[Event] = []
    problems: list[Problem] = []
    events = folder / "events"
    for path in [] if events.is_symlink() else sorted(events.glob("*.yaml")):
        document, read_problems = read(path, relative(path, root))
        problems += read_problems
        if document is None:
            continue
        event, read_problems = typed(Event, document)
        problems += read_problems
        if event is None:
            continue
        if path.stem.partition("-")[2] != event.event:
            what = f"says {event.event!r} in the file {path.name}"
            problems.append(document.problem(("event",), what, "let both say what happened"))
        found.append(event)
    return found, problems
