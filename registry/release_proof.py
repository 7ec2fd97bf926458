"""Proof of a release: folder, model and all below it, hashed anew as its tag records them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from registry import git
from registry.artifact import Hasher
from registry.consent import today
from registry.errors import IntegrityError
from registry.graph import Graph
from registry.ground import Revision
from registry.lineage import Hop, HopState, Verification, verify
from registry.notices import has_notice, without_notice
from registry.release import (
    STATEMENT,
    Name,
    Statement,
    read_statement,
)


def verify_release(graph: Graph, name: Name) -> Verification:
    """Hashes a release and everything that it was made from anew, as its tag records it."""
    root = graph.project.root
    statement, commit = read_statement(root, name)
    hops = [_verify_folder(root, name, statement, commit), *_verify_thresholds(statement)]
    walked = verify(Revision(root, commit, name.folder), graph, statement.node)
    (model, *others) = walked.hops
    if model.digest != statement.content:
        finding = f"the statement names {statement.content[:12]}"
        model = Hop(model.name, "broken", model.digest, (*model.findings, finding))
    hops += [model, *others, *_verify_publishing(graph, walked)]
    return Verification(str(name), hops)


def _verify_folder(root: Path, name: Name, statement: Statement, commit: str) -> Hop:
    """The release folder against the statement that the tag holds."""
    folder, findings = root / name.folder, []
    wanted = {entry.path: entry.sha256 for entry in statement.files}
    if not folder.is_dir():
        return Hop(f"release {name}", "broken", "", (f"{name.folder} is missing",))
    try:
        found = {entry.path: entry.sha256 for entry in Hasher(None).tree(folder)}
    except IntegrityError as error:
        return Hop(f"release {name}", "broken", "", (f"{error.where}: {error.what}",))
    if has_notice(name.card(root)):
        released = without_notice((folder / "README.md").read_text(encoding="utf-8"))
        found["README.md"] = hashlib.sha256(released.encode()).hexdigest()
    held = git.content(root, commit, f"{name.folder}/{STATEMENT}")
    standing = folder / STATEMENT
    if not standing.is_file() or standing.read_bytes() != held:
        findings.append(f"{name.folder}/{STATEMENT} is not the one that the tag holds")
    found.pop(STATEMENT, None)
    findings += [f"{name.folder}/{p} is missing" for p in wanted if p not in found]
    findings += [f"{name.folder}/{p} is not in the statement" for p in found if p not in wanted]
    findings += [
        f"{name.folder}/{p} was altered" for p in wanted if found.get(p, wanted[p]) != wanted[p]
    ]
    state: HopState = "broken" if findings else "verified"
    digest = hashlib.sha256(held or b"").hexdigest()
    return Hop(f"release {name}", state, digest, tuple(findings))


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
