"""Each declaration as a Dagster asset, one partition for each community where it fans out.

An asset's function is a door like any other: it calls `registry.make.make_node`, and shows what
that returns. Contracts and consent appear as checks; where one breaks, the result is not recorded
at all, so nothing downstream can be made from it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg

from assets.ui.checks import (
    contract_results,
    permitted,
    reached,
    refusal,
    results_of,
    specs_of,
    unchanged,
)
from assets.ui.metadata import describe
from assets.ui.naming import (
    COMMUNITIES,
    GPU_POOL,
    causes_tag,
    code_version,
    data_version,
    group_of,
    node_of,
    profile_key,
)
from assets.ui.progress import logged
from registry.errors import (
    ChorusError,
    ContractError,
    IntegrityError,
    RefusedError,
    refused_by_machine,
)
from registry.graph import Graph, load_graph
from registry.make import make_node
from registry.project import Declared
from registry.runs import Door
from registry.status import status
from registry.store import sync


class MakeConfig(dg.Config):
    """What can be set in the launchpad."""

    force: bool = False
    """Run the method even where everything is current."""


def build_asset(declared: Declared, graph: Graph) -> dg.AssetsDefinition:
    """The asset of one declaration."""
    declaration, root = declared.declaration, graph.project.root

    @dg.asset(
        key=declared.name,
        deps=list(_dependencies(declared, graph)),
        partitions_def=COMMUNITIES if declaration.each else None,
        group_name=group_of(declared),
        kinds={declaration.kind, declared.method.name},
        description=declaration.description,
        owners=["team:chorus"],
        code_version=code_version(declared),
        check_specs=specs_of(declared, graph),
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
    """Makes one node; whatever a person can mend ends as a plain message, not as a traceback."""
    try:
        yield from _attempt(root, name, partition, config, context)
    except ChorusError as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    except OSError as error:
        mendable = refused_by_machine(error, f"{name}@{partition}" if partition else name)
        if mendable is None:
            raise
        raise dg.Failure(str(mendable), allow_retries=False) from error


def _attempt(
    root: Path,
    name: str,
    partition: str | None,
    config: MakeConfig,
    context: dg.AssetExecutionContext,
) -> Iterator[Any]:
    graph = load_graph(root)
    sync(graph)
    node = node_of(graph, name, partition)
    contract = node.declaration.contract
    try:
        with logged(context.log) as listener:
            door = Door("dagster", context.run_id)
            report = make_node(graph, node, force=config.force, door=door, listener=listener)
    except RefusedError as error:
        yield refusal(error)
        yield from unchanged(status(graph)[node.id])
        raise
    except ContractError as error:
        yield from contract_results(contract, error.results)
        yield permitted(graph.permissions(node))
        yield from unchanged(status(graph)[node.id])
        raise
    manifest = graph.artifact(node).read_manifest()
    if manifest is None:
        raise IntegrityError("it was made, and its manifest is gone", where=node.id)
    context.log.info("%s: %s", node.id, report.result)
    standing = status(graph)
    yield dg.MaterializeResult(
        metadata={"result": report.result, **describe(graph, node, manifest, report.run)},
        data_version=dg.DataVersion(data_version(manifest)),
        tags=causes_tag(manifest),
        check_results=[
            *results_of(manifest, contract),
            *unchanged(standing[node.id]),
            *reached(graph, node, standing),
        ],
    )
