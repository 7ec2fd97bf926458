"""k-means on faiss, for unit vectors (spherical) or plain ones, in memory or from shards.

The nearest centroids, nearly all of the work, are found by faiss; the rest is here, so that it is
the same in memory and from shards, no cluster is ever empty, and a killed run goes on.

    clustering = cluster(vectors, k=100, seeding="k-means++", iterations=20, seed=0, spherical=True)
    labels = assign(clustering, other_vectors)

Lloyd's iteration: every vector to its nearest centroid, every centroid to the mean of its vectors,
until nothing changes (S. P. Lloyd, 1982). Spherical: centroids are scaled to length 1 and nearest
means the largest cosine (Dhillon and Modha, 2001). Mini-batch: centroids move towards the means of
a random batch, by the share of it in all that they have seen (D. Sculley, 2010).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.diversity.features import Features
from assets.diversity.seeding import Seeding, first_centroids
from assets.diversity.vectors import IN_MEMORY, Blocks, blocks_of
from registry.artifact import write_atomically
from registry.errors import MethodError

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    from assets.diversity.features import Vectors

_REPAIRS = 20
"""How often, at the end, centroids without vectors are moved before the rest is dropped."""
_APART = 1e-6
"""Squared distance up to which, in float32, a vector counts as lying on its centroid."""
_CANDIDATES = 8192
"""From how many of the farthest vectors one is chosen for a centroid without vectors."""
_STATE = "clusters.npz"

Listener = Callable[[int, float], None]
"""Hears the number of iterations that are over, and the inertia of the last."""


@dataclass(frozen=True)
class Clustering:
    """Clusters of vectors; every cluster holds at least one of them."""

    centroids: Vectors
    """One a cluster, float32; of length 1 where `spherical`. There may be fewer than asked for,
    where there are fewer distinct vectors."""
    labels: NDArray[numpy.int32]
    """The cluster of each vector."""
    similarities: Vectors
    """The cosine of each vector and its centroid."""
    inertia_by_iteration: tuple[float, ...]
    """The sum of squared distances to the nearest centroid, as each iteration found it, and last
    that of the result; with mini-batches, that of the batch, scaled to all vectors."""
    spherical: bool
    moved: int = 0
    """How often a centroid without vectors was moved to the vector farthest from its own."""
    dropped: int = 0
    """Centroids that were dropped since every vector lay on another one."""

    @property
    def inertia(self) -> float:
        """The sum of squared distances of all vectors to their centroids."""
        return self.inertia_by_iteration[-1]

    @property
    def sizes(self) -> NDArray[numpy.int64]:
        """How many vectors each cluster holds."""
        import numpy

        return numpy.bincount(self.labels, minlength=len(self.centroids)).astype(numpy.int64)


@dataclass
class _State:
    """Where a clustering stands between two iterations."""

    centroids: Vectors
    inertia: list[float] = field(default_factory=list)
    seen: NDArray[numpy.int64] | None = None
    """With mini-batches: how many vectors each centroid is the mean of."""
    moved: int = 0
    last: _Found | None = None
    """What the last iteration found, where it changed nothing."""


@dataclass(frozen=True)
class _Found:
    """What a pass over all vectors finds for the centroids as they are."""

    labels: NDArray[numpy.int32]
    distances: Vectors
    """Squared, to the nearest centroid."""
    sums: NDArray[numpy.float64]
    counts: NDArray[numpy.int64]

    @property
    def inertia(self) -> float:
        return float(self.distances.sum(dtype="float64"))


def cluster(
    given: Features | NDArray[Any],
    k: int,
    *,
    seeding: Seeding = "k-means++",
    iterations: int = 20,
    seed: int = 0,
    spherical: bool = True,
    batch_rows: int | None = None,
    in_memory: int = IN_MEMORY,
    state: Path | None = None,
    listener: Listener = lambda _iteration, _inertia: None,
) -> Clustering:
    """Groups vectors into `k` clusters.

    The same for the same vectors, seed and number of threads. With `first-k` the result depends on
    the order of the vectors; with `k-means++` it does not (but for rounding, and the numbers of
    mini-batches, which are drawn by position).

    Args:
        given: One vector a row, or the features of an artifact. Spherical clustering scales
            vectors to length 1.
        k: How many clusters.
        seeding: Where centroids start.
        iterations: At most how many iterations; Lloyd's ends sooner where nothing changes.
        seed: Of everything drawn.
        spherical: Whether centroids have length 1.
        batch_rows: Vectors in a mini-batch; without it, every iteration is over all vectors.
        in_memory: Features of more bytes than this are read from their shards in each iteration.
        state: A folder in which each iteration is kept; a killed run with the same arguments goes
            on from there and gives the same result.
        listener: Hears how far it is.

    Raises:
        MethodError: Where there are fewer vectors than clusters, or a vector is no direction.
    """
    blocks = blocks_of(given, unit=spherical, in_memory=in_memory)
    _require_fit(len(blocks), k, iterations, batch_rows)
    now = _read_state(state) or _State(first_centroids(blocks, k, seeding, seed))
    while len(now.inertia) < iterations and now.last is None:
        if batch_rows is None:
            _lloyd(blocks, now, spherical=spherical)
        else:
            _mini_batch(blocks, now, batch_rows, seed, spherical=spherical)
        if state is not None:
            _write_state(state, now)
        listener(len(now.inertia), now.inertia[-1])
    return _finish(blocks, now, spherical=spherical)


def assign(clustering: Clustering, vectors: NDArray[Any]) -> NDArray[numpy.int32]:
    """The cluster of each of these vectors: that of the nearest centroid."""
    return assign_with_similarities(clustering, vectors)[0]


def assign_with_similarities(
    clustering: Clustering, vectors: NDArray[Any]
) -> tuple[NDArray[numpy.int32], Vectors]:
    """The cluster of each of these vectors, and its cosine with the centroid."""
    import numpy

    if vectors.shape[-1] != clustering.centroids.shape[1]:
        raise MethodError(
            f"vectors of {vectors.shape[-1]} numbers, centroids of {clustering.centroids.shape[1]}",
            mend="assign vectors that were made as those that were clustered",
        )
    if not len(vectors):
        return numpy.zeros(0, dtype=numpy.int32), numpy.zeros(0, dtype=numpy.float32)
    blocks = blocks_of(vectors, unit=clustering.spherical)
    found = _pass(blocks, clustering.centroids, spherical=clustering.spherical)
    return found.labels, _cosines(blocks, clustering.centroids, found.labels)


def _require_fit(rows: int, k: int, iterations: int, batch_rows: int | None) -> None:
    if not 1 <= k <= rows:
        raise MethodError(
            f"{rows} vectors cannot form {k} clusters",
            why="every cluster holds at least one vector",
            mend=f"ask for 1 to {rows} clusters" if rows else "cluster a dataset that has rows",
        )
    if iterations < 1 or (batch_rows is not None and batch_rows < 1):
        raise MethodError("at least one iteration over at least one vector is needed")


def _lloyd(blocks: Blocks, now: _State, *, spherical: bool) -> None:
    """One iteration of Lloyd's."""
    import numpy

    found = _pass(blocks, now.centroids, spherical=spherical)
    centroids, vacant = _means(found.sums, found.counts, now.centroids, spherical=spherical)
    now.moved += _fill(blocks, centroids, vacant, found)
    now.last = found if numpy.array_equal(centroids, now.centroids) else None
    now.centroids = centroids
    now.inertia.append(found.inertia)


