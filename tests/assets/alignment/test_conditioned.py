"""One model that is told whom to answer as learns to answer as each, at one model's cost."""

from __future__ import annotations

import json

import pytest

from assets.alignment import opinion_sft
from assets.evaluation import option_probabilities
from assets.evaluation.predictors import gather, read_told
from assets.rows import read_rows, write_rows
from assets.synthesis import conditioned_items
from registry.context import Input, ProfileView
from registry.errors import MethodError
from tests.assets.alignment.conftest import PLANTED, QUESTIONS

pytestmark = pytest.mark.filterwarnings(  # peft 0.21 asks transformers 5.23 by the old name
    "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"
)
NAMES = {"north": "n" * 30, "south": "SOUTH " * 5}
PROFILES = {c: ProfileView(c, name, None, (), {"name": name}) for c, name in NAMES.items()}


@pytest.fixture(scope="module")
def named(build, data):
    """The same items with the ids that `opinion-items` gives them."""
    found = []
    for community, given in data.items():
        folder = build(conditioned_items.Params()).out
        rows = read_rows(given.files / "items.parquet").to_dicts()
        rows = [row | {"row_id": f"{community}-{n}"} for n, row in enumerate(rows)]
        write_rows(folder / "items.parquet", rows)
        found.append(Input("opinion-items", community, folder))
    return found


@pytest.fixture(scope="module")
def conditioned(build, lively_model, named):
    rows = build(
        conditioned_items.Params(), inputs={"items": named},
        profiles=list(PROFILES.values()),
    )  # fmt: skip
    conditioned_items.run(rows)
    params = opinion_sft.Params(
        steps=160, batch_size=8, learning_rate=2e-2, adapter_rank=8, trained_layers=0
    )
    inputs = {"base": lively_model, "data": [Input("conditioned-items", None, rows.out)]}
    context = build(params, inputs=inputs)
    opinion_sft.run(context)
    return context.out


@pytest.fixture(scope="module")
def questionnaire(build):
    rows = [
        {"row_id": question, "battery": "b", "item": question, "wording": "a",
         "question": question, "options": list(options), "held_out": False}
        for question, options in QUESTIONS.items()
    ]  # fmt: skip
    folder = build(option_probabilities.Params()).out
    write_rows(folder / "items.parquet", rows)
    return folder


def ask(build, model, questionnaire, profiles, community=None):
    inputs = {"model": [Input("conditioned-sft", community, model)], "questionnaire": questionnaire}
    context = build(option_probabilities.Params(), inputs=inputs, profiles=profiles)
    option_probabilities.run_conditioned(context)
    return context.out


def test_asked_as_each_group_it_answers_in_that_groups_shares(build, conditioned, questionnaire):
    read = []
    for community, profile in PROFILES.items():
        files = ask(build, conditioned, questionnaire, [profile])
        named = json.loads((files / "model.json").read_text())
        assert (named["model"], named["community"]) == ("conditioned-sft", None)
        assert named["told"] == community
        read.append(read_told(files))
    (model,) = gather(read)
    assert (model.label, model.node) == ("conditioned-sft, told the group", "conditioned-sft")
    for community, planted in PLANTED.items():
        for question, shares in planted.items():
            found = model.mean("asked", question, community)
            assert found.tolist() == pytest.approx(shares, abs=0.12)


def test_it_is_asked_as_one_group_at_a_time(build, conditioned, questionnaire):
    for profiles in ([], list(PROFILES.values())):
        with pytest.raises(MethodError, match="one community at a time") as caught:
            ask(build, conditioned, questionnaire, profiles)
        assert "each: community" in caught.value.mend


def test_a_groups_own_model_is_not_told_whom_to_answer_as(build, conditioned, questionnaire):
    with pytest.raises(MethodError, match="one community at a time"):
        ask(build, conditioned, questionnaire, [PROFILES["north"]], "south")
