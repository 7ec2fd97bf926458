"""What rests on something: artifacts that were made, and releases. Read from manifests alone.

A cause is what a manifest may have to do with a profile, a clause of its terms, a file, a method or
a row. Whatever was made from what a cause speaks of is reached too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from registry.consent import Consent, Use
from registry.errors import UsageError, relative
from registry.explain import holders
from registry.known import Key, Known, key_of, manifest_paths, read_known
from registry.profile_folder import CONTENT
from registry.release import Name, parse_name

Cause = Callable[[Mapping[str, Any]], str]
"""Why a manifest's artifact is touched; empty where it is not."""


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
    for path in manifest_paths(root):
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


def releases_on(root: Path, community: str) -> list[Name]:
    """Every release that rests on a profile, by the manifests that its commit holds."""
    known = read_known(root)
    tags = known.released_with(known.touched(rests_on(community)))
    return sorted((name for tag in tags if (name := parse_name(tag))), key=str)


# Causes: what a manifest has to do with a profile, a clause, a file, a method or a row.


def rests_on(community: str) -> Cause:
    """Whatever rests on a profile, itself or through its inputs."""

    def why(manifest: Mapping[str, Any]) -> str:
        uses = {str(p["use"]) for p in manifest["profiles"] if p["id"] == community}
        return f"rests on {community} for {', '.join(sorted(uses))}" if uses else ""

    return why


def relies_on(community: str, clause: str) -> Cause:
    """Whatever relies on a clause of a profile's terms: a use, or a field of them."""
    if clause not in get_args(Use) and clause not in ("permission", *Consent.model_fields):
        known = ", ".join([*get_args(Use), "permission", *Consent.model_fields])
        raise UsageError(f"the terms have no clause {clause!r}", mend=f"clauses: {known}")

    def why(manifest: Mapping[str, Any]) -> str:
        uses = {str(p["use"]) for p in manifest["profiles"] if p["id"] == community}
        if clause in get_args(Use):
            return f"used {community} for {clause}" if clause in uses else ""
        return f"made on the terms of {community}, with their {clause}" if uses else ""

    return why


def reads_file(path: str) -> Cause:
    """Whatever read a file, a file of a folder, or a field of a profile as `FILE: FIELD`."""
    wanted = path.rstrip("/")

    def why(manifest: Mapping[str, Any]) -> str:
        read = {str(source["path"]) for source in manifest["sources"]}
        for entry in manifest["profiles"]:
            folder = f"value_profiles/{entry['id']}"
            home = "" if entry["permission"] == "licence" else f"{CONTENT}/"
            read |= {f"{folder}/{home}{table}" for table in entry["tables"]}
            read |= {f"{folder}/profile.yaml: {name}" for name in entry["fields"]}
        parts = (f"{wanted}/", f"{wanted}: ")
        found = sorted(
            one
            for one in read
            if one == wanted or one.startswith(parts) or wanted.startswith(f"{one}/")
        )
        return f"read {', '.join(found)}" if found else ""

    return why


def made_by(method: str) -> Cause:
    """Whatever a method made, with any code of it."""

    def why(manifest: Mapping[str, Any]) -> str:
        code = manifest["method"]
        found = f"made by {method} ({code['distribution']} {code['version']}, {code['code'][:12]})"
        return found if code["name"] == method else ""

    return why


def holds_row(root: Path, known: Known, row: str) -> Cause:
    """Whatever keeps a row, or a row that was made from it."""
    found = holders(root, known, row)
    keys = {key_of(known.here[node]): n for node, n in found.items() if node in known.here}

    def why(manifest: Mapping[str, Any]) -> str:
        count = keys.get(key_of(manifest), 0)
        rows = "1 row" if count == 1 else f"{count:,} rows"
        return f"keeps {rows} that are it or were made from it" if count else ""

    return why


@dataclass(frozen=True)
class Reached:
    """One artifact that a cause reaches."""

    node: str
    kind: str
    content: str
    why: str
    here: bool
    """Whether it lies here; otherwise it is only known from releases."""
    releases: tuple[str, ...]
    """The releases that rest on it."""

    def to_json(self) -> dict[str, Any]:
        """The artifact as JSON."""
        return vars(self) | {"releases": list(self.releases)}


@dataclass(frozen=True)
class Impact:
    """Everything that a cause reaches."""

    artifacts: tuple[Reached, ...]
    releases: tuple[str, ...]


def impact(known: Known, cause: Cause) -> Impact:
    """Every artifact and release that a cause speaks of, or that was made from such a one."""
    touched = known.touched(cause)
    here = {key_of(one) for one in known.here.values()}
    kinds = {key_of(one): str(one["kind"]) for one in known.all()}
    resting: dict[Key, list[str]] = {}
    for tag, kept in known.releases.items():
        for one in kept.values():
            resting.setdefault(key_of(one), []).append(tag)
    order = {node: number for number, node in enumerate(known.here)}
    keys = sorted(touched, key=lambda key: (key not in here, order.get(key[0], len(order)), key))
    reached = (
        Reached(
            *key[:1], kinds[key], key[1], touched[key], key in here, tuple(resting.get(key, ()))
        )
        for key in keys
    )
    return Impact(tuple(reached), tuple(known.released_with(touched)))
