"""Which artifacts are missing, unrecorded, stale (and why) or current.

A node's causes are what its method reads: inputs, tables, profile fields, sources, parameters, seed
and code. They are compared with those in the manifest; consent, events, descriptions and comments
are no causes, so a renewed consent retrains nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from registry.artifact import FileEntry, Manifest, MethodEntry, content_digest, digest_of
from registry.errors import IntegrityError, UsageError
from registry.expectation import arguments
from registry.graph import Graph, Node
from registry.method import code_of
from registry.store import Records

State = Literal["missing", "unrecorded", "stale", "current"]

CONTRACT_MOVED = "the contract changed; it will be checked again without remaking"


@dataclass(frozen=True)
class Status:
    """Where one node stands."""

    node: str
    state: State
    reasons: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.state + (f": {'; '.join(self.reasons)}" if self.reasons else "")


@dataclass(frozen=True)
class Causes:
    """Digests of everything that a node is made from, as it is now."""

    method: MethodEntry
    params: dict[str, Any]
    seed: int
    threads: int
    processes: int
    inputs: dict[tuple[str, str], str]
    """Content digest by role and node; empty text where the artifact is missing."""
    tables: dict[tuple[str, str], str]
    """Digest by community and table."""
    fields: dict[tuple[str, str], str]
    """Digest by community and profile field."""
    sources: dict[str, str]
    """Digest by path."""

    @property
    def digest(self) -> str:
        """One digest of all of them."""
        return digest_of(
            [self.method.model_dump(mode="json"), self.params, self.seed]
            + [self.threads, self.processes]
            + [
                sorted([list(key), digest] for key, digest in one.items())
                for one in (self.inputs, self.tables, self.fields)
            ]
            + [self.sources]
        )


def causes_of(graph: Graph, node: Node) -> Causes:
    """The causes of a node as they stand on disk; raises UsageError on a missing source."""
    declared, hasher = node.declared, graph.project.hasher
    code = code_of(declared.method.name)
    profiles = graph.profiles_of(node)
    return Causes(
        method=MethodEntry(
            name=declared.method.name,
            code=code.digest,
            distribution=code.distribution,
            version=code.version,
        ),
        params=declared.params.model_dump(mode="json"),
        seed=node.declaration.seed,
        threads=node.declaration.resources.threads,
        processes=node.declaration.resources.processes,
        inputs={(e.role, e.node): _content(graph, e.node) for e in node.edges},
        tables={
            (p.id, table): hasher.file(p.table(table))
            for p in profiles
            for table in declared.method.reads
        },
        fields={
            (p.id, name): digest_of(p.document.data.get(name))
            for p in profiles
            for name in declared.method.profile_fields
        },
        sources={path: _source(graph, node, path) for path in graph.sources(node)},
    )


def _content(graph: Graph, node_id: str) -> str:
    manifest = graph.artifact(node_id).read_manifest()
    return manifest.content if manifest else ""


def _source(graph: Graph, node: Node, path: str) -> str:
    root = graph.project.root
    target = (root / path).resolve()
    place = str(node.declared.document.place(("params",)))
    if not target.is_relative_to(root):
        raise UsageError(
            f"the source {path!r} lies outside the project",
            where=place,
            why="its bytes could change unseen",
            mend="copy it into the project",
        )
    if not target.exists():
        raise UsageError(
            f"the source {path!r} is missing",
            where=place,
            why=f"{node.id} is made from it",
            mend="put the file or folder there, or change the declaration",
        )
    return graph.project.hasher.source(target)


def differences(causes: Causes, manifest: Manifest) -> list[str]:
    """Why an artifact with this manifest is not what these causes would make."""
    reasons: list[str] = []
    if causes.method.name != manifest.method.name:
        reasons.append(f"the method is now {causes.method.name}")
    elif causes.method.code != manifest.method.code:
        reasons.append(f"the code of {causes.method.name} changed")
    for name in sorted(causes.params.keys() | manifest.params.keys()):
        now, then = causes.params.get(name), manifest.params.get(name)
        if now != then:
            reasons.append(f"params.{name} changed from {then!r} to {now!r}")
    for what, now, then in (
        ("seed", causes.seed, manifest.seed),
        ("resources.threads", causes.threads, manifest.threads),
        ("resources.processes", causes.processes, manifest.processes),
    ):
        if now != then:
            reasons.append(f"{what} changed from {then} to {now}")
    reasons += _moved(
        causes.inputs,
        {(i.role, i.node): i.content for i in manifest.inputs},
        lambda key: f"input {key[1]}",
    )
    reasons += _moved(
        causes.tables,
        {(p.id, t): d for p in manifest.profiles for t, d in p.tables.items()},
        lambda key: f"value_profiles/{key[0]}/{key[1]}",
    )
    reasons += _moved(
        causes.fields,
        {(p.id, f): d for p in manifest.profiles for f, d in p.fields.items()},
        lambda key: f"{key[1]} in value_profiles/{key[0]}/profile.yaml",
    )
    reasons += _moved(causes.sources, {s.path: s.sha256 for s in manifest.sources}, str)
    return reasons


def _moved(now: dict[Any, str], then: dict[Any, str], name: Any) -> list[str]:
    reasons = []
    for key in sorted(now.keys() | then.keys()):
        if key not in then:
            reasons.append(f"{name(key)} is new")
        elif key not in now:
            reasons.append(f"{name(key)} is gone")
        elif not now[key]:
            reasons.append(f"{name(key)} is missing")
        elif now[key] != then[key]:
            reasons.append(f"{name(key)} changed")
    return reasons


def contract_moved(node: Node, manifest: Manifest) -> bool:
    """Whether the contract is another than the one that the artifact was checked against."""
    declared = [
        (e.expect, e.table, arguments(e), e.severity, e.reason) for e in node.declaration.contract
    ]
    checked = [(c.expect, c.table, c.arguments, c.severity, c.reason) for c in manifest.checks]
    return declared != checked


def altered_files(graph: Graph, node: Node, manifest: Manifest) -> list[str]:
    """How the files of an artifact differ from its manifest (hashed only where touched)."""
    return compare_files(graph.project.hasher.tree(graph.artifact(node).files), manifest)


def compare_files(found: tuple[FileEntry, ...], manifest: Manifest) -> list[str]:
    """How files differ from those that a manifest lists."""
    now = {entry.path: entry.sha256 for entry in found}
    then = {entry.path: entry.sha256 for entry in manifest.files}
    differing = [f"{path} is missing" for path in then if path not in now]
    differing += [f"{path} is not in the manifest" for path in now if path not in then]
    differing += [f"{p} was altered" for p in then if p in now and now[p] != then[p]]
    if not differing and content_digest(manifest.files) != manifest.content:
        differing.append("the manifest contradicts itself")
    return sorted(differing)


def _overriding(node: Node, manifest: Manifest) -> list[str]:
    """Which override a parameter that differs from the record comes from."""
    overridden = node.declared.overridden
    if overridden is None:
        return []
    now = node.declared.params.model_dump(mode="json")
    moved = {name for name in now if now[name] != manifest.params.get(name)}
    places = [place for key, place in overridden.changes() if key[:1] == ("params",)
              and set(key[1:2]) & moved]  # fmt: skip
    return [f"the override {overridden.override.title} says so ({places[0]})"] if places else []


def status_of(graph: Graph, node: Node, records: Records, known: dict[str, Status]) -> Status:
    """Where one node stands; `known` holds the status of its inputs."""
    artifact = graph.artifact(node)
    try:
        manifest = artifact.read_manifest()
    except IntegrityError as error:
        return Status(node.id, "stale", (error.what,))
    if manifest is None:
        return Status(node.id, "missing")
    try:
        reasons = differences(causes_of(graph, node), manifest)
        reasons += _overriding(node, manifest)
    except UsageError as error:
        reasons = [error.what]
    reasons += altered_files(graph, node, manifest)
    for edge in node.edges:
        upstream = known.get(edge.node)
        if upstream and upstream.state == "stale" and upstream.reasons != (CONTRACT_MOVED,):
            reasons.append(f"input {edge.node} is stale")
    if contract_moved(node, manifest):
        reasons.append(CONTRACT_MOVED)
    if reasons:
        return Status(node.id, "stale", tuple(dict.fromkeys(reasons)))
    if not records.covers(node, artifact.manifest.read_bytes()):
        return Status(node.id, "unrecorded", ("whole, but not in dvc.lock; `chorus make` adds it",))
    return Status(node.id, "current")


def status(graph: Graph) -> dict[str, Status]:
    """Where every node stands, inputs first."""
    records, found = Records(graph.project.root), dict[str, Status]()
    for node in graph.nodes.values():
        found[node.id] = status_of(graph, node, records, found)
    graph.project.hasher.save()
    return found
