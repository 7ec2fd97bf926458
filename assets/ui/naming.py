"""Keys, groups, versions and check names: how nodes are called in Dagster."""

from __future__ import annotations

import re
from collections.abc import Mapping

import dagster as dg

from registry.artifact import Manifest, digest_of
from registry.expectation import Expectation
from registry.graph import Graph, Node
from registry.method import code_of
from registry.project import Declared

COMMUNITIES = dg.DynamicPartitionsDefinition(name="community")
"""One partition for each accepted or admitted community."""
CONSENT_CHECK = "the_permission_of_every_profile_grants_this_use"
UNCHANGED_CHECK = "nothing_that_it_was_made_from_has_changed"
THRESHOLDS_CHECK = "it_reaches_what_its_community_demands_of_a_release"
SENSOR = "what_other_doors_made"
GPU_POOL = "gpu"
CAUSES = "chorus/causes"

_GROUPS = {"dataset": "1_data", "model": "2_models", "evaluation": "3_evaluation"}


def group_of(declared: Declared) -> str:
    """The group in pipeline order: sources, data, models, evaluation; a recipe is one by itself."""
    if declared.recipe:
        return f"4_recipe_{identifier(declared.recipe)}"
    if declared.method.run.__module__.startswith("assets.sources."):
        return "0_sources"
    return _GROUPS[declared.declaration.kind]


def identifier(name: str) -> str:
    """A name in the letters that Dagster takes."""
    return re.sub(r"[^a-z0-9]+", "_", name)


def profile_key(part: str) -> dg.AssetKey:
    """The external asset of one table or field of the profiles; its partitions are communities."""
    return dg.AssetKey(["value_profiles", identifier(part)])


def code_version(declared: Declared) -> str:
    """Changes with the method's code, its parameters, its seed, its threads and processes."""
    declaration, params = declared.declaration, declared.params.model_dump(mode="json")
    code, asked = code_of(declared.method.name).digest, declaration.resources
    return _version(code, params, declaration.seed, asked.threads, asked.processes)


def manifest_version(manifest: Manifest) -> str:
    """The same of a made artifact, so that both can be compared."""
    return _version(
        manifest.method.code, manifest.params, manifest.seed, manifest.threads, manifest.processes
    )


def _version(
    code: str, params: Mapping[str, object], seed: int, threads: int, processes: int
) -> str:
    """One process counts as nothing, so that what was made before there were more is as it was."""
    several = [processes] if processes > 1 else []
    return digest_of([code, params, seed, threads, *several])[:16]


def data_version(manifest: Manifest) -> str:
    """The content that the record vouches for; the same content is never news downstream."""
    return manifest.content[:32]


def causes_tag(manifest: Manifest) -> dict[str, str]:
    """Our own tag: tells two materialisations of the same content apart by their causes."""
    inputs = [entry.model_dump(mode="json") for entry in (*manifest.inputs, *manifest.sources)]
    profiles = [[p.id, p.tables, p.fields] for p in manifest.profiles]
    return {CAUSES: digest_of([manifest_version(manifest), inputs, profiles])[:32]}


def check_names(expectations: tuple[Expectation, ...]) -> Mapping[str, Expectation]:
    """A name for each expectation: its reason as a sentence, since that is what a reader wants."""
    found: dict[str, Expectation] = {}
    for expectation in expectations:
        words = re.sub(r"[^A-Za-z0-9]+", "_", expectation.reason).strip("_")
        name, number = words, 2
        while name in found or name in (CONSENT_CHECK, UNCHANGED_CHECK):
            name, number = f"{words}_{number}", number + 1
        found[name] = expectation
    return found


def node_of(graph: Graph, name: str, partition: str | None) -> Node:
    """The node that an asset, or one partition of it, is."""
    return graph.node(f"{name}@{partition}" if partition else name)
