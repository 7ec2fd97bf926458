"""The pluralism evaluation on planted answers, where every figure is known beforehand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from assets.evaluation import pluralism
from assets.evaluation.cross_matrix import draw, markdown
from assets.evaluation.distances import best_single_predictor, jensen_shannon, total_variation
from assets.evaluation.predictors import Item, battery_mean, read_answers, slice_of
from assets.evaluation.resampling import interval, resample, score, widening
from assets.opinion_tables import OpinionTable
from assets.option_prompt import arrange
from assets.rows import read_rows
from registry.context import Input
from registry.errors import MethodError
from tests.assets.evaluation.planted import (
    BATTERIES,
    BEST,
    FLOOR,
    HELD,
    HELD_OUT,
    LEARNED,
    OPTIONS,
    Evaluated,
    Planted,
    World,
    planted_world,
    uniform,
)

if TYPE_CHECKING:
    from tests.assets.conftest import Build


@pytest.fixture(scope="module")
def world(build: Build, tmp_path_factory: pytest.TempPathFactory) -> World:
    return planted_world(build, tmp_path_factory.mktemp("profiles"))


@pytest.fixture(scope="module")
def evaluated(world: World) -> Evaluated:
    return world.evaluate(
        world.plant("base", None, uniform, outside=0.25),
        world.plant("own", "north", lambda item, _, __: HELD["north"][item]),
        world.plant("own", "south", lambda item, _, __: HELD["south"][item], outside=0.1),
    )


def test_a_model_that_answers_exactly_as_a_community_has_distance_zero(
    evaluated: Evaluated,
) -> None:
    for part in pluralism.SLICES:
        for community in HELD:
            for metric in ("tv", "jsd", "tv-single"):
                value = evaluated.value(part, community, f"own@{community}", metric)
                assert value == pytest.approx(0, abs=1e-12)
    crossed = evaluated.value("asked", "south", "own@north")
    assert crossed == pytest.approx((0.5 + 0.2 + 0.4) / 3)
    assert crossed == pytest.approx(evaluated.value("asked", "north", "own@south"))


def test_the_uniform_rows_are_the_distances_of_the_tables(evaluated: Evaluated) -> None:
    for part, chosen in (
        ("asked", ("one", "two", "four")),
        ("unseen wording", ("one", "two", "four")),
        ("unseen questions", ("three", "five")),
    ):
        for community, held in HELD.items():
            pairs = [(np.array(uniform(item)), np.array(held[item])) for item in chosen]
            for name, metric in (("tv", total_variation), ("jsd", jensen_shannon)):
                expected = np.mean([metric(p, q) for p, q in pairs])
                assert evaluated.value(part, community, "uniform", name) == pytest.approx(expected)
                assert evaluated.value(part, community, "base", name) == pytest.approx(expected)
            assert evaluated.row(part, community, "uniform")["items"] == len(chosen)


def test_the_tables_are_baselines(evaluated: Evaluated) -> None:
    assert evaluated.value("asked", "north", FLOOR) == pytest.approx(0.1)
    for community in HELD:
        found = evaluated.value("asked", community, "pooled table")
        assert found == pytest.approx((0.25 + 0.1 + 0.2) / 3)


def test_on_unseen_questions_only_the_other_items_of_a_battery_are_known(
    evaluated: Evaluated,
) -> None:
    mean = (np.array(LEARNED["north"]["one"]) + np.array(LEARNED["north"]["two"])) / 2
    three = total_variation(mean, np.array(HELD["north"]["three"]))
    five = total_variation(np.array(uniform("five")), np.array(HELD["north"]["five"]))
    found = evaluated.value("unseen questions", "north", "table of battery means")
    assert found == pytest.approx((three + five) / 2)
    both = np.mean([LEARNED[c][item] for c in LEARNED for item in ("one", "two")], axis=0)
    pooled = total_variation(both, np.array(HELD["north"]["three"]))
    assert evaluated.value("unseen questions", "north", "pooled table") == pytest.approx(
        (pooled + five) / 2
    )


def test_the_best_single_predictor_has_the_lowest_mean_over_communities(
    evaluated: Evaluated,
) -> None:
    items = ("one", "two", "four")
    expected = [
        np.mean([total_variation(single, np.array(HELD[c][item])) for c in HELD])
        for item in items
        for single in [best_single_predictor([np.array(HELD[c][item]) for c in HELD])]
    ]
    found = np.mean([evaluated.value("asked", c, BEST) for c in HELD])
    assert found == pytest.approx(np.mean(expected))
    for label in ("uniform", "pooled table", "base", "own@north", "own@south"):
        assert np.mean([evaluated.value("asked", c, label) for c in HELD]) >= found - 1e-9


def test_each_slice_reads_its_own_questions(world: World) -> None:
    def planted(item: str, wording: str, _: str) -> tuple[float, ...]:
        return uniform(item) if wording == "unseen" else HELD["north"][item]

    found = world.evaluate(world.plant("m", None, planted))
    assert found.value("asked", "north", "m") == pytest.approx(0, abs=1e-12)
    assert found.value("unseen wording", "north", "m") == pytest.approx(
        found.value("unseen wording", "north", "uniform")
    )
    mixed = [
        total_variation(
            (2 * np.array(HELD["north"][item]) + np.array(uniform(item))) / 3,
            np.array(HELD["north"][item]),
        )
        for item in ("three", "five")
    ]
    assert found.value("unseen questions", "north", "m") == pytest.approx(np.mean(mixed))
    assert slice_of(held_out=True, wording="unseen") == "unseen questions"


def test_mass_outside_the_options_is_reported_and_does_not_help(evaluated: Evaluated) -> None:
    expected = {"base": 0.25, "own@north": 0.0, "own@south": 0.1}
    for label, outside in expected.items():
        for part in pluralism.SLICES:
            assert evaluated.summary["outside"][label][part] == pytest.approx(outside)


def test_one_wording_and_order_at_a_time_is_never_nearer_than_their_mean(world: World) -> None:
    source = np.random.default_rng(0)
    drawn = {
        (item, wording, order): tuple(source.dirichlet(np.ones(len(OPTIONS[item]))))
        for item in OPTIONS
        for wording in ("a", "b", "unseen")
        for order in ("forward", "reversed")
    }
    found = world.evaluate(world.plant("m", None, lambda *key: drawn[key]))
    for part in pluralism.SLICES:
        for community in HELD:
            single = found.row(part, community, "m", "tv-single")
            assert single["value"] > found.value(part, community, "m")
            assert single["low"] is single["high"] is None
    direct = np.mean(
        [
            total_variation(np.array(values), np.array(HELD["north"][item]))
            for (item, wording, _), values in drawn.items()
            if item not in HELD_OUT and wording == "unseen"
        ]
    )
    assert found.value("unseen wording", "north", "m", "tv-single") == pytest.approx(direct)


def test_a_lean_on_position_cancels_over_both_orders(world: World) -> None:
    def first(item: str, _: str, order: str) -> tuple[float, ...]:
        given = (0.7, 0.3) if len(OPTIONS[item]) == 2 else (0.6, 1 / 3, 1 / 15)
        return tuple(arrange(given, "reversed" if order == "reversed" else "forward"))

    files = world.plant("m", None, first).files
    answers = read_answers(files)
    assert answers.mean("asked", "one") == pytest.approx(np.full(3, 1 / 3))
    assert answers.mean("asked", "four") == pytest.approx(np.full(2, 1 / 2))
    assert answers.single["asked", "one"].shape == (4, 3)
    assert answers.single["unseen wording", "one"].shape == (2, 3)
    assert answers.single["unseen questions", "three"].shape == (6, 3)


def test_a_battery_mean_never_uses_the_item_itself_nor_one_held_out() -> None:
    items = {
        name: Item(name, BATTERIES[name], tuple(OPTIONS[name]), name in HELD_OUT)
        for name in OPTIONS
    }
    table = {name: np.array(shares) for name, shares in LEARNED["north"].items()}
    for name in ("one", "three"):
        before = battery_mean(items[name], items, table)
        changed = table | {name: table[name][::-1], "three": np.array([1.0, 0.0, 0.0])}
        assert battery_mean(items[name], items, changed) == pytest.approx(before)
    assert battery_mean(items["one"], items, table) == pytest.approx(table["two"])
    assert battery_mean(items["four"], items, table) == pytest.approx(uniform("four"))


def test_intervals_contain_their_value_and_shrink_with_more_respondents(world: World) -> None:
    widths = {}
    for n in (100, 10_000):
        tables = {item: OpinionTable(s, n, n) for item, s in HELD["north"].items()}
        redrawn = resample(tables, 2000, np.random.default_rng(0))
        assert redrawn["one"].shape == (2000, 3)
        assert redrawn["one"].sum(axis=1) == pytest.approx(np.ones(2000))
        goal = [np.array(s) for s in HELD["north"].values()]
        flat = [np.array(uniform(item)) for item in OPTIONS]
        value, again = score(flat, goal, list(redrawn.values()), total_variation)
        low, high = interval(value, again, 1.0)
        assert low < value < high
        widths[n] = high - low
    assert widths[100] / widths[10_000] == pytest.approx(10, rel=0.1)
    found = world.evaluate(world.plant("m", None, uniform))
    for row in found.rows:
        if row["low"] is not None:
            assert 0 <= row["low"] <= row["value"] <= row["high"]


def test_the_interval_of_a_share_is_the_textbooks() -> None:
    table = {"four": OpinionTable((0.8, 0.2), 500, 400.0)}
    redrawn = resample(table, 20_000, np.random.default_rng(0))["four"]
    away = [np.array([0.0, 1.0])]
    value, again = score(away, [np.array([0.8, 0.2])], [redrawn], total_variation)
    low, high = interval(value, again, 1.0)
    assert value == pytest.approx(0.8)
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(0.8 * 0.2 / 400), rel=0.02)


def test_intervals_widen_with_the_items_that_the_same_people_answered(world: World) -> None:
    assert widening(1, 0.5) == 1
    assert widening(31, 0) == 1
    assert widening(31, 1) == pytest.approx(31**0.5)
    models = (
        world.plant("m", None, uniform),
        world.plant("own", "north", lambda item, _, __: HELD["north"][item]),
    )
    apart = world.evaluate(*models, item_correlation=0)
    together = world.evaluate(*models, item_correlation=0.5)
    for part, items in (("asked", 3), ("unseen questions", 2)):
        rows = [found.row(part, "north", "m") for found in (apart, together)]
        narrow, wide = (row["high"] - row["value"] for row in rows)
        assert wide / narrow == pytest.approx(widening(items, 0.5))
        differences = [
            next(c for c in found.summary["own_minus_rivals"] if c["slice"] == part)
            for found in (apart, together)
        ]
        narrow, wide = (given["high"] - given["low"] for given in differences)
        assert wide / narrow == pytest.approx(widening(items, 0.5))


def test_own_minus_the_model_for_all_has_its_own_interval(evaluated: Evaluated) -> None:
    compared = evaluated.summary["own_minus_rivals"]
    assert {(c["slice"], c["community"], c["own"], c["other"]) for c in compared} == {
        (part, community, f"own@{community}", "base")
        for part in pluralism.SLICES
        for community in HELD
    }
    for given in compared:
        own, other = (
            evaluated.value(given["slice"], given["community"], given[side])
            for side in ("own", "other")
        )
        assert given["difference"] == pytest.approx(own - other)
        assert given["low"] < given["difference"] < given["high"]


def test_shares_that_sum_to_one_only_nearly_can_be_redrawn() -> None:
    tables = {"one": OpinionTable((0.3333, 0.66675, 0.0), 100, 100.0)}
    redrawn = resample(tables, 50, np.random.default_rng(0))["one"]
    assert redrawn.sum(axis=1) == pytest.approx(np.ones(50))


def test_the_same_seed_gives_the_same_files(world: World) -> None:
    models = (world.plant("m", None, uniform), world.plant("own", "north", uniform))
    first, second = world.evaluate(*models), world.evaluate(*models)
    names = {
        "headline.json",
        "results.json",
        "scores.parquet",
        "summary.json",
        "notes.json",
        "cross-matrix.md",
        "cross-matrix.png",
        "figures.md",
        "figures.parquet",
        "jury.parquet",
        "weights.parquet",
        "comparisons.parquet",
        "skill.png",
        "calibration.png",
        "weights.png",
    }
    assert {path.name for path in first.files.iterdir()} == names
    for name in names:
        assert (first.files / name).read_bytes() == (second.files / name).read_bytes()


def test_answers_to_another_questionnaire_are_refused(world: World) -> None:
    for item, change in (
        ("two", lambda rows: rows.filter(rows["item"] != "two")),
        ("five", lambda rows: rows.with_columns(held_out=rows["item"] == "three")),
    ):
        model = world.plant("m", None, uniform)
        path = model.files / "probabilities.parquet"
        change(read_rows(path)).write_parquet(path)
        with pytest.raises(MethodError) as caught:
            world.evaluate(model)
        assert "m did not answer this questionnaire" in str(caught.value)
        assert f"item {item} differs" in str(caught.value)


def test_without_communities_there_is_nothing_to_score_on(world: World, build: Build) -> None:
    with pytest.raises(MethodError, match="no community to score on"):
        World(build, world.questionnaire, ()).evaluate(world.plant("m", None, uniform))


MATRIX = {
    "asked": {
        "uniform": {"north": 0.3, "south": 0.2},
        BEST: {"north": 0.06, "south": 0.07},
        FLOOR: {"north": 0.01, "south": 0.02},
        "pooled-sft": {"north": 0.18, "south": 0.11},
        "own@north": {"north": 0.05, "south": 0.25},
    }
}
NAMES = {"north": "respondents aged 22-34, of the north", "south": "respondents of the south"}
COMPARED = [
    {
        "slice": "asked",
        "own": "own@north",
        "other": "pooled-sft",
        "difference": -0.13,
        "low": -0.15,
        "high": -0.11,
    }
]


def test_the_table_bolds_the_best_of_a_column_and_sets_the_oracles_apart() -> None:
    assert (
        markdown(MATRIX, NAMES, COMPARED)
        == f"""\
