"""Withdrawal: a community leaves, and what held its words goes.

The event comes first, so that nothing new can be made; tombstones come next, so that lineage can
still say what was; then content, artifacts, stored objects and runs are removed. Each step can be
done again: a withdrawal that was cut off is finished by the same command.

Licensed content cannot be withdrawn, since it is published elsewhere and stands in Git: it is
retired, which blocks new materialisations and marks releases, and removes nothing.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal

from registry.artifact import MANIFEST, ArtifactPath, write_atomically
from registry.consent import today
from registry.errors import ProblemsError, RefusedError, UsageError, relative
from registry.graph import load_graph
from registry.hashing import sha256_file
from registry.impact import Touched, artifacts_on, releases_on
from registry.notices import add_notice
from registry.objects import Objects
from registry.profile_content import ACCEPTED, PROPOSALS
from registry.profile_desk import Receipt, add_event
from registry.profile_folder import CONTENT, HELD, Profile, read_profile
from registry.release import Name
from registry.signing import Signer
from registry.stewardship import MAINTAINERS
from registry.store import sync
from registry.tombstones import bury
from registry.unfinished import left_with
from registry.unfinished import remove as remove_unfinished

FORGET = "chorus.forget"
"""Entry points that remove what other programs keep of an artifact, such as previews."""
CANNOT_REACH = (
    "other clones of this project, and their caches",
    "copies of releases that somebody downloaded",
    "influence that trained weights keep of what they learned",
)

Fate = Literal[
    "removed",
    "kept until it is made again",
    "kept, as agreed, with a notice",
    "kept, and no longer declared",
]


@dataclass(frozen=True)
class Plan:
    """What a withdrawal will do, before it does it."""

    profile: Profile
    retired_only: bool
    """Whether the content is licensed, so that nothing is removed."""
    tables: tuple[str, ...]
    """Its tables, from the project's root."""
    fates: tuple[tuple[Touched, Fate], ...]
    releases: tuple[Name, ...]
    remake: tuple[str, ...]
    """Nodes that other communities share and that are to be made again without it."""
    unfinished: tuple[str, ...]
    """Folders with its words in something that was begun, from the project's root."""

    @property
    def removed(self) -> list[Touched]:
        """The artifacts that go."""
        return [touched for touched, fate in self.fates if fate == "removed"]


@dataclass
class Done:
    """What a withdrawal did."""

    receipt: Receipt | None
    removed: list[str] = field(default_factory=list)
    kept_objects: dict[str, str] = field(default_factory=dict)
    """Objects that another artifact needs too, each with that artifact."""
    cache: int = 0
    remotes: dict[str, int] = field(default_factory=dict)
    releases: list[str] = field(default_factory=list)
    remake: list[str] = field(default_factory=list)
    cannot_reach: tuple[str, ...] = CANNOT_REACH


def plan(root: Path, folder: Path) -> Plan:
    """What withdrawing a profile touches, and what becomes of each."""
    profile, problems = read_profile(folder, root)
    if profile is None:
        raise ProblemsError(problems)
    if folder.parent != root / ACCEPTED:
        raise UsageError(
            "was never taken up",
            where=relative(folder, root),
            mend="remove the folder; nothing rests on it",
        )
    retired_only = profile.profile.permission == "licence"
    agreed = profile.profile.withdrawal.releases if profile.profile.withdrawal else "retire"
    fates = tuple(
        (touched, fate_of(touched, agreed, retired_only=retired_only))
        for touched in artifacts_on(root, profile.id)
    )
    return Plan(
        profile=profile,
        retired_only=retired_only,
        tables=tuple(relative(profile.table(t), root) for t in HELD if profile.table(t).is_file()),
        fates=fates,
        releases=tuple(releases_on(root, profile.id)),
        remake=tuple(touched.node for touched, _ in fates if not touched.alone),
        unfinished=() if retired_only else _unfinished(root, profile.id),
    )


def _unfinished(root: Path, community: str) -> tuple[str, ...]:
    """What was begun, and proposals: a next revision, and answers that were marked wrong."""
    waiting = [root / PROPOSALS / name for name in (community, f"{community}.tests")]
    found = [*left_with(root, community), *(folder for folder in waiting if folder.is_dir())]
    return tuple(relative(folder, root) for folder in found)


def fate_of(touched: Touched, agreed: str, *, retired_only: bool) -> Fate:
    """What becomes of an artifact, as `withdrawal.releases` agreed it."""
    if retired_only:
        return "kept, and no longer declared" if touched.alone else "kept until it is made again"
    if touched.kind != "model":
        return "removed"  # its rows hold what the community said, or how it answered
    if not touched.alone:
        return "kept until it is made again"
    return "kept, as agreed, with a notice" if agreed == "leave-with-notice" else "removed"


