"""What people do with profiles: submit, review, accept or admit, suspend. Each adds one event.

A proposal lies in `proposals/<id>/` and is a profile folder like any other. Its events go on where
those of the accepted revision ended. Settling swaps the whole folder into `value_profiles/` in one
step; until then nothing there has changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from registry.artifact import one_at_a_time, swap_folder, sync_tree, write_atomically
from registry.consent import today
from registry.errors import Problem, ProblemsError, RefusedError, UsageError, relative
from registry.floor import undecided
from registry.hashing import sha256_file
from registry.profile_check import Checked, check_folder
from registry.profile_content import (
    ACCEPTED,
    PROPOSALS,
    bring_instrument,
    folders_in,
    track_content,
    track_here,
)
from registry.profile_folder import Profile, read_profile
from registry.profile_life import Event, Happening, chain_problems, refusal
from registry.profile_revisions import too_near
from registry.profile_tests import FOLDER as TEST_RECORDS
from registry.profile_tests import TESTS, Tests
from registry.signing import Signer
from registry.stewardship import broken_words, lacks, signed
from registry.strict_yaml import nearest
from registry.tombstones import FOLDER as TOMBSTONES


@dataclass(frozen=True)
class Receipt:
    """What an act did: who keeps this can name it, check it and ask to undo it."""

    act: str
    profile: str
    revision: int
    on: str
    event: str
    """The event's file, from the project's root."""
    sha256: str
    """Its digest."""
    undo: str
    """How to undo it."""

    def lines(self) -> list[tuple[str, str]]:
        """The receipt as it is printed."""
        return [
            ("receipt", f"{self.profile}, revision {self.revision}: {self.act} on {self.on}"),
            ("event", self.event),
            ("sha256", self.sha256),
            ("to undo", self.undo),
        ]


def folder_of(root: Path, name: str) -> Path:
    """The folder of a proposal, or of an accepted profile; a path is taken as it is."""
    if "/" in name:
        return (root / name).resolve()
    for place in (PROPOSALS, ACCEPTED):
        if (root / place / name).is_dir():
            return root / place / name
    known = sorted({p.name for place in (PROPOSALS, ACCEPTED) for p in folders_in(root / place)})
    mend = nearest(name, known) or "known here: " + (", ".join(known) or "none")
    raise UsageError(f"no profile or proposal is called {name!r}", mend=mend)


def whole(folder: Path, root: Path) -> Profile:
    """The profile in a folder, every table read; raises ProblemsError with all that is wrong."""
    profile, problems, _ = check_folder(folder, root)
    if profile is not None:
        problems += _beside_others(root, profile)
    if problems or profile is None:
        raise ProblemsError(problems)
    return profile


def check_all(folder: Path, root: Path) -> Checked:
    """Everything that is to be mended or decided before a profile is taken up."""
    found = check_folder(folder, root)
    if profile := found.profile:
        found.problems.extend(_beside_others(root, profile))
        found.problems.extend(flag.problem(profile.id) for flag in undecided(profile))
    return found


def _beside_others(root: Path, profile: Profile) -> list[Problem]:
    """What is wrong with a proposal beside what was published before it."""
    return list(too_near(root, profile)) if profile.folder.parent == root / PROPOSALS else []


def submit(
    root: Path, folder: Path, by: Sequence[str], reason: str, signer: Signer | None = None
) -> list[Receipt]:
    """Hands a proposal in: it must be whole, and follow the revision that is accepted."""
    profile = whole(folder, root)
    _require_proposal(root, folder)
    _require_next(root, profile)
    receipts = [add_event(root, folder, "submitted", by, reason, signer)]
    checked = "Every table was read and every rule of the schema held."
    receipts.append(add_event(root, folder, "validated", ("chorus",), checked))
    return receipts


def _require_proposal(root: Path, folder: Path) -> None:
    if folder.parent != root / PROPOSALS:
        raise UsageError(
            "is not a proposal",
            where=relative(folder, root),
            why="an accepted profile changes by a new revision only",
            mend=f"copy it to {PROPOSALS}/{folder.name}, raise `revision`, and submit that",
        )


def _require_next(root: Path, profile: Profile) -> None:
    """Raises UsageError where a proposal does not follow the revision that stands."""
    standing = root / ACCEPTED / profile.id
    if not standing.is_dir():
        if (root / TOMBSTONES / profile.id).is_dir():
            raise RefusedError(
                "its id belongs to a community whose words were erased here",
                where=profile.id,
                why="what is said under it would seem to come from those who left",
                mend=f"choose another id, or restore {ACCEPTED}/{profile.id} from Git first",
            )
        if profile.profile.revision != 1:
            raise UsageError(
                f"is revision {profile.profile.revision} of a profile that is not here",
                where=profile.id,
                mend="a first proposal is revision 1",
            )
        return
    accepted, _ = read_profile(standing, root)
    if accepted is None:
        raise UsageError("the accepted revision cannot be read", where=profile.id)
    carried = profile.life.events[: len(accepted.life.events)] == accepted.life.events
    if accepted.stage == "withdrawn" and not carried:
        raise RefusedError(
            "its id belongs to a community that withdrew",
            where=profile.id,
            why="what is said under it would seem to come from those who left",
            mend="choose another id; who returns copies "
            f"{ACCEPTED}/{profile.id}/events/ into the proposal and signs with the same key, or "
            "two maintainers decide it",
        )
    if profile.life.events[: len(accepted.life.events)] != accepted.life.events:
        raise UsageError(
            "does not carry on the events of the accepted revision",
            where=profile.id,
            mend=f"copy {ACCEPTED}/{profile.id}/events/ into the proposal, unchanged",
        )
    wanted = accepted.profile.revision + 1
    if profile.profile.revision != wanted:
        raise UsageError(
            f"is revision {profile.profile.revision}; the next one is {wanted}",
            where=profile.id,
            mend=f"write `revision: {wanted}` and `supersedes: {digest_of_yaml(standing)}`",
        )
    if profile.profile.supersedes != digest_of_yaml(standing):
        raise UsageError(
            "supersedes another profile than the one that stands here",
            where=profile.id,
            mend=f"write `supersedes: {digest_of_yaml(standing)}`",
        )


def settling(profile: Profile) -> Happening:
    """The event by which a profile of its kind is taken up."""
    return "accepted" if profile.profile.described_by_itself else "admitted"


def digest_of_yaml(folder: Path) -> str:
    """SHA-256 of a folder's `profile.yaml`, which the next revision names."""
    return sha256_file(folder / "profile.yaml")