def _mini_batch(
    blocks: Blocks, now: _State, batch_rows: int, seed: int, *, spherical: bool
) -> None:
    """One step of Sculley's algorithm; its draw depends on the seed and the step alone."""
    import numpy

    source = numpy.random.default_rng([seed, len(now.inertia), 1])
    drawn = numpy.sort(source.integers(0, len(blocks), min(batch_rows, len(blocks))))
    batch = blocks_of(blocks.take(drawn), unit=spherical)
    found = _pass(batch, now.centroids, spherical=spherical)
    seen = numpy.zeros_like(found.counts) if now.seen is None else now.seen
    weights = (seen / numpy.maximum(seen + found.counts, 1))[:, None]
    fresh = found.sums / numpy.maximum(seen + found.counts, 1)[:, None]
    moved = numpy.where(found.counts[:, None] > 0, weights * now.centroids + fresh, now.centroids)
    whole, _ = _means(
        moved, numpy.ones(len(moved), dtype=numpy.int64), now.centroids, spherical=spherical
    )
    now.centroids, now.seen = whole, seen + found.counts
    now.inertia.append(found.inertia * len(blocks) / len(batch))


def _pass(blocks: Blocks, centroids: Vectors, *, spherical: bool) -> _Found:
    """Finds the nearest centroid of every vector, and adds up the vectors of each centroid."""
    import faiss
    import numpy
    from scipy.sparse import csr_array

    index = (faiss.IndexFlatIP if spherical else faiss.IndexFlatL2)(centroids.shape[1])
    index.add(numpy.ascontiguousarray(centroids))
    labels = numpy.empty(len(blocks), dtype=numpy.int32)
    distances = numpy.empty(len(blocks), dtype=numpy.float32)
    sums = numpy.zeros(centroids.shape, dtype=numpy.float64)
    start = 0
    for block in blocks:
        score, nearest = index.search(block, 1)
        here = slice(start, start + len(block))
        labels[here] = nearest[:, 0]
        distances[here] = numpy.maximum(2 - 2 * score[:, 0] if spherical else score[:, 0], 0)
        ones = numpy.ones(len(block), dtype=numpy.float32)
        member = csr_array((ones, nearest[:, 0], numpy.arange(len(block) + 1)),
                           shape=(len(block), len(centroids)))  # fmt: skip
        present = numpy.unique(nearest)
        sums[present] += (member.T.tocsr()[present] @ block).astype(numpy.float64)
        start += len(block)
    counts = numpy.bincount(labels, minlength=len(centroids)).astype(numpy.int64)
    return _Found(labels, distances, sums, counts)


