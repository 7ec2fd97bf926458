"""The method that clusters rows: what it writes, and what it refuses."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy
import polars
import pytest

from assets.diversity import cluster_rows
from assets.diversity.cluster_rows import Params
from registry.errors import MethodError
from tests.assets.diversity.conftest import Planted, Write

if TYPE_CHECKING:
    from registry.context import Context
    from tests.assets.conftest import Build


def made(build: Build, folder: Path, events: Any = None, **params: Any) -> Context:
    context = build(Params(**params), inputs={"features": folder}, events=events)
    cluster_rows.run(context)
    return context


def test_every_row_has_a_cluster_and_the_centres_are_written(
    build: Build, planted: Planted, write_features: Write, tmp_path: Path
) -> None:
    vectors, labels = planted([60, 30, 10])
    write_features(tmp_path, vectors)
    events = StringIO()
    context = made(build, tmp_path, events, clusters=3)
    table = polars.read_parquet(context.out / "clusters.parquet")
    assert dict(table.schema) == {
        "row_id": polars.String, "cluster": polars.Int32, "similarity": polars.Float32,
    }  # fmt: skip
    assert table["row_id"].to_list() == [f"r{i:05d}" for i in range(100)]
    assert {(a, b) for a, b in zip(labels, table["cluster"], strict=True)}.__len__() == 3
    assert table["similarity"].min() > 0.95
    centroids = numpy.load(context.out / "centroids.npy")
    assert (centroids.shape, centroids.dtype) == ((3, 32), numpy.float32)
    summary = json.loads((context.out / "clusters.json").read_text())
    assert sorted(summary["sizes"]) == [10, 30, 60]
    assert (summary["clusters"], summary["asked"], summary["dropped"]) == (3, 3, 0)
    assert (context.out / "clusters.png").read_bytes()[:4] == b"\x89PNG"
    heard = [json.loads(line) for line in events.getvalue().splitlines()]
    assert [e["done"] for e in heard] == list(range(1, len(heard) + 1))
    assert heard[0]["inertia"] >= heard[-1]["inertia"]


def test_a_tenth_of_the_rows_become_clusters_by_default(
    build: Build, planted: Planted, write_features: Write, tmp_path: Path
) -> None:
    for rows, expected in ((119, 11), (5, 1)):
        folder = tmp_path / str(rows)
        write_features(folder, planted([rows], spread=0.5)[0])
        context = made(build, folder)
        assert json.loads((context.out / "clusters.json").read_text())["clusters"] == expected


def test_little_memory_gives_the_same_clusters(
    build: Build, planted: Planted, write_features: Write, tmp_path: Path
) -> None:
    write_features(tmp_path, planted([70, 50], spread=0.3)[0])
    tables = [
        polars.read_parquet(made(build, tmp_path, memory_mib=m).out / "clusters.parquet")
        for m in (2048, 0)
    ]
    assert tables[0].drop("similarity").equals(tables[1].drop("similarity"))


def test_rows_that_are_all_the_same_are_one_cluster_and_it_is_said(
    build: Build, write_features: Write, tmp_path: Path
) -> None:
    write_features(tmp_path, numpy.ones((40, 8)))
    summary = json.loads((made(build, tmp_path).out / "clusters.json").read_text())
    assert (summary["asked"], summary["clusters"], summary["dropped"]) == (4, 1, 3)


def test_what_cannot_be_clustered_is_named(
    build: Build, write_features: Write, tmp_path: Path
) -> None:
    write_features(tmp_path / "zero", numpy.eye(3, 2))
    with pytest.raises(MethodError, match="the vector of row r00002 holds only zeros"):
        made(build, tmp_path / "zero", clusters=1)
    write_features(tmp_path / "none", numpy.zeros((0, 4)))
    with pytest.raises(MethodError, match="there are no vectors"):
        made(build, tmp_path / "none")
    write_features(tmp_path / "few", numpy.eye(3))
    with pytest.raises(MethodError, match="3 vectors cannot form 4 clusters"):
        made(build, tmp_path / "few", clusters=4)