def withdraw(
    root: Path, given: Plan, by: Sequence[str], reason: str, signer: Signer | None = None
) -> Done:
    """Carries a plan out; the same call again finishes what was cut off."""
    profile = given.profile
    _require_right(profile, by)
    done = Done(receipt=None, remake=list(given.remake))
    if profile.stage != "withdrawn":
        done.receipt = add_event(root, profile.folder, "withdrawn", by, reason, signer)
    if not given.retired_only:
        _erase(root, given, done)
    for path in sync(load_graph(root)):
        done.removed += [path] if not (root / path).exists() else []
    notice = f"{profile.profile.name} withdrew on {today().isoformat()}: {reason}"
    for name in given.releases:
        add_notice(name.card(root), notice)
        done.releases.append(name.tag)
    return done


def _require_right(profile: Profile, by: Sequence[str]) -> None:
    """Raises RefusedError unless those who ask may withdraw this kind of profile."""
    if profile.profile.described_by_itself and not profile.profile.fictional:
        steward = f"steward:{profile.id}"
        if steward not in by:
            raise RefusedError(
                "only its steward withdraws a profile that describes itself",
                where=profile.id,
                mend=f"the steward signs with --by {steward}",
            )
    else:
        require_two(profile, by)


def require_two(profile: Profile, by: Sequence[str]) -> None:
    """Raises RefusedError unless two different people are named."""
    if len(set(by)) < MAINTAINERS:
        raise RefusedError(
            f"{MAINTAINERS} maintainers withdraw a profile of kind {profile.profile.kind}",
            where=profile.id,
            mend="name both: --by maintainer:1 --by maintainer:2",
        )


def _erase(root: Path, given: Plan, done: Done) -> None:
    """Tombstones first, then content, artifacts, objects, runs and previews."""
    profile, objects = given.profile, Objects(root)
    content = f"{ACCEPTED}/{profile.id}/{CONTENT}"
    manifests = {t.node: (root / t.path / MANIFEST).read_bytes() for t in given.removed}
    tables = {table: sha256_file(root / table) for table in given.tables}
    bury(root, profile.id, manifests.values(), tables)
    erased = set().union(objects.tracked(content), *(objects.recorded(n) for n in manifests))
    used = objects.in_use([*manifests, content])
    done.kept_objects = {digest: used[digest] for digest in erased & used.keys()}
    gone = erased - used.keys()
    done.removed += [remove(root, touched) for touched in given.removed]
    shutil.rmtree(root / content, ignore_errors=True)
    (root / f"{content}.dvc").unlink(missing_ok=True)
    done.removed.append(content)
    # Looked for again: a make that ran meanwhile may have left more.
    unfinished = _unfinished(root, profile.id)
    remove_unfinished([root / path for path in unfinished])
    done.removed += unfinished
    for runs in (root / ".chorus" / "runs").glob(f"*@{profile.id}"):
        shutil.rmtree(runs, ignore_errors=True)
    done.remotes = objects.drop_from_remotes(gone)
    done.cache = objects.drop(gone)


def remove(root: Path, touched: Touched) -> str:
    """Removes an artifact with its runs and what other programs keep of it; returns its path."""
    artifact = ArtifactPath(root / touched.path)
    artifact.clear_scratch()
    shutil.rmtree(artifact.directory, ignore_errors=True)
    shutil.rmtree(root / ".chorus" / "runs" / touched.node, ignore_errors=True)
    for point in entry_points(group=FORGET):
        point.load()(root, touched.node)
    return touched.path


def as_json(given: Plan) -> dict[str, Any]:
    """A plan as JSON."""
    return {
        "profile": given.profile.id,
        "retired_only": given.retired_only,
        "tables": list(given.tables),
        "artifacts": [touched.to_json() | {"fate": fate} for touched, fate in given.fates],
        "releases": [name.tag for name in given.releases],
        "remake": list(given.remake),
        "unfinished": list(given.unfinished),
        "cannot_reach": list(CANNOT_REACH),
    }


def receipt_text(head: str, done: Done, **more: Sequence[str]) -> str:
    """The receipt: what was removed, what was retired, what cannot be reached, what to do next.

    Args:
        head: What happened, in a line.
        done: What was done.
        more: Further lists, by their titles.
    """
    lines = [f"Receipt: {head} on {today().isoformat()}", ""]
    if done.receipt:
        lines += [f"event    {done.receipt.event}", f"sha256   {done.receipt.sha256}", ""]
    remotes = "".join(f", {count} from the remote {name}" for name, count in done.remotes.items())
    removed = f"Stored objects removed: {done.cache} from the cache{remotes}."
    sections = {
        **{title.replace("_", " "): list(entries) for title, entries in more.items()},
        "Removed": done.removed,
        "Kept, since another artifact holds the same bytes": [
            f"{digest} ({node})" for digest, node in sorted(done.kept_objects.items())
        ],
        "Retired": done.releases,
        "Make again, without it": done.remake,
        "What this cannot reach": list(done.cannot_reach),
    }
    for title, entries in sections.items():
        if entries:
            lines += [f"{title}:", *(f"  {entry}" for entry in entries), ""]
    return "\n".join([*lines, removed, ""])


def write_receipt(root: Path, profile: str, text: str, name: str = "receipt") -> Path:
    """Keeps the receipt where the next commit takes it along."""
    path = root / "registry" / "tombstones" / profile / f"{name}.txt"
    write_atomically(path, text.encode())
    return path