def _means(
    sums: NDArray[numpy.float64],
    counts: NDArray[numpy.int64],
    before: Vectors,
    *,
    spherical: bool,
) -> tuple[Vectors, NDArray[Any]]:
    """The new centroids, and which of them have no vectors, or none that point anywhere in sum.

    The latter stay where they were.
    """
    import numpy

    divisors = counts.astype(numpy.float64)
    if spherical:
        lengths = numpy.linalg.norm(sums, axis=1)
        divisors = numpy.where(lengths > _APART * numpy.maximum(counts, 1), lengths, 0)
    scaled = sums / numpy.where(divisors > 0, divisors, 1)[:, None]
    centroids: Vectors = numpy.where(divisors[:, None] > 0, scaled, before).astype(numpy.float32)
    return centroids, numpy.flatnonzero(counts == 0)


def _fill(blocks: Blocks, centroids: Vectors, vacant: NDArray[Any], found: _Found) -> int:
    """Moves centroids without vectors to the vectors farthest from any; counts the moves.

    One after the other, so that two do not move into the same gap. Only a vector that is not alone
    in its cluster is taken, so that the sum of distances gets smaller whatever happens next.
    """
    if not len(vacant):
        return 0
    import numpy

    farthest = numpy.argsort(-found.distances, kind="stable")[: max(_CANDIDATES, len(vacant))]
    vectors, left = blocks.take(farthest), found.counts.copy()
    distances, squares = found.distances[farthest], numpy.einsum("nd,nd->n", vectors, vectors)
    moved = 0
    while moved < len(vacant):
        open_to = numpy.where(left[found.labels[farthest]] > 1, distances, 0)
        position = int(open_to.argmax())
        if open_to[position] <= _APART:
            break
        left[found.labels[farthest[position]]] -= 1
        centroids[vacant[moved]] = vectors[position]
        away = squares + squares[position] - 2 * (vectors @ vectors[position])
        distances = numpy.minimum(distances, numpy.maximum(away, 0))
        distances[position] = 0
        moved += 1
    return moved


def _finish(blocks: Blocks, now: _State, *, spherical: bool) -> Clustering:
    """Assigns every vector to the last centroids, none of which stays empty."""
    import numpy

    centroids, moved = now.centroids.copy(), now.moved
    found = now.last or _pass(blocks, centroids, spherical=spherical)
    for _ in range(_REPAIRS):
        vacant = numpy.flatnonzero(found.counts == 0)
        filled = _fill(blocks, centroids, vacant, found)
        if not filled:
            break
        moved += filled
        found = _pass(blocks, centroids, spherical=spherical)
    whole = found.counts > 0
    labels = (numpy.cumsum(whole) - 1)[found.labels].astype(numpy.int32)
    return Clustering(
        centroids[whole],
        labels,
        _cosines(blocks, centroids[whole], labels),
        inertia_by_iteration=(*now.inertia, found.inertia),
        spherical=spherical,
        moved=moved,
        dropped=int((~whole).sum()),
    )


def _cosines(
    blocks: Blocks, centroids: Vectors, labels: NDArray[numpy.int32] | Sequence[int]
) -> Vectors:
    """The cosine of each vector and the centroid of its cluster; 0 where one is all zeros."""
    import numpy

    lengths = numpy.linalg.norm(centroids, axis=1)
    found = numpy.empty(len(blocks), dtype=numpy.float32)
    start = 0
    for block in blocks:
        own = numpy.asarray(labels[start : start + len(block)])
        product = numpy.einsum("nd,nd->n", block, centroids[own])
        scale = numpy.linalg.norm(block, axis=1) * lengths[own]
        found[start : start + len(block)] = product / numpy.where(scale > 0, scale, 1)
        start += len(block)
    return found.clip(-1, 1)


def _write_state(folder: Path, now: _State) -> None:
    import io

    import numpy

    stream = io.BytesIO()
    seen = numpy.zeros(0, dtype=numpy.int64) if now.seen is None else now.seen
    numpy.savez(
        stream, centroids=now.centroids, inertia=now.inertia, seen=seen,
        moved=now.moved,
    )  # fmt: skip
    write_atomically(folder / _STATE, stream.getvalue())


def _read_state(folder: Path | None) -> _State | None:
    import numpy

    if folder is None or not (folder / _STATE).is_file():
        return None
    with numpy.load(folder / _STATE, allow_pickle=False) as kept:
        return _State(
            kept["centroids"],
            kept["inertia"].tolist(),
            seen=kept["seen"] if len(kept["seen"]) else None,
            moved=int(kept["moved"]),
        )
