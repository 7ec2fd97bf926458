"""Collective Constitutional AI: a Polis export with a list of people whose votes were set aside.

The folder holds `comments.csv`, `participants-votes.csv` and, where spam was found,
`ids-to-toss.csv` (an id a line). Groups are formed anew, as for every Polis export.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from registry.errors import UsageError
from registry.intake.polis import Conversation

STATEMENTS, VOTES, LEFT_OUT = "comments.csv", "participants-votes.csv", "ids-to-toss.csv"
MAX_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Export:
    """The files of a folder."""

    statements: Path
    votes: Path
    left_out: Path | None


def export_of(folder: Path) -> Export:
    """The files of a folder; raises UsageError where it lacks one."""
    for name in (STATEMENTS, VOTES):
        if not (folder / name).is_file():
            raise UsageError(
                f"holds no {name}",
                where=str(folder),
                mend=f"give the folder with {STATEMENTS} and {VOTES} (and {LEFT_OUT})",
            )
    tossed = folder / LEFT_OUT
    return Export(folder / STATEMENTS, folder / VOTES, tossed if tossed.is_file() else None)


def read_ids(path: Path) -> frozenset[str]:
    """The people that a file names, one a line.

    Raises:
        UsageError: A line is no id.
    """
    if not path.is_file():
        raise UsageError("is no file", where=str(path), mend="give a file with an id a line")
    if path.stat().st_size > MAX_BYTES:
        raise UsageError("is larger than 1 MiB", where=str(path), mend="give the right file")
    found = set()
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    for number, line in enumerate(text.splitlines(), 1):
        one = line.strip()
        if one and not (one.isascii() and one.isdecimal()):
            raise UsageError(
                f"holds {one[:40]!r}, which is no participant of Polis",
                where=f"{path}:{number}",
                mend="write the number of one participant a line",
            )
        found |= {one} if one else set()
    return frozenset(found)


def without(talk: Conversation, people: Collection[str]) -> Conversation:
    """A conversation without the votes of some people.

    Raises:
        UsageError: One of them took no part.
    """
    if unknown := sorted(set(people) - set(talk.participants)):
        raise UsageError(
            f"has no participant {unknown[0]}, who is to be left out",
            where=VOTES,
            why="a list of another export would leave out the wrong people",
            mend="give both files of the same export",
        )
    kept = [n for n, person in enumerate(talk.participants) if person not in set(people)]
    return replace(
        talk,
        participants=tuple(talk.participants[n] for n in kept),
        votes=talk.votes[kept],
        groups=tuple(talk.groups[n] for n in kept),
    )
