"""Every figure beside every baseline, on planted answers where each is known beforehand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from assets.evaluation.answerers import (
    LOWEST_MEAN,
    LOWEST_WORST,
    NOISE,
    OWN_TABLE,
    require_usable,
)
from assets.evaluation.distances import entropy, entropy_of_sample, representativeness
from assets.evaluation.pluralism_figures import (
    CALIBRATION,
    COVERAGE,
    ENTROPY,
    GAP,
    JSD,
    NEARNESS,
    SKILL,
    TV,
)
from assets.evaluation.pluralism_welfare import ELECTED, MEAN, VETOES, WORST
from assets.evaluation.predictors import Item
from assets.opinion_tables import OpinionTable
from assets.rows import read_rows, write_rows
from registry.context import Input, ProfileView
from registry.errors import MethodError
from tests.assets.evaluation.planted import (
    HELD,
    HELD_OUT,
    LEARNED,
    OPTIONS,
    Evaluated,
    World,
    planted_world,
    uniform,
    write_table,
)

if TYPE_CHECKING:
    from tests.assets.conftest import Build

ASKED = [item for item in OPTIONS if item not in HELD_OUT]
Row = Mapping[str, Any]


@pytest.fixture(scope="module")
def world(build: Build, tmp_path_factory: pytest.TempPathFactory) -> World:
    return planted_world(build, tmp_path_factory.mktemp("profiles"))


@pytest.fixture(scope="module")
def evaluated(world: World) -> Evaluated:
    return world.evaluate(
        world.plant("base", None, uniform, outside=0.25),
        world.plant("own", "north", lambda item, _, __: HELD["north"][item]),
        world.plant("own", "south", lambda item, _, __: HELD["south"][item], outside=0.1),
        ordinal=("p", "q"),
    )


def rows(found: Evaluated, name: str, **wanted: object) -> list[dict[str, Any]]:
    every = read_rows(found.files / f"{name}.parquet").to_dicts()
    return [row for row in every if all(row[key] == value for key, value in wanted.items())]


def row(found: Evaluated, name: str, **wanted: object) -> dict[str, Any]:
    (one,) = rows(found, name, **wanted)
    return one


def figure(
    found: Evaluated, metric: str, predictor: str, community: str, part: str = "asked"
) -> Row:
    return row(
        found, "figures", slice=part, community=community, predictor=predictor, metric=metric
    )


def test_exact_answers_have_full_skill_and_uniform_ones_none(evaluated: Evaluated) -> None:
    for community in HELD:
        own = f"own@{community}"
        assert figure(evaluated, SKILL, own, community)["value"] == pytest.approx(1)
        assert figure(evaluated, TV, own, community)["value"] == pytest.approx(0, abs=1e-12)
        assert figure(evaluated, JSD, own, community)["value"] == pytest.approx(0, abs=1e-12)
        assert figure(evaluated, NEARNESS, own, community)["value"] == pytest.approx(1)
        assert figure(evaluated, CALIBRATION, own, community)["value"] == pytest.approx(0, abs=1e-9)
        for flat in ("uniform", "base"):
            assert figure(evaluated, SKILL, flat, community)["value"] == pytest.approx(0)
    whole = figure(evaluated, TV, "each group's own own", "")
    assert whole["value"] == pytest.approx(0, abs=1e-12)


def test_every_row_says_how_many_people_and_questions_and_its_baseline(
    evaluated: Evaluated,
) -> None:
    for one in rows(evaluated, "figures"):
        assert one["items"] >= 1
        assert one["people"] == 400
        assert np.isfinite(one["uniform"])
        if one["low"] is not None:
            assert one["low"] <= one["value"] <= one["high"]
        else:
            assert one["items"] == 1


def test_only_batteries_in_order_count_for_representativeness(evaluated: Evaluated) -> None:
    found = figure(evaluated, NEARNESS, "uniform", "north", "unseen questions")
    assert found["items"] == 1
    expected = representativeness(np.full(3, 1 / 3), np.array(HELD["north"]["three"]))
    assert found["value"] == pytest.approx(float(expected))


def test_entropy_is_compared_with_that_of_the_people(evaluated: Evaluated) -> None:
    people = np.mean([entropy_of_sample(np.array(HELD["north"][i]), 400) for i in ASKED])
    flat = np.mean([np.log(len(OPTIONS[i])) for i in ASKED])
    own = np.mean([entropy(np.array(HELD["north"][i])) for i in ASKED])
    assert figure(evaluated, ENTROPY, "base", "north")["value"] == pytest.approx(flat)
    assert figure(evaluated, GAP, "base", "north")["value"] == pytest.approx(flat - people)
    assert figure(evaluated, GAP, "own@north", "north")["value"] == pytest.approx(own - people)


def test_mass_outside_the_options_is_missing_from_coverage(evaluated: Evaluated) -> None:
    for label, expected in (("base", 0.75), ("own@south", 0.9), ("uniform", 1)):
        assert figure(evaluated, COVERAGE, label, "north")["value"] == pytest.approx(expected)
    whole = figure(evaluated, COVERAGE, "each group's own own", "")
    assert whole["value"] == pytest.approx(0.95)


def test_further_tables_are_what_they_say(evaluated: Evaluated) -> None:
    def distance(one: np.ndarray[Any, Any], item: str) -> float:
        return float(0.5 * np.abs(one - np.array(HELD["north"][item])).sum())

    # Items one and two stand alone with three options; four has no other asked item with two.
    table = {i: np.array(s) for i, s in LEARNED["north"].items()}
    constant = [
        distance(table["two"], "one"), distance(table["one"], "two"),
        distance(np.full(2, 0.5), "four"),
    ]  # fmt: skip
    found = figure(evaluated, TV, "constant table", "north")["value"]
    assert found == pytest.approx(np.mean(constant))
    both = {i: (table[i] + np.array(LEARNED["south"][i])) / 2 for i in table}
    pooled = [
        distance(both["two"], "one"), distance(both["one"], "two"),
        distance(np.full(2, 0.5), "four"),
    ]  # fmt: skip
    for label in ("pooled constant table", "pooled table of battery means"):
        assert figure(evaluated, TV, label, "north")["value"] == pytest.approx(np.mean(pooled))


def test_the_fairest_single_predictor_serves_the_worst_best(evaluated: Evaluated) -> None:
    values = [figure(evaluated, TV, LOWEST_WORST, c)["value"] for c in HELD]
    assert values[0] == pytest.approx(values[1], abs=1e-6)
    # Of two communities neither can be nearer than half of their distance.
    assert values[0] == pytest.approx((0.5 + 0.2 + 0.4) / 3 / 2, abs=1e-6)
    lowest = figure(evaluated, TV, LOWEST_MEAN, "")["value"]
    assert lowest == pytest.approx(np.mean(values), abs=1e-6)
    assert not rows(evaluated, "figures", predictor=LOWEST_MEAN, community="north")


def test_noise_alone_gives_exact_answers_a_distance(evaluated: Evaluated) -> None:
    found = figure(evaluated, TV, NOISE, "north")
    # The mean absolute error of a share, root(2 p (1 - p) / (pi n)), half of it for each option.
    shares = np.concatenate([np.array(HELD["north"][i]) for i in ASKED])
    expected = 0.5 * np.sqrt(2 * shares * (1 - shares) / (np.pi * 400)).sum() / len(ASKED)
    assert found["value"] == pytest.approx(expected, rel=0.05)
    assert 0 < found["low"] < found["value"] < figure(evaluated, TV, OWN_TABLE, "north")["value"]


def test_the_jury_sees_the_mean_the_worst_and_the_vetoes(evaluated: Evaluated) -> None:
    skills = [figure(evaluated, SKILL, "own@north", c)["value"] for c in HELD]
    mean = row(evaluated, "jury", slice="asked", predictor="own@north", metric=MEAN)
    worst = row(evaluated, "jury", slice="asked", predictor="own@north", metric=WORST)
    assert mean["value"] == pytest.approx(np.mean(skills))
    assert worst["value"] == pytest.approx(min(skills))
    assert worst["worst_community"] == "south"
    own = row(evaluated, "jury", slice="asked", predictor="each group's own own", metric=WORST)
    assert own["value"] == pytest.approx(1)
    # South is further from north's answers than from uniform ones on every item.
    vetoes = row(evaluated, "jury", slice="asked", predictor="own@north", metric=VETOES)
    assert vetoes["value"] == pytest.approx((0 + 1) / 2)
    flat = row(evaluated, "jury", slice="asked", predictor="uniform", metric=VETOES)
    assert flat["value"] == 0


def test_own_models_of_two_groups_share_the_election_and_votes_by_size_decide(world: World) -> None:
    models = (
        world.plant("base", None, uniform),
        world.plant("own", "north", lambda item, _, __: HELD["north"][item]),
        world.plant("own", "south", lambda item, _, __: HELD["south"][item]),
    )
    found = world.evaluate(*models, population={"north": 1, "south": 9})
    votes = {r["predictor"]: r["value"] for r in rows(found, "jury", slice="asked", metric=ELECTED)}
    assert set(votes) == {"base", "own@north", "own@south"}
    assert votes["own@north"] == votes["own@south"]
    sized = rows(found, "jury", slice="asked", metric=ELECTED + ", votes by size")
    assert {r["predictor"]: r["value"] for r in sized}["own@south"] == 1


def test_weights_say_who_loses_under_each(evaluated: Evaluated, world: World) -> None:
    equal = rows(evaluated, "weights", weighting="equal")
    for one in equal:
        pooled = figure(evaluated, SKILL, "pooled table", one["community"])["value"]
        own = figure(evaluated, SKILL, OWN_TABLE, one["community"])["value"]
        assert one["weight"] == 0.5
        assert one["skill"] == pytest.approx(pooled)
        assert one["loss"] == pytest.approx(own - pooled)
        assert one["loss_low"] < one["loss"] < one["loss_high"]
    assert {r["weighting"] for r in rows(evaluated, "weights")} == {
        "equal", "by number of respondents", "max-min",
    }  # fmt: skip
    sized = world.evaluate(world.plant("m", None, uniform), population={"north": 3, "south": 1})
    found = {r["community"]: r for r in rows(sized, "weights", weighting="by population")}
    assert found["north"]["weight"] == 0.75
    assert found["north"]["skill"] > next(r for r in equal if r["community"] == "north")["skill"]


def test_comparisons_hold_for_the_family(evaluated: Evaluated) -> None:
    found = rows(evaluated, "comparisons", slice="asked", model="own@north")
    assert {one["community"] for one in found} == {"north"}
    assert {"uniform", "pooled table", "base", "constant table"} <= {r["rival"] for r in found}
    assert not any("sees the answers" in r["rival"] or "own table" in r["rival"] for r in found)
    for one in found:
        value = -figure(evaluated, TV, one["rival"], "north")["value"]
        assert one["difference"] == pytest.approx(value)
        assert one["batteries"] == 2
        assert one["p_batteries"] == one["smallest_p_batteries"] == 0.5
        assert one["p_people"] <= one["p_people_family"] <= 1


def test_seeds_are_averaged_and_not_counted_as_people(world: World) -> None:
    near = world.plant("first", "north", lambda item, _, __: HELD["north"][item])
    far = world.plant("second", "north", uniform)
    alone = world.evaluate(far)
    found = world.evaluate(near, far, seeds={"ours": ("first", "second")})
    one = figure(found, TV, "ours@north", "north")
    flat = figure(found, TV, "uniform", "north")
    assert one["seeds"] == 2
    assert one["value"] == pytest.approx(flat["value"] / 2)
    lone = figure(alone, TV, "second@north", "north")
    assert one["high"] - one["value"] > 0.3 * (lone["high"] - lone["value"])
    assert not rows(found, "figures", predictor="first@north")


@pytest.mark.parametrize(
    ("seeds", "message"),
    [
        ({"ours": ("first", "third")}, "third is no model that was scored"),
        ({"ours": ("first", "first")}, "first is named twice"),
        ({"a": ("first",), "b": ("first",)}, "first is named twice"),
    ],
)
def test_seeds_that_cannot_be_are_refused(
    world: World, seeds: dict[str, tuple[str, ...]], message: str
) -> None:
    with pytest.raises(MethodError, match=message):
        world.evaluate(world.plant("first", None, uniform), seeds=seeds)


def test_cards_get_skill_and_coverage_beside_the_same_rivals(evaluated: Evaluated) -> None:
    results = json.loads((evaluated.files / "results.json").read_text())["results"]
    assert {r["metric"] for r in results} == {TV, SKILL, COVERAGE}
    about = [r for r in results if r["about"] == "own@north"]
    assert {r["community"] for r in about} == {"north"}
    assert {r["community"] for r in results if r["about"] == "base"} == set(HELD)
    assert len({tuple(sorted(r["beside"])) for r in about}) == 1
    assert {r["metric"]: r["lower_is_better"] for r in about} == {
        TV: True, SKILL: False, COVERAGE: False,
    }  # fmt: skip


def test_the_page_names_everything_and_the_pictures_can_be_read(evaluated: Evaluated) -> None:
    page = (evaluated.files / "figures.md").read_text()
    for text in ("Before a jury", "who loses under which weights", "respondents of the north",
                 "each group's own own", "Representativeness", "Calibration error", f"*{NOISE}*",
                 "2 batteries can give no smaller p than 0.5"):  # fmt: skip
        assert text in page
    assert "base answers all questions with as many options alike" in page
    assert "own@north answers all questions" not in page
    for name in ("skill", "calibration", "weights"):
        with Image.open(evaluated.files / f"{name}.png") as picture:
            picture.load()
            assert min(picture.size) > 300


def test_a_scorer_that_answers_everything_alike_is_marked(evaluated: Evaluated) -> None:
    marked = {r["predictor"] for r in rows(evaluated, "figures", answers_all_alike=True)}
    assert marked == {"base"}


# What cannot be used is refused, or left out by name.


def changed(world: World, tmp_path: Path, community: str, shares: Any, n: int) -> World:
    """The same world, with another held-out table for one community."""
    profiles: list[ProfileView] = []
    for profile in world.profiles:
        folder = tmp_path / profile.id
        for half, given in (("", LEARNED), ("evaluation", HELD)):
            write_table(folder / half / "opinions.csv", given[profile.id], 400)
        if profile.id == community:
            write_table(folder / "evaluation" / "opinions.csv", shares, n)
        profiles.append(replace(profile, folder=folder))
    return replace(world, profiles=tuple(profiles))


def test_a_question_with_one_option_is_refused() -> None:
    items = {"one": Item("one", "p", ("X",), held_out=False)}
    with pytest.raises(MethodError, match="item one has one option") as caught:
        require_usable(items, {}, 20)
    assert "every answer to it is right" in str(caught.value)


def test_an_item_that_too_few_answered_is_left_out_by_name() -> None:
    items = {i: Item(i, "p", ("X", "Y"), held_out=False) for i in ("one", "two")}
    many, few = OpinionTable((0.5, 0.5), 90, 60.0), OpinionTable((0.5, 0.5), 30, 12.0)
    tables = {"north": {"one": many, "two": many}, "south": {"one": many, "two": few}}
    found = require_usable(items, tables, 20)
    assert set(found) == {"two"}
    assert found["two"].startswith("only 12 people of south (effective number)")


def test_too_few_people_are_refused_with_the_reason(world: World, tmp_path: Path) -> None:
    small = changed(world, tmp_path, "south", HELD["south"], 12)
    with pytest.raises(MethodError, match="no item was answered by enough people") as caught:
        small.evaluate(small.plant("m", None, uniform))
    assert "only 12 people of south" in str(caught.value)
    assert "fewest_people" in str(caught.value)
    found = small.evaluate(small.plant("m", None, uniform), fewest_people=10)
    assert figure(found, TV, "m", "south")["people"] == 12
    wide, narrow = (figure(found, TV, "m", c) for c in ("south", "north"))
    assert wide["high"] - wide["value"] > 3 * (narrow["high"] - narrow["value"])


def test_a_group_that_answers_uniformly_has_no_seat_and_is_named(
    world: World, tmp_path: Path
) -> None:
    flat = changed(world, tmp_path, "south", {item: uniform(item) for item in OPTIONS}, 400)
    found = flat.evaluate(flat.plant("m", None, lambda item, _, __: HELD["north"][item]))
    assert not rows(found, "figures", metric=SKILL, community="south")
    assert row(found, "jury", slice="asked", predictor="m", metric=MEAN)["communities"] == 1
    page = (found.files / "figures.md").read_text()
    assert "respondents of the south answers as uniform answers would" in page


def test_counts_of_nought_are_answers_like_others(world: World, tmp_path: Path) -> None:
    sure = {i: (1.0, *(0.0,) * (len(o) - 1)) for i, o in OPTIONS.items()}
    found = changed(world, tmp_path, "south", sure, 400).evaluate(
        world.plant("m", None, lambda item, _, __: sure[item]), ordinal=("p", "q", "r")
    )
    assert figure(found, JSD, "uniform", "south")["value"] > 0.1
    assert figure(found, NEARNESS, "m", "south")["value"] == 1
    for one in rows(found, "figures"):
        assert np.isfinite(one["value"])


@pytest.mark.parametrize("bad", [float("nan"), -0.1, 0.0])
def test_answers_that_are_no_probabilities_are_refused(world: World, bad: float) -> None:
    model: Input = world.plant("m", None, uniform)
    path = model.files / "probabilities.parquet"
    rows = [
        r | {"probability": bad} if r["item"] == "two" else r for r in read_rows(path).to_dicts()
    ]
    write_rows(path, rows)
    with pytest.raises(MethodError, match="answers of m to item two are no probabilities"):
        world.evaluate(model)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"ordinal": ("z",)}, "`ordinal` names the battery 'z'"),
        ({"population": {"north": 1}}, "`population` does not say how large south is"),
        ({"population": {"north": 1, "south": 0}}, "south has the size 0"),
    ],
)
def test_parameters_that_cannot_be_are_refused(
    world: World, params: dict[str, Any], message: str
) -> None:
    with pytest.raises(MethodError, match=message):
        world.evaluate(world.plant("m", None, uniform), **params)


def test_a_model_told_the_group_and_not_told_are_two_lines_of_one_card(world: World) -> None:
    told = []
    for community in HELD:
        one = world.plant("base", None, lambda item, _, __, c=community: HELD[c][item])
        about = {"model": "base", "community": None, "told": community}
        (one.files / "model.json").write_text(json.dumps(about))
        told.append(one)
    found = world.evaluate(world.plant("base", None, uniform), *told)
    assert figure(found, SKILL, "base", "north")["value"] == pytest.approx(0)
    assert figure(found, SKILL, "base, told the group", "north")["value"] == pytest.approx(1)
    results = json.loads((found.files / "results.json").read_text())["results"]
    keys = [
        (r["about"], r["community"], r["slice"], r["metric"], len(r["beside"])) for r in results
    ]
    assert {k[0] for k in keys} == {"base"}
    metrics = {r["metric"] for r in results}
    assert {SKILL, f"{SKILL}, told the group", TV, f"{TV}, told the group"} <= metrics
    assert len(set(keys)) == len(keys)
