"""Remotes: where artifacts are kept for others. DVC moves the bytes; names and errors are ours."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from registry import git
from registry.artifact import write_atomically
from registry.checkout import restore_artifact
from registry.errors import ChorusError, IntegrityError, UsageError
from registry.ground import Revision, artifact_path
from registry.history_reading import LockEntry, lock_entries, node_of
from registry.objects import Objects
from registry.profile_folder import CONTENT
from registry.release import STATEMENT, Name, read_statement
from registry.store import PIPELINES, pipeline_path

if TYPE_CHECKING:
    from dvc.repo import Repo


@dataclass(frozen=True)
class Remote:
    """A place outside this machine's cache."""

    name: str
    url: str
    default: bool


def remotes(root: Path) -> list[Remote]:
    """Every remote that is configured."""
    with _repo(root) as repo:
        config = repo.config
        chosen = config["core"].get("remote")
        return [
            Remote(n, str(r.get("url", "")), n == chosen)
            for n, r in sorted(config["remote"].items())
        ]


def add(root: Path, name: str, url: str, *, default: bool) -> None:
    """Adds a remote; the first one is the default."""
    known = {remote.name for remote in remotes(root)}
    if name in known:
        raise UsageError(
            f"there is a remote {name!r} already",
            mend=f"`chorus remote remove {name}`, or another name",
        )
    with _repo(root) as repo, repo.config.edit("repo") as config:
        place = url if "://" in url else str((Path.cwd() / url).resolve())
        config["remote"][name] = {"url": place}
        if default or not known:
            config["core"]["remote"] = name


def set_default(root: Path, name: str) -> None:
    """Makes a remote the one that is meant where none is named."""
    _require(root, name)
    with _repo(root) as repo, repo.config.edit("repo") as config:
        config["core"]["remote"] = name


def remove(root: Path, name: str) -> None:
    """Forgets a remote; what it holds stays there."""
    _require(root, name)
    with _repo(root) as repo, repo.config.edit("repo") as config:
        del config["remote"][name]
        if config["core"].get("remote") == name:
            del config["core"]["remote"]


def push(root: Path, nodes: Sequence[str], remote: str | None, *, upstream: bool) -> int:
    """Copies recorded artifacts to a remote; returns how many files it lacked."""
    chosen = _chosen(root, remote)
    targets = _targets(root, nodes, upstream=upstream)
    lacking = [n for n, entry in targets.items() if any(_lacking(Objects(root), entry))]
    if lacking:
        raise IntegrityError(
            f"DVC's cache no longer holds {', '.join(lacking)}",
            where=chosen,
            why="a remote gets exactly what the records name",
            mend="make it again with --force, or fetch it with `chorus pull`",
        )
    with _repo(root) as repo, _in_our_words(root, chosen, targets, "push"):
        return int(repo.push(targets=_addresses(root, targets, nodes), remote=remote) or 0)


def pull(root: Path, nodes: Sequence[str], remote: str | None, *, upstream: bool) -> int:
    """Fetches recorded artifacts into their places; returns how many files were missing here."""
    chosen = _chosen(root, remote)
    targets = _targets(root, nodes, upstream=upstream)
    with _repo(root) as repo, _in_our_words(root, chosen, targets, "pull"):
        done = repo.pull(targets=_addresses(root, targets, nodes), remote=remote)
        return int(done["stats"]["fetched"])


def pull_release(root: Path, name: Name, remote: str | None) -> int:
    """Fetches all that a release was made from into the cache, and fills its folder."""
    statement, commit = read_statement(root, name)
    chosen = _chosen(root, remote)
    recorded = _recorded(root, commit)
    targets = {node: recorded[node] for node in statement.manifests if node in recorded}
    with _repo(root) as repo, _in_our_words(root, chosen, targets, "pull"):
        roots = [digest for one in targets.values() for digest in (one.manifest, one.content)]
        count = _fetch(repo, root, roots, remote)
        members = [
            d for one in targets.values() for d in Objects(root).members(one.content).values()
        ]
        count += _fetch(repo, root, members, remote)
        _require_here(root, chosen, targets)
    restore_release(root, name, link=False)
    return count


def _fetch(repo: Repo, root: Path, digests: Iterable[str], remote: str | None) -> int:
    """Fetches objects that the cache lacks, whichever commit names them."""
    from dvc_data.hashfile.hash_info import HashInfo

    objects = Objects(root)
    lacking = {digest for digest in digests if digest and not objects.path(digest).is_file()}
    if lacking:
        repo.cloud.pull([HashInfo("md5", digest) for digest in sorted(lacking)], remote=remote)
    return sum(objects.path(digest).is_file() for digest in lacking)


def _require_here(root: Path, chosen: str, targets: dict[str, LockEntry]) -> None:
    objects = Objects(root)
    lacking = [file for entry in targets.values() for file in _lacking(objects, entry)]
    if lacking:
        raise IntegrityError(
            f"{chosen} does not hold {', '.join(lacking)}",
            why="the record is whole, but these bytes are neither there nor here",
            mend="ask whoever made them to run `chorus push`, or name another --remote",
        )


