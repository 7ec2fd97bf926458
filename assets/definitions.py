"""The Dagster entry point: declarations become assets, checks, a job and sensors.

`make ui` opens it. Loading it imports neither torch nor Great Expectations.
"""

from __future__ import annotations

import os
from pathlib import Path

import dagster as dg

from assets.ui.naming import COMMUNITIES, SENSOR, profile_key
from assets.ui.nodes import build_asset
from assets.ui.reporting import profile_parts, report
from registry.graph import Graph, load_graph
from registry.project import find_root

_INTERVAL = 30
"""Seconds between two looks at what other doors made."""


def build_definitions(root: Path) -> dg.Definitions:
    """Everything that the UI shows of one project."""
    graph = load_graph(root)
    declared = list(graph.project.declarations.values())
    assets = [build_asset(one, graph) for one in declared]
    fanned = [one.name for one in declared if one.declaration.each]
    job = dg.define_asset_job(
        "everything_for_one_community",
        selection=dg.AssetSelection.assets(*fanned),
        partitions_def=COMMUNITIES,
        description="Every asset that fans out, for one community, inputs first.",
    )
    return dg.Definitions(
        assets=[*assets, *_profiles(graph)],
        jobs=[job] if fanned else [],
        sensors=[_sensor(root)],
        executor=dg.in_process_executor,
    )


def _profiles(graph: Graph) -> list[dg.AssetSpec]:
    """The tables and fields of value profiles, as external assets with observed versions."""
    return [
        dg.AssetSpec(
            profile_key(part),
            partitions_def=COMMUNITIES,
            group_name="0_profiles",
            kinds={"profile"},
            description=f"`{part}` of each community's value profile; changed by the community.",
        )
        for part in profile_parts(graph)
    ]


def _sensor(root: Path) -> dg.SensorDefinition:
    @dg.sensor(
        name=SENSOR,
        minimum_interval_seconds=_INTERVAL,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Reports what `chorus make` and `dvc repro` made and what is stale since, observes "
            "value profiles, and follows which communities there are."
        ),
    )
    def what_other_doors_made(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        told = report(load_graph(root), context.instance)
        return dg.SkipReason(str(told) or "nothing new")

    return what_other_doors_made


defs = build_definitions(find_root(Path(os.environ.get("CHORUS_PROJECT", "."))))
