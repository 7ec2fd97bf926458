"""A profile's life: events that are added as files and never edited, each chained to the last.

An event of version 2 names the digest of the profile that it speaks of and of the event before it,
so that `chorus profile status --verify` finds one that was altered, moved or left out. Events of
version 1 name neither; they are read, and reported as unchained.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from registry.consent import Date
from registry.errors import Problem, relative
from registry.message import Message, about
from registry.profile import Kind, Sha256
from registry.strict_yaml import read, typed
from registry.typed import Frozen

Stage = Literal[
    "draft", "submitted", "validated", "reviewed", "accepted", "admitted", "suspended", "withdrawn"
]
Happening = Literal[
    "submitted",
    "validated",
    "reviewed",
    "accepted",
    "admitted",
    "suspended",
    "withdrawn",
    "release-reviewed",
]
ACTIVE: frozenset[Stage] = frozenset({"accepted", "admitted"})
EVENT_NAME = re.compile(
    r"[0-9]{4}-(submitted|validated|reviewed|accepted|admitted|suspended|withdrawn"
    r"|release-reviewed)\.yaml"
)
REVIEWS = 2
"""How many different people must have reviewed a profile before models are made from it."""
_AFTER: dict[str, frozenset[Stage]] = {
    "submitted": frozenset({"draft", "submitted", "validated", "reviewed", "accepted", "admitted",
                            "suspended"}),
    "validated": frozenset({"submitted"}),
    "reviewed": frozenset({"validated", "reviewed"}),
    "accepted": frozenset({"validated", "reviewed", "suspended"}),
    "admitted": frozenset({"validated", "reviewed", "suspended"}),
    "suspended": frozenset({"accepted", "admitted"}),
    "withdrawn": frozenset({"draft", "submitted", "validated", "reviewed", "accepted", "admitted",
                            "suspended"}),
}  # fmt: skip
"""In which stage each event can happen."""


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
    """Who decided: references such as `maintainer:7`, never addresses."""
    reason: str = Field(min_length=10, max_length=1000)
    """Why, in a sentence."""
    profile_sha256: Sha256 | None = None
    """Digest of the profile and its tables as they were."""
    previous: Sha256 | None = None
    """Digest of the event before it; nothing in the first."""
    for_community: bool = False
    """Whether the reviewer signs off on the community's own side."""
    review: ReleaseReview | None = None
    """What was found, where a release was reviewed."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.event == "release-reviewed") != (self.review is not None):
            raise ValueError(
                Message("a review belongs to the event 'release-reviewed', and only there")
            )
        if self.for_community and self.event != "reviewed":
            raise ValueError(Message("for_community belongs to the event 'reviewed'"))
        if any("@" in name for name in self.by):
            raise ValueError(
                about("by", Message("name a reference such as `maintainer:7`, never an address"))
            )
        return self


@dataclass(frozen=True)
class Happened:
    """An event and the file that holds it."""

    file: str
    sha256: str
    event: Event

    @property
    def chained(self) -> bool:
        """Whether it is of version 2."""
        return self.event.profile_sha256 is not None


@dataclass(frozen=True)
class Life:
    """All events of a profile, in order."""

    events: tuple[Happened, ...]

    @property
    def stage(self) -> Stage:
        """Where the last event put it."""
        stage: Stage = "draft"
        for happened in self.events:
            if happened.event.event != "release-reviewed":
                stage = happened.event.event
        return stage

    def settled(self) -> Happened | None:
        """The event by which it was last accepted or admitted."""
        found = [h for h in self.events if h.event.event in ("accepted", "admitted")]
        return found[-1] if found else None

    def reviewers(self, revision: int, profile: str) -> list[tuple[str, bool]]:
        """Who reviewed exactly this content, and whether for the community."""
        return [
            (name, happened.event.for_community)
            for happened in self.events
            if happened.event.event == "reviewed"
            and happened.event.revision == revision
            and happened.event.profile_sha256 == profile
            for name in happened.event.by
        ]

    def release_review(self, revision: int) -> ReleaseReview | None:
        """The latest review for release of a revision."""
        found = None
        for happened in self.events:
            if happened.event.event == "release-reviewed" and happened.event.revision == revision:
                found = happened.event.review
        return found

    @property
    def last(self) -> str | None:
        """The digest of the last event."""
        return self.events[-1].sha256 if self.events else None


def read_life(folder: Path, root: Path) -> tuple[Life, list[Problem]]:
    """Reads a profile's events; wrong ones are left out and reported."""
    found: list[Happened] = []
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
            what = Message("says {event!r} in the file {file}", event=event.event, file=path.name)
            mend = Message("let both say what happened")
            problems.append(document.problem(("event",), what, mend))
        found.append(Happened(path.name, hashlib.sha256(path.read_bytes()).hexdigest(), event))
    return Life(tuple(found)), problems


def chain_problems(life: Life) -> Iterator[str]:
    """What is wrong with the chain: an event altered, moved, left out or out of turn."""
    stage: Stage = "draft"
    previous: str | None = None
    for number, happened in enumerate(life.events, 1):
        event = happened.event
        if not happened.file.startswith(f"{number:04}-"):
            yield f"{happened.file} stands at place {number}: one before it is missing"
        if happened.chained and event.previous != previous:
            yield f"{happened.file} follows another event than the one that stands before it"
        if event.event != "release-reviewed":
            if happened.chained and stage not in _AFTER[event.event]:
                yield f"{happened.file}: a profile that is {stage} cannot be {event.event}"
            stage = event.event
        previous = happened.sha256


def refusal(life: Life, happening: Happening, kind: Kind, revision: int, profile: str) -> str:
    """Why an event cannot happen now; nothing where it can."""
    stage = life.stage
    if happening == "release-reviewed":
        if stage in ACTIVE:
            return ""
        return Message("a profile that is {stage} has no release to review", stage=stage)
    if stage not in _AFTER[happening]:
        return Message(
            "a profile that is {stage} cannot be {happening}", stage=stage, happening=happening
        )
    if happening in ("accepted", "admitted"):
        return _not_settled(life.reviewers(revision, profile), happening, kind)
    return ""


def _not_settled(reviewers: Sequence[tuple[str, bool]], happening: Happening, kind: Kind) -> str:
    wanted: Happening = "accepted" if kind == "self-described" else "admitted"
    if happening != wanted:
        return f"a profile of kind {kind} is {wanted}, never {happening}"
    names = {name for name, _ in reviewers}
    if len(names) < REVIEWS:
        return f"{REVIEWS} people review exactly this content first; so far {len(names)} did"
    if kind == "self-described" and not any(own for _, own in reviewers):
        return "nobody has signed off on the community's own side yet"
    return ""
