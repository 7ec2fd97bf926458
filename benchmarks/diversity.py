"""Prints what scores, clusters and choices of many rows take: `python -m benchmarks.diversity`.

Each figure stands beside what one would call instead, in the same run and with one thread. Seconds
are the processor's, since others may use the machine; wall seconds follow in brackets. `--only` is
one of score, stream, clusters, choice; `--rows` makes a quick try.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy
import polars
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from assets.diversity.clusters import cluster
from assets.diversity.features import Description, read_features, write_description, write_shard
from assets.diversity.subset import at_random, log_det
from assets.diversity.vendi import noise_score, vendi

DIMENSIONS, CLUSTERS, ITERATIONS, CHOSEN, SHARD = 1024, 1000, 20, 1000, 4096
Vectors = NDArray[numpy.float32]


class Took:
    """Processor and wall seconds of an action, and what it gave."""

    def __init__(self, action: Callable[[], Any]) -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        self.found = action()
        self.cpu, self.wall = time.process_time() - cpu, time.perf_counter() - wall

    def __str__(self) -> str:
        return f"{self.cpu:8.2f} s ({self.wall:.2f})"


def vectors_of(rows: int, kinds: int = 2000, seed: int = 0) -> Vectors:
    """Unit vectors around many directions of unequal weight, with as much noise again."""
    source = numpy.random.default_rng(seed)
    centres = source.standard_normal((kinds, DIMENSIONS), dtype=numpy.float32)
    weights = 1 / numpy.arange(1, kinds + 1) ** 0.5
    found = source.standard_normal((rows, DIMENSIONS), dtype=numpy.float32)
    found += centres[source.choice(kinds, rows, p=weights / weights.sum())]
    found /= numpy.linalg.norm(found, axis=1, keepdims=True)
    return found


def line(name: str, took: object, beside: str = "") -> None:
    """Prints one figure."""
    print(f"  {name:<44} {took}  {beside}", flush=True)


def measure_score(rows: int) -> None:
    """G-Vendi beside the bare product X'X and the public package."""
    from vendi_score import vendi as public

    print(f"G-Vendi of {rows:,} x {DIMENSIONS} in float32", flush=True)
    vectors = vectors_of(rows)
    pairs = [(Took(lambda: vectors.T @ vectors), Took(lambda: vendi(vectors))) for _ in range(7)]
    bare = sorted((pair[0] for pair in pairs[1:]), key=lambda t: t.cpu)[3]
    ours = sorted((pair[1] for pair in pairs[1:]), key=lambda t: t.cpu)[3]
    exact = vendi(vectors, 1.0) / vendi(vectors.astype(numpy.float64)) - 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = Took(lambda: public.score_dual(vectors))
    line("bare matrix product X'X", bare)
    line("ours", ours, f"{ours.cpu / bare.cpu:.2f} times the product (claim: under 1.5)")
    line("vendi-score, score_dual", theirs)
    line("ours less float64, as a share", f"{exact:10.1e}", f"score {ours.found:.4f}")


def write_many(folder: Path, rows: int) -> None:
    """Features of many rows on disk; shards repeat, as links, to spare the disk."""
    shards = -(-rows // SHARD)
    for index in range(min(shards, 16)):
        write_shard(folder, index, vectors_of(SHARD, seed=index))
    for index in range(16, shards):
        os.link(folder / "features" / f"{index % 16:05d}.npy", folder / f"features/{index:05d}.npy")
    sizes = (SHARD,) * shards
    names = polars.Series("row_id", numpy.arange(SHARD * shards)).cast(polars.String)
    table = polars.DataFrame([names]).with_columns(length=polars.lit(1.0, dtype=polars.Float32))
    table.write_parquet(folder / "rows.parquet")
    write_description(
        folder,
        Description(of="gradients", made_with="noise", dimensions=DIMENSIONS, shards=sizes),
    )


def stream_one(folder: Path) -> None:
    """In a process of its own: the score of features on disk, and the peak memory."""
    import resource

    features = read_features(folder)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    took = Took(lambda: vendi(features))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps([len(features), took.cpu, took.wall, took.found, before, peak]))


