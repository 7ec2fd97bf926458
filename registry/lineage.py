"""Lineage: from weights back to survey figures and the permission they rest on.

`trace` reads manifests and shows the tree. `verify` trusts nothing: it hashes every byte on the way
again, whatever the file's mode, age or cache state says.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from registry.artifact import Manifest, ProfileEntry, digest_of, parse_manifest
from registry.code_proof import CodeProof
from registry.consent import today
from registry.errors import IntegrityError, UsageError
from registry.graph import Graph
from registry.ground import Ground, artifact_path
from registry.profile_folder import CONTENT
from registry.status import compare_files
from registry.store import lock_path, md5
from registry.terms_then import relied_on
from registry.tombstones import Tombstones

HopState = Literal["verified", "unrecorded", "unsigned", "ended", "erased", "broken"]
"""In the order of gravity; no key that is trusted vouches for what is `unsigned`."""


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
        order: tuple[HopState, ...] = get_args(HopState)
        return max((hop.state for hop in self.hops), key=order.index)


def trace(ground: Ground, node_id: str) -> Branch:
    """The tree below a node, read from manifests; raises UsageError where one is missing."""
    manifest = require_manifest(ground, node_id)
    inputs = tuple(
        trace(ground, entry.node)
        for entry in sorted(manifest.inputs, key=lambda e: (e.role, e.node))
    )
    sources = tuple(Branch("source", s.path, s.sha256) for s in manifest.sources)
    above = [require_manifest(ground, entry.node) for entry in manifest.inputs]
    shown = {(p.id, p.use) for one in above for p in one.profiles}
    profiles = tuple(
        branch
        for entry in manifest.profiles
        for branch in _profile_branches(ground, entry, inherited=(entry.id, entry.use) in shown)
    )
    rows = "".join(f", {n:,} rows in {path}" for path, n in manifest.rows.items())
    detail = f"{manifest.kind} by {manifest.method.name}{rows}"
    return Branch("node", node_id, manifest.content, detail, inputs + sources + profiles)


def _profile_branches(ground: Ground, entry: ProfileEntry, *, inherited: bool) -> Iterator[Branch]:
    """What a node itself read of a profile, and the permission where it is first relied on."""
    profile = ground.profile(entry.id)
    gone = "the profile is gone"
    for table, digest in sorted(entry.tables.items()):
        detail = cited(profile) if profile else gone
        yield Branch("table", table_path(entry, table), digest, detail)
    for name, digest in sorted(entry.fields.items()):
        yield Branch("field", f"value_profiles/{entry.id}/profile.yaml: {name}", digest)
    if inherited and not entry.tables and not entry.fields:
        return
    terms = profile["consent"]["statement"] if profile else gone
    yield Branch(
        "permission", f"{entry.permission} of {entry.id} for {entry.use}", entry.consent, terms
    )


def table_path(entry: ProfileEntry, table: str) -> str:
    """Where a table lies: what is held by consent or mandate has a place of its own."""
    home = "" if entry.permission == "licence" else f"{CONTENT}/"
    return f"value_profiles/{entry.id}/{home}{table}"


def cited(profile: Mapping[str, Any]) -> str:
    """How the sources of a profile are cited, in either version of its schema."""
    sources = [profile["source"]] if "source" in profile else profile.get("sources", [])
    return "; ".join(source["citation"] for source in sources)


def require_manifest(ground: Ground, node_id: str) -> Manifest:
    """The manifest of a node; raises UsageError where it was not made."""
    raw = ground.manifest(node_id)
    if raw is None:
        raise UsageError(
            "has not been made, so it has no lineage",
            where=node_id,
            mend=f"run `chorus make {node_id} --upstream`",
        )
    return parse_manifest(raw, f"{artifact_path(node_id)}/manifest.json")


def verify(ground: Ground, now: Graph, node_id: str) -> Verification:
    """Hashes a node and everything that it was made from anew, hop by hop.

    Bytes are those of `ground`; whether a permission still holds is asked of the project as it is
    `now`.
    """
    graves = Tombstones(now.project.root)
    if graves.manifest(node_id) is None:
        require_manifest(ground, node_id)
    _hash_ahead(ground, node_id)
    code = CodeProof(now.project.root, ground.revision)
    result = Verification(node_id)
    seen: dict[str, str] = {}
    waiting: list[tuple[str, str | None]] = [(node_id, None)]
    while waiting:
        current, wanted = waiting.pop(0)
        if current not in seen:
            hop, manifest = _verify_node(ground, graves, current)
            seen[current] = hop.digest
            result.hops.append(hop)
            if manifest is not None:
                waiting += [(i.node, i.content) for i in manifest.inputs]
                below = [*_verify_ground(ground, now, graves, manifest),
                         _verify_code(ground, code, manifest)]  # fmt: skip
                known = {(found.name, found.digest) for found in result.hops}
                result.hops += [hop for hop in below if (hop.name, hop.digest) not in known]
        if wanted is not None and seen[current] != wanted:
            finding = f"its user was made from {wanted[:12]}, and here lies {seen[current][:12]}"
            result.hops.append(Hop(current, "broken", seen[current], (finding,)))
    return result


def _hash_ahead(ground: Ground, node_id: str) -> None:
    """Hashes every file on the way, several at a time; each is read once however often reached."""
    nodes: dict[str, Manifest] = {}
    waiting = [node_id]
    while waiting:
        current = waiting.pop()
        raw = ground.manifest(current)
        if current in nodes or raw is None:
            continue
        with contextlib.suppress(IntegrityError):  # the walk says where and why
            nodes[current] = parse_manifest(raw, current)
            waiting += [entry.node for entry in nodes[current].inputs]
    sources = {source.path for one in nodes.values() for source in one.sources}
    tables = {table_path(entry, table) for one in nodes.values() for entry in one.profiles
              for table in entry.tables}  # fmt: skip
    ground.ahead(nodes, sources | tables)


def _verify_node(ground: Ground, graves: Tombstones, node_id: str) -> tuple[Hop, Manifest | None]:
    path = artifact_path(node_id)
    raw = ground.manifest(node_id) or graves.manifest(node_id)
    if raw is None:
        return Hop(node_id, "broken", "", (f"{path} is missing",)), None
    try:
        manifest = parse_manifest(raw, f"{path}/manifest.json")
        found = ground.tree(node_id)
    except IntegrityError as error:
        return Hop(node_id, "broken", "", (f"{error.where}: {error.what}",)), None
    if found is None and graves.artifact(manifest.content):
        finding = "it was erased in a withdrawal; its tombstone names this content"
        return Hop(node_id, "erased", manifest.content, (finding,)), manifest
    if found is None:
        return Hop(node_id, "broken", manifest.content, (ground.absence(node_id),)), manifest
    findings = [f"{path}/files/{finding}" for finding in compare_files(found, manifest)]
    if manifest.node != node_id:
        findings.append(f"{path}/manifest.json speaks of {manifest.node}")
    findings += _contract_findings(manifest)
    recorded, lock = ground.record(node_id), lock_path(node_id.partition("@")[2] or None)
    if recorded is not None and recorded.manifest != md5(raw):
        findings.append(f"{path}/manifest.json is not the one that {lock} records")
    if recorded is not None and recorded.code not in ("", manifest.method.code):
        findings.append(f"{lock} and {path}/manifest.json name different code")
    state: HopState = "broken" if findings else "verified"
    if recorded is None:
        findings.append(f"{lock} has no record of it")
        state = "broken" if findings[1:] or ground.released else "unrecorded"
    return Hop(node_id, state, manifest.content, tuple(findings)), manifest


def _contract_findings(manifest: Manifest) -> Iterator[str]:
    """Expectations that its own manifest says it breaks: it should never have been recorded."""
    for check in manifest.checks:
        if not check.success and check.severity == "error":
            rows = check.found or f"{check.unexpected:,} rows break it"
            yield f"its contract is broken: {check.expect} in {check.table}: {rows}"


def _verify_code(ground: Ground, proof: CodeProof, manifest: Manifest) -> Hop:
    """The method's code, compared with the Git tree or with its distribution."""
    method = manifest.method
    compared = proof.compare(method)
    state: HopState = "verified"
    note = compared.said
    if compared.same is False and (ground.released or not compared.of_project):
        state = "broken"
    elif compared.same is False:
        note = f"{note}; the next make runs that"
    return Hop(f"code of {method.name}", state, method.code, (note,))


