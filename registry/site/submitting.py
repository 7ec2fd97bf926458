"""Looking at a draft once more, and handing it in: a folder that appears whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from registry.artifact import one_at_a_time, sync_directory, sync_tree, write_atomically
from registry.errors import Problem, ProblemsError, UsageError
from registry.floor import undecided
from registry.profile import ValueProfile
from registry.profile_content import ACCEPTED, PROPOSALS
from registry.profile_desk import submit
from registry.profile_diff import Change, differences, field_differences
from registry.profile_folder import CONTENT, Profile, read_profile
from registry.profile_keys import keep
from registry.profile_tables import VALUES, Value
from registry.site.drafts import Base, Draft
from registry.site.fields import FILES
from registry.site.findings import looked_at, near_to_published, standing
from registry.site.form import build
from registry.site.preview import SHOWN, PreviewRow, preview_rows
from registry.site.revising import accepted
from registry.unfinished import OUTGOING

REASON = "Handed in through the form by the steward of the community."
WITH_KEY = "Handed in through the form by a holder of the edit key from the last receipt."
WITHOUT_KEY = (
    "Handed in through the form without the edit key from the last receipt: ask the steward "
    "whether it is theirs."
)


def hand_in(draft: Draft, root: Path, key: str) -> tuple[tuple[str, str], ...]:
    """Writes `proposals/<id>/` and returns the receipt by part; `key` opens it once accepted.

    Raises ProblemsError or UsageError, and then nothing is written.

    The proposal is submitted in a scratch project of its own, then moved into place in one step:
    no reviewer ever sees one without its events.
    """
    built, base = build(draft), draft.state.base
    scratch = root / OUTGOING / secrets.token_hex(8)
    try:
        staged = scratch / PROPOSALS / built.id
        built.write(staged)
        by, reason = f"steward:{built.id}", REASON
        if base:
            _bring_past(root, scratch, built.id)
            by, reason = (by, WITH_KEY) if base.opened else ("form:without-key", WITHOUT_KEY)
        profile = read_profile(staged, scratch)[0]
        if profile and (near := near_to_published(root, profile, base)):
            raise ProblemsError(near)
        receipt, *_ = submit(scratch, staged, (by,), reason)
        sync_tree(staged)
        _keep_content_out_of_git(root)
        keep(root, receipt.sha256, key)
        with one_at_a_time(root, "profiles"):
            _move(staged, root, built.id, base)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return tuple((name, str(value)) for name, value in vars(receipt).items())


def _bring_past(root: Path, scratch: Path, name: str) -> None:
    """Has a proposal carry on the events of the revision that stands, which it is checked against.

    The tables of that revision stay where they are.
    """
    stands, beside = root / ACCEPTED / name, scratch / ACCEPTED / name
    beside.mkdir(parents=True)
    shutil.copyfile(stands / "profile.yaml", beside / "profile.yaml")
    shutil.copytree(stands / "events", beside / "events")
    shutil.copytree(stands / "events", scratch / PROPOSALS / name / "events")


@dataclass(frozen=True)
class Seen:
    """A profile as its preview shows it."""

    profile: ValueProfile
    values: tuple[Value, ...]
    rows: tuple[PreviewRow, ...]
    counts: tuple[tuple[str, int], ...]
    """How many rows each table holds."""
    notices: tuple[Problem, ...]
    """Places that reviewers will be shown."""
    flagged: tuple[Problem, ...]
    """Places that the floor flags, and that a reviewer decides about."""
    changes: tuple[Change, ...] | None
    """What is different from the revision that stands; None for a first profile."""


def shown_profile(draft: Draft, root: Path) -> Seen | None:
    """What a draft would hand in; None where something is to be fixed first."""
    built = build(draft)
    base = draft.state.base
    if next(standing(root, built.id, base), None):
        return None
    with looked_at(draft, root) as (_, (profile, problems, seen)):
        if profile is None or problems:
            return None
        tables = profile.tables()
        counts = tuple((n, len(tables[s.file].rows)) for n, s in FILES.items() if s.file in tables)
        values = tables[VALUES.file].rows[:SHOWN]
        return Seen(
            profile=profile.profile,
            values=values,
            rows=tuple(preview_rows(profile)),
            counts=counts,
            notices=tuple(seen),
            flagged=tuple(flag.problem(profile.id) for flag in undecided(profile)),
            changes=_changes(root, profile, base) if base else None,
        )


def _changes(root: Path, profile: Profile, base: Base) -> tuple[Change, ...]:
    """What a revision changes; without the key, nothing is said of the tables that stand."""
    stands = accepted(root, base.id)
    found = differences(stands, profile) if base.opened else field_differences(stands, profile)
    return tuple(found)


def _move(staged: Path, root: Path, name: str, base: Base | None) -> None:
    taken = next(standing(root, name, base), None)
    if taken is None:
        try:
            os.rename(staged, root / PROPOSALS / name)  # noqa: PTH104 - refuses a folder with files
        except OSError:
            taken = next(standing(root, name, base), None)
            if taken is None:
                raise
    if taken:
        raise UsageError(taken.what, mend=taken.mend)
    sync_directory(root / PROPOSALS)


def _keep_content_out_of_git(root: Path) -> None:
    """Content held by consent is never in Git: a withdrawal could not remove it from there."""
    ignored = root / PROPOSALS / ".gitignore"
    line = f"/*/{CONTENT}/\n"
    before = ignored.read_text() if ignored.is_file() else ""
    if line not in before:
        write_atomically(ignored, (before + line).encode())
