"""Proof of a release in its project: folder, model and all below it, as its tag records them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from registry import git
from registry.artifact import parse_manifest
from registry.consent import today
from registry.errors import IntegrityError
from registry.graph import Graph
from registry.ground import Revision
from registry.lineage import Hop, HopState, Verification, verify
from registry.release import (
    STATEMENT,
    Name,
    Statement,
    read_statement,
)
from registry.release_folder import (
    Found,
    compared,
    provenance_hops,
    read_folder,
    signature_hop,
    signature_of,
)
from registry.release_keys import trusted
from registry.release_signature import FILE as SIGNATURE


def verify_release(graph: Graph, name: Name) -> Verification:
    """Hashes a release and everything that it was made from anew, as its tag records it."""
    root = graph.project.root
    statement, commit = read_statement(root, name)
    ground = Revision(root, commit, name.folder)
    hops = [*_verify_folder(root, name, statement, ground), *_verify_thresholds(statement)]
    walked = verify(ground, graph, statement.node)
    (model, *others) = walked.hops
    if model.digest != statement.content:
        finding = f"the statement names {statement.content[:12]}"
        model = Hop(model.name, "broken", model.digest, (*model.findings, finding))
    hops += [model, *others, *_verify_publishing(graph, walked)]
    return Verification(str(name), hops)


def _verify_folder(root: Path, name: Name, statement: Statement, ground: Revision) -> Iterator[Hop]:
    """The release folder against tag, statement and signature."""
    folder = root / name.folder
    if not folder.is_dir():
        yield Hop(f"release {name}", "broken", "", (f"{name.folder} is missing",))
        return
    try:
        found = read_folder(folder)
    except IntegrityError as error:
        yield Hop(f"release {name}", "broken", "", (f"{error.where}: {error.what}",))
        return
    found = _whole(found, statement, ground)
    held = {
        file: git.content(root, ground.commit, f"{name.folder}/{file}")
        for file in (STATEMENT, SIGNATURE)
    }
    lying = {STATEMENT: found.statement, SIGNATURE: found.signature}
    findings = [
        f"{name.folder}/{file} is not the one that the tag holds"
        for file in held
        if held[file] != lying[file]
    ]
    digest = hashlib.sha256(held[STATEMENT] or b"").hexdigest()
    if digest not in git.ask(root, "for-each-ref", "--format=%(contents)", f"refs/tags/{name.tag}"):
        findings.append(
            f"the tag {name.tag} does not name this statement: it was moved or made anew"
        )
    findings += [f"{name.folder}/{finding}" for finding in compared(found.digests, statement)]
    state: HopState = "broken" if findings else "verified"
    yield Hop(f"release {name}", state, digest, (*findings, *found.notes))
    keys = trusted(root)
    signed = signature_of(found, statement, keys)
    yield signature_hop(signed)
    kept = {node: folder / "lineage" / f"{node}.json" for node in statement.manifests}
    if not findings:
        manifests = {
            n: parse_manifest(p.read_bytes(), f"lineage/{n}.json") for n, p in kept.items()
        }
        yield from provenance_hops(found, statement, manifests, keys, signed)


def _whole(found: Found, statement: Statement, ground: Revision) -> Found:
    """A clone's folder holds no weights; they are what DVC keeps of the model, hashed there."""
    artifact = {file.path: file.sha256 for file in ground.tree(statement.node) or ()}
    if any(path in found.digests for path in artifact):
        return found
    listed = {entry.path for entry in statement.files}
    absent = {path: digest for path, digest in artifact.items() if path in listed}
    if not absent:
        return found
    note = f"the model's {len(absent)} files are not in it; they were read as DVC keeps them"
    return Found(
        found.folder,
        {**found.digests, **absent},
        found.statement,
        found.signature,
        (*found.notes, note),
    )


def _verify_thresholds(statement: Statement) -> Iterator[Hop]:
    """What the communities demanded on the day of release, as the tag's statement holds it."""
    for community in dict.fromkeys(judged.community for judged in statement.thresholds):
        name = f"what {community} demands of a model"
        short = [j for j in statement.thresholds if j.community == community and not j.reached]
        findings = [f"not reached: {judged.demand}" for judged in short]
        if short and statement.override is None:
            yield Hop(name, "broken", "", (*findings, "and nobody's word sets that aside"))
        elif short and (word := statement.override):
            by = ", ".join(word.by)
            findings.append(f"set aside on {word.on} by {by}: {word.reason}")
            yield Hop(name, "verified", "", tuple(findings))
        else:
            yield Hop(name, "verified", "")


def _verify_publishing(graph: Graph, walked: Verification) -> Iterator[Hop]:
    """Whether each profile on the way still lets weights be published."""
    named = {hop.name.split("/")[1] for hop in walked.hops if hop.name.startswith("value_profiles")}
    for community in sorted(named):
        profile = graph.project.profiles.get(community)
        hop = f"permission of {community} for publish-weights"
        if profile is None:
            yield Hop(hop, "ended", "", (f"value_profiles/{community} is gone",))
        elif refused := profile.refusal("publish-weights", today()):
            yield Hop(hop, "ended", "", (f"the permission {refused[0]}",))
        else:
            yield Hop(hop, "verified", "")
