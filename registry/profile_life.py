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
from typing import Literal, Self, get_args

from pydantic import Field, model_validator

from registry.consent import Date
from registry.errors import Problem, relative
from registry.event_details import (
    DETAILS,
    OF,
    Answer,
    FloorDecision,
    LeftItem,
    ReleaseMatter,
    ReleaseReview,
)
from registry.message import Message, about
from registry.profile import Kind, PublicKey, Sha256, Signature
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
    "item-withdrawn",
    "objected",
    "answered",
    "release-noticed",
    "release-held",
    "release-freed",
    "floor-decided",
]
ACTIVE: frozenset[Stage] = frozenset({"accepted", "admitted"})
EVENT_NAME = re.compile(rf"[0-9]{{4}}-({'|'.join(get_args(Happening))})\.yaml")
STEWARD = "steward:"
"""How the name of a steward begins, in `by`."""
REVIEWS = 2
"""How many different people must have reviewed a profile before models are made from it."""
_AFTER: dict[str, frozenset[Stage]] = {
    "submitted": frozenset({"draft", "submitted", "validated", "reviewed", "accepted", "admitted",
                            "suspended", "withdrawn"}),
    "validated": frozenset({"submitted"}),
    "reviewed": frozenset({"validated", "reviewed"}),
    "accepted": frozenset({"validated", "reviewed", "suspended"}),
    "admitted": frozenset({"validated", "reviewed", "suspended"}),
    "suspended": frozenset({"accepted", "admitted"}),
    "withdrawn": frozenset({"draft", "submitted", "validated", "reviewed", "accepted", "admitted",
                            "suspended"}),
}  # fmt: skip
"""In which stage each event can happen."""
_STEPS: dict[str, Stage] = {stage: stage for stage in get_args(Stage)}
"""Events that move a profile to another stage: the one of the same name."""
_TAKEN_UP: frozenset[Stage] = ACTIVE | {"suspended"}
_READ: frozenset[Stage] = _TAKEN_UP | {"submitted", "validated", "reviewed"}
_ASIDE: dict[str, frozenset[Stage]] = {
    "release-reviewed": ACTIVE,
    "item-withdrawn": _TAKEN_UP,
    "objected": _READ,
    "answered": _READ,
    "release-noticed": ACTIVE,
    "release-held": _TAKEN_UP,
    "release-freed": _TAKEN_UP,
    "floor-decided": _READ | {"draft"},
}
"""Events that leave a profile in the stage where it is, and in which stages they can happen."""


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
    floor: bool = False
    """Whether the reviewer looked at the floor: nobody is dehumanised or endangered."""
    review: ReleaseReview | None = None
    """What was found, where a release was reviewed."""
    item: LeftItem | None = None
    """The row that left, where a member took one back."""
    answer: Answer | None = None
    """What was answered, where somebody had objected."""
    release: ReleaseMatter | None = None
    """Which release, where the steward heard of one or holds it."""
    decision: FloorDecision | None = None
    """What was decided, where the floor had flagged something."""
    steward_key: PublicKey | None = None
    """The steward's public key, as the profile named it then."""
    signature: Signature | None = None
    """The steward's Ed25519 signature over all of the above, in base64."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for detail in DETAILS:
            given, wanted = getattr(self, detail) is not None, OF.get(self.event) == detail
            if given != wanted:
                events = ", ".join(repr(name) for name, of in OF.items() if of == detail)
                only = Message("belongs to these events, and to no other: {events}", events=events)
                raise ValueError(about(detail, only))
        if (self.for_community or self.floor) and self.event != "reviewed":
            raise ValueError(Message("for_community and floor belong to the event 'reviewed'"))
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
            stage = _STEPS.get(happened.event.event, stage)
        return stage

    def settled(self) -> Happened | None:
        """The event by which it was last accepted or admitted."""
        found = [h for h in self.events if h.event.event in ("accepted", "admitted")]
        return found[-1] if found else None

    def reviewers(
        self, revision: int, profile: str, *, floor: bool = False
    ) -> list[tuple[str, bool]]:
        """Who reviewed exactly this content, and whether for the community.

        Content from which only a row was taken back since counts as the same. Maintainers who
        attest the steward's word have not reviewed by that. With `floor`, only reviews count that
        state that the reviewer looked at the floor.
        """
        same = self.content_before(profile)
        return [
            (name, event.for_community)
            for event in (happened.event for happened in self.events)
            if event.event == "reviewed"
            and event.revision == revision
            and event.profile_sha256 in same
            and (event.floor or not floor)
            for name in event.by
            if not event.for_community or name.startswith(STEWARD) or len(event.by) == 1
        ]

    def content_before(self, profile: str) -> set[str]:
        """The digest of a profile, and those that it had before single rows left it."""
        found = {profile}
        for event in (happened.event for happened in reversed(self.events)):
            if event.item and event.item.profile_after in found and event.profile_sha256:
                found.add(event.profile_sha256)
        return found

    def content_now(self) -> str | None:
        """The digest that the profile must have: as it was settled, less the rows that left."""
        settled = self.settled()
        wanted = settled.event.profile_sha256 if settled else None
        later = self.events[self.events.index(settled) + 1 :] if settled else ()
        for event in (happened.event for happened in later):
            if event.item and event.profile_sha256 == wanted:
                wanted = event.item.profile_after
        return wanted

    def objections(self) -> list[Happened]:
        """Every objection, answered or not."""
        return [happened for happened in self.events if happened.event.event == "objected"]

    def answer_to(self, objection: Happened) -> Event | None:
        """What was answered to an objection; None while it waits."""
        name = objection.file.removesuffix(".yaml")
        answers = [h.event for h in self.events if h.event.answer]
        return next((e for e in answers if e.answer and e.answer.objection == name), None)

    def unanswered(self) -> list[Happened]:
        """The objections that nobody has answered yet."""
        return [one for one in self.objections() if self.answer_to(one) is None]

    def left(self) -> dict[tuple[str, str], Event]:
        """The rows that members took back, each by its table and id."""
        found = [happened.event for happened in self.events if happened.event.item]
        return {(event.item.table, event.item.row): event for event in found if event.item}

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
        if event.event in _STEPS:
            if happened.chained and stage not in _AFTER[event.event]:
                yield f"{happened.file}: a profile that is {stage} cannot be {event.event}"
            stage = _STEPS[event.event]
        elif happened.chained and stage not in _ASIDE[event.event]:
            yield f"{happened.file}: it cannot happen to a profile that is {stage}"
        previous = happened.sha256


def refusal(life: Life, happening: Happening, kind: Kind, revision: int, profile: str) -> str:
    """Why an event cannot happen now; nothing where it can."""
    stage = life.stage
    if happening not in _STEPS:
        if stage in _ASIDE[happening]:
            return ""
        return Message(
            "a profile that is {stage} takes no event {event!r}", stage=stage, event=happening
        )
    if stage not in _AFTER[happening]:
        return Message(
            "a profile that is {stage} cannot be {happening}", stage=stage, happening=happening
        )
    if happening in ("accepted", "admitted"):
        # What was taken up before reviewers were asked about the floor is not asked again.
        reviewers = life.reviewers(revision, profile, floor=stage != "suspended")
        return _not_settled(reviewers, happening, kind)
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
