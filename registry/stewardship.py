"""The steward's word: which events need it, and what makes it stand.

A profile may name the steward's public key. Then an act of the steward counts only with a
signature of that key. Where none is named, two maintainers attest that they had the steward's word.
The key in force is that of the revision that was taken up last, and each event names the key of its
own revision, so that the whole history can be checked from the events alone. Ending one of the
community's own tests is an act of the steward too, in a chain of records beside the events.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from registry.artifact import canonical_json
from registry.profile import ValueProfile
from registry.profile_life import STEWARD, Event, Happened, Life
from registry.profile_tests import FOLDER as TEST_RECORDS
from registry.profile_tests import Record, Tests
from registry.signing import Signer, holds

MAINTAINERS = 2
_ACTS = frozenset({"withdrawn", "item-withdrawn", "release-held", "release-freed"})
_SETTLED = frozenset({"accepted", "admitted"})
_NO_SIGNATURE = "its signature does not hold"


def maintainers(by: Sequence[str]) -> int:
    """How many different maintainers are named."""
    return len({name for name in by if name.startswith("maintainer:")})


def message(profile: str, event: Event) -> bytes:
    """What the steward signs: the whole event and the profile's id, in canonical JSON."""
    said = event.model_dump(mode="json", exclude_defaults=True, exclude={"signature"})
    return b"chorus profile event 1\n" + canonical_json({"profile": profile, "event": said})


def signed(profile: str, event: Event, signer: Signer) -> Event:
    """The event with a signature."""
    return event.model_copy(update={"signature": signer.sign(message(profile, event))})


def is_act(profile: ValueProfile, event: Event) -> bool:
    """Whether an event says that the steward decided it."""
    if not profile.described_by_itself or profile.fictional:
        return False
    if event.event == "reviewed":
        return event.for_community
    return event.event in _ACTS and f"{STEWARD}{profile.id}" in event.by


def key_in_force(before: Sequence[Happened], named: str | None) -> str | None:
    """The key of the revision that was taken up last; before any was, the one that is named."""
    settled = [h.event for h in before if h.event.event in _SETTLED]
    return settled[-1].steward_key if settled else named


def lacks(profile: ValueProfile, before: Sequence[Happened], event: Event) -> str:
    """What an event lacks to stand; nothing where it stands."""
    force = key_in_force(before, event.steward_key)
    by_key = _signed_by(profile.id, event, force)
    attested = maintainers(event.by) >= MAINTAINERS
    if event.signature and not by_key and not _signed_by(profile.id, event, event.steward_key):
        return _NO_SIGNATURE
    if is_act(profile, event):
        renewing = event.event == "reviewed" and _signed_by(profile.id, event, event.steward_key)
        return "" if by_key or renewing else _word(profile.id, force, event.by)
    if event.event == "answered" and not attested:
        return "two maintainers answer an objection: --by maintainer:1 --by maintainer:2"
    if event.event == "accepted" and _changes_key(before, event) and not (by_key or attested):
        return (
            "it changes the steward's key: the old key signs, or two maintainers attest it by "
            "--by maintainer:1 --by maintainer:2"
        )
    if _returns(before, event) and not (by_key or attested):
        return RETURNING
    return ""


RETURNING = (
    "its id belongs to a community that withdrew: what is said under it would seem to come from "
    "those who left. Choose another id; or the same steward signs, or two maintainers decide it by "
    "--by maintainer:1 --by maintainer:2"
)


def _word(profile: str, force: str | None, by: Sequence[str]) -> str:
    steward = f"{STEWARD}{profile}"
    if force is not None:
        return (
            f"the profile names the steward's key: the steward signs with --sign-with ({steward})"
        )
    if steward not in by:
        return f"it is the steward's to say: name --by {steward}"
    if maintainers(by) < MAINTAINERS:
        return (
            "the profile names no key, so two maintainers attest the steward's word: "
            f"--by {steward} --by maintainer:1 --by maintainer:2"
        )
    return ""


def _signed_by(profile: str, event: Event, key: str | None) -> bool:
    return bool(key and event.signature and holds(key, event.signature, message(profile, event)))


def _changes_key(before: Sequence[Happened], event: Event) -> bool:
    settled = [h.event for h in before if h.event.event in _SETTLED]
    return bool(settled) and settled[-1].steward_key != event.steward_key


def _returns(before: Sequence[Happened], event: Event) -> bool:
    return event.event == "submitted" and Life(tuple(before)).stage == "withdrawn"


def broken_words(profile: ValueProfile, life: Life) -> Iterator[str]:
    """Events that need a signature, or have one, and do not stand."""
    for number, happened in enumerate(life.events):
        before, event = life.events[:number], happened.event
        keys = (key_in_force(before, event.steward_key), event.steward_key, event.signature)
        always = event.event == "answered" or _returns(before, event)
        if (any(keys) or always) and (lacking := lacks(profile, before, event)):
            yield f"{happened.file}: {lacking}"
    yield from _other_key(profile, life)


def _other_key(profile: ValueProfile, life: Life) -> Iterator[str]:
    """A profile that names another key than the events that speak of it."""
    named = profile.steward.key if profile.steward else None
    for happened in life.events:
        event = happened.event
        settled = event.event in _SETTLED and event.revision == profile.revision
        if settled and happened.chained and event.steward_key != named:
            yield f"{happened.file}: it was taken up with another key of the steward"


def unattested(profile: ValueProfile, life: Life) -> Iterator[str]:
    """Acts of a steward that no key guards and that no two maintainers attest."""
    for number, happened in enumerate(life.events):
        before, event = life.events[:number], happened.event
        keys = (key_in_force(before, event.steward_key), event.steward_key, event.signature)
        if not any(keys) and is_act(profile, event) and lacks(profile, before, event):
            yield happened.file


def retirement_message(profile: str, record: Record) -> bytes:
    """What the steward signs to end a test: the whole record and the profile's id."""
    said = record.model_dump(mode="json", exclude_defaults=True, exclude={"signature"})
    return b"chorus profile test 1\n" + canonical_json({"profile": profile, "record": said})


def retirement_lacks(profile: ValueProfile, life: Life, record: Record) -> str:
    """What the end of a community's own test lacks to stand; nothing where it stands."""
    if record.happened != "retired" or not profile.described_by_itself or profile.fictional:
        return ""
    keys = _keys_on(record.on, profile, life)
    if record.signature:
        known = record.steward_key if record.steward_key in keys else None
        said = retirement_message(profile.id, record)
        return "" if known and holds(known, record.signature, said) else _NO_SIGNATURE
    return _word(profile.id, None if None in keys else next(iter(keys)), record.by)


def _keys_on(day: str, profile: ValueProfile, life: Life) -> set[str | None]:
    """The keys that were in force at some time of a day; None stands for no key."""
    settled = [h.event for h in life.events if h.event.event in _SETTLED]
    before = [event.steward_key for event in settled if event.on < day][-1:]
    found = {*before, *(event.steward_key for event in settled if event.on == day)}
    return found or {profile.steward.key if profile.steward else None}


def unsound_retirements(profile: ValueProfile, life: Life, tests: Tests) -> Iterator[str]:
    """Records that end a test and do not stand."""
    for kept in tests.records:
        if lacking := retirement_lacks(profile, life, kept.record):
            yield f"{TEST_RECORDS}/{kept.file}: {lacking}"
