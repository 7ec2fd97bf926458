"""Each declaration as a Dagster asset, one partition for each community where it fans out.

An asset's function is a door like any other: it calls `registry.make.make_node`, and shows what
that returns. Contracts and consent appear as checks; where one breaks, the result is not recorded
at all, so nothing downstream can be made from it.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from assets.ui.metadata import describe
from assets.ui.naming import (
    COMMUNITIES,
    CONSENT_CHECK,
    GPU_POOL,
    causes_tag,
    check_names,
    code_version,
    data_version,
    group_of,
    node_of,
    profile_key,
)
from registry.artifact import CheckResult, Manifest
from registry.declaration import Expectation
from registry.errors import ChorusError, ContractError, RefusedError
from registry.graph import Graph, load_graph
from registry.make import make_node
from registry.project import Declared
from registry.quality import arguments
from registry.runs import Door
from registry.store import sync


class MakeConfig(dg.Config):
    """What can be set in the launchpad."""

    force: bool = False
    """Run the method even where everything is current."""


def build_asset(declared: Declared, graph: Graph) -> dg.AssetsDefinition:
    """The asset of one declaration."""
    declaration, root = declared.declaration, graph.project.root
    names = check_names(declaration.contract)
    specs = [
        dg.AssetCheckSpec(
            name,
            asset=declared.name,
            description=_sentence(expectation),
            blocking=expectation.severity == "error",
        )
        for name, expectation in names.items()
    ]
    consent = dg.AssetCheckSpec(
        CONSENT_CHECK,
        asset=declared.name,
        description="Consent, mandate or licence of every profile it rests on holds today.",
        blocking=True,
    )

    @dg.asset(
        key=declared.name,
        deps=list(_dependencies(declared, graph)),
        partitions_def=COMMUNITIES if declaration.each else None,
        group_name=group_of(declared),
        kinds={declaration.kind, declared.method.name},
        description=declaration.description,
        owners=["team:chorus"],
        code_version=code_version(declared),
        check_specs=[*specs, consent],
        pool=GPU_POOL if declaration.resources.gpus else None,
        metadata={
            "declared in": declared.document.path,
            "licence": declaration.licence,
            "parameters": dg.MetadataValue.json(declared.params.model_dump(mode="json")),
        },
        tags={"chorus/method": declared.method.name},
        output_required=False,
    )
    def node_asset(context: dg.AssetExecutionContext, config: MakeConfig) -> Iterator[Any]:
        partition = context.partition_key if context.has_partition_key else None
        yield from _make(root, declared.name, partition, config, context)

    return node_asset


def _sentence(expectation: Expectation) -> str:
    given = ", ".join(f"{name}={value}" for name, value in arguments(expectation).items())
    return f"{expectation.reason}\n\n{expectation.expect}({given}) in {expectation.table}"


def _dependencies(declared: Declared, graph: Graph) -> Iterator[dg.AssetDep]:
    """The assets that a declaration is made from, and which partitions of them."""
    chosen: dict[str, set[str]] = {}
    plain: set[str] = set()
    for names in declared.declaration.inputs.values():
        for name in (names,) if isinstance(names, str) else names:
            base, _, community = name.partition("@")
            if community:
                chosen.setdefault(base, set()).add(community)
            else:
                plain.add(base)
    for base in sorted(plain):
        fanned = graph.project.declarations[base].declaration.each is not None
        yield dg.AssetDep(base, partition_mapping=_mapping(declared) if fanned else None)
    for base in sorted(chosen.keys() - plain):
        mapping = dg.SpecificPartitionsPartitionMapping(sorted(chosen[base]))
        yield dg.AssetDep(base, partition_mapping=mapping)
    for part in (*declared.method.reads, *declared.method.profile_fields):
        yield dg.AssetDep(profile_key(part), partition_mapping=_mapping(declared))


def _mapping(declared: Declared) -> dg.PartitionMapping | None:
    """The same community, every community, or those that a gathering declaration names."""
    only = declared.declaration.communities
    if declared.declaration.each or only is None:
        return None
    return dg.SpecificPartitionsPartitionMapping(sorted(only))


def _make(
    root: Path,
    name: str,
    partition: str | None,
    config: MakeConfig,
    context: dg.AssetExecutionContext,
) -> Iterator[Any]:
    try:
        graph = load_graph(root)
        sync(graph)
        node = node_of(graph, name, partition)
    except ChorusError as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    names = check_names(node.declaration.contract)
    try:
        report = make_node(graph, node, force=config.force, door=Door("dagster", context.run_id))
    except RefusedError as error:
        yield _result(CONSENT_CHECK, passed=False, metadata={"why": str(error)})
        raise dg.Failure(str(error), allow_retries=False) from error
    except ContractError as error:
        yield from _checks(names, error.results)
        raise dg.Failure(str(error), allow_retries=False) from error
    except ChorusError as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    manifest = graph.artifact(node).read_manifest()
    if manifest is None:
        raise dg.Failure(f"{node.id} was made, and its manifest is gone", allow_retries=False)
    context.log.info("%s: %s", node.id, report.result)
    yield dg.MaterializeResult(
        metadata={"result": report.result, **describe(graph, node, manifest, report.run)},
        data_version=dg.DataVersion(data_version(manifest)),
        tags=causes_tag(manifest),
        check_results=list(results_of(manifest, node.declaration.contract)),
    )


def results_of(
    manifest: Manifest, contract: tuple[Expectation, ...]
) -> Iterator[dg.AssetCheckResult]:
    """The checks of a made artifact: its contract's outcome, and that consent held."""
    yield from _checks(check_names(contract), manifest.checks)
    relied = {p.id: f"{p.permission} for {p.use}" for p in manifest.profiles}
    yield _result(CONSENT_CHECK, passed=True, metadata=relied)


def _checks(names: Any, results: Sequence[CheckResult]) -> Iterator[dg.AssetCheckResult]:
    for (name, expectation), result in zip(names.items(), results, strict=False):
        yield _result(
            name,
            passed=result.success,
            metadata={"rows that break it": result.unexpected, "found": result.found or "rows"},
            severity=dg.AssetCheckSeverity.ERROR
            if expectation.severity == "error"
            else dg.AssetCheckSeverity.WARN,
        )


def _result(
    name: str,
    *,
    passed: bool,
    metadata: dict[str, Any],
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=passed, check_name=name, metadata=metadata, severity=severity)
