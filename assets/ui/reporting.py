"""Tells Dagster what other doors made, and which profiles there are.

The function runs in a sensor, and once when the UI starts. For each node it compares the record
with Dagster's latest data version. What it reports carries, for each input, the version and the
pointer to a real event: without them the UI would call the asset fresh for ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import dagster as dg
from dagster import AssetKey, DagsterInstance

from assets.ui.checks import results_of
from assets.ui.evaluations import evaluation, news, tell
from assets.ui.metadata import describe
from assets.ui.naming import (
    CAUSES,
    COMMUNITIES,
    THRESHOLDS_CHECK,
    causes_tag,
    data_version,
    manifest_version,
    profile_key,
)
from registry.artifact import Manifest, digest_of
from registry.graph import Graph, Node
from registry.method import forget_code
from registry.profile_folder import TABLES
from registry.store import Records

_VERSION = "dagster/data_version"
_CODE = "dagster/code_version"
_OWN = "dagster/data_version_is_user_provided"


@dataclass
class Told:
    """What was reported."""

    observed: list[str] = field(default_factory=list)
    materialised: list[str] = field(default_factory=list)
    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    reached: list[str] = field(default_factory=list)
    short: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        parts = {name: names for name, names in vars(self).items() if names}
        return "; ".join(f"{name}: {', '.join(names)}" for name, names in parts.items())


def profile_parts(graph: Graph) -> list[str]:
    """Every table and field of a profile that some method reads."""
    methods = [declared.method for declared in graph.project.declarations.values()]
    fields = {name for method in methods for name in method.profile_fields}
    tables = {name for method in methods for name in method.reads}
    return [*(name for name in TABLES if name in tables), *sorted(fields)]


def report(graph: Graph, instance: DagsterInstance) -> Told:
    """Brings Dagster up to date with the files."""
    forget_code()
    told = Told()
    _follow_profiles(graph, instance, told)
    _observe_profiles(graph, instance, told)
    records, outcomes = Records(graph.project.root), list[dg.AssetCheckEvaluation]()
    for node in graph.nodes.values():
        artifact = graph.artifact(node)
        manifest = artifact.read_manifest()
        if manifest is None or not records.covers(node, artifact.manifest.read_bytes()):
            continue
        tags = _tags(manifest, instance)
        if _latest(instance, AssetKey(node.name), node.community) != _identity(tags):
            _materialise(graph, node, manifest, instance, tags)
            told.materialised.append(node.id)
            outcomes += [
                evaluation(instance, node, result)
                for result in results_of(manifest, node.declaration.contract)
            ]
    for outcome in news(graph, instance):
        outcomes.append(outcome)
        if outcome.check_name == THRESHOLDS_CHECK:
            (told.reached if outcome.passed else told.short).append(_node_id(outcome))
        else:
            (told.unchanged if outcome.passed else told.stale).append(_node_id(outcome))
    tell(instance, outcomes)
    return told


def _node_id(outcome: dg.AssetCheckEvaluation) -> str:
    name = outcome.asset_key.to_user_string()
    return f"{name}@{outcome.partition}" if outcome.partition else name


def _follow_profiles(graph: Graph, instance: DagsterInstance, told: Told) -> None:
    name = str(COMMUNITIES.name)
    known = set(instance.get_dynamic_partitions(name))
    here = {node.community for node in graph.nodes.values() if node.community}
    told.added, told.removed = sorted(here - known), sorted(known - here)
    if told.added:
        instance.add_dynamic_partitions(name, told.added)
    for community in told.removed:
        instance.delete_dynamic_partition(name, community)


def _observe_profiles(graph: Graph, instance: DagsterInstance, told: Told) -> None:
    for community in graph.project.communities:
        profile = graph.project.profiles[community]
        for part in profile_parts(graph):
            if part in TABLES and not profile.table(part).is_file():
                continue
            if part in TABLES:
                version = graph.project.hasher.file(profile.table(part))[:32]
            else:
                version = digest_of(profile.document.data.get(part))[:32]
            key = profile_key(part)
            record = instance.get_latest_data_version_record(key, True, community)
            if record is not None and _event_tags(record).get(_VERSION) == version:
                continue
            instance.report_runless_asset_event(
                dg.AssetObservation(
                    key,
                    partition=community,
                    tags={_VERSION: version, _OWN: "true"},
                    metadata={
                        "profile": profile.profile.name,
                        "revision": profile.profile.revision,
                    },
                )
            )
            told.observed.append(f"{community} {part}")


def _event_tags(record: dg.EventLogRecord) -> dict[str, str]:
    event = record.asset_materialization or record.asset_observation
    return dict(event.tags or {}) if event is not None else {}


def _identity(tags: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """What tells one artifact from another: its content, and what it was made from."""
    return tuple((name, tags.get(name, "")) for name in (_VERSION, CAUSES))


def _latest(
    instance: DagsterInstance, key: AssetKey, partition: str | None
) -> tuple[tuple[str, str], ...]:
    record = instance.get_latest_data_version_record(key, False, partition)
    return _identity(_event_tags(record)) if record is not None else ()


def _inputs(manifest: Manifest) -> Iterator[tuple[AssetKey, str | None, str, bool]]:
    """Key, partition, version and whether it is external, of everything that was read."""
    for entry in manifest.inputs:
        name, _, community = entry.node.partition("@")
        yield AssetKey(name), community or None, entry.content[:32], False
    for profile in manifest.profiles:
        for part, digest in (*profile.tables.items(), *profile.fields.items()):
            yield profile_key(part), profile.id, digest[:32], True


def _tags(manifest: Manifest, instance: DagsterInstance) -> dict[str, str]:
    tags = {
        _VERSION: data_version(manifest),
        _CODE: manifest_version(manifest),
        _OWN: "true",
        **causes_tag(manifest),
    }
    pointers: dict[str, int] = {}
    versions: dict[str, list[str]] = {}
    for key, partition, version, external in _inputs(manifest):
        name = key.to_user_string()
        versions.setdefault(name, []).append(version)
        pointer = _pointer(instance, key, partition, version, external=external)
        pointers[name] = max(pointers.get(name, 0), pointer)
    for name, found in versions.items():
        joined = found[0] if len(found) == 1 else digest_of(sorted(found))[:32]
        tags[f"dagster/input_data_version/{name}"] = joined
        tags[f"dagster/input_event_pointer/{name}"] = str(pointers[name] or "NULL")
    return tags


def _pointer(
    instance: DagsterInstance, key: AssetKey, partition: str | None, version: str, *, external: bool
) -> int:
    """The newest event of an input that carried the version which was read; 0 if none does."""
    cursor: int | None = None
    for _ in range(20):
        record = instance.get_latest_data_version_record(
            key, external, partition, before_cursor=cursor
        )
        if record is None:
            return 0
        if _event_tags(record).get(_VERSION) == version:
            return int(record.storage_id)
        cursor = int(record.storage_id)
    return 0


def _materialise(
    graph: Graph, node: Node, manifest: Manifest, instance: DagsterInstance, tags: dict[str, str]
) -> None:
    key = AssetKey(node.name)
    metadata = {"result": "made through another door", **describe(graph, node, manifest, None)}
    instance.report_runless_asset_event(
        dg.AssetMaterialization(key, partition=node.community, tags=tags, metadata=metadata)
    )
