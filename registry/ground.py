"""Where a walk through lineage reads: the working tree, or a Git revision with DVC's cache.

Both give manifests, digests of artifacts hashed anew, and the project's own files, so that one walk
serves both.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import yaml

from registry import git
from registry.artifact import (
    FILES,
    MANIFEST,
    ArtifactPath,
    FileEntry,
    Hasher,
    content_digest,
    sha256_file,
)
from registry.graph import Graph
from registry.objects import Objects
from registry.profile_folder import CONTENT
from registry.store import YAML_LOADER, Records, lock_path, md5
from registry.strict_yaml import parse


def artifact_path(node_id: str) -> str:
    """The directory of a node's artifact, from the project's root."""
    return "data/" + node_id.replace("@", "/")


class Ground(Protocol):
    """What a walk asks for."""

    def manifest(self, node_id: str) -> bytes | None:
        """The bytes of a node's manifest."""

    def record(self, node_id: str) -> str | None:
        """The MD5 of the manifest that the lock records; None where it has no entry."""

    def tree(self, node_id: str) -> tuple[FileEntry, ...] | None:
        """The files of a node's artifact, hashed anew; None where they are not here."""

    def source(self, path: str) -> str:
        """The digest of a project's file or folder; empty where it is missing."""

    def profile(self, community: str) -> dict[str, Any] | None:
        """A value profile as it was read then."""


@dataclass(frozen=True)
class WorkingTree:
    """The project as it lies on disk."""

    graph: Graph
    hasher: Hasher
    """Proof hashes with `Hasher(None)`."""

    @cached_property
    def _records(self) -> Records:
        return Records(self.graph.project.root)

    def manifest(self, node_id: str) -> bytes | None:
        """The bytes of a node's manifest."""
        try:
            return self._artifact(node_id).manifest.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def record(self, node_id: str) -> str | None:
        """The MD5 of the manifest that the lock records."""
        node = self.graph.nodes.get(node_id)
        return self._records.manifest_of(node) if node else None

    def tree(self, node_id: str) -> tuple[FileEntry, ...] | None:
        """The files of a node's artifact, hashed anew."""
        files = self._artifact(node_id).files
        return self.hasher.tree(files) if files.is_dir() else None

    def _artifact(self, node_id: str) -> ArtifactPath:
        return ArtifactPath(self.graph.project.root / artifact_path(node_id))

    def source(self, path: str) -> str:
        """The digest of a project's file or folder."""
        target = self.graph.project.root / path
        return self.hasher.source(target) if target.exists() else ""

    def profile(self, community: str) -> dict[str, Any] | None:
        """A value profile as it is read now."""
        found = self.graph.project.profiles.get(community)
        return found.document.data if found else None


