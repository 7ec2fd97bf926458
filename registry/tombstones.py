"""Tombstones: ids and file digests of what was erased, so that lineage says so.

`registry/tombstones/<community>/` holds the manifest of every erased artifact, and `content.json`
with the digests of the tables. Rows have none: the digest of a short sentence confirms a guess.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from registry.artifact import write_atomically

FOLDER = "registry/tombstones"
CONTENT = "content.json"


class Tombstones:
    """Every tombstone of a project, read once."""

    def __init__(self, root: Path) -> None:
        self._folder = root / FOLDER

    @cached_property
    def _manifests(self) -> dict[str, bytes]:
        """The manifest of each erased artifact, by its content digest."""
        found = {}
        for path in sorted(self._folder.glob("*/*.json")):
            if path.name != CONTENT:
                raw = path.read_bytes()
                found[str(json.loads(raw)["content"])] = raw
        return found

    @cached_property
    def files(self) -> frozenset[str]:
        """The digests of erased tables."""
        found: set[str] = set()
        for path in self._folder.glob(f"*/{CONTENT}"):
            known = json.loads(path.read_bytes())
            found |= {*known["files"].values(), *known.get("earlier", ())}
        return frozenset(found)

    def artifact(self, content: str) -> bool:
        """Whether an artifact with this content was erased."""
        return content in self._manifests

    def manifest(self, node: str) -> bytes | None:
        """The manifest of the latest erased artifact of a node."""
        for raw in reversed(self._manifests.values()):
            if json.loads(raw)["node"] == node:
                return raw
        return None


def bury(
    root: Path,
    community: str,
    manifests: Iterable[bytes],
    tables: Mapping[str, str],
    earlier: Iterable[str] = (),
) -> None:
    """Writes the tombstones of a withdrawal, before anything is removed.

    Args:
        root: The project.
        community: The profile that leaves, or that a row leaves.
        manifests: The manifest of each artifact that goes.
        tables: The digest of each table that goes, as it lies here.
        earlier: Digests of what these tables were before.
    """
    folder = root / FOLDER / community
    for raw in manifests:
        manifest = json.loads(raw)
        write_atomically(folder / f"{manifest['node']}.{manifest['content'][:12]}.json", raw)
    known: dict[str, Any] = {"files": {}}
    if (folder / CONTENT).is_file():
        known = json.loads((folder / CONTENT).read_bytes())
    before = set(known["files"].values())
    files = known["files"] | tables
    past = sorted({*known.get("earlier", ()), *earlier, *before} - {*files.values()})
    if files or past:
        content = {"schema_version": 1, "files": files} | ({"earlier": past} if past else {})
        text = json.dumps(content, indent=2, sort_keys=True)
        write_atomically(folder / CONTENT, f"{text}\n".encode())
