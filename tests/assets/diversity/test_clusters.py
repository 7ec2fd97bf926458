"""k-means: the known answers of the method, the same from memory and shards, no empty cluster."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from assets.diversity.clusters import Clustering, assign, assign_with_similarities, cluster
from assets.diversity.seeding import Seeding
from registry.errors import MethodError
from tests.assets.diversity.conftest import Planted, Write

SEEDINGS: tuple[Seeding, ...] = ("k-means++", "first-k")


def cloud(rows: int = 300, dimensions: int = 16, seed: int = 0) -> Any:
    drawn = numpy.random.default_rng(seed).standard_normal((rows, dimensions))
    return drawn.astype(numpy.float32)


def whole(found: Clustering) -> bool:
    """Whether every cluster holds a vector, and no centroid is zero."""
    return bool(found.sizes.min() > 0 and numpy.linalg.norm(found.centroids, axis=1).min() > 0)


@pytest.mark.parametrize("spherical", [True, False])
@pytest.mark.parametrize("seeding", SEEDINGS)
def test_inertia_never_increases(spherical: bool, seeding: Seeding) -> None:
    found = cluster(cloud(), 20, iterations=30, seeding=seeding, spherical=spherical)
    steps = numpy.diff(found.inertia_by_iteration)
    assert len(steps) > 3
    assert (steps <= 1e-4).all()
    assert whole(found)


@pytest.mark.parametrize("spherical", [True, False])
@pytest.mark.parametrize("seeding", SEEDINGS)
def test_a_cluster_for_each_vector_leaves_no_distance(spherical: bool, seeding: Seeding) -> None:
    found = cluster(cloud(40), 40, seeding=seeding, spherical=spherical)
    assert found.inertia == pytest.approx(0, abs=1e-3)
    assert sorted(found.labels) == list(range(40))
    assert found.similarities == pytest.approx(1, abs=1e-5)


def test_one_cluster_is_the_mean() -> None:
    vectors = cloud()
    plain = cluster(vectors, 1, spherical=False)
    assert plain.centroids[0] == pytest.approx(vectors.mean(axis=0), abs=1e-6)
    assert plain.inertia == pytest.approx(((vectors - vectors.mean(axis=0)) ** 2).sum(), rel=1e-5)
    unit = vectors / numpy.linalg.norm(vectors, axis=1, keepdims=True)
    mean = unit.mean(axis=0) / numpy.linalg.norm(unit.mean(axis=0))
    assert cluster(vectors, 1).centroids[0] == pytest.approx(mean, abs=1e-5)


@pytest.mark.parametrize("spherical", [True, False])
@pytest.mark.parametrize("batch_rows", [None, 60])
def test_separated_blobs_are_found(
    planted: Planted, spherical: bool, batch_rows: int | None
) -> None:
    vectors, labels = planted([90, 9, 60, 41, 1])
    found = cluster(vectors, 5, seed=3, spherical=spherical, batch_rows=batch_rows)
    assert adjusted_rand_score(labels, found.labels) == 1
    assert sorted(found.sizes) == [1, 9, 41, 60, 90]


def test_the_same_seed_gives_the_same_bytes_and_another_does_not() -> None:
    first, again = (cluster(cloud(), 12, seed=7) for _ in range(2))
    assert first.centroids.tobytes() == again.centroids.tobytes()
    assert first.labels.tobytes() == again.labels.tobytes()
    assert cluster(cloud(), 12, seed=8).centroids.tobytes() != first.centroids.tobytes()


def test_the_order_of_vectors_matters_for_first_k_only() -> None:
    vectors = cloud()
    order = numpy.random.default_rng(1).permutation(len(vectors))
    for seeding, same in (("k-means++", True), ("first-k", False)):
        given: Any = {"seeding": seeding, "seed": 2, "iterations": 5}
        straight = cluster(vectors, 12, **given).labels[order]
        permuted = cluster(vectors[order], 12, **given).labels
        assert (adjusted_rand_score(straight, permuted) == 1) is same


def test_first_k_starts_at_the_first_vectors() -> None:
    vectors = cloud(50)
    found = cluster(vectors, 3, seeding="first-k", iterations=1, spherical=False)
    nearest = ((vectors[:, None] - vectors[None, :3]) ** 2).sum(axis=2).argmin(axis=1)
    means = numpy.stack([vectors[nearest == i].mean(axis=0) for i in range(3)])
    assert found.centroids == pytest.approx(means, abs=1e-5)


def test_lloyd_agrees_with_scikit_learn_from_the_same_start() -> None:
    vectors = cloud(400, 8)
    found = cluster(vectors, 6, seeding="first-k", iterations=100, spherical=False)
    theirs = KMeans(6, init=vectors[:6], n_init=1, max_iter=100, tol=0, algorithm="lloyd")
    theirs.fit(vectors)
    assert adjusted_rand_score(theirs.labels_, found.labels) == 1
    assert found.inertia == pytest.approx(theirs.inertia_, rel=1e-6)
    assert found.centroids == pytest.approx(theirs.cluster_centers_, abs=1e-5)


def test_k_means_plus_plus_starts_better_than_chance(planted: Planted) -> None:
    vectors, _ = planted([200, *[5] * 15], spread=0.01)
    started = cluster(vectors, 16, iterations=1, seed=0).inertia_by_iteration[0]
    at_random = vectors[numpy.random.default_rng(0).permutation(len(vectors))]
    assert started < 0.2 * cluster(at_random, 16, iterations=1, seeding="first-k").inertia


def test_from_shards_it_is_the_same_as_from_memory(write_features: Write, tmp_path: Path) -> None:
    features = write_features(tmp_path, cloud(230), shard=64)
    for given in ({}, {"batch_rows": 50}, {"seeding": "first-k"}):
        options: Any = given
        held = cluster(features, 9, seed=4, **options)
        streamed = cluster(features, 9, seed=4, in_memory=0, **options)
        assert numpy.array_equal(held.labels, streamed.labels)
        assert held.centroids == pytest.approx(streamed.centroids, abs=1e-6)
        assert held.similarities == pytest.approx(streamed.similarities, abs=1e-6)


def test_empty_clusters_are_filled_with_the_farthest_vectors(planted: Planted) -> None:
    """First-k starts all five centroids in one blob: four are empty or nearly so at once."""
    vectors, labels = planted([40, 20, 20, 20, 20], spread=0.001)
    order = numpy.argsort(labels, kind="stable")
    start = numpy.repeat(vectors[order][:1], 5, axis=0)
    given = numpy.concatenate([start, vectors[order]])
    found = cluster(given, 5, seeding="first-k")
    assert found.moved >= 4
    assert found.dropped == 0
    assert sorted(found.sizes) == [20, 20, 20, 20, 45]


def test_vectors_that_are_all_the_same_are_one_cluster_and_it_is_said() -> None:
    found = cluster(numpy.ones((30, 4), dtype=numpy.float32), 5)
    assert (len(found.centroids), found.dropped) == (1, 4)
    assert found.inertia == pytest.approx(0, abs=1e-5)
    assert whole(found)


def test_opposite_vectors_have_no_mean_direction_and_no_zero_centroid() -> None:
    axis = numpy.eye(4, dtype=numpy.float32)[:1]
    found = cluster(numpy.concatenate([axis, -axis] * 10), 1)
    assert numpy.linalg.norm(found.centroids[0]) == pytest.approx(1)
    assert whole(cluster(numpy.concatenate([axis, -axis] * 10), 2))


def test_cosine_and_distance_agree_for_unit_vectors(planted: Planted) -> None:
    vectors, _ = planted([50, 30, 20], spread=0.3)
    found = cluster(vectors, 3)
    distances = ((vectors[:, None] - found.centroids[None]) ** 2).sum(axis=2)
    cosines = vectors @ found.centroids.T
    assert numpy.array_equal(distances.argmin(axis=1), cosines.argmax(axis=1))
    assert numpy.array_equal(found.labels, cosines.argmax(axis=1))
    assert found.similarities == pytest.approx(cosines.max(axis=1), abs=1e-5)
    assert found.inertia == pytest.approx(distances.min(axis=1).sum(), rel=1e-4)


def test_others_are_assigned_to_the_nearest_centroid(planted: Planted) -> None:
    vectors, labels = planted([30, 30, 30])
    found = cluster(vectors, 3)
    assert numpy.array_equal(assign(found, vectors), found.labels)
    others = numpy.eye(32, dtype=numpy.float32)[:3] * 7
    own, cosines = assign_with_similarities(found, others)
    assert [int(found.labels[labels == i][0]) for i in range(3)] == own.tolist()
    assert cosines == pytest.approx(1, abs=1e-2)
    assert assign(found, numpy.zeros((0, 32), dtype=numpy.float32)).shape == (0,)
    with pytest.raises(MethodError, match="vectors of 31 numbers, centroids of 32"):
        assign(found, others[:, :31])


@pytest.mark.parametrize(
    ("vectors", "k", "message"),
    [
        (cloud(5), 6, "5 vectors cannot form 6 clusters"),
        (cloud(5), 0, "5 vectors cannot form 0 clusters"),
        (cloud(5)[:0], 1, "0 vectors cannot form 1 clusters"),
        (cloud(5)[0], 1, "no table"),
        (numpy.eye(5, 4, dtype=numpy.float32), 2, "vector 4 holds only zeros"),
        (numpy.where(numpy.eye(5) > 0, numpy.nan, 1), 2, "vector 0 holds a number that is not f"),
    ],
)
def test_what_cannot_be_clustered_is_named(vectors: Any, k: int, message: str) -> None:
    with pytest.raises(MethodError, match=message):
        cluster(vectors, k)


def test_a_step_of_mini_batches_is_sculleys() -> None:
    """One centroid, batches of all vectors: its mean of all that it has seen."""
    vectors = cloud(20)
    found = cluster(vectors, 1, spherical=False, batch_rows=20, iterations=3, seed=5)
    drawn = [numpy.random.default_rng([5, i, 1]).integers(0, 20, 20) for i in range(3)]
    assert found.centroids[0] == pytest.approx(
        vectors[numpy.concatenate(drawn)].mean(axis=0), abs=1e-5
    )


KILLED = """
import os, signal, sys
import numpy
from pathlib import Path
from assets.diversity.clusters import cluster
vectors = numpy.random.default_rng(0).standard_normal((400, 16)).astype("float32")
def stop(iteration, inertia):
    if iteration == 3:
        os.kill(os.getpid(), signal.SIGKILL)
batch = int(sys.argv[2]) or None
cluster(vectors, 20, seed=1, batch_rows=batch, state=Path(sys.argv[1]), listener=stop)
"""


@pytest.mark.parametrize("batch_rows", [None, 50])
def test_a_killed_run_goes_on_and_gives_the_same_bytes(
    tmp_path: Path, batch_rows: int | None
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), str(batch_rows or 0)], check=False
    )
    assert done.returncode == -signal.SIGKILL
    heard: list[int] = []
    given: Any = {"seed": 1, "batch_rows": batch_rows}
    after = cluster(cloud(400), 20, state=tmp_path, listener=lambda i, _: heard.append(i), **given)
    through = cluster(cloud(400), 20, **given)
    assert heard[0] == 4
    assert after.centroids.tobytes() == through.centroids.tobytes()
    assert after.labels.tobytes() == through.labels.tobytes()
    assert after.inertia_by_iteration == through.inertia_by_iteration
