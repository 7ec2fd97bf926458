"""The in-toto statement of a release: what it is, and everything that it was made from.

It is a provenance of the form slsa.dev/provenance/v1: its subject is the model's files, its
resolved dependencies (in-toto calls them materials) are the lineage with its digests. It names no
time, host or run, for the same reason as the manifests that it is written from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from registry.artifact import Manifest

FILE = "provenance.intoto.json"
PREDICATE = "https://slsa.dev/provenance/v1"
_BUILD = "urn:chorus:node:1"
"""The kind of build: a node that Chorus made from its declaration."""
_BUILDER = "urn:chorus:make"


@dataclass(frozen=True)
class Material:
    """One thing that a release was made from."""

    what: str
    """`manifest`, `artifact`, `source`, `table`, `field` or `terms`."""
    name: str
    sha256: str


def materials(manifests: Mapping[str, Manifest], digests: Mapping[str, str]) -> list[Material]:
    """Everything that a lineage names, by kind and name.

    Args:
        manifests: The manifest of a model and of everything that it was made from, by node.
        digests: SHA-256 of each of these manifests.
    """
    found: set[tuple[str, str, str]] = set()
    for node, manifest in manifests.items():
        found.add(("manifest", node, digests[node]))
        found.add(("artifact", node, manifest.content))
        found |= {("source", s.path, s.sha256) for s in manifest.sources}
        for entry in manifest.profiles:
            found.add(("terms", f"{entry.id} for {entry.use}", entry.consent))
            found |= {("table", f"{entry.id}/{name}", d) for name, d in entry.tables.items()}
            found |= {("field", f"{entry.id}/{name}", d) for name, d in entry.fields.items()}
    return [Material(*one) for one in sorted(found)]


def statement(
    node: str, manifests: Mapping[str, Manifest], digests: Mapping[str, str]
) -> dict[str, Any]:
    """The in-toto statement of a model, as JSON.

    Args:
        node: The model.
        manifests: Its manifest and those of everything that it was made from, by node.
        digests: SHA-256 of each of these manifests.
    """
    from google.protobuf.json_format import MessageToDict, ParseDict
    from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance
    from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor
    from in_toto_attestation.v1.statement import Statement

    manifest = manifests[node]
    subjects = [
        ResourceDescriptor(name=file.path, digest={"sha256": file.sha256}).pb
        for file in manifest.files
    ]
    resolved = [
        ResourceDescriptor(
            name=f"{one.what} {one.name}",
            digest={"sha256": one.sha256},
            annotations={"what": one.what},
        ).pb
        for one in materials(manifests, digests)
    ]
    provenance = Provenance()
    ParseDict(
        {
            "buildDefinition": {
                "buildType": _BUILD,
                "externalParameters": {
                    "node": node,
                    "method": manifest.method.name,
                    "params": manifest.params,
                },
                "internalParameters": {
                    "code": manifest.method.code,
                    "distribution": f"{manifest.method.distribution} {manifest.method.version}",
                    "seed": manifest.seed,
                    "threads": manifest.threads,
                    "processes": manifest.processes,
                    "device": manifest.device,
                    "dtype": manifest.dtype,
                    "libraries": manifest.libraries,
                },
            },
            "runDetails": {"builder": {"id": _BUILDER}},
        },
        provenance,
    )
    provenance.build_definition.resolved_dependencies.extend(resolved)
    found = Statement(subjects, PREDICATE, MessageToDict(provenance))
    found.validate()
    written: dict[str, Any] = MessageToDict(found.pb)
    return written


def differences(
    said: Mapping[str, Any],
    node: str,
    manifests: Mapping[str, Manifest],
    digests: Mapping[str, str],
) -> Iterator[str]:
    """Where the subject or the materials of a statement are not those of a release's manifests.

    How it was made is said again there, for tools that read nothing else; the manifests decide.
    """
    files = {file.path: file.sha256 for file in manifests[node].files}
    subjects = _named(said.get("subject"))
    if subjects != files:
        odd = min(files.items() ^ subjects.items())
        yield f"its subject is another than the model's files: {odd[0]}"
    predicate = said.get("predicate")
    definition = predicate.get("buildDefinition") if isinstance(predicate, dict) else None
    resolved = _named(
        definition.get("resolvedDependencies") if isinstance(definition, dict) else None
    )
    lineage = {f"{one.what} {one.name}": one.sha256 for one in materials(manifests, digests)}
    if resolved != lineage:
        odd = min(lineage.items() ^ resolved.items())
        yield f"its materials are others than the lineage's: {odd[0]}"


def _named(descriptors: Any) -> dict[str, str]:
    """Digests by name in a list of resource descriptors, whatever a stranger wrote there."""
    found: dict[str, str] = {}
    for one in descriptors if isinstance(descriptors, list) else ():
        if isinstance(one, dict) and isinstance(digest := one.get("digest"), dict):
            found[str(one.get("name"))] = str(digest.get("sha256"))
    return found
