"""Steerability of planted models: exact ones, models that are all alike, and bad input."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import t

from assets.evaluation import norm_answers, steerability, steering_pairs
from assets.evaluation.norm_answers import answer_schema
from assets.evaluation.steerability import MatrixParams, Params
from assets.evaluation.steering import average_seeds, clustered
from assets.evaluation.steering_pairs import score_schema
from assets.evaluation.steering_scores import Answerer, Column, Scores
from assets.rows import read_rows, write_rows
from registry.context import Input
from registry.errors import MethodError
from registry.results import Result, Results, read_results
from tests.assets.evaluation.planted import HELD, LEARNED, planted_world, uniform

TOWNS = ("north", "south", "west")
JUDGED = {"north": -2, "south": 1, "west": 0}


@pytest.fixture(scope="module")
def world(build, tmp_path_factory):
    return planted_world(build, tmp_path_factory.mktemp("profiles"))


def exact(community):
    return lambda item, _wording, _order: HELD[community][item]


def measure(world, *models, params=None, **roles):
    inputs = {"answers": list(models), "questionnaire": world.questionnaire, **roles}
    context = world.build(params or Params(), inputs=inputs, profiles=world.profiles)
    steerability.run(context)
    return context.out


def rows_of(out, **wanted):
    found = read_rows(out / "steerability.parquet").to_dicts()
    return [row for row in found if all(row[name] == value for name, value in wanted.items())]


def test_exact_models_are_steerable_as_clearly_as_can_be(world):
    models = [world.plant("own", c, exact(c)) for c in HELD]
    out = measure(world, *models, world.plant("all", None, uniform))
    for row in rows_of(out, family="own", slice="asked"):
        assert row["own"] == pytest.approx(1)
        assert row["steerability"] == pytest.approx(1 - row["others"])
        assert row["p"] == row["smallest_p"] == 0.25  # two models, two batteries
        assert (row["exact"], row["clusters"], row["models"], row["items"]) == (True, 2, 2, 3)
        assert row["p_family"] == 0.5  # Holm over two communities
        assert row["low"] < row["steerability"] < row["high"]
        assert row["people"] == 400
    summary = json.loads((out / "summary.json").read_text())
    both = next(f for f in summary["families"] if (f["family"], f["slice"]) == ("own", "asked"))
    assert both["p"] == both["smallest_p"] == 0.5  # two ways to say whose is whose
    cells = {(r["slice"], r["community"], r["answerer"]): r for r in
             read_rows(out / "matrix.parquet").to_dicts()}  # fmt: skip
    assert cells["asked", "north", "own@north"]["value"] == pytest.approx(1)
    assert cells["asked", "north", "all"]["value"] == pytest.approx(0)
    results = read_results(out)
    assert {one.about for one in results} == {"own@north", "own@south"}
    first = next(one for one in results if one.slice == "asked")
    assert first.beside["one model for all"] == 0
    assert first.beside["tables of what was learned from"] > 0
    text = (out / "steering.md").read_text()
    assert "**1.000** \u2022" in text
    assert (out / "cross-matrix.png").stat().st_size > 1000
    assert (out / "steerability.png").stat().st_size > 1000


def test_models_that_are_all_alike_have_no_steerability_and_p_one(world):
    same = [world.plant("own", c, exact("north")) for c in HELD]
    out = measure(world, *same)
    for row in rows_of(out, family="own"):
        assert row["steerability"] == pytest.approx(0, abs=1e-12)
        assert row["p"] == row["p_family"] == 1
    summary = json.loads((out / "summary.json").read_text())
    assert {f["p"] for f in summary["families"] if not f["baseline"]} == {1}


def test_models_that_serve_the_other_community_are_below_zero(world):
    crossed = [world.plant("own", a, exact(b)) for a, b in (("north", "south"), ("south", "north"))]
    for row in rows_of(measure(world, *crossed), family="own", slice="asked"):
        assert row["steerability"] < 0
        assert row["p"] == 1


def test_tables_reach_what_can_be_learned(world):
    """A model that says what its learning table says is as steerable as the tables are."""
    taught = [world.plant("own", c, lambda i, *_, c=c: LEARNED[c][i]) for c in HELD]
    for row in rows_of(measure(world, *taught), family="own", slice="asked"):
        assert row["steerability"] == pytest.approx(row["tables"])


def test_one_model_that_is_told_the_group_is_a_family(world):
    def told(community):
        given = world.plant("one", None, exact(community))
        path = given.files / "model.json"
        path.write_text(json.dumps({"model": "one", "community": None, "told": community}))
        return given

    out = measure(world, *(told(c) for c in HELD))
    rows = rows_of(out, family="one, told the group", slice="asked")
    assert [row["own"] for row in rows] == pytest.approx([1, 1])
    assert [row["node"] for row in rows] == ["one", "one"]


def test_seeds_are_averaged_before_anything_else(world):
    def half(c):
        return lambda item, *_: tuple((a + 0.5) / (1 + len(HELD[c][item]) / 2)
                                      for a in HELD[c][item])  # fmt: skip

    seeds = [
        world.plant(f"own-{n}", c, say(c)) for n, say in enumerate((exact, half)) for c in HELD
    ]
    params = Params(seeds={"own": ("own-0", "own-1")})
    out = measure(world, *seeds, params=params)
    assert {row["family"] for row in rows_of(out, baseline=False)} == {"own"}
    apart = measure(world, *seeds)
    for row in rows_of(out, family="own", slice="asked"):
        each = rows_of(apart, slice="asked", community=row["community"], baseline=False)
        mean = np.mean([one["steerability"] for one in each])
        assert row["steerability"] == pytest.approx(mean)


def test_one_community_alone_has_a_page_that_says_why_nothing_is_compared(world):
    out = measure(world, world.plant("own", "north", exact("north")))
    assert rows_of(out, baseline=False) == []
    assert read_results(out) == ()
    assert read_rows(out / "matrix.parquet").height > 0


def norms(folder, model, community, says):
    """`norm-answers` of a model that puts everything on one judgement of each town's norms."""
    rows = [
        {"row_id": f"{town}-{n}-{option}", "parents": [], "community": town, "norm": f"n{n}",
         "item": None, "wording": "a", "judgement": JUDGED[town], "agreement": 4, "commonest": -1,
         "order": "forward", "option": option, "probability": float(option == says(town)),
         "outside": 0.0}
        for town in TOWNS for n in range(4) for option in (-2, -1, 0, 1, 2)
    ]  # fmt: skip
    write_rows(folder / norm_answers.PROBABILITIES, rows, answer_schema())
    return written(folder, model, community)


