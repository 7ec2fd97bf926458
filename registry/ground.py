"""Where a walk through lineage reads: the working tree, or a Git revision with DVC's cache.

Both give manifests, digests of artifacts hashed anew, and the project's own files, so that one walk
serves both.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import yaml

from registry import git
from registry.artifact import FILES, MANIFEST, ArtifactPath, FileEntry, Hasher, content_digest
from registry.consent import today
from registry.graph import Graph
from registry.objects import Objects
from registry.profile_folder import CONTENT
from registry.store import CODE_FILE, YAML_LOADER, Records, lock_path, md5
from registry.strict_yaml import parse


def artifact_path(node_id: str) -> str:
    """The directory of a node's artifact, from the project's root."""
    return "data/" + node_id.replace("@", "/")


@dataclass(frozen=True)
class Recorded:
    """What a lock says of a node."""

    manifest: str
    """The MD5 of its manifest."""
    code: str
    """The digest of its method's code; empty in locks that name none."""


class Ground(Protocol):
    """What a walk asks for."""

    @property
    def revision(self) -> str:
        """The commit that it reads; empty for the working tree."""

    @property
    def released(self) -> bool:
        """Whether it is what a release stands on: then nothing in it may be stale."""

    @property
    def day(self) -> dt.date:
        """The day of that commit; today for the working tree."""

    def manifest(self, node_id: str) -> bytes | None:
        """The bytes of a node's manifest."""

    def record(self, node_id: str) -> Recorded | None:
        """What the lock records; None where it has no entry."""

    def ahead(self, nodes: Iterable[str], sources: Iterable[str]) -> None:
        """Hashes what will be asked for, several files at a time."""

    def tree(self, node_id: str) -> tuple[FileEntry, ...] | None:
        """The files of a node's artifact, hashed anew; None where they are not here."""

    def absence(self, node_id: str) -> str:
        """What is missing where `tree` finds nothing, and what to do."""

    def source(self, path: str) -> str:
        """The digest of a project's file or folder; empty where it is missing."""

    def profile(self, community: str) -> dict[str, Any] | None:
        """A value profile as it was read then."""


def _recorded(entry: dict[str, Any] | None, manifest: str) -> Recorded | None:
    """What an entry of a lock records."""
    outs = {out.get("path"): out.get("md5") for out in (entry or {}).get("outs") or []}
    if not entry or not outs.get(manifest):
        return None
    named = [given for one in entry.get("params") or {} if one == CODE_FILE
             for name, given in (entry["params"][one] or {}).items()
             if name.startswith("methods.")]  # fmt: skip
    return Recorded(str(outs[manifest]), str(named[0]) if named else "")


