"""Lineage: from weights back to survey figures and the permission they rest on.

`trace` reads manifests and shows the tree. `verify` trusts nothing: it hashes every byte on the way
again, whatever the file's mode, age or cache state says.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from registry.artifact import Hasher, Manifest, ProfileEntry, digest_of
from registry.consent import today
from registry.errors import IntegrityError, UsageError
from registry.graph import Graph, Node
from registry.status import compare_files
from registry.store import Records, lock_path

HopState = Literal["verified", "unrecorded", "ended", "broken"]


@dataclass(frozen=True)
class Branch:
    """One thing that an artifact was made from, and what that was made from."""

    what: str
    """`node`, `table`, `field`, `permission` or `source`."""
    name: str
    digest: str
    detail: str = ""
    made_from: tuple[Branch, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The branch as nested JSON."""
        return {
            "what": self.what,
            "name": self.name,
            "sha256": self.digest,
            "detail": self.detail,
            "made_from": [branch.to_json() for branch in self.made_from],
        }


@dataclass(frozen=True)
class Hop:
    """One step of the walk, and whether it holds."""

    name: str
    state: HopState
    digest: str
    findings: tuple[str, ...] = ()


@dataclass
class Verification:
    """The verdict on one node and everything that it was made from."""

    node: str
    hops: list[Hop] = field(default_factory=list)

    @property
    def verdict(self) -> HopState:
        """The gravest state of any hop."""
        order: tuple[HopState, ...] = ("broken", "ended", "unrecorded", "verified")
        states = {hop.state for hop in self.hops}
        return next(state for state in order if state in states)


def trace(graph: Graph, node: Node) -> Branch:
    """The tree below a node, read from manifests; raises UsageError where one is missing."""
    manifest = _manifest(graph, node.id)
    inputs = tuple(
        trace(graph, graph.node(entry.node))
        for entry in sorted(manifest.inputs, key=lambda e: (e.role, e.node))
    )
    sources = tuple(Branch("source", s.path, s.sha256) for s in manifest.sources)
    profiles = tuple(b for p in manifest.profiles for b in _profile_branches(graph, p))
    rows = "".join(f", {n:,} rows in {path}" for path, n in manifest.rows.items())
    detail = f"{manifest.kind} by {manifest.method.name}{rows}"
    return Branch("node", node.id, manifest.content, detail, inputs + sources + profiles)


def _profile_branches(graph: Graph, entry: ProfileEntry) -> Iterator[Branch]:
    """What a node itself read of a profile; inherited permissions stand where they were used."""
    if not entry.tables and not entry.fields:
        return
    profile = graph.project.profiles.get(entry.id)
    for table, digest in sorted(entry.tables.items()):
        detail = profile.profile.source.citation if profile else "the profile is gone"
        yield Branch("table", f"value_profiles/{entry.id}/{table}", digest, detail)
    for name, digest in sorted(entry.fields.items()):
        yield Branch("field", f"value_profiles/{entry.id}/profile.yaml: {name}", digest)
    terms = profile.profile.consent.statement if profile else "the profile is gone"
    yield Branch(
        "permission", f"{entry.permission} of {entry.id} for {entry.use}", entry.consent, terms
    )


def _manifest(graph: Graph, node_id: str) -> Manifest:
    manifest = graph.artifact(graph.node(node_id)).read_manifest()
    if manifest is None:
        raise UsageError(
            "has not been made, so it has no lineage",
            where=node_id,
            mend=f"run `chorus make {node_id} --upstream`",
        )
    return manifest


def verify(graph: Graph, node: Node) -> Verification:
    """Hashes a node and everything that it was made from anew, hop by hop."""
    _manifest(graph, node.id)
    result = Verification(node.id)
    records, hasher = Records(graph.project.root), Hasher(None)
    seen: dict[str, str] = {}
    waiting: list[tuple[str, str | None]] = [(node.id, None)]
    while waiting:
        node_id, wanted = waiting.pop(0)
        if node_id not in seen:
            hop, inputs = _verify_node(graph, node_id, records, hasher)
            seen[node_id] = hop.digest
            result.hops.append(hop)
            waiting += inputs
            result.hops += _verify_ground(graph, node_id, hasher)
        if wanted is not None and seen[node_id] != wanted:
            finding = f"its user was made from {wanted[:12]}, and here lies {seen[node_id][:12]}"
            result.hops.append(Hop(node_id, "broken", seen[node_id], (finding,)))
    return result


