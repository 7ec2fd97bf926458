"""A reward model is measured on pairs that it did not learn from."""

from __future__ import annotations

import json

import numpy as np
import polars
import pytest
from accelerate.state import AcceleratorState

from assets.alignment import reward_model
from assets.alignment.preferences import Pair
from assets.evaluation import reward_accuracy
from assets.evaluation.reward_accuracy import ALL, DISPUTED, Params, results_of
from registry.context import Input
from registry.errors import MethodError
from registry.results import read_results
from tests.assets.pairs import colours, pair, write_pairs

pytestmark = pytest.mark.filterwarnings(  # peft 0.21 asks transformers 5.23 by the old name
    "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"
)
PARAMS = Params(draws=200, dtype="float32")


@pytest.fixture(scope="module")
def judge(build, lively_model, tmp_path_factory):
    AcceleratorState._reset_state()
    data = write_pairs(tmp_path_factory.mktemp("pairs"), colours())
    params = reward_model.Params(
        steps=30, batch_size=6, longest=96, adapter_rank=0, learning_rate=1e-3, warmup=0
    )
    context = build(params, inputs={"base": lively_model, "data": data})
    reward_model.run(context)
    AcceleratorState._reset_state()
    return context.out


def test_every_figure_has_an_interval_and_what_it_is_compared_with(build, judge, tmp_path):
    rows = [
        pair(f"Word {i}?", f"It is {word}.", f"Who knows {i}.", strength=0.55 + 0.03 * i)
        for i, word in enumerate(("grey", "pink", "gold", "teal", "rose", "lime") * 2)
    ]
    rows = [row | {"row_id": f"{i:016d}"} for i, row in enumerate(rows)]
    rows.append(pair("Long?", "y" * 400, "n"))
    data = write_pairs(tmp_path, rows)
    given = [Input("pairs", "made-up", data)]
    model = [Input("reward", "made-up", judge)]
    context = build(PARAMS, inputs={"model": model, "pairs": given})
    reward_accuracy.run(context)
    results = {(r.metric, r.slice): r for r in read_results(context.out)}
    accuracy = results["preference accuracy", ALL]
    assert accuracy.items == 12
    assert accuracy.about == "reward@made-up"
    assert accuracy.community == "made-up"
    assert accuracy.value > 0.8
    assert accuracy.low <= accuracy.value <= accuracy.high
    # "It is grey." is as long as "Who knows 0.", or one letter or two shorter
    assert accuracy.beside["a coin flip"] == 0.5
    assert accuracy.beside["the length of answers alone"] > 0.9
    assert results["preference accuracy", DISPUTED].items == 6
    error = results["calibration error", ALL]
    assert error.lower_is_better
    assert 0 <= error.value <= 1
    scores = polars.read_parquet(context.out / "scores.parquet")
    assert (scores["difference"] == scores["chosen_score"] - scores["rejected_score"]).all()
    left = polars.read_parquet(context.out / "rejected.parquet")
    assert left["reason"].to_list() == ["too long for the reward model"]
    assert (context.out / "calibration.png").read_bytes().startswith(b"\x89PNG")
    headline = json.loads((context.out / "headline.json").read_text())
    assert headline["preference accuracy, all pairs"] == accuracy.value


def test_the_chance_that_one_person_agrees_by_hand():
    """Right on a pair that 0.9 preferred, wrong on one that 0.6 did: (0.9 + 0.4) / 2."""
    pairs = [Pair(str(i), "a", "b", "c", s) for i, s in enumerate((0.9, 0.6, None))]
    found = results_of(pairs, np.array([1.0, -1.0, 1.0]), PARAMS, 0, "reward")
    by_name = {one.metric: one for one in found}
    assert by_name["preference accuracy"].value == pytest.approx(2 / 3)
    person = by_name["chance that one person agrees"]
    assert person.value == pytest.approx(0.65)
    assert person.beside == {"always the majority": 0.75}
    assert person.items == 2
    assert {one.slice for one in found} == {ALL}, "two pairs are too few to compare"


def test_pairs_of_unknown_strength_have_no_disputed_ones():
    pairs = [Pair(str(i), "a", "b", "c", None) for i in range(20)]
    found = results_of(pairs, np.ones(20), PARAMS, 0, "reward")
    assert [one.metric for one in found] == ["preference accuracy", "calibration error"]


def test_a_language_model_cannot_be_measured(build, small_model, tmp_path):
    data = write_pairs(tmp_path, colours())
    context = build(PARAMS, inputs={"model": small_model, "pairs": data})
    with pytest.raises(MethodError, match="is no reward model"):
        reward_accuracy.run(context)


def test_pairs_that_are_all_too_long_are_refused(build, judge, tmp_path):
    data = write_pairs(tmp_path, [pair("Long?", "y" * 400, "n")])
    context = build(PARAMS, inputs={"model": judge, "pairs": data})
    with pytest.raises(MethodError, match="none of 1 pairs can be read"):
        reward_accuracy.run(context)
