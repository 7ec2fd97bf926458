"""Repetition in other words: Llama 3's pruning on vectors.

Inside each cluster rows are taken from the best-ranked down, and a row is kept if its cosine to
every row kept before it is below the threshold (Llama 3, section 4.2.3; the rule is SemDeDup's).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from assets.diversity.filtering.minhash import Nearest

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    from assets.diversity.features import Vectors

    Positions = NDArray[numpy.int64]
    Flags = NDArray[numpy.bool_]

_BLOCK = 512
_UNMET = -2.0
"""Below every cosine."""
SLACK = 1e-6
"""Equal vectors in float32 have cosines just below 1."""


def nearest_kept(
    vectors: Vectors,
    labels: NDArray[Any],
    order: Positions,
    eligible: Flags,
    threshold: float,
) -> Nearest:
    """Goes through each cluster from the best-ranked row down, as `minhash.nearest_kept` does.

    Args:
        vectors: A unit vector a row, float32.
        labels: The cluster of each row.
        order: The rows' positions, the best-ranked first.
        eligible: Whether a row may be kept.
        threshold: The cosine from which a row is a repetition.
    """
    import numpy

    score = numpy.full(len(vectors), _UNMET)
    cause = numpy.full(len(vectors), -1, dtype=numpy.int64)
    by_cluster = order[numpy.argsort(labels[order], kind="stable")]
    edges = numpy.flatnonzero(numpy.diff(labels[by_cluster])) + 1
    for members in numpy.split(by_cluster, edges):
        if len(members) > 1:
            _in_cluster(vectors, members, eligible, threshold, score, cause)
    score[cause < 0] = 0
    return Nearest(score, cause)


def _in_cluster(
    vectors: Vectors,
    members: Positions,
    eligible: Flags,
    threshold: float,
    score: NDArray[Any],
    cause: Positions,
) -> None:
    import numpy

    kept = numpy.empty((len(members), vectors.shape[1]), dtype=numpy.float32)
    names = numpy.empty(len(members), dtype=numpy.int64)
    held = 0
    for start in range(0, len(members), _BLOCK):
        block = members[start : start + _BLOCK]
        here = vectors[block]
        among = here @ here.T
        begin = held
        if held:
            cosines = here @ kept[:held].T
            best = cosines.argmax(axis=1)
            score[block] = cosines[numpy.arange(len(block)), best]
            cause[block] = names[best]
        fresh: list[int] = []
        for place, row in enumerate(block.tolist()):
            if fresh:
                nearest = int(among[place, fresh].argmax())
                cosine = float(among[place, fresh[nearest]])
                if cosine > score[row]:
                    score[row], cause[row] = cosine, names[begin + nearest]
            if eligible[row] and score[row] < threshold - SLACK:
                kept[held], names[held] = here[place], row
                fresh.append(place)
                held += 1