def _verify_node(
    graph: Graph, node_id: str, records: Records, hasher: Hasher
) -> tuple[Hop, list[tuple[str, str | None]]]:
    if node_id not in graph.nodes:
        return Hop(node_id, "broken", "", ("it is no longer declared",)), []
    node = graph.nodes[node_id]
    artifact = graph.artifact(node)
    try:
        manifest = artifact.read_manifest()
        if manifest is None:
            return Hop(node_id, "broken", "", (f"{node.path} is missing",)), []
        findings = [
            f"{node.path}/files/{finding}"
            for finding in compare_files(hasher.tree(artifact.files), manifest)
        ]
    except IntegrityError as error:
        return Hop(node_id, "broken", "", (f"{error.where}: {error.what}",)), []
    inputs: list[tuple[str, str | None]] = [(i.node, i.content) for i in manifest.inputs]
    if manifest.node != node_id:
        findings.append(f"{node.path}/manifest.json speaks of {manifest.node}")
    state: HopState = "broken" if findings else "verified"
    if not records.covers(node, artifact.manifest.read_bytes()):
        lock = lock_path(node.community)
        if records.entry(node) is None:
            findings.append(f"{lock} has no record of it")
            state = "broken" if state == "broken" else "unrecorded"
        else:
            findings.append(f"{node.path}/manifest.json is not the one that {lock} records")
            state = "broken"
    return Hop(node_id, state, manifest.content, tuple(findings)), inputs


def _verify_ground(graph: Graph, node_id: str, hasher: Hasher) -> Iterator[Hop]:
    """The tables, fields, sources and permissions that a node rests on."""
    if node_id not in graph.nodes:
        return
    try:
        manifest = graph.artifact(node_id).read_manifest()
    except IntegrityError:
        return
    if manifest is None:
        return
    root = graph.project.root
    for source in manifest.sources:
        path = root / source.path
        found = hasher.source(path) if path.exists() else ""
        yield _compared(source.path, found, source.sha256)
    for entry in manifest.profiles:
        for table, digest in sorted(entry.tables.items()):
            path = root / "value_profiles" / entry.id / table
            found = hasher.file(path) if path.is_file() else ""
            yield _compared(f"value_profiles/{entry.id}/{table}", found, digest)
        profile = graph.project.profiles.get(entry.id)
        for name, digest in sorted(entry.fields.items()):
            found = digest_of(profile.document.data.get(name)) if profile else ""
            yield _compared(f"value_profiles/{entry.id}/profile.yaml: {name}", found, digest)
        if entry.tables or entry.fields:
            yield _verify_permission(graph, entry)


def _compared(name: str, found: str, recorded: str) -> Hop:
    if found == recorded:
        return Hop(name, "verified", found)
    finding = f"{name} was altered" if found else f"{name} is missing"
    return Hop(name, "broken", found, (finding,))


def _verify_permission(graph: Graph, entry: ProfileEntry) -> Hop:
    name = f"{entry.permission} of {entry.id} for {entry.use}"
    profile = graph.project.profiles.get(entry.id)
    if profile is None:
        return Hop(name, "ended", entry.consent, (f"value_profiles/{entry.id} is gone",))
    refused = profile.profile.consent.refusal(entry.use, today())
    if refused:
        return Hop(name, "ended", entry.consent, (f"the permission {refused[0]}",))
    if not profile.active:
        return Hop(name, "ended", entry.consent, (f"the profile is {profile.stage}",))
    now = digest_of([profile.document.data["permission"], profile.document.data["consent"]])
    notes = () if now == entry.consent else ("the terms changed since; they grant this use",)
    return Hop(name, "verified", entry.consent, notes)