def pairs(folder, model, community, likes):
    """`preference-answers` of a model that finds the preferred answer of some towns likelier."""
    rows = [
        {"row_id": f"{town}-{n}", "parents": [], "community": town, "pair": f"{town}-{n}",
         "item": None, "strength": None, "chosen": -1.0, "rejected": -1.0 - likes(town),
         "longer": n % 2 == 0, "right": 1.0, "near_tie": False}
        for town in TOWNS for n in range(4)
    ]  # fmt: skip
    write_rows(folder / steering_pairs.SCORES, rows, score_schema())
    return written(folder, model, community)


def written(folder, model, community):
    (folder / "model.json").write_text(json.dumps({"model": model, "community": community}))
    return Input(folder.name, community, folder)


def compare(build, **roles):
    context = build(MatrixParams(), inputs=roles)
    steerability.run_matrix(context)
    return context.out


def test_norms_and_preferences_of_exact_models(build, tmp_path):
    judging = [norms(tmp_path / f"n-{c}", "own", c, lambda _, c=c: JUDGED[c]) for c in TOWNS]
    liking = [
        pairs(tmp_path / f"p-{c}", "own", c, lambda town, c=c: 1.0 if town == c else -1.0)
        for c in TOWNS
    ]
    out = compare(build, norms=judging, preferences=liking)
    for row in rows_of(out, family="own"):
        assert (row["own"], row["others"], row["steerability"]) == (1, 0, 1)
        assert row["p"] == row["smallest_p"] == pytest.approx(3**-4)
        assert row["p_family"] == pytest.approx(3 * 3**-4)
    assert len(rows_of(out, family="own")) == 6
    summary = json.loads((out / "summary.json").read_text())
    assert {f["p"] for f in summary["families"]} == {1 / 6}
    cells = read_rows(out / "matrix.parquet").to_dicts()
    found = {(r["kind"], r["answerer"], r["community"]): r["value"] for r in cells}
    assert found["norms", "uniform", "north"] == pytest.approx(0.4)
    assert found["norms", "always the commonest learned judgement", "north"] == 1
    assert found["preferences", "a coin flip", "south"] == 0.5
    assert found["preferences", "always the longer answer", "south"] == 0.5
    text = (out / "steering.md").read_text()
    assert "## Norms: held-out norms" in text
    assert "## Preferences: held-out pairs" in text


