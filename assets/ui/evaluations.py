"""Check outcomes that no asset's own run reports: what other doors made, what is stale since."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from uuid import uuid4

import dagster as dg
from dagster import AssetCheckKey, AssetKey, DagsterInstance

# Dagster 1.13 has no public names for these: without a target a partition's outcome is not shown.
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData,
)
from dagster._core.event_api import PartitionKeyFilter
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecord

from assets.ui.checks import reached, unchanged
from assets.ui.naming import SENSOR, THRESHOLDS_CHECK, UNCHANGED_CHECK
from registry.graph import Graph, Node
from registry.status import status


def evaluation(
    instance: DagsterInstance, node: Node, result: dg.AssetCheckResult
) -> dg.AssetCheckEvaluation:
    """One outcome, for the latest materialisation of a node."""
    made = _made(instance, node)
    target = made and AssetCheckEvaluationTargetMaterializationData(
        storage_id=made.storage_id, run_id=made.run_id, timestamp=made.timestamp
    )
    return dg.AssetCheckEvaluation(
        asset_key=AssetKey(node.name),
        check_name=str(result.check_name),
        passed=result.passed,
        severity=result.severity,
        metadata=result.metadata,
        target_materialization_data=target,
        partition=node.community,
    )


def tell(instance: DagsterInstance, evaluations: Sequence[dg.AssetCheckEvaluation]) -> None:
    """Reports outcomes as what one finished run of the sensor said.

    Without a run Dagster 1.13 takes only one outcome of each partition and refuses the second.
    No step is executed: a run inside the sensor's process can hang, and would hold up the queue.
    """
    if not evaluations:
        return
    run = dg.DagsterRun(
        job_name=SENSOR,
        run_id=str(uuid4()),
        status=dg.DagsterRunStatus.SUCCESS,
        tags={"dagster/sensor_name": SENSOR},
    )
    instance.add_run(run)
    kinds = dg.DagsterEventType
    said = [(kinds.ASSET_CHECK_EVALUATION, outcome) for outcome in evaluations]
    # Start and end stand last and together, so that the run never seems to be at work.
    for kind, data in (*said, (kinds.RUN_START, None), (kinds.RUN_SUCCESS, None)):
        event = dg.DagsterEvent(kind.value, job_name=SENSOR, event_specific_data=data)
        instance.report_dagster_event(event, run.run_id)


def news(graph: Graph, instance: DagsterInstance) -> Iterator[dg.AssetCheckEvaluation]:
    """What is stale, why, and what falls short of its community's demands.

    Only where Dagster heard otherwise.
    """
    standing = status(graph)
    stale, short = (
        _heard(graph, instance, UNCHANGED_CHECK),
        _heard(graph, instance, THRESHOLDS_CHECK),
    )
    for node_id, found in standing.items():
        node = graph.nodes[node_id]
        outcomes = [(stale, one) for one in unchanged(found)]
        outcomes += [(short, one) for one in reached(graph, node, standing)]
        for heard, result in outcomes:
            last = heard.get(node_id)
            if last is None or not (
                _running(instance, last) or _holds(instance, node, last, result)
            ):
                yield evaluation(instance, node, result)


def _heard(
    graph: Graph, instance: DagsterInstance, check: str
) -> dict[str, AssetCheckExecutionRecord]:
    """What Dagster heard last of one check of each node."""
    found: dict[str, AssetCheckExecutionRecord] = {}
    for community in {node.community for node in graph.nodes.values()}:
        nodes = [node for node in graph.nodes.values() if node.community == community]
        keys = {AssetCheckKey(AssetKey(node.name), check): node for node in nodes}
        latest = instance.event_log_storage.get_latest_asset_check_execution_by_key(
            list(keys), partition_filter=PartitionKeyFilter(key=community)
        )
        found |= {keys[key].id: record for key, record in latest.items()}
    return found


def _running(instance: DagsterInstance, last: AssetCheckExecutionRecord) -> bool:
    """Whether a run is about to say it itself; one that was killed or failed never does."""
    run = instance.get_run_by_id(last.run_id)
    return run is not None and not run.is_finished


def _holds(
    instance: DagsterInstance,
    node: Node,
    last: AssetCheckExecutionRecord,
    result: dg.AssetCheckResult,
) -> bool:
    said, made = last.evaluation, _made(instance, node)
    return (
        isinstance(said, dg.AssetCheckEvaluation)
        and (said.passed, said.metadata) == (result.passed, result.metadata)
        and last.event is not None
        and (made is None or made.timestamp <= last.event.timestamp)
    )


def _made(instance: DagsterInstance, node: Node) -> dg.EventLogRecord | None:
    return instance.get_latest_data_version_record(AssetKey(node.name), False, node.community)
