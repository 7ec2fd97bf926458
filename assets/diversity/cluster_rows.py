"""Clusters of rows by their vectors: which row belongs to which, and where the centres lie."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from pydantic import Field

from assets.diversity.cluster_table import TABLE
from assets.diversity.clusters import Clustering, cluster
from assets.diversity.features import Features, read_features
from assets.diversity.plots import draw_clusters
from assets.diversity.seeding import Seeding
from registry.errors import MethodError
from registry.method import Method, Role
from registry.typed import Frozen

if TYPE_CHECKING:
    from registry.context import Context

_MEGA = 1024**2


class Params(Frozen):
    """How rows are grouped."""

    clusters: int | None = Field(default=None, ge=1)
    """How many clusters; without it, `share` of the rows."""
    share: float = Field(default=0.1, gt=0, le=1)
    """Clusters as a share of the rows; Prismatic Synthesis takes a tenth."""
    seeding: Seeding = "k-means++"
    """Where centroids start: `k-means++`, or `first-k`, which makes the result depend on the rows'
    order."""
    iterations: int = Field(default=20, ge=1)
    """At most how many iterations."""
    spherical: bool = True
    """Whether rows are compared by angle alone."""
    batch_rows: int | None = Field(default=None, ge=1)
    """Rows in a mini-batch; without it every iteration is over all rows."""
    memory_mib: int = Field(default=2048, ge=0)
    """Vectors that need more memory than this are read from their shards in each iteration."""


def run(context: Context) -> None:
    """Clusters the vectors of one artifact."""
    import faiss
    import numpy
    import polars

    params = context.typed(Params)
    faiss.omp_set_num_threads(context.threads)
    given = context.input("features")
    features = read_features(given.files)
    k = params.clusters or max(1, math.floor(params.share * len(features)))
    require_directions(features, given.label)

    def listen(iteration: int, inertia: float) -> None:
        context.progress(iteration, params.iterations, inertia=inertia)

    found = cluster(
        features,
        k,
        seeding=params.seeding,
        iterations=params.iterations,
        seed=context.seed,
        spherical=params.spherical,
        batch_rows=params.batch_rows,
        in_memory=params.memory_mib * _MEGA,
        state=context.work,
        listener=listen,
    )
    table = polars.DataFrame(
        {
            "row_id": features.rows["row_id"],
            "cluster": found.labels,
            "similarity": found.similarities,
        },
        schema_overrides={"cluster": polars.Int32, "similarity": polars.Float32},
    )
    table.write_parquet(context.out / TABLE, compression="zstd", statistics=False)
    numpy.save(context.out / "centroids.npy", found.centroids, allow_pickle=False)
    summary = describe(found, features, k, given.label)
    (context.out / "clusters.json").write_text(json.dumps(summary, indent=2) + "\n")
    headline = {
        "clusters": len(found.centroids),
        "rows in the median cluster": float(numpy.median(found.sizes)),
        "mean similarity to the centre": float(found.similarities.mean()),
    }
    (context.out / "headline.json").write_text(json.dumps(headline, indent=2) + "\n")
    (context.out / "clusters.png").write_bytes(
        draw_clusters(found.sizes.tolist(), found.inertia_by_iteration)
    )


def describe(found: Clustering, features: Features, asked: int, label: str) -> dict[str, Any]:
    """What `clusters.json` says: which vectors, how many clusters, how it went."""
    return {
        "schema_version": 1,
        "features": label,
        "made_with": features.description.made_with,
        "rows": len(features),
        "asked": asked,
        "clusters": len(found.centroids),
        "dropped": found.dropped,
        "moved": found.moved,
        "spherical": found.spherical,
        "inertia_by_iteration": list(found.inertia_by_iteration),
        "sizes": found.sizes.tolist(),
    }


def require_directions(features: Features, label: str) -> None:
    """Raises MethodError where an artifact has no vectors, or one of only zeros."""
    if not len(features):
        raise MethodError(
            "there are no vectors", where=label, mend="make the features of a dataset with rows"
        )
    if "length" in features.rows.columns:
        zero = features.rows.filter(features.rows["length"] == 0)
        if len(zero):
            raise MethodError(
                f"the vector of row {zero['row_id'][0]} holds only zeros",
                where=label,
                why="it points nowhere, so that it belongs to no cluster",
                mend="reject such rows when their features are made",
            )


method = Method(
    name="row-clusters",
    kind="dataset",
    description="Groups rows by their vectors with k-means; every cluster holds a row.",
    params=Params,
    run=run,
    inputs={"features": Role("dataset", "the vectors of the rows")},
    libraries=("faiss-cpu", "numpy", "polars"),
    limits=("Clusters are groups in the vectors, and need not be topics or people.",),
)