@dataclass(frozen=True)
class WorkingTree:
    """The project as it lies on disk."""

    graph: Graph
    hasher: Hasher
    """Proof hashes with a new `Hasher(None)`."""
    revision: str = ""
    released: bool = False

    @cached_property
    def _records(self) -> Records:
        return Records(self.graph.project.root)

    @property
    def day(self) -> dt.date:
        """Today."""
        return today()

    def manifest(self, node_id: str) -> bytes | None:
        """The bytes of a node's manifest."""
        try:
            return self._artifact(node_id).manifest.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def record(self, node_id: str) -> Recorded | None:
        """What the lock records."""
        entry = self._records.entry_of(node_id)
        return _recorded(entry, f"{artifact_path(node_id)}/{MANIFEST}")

    def ahead(self, nodes: Iterable[str], sources: Iterable[str]) -> None:
        """Hashes what will be asked for, several files at a time."""
        places = [self._artifact(node).files for node in nodes]
        places += [self.graph.project.root / path for path in sources]
        self.hasher.ahead(
            file
            for place in places
            for file in (sorted(place.rglob("*")) if place.is_dir() else [place])
            if file.is_file() and not file.is_symlink()
        )

    def tree(self, node_id: str) -> tuple[FileEntry, ...] | None:
        """The files of a node's artifact, hashed anew."""
        files = self._artifact(node_id).files
        return self.hasher.tree(files) if files.is_dir() else None

    def absence(self, node_id: str) -> str:
        """What is missing where `tree` finds nothing, and what to do."""
        return f"{artifact_path(node_id)}/files is missing; `chorus pull {node_id}` fetches it"

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
    """The project as a Git revision records it.

    Its bytes come from the working tree, DVC's cache or a remote that is a folder. A bare clone
    has none of the three: then `beside` names where they lie.
    """

    root: Path
    commit: str
    bundle: str = ""
    """A release folder in which that revision keeps the manifests of a lineage."""
    beside: tuple[Path, ...] = ()
    """More folders that hold DVC's objects: a cache, or a remote."""
    hasher: Hasher = field(default_factory=lambda: Hasher(None))

    @property
    def revision(self) -> str:
        """The commit."""
        return self.commit

    @property
    def released(self) -> bool:
        """Whether it is what a release stands on."""
        return bool(self.bundle)

    @cached_property
    def day(self) -> dt.date:
        """The day of the commit, as its author's clock showed it."""
        said = git.ask(self.root, "show", "-s", "--format=%as", self.commit)
        return dt.date.fromisoformat(said) if said else today()

    @cached_property
    def _locks(self) -> dict[str, dict[str, Any]]:
        return {}

    @cached_property
    def _manifests(self) -> dict[str, bytes | None]:
        """What the release kept, read at once."""
        if not self.bundle:
            return {}
        folder = f"{self.bundle}/lineage/"
        listed = git.listed(self.root, self.commit, folder)
        raw = git.objects(self.root, [*listed.values()])
        names = [path.removeprefix(folder).removesuffix(".json") for path in listed]
        return dict(zip(names, raw, strict=True))

    def _entry(self, node_id: str) -> dict[str, Any]:
        name, _, community = node_id.partition("@")
        if community not in self._locks:
            raw = git.content(self.root, self.commit, lock_path(community or None)) or b"{}"
            try:
                lock = yaml.load(raw, Loader=YAML_LOADER)  # noqa: S506 - a safe loader, in C
            except yaml.YAMLError:
                lock = None  # whatever it should record has no record then
            stages = lock.get("stages") if isinstance(lock, dict) else None
            self._locks[community] = stages if isinstance(stages, dict) else {}
        entry = self._locks[community].get(name)
        return entry if isinstance(entry, dict) else {}

    def _outs(self, node_id: str) -> dict[str, str]:
        outs = self._entry(node_id).get("outs") or []
        return {str(out["path"]): str(out["md5"]) for out in outs if "md5" in out}

    def record(self, node_id: str) -> Recorded | None:
        """What the lock of that revision records."""
        return _recorded(self._entry(node_id), f"{artifact_path(node_id)}/{MANIFEST}")

    def manifest(self, node_id: str) -> bytes | None:
        """The manifest that the lock of that revision records, or what the release kept of it."""
        kept = self._manifests.get(node_id)
        recorded = self.record(node_id)
        if recorded is None or (kept is not None and md5(kept) == recorded.manifest):
            return kept
        standing = self.root / artifact_path(node_id) / MANIFEST
        stored = self.objects.find(recorded.manifest)
        for path in (standing, *([stored] if stored else [])):
            if path.is_file() and md5(raw := path.read_bytes()) == recorded.manifest:
                return raw
        return kept

    def paths(self, node_id: str) -> dict[str, Path | None]:
        """Where the bytes of each file lie that the lock records; None where they are not here."""
        recorded = self._outs(node_id).get(f"{artifact_path(node_id)}/{FILES}", "")
        members = self.objects.members(recorded)
        return {name: self.objects.find(digest) for name, digest in members.items()}

    def ahead(self, nodes: Iterable[str], sources: Iterable[str]) -> None:
        """Hashes what will be asked for, several files at a time; sources come from Git."""
        del sources
        wanted = [paths for node in nodes if all((paths := self.paths(node)).values())]
        self.hasher.ahead(path for paths in wanted for path in paths.values() if path)

    def tree(self, node_id: str) -> tuple[FileEntry, ...] | None:
        """The files that the lock of that revision records, from the working tree or the cache."""
        paths = self.paths(node_id)
        if not paths or not all(paths.values()):
            return self._standing(node_id)
        found = [
            FileEntry(path=name, size=path.stat().st_size, sha256=self.hasher.file(path))
            for name, path in paths.items()
            if path
        ]
        return tuple(sorted(found, key=lambda file: file.path))

    def readable(self, node_id: str) -> dict[str, Path] | None:
        """Where each file of an artifact lies, in store or tree; None where one is nowhere."""
        found = {name: path for name, path in self.paths(node_id).items() if path}
        if found and len(found) == len(self.paths(node_id)):
            return found
        standing, files = self._standing(node_id), self.root / artifact_path(node_id) / FILES
        return {entry.path: files / entry.path for entry in standing} if standing else None

    def absence(self, node_id: str) -> str:
        """What is missing where `tree` finds nothing, and what to do."""
        paths = self.paths(node_id)
        lacking = [f"{artifact_path(node_id)}/files/{name}" for name, at in paths.items() if not at]
        what = ", ".join(lacking) or f"{artifact_path(node_id)}/files"
        verb = "are" if len(lacking) > 1 else "is"
        return f"{what} {verb} neither here nor in DVC's cache; `chorus pull` fetches what is"

    def held(self, folder: str, inside: str) -> bytes | None:
        """A file of a folder that DVC tracks, as that revision's `.dvc` file names it."""
        path = self.held_paths(folder).get(inside)
        return path.read_bytes() if path else None

    def held_paths(self, folder: str) -> dict[str, Path | None]:
        """Where the bytes of each file lie of a folder that DVC tracks."""
        raw = git.content(self.root, self.commit, f"{folder}.dvc")
        outs = (yaml.load(raw, Loader=YAML_LOADER) or {}).get("outs", []) if raw else []  # noqa: S506
        members = self.objects.members(str(outs[0]["md5"])) if outs else {}
        return {name: self.objects.find(digest) for name, digest in members.items()}

    def _standing(self, node_id: str) -> tuple[FileEntry, ...] | None:
        """What stands in the working tree, if it is the manifest's own artifact."""
        artifact = ArtifactPath(self.root / artifact_path(node_id))
        known = self.manifest(node_id)
        if known is None or not artifact.manifest.is_file():
            return None
        same = artifact.manifest.read_bytes() == known
        return self.hasher.tree(artifact.files) if same else None

    @cached_property
    def objects(self) -> Objects:
        """Where DVC's objects lie."""
        return Objects(self.root, self.beside)

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
        listed = git.listed(self.root, self.commit, f"{path}/")
        blobs = git.objects(self.root, [*listed.values()])
        for name, raw in zip(listed, blobs, strict=True):
            digest = hashlib.sha256(raw or b"").hexdigest()
            inside = name.removeprefix(f"{path}/")
            yield FileEntry(path=inside, size=len(raw or b""), sha256=digest)

    def profile(self, community: str) -> dict[str, Any] | None:
        """A value profile as that revision has it."""
        path = f"value_profiles/{community}/profile.yaml"
        raw = git.content(self.root, self.commit, path)
        document = parse(raw, path)[0] if raw is not None else None
        return document.data if document else None
