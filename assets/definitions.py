"""The Dagster entry point: declarations become assets, checks, a job and sensors.

`make ui` opens it. Loading it imports neither torch nor Great Expectations.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import dagster as dg

from assets.ui.naming import COMMUNITIES, SENSOR, identifier, profile_key
from assets.ui.nodes import build_asset
from assets.ui.reporting import profile_parts, report
from registry.graph import Graph, load_graph
from registry.project import Declared, find_root

_INTERVAL = 30
"""Seconds between two looks at what other doors made."""


def build_definitions(root: Path) -> dg.Definitions:
    """Everything that the UI shows of one project."""
    graph = load_graph(root)
    declared = list(graph.project.declarations.values())
    assets = [build_asset(one, graph) for one in declared]
    fanned = [one for one in declared if one.declaration.each]
    return dg.Definitions(
        assets=[*assets, *_profiles(graph)],
        jobs=list(_jobs(fanned)),
        sensors=[_sensor(root)],
        executor=dg.in_process_executor,
    )


def _jobs(fanned: Sequence[Declared]) -> Iterator[dg.UnresolvedAssetJobDefinition]:
    """Everything for one community but the recipes, which take long and have a job each."""
    for recipe in sorted({one.recipe for one in fanned}):
        name = f"recipe_{identifier(recipe)}" if recipe else "everything"
        what = f"of the recipe {recipe} " if recipe else "outside the recipes "
        yield dg.define_asset_job(
            f"{name}_for_one_community",
            selection=dg.AssetSelection.assets(*(o.name for o in fanned if o.recipe == recipe)),
            partitions_def=COMMUNITIES,
            description=f"Every asset {what}that fans out, for one community, inputs first.",
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
