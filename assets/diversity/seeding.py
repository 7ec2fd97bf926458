"""Where the centroids of k-means start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from assets.diversity.features import Vectors
    from assets.diversity.vectors import Blocks

Seeding = Literal["k-means++", "first-k"]
"""`k-means++`: each next centroid is a vector drawn with probability proportional to its squared
distance from those drawn (Arthur and Vassilvitskii, 2007). `first-k`: the first k vectors, as the
official code of Prismatic Synthesis does, so that the result depends on their order."""
_DRAWN_FROM = 10
"""k-means++ draws from this many vectors a centroid, chosen at random where there are more."""
_AT_LEAST = 8192
"""It draws from all vectors where there are no more than these."""


def first_centroids(blocks: Blocks, k: int, seeding: Seeding, seed: int) -> Vectors:
    """The vectors at which `k` centroids start, k x d."""
    import numpy

    if seeding == "first-k":
        return blocks.take(numpy.arange(k)).copy()
    most = max(_AT_LEAST, _DRAWN_FROM * k)
    vectors = blocks.take(_in_order_of_content(blocks, seed)[:most])
    chosen: Vectors = vectors[_spread(vectors, k, numpy.random.default_rng([seed, 0]))]
    return chosen


def _in_order_of_content(blocks: Blocks, seed: int) -> NDArray[Any]:
    """The positions of the vectors in an order that their numbers and the seed alone decide.

    So what is drawn does not depend on the order in which the vectors stand.
    """
    import hashlib

    import numpy

    key = seed.to_bytes(8, "little")
    digests = [
        hashlib.blake2b(vector.tobytes(), digest_size=8, key=key).digest()
        for block in blocks
        for vector in block
    ]
    return numpy.argsort(numpy.frombuffer(b"".join(digests), dtype="<u8"), kind="stable")


def _spread(vectors: Vectors, k: int, source: Any) -> NDArray[Any]:
    """The positions of k different vectors, drawn by k-means++."""
    import numpy

    squares = numpy.einsum("nd,nd->n", vectors, vectors)
    chosen = numpy.empty(k, dtype=numpy.int64)
    free = numpy.ones(len(vectors), dtype=bool)
    distances = numpy.full(len(vectors), numpy.inf, dtype=numpy.float32)
    for index in range(k):
        weights = numpy.cumsum(numpy.where(free, distances, 0), dtype=numpy.float64)
        if index == 0 or weights[-1] <= 0:
            weights = numpy.cumsum(free, dtype=numpy.float64)
        drawn = numpy.searchsorted(weights, source.random() * weights[-1], side="right")
        position = min(int(drawn), len(vectors) - 1)
        chosen[index], free[position] = position, False
        away = squares + squares[position] - 2 * (vectors @ vectors[position])
        numpy.minimum(distances, numpy.maximum(away, 0), out=distances)
    return chosen