def _verify_ground(
    ground: Ground, now: Graph, graves: Tombstones, manifest: Manifest
) -> Iterator[Hop]:
    """The tables, fields, sources and permissions that a node rests on."""
    for source in manifest.sources:
        yield _compared(source.path, ground.source(source.path), source.sha256)
    for entry in manifest.profiles:
        for table, digest in sorted(entry.tables.items()):
            path = table_path(entry, table)
            found = ground.source(path)
            if not found and digest in graves.files:
                yield Hop(path, "erased", digest, ("it was erased in a withdrawal",))
            else:
                yield _compared(path, found, digest)
        profile = ground.profile(entry.id)
        for name, digest in sorted(entry.fields.items()):
            found = digest_of(profile.get(name)) if profile else ""
            yield _compared(f"value_profiles/{entry.id}/profile.yaml: {name}", found, digest)
        yield _verify_permission(ground, now, entry)


def _compared(name: str, found: str, recorded: str) -> Hop:
    if found == recorded:
        return Hop(name, "verified", found)
    finding = f"{name} was altered" if found else f"{name} is missing"
    return Hop(name, "broken", found, (finding,))


def _verify_permission(ground: Ground, now: Graph, entry: ProfileEntry) -> Hop:
    """Whether a permission granted the use when it was relied on, and whether it does now."""
    name = f"{entry.permission} of {entry.id} for {entry.use}"

    def ended(why: str) -> Hop:
        return Hop(name, "ended", entry.consent, (why,))

    relied = relied_on(now.project.root, ground, entry)
    if relied is not None and (refused := relied.refusal(entry.use)):
        return ended(f"when it was relied on, the permission {refused}")
    profile = now.project.profiles.get(entry.id)
    if profile is None:
        return ended(f"value_profiles/{entry.id} is gone or cannot be read")
    if refusal := profile.refusal(entry.use, today()):
        return ended(f"the permission {refusal[0]}")
    if not profile.active:
        return ended(f"the profile is {profile.stage}")
    current = digest_of([profile.document.data["permission"], profile.document.data["consent"]])
    notes = [] if current == entry.consent else ["the terms changed since; they grant this use"]
    if relied is None:
        notes.append("no commit holds the terms that it relied on")
    return Hop(name, "verified", entry.consent, tuple(notes))