def review(
    root: Path,
    folder: Path,
    by: Sequence[str],
    reason: str,
    *,
    for_community: bool,
    floor: bool,
    signer: Signer | None = None,
) -> Receipt:
    """Notes that somebody read a proposal and agrees to it."""
    whole(folder, root)
    if not floor:
        raise UsageError(
            "say that you looked at the floor",
            where=relative(folder, root),
            why="no profile may dehumanise or endanger others, and a list of words cannot see all",
            mend=f"read it with that in mind (`chorus profile floor {folder.name}`), then add "
            "--floor-seen",
        )
    if len(set(by)) > 1 and not for_community:
        raise UsageError("one person gives one review", mend="run it once for each reviewer")
    return add_event(
        root, folder, "reviewed", by, reason, signer, for_community=for_community, floor=True
    )


def settle(
    root: Path, folder: Path, by: Sequence[str], reason: str, signer: Signer | None = None
) -> Receipt:
    """Accepts or admits a proposal: models may be made from it from now on."""
    profile = whole(folder, root)
    _require_proposal(root, folder)
    _require_next(root, profile)
    if flagged := undecided(profile):
        raise ProblemsError([flag.problem(profile.id) for flag in flagged])
    happening = settling(profile)
    receipt = _noted(root, profile) or add_event(root, folder, happening, by, reason, signer)
    with one_at_a_time(root, "profiles"):
        if profile.profile.permission != "licence":
            track_content(root, folder)
        _carry_tests(root, profile)
        sync_tree(folder)
        target = root / ACCEPTED / profile.id
        swap_folder(folder, target, target.with_name(f".{target.name}.old"))
    track_here(root, profile)
    bring_instrument(root, profile)
    event = receipt.event.replace(f"{PROPOSALS}/", f"{ACCEPTED}/", 1)
    return Receipt(**{**vars(receipt), "event": event})


def _noted(root: Path, profile: Profile) -> Receipt | None:
    """The event of an earlier attempt that died before the folder was moved, if there was one."""
    settled = profile.life.settled()
    if settled is None or profile.life.last != settled.sha256:
        return None
    if settled.event.profile_sha256 != profile.digest:
        return None
    return Receipt(
        act=settled.event.event,
        profile=profile.id,
        revision=profile.profile.revision,
        on=settled.event.on,
        event=relative(profile.folder / "events" / settled.file, root),
        sha256=settled.sha256,
        undo=_UNDO[settled.event.event].format(id=profile.id),
    )


def _carry_tests(root: Path, proposal: Profile) -> None:
    """Puts a community's tests into the folder of its next revision, which takes its place.

    They belong to the community and not to a revision: what was added while the proposal was being
    read comes along too, and a proposal can neither bring nor leave out any.
    """
    standing, _ = read_profile(root / ACCEPTED / proposal.id, root)
    known = standing.tests if standing else Tests((), (), ())
    if not proposal.tests.within(known):
        raise UsageError(
            "brings tests that were never added",
            where=proposal.id,
            why="a test is added to the profile that stands, and carried along from there",
            mend=f"remove {TEST_RECORDS}/ and {TESTS.file} from the proposal, and add them with "
            "`chorus profile wrong` once it is taken up",
        )
    if standing is None or not known.records:
        return
    write_atomically(proposal.table(TESTS.file), standing.table(TESTS.file).read_bytes())
    for kept in known.records:
        record = standing.folder / TEST_RECORDS / kept.file
        write_atomically(proposal.folder / TEST_RECORDS / kept.file, record.read_bytes())


