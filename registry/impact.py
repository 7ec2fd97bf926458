"""What rests on a profile: artifacts that were made, and releases. Read from manifests alone.

Manifests name every profile that an artifact rests on, itself or through its inputs, so nothing is
walked: each manifest is read once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry import git
from registry.artifact import MANIFEST
from registry.errors import relative
from registry.release import Name, listing, parse_name


@dataclass(frozen=True)
class Touched:
    """One artifact that rests on a profile."""

    node: str
    kind: str
    path: str
    """Its directory, from the project's root."""
    content: str
    rows: int
    """Rows of its tables; in a gathering artifact, those of every community."""
    alone: bool
    """Whether it rests on no other profile."""
    uses: tuple[str, ...]
    """What the profile was used for."""

    def to_json(self) -> dict[str, Any]:
        """The artifact as JSON."""
        return vars(self) | {"uses": list(self.uses)}


def artifacts_on(root: Path, community: str) -> list[Touched]:
    """Every artifact on disk that rests on a profile, whatever is declared today."""
    found = []
    for path in manifests(root):
        data = json.loads(path.read_bytes())
        uses = [p["use"] for p in data["profiles"] if p["id"] == community]
        if uses:
            found.append(
                Touched(
                    node=data["node"],
                    kind=data["kind"],
                    path=relative(path.parent, root),
                    content=data["content"],
                    rows=sum(data["rows"].values()),
                    alone=len({p["id"] for p in data["profiles"]}) == 1,
                    uses=tuple(sorted(set(uses))),
                )
            )
    return found


def manifests(root: Path) -> Iterator[Path]:
    """The manifest of every artifact on disk; scratch folders are none (`registry.unfinished`)."""
    data = root / "data"
    for path in sorted([*data.glob(f"*/{MANIFEST}"), *data.glob(f"*/*/{MANIFEST}")]):
        if not path.parent.name.startswith("."):
            yield path


def releases_on(root: Path, community: str) -> list[Name]:
    """Every release that rests on a profile, by the manifests that its commit holds."""
    found = []
    for entry in listing(root):
        name = parse_name(entry["release"])
        if name is None:
            continue
        path = f"{name.folder}/lineage/{entry['node']}.json"
        raw = git.content(root, entry["commit"], path)
        profiles = json.loads(raw)["profiles"] if raw else []
        if any(profile["id"] == community for profile in profiles):
            found.append(name)
    return found
