"""The evaluation: equal numbers of rows, groups, comparable vectors only, and what is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy
import polars
import pytest

from assets.diversity import vendi_score
from assets.diversity.vendi import noise_score, vendi
from assets.diversity.vendi_score import Params
from registry.context import Input
from registry.errors import MethodError
from registry.results import read_results
from tests.assets.diversity.conftest import Planted, Write

if TYPE_CHECKING:
    from registry.context import Context
    from tests.assets.conftest import Build


def cloud(rows: int, seed: int = 0) -> Any:
    return numpy.random.default_rng(seed).standard_normal((rows, 48))


def made(build: Build, *folders: Path, clusters: Path | None = None, **params: Any) -> Context:
    inputs: dict[str, Any] = {"features": [Input(f.name, None, f) for f in folders]}
    if clusters is not None:
        inputs["clusters"] = clusters
    given = {"draws": 5, "resamples": 20} | params
    context = build(Params(**given), inputs=inputs)
    vendi_score.run(context)
    return context


def scores(context: Context) -> dict[tuple[str, str, str, str], dict[str, Any]]:
    table = polars.read_parquet(context.out / "scores.parquet")
    return {(r["dataset"], r["kind"], r["group"], r["order"]): r for r in table.to_dicts()}


def test_datasets_are_scored_at_the_number_of_rows_of_the_smallest(
    build: Build, write_features: Write, tmp_path: Path
) -> None:
    write_features(tmp_path / "large", cloud(400))
    write_features(tmp_path / "small", cloud(120, 1) * ([1] * 8 + [0.1] * 40))
    context = made(build, tmp_path / "large", tmp_path / "small")
    found = scores(context)
    large, small = (found[name, "all rows", "", "1"] for name in ("large", "small"))
    assert (large["rows"], large["drawn"], small["drawn"]) == (400, 120, 120)
    assert large["low"] > small["high"]
    assert large["noise"] == pytest.approx(noise_score(120, 48))
    assert large["score"] == pytest.approx(large["noise"], rel=0.03)
    summary = json.loads((context.out / "summary.json").read_text())
    whole = summary["datasets"]["large"]["whole"]["1"]
    assert whole > large["score"]
    assert (context.out / "g-vendi.png").read_bytes()[:4] == b"\x89PNG"


def test_each_order_is_there_and_they_fall(
    build: Build, write_features: Write, tmp_path: Path
) -> None:
    write_features(tmp_path / "one", cloud(60))
    found = scores(made(build, tmp_path / "one", orders=(0.5, 1, 2, "inf")))
    values = [found["one", "all rows", "", order]["score"] for order in ("0.5", "1", "2", "inf")]
    assert values == sorted(values, reverse=True)


def test_communities_and_clusters_stand_at_equal_numbers_of_their_own(
    build: Build, planted: Planted, write_features: Write, tmp_path: Path
) -> None:
    """Community b writes one thing alone; c is too small to be scored."""
    many, labels = planted([50, 30, 20], spread=0.2)
    alike, _ = planted([40], spread=0.01, seed=1)
    vectors = numpy.concatenate([many, alike, many[:5]])
    communities = ["a"] * 100 + ["b"] * 40 + ["c"] * 5
    features = write_features(tmp_path / "mixed", vectors, {"community": communities})
    (tmp_path / "groups").mkdir()
    clusters = [*labels.tolist(), *[3] * 40, *[None] * 5]
    polars.DataFrame({"row_id": features.ids, "cluster": clusters}).write_parquet(
        tmp_path / "groups" / "clusters.parquet"
    )
    context = made(build, tmp_path / "mixed", clusters=tmp_path / "groups")
    found = scores(context)
    a, b = (found["mixed", "community", name, "1"] for name in ("a", "b"))
    assert (a["drawn"], b["drawn"], a["rows"]) == (40, 40, 100)
    assert a["low"] > b["high"]
    assert not any(group == "c" for _, _, group, _ in found)
    drawn = {k[2]: r["drawn"] for k, r in found.items() if k[1] == "cluster"}
    assert drawn == {"0": 20, "1": 20, "2": 20, "3": 20}
    shown = read_results(context.out)
    assert [(r.about, r.community, r.metric, r.items) for r in shown] == [
        ("mixed", "", "G-Vendi", 145), ("mixed", "a", "G-Vendi", 40), ("mixed", "b", "G-Vendi", 40),
    ]  # fmt: skip
    assert not shown[0].lower_is_better
    assert shown[0].low <= shown[0].value <= shown[0].high


def test_one_group_does_not_change_the_draws_of_another(
    build: Build, write_features: Write, tmp_path: Path
) -> None:
    write_features(tmp_path / "x", cloud(90))
    write_features(tmp_path / "y", cloud(90, 1))
    both = scores(made(build, tmp_path / "x", tmp_path / "y", rows=50))
    alone = scores(made(build, tmp_path / "x", rows=50))
    assert {k: v for k, v in both.items() if k[0] == "x"} == alone


def test_sentences_score_under_another_name(
    build: Build, write_features: Write, tmp_path: Path
) -> None:
    write_features(tmp_path / "said", cloud(40), of="sentences")
    assert read_results(made(build, tmp_path / "said").out)[0].metric == "Vendi score"


def test_vectors_of_zeros_are_left_out_and_counted(
    build: Build, write_features: Write, tmp_path: Path
) -> None:
    vectors = cloud(60)
    vectors[[4, 55]] = 0
    write_features(tmp_path / "some", vectors)
    context = made(build, tmp_path / "some")
    row = scores(context)["some", "all rows", "", "1"]
    assert (row["rows"], row["drawn"]) == (58, 58)
    assert row["score"] == pytest.approx(vendi(numpy.delete(vectors, [4, 55], axis=0)), rel=1e-3)
    assert (
        json.loads((context.out / "summary.json").read_text())["datasets"]["some"]["left_out"] == 2
    )


@pytest.mark.parametrize("other", [{"made_with": "another"}, {"of": "sentences"}])
def test_vectors_that_were_made_otherwise_are_refused(
    build: Build, write_features: Write, tmp_path: Path, other: dict[str, str]
) -> None:
    write_features(tmp_path / "x", cloud(40))
    write_features(tmp_path / "y", cloud(40), **other)  # type: ignore[arg-type]
    with pytest.raises(
        MethodError, match=r"x has (made_with|of) (.|\n)*say nothing about each other"
    ):
        made(build, tmp_path / "x", tmp_path / "y")


def test_what_cannot_be_scored_is_named(
    build: Build, write_features: Write, tmp_path: Path
) -> None:
    write_features(tmp_path / "none", numpy.zeros((0, 4)))
    with pytest.raises(MethodError, match="none: 0 vectors have no diversity"):
        made(build, tmp_path / "none")
    write_features(tmp_path / "x", cloud(40))
    with pytest.raises(MethodError, match="the same features are given twice"):
        made(build, tmp_path / "x", tmp_path / "x")
    with pytest.raises(MethodError, match="no features to score"):
        made(build)
