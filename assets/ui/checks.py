"""The checks of an asset: its contract, its permissions, its staleness, what is demanded of it.

Where an asset fans out, each of its partitions has its own outcome. Staleness is Chorus's own view:
Dagster marks what must be made first, `chorus status` names everything that will follow from it,
and why. A community's own model that was measured and falls short stops what comes after it in the
same run. It is only a warning where it was not measured yet, or it could never be measured; and
where another model of that community's starts from it, which may be how it comes to reach it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence

import dagster as dg

from assets.ui.naming import (
    COMMUNITIES,
    CONSENT_CHECK,
    THRESHOLDS_CHECK,
    UNCHANGED_CHECK,
    check_names,
)
from registry.artifact import CheckResult, Manifest
from registry.errors import RefusedError
from registry.expectation import Expectation, arguments
from registry.graph import Graph, Node
from registry.project import Declared
from registry.status import Status
from registry.thresholds import Judged, community_of, judge


def specs_of(declared: Declared, graph: Graph) -> list[dg.AssetCheckSpec]:
    """Every check of one declaration; all but staleness can stop what comes after."""
    wanted = [
        (name, _sentence(expectation), expectation.severity == "error")
        for name, expectation in check_names(declared.declaration.contract).items()
    ]
    wanted += [
        (CONSENT_CHECK, "Every profile that it rests on permits this use today.", True),
        (UNCHANGED_CHECK, "It is what its inputs, profiles and code would make today.", False),
    ]
    if any(owned(graph, node) for node in graph.nodes.values() if node.name == declared.name):
        said = "It reaches what its community demands before it is released as its own."
        wanted.append((THRESHOLDS_CHECK, said, True))
    partitions = COMMUNITIES if declared.declaration.each else None
    with warnings.catch_warnings():
        # Partitions of checks are a preview in Dagster 1.13; without them the community that was
        # checked last would hide the others.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return [
            dg.AssetCheckSpec(
                name,
                asset=declared.name,
                description=description,
                blocking=blocking,
                partitions_def=partitions,
            )
            for name, description, blocking in wanted
        ]


def _sentence(expectation: Expectation) -> str:
    given = ", ".join(f"{name}={value}" for name, value in arguments(expectation).items())
    only = "\n\nChecked by Great Expectations alone." * (
        expectation.checker == "great expectations"
    )
    return f"{expectation.reason}\n\n{expectation.expect}({given}) in {expectation.table}{only}"


def results_of(
    manifest: Manifest, contract: tuple[Expectation, ...]
) -> Iterator[dg.AssetCheckResult]:
    """The checks of a made artifact: its contract's outcome, and that consent held."""
    yield from contract_results(contract, manifest.checks)
    yield permitted({p.id: f"{p.permission} for {p.use}" for p in manifest.profiles})


def contract_results(
    contract: tuple[Expectation, ...], results: Sequence[CheckResult]
) -> Iterator[dg.AssetCheckResult]:
    """One outcome for each expectation of a contract."""
    for (name, expectation), result in zip(check_names(contract).items(), results, strict=False):
        error = expectation.severity == "error"
        yield dg.AssetCheckResult(
            check_name=name,
            passed=result.success,
            severity=dg.AssetCheckSeverity.ERROR if error else dg.AssetCheckSeverity.WARN,
            metadata={
                **({"outcome": result.found} if result.found else {}),
                "rows that break it": result.unexpected,
                **({"first rows that break it": ", ".join(result.rows)} if result.rows else {}),
            },
        )


def permitted(relied: Mapping[str, str]) -> dg.AssetCheckResult:
    """Every permission grants this use; which one that is, by profile."""
    return dg.AssetCheckResult(check_name=CONSENT_CHECK, passed=True, metadata=relied)


def refusal(error: RefusedError) -> dg.AssetCheckResult:
    """A permission that does not grant this use."""
    return dg.AssetCheckResult(check_name=CONSENT_CHECK, passed=False, metadata={"why": str(error)})


def owned(graph: Graph, node: Node) -> bool:
    """Whether a node is a community's own model, and so has a check of what that demands."""
    return community_of(graph, node) is not None


def reached(
    graph: Graph, node: Node, standing: Mapping[str, Status]
) -> Iterator[dg.AssetCheckResult]:
    """Whether a community's own model reaches what that demands; nothing for other nodes."""
    if owned(graph, node) and standing[node.id].state != "missing":
        yield _reached(judge(graph, node, standing), last=not goes_on(graph, node))


def goes_on(graph: Graph, node: Node) -> bool:
    """Whether another own model of the same community starts from this one."""
    community = community_of(graph, node)
    return any(
        any(edge.node == node.id for edge in other.edges)
        and community_of(graph, other) == community
        for other in graph.nodes.values()
    )


def _reached(judged: Sequence[Judged], *, last: bool) -> dg.AssetCheckResult:
    short = [one for one in judged if not one.reached]
    measured = any(one.evaluations for one in short)
    return dg.AssetCheckResult(
        check_name=THRESHOLDS_CHECK,
        passed=not short,
        severity=(
            dg.AssetCheckSeverity.ERROR if measured and last else dg.AssetCheckSeverity.WARN
        ),
        metadata={
            **{one.demand: one.found for one in judged if one.reached},
            **({"why": "; ".join(f"not {one.demand}: {one.problem}" for one in short)}
               if short else {}),
            **({} if judged else {"demands": "none: no thresholds and no opinions"}),
        },
    )  # fmt: skip


def unchanged(status: Status) -> Iterator[dg.AssetCheckResult]:
    """Whether `chorus status` calls a node stale, and why; nothing where nothing was made yet."""
    if status.state != "missing":
        stale = status.state == "stale"
        yield dg.AssetCheckResult(
            check_name=UNCHANGED_CHECK,
            passed=not stale,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={"why": "; ".join(status.reasons)} if stale else {},
        )
