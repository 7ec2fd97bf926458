"""How alike rows are, within groups and between them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars
import pytest

from assets.diversity import row_likeness
from assets.diversity.features import Description, write_description, write_shard
from assets.diversity.homogeneity import exchangeable_mixing, pair_mean
from assets.diversity.row_likeness import Params, likeness_interval, nearest
from assets.rows import read_rows
from registry.errors import MethodError
from registry.results import read_results

if TYPE_CHECKING:
    from tests.assets.conftest import Build


def features(folder: Path, vectors: Any, **columns: list[Any]) -> Path:
    rows = len(vectors)
    lengths = write_shard(folder, 0, np.asarray(vectors, dtype=np.float32))
    ids = [f"r{n}" for n in range(rows)]
    polars.DataFrame({"row_id": ids, "length": lengths, **columns}).write_parquet(
        folder / "rows.parquet"
    )
    width = np.asarray(vectors).shape[1]
    description = Description(of="sentences", made_with="planted", dimensions=width, shards=(rows,))
    write_description(folder, description)
    return folder


def table(build: Build, given: Path, **params: Any) -> dict[str, dict[str, Any]]:
    context = build(Params(**params), inputs={"features": given})
    row_likeness.run(context)
    rows = read_rows(context.out / "groups.parquet").to_dicts()
    assert read_results(context.out)
    return {row["group"]: row for row in rows}


def test_a_group_of_copies_is_seen(build: Build, tmp_path: Path) -> None:
    vectors = np.concatenate([np.tile(np.eye(12)[:1], (4, 1)), np.eye(12)[1:9]])
    names = ["copies"] * 4 + ["varied"] * 8
    found = table(build, features(tmp_path, vectors, source=names))
    assert found["copies"]["likeness"] == pytest.approx(1)
    assert found["varied"]["likeness"] == pytest.approx(0)
    assert found["copies"]["likeness_to_others"] == pytest.approx(0)
    assert (found["copies"]["repeated"], found["varied"]["repeated"]) == (1, 0)
    assert found["all rows"]["repeated"] == pytest.approx(4 / 12)
    assert found["all rows"]["rows"] == 12


def test_groups_that_cannot_be_told_apart_mix_as_by_chance(build: Build, tmp_path: Path) -> None:
    vectors = np.tile(np.eye(4)[:1], (40, 1))
    given = features(tmp_path, vectors, task=["a", "b"] * 20)
    found = table(build, given, group="task", neighbours=5)
    assert found["all rows"]["groups_near"] == pytest.approx(exchangeable_mixing([20, 20], 5))
    assert found["a"]["groups_near_by_chance"] == found["all rows"]["groups_near"]


def test_rows_without_a_group_are_one(build: Build, tmp_path: Path) -> None:
    found = table(build, features(tmp_path, np.eye(4), community=["x", None, None, "x"]),
                  group="community")  # fmt: skip
    assert set(found) == {"all rows", "none", "x"}


def test_the_nearest_other_row_is_named() -> None:
    vectors = np.array([[1, 0], [0.8, 0.6], [0, 1], [0.6, 0.8]])
    places, cosines = nearest(vectors)
    assert places.tolist() == [1, 3, 3, 1]
    assert cosines == pytest.approx([0.8, 0.96, 0.8, 0.96])


def test_an_interval_over_rows_holds_the_mean() -> None:
    source = np.random.default_rng(0)
    vectors = source.normal(size=(200, 8)) + 1
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    low, high = likeness_interval(vectors, 300, source)
    assert low < pair_mean(vectors) < high
    assert high - low < 0.2


def test_copies_alone_have_an_interval_of_no_width() -> None:
    low, high = likeness_interval(np.tile(np.eye(3)[:1], (5, 1)), 50, np.random.default_rng(0))
    assert (low, high) == pytest.approx((1, 1))


def test_many_rows_are_drawn_by_the_seed(build: Build, tmp_path: Path) -> None:
    given = features(tmp_path, np.eye(30), source=["a"] * 30)
    found = table(build, given, rows=10)
    assert found["all rows"]["rows"] == 10


def test_too_few_rows_and_unknown_groups_are_errors(build: Build, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    with pytest.raises(MethodError, match="fewer than two rows"):
        table(build, features(tmp_path / "one", np.eye(1), source=["a"]))
    with pytest.raises(MethodError, match="carry no column 'task'"):
        table(build, features(tmp_path / "two", np.eye(3), source=["a"] * 3), group="task")