def measure_stream(rows: int) -> None:
    """The score of ever more rows from shards on disk: time grows, memory does not."""
    print(f"G-Vendi from shards of {SHARD:,} rows on disk", flush=True)
    for count in (rows, 10 * rows):
        with tempfile.TemporaryDirectory() as folder:
            write_many(Path(folder), count)
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.diversity", "--stream", folder],
                check=True, capture_output=True, text=True,
            )  # fmt: skip
        found, cpu, wall, value, before, peak = json.loads(done.stdout)
        line(f"{found:,} rows", f"{cpu:8.2f} s ({wall:.2f})",
             f"peak {peak:,.0f} MiB, {before:,.0f} before; score {value:.2f}, "
             f"noise {noise_score(found, DIMENSIONS):.2f}")  # fmt: skip


def measure_clusters(rows: int) -> None:
    """k-means beside faiss called directly, and scikit-learn's mini-batches."""
    import faiss
    from sklearn.cluster import MiniBatchKMeans

    faiss.omp_set_num_threads(1)
    k = min(CLUSTERS, rows // 100)
    print(f"k-means of {rows:,} x {DIMENSIONS}, k={k}, {ITERATIONS} iterations", flush=True)
    vectors = vectors_of(rows)

    def direct() -> tuple[float, int]:
        means = faiss.Kmeans(DIMENSIONS, k, niter=ITERATIONS, max_points_per_centroid=rows)
        means.train(vectors, init_centroids=vectors[:k].copy())
        return float(means.assign(vectors)[0].sum(dtype=numpy.float64)), len(means.obj)

    def own(seeding: Any, **more: Any) -> Any:
        return cluster(vectors, k, seeding=seeding, iterations=ITERATIONS, spherical=False, **more)

    def sizes(found: Any) -> str:
        return f"inertia {found.inertia:,.1f}, {len(found.inertia_by_iteration) - 1} iterations"

    theirs, ours = Took(direct), Took(lambda: own("first-k"))
    line("faiss directly, labels included", theirs,
         f"inertia {theirs.found[0]:,.1f}, {theirs.found[1]} iterations")  # fmt: skip
    line("ours from the same first k", ours,
         f"{sizes(ours.found)}; {ours.cpu / theirs.cpu:.2f} of faiss (claim: 1.05)")  # fmt: skip
    plus = Took(lambda: own("k-means++"))
    line("ours, k-means++", plus, sizes(plus.found))
    batches = Took(lambda: own("k-means++", batch_rows=10 * k))
    line("ours, k-means++, mini-batches", batches, sizes(batches.found))
    public = Took(lambda: MiniBatchKMeans(k, n_init=3, random_state=0).fit(vectors))
    line("scikit-learn, MiniBatchKMeans", public, f"inertia {public.found.inertia_:,.1f}")


def measure_choice(rows: int) -> None:
    """The greedy diverse subset beside one pass over all rows for each choice, and chance."""
    m = min(CHOSEN, rows // 10)
    print(f"choosing {m:,} of {rows:,} x {DIMENSIONS}", flush=True)
    vectors = vectors_of(rows)
    ours = Took(lambda: log_det(vectors, m))
    tried = 20
    single = vectors[0].copy()
    passes = Took(lambda: [(vectors @ single) ** 2 for _ in range(tried)])
    chance = vendi(vectors[at_random(rows, m)])
    line("greedy log-det", ours, f"G-Vendi {vendi(vectors[ours.found]):.2f}, random {chance:.2f}")
    line("one pass a choice, by estimate", f"{passes.cpu * m / tried:8.2f} s",
         f"from {tried} passes")  # fmt: skip


PARTS = {
    "score": measure_score,
    "stream": measure_stream,
    "clusters": measure_clusters,
    "choice": measure_choice,
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--stream", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    with threadpool_limits(1):
        if given.stream is not None:
            stream_one(given.stream)
            return
        for name, measure in PARTS.items():
            if given.only in (None, name):
                measure(given.rows)


if __name__ == "__main__":
    main()
