"""Verdicts of a build, and which of them may be kept from the build before.

A verdict is kept only where nothing moved that it rests on: the bytes of every manifest and record,
the size, times and inode of every file, every permission, every tombstone, and this program. Else
the walk is done again. `--verify` keeps none, and hashes every byte anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any, get_args

from registry import git
from registry.artifact import digest_of
from registry.consent import Use, today
from registry.errors import ChorusError
from registry.ground import artifact_path
from registry.hashing import sha256_file
from registry.lineage import Hop, Verification, verify
from registry.objects import Objects
from registry.pages.shelf import Recorded, Shelf
from registry.profile_folder import CONTENT, Profile
from registry.release import STATEMENT, Name
from registry.release_proof import verify_release
from registry.tombstones import FOLDER as TOMBSTONES


@cache
def program() -> str:
    """Digest of everything that this program is: a change of it makes every page anew."""
    package = Path(__file__).resolve().parents[1]
    kinds = (".py", ".html", ".css", ".js", ".j2")
    parts = [path for path in sorted(package.rglob("*")) if path.suffix in kinds]
    return digest_of([sha256_file(path) for path in parts])


@dataclass
class Proof:
    """The verdicts of one build."""

    shelf: Shelf
    kept: dict[str, Any]
    """What the build before found, by subject; nothing where every byte is to be hashed anew."""
    found: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What this build found, for the next one."""
    walked: int = 0
    """How many verdicts were found by walking."""
    _fingerprints: dict[str, str] = field(default_factory=dict)
    _verified: dict[str, Verification] = field(default_factory=dict)
    _permissions: dict[str, list[Any]] = field(default_factory=dict)
    _profiles: dict[str, str] = field(default_factory=dict)

    def of_node(self, node_id: str) -> Verification:
        """The verdict on a node as it lies on the shelf."""
        graph = self.shelf.graph
        return self._verdict(
            node_id, self.fingerprint(node_id), lambda: verify(self.shelf.ground, graph, node_id)
        )

    def of_release(self, name: Name) -> Verification:
        """The verdict on a release, as its tag records it."""
        graph = self.shelf.graph
        fingerprint = self._release_fingerprint(name)
        return self._verdict(name.tag, fingerprint, lambda: verify_release(graph, name))

    def _verdict(
        self, subject: str, fingerprint: str, walk: Callable[[], Verification]
    ) -> Verification:
        if subject in self._verified:
            return self._verified[subject]
        kept: dict[str, Any] = self.kept.get(subject, {})
        found = _read(kept, subject, fingerprint)
        if found is None:
            self.walked += 1
            found = _walked(subject, walk)
            kept = {"fingerprint": fingerprint, "hops": [asdict(hop) for hop in found.hops]}
        self.found[subject] = kept
        self._verified[subject] = found
        return found

    def fingerprint(self, node_id: str) -> str:
        """Digest of everything that the verdict on a node rests on."""
        waiting = [node_id]
        met: set[str] = set()
        while waiting:
            current = waiting[-1]
            missing = [one for one in self._inputs(current)
                       if one not in self._fingerprints and one not in met]  # fmt: skip
            met.add(current)
            if missing:
                waiting += missing
                continue
            waiting.pop()
            if current not in self._fingerprints:
                self._fingerprints[current] = self._fingerprint(current)
        return self._fingerprints[node_id]

    def _inputs(self, node_id: str) -> list[str]:
        manifest = self.shelf.manifest(node_id)
        return [entry.node for entry in manifest.inputs] if manifest else []

    def _fingerprint(self, node_id: str) -> str:
        ground, manifest = self.shelf.ground, self.shelf.manifest(node_id)
        raw, recorded = ground.manifest(node_id), ground.record(node_id)
        profiles = [
            [one.id, self.permission(one.id), self._profile_then(one.id)]
            + [ground.source(path) for path in _tables(one.id, one.tables)]
            for one in (manifest.profiles if manifest else ())
        ]
        sources = [entry.path for entry in manifest.sources] if manifest else []
        return digest_of(
            [
                self._surroundings,
                node_id,
                raw.decode(errors="replace") if raw else None,
                [recorded.manifest, recorded.code] if recorded else None,
                [[entry.path, entry.sha256] for entry in self.shelf.tree(node_id)],
                profiles,
                [[path, ground.source(path)] for path in sources],
                [self._fingerprints.get(one, "") for one in self._inputs(node_id)],
            ]
        )

    @cached_property
    def _surroundings(self) -> str:
        """Digest of what verdicts rest on beside artifacts: code digests, keys, tombstones."""
        root = self.shelf.graph.project.root
        paths = [root / "registry" / "code.yaml"]
        for folder in (TOMBSTONES, "registry/keys"):
            paths += sorted((root / folder).rglob("*"))
        stated = [[path.relative_to(root).as_posix(), sha256_file(path)]
                  for path in paths if path.is_file()]  # fmt: skip
        return digest_of([program(), stated])

    def _profile_then(self, community: str) -> str:
        """Digest of a profile as the shelf has it."""
        if community not in self._profiles:
            self._profiles[community] = digest_of(self.shelf.ground.profile(community))
        return self._profiles[community]

    def permission(self, community: str) -> list[Any]:
        """How a profile stands today: its stage, its terms, and what is refused."""
        if community not in self._permissions:
            profile = self.shelf.graph.project.profiles.get(community)
            self._permissions[community] = _standing(profile) if profile else []
        return self._permissions[community]

    def _release_fingerprint(self, name: Name) -> str:
        """Digest of what the verdict on a release rests on: tag, folder, and what DVC keeps."""
        graph = self.shelf.graph
        root, objects = graph.project.root, Objects(graph.project.root)
        recorded = Recorded(graph, f"refs/tags/{name.tag}")
        statement = git.content(root, recorded.commit, f"{name.folder}/{STATEMENT}") or b""
        paths = [*(root / name.folder).rglob("*")]
        for node in _manifests(statement):
            paths += map(objects.path, objects.closure(recorded.outs(node).values()))
            paths += (root / artifact_path(node)).rglob("*")
        communities = []
        for one, profile in graph.project.profiles.items():
            communities.append([one, self.permission(one), digest_of(profile.document.data)])
            if profile.profile.permission != "licence":
                held = objects.tracked(f"value_profiles/{one}/{CONTENT}")
                paths += map(objects.path, held)
        tag = git.ask(root, "rev-parse", f"refs/tags/{name.tag}")
        stamps = sorted(_stamp(path, root) for path in paths)
        return digest_of([self._surroundings, tag, recorded.commit, stamps, communities])


