"""What must be so before a model is released, each line with what is wrong.

Nothing here can be switched off. What a model's own community demands of it a named person can set
aside, with a reason that stays with the release for ever.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from registry import git
from registry.artifact import Hasher
from registry.consent import today
from registry.errors import ExitCode, UsageError
from registry.graph import Graph, Node
from registry.ground import WorkingTree
from registry.licences import dropped
from registry.lineage import verify
from registry.release import RELEASES, Name
from registry.release_keys import PublicKey, trusted
from registry.release_terms import terms
from registry.status import Status, status
from registry.store import lock_path
from registry.tested import tested
from registry.thresholds import Judged, SetAside, judge

_TOMORROW = "9999-12-31"
"""A day on which a replaced key no longer signs."""
_SAFE = frozenset({".safetensors", ".json", ".txt", ".jinja", ".model", ".md", ".parquet", ".png"})


@dataclass(frozen=True)
class Check:
    """One line of the checklist."""

    sentence: str
    """What must be so."""
    problem: str = ""
    """Why it is not; empty where it is."""
    code: ExitCode = ExitCode.CHECKS_FAILED
    """What the command ends with where it is not."""
    judged: Judged | None = None
    """The demand of its community that it speaks of, which a person can set aside."""


def checklist(
    graph: Graph, node: Node, name: Name, key: PublicKey | None = None, *, keyless: bool = False
) -> list[Check]:
    """Everything that must be so before a model is released, each with what is wrong.

    Args:
        graph: The project.
        node: The model.
        name: Which version of it.
        key: The key that is to sign it.
        keyless: Whether an identity is to sign it, where there is no key.
    """
    if node.declaration.kind != "model":
        raise UsageError(
            f"{node.id} is of kind {node.declaration.kind}; releases are of models",
            mend="name a model (`chorus list` shows the kinds)",
        )
    chain = graph.upstream([node])
    standing = status(graph)
    stale = [standing[n.id] for n in chain if standing[n.id].state != "current"]
    return [
        Check("it and everything it was made from is current and recorded", _states(stale)),
        _bytes_hold(graph, node),
        Check("no contract is broken", "; ".join(_broken_contracts(graph, chain))),
        *_permissions(graph, node),
        Check(
            "its licence keeps what those below it ask for",
            "; ".join(_licences(graph, node)),
            ExitCode.REFUSED,
        ),
        *_terms(graph, node, name),
        *_own_tests(graph, node, standing),
        *(Check(j.demand, j.problem, judged=j) for j in judge(graph, node, standing)),
        Check("its files are safetensors, JSON and text", ", ".join(_foreign(graph, node))),
        _signer(graph, key, keyless=keyless),
        *_git(graph, chain, name),
    ]


def _states(found: Sequence[Status]) -> str:
    shown = [f"{s.node} is {s}" for s in found]
    return "; ".join(shown) + " (run `chorus make` on it)" if shown else ""


def _bytes_hold(graph: Graph, node: Node) -> Check:
    sentence = "every byte on the way, hashed anew, is what the records say"
    ground = WorkingTree(graph, Hasher(None))
    try:
        found = verify(ground, graph, node.id)
    except UsageError as error:
        return Check(sentence, error.what)
    broken = [f for hop in found.hops if hop.state == "broken" for f in hop.findings]
    return Check(sentence, "; ".join(broken), ExitCode.INTEGRITY)


def _broken_contracts(graph: Graph, chain: Sequence[Node]) -> Iterator[str]:
    for node in chain:
        manifest = graph.artifact(node).read_manifest()
        for check in manifest.checks if manifest else ():
            if not check.success and check.severity == "error":
                yield f"{node.id}: {check.reason}"


def _permissions(graph: Graph, node: Node) -> Iterator[Check]:
    for community in graph.permissions(node):
        profile = graph.project.profiles[community]
        sentence = f"the {profile.profile.permission} of {community} grants publish-weights"
        refused = profile.refusal("publish-weights", today())
        problem = f"it {refused[0]}; {refused[1]}" if refused else ""
        if not problem and not profile.active:
            problem = f"the profile is {profile.stage}"
        yield Check(sentence, problem, ExitCode.REFUSED)


def _licences(graph: Graph, node: Node) -> Iterator[str]:
    """The licences on the way whose conditions the model's own licence drops."""
    below = {n.id: n.declaration.licence for n in graph.upstream([node])}
    for community in graph.permissions(node):
        profile = graph.project.profiles[community].profile
        if profile.permission == "licence":
            below[f"value_profiles/{community}"] = profile.licence
        for source in profile.sources:
            below[f"{source.title} (source of {community})"] = source.licence
    own = node.declaration.licence
    for name, licence in below.items():
        if lost := dropped(own, licence):
            mend = f"declare {node.name} under {licence}, or make it without that"
            yield f"{name} is under {licence}, which asks for {lost}; {own} does not: {mend}"


