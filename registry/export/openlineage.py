"""OpenLineage: one event a line, each the completed run that made an artifact.

The events are built by OpenLineage's own client, which checks them. Nothing in them is by chance:
a run's id comes from the manifest, and its time is the day of the commit, since no manifest holds
an hour.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

from registry.artifact import Manifest
from registry.export.walked import Walked
from registry.lineage import table_path

if TYPE_CHECKING:
    from openlineage.client.event_v2 import InputDataset, RunEvent

PRODUCER = "https://pypi.org/project/chorus-registry/"
_IDS = uuid.uuid5(uuid.NAMESPACE_URL, PRODUCER)


def as_openlineage(walk: Walked) -> str:
    """The events, as OpenLineage's file transport writes them."""
    from openlineage.client.serde import Serde

    return "".join(f"{Serde.to_json(event)}\n" for event in events(walk))


def events(walk: Walked) -> Iterator[RunEvent]:
    """The run that made each artifact, inputs first."""
    from openlineage.client.event_v2 import Job, OutputDataset, Run, RunEvent, RunState
    from openlineage.client.generated.dataset_version_dataset import DatasetVersionDatasetFacet
    from openlineage.client.generated.documentation_job import DocumentationJobFacet
    from openlineage.client.generated.output_statistics_output_dataset import (
        OutputStatisticsOutputDatasetFacet,
    )

    space = f"chorus:{walk.project}"
    when = dt.datetime.combine(walk.day, dt.time(), dt.UTC).isoformat().replace("+00:00", "Z")
    for node, manifest in walk.manifests.items():
        size = sum(file.size for file in manifest.files)
        rows = sum(manifest.rows.values()) if manifest.rows else None
        method = manifest.method
        said = f"{manifest.kind} by {method.name} ({method.distribution} {method.version})"
        yield RunEvent(
            eventTime=when,
            eventType=RunState.COMPLETE,
            producer=PRODUCER,
            run=Run(runId=str(uuid.uuid5(_IDS, manifest.to_bytes().decode()))),
            job=Job(
                namespace=space,
                name=node,
                facets={
                    "documentation": DocumentationJobFacet(description=said, producer=PRODUCER)
                },
            ),
            inputs=list(_inputs(space, manifest)),
            outputs=[
                OutputDataset(
                    namespace=space,
                    name=node,
                    facets={
                        "version": DatasetVersionDatasetFacet(
                            datasetVersion=manifest.content, producer=PRODUCER
                        )
                    },
                    outputFacets={
                        "outputStatistics": OutputStatisticsOutputDatasetFacet(
                            rowCount=rows,
                            size=size,
                            fileCount=len(manifest.files),
                            producer=PRODUCER,
                        )
                    },
                )
            ],
        )


def _inputs(space: str, manifest: Manifest) -> Iterator[InputDataset]:
    """What a method read: artifacts, tables and fields of profiles, and files of the project."""
    from openlineage.client.event_v2 import InputDataset
    from openlineage.client.generated.dataset_version_dataset import DatasetVersionDatasetFacet

    read = {entry.node: entry.content for entry in manifest.inputs}
    for entry in manifest.profiles:
        read |= {table_path(entry, table): digest for table, digest in entry.tables.items()}
        home = f"value_profiles/{entry.id}/profile.yaml"
        read |= {f"{home}#{name}": digest for name, digest in entry.fields.items()}
    read |= {source.path: source.sha256 for source in manifest.sources}
    for name, digest in read.items():
        version = DatasetVersionDatasetFacet(datasetVersion=digest, producer=PRODUCER)
        yield InputDataset(namespace=space, name=name, facets={"version": version})