def restore_release(root: Path, name: Name, *, link: bool = True) -> None:
    """Puts what is missing of a release folder in its place, from Git and DVC's objects."""
    statement, commit = read_statement(root, name)
    folder, ground = root / name.folder, Revision(root, commit, name.folder)
    lacking = [e.path for e in statement.files if not (folder / e.path).exists()]
    paths = [f"{name.folder}/{path}" for path in (*lacking, STATEMENT)]
    for path, raw in git.contents(root, commit, paths).items():
        if raw is not None and not (root / path).exists():
            write_atomically(root / path, raw)
    restore_artifact(ground, statement.node, folder, lacking, link=link)


def _require(root: Path, name: str) -> None:
    known = [remote.name for remote in remotes(root)]
    if name not in known:
        mend = (
            f"remotes: {', '.join(known)}" if known else "add one: `chorus remote add NAME PLACE`"
        )
        raise UsageError(f"no remote is called {name!r}", mend=mend)


def _chosen(root: Path, name: str | None) -> str:
    """The remote that is meant, as people read it."""
    if name is not None:
        _require(root, name)
    known = remotes(root)
    found = next((r for r in known if r.name == name or (name is None and r.default)), None)
    if found is None:
        raise UsageError(
            "no remote is the default",
            where=str(root),
            mend="name one with --remote, or `chorus remote add NAME PLACE`",
        )
    return f"remote {found.name} ({found.url})"


def _recorded(root: Path, commit: str | None = None) -> dict[str, LockEntry]:
    """What the locks record, by node: those that lie here, or those of a commit."""
    if commit is None:
        paths = [root / "dvc.lock", *sorted((root / PIPELINES).glob("*/dvc.lock"))]
        locks = {p.relative_to(root).as_posix(): p.read_bytes() for p in paths if p.is_file()}
    else:
        listed = [p for p in git.listed(root, commit, f"{PIPELINES}/") if p.endswith("/dvc.lock")]
        found = git.contents(root, commit, ["dvc.lock", *listed])
        locks = {path: raw for path, raw in found.items() if raw is not None}
    return {
        entry.node: entry for path, raw in locks.items() for entry in lock_entries(raw, path, ())
    }


def _targets(root: Path, nodes: Sequence[str], *, upstream: bool) -> dict[str, LockEntry]:
    """The nodes that are meant, with their records."""
    recorded = _recorded(root)
    if not nodes:
        return recorded
    waiting = [one for name in nodes for one in _named(name, recorded)]
    found: dict[str, LockEntry] = {}
    while waiting:
        node = waiting.pop()
        if node in found or node not in recorded:
            continue
        found[node] = recorded[node]
        if upstream:
            waiting += [above for path, _ in recorded[node].uses if (above := node_of(path))]
    return found


def _named(name: str, recorded: Iterable[str]) -> list[str]:
    """A node, or every community's node of that name."""
    found = [node for node in recorded if name in (node, node.partition("@")[0])]
    if not found:
        raise UsageError(
            f"no lock records {name!r}", mend="`chorus status` says what is made and recorded"
        )
    return found


def _address(node: str) -> str:
    name, _, community = node.partition("@")
    return f"{pipeline_path(community or None)}:{name}"


def _addresses(root: Path, targets: Iterable[str], nodes: Sequence[str]) -> list[str]:
    """What DVC calls them; everything includes what profiles hold by consent or mandate."""
    tracked = [] if nodes else sorted(root.glob(f"value_profiles/*/{CONTENT}.dvc"))
    return [*map(_address, targets), *(path.relative_to(root).as_posix() for path in tracked)]


def _lacking(objects: Objects, entry: LockEntry) -> Iterator[str]:
    """The files of a recorded artifact that the cache does not hold."""
    place = artifact_path(entry.node)
    if not objects.path(entry.manifest).is_file():
        yield f"{place}/manifest.json"
    if not objects.path(entry.content).is_file():
        yield f"{place}/files"
    for name, digest in objects.members(entry.content).items():
        if not objects.path(digest).is_file():
            yield f"{place}/files/{name}"


@contextlib.contextmanager
def _in_our_words(
    root: Path, chosen: str, targets: dict[str, LockEntry], verb: str
) -> Iterator[None]:
    """Says which artifact a remote lacks, where DVC counts files."""
    from dvc.config import ConfigError
    from dvc.exceptions import DvcException

    try:
        yield
    except (DvcException, ConfigError, OSError) as error:
        if verb == "pull":
            _require_here(root, chosen, targets)
        raise ChorusError(
            f"DVC could not {verb}: {error}",
            where=chosen,
            mend="mend that, then run the same command again; what was moved stays",
        ) from error


@contextlib.contextmanager
def _repo(root: Path) -> Iterator[Repo]:
    from dvc.repo import Repo

    if not (root / ".dvc").is_dir():
        raise UsageError(
            "the project has no DVC repository", where=str(root), mend="run `dvc init` there"
        )
    for library in ("dvc", "dvc_data", "dvc_objects"):
        logging.getLogger(library).setLevel(logging.CRITICAL)
    with contextlib.chdir(root), Repo(str(root)) as repo:
        yield repo
