"""What a model would be taught from a profile, as the form's preview shows it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from registry.profile_folder import Profile
from registry.profile_preview import preview

SHOWN = 12
"""Rows of each table that a preview shows."""
_TABLES = {"examples.jsonl": "examples", "norms.csv": "norms", "guidance.csv": "guidance"}


@dataclass(frozen=True)
class PreviewRow:
    """One prompt, the answer that is taught, and the one that is not."""

    table: str
    id: str
    prompt: str
    answer: str
    avoid: str = ""


def preview_rows(profile: Profile) -> list[PreviewRow]:
    """The first rows of each table that holds prompts and answers, as a model would see them."""
    taught, _ = preview(profile, profile.folder.parents[1])
    rows = [row for row in taught if row.table in _TABLES]
    return [
        PreviewRow(_TABLES[row.table], row.id, row.prompt, row.answer, row.avoid)
        for _, part in groupby(rows, key=lambda row: row.table)
        for row in list(part)[:SHOWN]
    ]
