"""The same answers of the same people cost every model something; differences are paired."""

from __future__ import annotations

import json
import math
import shutil

import numpy as np
import pytest

from assets.alignment.spectrum_sequences import Sample
from assets.evaluation import person_guesses
from assets.evaluation.person_guesses import (
    Asked,
    compare,
    draw_people,
    mean_cost,
    table_costs,
)
from assets.rows import read_rows
from assets.synthesis.respondent_sequences import SUMMARY, Question, Respondent, describe
from registry.context import Input
from registry.errors import MethodError
from registry.results import read_results
from tests.assets.synthesis.respondents import town

QUESTIONS = [Question(name, ("Yes", "No"), (f"{name}?",)) for name in "abc"]


def source() -> np.random.Generator:
    return np.random.default_rng(5)


def test_people_with_too_few_answers_are_left_out_and_each_answer_stands_once():
    people = [Respondent(str(n), dict.fromkeys("abc"[: n % 4], "No")) for n in range(40)]
    found = draw_people(people, QUESTIONS, 100, 2, source())
    assert {int(one.person) % 4 for one in found} == {2, 3}
    for one in found:
        assert len({item for item, _ in one.answers}) == 2
        assert [place for _, place in one.answers] == [1, 1]
        assert [sample.output for sample in one.samples] == ["No", "No"]
        shown = [json.loads(sample.given)["question"] for sample in one.samples]
        assert shown == [f"{item}?" for item, _ in one.answers]
    assert len(draw_people(people, QUESTIONS, 7, 2, source())) == 7


def test_a_table_costs_the_log_of_the_share_of_each_answer():
    asked = [Asked("1", (Sample("", "Yes"),) * 2, (("a", 0), ("b", 1)))]
    table = {"a": (0.25, 0.75), "b": (1.0, 0.0)}
    assert table_costs(asked, table).tolist() == [pytest.approx([math.log(4), math.log(1e4)])]


def test_groups_count_alike_whatever_their_size():
    assert mean_cost([np.array([1.0, 1.0]), np.array([3.0] * 10)])[0] == pytest.approx(2)
    found = compare([np.array([-1.0, -1.0]), np.array([1.0] * 10)], 200, source())
    assert found.value == pytest.approx(0)
    assert found.better == pytest.approx(0.5)
    assert found.p > 0.5


def test_a_difference_that_every_person_shows_cannot_be_chance():
    drawn = source().normal(-0.1, 0.01, 300)
    found = compare([drawn[:100], drawn[100:]], 500, source())
    assert found.value == pytest.approx(-0.1, abs=0.005)
    assert found.low < found.value < found.high < 0
    assert found.p == pytest.approx(1 / 501)
    assert found.better == 1


def test_no_difference_at_all_is_no_finding():
    found = compare([np.zeros(60)], 100, source())
    assert (found.value, found.p, found.better) == (0, 1, 0.5)


def test_chance_is_found_as_often_as_p_says():
    p = [compare([source().spawn(50)[n].normal(0, 1, 40)], 200, source()).p for n in range(50)]
    assert 0.3 < np.mean(p) < 0.7
    assert np.mean(np.array(p) < 0.1) < 0.3


def test_a_description_without_a_group_names_none():
    assert "north" in describe("people of the north")
    assert "one of" not in describe(None)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return town(tmp_path_factory.mktemp("town") / "project")


def attempt(build, place, models, **changed):
    params = {"known": (0, 2), "people": 60, "longest": 600, "flips": 200} | changed
    return build(
        person_guesses.Params(respondents=place.file, **params),
        inputs={"models": models, "questionnaire": place.questionnaire},
        profiles=place.profiles,
        root=place.root,
    )


def test_models_meet_the_same_people_and_nobody_is_named(build, place, small_model, tmp_path):
    untold = shutil.copytree(small_model, tmp_path / "untold")
    (untold / SUMMARY).write_text(json.dumps({"tells_group": False}))
    models = [
        Input("own", "town-north", small_model),
        Input("own", "town-south", small_model),
        Input("told", None, small_model),
        Input("pooled", None, untold),
    ]
    context = attempt(build, place, models)
    person_guesses.run(context)
    found = {
        (row["community"], row["answerer"], row["known"]): row
        for row in read_rows(context.out / "figures.parquet").to_dicts()
    }
    tables = {"uniform", "pooled table", "own table"}
    assert {name for _, name, _ in found} == {"own", "told", "pooled", *tables}
    assert found["", "uniform", 0]["nats"] == pytest.approx(found["", "uniform", 0]["uniform"])
    assert found["town-north", "own", 2]["people"] == 60
    assert found["", "own", 2]["people"] == 120
    compared = {
        (row["community"], row["answerer"], row["rival"], row["known"]): row
        for row in read_rows(context.out / "comparisons.parquet").to_dicts()
    }
    same = compared["", "own", "told", 2]
    assert (same["value"], same["p_holm"], same["better"]) == (0, 1, 0.5)
    assert compared["", "own", "pooled", 0]["value"] != 0
    results = read_results(context.out)
    assert {one.about for one in results} == {"own@town-north", "own@town-south", "told", "pooled"}
    assert "people_of" not in (context.out / "guesses.md").read_text()
    assert (context.out / "guesses.png").read_bytes().startswith(b"\x89PNG")
    for path in context.out.iterdir():
        assert b"person-0" not in path.read_bytes()


def test_answers_that_do_not_fit_are_refused(build, place, small_model):
    context = attempt(build, place, [Input("told", None, small_model)], longest=120)
    with pytest.raises(MethodError, match="do not fit into 120 tokens"):
        person_guesses.run(context)


def test_too_few_people_with_so_many_answers_are_refused(build, place, small_model):
    context = attempt(build, place, [Input("told", None, small_model)], known=(0, 30))
    with pytest.raises(MethodError, match="gave 31 answers; at least 50"):
        person_guesses.run(context)
