"""Makes a release again from its sources, and compares what comes out node by node.

It works in a clean copy of the release's commit, which holds what Git and the profiles hold and not
one artifact. The same digests are promised where machine type, package versions and threads are
those of the record; whether they are is said before anything is made.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from registry.artifact import Manifest, parse_manifest
from registry.checkout import restore_content, temporary_checkout
from registry.consent import today
from registry.differences import difference
from registry.errors import IntegrityError, RefusedError, UsageError
from registry.graph import Graph, load_graph
from registry.ground import Revision
from registry.launch import choose_device
from registry.make import Listener, make_node
from registry.method import code_of
from registry.project import load_profiles
from registry.release import Name, read_statement

Outcome = Literal["identical", "differs"]


@dataclass(frozen=True)
class Remade:
    """One node that was made again."""

    node: str
    outcome: Outcome
    recorded: str
    """The content digest of the record."""
    made: str
    differences: tuple[str, ...] = ()
    """Each file that differs, and by how much."""

    def to_json(self) -> dict[str, Any]:
        """The node as JSON."""
        return vars(self) | {"differences": list(self.differences)}


@dataclass(frozen=True)
class Reproduction:
    """How making a release again ended; nothing is made from what differs."""

    release: str
    surroundings: tuple[str, ...]
    """How machine, packages or code differ from the record; empty where nothing does."""
    nodes: tuple[Remade, ...]
    not_made: tuple[str, ...]
    """What was left out, since an input of it differed."""

    @property
    def identical(self) -> bool:
        """Whether every node came out as it was recorded."""
        return all(one.outcome == "identical" for one in self.nodes) and not self.not_made


@dataclass(frozen=True)
class Watcher:
    """What a door wants to hear on the way."""

    surroundings: Callable[[tuple[str, ...]], None] = lambda _differences: None
    """Before anything is made."""
    remade: Callable[[Remade], None] = lambda _node: None
    """A node was made and compared."""
    listener: Listener | None = None


def reproduce(root: Path, name: Name, watcher: Watcher | None = None) -> Reproduction:
    """Makes a release again from its sources.

    Raises:
        IntegrityError: Where a manifest of the release is missing or damaged.
        RefusedError: Where a permission does not grant it today.
        UsageError: Where this Chorus cannot read the project of that commit.
    """
    watcher = watcher or Watcher()
    statement, commit = read_statement(root, name)
    ground = Revision(root, commit, name.folder)
    recorded = {node: _manifest(ground, node) for node in statement.manifests}
    _require_permission(root, recorded)
    with temporary_checkout(root, commit) as copy:
        restore_content(copy, ground)
        graph = load_graph(copy)
        if statement.node not in graph.nodes:
            raise UsageError(f"{commit[:10]} declares no node of that name", where=statement.node)
        surroundings = tuple(dict.fromkeys(_surroundings(graph, recorded)))
        watcher.surroundings(surroundings)
        found: dict[str, Remade] = {}
        left: list[str] = []
        for node in graph.upstream([graph.node(statement.node)]):
            if any(e.node in left or found[e.node].outcome == "differs" for e in node.edges):
                left.append(node.id)
                continue
            make_node(graph, node, listener=watcher.listener, record=False)
            found[node.id] = _compared(ground, graph, node.id, recorded.get(node.id))
            watcher.remade(found[node.id])
    return Reproduction(str(name), surroundings, tuple(found.values()), tuple(left))


def _manifest(ground: Revision, node: str) -> Manifest:
    raw = ground.manifest(node)
    if raw is None:
        raise IntegrityError("the release keeps no manifest of it", where=node)
    return parse_manifest(raw, f"{ground.bundle}/lineage/{node}.json")


def _require_permission(root: Path, recorded: dict[str, Manifest]) -> None:
    """Raises RefusedError unless every profile grants its use now, whatever it granted then."""
    now = load_profiles(root).profiles
    for node, manifest in recorded.items():
        for entry in manifest.profiles:
            profile = now.get(entry.id)
            if profile is None or not profile.active:
                stage = profile.stage if profile else "gone"
                raise RefusedError(
                    f"the profile {entry.id} is {stage}",
                    where=node,
                    why="nothing is made from a profile that is not taken up, not even again",
                )
            profile.require(entry.use, today(), node)


def _surroundings(graph: Graph, recorded: dict[str, Manifest]) -> Iterator[str]:
    """How machine, packages and code differ from what the manifests name."""
    for node_id, then in recorded.items():
        node = graph.nodes.get(node_id)
        if node is None:
            yield f"{node_id} is not declared in that commit"
            continue
        device = choose_device(node)
        if device != then.device:
            yield f"{node_id} was made on {then.device}, and this machine offers {device}"
        threads = node.declaration.resources.threads
        if threads != then.threads:
            yield f"{node_id} was made with {then.threads} threads, and is declared with {threads}"
        for library, number in then.libraries.items():
            here = _version(library)
            if here != number:
                yield f"{library} was {number}, and here it is {here or 'not installed'}"
        if code_of(then.method.name, anew=True).digest != then.method.code:
            method = then.method
            yield (
                f"the code of {method.name} is other than that of {method.distribution} "
                f"{method.version} which made it"
            )


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return ""


def machine() -> str:
    """The type of this machine, as far as digests may depend on it."""
    return f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"


def _compared(ground: Revision, graph: Graph, node: str, then: Manifest | None) -> Remade:
    artifact = graph.artifact(node)
    now = artifact.read_manifest()
    made, wanted = now.content if now else "", then.content if then else ""
    if made == wanted:
        return Remade(node, "identical", wanted, made)
    stored = ground.paths(node)
    standing = ground.root / "data" / node.replace("@", "/") / "files"
    before = {e.path: e.sha256 for e in then.files} if then else {}
    after = {e.path: e.sha256 for e in now.files} if now else {}
    said = [f"{path} was not made" for path in sorted(before.keys() - after.keys())]
    said += [f"{path} is not in the record" for path in sorted(after.keys() - before.keys())]
    for path in sorted(before.keys() & after.keys()):
        if before[path] == after[path]:
            continue
        old = stored.get(path) or standing / path
        if old.is_file() and graph.project.hasher.file(old) == before[path]:
            said.append(f"{path}: {difference(old, artifact.files / path)}")
        else:
            said.append(f"{path} differs; the recorded bytes are not here to say by how much")
    return Remade(node, "differs", wanted, made, tuple(said))
