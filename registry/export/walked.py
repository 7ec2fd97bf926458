"""Every artifact on the way, once, inputs first."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from registry import git
from registry.artifact import Manifest
from registry.ground import Ground
from registry.lineage import require_manifest


@dataclass(frozen=True)
class Walked:
    """What a node was made from, as records say it."""

    project: str
    """The project's first commit, which stays the same in every clone."""
    node: str
    """Where the walk began."""
    revision: str
    """The commit that was read; empty for the working tree."""
    day: dt.date
    """The day of that commit, or today."""
    manifests: Mapping[str, Manifest]
    """The manifest of each node, inputs first."""
    root: Path
    """The project, for forms that describe files as well."""


def walked(ground: Ground, node: str, root: Path) -> Walked:
    """Reads every manifest on the way from a node; raises UsageError where one is missing."""
    found: dict[str, Manifest] = {}

    def visit(current: str) -> None:
        if current in found:
            return
        manifest = require_manifest(ground, current)
        for entry in manifest.inputs:
            visit(entry.node)
        found[current] = manifest

    visit(node)
    first = git.ask(root, "rev-list", "--max-parents=0", ground.revision or "HEAD")
    return Walked(first[:12], node, ground.revision, ground.day, found, root)
