"""Planted scorers: one that is less sure where people disagree, and one that is not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars
import pytest
from scipy.stats import spearmanr

from assets.evaluation import rater_calibration
from assets.evaluation.calibration import calibrate, ceiling, entropy, match, rate, spearman
from assets.evaluation.rater_calibration import Params
from assets.rows import read_rows
from registry.errors import MethodError, UsageError
from registry.results import read_results

if TYPE_CHECKING:
    from tests.assets.conftest import Build


def plant(seed: int, items: int = 1500, raters: int = 25) -> tuple[Any, np.ndarray, np.ndarray]:
    """Ratings, the score of a scorer whose error grows with disagreement, and of one whose
    error does not."""
    source = np.random.default_rng(seed)
    quality = source.uniform(2, 4, items)
    spread = np.where(source.random(items) < 0.5, 0.35, 1.2)
    ratings = {
        f"item-{n:04d}": np.clip(
            np.round(quality[n] + spread[n] * source.normal(size=raters)), 1, 5
        ).tolist()
        for n in range(items)
    }
    noise = source.normal(size=items)
    return ratings, quality + spread * noise, quality + 0.35 * noise


def test_entropies_are_known() -> None:
    assert entropy([1, 2, 3, 4, 5]) == pytest.approx(2.3219, abs=5e-5)
    assert entropy([3] * 25) == 0
    assert entropy([1, 1, 5, 5]) == pytest.approx(1)


def test_ranks_correlate_as_scipy_says() -> None:
    source = np.random.default_rng(0)
    one, other = source.integers(1, 6, 60).astype(float), source.normal(size=60)
    assert float(spearman(one, other)) == pytest.approx(spearmanr(one, other).statistic)
    assert np.isnan(float(spearman(np.ones(5), np.arange(5.0))))


def test_raters_who_agree_leave_no_ceiling_below_one() -> None:
    ratings = {f"i{n}": [float(n % 5 + 1)] * 20 for n in range(40)}
    rated = rate(ratings, 10, np.random.default_rng(0))
    assert ceiling(rated, np.arange(40)) == pytest.approx(1)


def test_raters_who_answer_at_random_leave_hardly_any_ceiling() -> None:
    source = np.random.default_rng(0)
    ratings = {f"i{n}": source.integers(1, 6, 24).tolist() for n in range(400)}
    found = ceiling(rate(ratings, 20, source), np.arange(400))
    assert np.isnan(found) or found < 0.4


def test_the_ceiling_is_what_the_truth_reaches() -> None:
    ratings, _, _ = plant(5)
    source = np.random.default_rng(0)
    rated = rate(ratings, 30, source)
    truth = np.random.default_rng(5).uniform(2, 4, 1500)
    reached = float(spearman(truth, rated.means))
    assert ceiling(rated, np.arange(1500)) == pytest.approx(reached, abs=0.02)


def test_partners_have_the_same_mean_and_less_disagreement() -> None:
    ratings, _, _ = plant(1)
    rated = rate(ratings, 2, np.random.default_rng(0))
    found = match(rated, 0.3, 0.2)
    assert not set(found.disputed) & set(found.matched)
    assert len(set(found.matched)) == len(found.matched) >= 300
    apart = np.abs(rated.means[found.disputed] - rated.means[found.matched])
    assert apart.max() <= 0.2 * rated.means.std()
    assert rated.entropies[found.disputed].min() >= rated.entropies[found.matched].max() - 1e-12


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_scorer_whose_error_grows_with_disagreement_falls_and_another_does_not(
    seed: int,
) -> None:
    ratings, growing, steady = plant(seed)
    rated = rate(ratings, 20, np.random.default_rng(seed))
    subsets = match(rated, 0.3, 0.2)
    grown = calibrate(rated, growing, subsets, 120, np.random.default_rng(0))
    level = calibrate(rated, steady, subsets, 120, np.random.default_rng(0))
    assert grown.falls
    assert grown.difference < -0.1
    assert not level.falls
    assert abs(level.difference) < 0.12
    assert grown.disputed_ceiling < grown.matched_ceiling


def test_without_a_ceiling_a_sound_scorer_would_seem_to_fall() -> None:
    """The reason for the ceiling: on disputed items the raw correlation is lower in any case."""
    ratings, _, _ = plant(3)
    quality = np.random.default_rng(3).uniform(2, 4, 1500)
    rated = rate(ratings, 20, np.random.default_rng(0))
    found = calibrate(rated, quality, match(rated, 0.3, 0.2), 60, np.random.default_rng(0))
    assert found.disputed < found.matched - 0.05
    assert not found.falls


def test_too_few_pairs_are_an_error() -> None:
    ratings = {f"i{n}": [1.0 + n % 2, 1.0, 5.0, 2.0] * 5 for n in range(12)}
    with pytest.raises(MethodError, match="fewer than 10 pairs"):
        match(rate(ratings, 2, np.random.default_rng(0)), 0.3, 0.2)


def tables(folder: Path, seed: int = 0, items: int = 240) -> Params:
    ratings, growing, steady = plant(seed, items)
    polars.DataFrame(
        [
            {"item": item, "rater": f"r{n}", "rating": value}
            for item, given in ratings.items()
            for n, value in enumerate(given)
        ]
    ).write_csv(folder / "ratings.csv")
    polars.DataFrame(
        [
            {"item": item, "scorer": scorer, "score": float(scores[place])}
            for scorer, scores in (("growing", growing), ("steady", steady))
            for place, item in enumerate(sorted(ratings))
        ]
    ).write_parquet(folder / "scores.parquet")
    return Params(ratings="ratings.csv", scores="scores.parquet", resamples=60, splits=10)


def test_the_method_writes_what_it_found(build: Build, tmp_path: Path) -> None:
    context = build(tables(tmp_path), root=tmp_path)
    rater_calibration.run(context)
    rows = {row["scorer"]: row for row in
            read_rows(context.out / "calibration.parquet").to_dicts()}  # fmt: skip
    assert rows["growing"]["difference"] < rows["steady"]["difference"]
    assert rows["growing"]["items"] == 240
    found = read_results(context.out)
    assert {result.about for result in found} == {"growing", "steady"}
    assert all(result.people == 25 for result in found)
    assert (context.out / "calibration.png").stat().st_size > 1000


def test_the_same_seed_gives_the_same_bytes(build: Build, tmp_path: Path) -> None:
    params = tables(tmp_path, items=160)
    contexts = [build(params, root=tmp_path) for _ in range(2)]
    for context in contexts:
        rater_calibration.run(context)
    first, second = ({p.name: p.read_bytes() for p in c.out.iterdir()} for c in contexts)
    assert first == second


def test_items_with_few_ratings_are_left_out(build: Build, tmp_path: Path) -> None:
    params = tables(tmp_path, items=160)
    with (tmp_path / "ratings.csv").open("a") as stream:
        stream.write("lonely,r0,3.0\n")
    context = build(params, root=tmp_path)
    rater_calibration.run(context)
    rejected = read_rows(context.out / "rejected.parquet").to_dicts()
    assert [(row["item"], row["reason"]) for row in rejected] == [
        ("lonely", "fewer than 20 ratings")
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("item,rater,score\na,b,1\n", "has no column 'rating'"),
        ("item,rater,rating\na,b,often\n", "row 1 has no name, or no rating that is a number"),
        ("item,rater,rating\na,b,1\na,b,2\n", "b gives a two ratings"),
        ("item,rater,rating\na,b,NaN\n", "row 1"),
        ("item,rater,rating\n,b,1\n", "row 1"),
        ("item,rater,rating\na,b,1\n", "no item has 20 ratings"),
        ("", "cannot be read"),
    ],
)
def test_a_wrong_table_is_an_error(build: Build, tmp_path: Path, text: str, message: str) -> None:
    params = tables(tmp_path, items=40)
    (tmp_path / "ratings.csv").write_text(text)
    with pytest.raises((UsageError, MethodError), match=message):
        rater_calibration.run(build(params, root=tmp_path))
