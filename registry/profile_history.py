"""A profile as it was: the accepted revision beside a proposal, or what a Git revision holds."""

from __future__ import annotations

import tempfile
from pathlib import Path

from registry import git
from registry.errors import ProblemsError, UsageError, relative
from registry.graph import Graph, load_graph
from registry.ground import Revision
from registry.profile_content import ACCEPTED, PROPOSALS
from registry.profile_folder import CONTENT, TABLES, Profile, read_profile


def before(root: Path, folder: Path, revision: str | None) -> tuple[Profile, Profile]:
    """The profile that a folder is compared with, and the one in the folder."""
    new = _read(folder, root)
    if revision is not None:
        return at_revision(root, new.id, revision), new
    if folder.parent == root / PROPOSALS:
        standing = root / ACCEPTED / new.id
        if not standing.is_dir():
            raise UsageError(
                "is a first proposal: there is nothing to compare it with",
                where=relative(folder, root),
            )
        return _read(standing, root), new
    return at_revision(root, new.id, "HEAD"), new


def _read(folder: Path, root: Path) -> Profile:
    profile, problems = read_profile(folder, root)
    if profile is None:
        raise ProblemsError(problems)
    return profile


def at_revision(root: Path, community: str, revision: str) -> Profile:
    """A profile as a Git revision holds it, its content from DVC's cache."""
    place = f"{ACCEPTED}/{community}"
    listed = git.ask(root, "ls-tree", "-r", "-z", "--name-only", revision, f"./{place}/")
    paths = [path for path in listed.split("\0") if path]
    if not paths:
        raise UsageError(f"{revision} holds no profile {community!r}", mend="name another revision")
    scratch = Path(tempfile.mkdtemp(prefix="chorus-profile-"))
    for path in paths:
        _write(scratch / path, git.content(root, revision, path) or b"")
    ground = Revision(root, revision)
    for table in TABLES:
        raw = ground.held(f"{place}/{CONTENT}", table)
        if raw is not None:
            _write(scratch / place / CONTENT / table, raw)
    return _read(scratch / place, scratch)


def _write(path: Path, raw: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(raw)


def stale_with(root: Path, old: Profile, new: Profile) -> list[str]:
    """The artifacts that a change makes stale: those that read what changed, and what follows."""
    graph = load_graph(root)
    tables = {name for name in TABLES if _bytes(old.table(name)) != _bytes(new.table(name))}
    data = (old.document.data, new.document.data)
    fields = {f for f in data[0].keys() | data[1].keys() if data[0].get(f) != data[1].get(f)}
    stale: list[str] = []
    for node in graph.nodes.values():
        method = node.declared.method
        reads = new.id in node.reads and (
            tables & set(method.reads) or fields & set(method.profile_fields)
        )
        if reads or any(edge.node in stale for edge in node.edges):
            stale.append(node.id)
    return [name for name in stale if _made(graph, name)]


def _made(graph: Graph, node: str) -> bool:
    return graph.artifact(node).manifest.is_file()


def _bytes(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""
