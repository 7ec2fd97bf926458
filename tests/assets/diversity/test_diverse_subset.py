"""Choosing rows: nothing is lost, a minority stays, and it is shown beside chance."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy
import polars
import pytest

from assets.diversity import diverse_subset
from assets.diversity.diverse_subset import NEARER, NO_VECTOR, NOWHERE, Params
from assets.diversity.vendi import vendi
from assets.rows import row_schema
from registry.errors import MethodError
from registry.quality import check
from tests.assets.diversity.conftest import Planted, Write
from tests.assets.diversity.test_kept import COMMUNITY_LINE

if TYPE_CHECKING:
    from registry.context import Context
    from tests.assets.conftest import Build

COMMUNITIES = ["a"] * 80 + ["b"] * 20 + [None] * 20


def rows_of(count: int, communities: Any = None) -> polars.DataFrame:
    named = [f"r{i:05d}" for i in range(count)]
    data = {
        "row_id": named, "parents": [[]] * count, "prompt": [f"ask {i}" for i in range(count)],
        "completion": ["yes"] * count, "source": ["survey"] * count,
        "community": communities or [None] * count, "answer": ["42"] * count,
    }  # fmt: skip
    return polars.DataFrame(data, schema=row_schema() | {"answer": polars.String})


@pytest.fixture
def pool(planted: Planted, write_features: Write, tmp_path: Path) -> dict[str, Path]:
    """120 rows; those of community b are nearly the same."""
    many, labels = planted([60, 30, 10], spread=0.15)
    alike, _ = planted([20], spread=0.001, seed=1)
    vectors = numpy.concatenate([many[:80], alike, many[80:]])
    clusters = numpy.concatenate([labels[:80], [0] * 20, labels[80:]])
    folders = {name: tmp_path / name for name in ("rows", "features", "clusters")}
    for folder in folders.values():
        folder.mkdir()
    rows_of(120, COMMUNITIES).write_parquet(folders["rows"] / "rows.parquet")
    write_features(folders["features"], vectors)
    polars.DataFrame(
        {"row_id": rows_of(120)["row_id"], "cluster": clusters},
        schema_overrides={"cluster": polars.Int32},
    ).write_parquet(folders["clusters"] / "clusters.parquet")
    return folders


def made(build: Build, inputs: dict[str, Path], seed: int = 0, **params: Any) -> Context:
    context = build(Params(**({"rows": 30} | params)), inputs=inputs, seed=seed)
    diverse_subset.run(context)
    return context


@pytest.mark.parametrize("choice", ["log-det", "cluster-balanced", "random"])
def test_every_row_is_kept_or_left_out_with_its_reason(
    build: Build, pool: dict[str, Path], choice: str
) -> None:
    out = made(build, pool, choice=choice).out
    before = polars.read_parquet(pool["rows"] / "rows.parquet")
    kept, left = (polars.read_parquet(out / f"{n}.parquet") for n in ("rows", "rejected"))
    assert (len(kept), len(left)) == (30, 90)
    assert set(kept["row_id"]) | set(left["row_id"]) == set(before["row_id"])
    assert kept.drop("rank").equals(before.filter(before["row_id"].is_in(kept["row_id"].implode())))
    assert sorted(kept["rank"]) == list(range(30))
    assert left.columns == [*before.columns, "reason", "score", "caused_by"]
    assert set(left["reason"]) == {NEARER}
    assert set(left["caused_by"]) <= set(kept["row_id"])


def test_the_cause_is_the_nearest_row_that_was_kept(
    build: Build, pool: dict[str, Path], write_features: Write
) -> None:
    out = made(build, pool).out
    from assets.diversity.features import read_features

    vectors = read_features(pool["features"]).matrix()
    kept, left = (polars.read_parquet(out / f"{n}.parquet") for n in ("rows", "rejected"))
    chosen = [int(i[1:]) for i in kept["row_id"]]
    unit = vectors / numpy.linalg.norm(vectors, axis=1, keepdims=True)
    for row in left.to_dicts()[::9]:
        cosines = unit[chosen] @ unit[int(row["row_id"][1:])]
        assert row["score"] == pytest.approx(cosines.max(), abs=1e-5)
        assert row["caused_by"] == f"r{chosen[int(cosines.argmax())]:05d}"


@pytest.mark.parametrize("choice", ["log-det", "cluster-balanced", "random"])
def test_a_community_that_writes_alike_keeps_its_share(
    build: Build, pool: dict[str, Path], choice: str
) -> None:
    out = made(build, pool, choice=choice).out
    counted = polars.read_parquet(out / "kept.parquet")
    assert set(counted["kind"]) == {"community", "source", "cluster"}
    assert check(out, [COMMUNITY_LINE])[0].success


def test_without_the_promise_the_contract_stops_it(build: Build, pool: dict[str, Path]) -> None:
    out = made(build, pool, community_rate=0).out
    assert check(out, [COMMUNITY_LINE])[0].stops


def test_it_is_shown_beside_as_many_at_random(build: Build, pool: dict[str, Path]) -> None:
    context = made(build, pool)
    table = polars.read_parquet(context.out / "comparison.parquet").to_dicts()
    assert [row["choice"] for row in table] == [
        "log-det", "as many at random", "as many, cluster-balanced",
    ]  # fmt: skip
    assert table[0]["score"] > table[1]["high"]
    headline = json.loads((context.out / "headline.json").read_text())
    assert headline["times as diverse as at random"] > 1.1
    kept = polars.read_parquet(context.out / "rows.parquet")
    from assets.diversity.features import read_features

    vectors = read_features(pool["features"]).take([int(i[1:]) for i in kept["row_id"]])
    assert headline["G-Vendi of the rows kept"] == pytest.approx(vendi(vectors), rel=1e-6)
    assert (context.out / "diverse-subset.png").read_bytes()[:4] == b"\x89PNG"


def test_the_same_seed_gives_the_same_rows(build: Build, pool: dict[str, Path]) -> None:
    def kept(seed: int) -> bytes:
        return (made(build, pool, seed, choice="random").out / "rows.parquet").read_bytes()

    assert kept(3) == kept(3)
    assert kept(3) != kept(4)


def test_rows_without_a_direction_are_left_out_and_named(
    build: Build, pool: dict[str, Path], write_features: Write, tmp_path: Path
) -> None:
    vectors = numpy.eye(10, 12)
    vectors[3] = 0
    write_features(tmp_path / "some", vectors)
    rows_of(12).write_parquet(tmp_path / "some" / "table.parquet")
    (tmp_path / "here").mkdir()
    rows_of(12).write_parquet(tmp_path / "here" / "rows.parquet")
    inputs = {"rows": tmp_path / "here", "features": tmp_path / "some"}
    left = polars.read_parquet(made(build, inputs, rows=9).out / "rejected.parquet")
    found = {row["row_id"]: (row["reason"], row["score"]) for row in left.to_dicts()}
    assert found == {
        "r00003": (NOWHERE, None), "r00010": (NO_VECTOR, None), "r00011": (NO_VECTOR, None),
    }  # fmt: skip
    with pytest.raises(MethodError, match="10 rows cannot be chosen from 9"):
        made(build, inputs, rows=10)


def test_what_does_not_fit_together_is_refused(
    build: Build, pool: dict[str, Path], write_features: Write, tmp_path: Path
) -> None:
    without = {name: pool[name] for name in ("rows", "features")}
    with pytest.raises(MethodError, match="clusters that are not given"):
        made(build, without, choice="cluster-balanced")
    write_features(tmp_path / "other", numpy.eye(2, 32), ids=["r00001", "zz"])
    with pytest.raises(
        MethodError, match="1 vectors belong to rows that are not given, the first zz"
    ):
        made(build, pool | {"features": tmp_path / "other"}, rows=1)
    write_features(tmp_path / "twice", numpy.eye(2, 32), ids=["r00001", "r00001"])
    with pytest.raises(MethodError, match="a row id stands there twice"):
        made(build, pool | {"features": tmp_path / "twice"}, rows=1)
    (tmp_path / "part").mkdir()
    some = polars.read_parquet(pool["clusters"] / "clusters.parquet")
    some.head(7).write_parquet(tmp_path / "part" / "clusters.parquet")
    with pytest.raises(MethodError, match="the row r00007 is in no cluster"):
        made(build, pool | {"clusters": tmp_path / "part"}, choice="cluster-balanced")
    polars.concat([some, some.head(1)]).write_parquet(tmp_path / "part" / "clusters.parquet")
    with pytest.raises(MethodError, match="the row r00000 belongs to two clusters"):
        made(build, pool | {"clusters": tmp_path / "part"})
    with pytest.raises(MethodError, match="1 rows are too few"):
        made(build, pool, rows=1, community_rate=1)
