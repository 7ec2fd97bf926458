"""What a build reads: the artifacts that lie here, or that a Git revision recorded.

A `Shelf` answers what a walk through lineage asks, each question once a build, and knows where the
bytes of a file are.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import yaml

from registry import git
from registry.artifact import (
    FILES,
    ArtifactPath,
    FileEntry,
    Hasher,
    Manifest,
    parse_manifest,
)
from registry.errors import ChorusError, IntegrityError, UsageError
from registry.graph import Graph
from registry.ground import Ground, Revision, WorkingTree, artifact_path
from registry.ground import Recorded as InLock
from registry.known import manifest_paths
from registry.objects import Objects
from registry.store import PIPELINES, YAML_LOADER, lock_path
from registry.tombstones import FOLDER as TOMBSTONES
from registry.tombstones import Tombstones

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Remembering:
    """A ground that is asked each question once."""

    ground: Ground
    _known: dict[tuple[str, str], Any] = field(default_factory=dict)

    def _once(self, question: str, of: str, ask: Callable[[str], Answer]) -> Answer:
        key = (question, of)
        if key not in self._known:
            try:
                self._known[key] = ask(of)
            except ChorusError as error:
                self._known[key] = error
        found = self._known[key]
        if isinstance(found, ChorusError):
            raise found
        return found  # type: ignore[no-any-return]

    def manifest(self, node_id: str) -> bytes | None:
        """The bytes of a node's manifest."""
        return self._once("manifest", node_id, self.ground.manifest)

    @property
    def revision(self) -> str:
        """The commit that it reads; empty for the working tree."""
        return self.ground.revision

    @property
    def released(self) -> bool:
        """Whether it is what a release stands on."""
        return self.ground.released

    @property
    def day(self) -> dt.date:
        """The day of that commit; today for the working tree."""
        return self.ground.day

    def record(self, node_id: str) -> InLock | None:
        """What the lock records."""
        return self._once("record", node_id, self.ground.record)

    def ahead(self, nodes: Iterable[str], sources: Iterable[str]) -> None:
        """Hashes what will be asked for, several files at a time."""
        asked = [one for one in nodes if ("tree", one) not in self._known]
        self.ground.ahead(asked, [one for one in sources if ("source", one) not in self._known])

    def absence(self, node_id: str) -> str:
        """What is missing where `tree` finds nothing, and what to do."""
        return self.ground.absence(node_id)

    def tree(self, node_id: str) -> tuple[FileEntry, ...] | None:
        """The files of a node's artifact."""
        return self._once("tree", node_id, self.ground.tree)

    def source(self, path: str) -> str:
        """The digest of a project's file or folder."""
        return self._once("source", path, self.ground.source)

    def profile(self, community: str) -> dict[str, Any] | None:
        """A value profile as it was read then."""
        return self._once("profile", community, self.ground.profile)


class Shelf:
    """The artifacts of a project, and their bytes."""

    def __init__(self, graph: Graph, ground: Ground) -> None:
        self.graph = graph
        self.ground = Remembering(ground)
        self._graves = Tombstones(graph.project.root)
        self._manifests: dict[str, Manifest | None] = {}

    @cached_property
    def nodes(self) -> tuple[str, ...]:
        """Every node with an artifact, made or erased, sorted."""
        return tuple(sorted({*self._made(), *_erased(self.graph.project.root)}))

    def _made(self) -> Iterator[str]:
        raise NotImplementedError

    def file(self, node_id: str, path: str) -> Path | None:
        """Where the bytes of a file of an artifact are; None where they are not here."""
        raise NotImplementedError

    def manifest(self, node_id: str) -> Manifest | None:
        """The manifest of a node, made or erased; None where there is none that can be read."""
        if node_id not in self._manifests:
            self._manifests[node_id] = self._parsed(node_id)
        return self._manifests[node_id]

    def _parsed(self, node_id: str) -> Manifest | None:
        raw = self.ground.manifest(node_id) or self._graves.manifest(node_id)
        if raw is None:
            return None
        try:
            return parse_manifest(raw, node_id)
        except IntegrityError:
            return None

    def tree(self, node_id: str) -> tuple[FileEntry, ...]:
        """The files of a node's artifact; none where they are not here or hold a link."""
        try:
            return self.ground.tree(node_id) or ()
        except IntegrityError:
            return ()


class Standing(Shelf):
    """What lies in the working tree, declared today or not."""

    def __init__(self, graph: Graph, hasher: Hasher) -> None:
        super().__init__(graph, WorkingTree(graph, hasher))

    def _made(self) -> Iterator[str]:
        root = self.graph.project.root
        for path in manifest_paths(root):
            yield "@".join(path.parent.relative_to(root / "data").parts)

    def file(self, node_id: str, path: str) -> Path | None:
        """Where the bytes of a file of an artifact are."""
        found = self.graph.project.root / artifact_path(node_id) / FILES / path
        return found if found.is_file() else None


class Recorded(Shelf):
    """What a Git revision recorded."""

    def __init__(self, graph: Graph, revision: str) -> None:
        root = graph.project.root
        commit = git.ask(root, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
        if not commit or revision.startswith("-"):
            raise UsageError(f"no revision is called {revision!r}", mend="see `git log --oneline`")
        super().__init__(graph, Revision(root, commit))
        self.commit = commit
        self._objects = Objects(root)

    @cached_property
    def _outs(self) -> dict[str, dict[str, str]]:
        """For each node that a lock of the revision records, its outs by path."""
        root, found = self.graph.project.root, dict[str, dict[str, str]]()
        listed = git.ask(root, "ls-tree", "-r", "--name-only", self.commit, "--", f"{PIPELINES}/")
        communities = [path.split("/")[-2] for path in listed.splitlines()
                       if path.endswith("/dvc.lock")]  # fmt: skip
        for community in ["", *communities]:
            raw = git.content(root, self.commit, lock_path(community or None))
            lock = yaml.load(raw, Loader=YAML_LOADER) if raw else {}  # noqa: S506 - a safe loader
            for name, entry in ((lock or {}).get("stages") or {}).items():
                node = f"{name}@{community}" if community else str(name)
                outs = entry.get("outs") or []
                found[node] = {str(out["path"]): str(out.get("md5", "")) for out in outs}
        return found

    def outs(self, node_id: str) -> dict[str, str]:
        """What the revision recorded of a node: digests in DVC's cache, by path."""
        return self._outs.get(node_id, {})

    def _made(self) -> Iterator[str]:
        yield from self._outs

    def file(self, node_id: str, path: str) -> Path | None:
        """Where the bytes of a file are: in DVC's cache, or in the working tree if they stand."""
        folder = f"{artifact_path(node_id)}/{FILES}"
        members = self._objects.members(self.outs(node_id).get(folder, ""))
        cached = self._objects.path(members[path]) if path in members else None
        if cached and cached.is_file():
            return cached
        here = ArtifactPath(self.graph.project.root / artifact_path(node_id))
        same = here.manifest.is_file() and here.manifest.read_bytes() == self.ground.manifest(
            node_id
        )
        standing = here.files / path
        return standing if same and standing.is_file() else None


def _erased(root: Path) -> Iterator[str]:
    for path in sorted((root / TOMBSTONES).glob("*/*.json")):
        try:
            found = json.loads(path.read_bytes())
        except ValueError:
            continue
        if isinstance(found, dict) and isinstance(found.get("node"), str):
            yield found["node"]