def test_models_asked_about_different_norms_are_refused(build, tmp_path):
    one = norms(tmp_path / "a", "own", "north", lambda _: 0)
    other = norms(tmp_path / "b", "own", "south", lambda _: 0)
    table = read_rows(other.files / norm_answers.PROBABILITIES)
    table.filter(table["norm"] != "n3").write_parquet(other.files / norm_answers.PROBABILITIES)
    with pytest.raises(MethodError, match="not asked the same norms of north") as caught:
        compare(build, norms=[one, other])
    assert "n3 differs" in caught.value.why
    with pytest.raises(MethodError, match="given twice"):
        compare(build, norms=[one, one])
    with pytest.raises(MethodError, match="neither norms nor preferences"):
        compare(build)


def test_a_pair_that_one_model_could_not_read_is_left_out_for_all(build, tmp_path):
    one = pairs(tmp_path / "a", "own", "north", lambda _: 1.0)
    other = pairs(tmp_path / "b", "own", "south", lambda _: 0.0)
    table = read_rows(other.files / steering_pairs.SCORES)
    table.filter(table["pair"] != "north-0").write_parquet(other.files / steering_pairs.SCORES)
    out = compare(build, preferences=[one, other])
    rows = {row["community"]: row for row in rows_of(out, family="own")}
    assert (rows["north"]["items"], rows["south"]["items"]) == (3, 4)
    assert rows["north"]["steerability"] == 0.5  # the other's ties count half


def test_k_shot_curves_stand_on_the_same_page(world, tmp_path):
    rows = [{"community": "north", "slice": "asked", "known": k, "nats": 1.2 - k / 20,
             "low": 1.0, "high": 1.4, "people": 60 - k} for k in range(9)]  # fmt: skip
    write_rows(tmp_path / "curves.parquet", rows)
    one = Result(about="spectrum@north", community="north", slice="asked", metric="nats",
                 lower_is_better=True, value=1, low=0, high=2, items=3, beside={})  # fmt: skip
    Results(results=(one,)).write(tmp_path)
    models = [world.plant("own", c, exact(c)) for c in HELD]
    out = measure(world, *models, k_shot=[Input("k-shot", "north", tmp_path)])
    text = (out / "steering.md").read_text()
    assert "| respondents of the north | spectrum@north | 60 | 1.200 (1.000 to 1.400) |" in text
    assert (out / "k-shot.png").stat().st_size > 1000
    (tmp_path / "curves.parquet").unlink()
    with pytest.raises(MethodError, match="no curves of one model"):
        measure(world, *models, k_shot=[Input("k-shot", "north", tmp_path)])


def test_intervals_of_clusters():
    values = np.array([0.1, 0.4, 0.3, 0.8])
    low, high = clustered(values, list("abcd"))
    margin = t.ppf(0.975, 3) * values.std(ddof=1) / 2
    assert (low, high) == (pytest.approx(0.4 - margin), pytest.approx(0.4 + margin))
    doubled = clustered(np.repeat(values, 2), [name for name in "abcd" for _ in "xy"])
    assert doubled == pytest.approx((low, high))  # asking each twice makes nothing surer
    assert clustered(values, list("aaaa")) == (float("-inf"), float("inf"))


def test_seeds_of_other_columns_stay_apart():
    who = [Answerer(f"m-{n}@c", f"m-{n}@c", f"m-{n}", "c") for n in range(3)]
    scores = {one: Scores(np.array([float(n)])) for n, one in enumerate(who)}
    column = Column("norms", "p", "c", ("x",), scores)
    found = average_seeds(column, {"m": ("m-0", "m-1")})
    assert {one.label: float(s.items[0]) for one, s in found.scores.items()} == {
        "m@c": 0.5, "m-2@c": 2.0,
    }  # fmt: skip
