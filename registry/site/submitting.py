"""Looking at a draft once more, and handing it in: a folder that appears whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from registry.artifact import sync_directory, sync_tree, write_atomically
from registry.errors import UsageError
from registry.profile import ValueProfile
from registry.profile_content import PROPOSALS
from registry.profile_desk import submit
from registry.profile_folder import CONTENT
from registry.profile_tables import VALUES, Value
from registry.site.drafts import Draft
from registry.site.fields import FILES
from registry.site.findings import inspect, standing
from registry.site.form import build
from registry.site.preview import SHOWN, PreviewRow, preview_rows

REASON = "Handed in through the form by the steward of the community."
_OUTGOING = Path(".chorus") / "outgoing"


def hand_in(draft: Draft, root: Path) -> tuple[tuple[str, str], ...]:
    """Writes `proposals/<id>/` and returns the receipt by part.

    Raises ProblemsError or UsageError, and then nothing is written.

    The proposal is submitted in a scratch project of its own, then moved into place in one step:
    no reviewer ever sees one without its events.
    """
    built = build(draft)
    scratch = root / _OUTGOING / secrets.token_hex(8)
    try:
        staged = scratch / PROPOSALS / built.id
        built.write(staged)
        receipt, *_ = submit(scratch, staged, (f"steward:{built.id}",), REASON)
        sync_tree(staged)
        _keep_content_out_of_git(root)
        _move(staged, root, built.id)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return tuple((name, str(value)) for name, value in vars(receipt).items())


@dataclass(frozen=True)
class Seen:
    """A profile as its preview shows it."""

    profile: ValueProfile
    values: tuple[Value, ...]
    rows: tuple[PreviewRow, ...]
    counts: tuple[tuple[str, int], ...]
    """How many rows each table holds."""


def shown_profile(draft: Draft, root: Path) -> Seen | None:
    """What a draft would hand in; None where something is to be fixed first."""
    built = build(draft)
    if next(standing(root, built.id), None):
        return None
    with tempfile.TemporaryDirectory(prefix="chorus-form-") as scratch:
        folder = Path(scratch) / PROPOSALS / built.id
        built.write(folder)
        profile, problems = inspect(folder, Path(scratch))
        if profile is None or problems:
            return None
        tables = profile.tables()
        counts = tuple((n, len(tables[s.file].rows)) for n, s in FILES.items() if s.file in tables)
        values = tables[VALUES.file].rows[:SHOWN]
        return Seen(profile.profile, values, tuple(preview_rows(profile)), counts)


def _move(staged: Path, root: Path, name: str) -> None:
    taken = next(standing(root, name), None)
    if taken is None:
        try:
            os.rename(staged, root / PROPOSALS / name)  # noqa: PTH104 - refuses a folder with files
        except OSError:
            taken = next(standing(root, name), None)
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