def _walked(subject: str, walk: Callable[[], Verification]) -> Verification:
    """What a walk found; one that could not begin is broken where it stood."""
    try:
        return walk()
    except ChorusError as error:
        where = f"{error.where}: " if error.where else ""
        return Verification(subject, [Hop(subject, "broken", "", (where + error.what,))])


def _manifests(statement: bytes) -> list[str]:
    """The nodes that a release's statement names."""
    try:
        return sorted(json.loads(statement)["manifests"])
    except (ValueError, KeyError, TypeError):
        return []


def _tables(community: str, tables: Iterable[str]) -> Iterator[str]:
    for table in tables:
        yield f"value_profiles/{community}/{table}"
        yield f"value_profiles/{community}/{CONTENT}/{table}"


def _read(kept: Any, subject: str, fingerprint: str) -> Verification | None:
    """What the build before found of the same subject; None where that is no longer so."""
    try:
        if kept["fingerprint"] != fingerprint:
            return None
        hops = [Hop(**hop | {"findings": tuple(hop["findings"])}) for hop in kept["hops"]]
    except (KeyError, TypeError):
        return None
    return Verification(subject, hops) if hops else None


def _standing(profile: Profile) -> list[Any]:
    day, data = today(), profile.document.data
    refused = [profile.refusal(use, day) for use in get_args(Use)]
    terms = digest_of([data.get("permission"), data.get("consent")])
    return [profile.stage, terms, *(one[0] if one else "" for one in refused)]


def _stamp(path: Path, root: Path) -> list[Any]:
    """What tells that a file is still the one that was hashed."""
    shown = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
    try:
        stat = path.lstat()
    except OSError:
        return [shown]
    if path.is_dir() and not path.is_symlink():
        return [shown]
    return [shown, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