def _terms(graph: Graph, node: Node, name: Name) -> Iterator[Check]:
    """What people can hold against it: objections, and the word of stewards."""
    manifest = graph.artifact(node).read_manifest()
    content = manifest.content if manifest else ""
    for community in graph.permissions(node):
        profile = graph.project.profiles[community]
        for term in terms(profile, name.name, name.version, content, today()):
            yield Check(term.sentence, term.problem, ExitCode.REFUSED)


def _own_tests(graph: Graph, node: Node, standing: Mapping[str, Status]) -> Iterator[Check]:
    """The tests of every community that the model rests on; nobody can set one aside here."""
    for community in graph.permissions(node):
        profile = graph.project.profiles[community]
        if broken := "; ".join(profile.doubts_of_tests()):
            yield Check(f"the tests of {community} are as recorded", broken, ExitCode.INTEGRITY)
        if profile.tests.standing:
            sentence = f"it passes the tests of {community}"
            yield Check(sentence, tested(graph, node, profile, standing).problem)


def _foreign(graph: Graph, node: Node) -> list[str]:
    manifest = graph.artifact(node).read_manifest()
    return [f.path for f in manifest.files if Path(f.path).suffix not in _SAFE] if manifest else []


def _signer(graph: Graph, key: PublicKey | None, *, keyless: bool) -> Check:
    """Who signs it. An unsigned release can be made, and is shown as unsigned everywhere."""
    if key is None:
        said = "an identity signs it, by Sigstore" if keyless else "nobody signs it: it is unsigned"
        return Check(said)
    sentence = "the key that signs it is one that this project trusts"
    for known in trusted(graph.project.root):
        if known.fingerprint == key.fingerprint:
            return Check(sentence, known.doubt(_TOMORROW), ExitCode.REFUSED)
    mend = f"run `chorus key trust {key.name}.pub --name NAME`, and commit it"
    return Check(sentence, f"it knows no key {key.fingerprint[:12]}; {mend}", ExitCode.REFUSED)


def _git(graph: Graph, chain: Sequence[Node], name: Name) -> Iterator[Check]:
    root = graph.project.root
    unclean = [p for p in git.unclean(root) if not _own(p, name)]
    shown = ", ".join(unclean[:5]) + (f" and {len(unclean) - 5} more" if unclean[5:] else "")
    mend = "; commit or remove that first"
    yield Check("Git has everything", shown + mend if unclean else "", ExitCode.USAGE)
    locks = sorted({lock_path(n.community) for n in chain})
    lacking = [path for path in locks if git.content(root, "HEAD", path) is None]
    why = f"{', '.join(lacking)} is not in the last commit" if lacking else ""
    yield Check("the records are committed", why, ExitCode.USAGE)
    found = git.ask(root, "rev-parse", "--short", f"refs/tags/{name.tag}^{{commit}}")
    taken = f"{name.tag} is released already, as commit {found}; choose a higher version"
    yield Check(f"the tag {name.tag} is free", taken if found else "", ExitCode.USAGE)


def _own(path: str, name: Name) -> bool:
    """Whether an attempt to make this very release may have left a file."""
    return path == f"{RELEASES}/.gitignore" or path.startswith(f"{name.folder}/")


def set_aside(checks: Sequence[Check], by: Sequence[str], reason: str) -> SetAside:
    """Somebody's word against the thresholds of a checklist.

    Raises:
        UsageError: There is nothing to set aside, or nobody is named, or no reason is given.
    """
    if not any(check.judged and check.problem for check in checks):
        raise UsageError(
            "there is nothing to set aside",
            where="--override",
            why="it speaks of what the model's community demands of it, and that is reached",
            mend="leave it out",
        )
    if not by:
        raise UsageError("say who decides", where="--override", mend="add --by maintainer:1")
    try:
        return SetAside(by=tuple(dict.fromkeys(by)), reason=reason, on=today().isoformat())
    except ValidationError as error:
        said = [
            f"{'.'.join(map(str, one['loc']))}: {one['msg'].removeprefix('Value error, ')}"
            for one in error.errors()
        ]
        raise UsageError("; ".join(said), where="--override") from None
