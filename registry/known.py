"""Every manifest that a project has: of what lies here, and of what each release was made from."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry.artifact import MANIFEST
from registry.history import open_history

Key = tuple[str, str]
"""A node, and the digest of its content."""


@dataclass(frozen=True)
class Known:
    """What was made, by node; a release keeps its own."""

    here: Mapping[str, Mapping[str, Any]]
    releases: Mapping[str, Mapping[str, Mapping[str, Any]]]

    def all(self) -> Iterator[Mapping[str, Any]]:
        """Every manifest; one that lies here and was released comes twice."""
        yield from self.here.values()
        for kept in self.releases.values():
            yield from kept.values()

    def touched(self, cause: Callable[[Mapping[str, Any]], str]) -> dict[Key, str]:
        """What a cause speaks of, and whatever was made from that; each with the reason."""
        manifests = {key_of(one): one for one in self.all()}
        children: dict[Key, list[Key]] = {}
        for key, one in manifests.items():
            for entry in one["inputs"]:
                children.setdefault((entry["node"], entry["content"]), []).append(key)
        found = {key: why for key, one in manifests.items() if (why := cause(one))}
        waiting = list(found)
        while waiting:
            current = waiting.pop(0)
            for child in children.get(current, ()):
                if child not in found:
                    found[child] = f"made from {current[0]}"
                    waiting.append(child)
        return found

    def released_with(self, keys: Iterable[Key]) -> list[str]:
        """The releases that were made from one of these."""
        wanted = set(keys)
        return [tag for tag, kept in self.releases.items()
                if any(key_of(one) in wanted for one in kept.values())]  # fmt: skip


def key_of(manifest: Mapping[str, Any]) -> Key:
    """How a manifest's artifact is called among all."""
    return str(manifest["node"]), str(manifest["content"])


def read_known(root: Path) -> Known:
    """Reads the manifests of a project and of its releases."""
    with open_history(root) as history:
        releases = history.releases()
    return Known(manifests_here(root), releases)


def manifests_here(root: Path) -> dict[str, dict[str, Any]]:
    """The manifest of every artifact on disk, inputs first; a damaged one is left out."""
    found = {}
    for path in manifest_paths(root):
        try:
            read = json.loads(path.read_bytes())
        except ValueError:
            continue  # `status` and `verify` speak of it
        if isinstance(read, dict) and {"node", "content", "inputs", "profiles"} <= read.keys():
            found[str(read["node"])] = read
    ordered: dict[str, dict[str, Any]] = {}

    def add(node: str, below: frozenset[str]) -> None:
        if node in found and node not in ordered and node not in below:
            for entry in found[node]["inputs"]:
                add(entry["node"], below | {node})
            ordered[node] = found[node]

    for node in found:
        add(node, frozenset())
    return ordered


def manifest_paths(root: Path) -> Iterator[Path]:
    """The manifest of every artifact on disk; scratch folders are none (`registry.unfinished`)."""
    data = root / "data"
    for path in sorted([*data.glob(f"*/{MANIFEST}"), *data.glob(f"*/*/{MANIFEST}")]):
        if not path.parent.name.startswith("."):
            yield path
