"""What a new revision must keep to, beside the revisions that were published before it.

Two tables of opinions that differ by a few people tell what these few answered. So each count of a
new revision is the same as before, or differs by at least ten people.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from registry import git
from registry.errors import Place, Problem
from registry.ground import Revision
from registry.message import Message
from registry.profile_content import ACCEPTED
from registry.profile_folder import CONTENT, Profile
from registry.profile_tables import HELD_OUT, OPINIONS, Shape, parse_table

PEOPLE = 10
"""The fewest people by which two published figures may differ, where they differ."""


def too_near(root: Path, profile: Profile) -> Iterator[Problem]:
    """Figures of a new revision that differ from published ones by fewer than ten people."""
    for shape in (OPINIONS, HELD_OUT):
        path = profile.table(shape.file)
        if not path.is_file():
            continue
        new = parse_table(path.read_bytes(), shape.file, shape).rows
        seen: set[str] = set()
        for when, rows in _published(root, profile, shape):
            for what in differences(rows, new):
                if what not in seen:
                    seen.add(what)
                    mend = Message(
                        "publish the old figures again, or wait until ten more people answered"
                    )
                    said = Message("{what} than in {when}: it would tell how these few answered",
                                   what=what, when=when)  # fmt: skip
                    yield Problem(Place(profile.shown(shape.file)), said, mend)


def differences(old: Sequence[Any], new: Sequence[Any]) -> Iterator[Message]:
    """Each question and cell whose number of people differs by at least 1 and fewer than 10."""
    before, after = _figures(old), _figures(new)
    questions = {item for item, _ in before} & {item for item, _ in after}
    for item, option in sorted(before.keys() | after.keys()):
        if item not in questions:
            continue  # a question that came or went differs by everybody who answered it
        change = after.get((item, option), 0) - before.get((item, option), 0)
        if 0 < abs(change) < PEOPLE:
            yield Message("item {item}: {what}", item=item, what=_more_or_fewer(change, option))


def _more_or_fewer(change: int, option: str) -> Message:
    count = abs(change)
    if option:
        if change > 0:
            return Message("{count} more people chose {option!r}", count=count, option=option)
        return Message("{count} fewer people chose {option!r}", count=count, option=option)
    if change > 0:
        return Message("{count} more people answered", count=count)
    return Message("{count} fewer people answered", count=count)


def _figures(rows: Sequence[Any]) -> Mapping[tuple[str, str], int]:
    """The number of people of each cell, and of each question under the empty option."""
    found = {(row.item, row.option): row.count for row in rows}
    return found | {(row.item, ""): row.n for row in rows}


def _published(
    root: Path, profile: Profile, shape: Shape[Any]
) -> Iterator[tuple[Message, Sequence[Any]]]:
    """The table as it stands, and as each commit held it that Git and DVC's cache still have."""
    folder = f"{ACCEPTED}/{profile.id}"
    seen: set[bytes] = set()
    standing = [root / folder / CONTENT / shape.file, root / folder / shape.file]
    for path in standing:
        if path.is_file():
            seen.add(path.read_bytes())
            yield Message("the revision that stands"), _rows(path.read_bytes(), shape)
    paths = [f"./{folder}/{shape.file}", f"./{folder}/{CONTENT}.dvc"]
    for commit in git.ask(root, "log", "--all", "--format=%H", "--", *paths).split():
        raw = git.content(root, commit, f"{folder}/{shape.file}")
        raw = raw or Revision(root, commit).held(f"{folder}/{CONTENT}", shape.file)
        if raw is not None and raw not in seen:
            seen.add(raw)
            yield Message("what commit {commit} holds", commit=commit[:10]), _rows(raw, shape)


def _rows(raw: bytes, shape: Shape[Any]) -> Sequence[Any]:
    return parse_table(raw, shape.file, shape).rows
