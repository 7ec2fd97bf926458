"""Which clusters are small enough to grow: the threshold of Prismatic Synthesis, and its ties.

With K clusters by size, the threshold is the size at place floor(K x ratio), counted from 0 at the
smallest. With a ratio of 1, where the published code reads past the end, it is the largest size.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from registry.errors import MethodError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Ties = Literal["at most", "strictly below"]


@dataclass(frozen=True)
class Sparse:
    """The clusters that may grow."""

    threshold: int
    """The size that decides."""
    clusters: frozenset[int]
    """Those that may grow."""
    all_accepted: bool
    """Whether all may, since none is below the threshold."""


def cluster_count(rows: int, share: float) -> int:
    """How many clusters a pool gets: this share of its rows, and at least one."""
    return max(1, min(rows, int(rows * share)))


def find_sparse(sizes: Sequence[int], ratio: float, ties: Ties) -> Sparse:
    """The clusters that may grow.

    Args:
        sizes: Rows in each cluster.
        ratio: Where among the clusters by size the threshold lies, from 0 to 1.
        ties: `strictly below` the threshold, as published: where many clusters are as small as the
            smallest, none is below, and then all are accepted. `at most` has no such case.
    """
    if not sizes:
        raise MethodError("there are no clusters")
    ordered = sorted(sizes)
    threshold = ordered[min(int(len(ordered) * ratio), len(ordered) - 1)]
    if ties == "at most":
        found = frozenset(i for i, size in enumerate(sizes) if size <= threshold)
    else:
        found = frozenset(i for i, size in enumerate(sizes) if size < threshold)
    if not found:
        return Sparse(threshold, frozenset(range(len(sizes))), all_accepted=True)
    return Sparse(threshold, found, all_accepted=False)


def draw_sparse_cluster(labels: NDArray[Any], share: float, seed: int) -> list[int]:
    """The rows of one cluster, drawn from the smallest `share` of all clusters that hold rows.

    Of clusters that are equally small, those of the lower number count as smaller.
    """
    source = random.Random(seed)  # noqa: S311
    members: dict[int, list[int]] = {}
    for place, label in enumerate(labels.tolist()):
        members.setdefault(label, []).append(place)
    ordered = sorted(members, key=lambda label: (len(members[label]), label))
    chosen = source.choice(ordered[: max(1, int(len(ordered) * share))])
    return members[chosen]