def suspend(root: Path, folder: Path, by: Sequence[str], reason: str) -> Receipt:
    """Takes a profile out of every gathering, until it is accepted or admitted again."""
    return add_event(root, folder, "suspended", by, reason)


def resume(root: Path, folder: Path, by: Sequence[str], reason: str) -> Receipt:
    """Takes a suspended profile up again, as it was."""
    profile = whole(folder, root)
    happening = settling(profile)
    return add_event(root, folder, happening, by, reason)


def add_event(
    root: Path,
    folder: Path,
    happening: Happening,
    by: Sequence[str],
    reason: str,
    signer: Signer | None = None,
    **more: Any,
) -> Receipt:
    """Adds one event, chained to the last; raises RefusedError where it cannot happen now.

    A signer signs the event as the steward; `more` are the event's own details.
    """
    with one_at_a_time(root, "profiles"):
        profile, problems = read_profile(folder, root)
        if profile is None or problems:
            raise ProblemsError(problems)
        life = profile.life
        broken = next(chain_problems(life), None) or next(broken_words(profile.profile, life), None)
        if broken:
            raise RefusedError(
                f"the chain of events is broken: {broken}",
                where=relative(folder, root),
                why="an event added to it would vouch for a past that nobody can check",
                mend="restore the events from Git",
            )
        kind, revision = profile.profile.kind, profile.profile.revision
        if why := refusal(life, happening, kind, revision, profile.digest):
            raise RefusedError(why, where=relative(folder, root))
        steward = profile.profile.steward
        event = _event(
            relative(folder, root),
            event=happening,
            revision=revision,
            on=today().isoformat(),
            by=tuple(by),
            reason=reason,
            profile_sha256=profile.digest,
            previous=life.last,
            steward_key=steward.key if steward else None,
            **more,
        )
        event = signed(profile.id, event, signer) if signer else event
        if lacking := lacks(profile.profile, life.events, event):
            raise RefusedError(
                lacking,
                where=relative(folder, root),
                why="nobody else speaks for those whose profile it is",
            )
        path = folder / "events" / f"{len(life.events) + 1:04}-{happening}.yaml"
        content = _dump(event)
        # Written aside: a reader of the folder must never meet a file that is no event yet.
        aside = root / ".chorus" / "locks" / f"event-{path.name}"
        write_atomically(aside, content)
        path.parent.mkdir(exist_ok=True)
        aside.rename(path)
    shown = relative(path, root)
    return Receipt(
        act=happening,
        profile=profile.id,
        revision=revision,
        on=event.on,
        event=shown,
        sha256=hashlib.sha256(content).hexdigest(),
        undo=_UNDO[happening].format(id=profile.id),
    )


def _event(where: str, **given: Any) -> Event:
    """An event from what a person gave; raises UsageError with all that is wrong in it."""
    try:
        return Event(**given)
    except ValidationError as error:
        said = [
            f"{'.'.join(map(str, one['loc']))}: {one['msg'].removeprefix('Value error, ')}"
            for one in error.errors()
        ]
        raise UsageError("; ".join(said).removeprefix(": "), where=where) from None


_UNDO: dict[str, str] = {
    "submitted": "remove the proposal's folder; nothing else was changed",
    "validated": "it undoes itself: a changed proposal is checked again",
    "reviewed": "change the proposal: a review counts for exactly what was reviewed",
    "accepted": "chorus profile suspend {id}, or chorus profile withdraw {id}",
    "admitted": "chorus profile suspend {id}",
    "suspended": "chorus profile resume {id}",
    "withdrawn": "it cannot be undone; a new profile can be proposed",
    "release-reviewed": "add another review with `granted: false`",
    "item-withdrawn": "it cannot be undone; its author may offer it again under another id",
    "objected": "two maintainers answer it: chorus profile answer {id}",
    "answered": "whoever objected can object again, with another reason",
    "release-noticed": "nothing is to be undone: a notice only starts the time to say no",
    "release-held": "chorus profile hold {id} --lift",
    "release-freed": "chorus profile hold {id}",
    "floor-decided": "change the words: a decision counts for exactly what lay there",
}


def _dump(event: Event) -> bytes:
    """An event as YAML that strict readers take: text in quotes, no anchors."""
    data = event.model_dump(mode="json", exclude_defaults=True)
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100, default_style=None)
    return text.encode()
