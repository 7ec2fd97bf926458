"""Whether a model passes the tests of the communities that it rests on: read from evaluations.

An evaluation of the method `community-tests` puts one community's tests to one model. Only one that
is current and recorded counts, and only for the very content that it was run on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from registry.graph import Graph, Node
from registry.profile_folder import Profile
from registry.profile_tests import CommunityTest
from registry.results import Verdict, read_verdicts
from registry.status import Status

METHOD = "community-tests"


@dataclass(frozen=True)
class Tested:
    """What is known of one model and the tests of one community."""

    model: str
    community: str
    evaluation: str | None
    """The node that puts these tests to this model; None where none is declared."""
    state: str
    """Where that node stands, and why; `current` is the only one that counts."""
    verdicts: Mapping[str, Verdict]
    """Its verdicts by test, where it is current."""
    lacking: tuple[str, ...]
    """Standing tests without a verdict on what they say today."""
    failed: tuple[Verdict, ...]
    """Standing tests that the model does not pass."""

    @property
    def passed(self) -> bool:
        """Whether the model passes every standing test."""
        return not self.lacking and not self.failed

    @property
    def problem(self) -> str:
        """Why a model is not released; nothing where it may be."""
        if self.evaluation is None:
            names = f"{len(self.lacking)} test" + ("s" if len(self.lacking) > 1 else "")
            return (
                f"no evaluation puts its {names} to {self.model}; declare one of the method "
                f"{METHOD} (docs/profiles.md), then make it"
            )
        if self.state != "current":
            return f"{self.evaluation} is {self.state}; run `chorus make {self.evaluation}`"
        said = [f"{v.test} failed: {v.why}" for v in self.failed]
        said += [f"{test} was not put to it" for test in self.lacking]
        return "; ".join(said)


def tested(graph: Graph, node: Node, profile: Profile, standing: Mapping[str, Status]) -> Tested:
    """How a model does on the tests of one community; `standing` is the status of every node."""
    wanted = profile.tests.standing
    found = [
        _read(graph, node, wanted, profile.id, one, standing[one.id])
        for one in graph.nodes.values()
        if one.declared.method.name == METHOD
        and one.community == profile.id
        and any(edge.role == "model" and edge.node == node.id for edge in one.edges)
    ]
    if not found:
        lacking = tuple(test.id for test in wanted)
        return Tested(node.id, profile.id, None, "undeclared", {}, lacking, ())
    # Two evaluations may put them in two ways; a model passes what it passes in every way.
    return min(found, key=lambda one: (one.state == "current", one.passed))


def _read(
    graph: Graph,
    model: Node,
    wanted: tuple[CommunityTest, ...],
    community: str,
    evaluation: Node,
    standing: Status,
) -> Tested:
    verdicts: dict[str, Verdict] = {}
    manifest = graph.artifact(evaluation).read_manifest() if standing.state == "current" else None
    content = graph.artifact(model).read_manifest()
    if manifest and content:
        met = any(e.node == model.id and e.content == content.content for e in manifest.inputs)
        files = graph.artifact(evaluation).files
        verdicts = {v.test: v for v in read_verdicts(files)} if met else {}
    known = {t.id for t in wanted if t.id in verdicts and verdicts[t.id].sha256 == t.sha256}
    return Tested(
        model=model.id,
        community=community,
        evaluation=evaluation.id,
        state=str(standing),
        verdicts=verdicts,
        lacking=tuple(test.id for test in wanted if test.id not in known),
        failed=tuple(v for name, v in verdicts.items() if name in known and not v.passed),
    )
