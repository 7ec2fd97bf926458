"""People whom a profile speaks about object; two maintainers answer. And what the floor flags."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from registry.errors import ProblemsError, RefusedError, UsageError, relative
from registry.event_details import Answer, FloorDecision
from registry.floor import undecided
from registry.profile_desk import Receipt, add_event
from registry.profile_folder import Profile, read_profile
from registry.profile_life import ACTIVE, STEWARD


def object_to(root: Path, folder: Path, by: Sequence[str], reason: str) -> Receipt:
    """Records that somebody whom a profile speaks about objects to it."""
    return add_event(root, folder, "objected", by, reason)


def answer(
    root: Path,
    folder: Path,
    outcome: Literal["kept", "suspended"],
    by: Sequence[str],
    reason: str,
    objection: str | None = None,
) -> list[Receipt]:
    """Records what two maintainers answered; `suspended` also takes the profile out.

    Args:
        root: The project.
        folder: The profile's folder.
        outcome: Whether the profile stays.
        by: Who decided: two maintainers.
        reason: What they found.
        objection: The event that is answered; the only open one if left out.
    """
    profile = _read(folder, root)
    waiting = [happened.file.removesuffix(".yaml") for happened in profile.life.unanswered()]
    if not waiting:
        raise UsageError("has no objection that waits for an answer", where=profile.id)
    chosen = objection or waiting[0]
    if chosen not in waiting or (objection is None and len(waiting) > 1):
        raise UsageError(
            "say which objection is answered",
            where=profile.id,
            mend=f"--objection, one of: {', '.join(waiting)}",
        )
    said = Answer(objection=chosen, outcome=outcome)
    receipts = [add_event(root, folder, "answered", by, reason, answer=said)]
    if outcome == "suspended" and profile.stage in ACTIVE:
        receipts.append(add_event(root, folder, "suspended", by, reason))
    return receipts


def keep(root: Path, folder: Path, place: str, by: Sequence[str], reason: str) -> list[Receipt]:
    """Records a reviewer's decision that words which the floor flags may stay, and why."""
    profile = _read(folder, root)
    found = [flag for flag in undecided(profile) if flag.place == place]
    if not found:
        places = sorted({flag.place for flag in undecided(profile)})
        raise UsageError(
            f"the floor flags nothing undecided at {place!r}",
            where=relative(folder, root),
            mend=f"one of: {', '.join(places)}" if places else "there is nothing to decide",
        )
    if any(name.startswith(STEWARD) for name in by):
        raise RefusedError(
            "a steward does not decide on the words of their own profile",
            where=profile.id,
            why="those whom it speaks about have nobody else to look for them",
            mend="a maintainer decides: --by maintainer:1",
        )
    decisions = {flag.pattern: FloorDecision(place=place, pattern=flag.pattern) for flag in found}
    return [
        add_event(root, folder, "floor-decided", by, reason, decision=decision)
        for decision in decisions.values()
    ]


def _read(folder: Path, root: Path) -> Profile:
    profile, problems = read_profile(folder, root)
    if profile is None:
        raise ProblemsError(problems)
    return profile
