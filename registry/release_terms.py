"""What people can hold against a release: an objection nobody answered, a steward who was not told.

The steward of a community hears of a release before it is public, and can hold it. Who made up a
profile, or holds only a licence, has nobody to tell; the checklist says so.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from registry.profile_folder import Profile
from registry.profile_life import Event

NOTICE_DAYS = 14
"""How long before a release its steward hears of it, where the profile agreed on nothing."""


@dataclass(frozen=True)
class Term:
    """One thing that must be so, and why it is not."""

    sentence: str
    problem: str = ""


def exempt(profile: Profile) -> str:
    """Why nobody is told of a release; nothing where a steward is."""
    if profile.profile.fictional:
        return "it is made up"
    if not profile.profile.described_by_itself:
        return "it has no steward"
    return "its content is licensed" if profile.profile.permission == "licence" else ""


def notice_days(profile: Profile) -> int:
    """How many days before a release its steward hears of it."""
    agreed = profile.profile.withdrawal
    return agreed.notice_days if agreed else NOTICE_DAYS


def noticed(profile: Profile, name: str, version: str, content: str) -> Event | None:
    """The first notice of this release with exactly this content."""
    for event in _about(profile, name, version):
        if event.event == "release-noticed" and event.release and event.release.content == content:
            return event
    return None


def held(profile: Profile, name: str, version: str) -> Event | None:
    """The word by which the steward holds a release; None where it was let go or never held."""
    found = None
    for event in _about(profile, name, version):
        if event.event in ("release-held", "release-freed"):
            found = event if event.event == "release-held" else None
    return found


def _about(profile: Profile, name: str, version: str) -> Iterator[Event]:
    for happened in profile.life.events:
        about = happened.event.release
        if about and (about.name, about.version) == (name, version):
            yield happened.event


def terms(
    profile: Profile, name: str, version: str, content: str, today: dt.date
) -> Iterator[Term]:
    """What must be so on the side of people before a model is released."""
    waiting = profile.life.unanswered()
    shown = ", ".join(happened.file.removesuffix(".yaml") for happened in waiting)
    mend = f"; two maintainers answer it (chorus profile answer {profile.id})"
    yield Term(f"every objection to {profile.id} is answered", shown + mend if shown else "")
    if why := exempt(profile):
        yield Term(f"no steward of {profile.id} is told of it: {why}")
        return
    days, told = notice_days(profile), noticed(profile, name, version, content)
    yield Term(
        f"the steward of {profile.id} heard of it {days} days ago or more",
        _too_early(told, days, today),
    )
    word = held(profile, name, version)
    yield Term(
        f"the steward of {profile.id} does not hold it",
        f"held on {word.on}: {word.reason}" if word else "",
    )


def _too_early(told: Event | None, days: int, today: dt.date) -> str:
    if told is None:
        return "nobody told the steward of exactly this model; run the same command with --notify"
    from_day = dt.date.fromisoformat(told.on) + dt.timedelta(days=days)
    return f"told on {told.on}; it may be released from {from_day}" if from_day > today else ""