Mean total variation to respondents held out. Read down columns; lower is nearer.


## asked

|  | respondents aged 22-34, of the north | respondents of the south | mean |
|---|---|---|---|
| uniform | 0.300 | 0.200 | 0.250 |
| pooled-sft | 0.180 | **0.110** | 0.145 |
| own@north | **0.050** | 0.250 | 0.150 |
| {BEST} |  |  | 0.065 |
| {FLOOR} | 0.010 | 0.020 | 0.015 |

| own minus other, on its own people | pooled-sft |
|---|---|
| own@north | -0.130 (-0.150 to -0.110) |
"""
    )


def test_a_hostile_name_breaks_neither_table_nor_picture(tmp_path: Path) -> None:
    names = {"north": r"people | of $\frac$ <script>", "south": "paid $5 and $6"}
    rows = markdown(MATRIX, names, []).splitlines()
    header = next(row for row in rows if "people" in row)
    assert header.replace(r"\|", "").count("|") == 5
    draw(MATRIX, names, tmp_path / "matrix.png")
    assert (tmp_path / "matrix.png").stat().st_size > 1000


def test_the_picture_can_be_read_and_is_the_same_twice(tmp_path: Path) -> None:
    matrix = MATRIX | {"unseen questions": MATRIX["asked"]}
    draw(matrix, NAMES, tmp_path / "first.png")
    draw(matrix, NAMES, tmp_path / "second.png")
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()
    with Image.open(tmp_path / "first.png") as picture:
        picture.load()
        assert picture.format == "PNG"
        assert min(picture.size) > 400
        assert "Software" not in picture.info


# One model that is told whom to answer as.


def told(world: World, as_each: Mapping[str, Planted], outside: float = 0.0) -> list[Input]:
    found = []
    for community, planted in as_each.items():
        one = world.plant("c", None, planted, outside)
        path = one.files / "model.json"
        path.write_text(json.dumps({"model": "c", "community": None, "told": community}))
        found.append(one)
    return found


def knows(community: str) -> Planted:
    return lambda item, _, __: HELD[community][item]


def test_a_model_that_is_told_the_group_is_one_row_read_down_columns(world: World) -> None:
    given = told(world, {c: knows(c) for c in HELD}, outside=0.2)
    found = world.evaluate(*given, world.plant("own", "north", uniform))
    label = "c, told the group"
    for part in pluralism.SLICES:
        for community in HELD:
            assert found.value(part, community, label) == pytest.approx(0, abs=1e-12)
            assert found.value(part, community, label, "tv-single") == pytest.approx(0, abs=1e-12)
            assert found.summary["outside"][label][part] == pytest.approx(0.2)
    compared = [c for c in found.summary["own_minus_rivals"] if c["other"] == label]
    assert {c["own"] for c in compared} == {"own@north"}
    assert all(c["difference"] > 0 for c in compared)
    results = json.loads((found.files / "results.json").read_text())["results"]
    mine = [r for r in results if r["about"] == "c"]
    assert {r["community"] for r in mine} == set(HELD)
    assert all(label in r["beside"] for r in results if r["about"] == "own@north")


def test_told_the_wrong_group_it_answers_as_that_group(world: World) -> None:
    swapped = {"north": knows("south"), "south": knows("north")}
    found = world.evaluate(*told(world, swapped))
    expected = np.mean(
        [
            total_variation(np.array(HELD["north"][i]), np.array(HELD["south"][i]))
            for i in OPTIONS
            if i not in HELD_OUT
        ]
    )
    for community in HELD:
        value = found.value("asked", community, "c, told the group")
        assert value == pytest.approx(expected)


def test_a_group_that_a_model_was_not_asked_as_is_named(world: World) -> None:
    with pytest.raises(MethodError, match="c was not asked as south") as caught:
        world.evaluate(*told(world, {"north": knows("north")}))
    assert "asked as north" in str(caught.value)


def test_answers_as_one_group_given_twice_are_refused(world: World) -> None:
    twice = told(world, {"north": uniform}) + told(world, {"north": uniform})
    with pytest.raises(MethodError, match="answers of c as north are given twice"):
        world.evaluate(*twice)
