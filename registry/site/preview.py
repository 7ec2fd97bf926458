"""What a model would be taught from a profile, as prompts and answers that people can read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from registry.profile_folder import Profile

SHOWN = 12
"""Rows of each table that a preview shows."""
_JUDGED = {
    -2: "That is very bad.",
    -1: "That is bad.",
    0: "That depends, or is all right.",
    1: "That is good.",
    2: "That is very good.",
}


@dataclass(frozen=True)
class PreviewRow:
    """One prompt, the answer that is taught, and the one that is not."""

    table: Literal["examples", "norms", "guidance"]
    id: str
    prompt: str
    answer: str
    avoid: str = ""


def preview_rows(profile: Profile) -> list[PreviewRow]:
    """The first rows of each table that holds prompts and answers, as a model would see them."""
    makers = (_examples(profile), _norms(profile), _guidance(profile))
    return [row for rows in makers for row in islice(rows, SHOWN)]


def _examples(profile: Profile) -> Iterator[PreviewRow]:
    if read := profile.tables().get("examples.jsonl"):
        for row in read.rows:
            yield PreviewRow("examples", row.id, row.prompt, row.preferred, row.dispreferred)


def _norms(profile: Profile) -> Iterator[PreviewRow]:
    if read := profile.tables().get("norms.csv"):
        for row in read.rows:
            answer = f"{_JUDGED[row.judgement]} {row.rule}"
            yield PreviewRow("norms", row.id, row.situation, answer)


def _guidance(profile: Profile) -> Iterator[PreviewRow]:
    if read := profile.tables().get("guidance.csv"):
        for row in read.rows:
            yield PreviewRow("guidance", row.id, row.when, row.prefer, row.avoid or "")