@dataclass(frozen=True)
class Revision:
    """The project as a Git revision records it, its bytes from the working tree or DVC's cache."""

    root: Path
    commit: str
    bundle: str = ""
    """A release folder in which that revision keeps the manifests of a lineage."""

    @cached_property
    def _locks(self) -> dict[str, dict[str, Any]]:
        return {}

    def _outs(self, node_id: str) -> dict[str, str]:
        name, _, community = node_id.partition("@")
        if community not in self._locks:
            raw = git.content(self.root, self.commit, lock_path(community or None)) or b"{}"
            lock = yaml.load(raw, Loader=YAML_LOADER)  # noqa: S506 - a safe loader, in C
            self._locks[community] = (lock or {}).get("stages") or {}
        outs = (self._locks[community].get(name) or {}).get("outs") or []
        return {str(out["path"]): str(out["md5"]) for out in outs if "md5" in out}

    def record(self, node_id: str) -> str | None:
        """The MD5 of the manifest that the lock of that revision records."""
        return self._outs(node_id).get(f"{artifact_path(node_id)}/{MANIFEST}")

    def manifest(self, node_id: str) -> bytes | None:
        """The manifest that the lock of that revision records, or what the release kept of it."""
        wanted = self.record(node_id)
        if wanted is None:
            return None
        for path in (
            self.root / artifact_path(node_id) / MANIFEST,
            self._objects.path(wanted),
        ):
            if path.is_file() and md5(raw := path.read_bytes()) == wanted:
                return raw
        kept = f"{self.bundle}/lineage/{node_id}.json"
        return git.content(self.root, self.commit, kept) if self.bundle else None

    def tree(self, node_id: str) -> tuple[FileEntry, ...] | None:
        """The files that the lock of that revision records, from the working tree or the cache."""
        recorded = self._outs(node_id).get(f"{artifact_path(node_id)}/{FILES}", "")
        members = self._objects.members(recorded)
        paths = {name: self._objects.path(digest) for name, digest in members.items()}
        if not paths or not all(path.is_file() for path in paths.values()):
            return self._standing(node_id)
        found = [
            FileEntry(path=name, size=path.stat().st_size, sha256=sha256_file(path))
            for name, path in paths.items()
        ]
        return tuple(sorted(found, key=lambda file: file.path))

    def paths(self, node_id: str) -> dict[str, Path] | None:
        """Where the bytes of each file lie that the lock records; None where they are not here."""
        recorded = self._outs(node_id).get(f"{artifact_path(node_id)}/{FILES}", "")
        members = self._objects.members(recorded)
        found = {name: self._objects.path(digest) for name, digest in members.items()}
        if found and all(path.is_file() for path in found.values()):
            return found
        standing, files = self._standing(node_id), self.root / artifact_path(node_id) / FILES
        return {entry.path: files / entry.path for entry in standing} if standing else None

    def held(self, folder: str, inside: str) -> bytes | None:
        """A file of a folder that DVC tracks, as that revision's `.dvc` file names it."""
        raw = git.content(self.root, self.commit, f"{folder}.dvc")
        outs = (yaml.load(raw, Loader=YAML_LOADER) or {}).get("outs", []) if raw else []  # noqa: S506
        members = self._objects.members(str(outs[0]["md5"])) if outs else {}
        path = self._objects.path(members[inside]) if inside in members else None
        return path.read_bytes() if path and path.is_file() else None

    def _standing(self, node_id: str) -> tuple[FileEntry, ...] | None:
        """What stands in the working tree, if it is the manifest's own artifact."""
        artifact = ArtifactPath(self.root / artifact_path(node_id))
        known = self.manifest(node_id)
        if known is None or not artifact.manifest.is_file():
            return None
        same = artifact.manifest.read_bytes() == known
        return Hasher(None).tree(artifact.files) if same else None

    @cached_property
    def _objects(self) -> Objects:
        return Objects(self.root)

    def source(self, path: str) -> str:
        """The digest of a file or folder as that revision has it."""
        raw = git.content(self.root, self.commit, path)
        if raw is None and f"/{CONTENT}/" in path:
            folder, _, inside = path.partition(f"/{CONTENT}/")
            raw = self.held(f"{folder}/{CONTENT}", inside)
        if raw is not None:
            return hashlib.sha256(raw).hexdigest()
        entries = tuple(self._folder(path))
        return content_digest(entries) if entries else ""

    def _folder(self, path: str) -> Iterator[FileEntry]:
        listed = git.ask(self.root, "ls-tree", "-r", "-z", "--name-only", self.commit, f"./{path}/")
        for name in (entry for entry in listed.split("\0") if entry):
            raw = git.content(self.root, self.commit, name) or b""
            inside = name.removeprefix(f"{path}/")
            yield FileEntry(path=inside, size=len(raw), sha256=hashlib.sha256(raw).hexdigest())

    def profile(self, community: str) -> dict[str, Any] | None:
        """A value profile as that revision has it."""
        path = f"value_profiles/{community}/profile.yaml"
        raw = git.content(self.root, self.commit, path)
        document = parse(raw, path)[0] if raw is not None else None
        return document.data if document else None
