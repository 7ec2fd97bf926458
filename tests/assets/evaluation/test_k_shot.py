"""What a person's answers cost a model, by how many others it knows."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from assets.alignment.spectrum_sequences import Drawn, Sample, of_drawn
from assets.alignment.spectrum_turns import turns_of
from assets.compute import load_model
from assets.evaluation import k_shot
from assets.evaluation.k_shot import by_index, nats_by_index, table_nats
from assets.opinion_tables import OpinionTable
from assets.rows import read_rows
from assets.synthesis.respondent_sequences import Question, Respondent
from registry.context import Input
from registry.errors import MethodError
from registry.results import read_results
from tests.assets.synthesis.respondents import town


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return town(tmp_path_factory.mktemp("town") / "project")


def test_the_cost_of_an_output_is_that_of_its_tokens_given_all_before(lively_model):
    model, tokenizer = load_model(lively_model, torch.device("cpu"), "float32")
    turns = turns_of(tokenizer, "own")
    drawn = [
        Drawn("a", "Coin.", tuple(Sample("Toss?", word) for word in ("heads", "tails", "heads"))),
        Drawn("b", "", (Sample("", "x"), Sample("", "longer words"))),
    ]
    sequences = [of_drawn(turns, one, 512) for one in drawn]
    found = list(nats_by_index(model, sequences, 0, 2))
    assert [len(one) for one in found] == [3, 2]
    for sequence, nats in zip(sequences, found, strict=True):
        ids = torch.tensor([sequence.tokens.ids])
        with torch.no_grad():
            logs = model(input_ids=ids).logits[0].float().log_softmax(dim=-1)
        for span, cost in zip(sequence.outputs, nats, strict=True):
            direct = -sum(logs[p - 1, ids[0, p]].item() for p in span)
            assert cost == pytest.approx(direct, abs=1e-3)


def test_means_stop_where_too_few_people_are_left():
    nats = [[1.0, 2.0, 3.0]] * 50 + [[3.0, 4.0]] * 50
    rows = by_index([*nats, [0.0]])
    assert [row["people"] for row in rows] == [101, 100, 50]
    assert rows[1]["nats"] == pytest.approx(3)
    assert rows[1]["low"] < 3 < rows[1]["high"]
    assert len(by_index(nats[:50] + nats[50:99])) == 3
    assert len(by_index(nats[1:])) == 2


def test_a_table_costs_the_log_of_its_shares():
    questions = [Question("a", ("Yes", "No"), ("A?",)), Question("b", ("Yes", "No"), ("B?",))]
    table = {"a": OpinionTable((0.25, 0.75), 100, 100.0), "b": OpinionTable((1.0, 0.0), 100, 90.0)}
    person = Respondent("1", {"a": "Yes"})
    assert table_nats(person, questions, table) == pytest.approx(math.log(4))
    strange = Respondent("2", {"a": "Yes", "b": "No"})
    expected = (math.log(4) + math.log(1e4)) / 2
    assert table_nats(strange, questions, table) == pytest.approx(expected)


def attempt(build, place, model, **changed):
    file = place.file.model_copy(update=changed)
    return build(
        k_shot.Params(respondents=file, people=60, longest=400),
        inputs={"model": [Input("own", "town-north", model)], "questionnaire": place.questionnaire},
        profiles=place.profiles,
        root=place.root,
    )


def test_people_kept_for_evaluation_are_measured_and_none_is_named(
    build, place, small_model, monkeypatch
):
    seen = []
    plain = k_shot.processes_of
    monkeypatch.setattr(k_shot, "processes_of", lambda name, people, *rest: (
        seen.extend(one.id for one in people), plain(name, people, *rest))[1])  # fmt: skip
    context = attempt(build, place, small_model)
    k_shot.run(context)
    learning = set().union(*(half for half, _ in place.ids.values()))
    assert len(seen) == 4 * 60
    assert not set(seen) & learning
    results = read_results(context.out)
    assert [(r.about, r.community, r.slice, r.items) for r in results] == [
        ("own@town-north", community, part, items)
        for community in ("town-north", "town-south")
        for part, items in (("asked", 3), ("unseen questions", 2))
    ]
    for one in results:
        assert one.people == 60
        assert one.low < one.value < one.high
        assert 0 < one.beside["own table"] < math.log(3)
    curves = read_rows(context.out / "curves.parquet").to_dicts()
    assert all(row["people"] >= 50 for row in curves)
    assert np.isfinite([row["nats"] for row in curves]).all()
    for path in context.out.iterdir():
        assert b"person-0" not in path.read_bytes()


def test_a_wrong_split_is_found_out(build, place, small_model):
    with pytest.raises(MethodError, match="are not those of town-north's table"):
        k_shot.run(attempt(build, place, small_model, seed=3))


def test_too_few_people_whose_answers_fit_are_refused(build, place, small_model):
    context = attempt(build, place, small_model)
    short = replace(context, params=context.params.model_copy(update={"longest": 250}))
    with pytest.raises(MethodError, match="fewer than 50 people of town-north gave two"):
        k_shot.run(short)
