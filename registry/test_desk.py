"""What people do with a community's own tests: add one, propose one, take it over, retire one.

Adding writes the test's line first and its record second, under the lock of the profiles. A process
that dies between the two leaves a test that is there and has no record: the next act writes that
record before its own, and until then `chorus profile status --verify` says so. Nothing of this
alters the profile, its revision or its events.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Sequence
from pathlib import Path

import yaml
from pydantic import ValidationError

from registry.artifact import canonical_json, one_at_a_time, write_atomically
from registry.consent import today
from registry.errors import IntegrityError, ProblemsError, RefusedError, UsageError, relative
from registry.message import Message
from registry.profile_content import ACCEPTED, PROPOSALS, track_here
from registry.profile_desk import Receipt
from registry.profile_folder import Profile, read_profile
from registry.profile_rows import forbidden, touches
from registry.profile_tests import FOLDER, TESTS, CommunityTest, Marked, Record
from registry.signing import Signer
from registry.stewardship import retirement_lacks, retirement_message, unsound_retirements
from registry.strict_yaml import nearest

MAX_PROPOSED = 200
"""Proposed tests of one profile that wait at a time."""
MAINTAINERS = 2
_MAX_BYTES = 64 * 1024
_NAME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}-[0-9a-f]{8}")


def accepted(root: Path, community: str) -> Profile:
    """The profile of a community that was taken up; never the proposal of its next revision."""
    folder = root / ACCEPTED / community
    known = sorted(p.name for p in (root / ACCEPTED).glob("*/"))
    if community not in known:
        raise UsageError(
            f"no profile is called {community!r}",
            why="only a profile that was taken up has tests",
            mend=nearest(community, known) or "known here: " + (", ".join(known) or "none"),
        )
    profile, problems = read_profile(folder, root)
    if profile is None or problems:
        raise ProblemsError(problems)
    return profile


def marked(community: str, **said: object) -> Marked:
    """What somebody marked wrong, as a person gave it; raises UsageError on every wrong part."""
    try:
        return Marked.model_validate({**said, "on": today().isoformat()})
    except ValidationError as error:
        wrong = [
            f"{'.'.join(map(str, one['loc']))}: {one['msg']}".removeprefix(": ").replace(
                "Value error, ", ""
            )
            for one in error.errors()
        ]
        raise UsageError("; ".join(wrong), where=f"the test of {community}") from None


def check(profile: Profile, one: Marked) -> None:
    """Raises unless a marked answer may become a test of a profile."""
    if profile.stage not in ("accepted", "admitted", "suspended"):
        what = Message("a profile that is {stage} has no tests", stage=profile.stage)
        raise RefusedError(what, where=profile.id)
    if term := forbidden(profile, one):
        raise UsageError(
            touches(term),
            where=f"the test of {profile.id}",
            why="what the community keeps out of every text is kept out of its tests too",
            mend=Message("ask about it in other words"),
        )
    if same := next((test for test in profile.tests.standing if test.same_as(one)), None):
        what = Message("is {test} already", test=same.id)
        raise UsageError(what, where=f"the test of {profile.id}")


def add(root: Path, community: str, one: Marked, by: Sequence[str] = ()) -> Receipt:
    """Makes a marked answer a permanent test of a community.

    Args:
        root: The project.
        community: The id of an accepted or admitted profile.
        one: What was marked.
        by: Who takes it over, where that is not whoever marked it.
    """
    with one_at_a_time(root, "profiles"):
        profile = _whole(root, community)
        check(profile, one)
        number = len(profile.tests.rows) + 1
        test = CommunityTest.model_validate({"id": f"test-{number}", **one.model_dump()})
        path = profile.table(TESTS.file)
        before = path.read_bytes() if path.exists() else b""
        before += b"\n" if before and not before.endswith(b"\n") else b""
        write_atomically(path, before + _line(test))
        receipt = _record(root, profile, test, "added", by or (test.by,))
    track_here(root, profile)
    return receipt


def retire(
    root: Path,
    community: str,
    test: str,
    by: Sequence[str],
    reason: str,
    signer: Signer | None = None,
) -> Receipt:
    """Ends a test: models need not pass it any more; it stays where everybody sees it."""
    with one_at_a_time(root, "profiles"):
        profile = _whole(root, community)
        _require_right(profile, by)
        row = profile.tests.row(test)
        if row.id in profile.tests.retired:
            raise UsageError("was retired before", where=f"{test} of {community}")
        return _record(root, profile, row, "retired", by, reason, signer)


def _require_right(profile: Profile, by: Sequence[str]) -> None:
    """Raises RefusedError unless those who ask may retire a test of this kind of profile."""
    if profile.profile.described_by_itself and not profile.profile.fictional:
        steward = f"steward:{profile.id}"
        if steward not in by:
            raise RefusedError(
                "only its steward retires a test of a profile that describes itself",
                where=profile.id,
                why="a test is the community's own, and nobody else takes it away",
                mend=f"name --by {steward}",
            )
    elif len(set(by)) < MAINTAINERS:
        raise RefusedError(
            f"{MAINTAINERS} maintainers retire a test of a profile of kind {profile.profile.kind}",
            where=profile.id,
            mend="name both: --by maintainer:1 --by maintainer:2",
        )


def _whole(root: Path, community: str) -> Profile:
    """An accepted profile whose tests are as they were recorded.

    The record of a test whose writer was cut off is written first.
    """
    profile = accepted(root, community)
    doubts = (
        *profile.tests.broken(),
        *unsound_retirements(profile.profile, profile.life, profile.tests),
    )
    if broken := next(iter(doubts), None):
        raise IntegrityError(
            f"the tests are not what was recorded: {broken}",
            where=profile.id,
            why="a test that is added to them would vouch for a past that nobody can check",
            mend="restore them from Git, or with `dvc checkout`",
        )
    for test in profile.tests.unrecorded:
        _record(root, profile, test, "added", (test.by,))
        profile = accepted(root, community)
    return profile


def _line(test: CommunityTest) -> bytes:
    data = test.model_dump(mode="json", exclude_defaults=True)
    return json.dumps({"id": data.pop("id"), **data}, ensure_ascii=False).encode() + b"\n"


def _record(
    root: Path,
    profile: Profile,
    test: CommunityTest,
    happened: str,
    by: Sequence[str],
    reason: str | None = None,
    signer: Signer | None = None,
) -> Receipt:
    steward = profile.profile.steward
    try:
        record = Record.model_validate(
            {
                "happened": happened,
                "test": test.id,
                "test_sha256": test.sha256,
                "on": today().isoformat(),
                "by": tuple(by),
                "reason": reason,
                "previous": profile.tests.last,
                "steward_key": steward.key if steward and happened == "retired" else None,
            }
        )
    except ValidationError as error:
        first = error.errors()[0]
        what = f"{first['loc'][0]}: {first['msg'].removeprefix('Value error, ')}"
        raise UsageError(what, where=f"the record of {test.id}") from None
    if signer and record.steward_key:
        signature = signer.sign(retirement_message(profile.id, record))
        record = record.model_copy(update={"signature": signature})
    if lacking := retirement_lacks(profile.profile, profile.life, record):
        raise RefusedError(
            lacking,
            where=profile.id,
            why="a test is the community's own, and nobody else takes it away",
        )
    data = record.model_dump(mode="json", exclude_none=True)
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100).encode()
    path = profile.folder / FOLDER / f"{len(profile.tests.records) + 1:04}-{happened}.yaml"
    # Written aside: a reader of the folder must never meet a file that is no record yet.
    aside = root / ".chorus" / "locks" / f"test-{path.name}"
    write_atomically(aside, text)
    path.parent.mkdir(exist_ok=True)
    aside.rename(path)
    names = "--by " + (
        f"steward:{profile.id}"
        if profile.profile.described_by_itself
        else "maintainer:1 --by maintainer:2"
    )
    undo = f'chorus profile tests {profile.id} --retire {test.id} {names} --reason "..."'
    return Receipt(
        act=f"{test.id} {happened}",
        profile=profile.id,
        revision=profile.profile.revision,
        on=record.on,
        event=relative(path, root),
        sha256=hashlib.sha256(text).hexdigest(),
        undo=undo if happened == "added" else "it cannot be undone; add the test again",
    )


# Proposed tests: what a visitor of the pages marked, until somebody takes it over.


def proposed_folder(root: Path, community: str) -> Path:
    """Where the proposed tests of a community wait."""
    return root / PROPOSALS / f"{community}.tests"


def propose(root: Path, community: str, one: Marked) -> str:
    """Keeps a marked answer for somebody to look at; returns the name of the proposal.

    It lies outside Git, since it holds the words of whoever marked it. The same mark again is the
    same proposal.
    """
    check(accepted(root, community), one)
    folder = proposed_folder(root, community)
    with one_at_a_time(root, "profiles"):
        for name, other in proposals(root, community).items():
            if other.same_as(one):
                return name
        if len(list(folder.glob("*.json"))) >= MAX_PROPOSED:
            raise UsageError(
                Message(
                    "{count} proposed tests of {profile} wait already",
                    count=MAX_PROPOSED,
                    profile=community,
                ),
                mend=Message("a maintainer looks at them with `chorus profile tests` first"),
            )
        ignored = root / PROPOSALS / ".gitignore"
        before = ignored.read_text() if ignored.is_file() else ""
        if (line := "/*.tests/\n") not in before:
            write_atomically(ignored, (before + line).encode())
        name = f"{one.on}-{secrets.token_hex(4)}"
        content = canonical_json(one.model_dump(mode="json"), indent=2) + b"\n"
        write_atomically(folder / f"{name}.json", content)
    return name


def proposals(root: Path, community: str) -> dict[str, Marked]:
    """The proposed tests of a community by name; raises UsageError on one that cannot be read."""
    paths = sorted(proposed_folder(root, community).glob("[!.]*.json"))
    return {path.stem: _proposal(path, root) for path in paths}


def _proposal(path: Path, root: Path) -> Marked:
    where = relative(path, root)
    if not _NAME.fullmatch(path.stem) or path.is_symlink() or not path.is_file():
        raise UsageError("is no proposed test", where=where, mend="name one that waits, or remove")
    with path.open("rb") as stream:
        raw = stream.read(_MAX_BYTES + 1)
    try:
        if len(raw) > _MAX_BYTES:
            raise ValueError(f"is larger than {_MAX_BYTES:,} bytes")
        return Marked.model_validate_json(raw)
    except ValueError as error:
        said = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise UsageError(
            f"is no proposed test: {said}", where=where, mend="remove the file"
        ) from None


def take(root: Path, community: str, name: str, by: Sequence[str]) -> Receipt | None:
    """Makes a proposed test a permanent one; None where an earlier attempt had done that."""
    waiting = [path.stem for path in sorted(proposed_folder(root, community).glob("[!.]*.json"))]
    if name not in waiting:
        mend = nearest(name, waiting) or "waiting: " + (", ".join(waiting) or "none")
        raise UsageError(f"no proposed test of {community} is called {name!r}", mend=mend)
    path = proposed_folder(root, community) / f"{name}.json"
    one = _proposal(path, root)
    taken = any(test.salt == one.salt for test in accepted(root, community).tests.rows)
    receipt = None if taken else add(root, community, one, by)
    path.unlink()
    return receipt
