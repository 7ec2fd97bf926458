"""The threshold of sparse clusters: planted sizes, ties, and the ends of the ratio."""

from __future__ import annotations

import numpy
import pytest

from assets.synthesis.sparse_clusters import cluster_count, draw_sparse_cluster, find_sparse
from registry.errors import MethodError


@pytest.mark.parametrize(
    ("sizes", "ratio", "ties", "threshold", "clusters", "all_accepted"),
    [
        ([90, 9, 1], 0.5, "strictly below", 9, {2}, False),
        ([90, 9, 1], 0.5, "at most", 9, {1, 2}, False),
        ([90, 9, 1], 0.2, "at most", 1, {2}, False),
        ([90, 9, 1], 1.0, "strictly below", 90, {1, 2}, False),
        ([90, 9, 1], 1.0, "at most", 90, {0, 1, 2}, False),
        ([5, 5, 5, 5], 0.5, "at most", 5, {0, 1, 2, 3}, False),
        ([5, 5, 5, 5], 0.5, "strictly below", 5, {0, 1, 2, 3}, True),
        # the trap: most clusters tie at the bottom, so that the dense one is accepted as well
        ([1, 1, 1, 90], 0.5, "strictly below", 1, {0, 1, 2, 3}, True),
        ([1, 1, 1, 90], 0.5, "at most", 1, {0, 1, 2}, False),
        ([7], 0.0, "at most", 7, {0}, False),
        ([7], 1.0, "strictly below", 7, {0}, True),
    ],
)
def test_known_sizes(sizes, ratio, ties, threshold, clusters, all_accepted) -> None:
    found = find_sparse(sizes, ratio, ties)
    assert (found.threshold, found.clusters) == (threshold, clusters)
    assert found.all_accepted == all_accepted


def test_no_clusters_are_an_error() -> None:
    with pytest.raises(MethodError):
        find_sparse([], 0.5, "at most")


def test_a_tenth_of_the_rows_is_the_number_of_clusters() -> None:
    assert [cluster_count(n, 0.1) for n in (1, 9, 10, 19, 1000)] == [1, 1, 1, 1, 100]
    assert cluster_count(5, 1.0) == 5


def test_examples_come_from_the_smallest_clusters_that_hold_rows() -> None:
    labels = numpy.array([0] * 50 + [1] * 5 + [3] * 2 + [4] * 2 + [6] * 41)
    drawn = [draw_sparse_cluster(labels, 0.4, seed) for seed in range(60)]
    assert {tuple(rows) for rows in drawn} == {(55, 56), (57, 58)}
    assert draw_sparse_cluster(labels, 0.01, 3) == [55, 56]
    assert draw_sparse_cluster(labels, 0.4, 9) == draw_sparse_cluster(labels, 0.4, 9)
