"""A model's probability of each option: one row an option, whatever was shown first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from assets.compute import load_model
from assets.evaluation import option_probabilities
from assets.evaluation.option_probabilities import Params
from assets.evaluation.predictors import read_answers
from assets.option_prompt import arrange, encode, letter_ids, next_token_probabilities, render
from assets.rows import read_rows, write_rows
from registry.context import Input

if TYPE_CHECKING:
    from tests.assets.conftest import Build

OPTIONS = {"drink": ["Tea", "Coffee", "Water"], "late": ["Yes", "No"]}


@pytest.fixture(scope="module")
def questionnaire(build: Build) -> Path:
    rows = [
        {
            "row_id": f"{item}-{wording}",
            "battery": item,
            "item": item,
            "wording": wording,
            "question": f"What about {item}, in wording {wording}?",
            "options": options,
            "held_out": item == "late",
        }
        for item, options in OPTIONS.items()
        for wording in ("a", "unseen")
    ]
    folder = build(Params()).out
    write_rows(folder / "items.parquet", rows)
    return folder


@pytest.fixture(scope="module")
def scored(build: Build, lively_model: Path, questionnaire: Path) -> Path:
    model = [Input("own", "north", lively_model)]
    context = build(
        Params(dtype="float32", batch_size=3),
        inputs={"model": model, "questionnaire": questionnaire},
    )
    option_probabilities.run(context)
    return context.out


def test_every_option_is_scored_once_and_leads_back_to_its_question(scored: Path) -> None:
    rows = read_rows(scored / "probabilities.parquet").to_dicts()
    assert len(rows) == 2 * 2 * (3 + 2)
    assert len({row["row_id"] for row in rows}) == len(rows)
    for row in rows:
        assert row["parents"] == [f"{row['item']}-{row['wording']}"]
        assert OPTIONS[row["item"]][row["position"] - 1] == row["option"]
        assert row["held_out"] == (row["item"] == "late")


def test_a_probability_is_that_of_the_letter_that_the_option_had(
    scored: Path, lively_model: Path, questionnaire: Path
) -> None:
    model, tokenizer = load_model(lively_model, torch.device("cpu"), "float32")
    rows = read_rows(scored / "probabilities.parquet").to_dicts()
    for question in read_rows(questionnaire / "items.parquet").to_dicts():
        for order in ("forward", "reversed"):
            shown = arrange(question["options"], order)
            ids = encode(tokenizer, render(question["question"], shown))
            letters = letter_ids(tokenizer, len(shown))
            direct = next_token_probabilities(model, tokenizer, [ids])[0, letters].tolist()
            found = {
                row["option"]: row
                for row in rows
                if (row["parents"], row["order"]) == ([question["row_id"]], order)
            }
            probabilities = [found[option]["probability"] for option in shown]
            assert probabilities == pytest.approx(direct, abs=1e-6)
            for row in found.values():
                assert row["outside"] == pytest.approx(1 - sum(direct), abs=1e-6)


def test_the_batch_size_does_not_change_an_answer(
    build: Build, lively_model: Path, questionnaire: Path, scored: Path
) -> None:
    inputs = {"model": lively_model, "questionnaire": questionnaire}
    context = build(Params(dtype="float32", batch_size=1), inputs=inputs)
    option_probabilities.run(context)
    one, three = (read_rows(f / "probabilities.parquet") for f in (context.out, scored))
    assert one.drop("probability", "outside").equals(three.drop("probability", "outside"))
    assert one["probability"].to_list() == pytest.approx(three["probability"].to_list(), abs=1e-6)


def test_it_names_the_model_and_can_be_read_by_the_next_step(scored: Path) -> None:
    assert json.loads((scored / "model.json").read_text()) == {
        "schema_version": 1,
        "model": "own",
        "community": "north",
    }
    answers = read_answers(scored)
    assert answers.label == "own@north"
    assert {key: rows.shape for key, rows in answers.single.items()} == {
        ("asked", "drink"): (2, 3),
        ("unseen wording", "drink"): (2, 3),
        ("unseen questions", "late"): (4, 2),
    }
    for part, item in answers.single:
        assert answers.mean(part, item).sum() == pytest.approx(1)
