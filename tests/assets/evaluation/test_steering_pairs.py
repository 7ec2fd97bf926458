"""Which of two answers is likelier: against a computation of its own, with ties and bad rows."""

from __future__ import annotations

import json

import numpy as np
import pytest

from assets.answering import mean_log_probability
from assets.compute import load_model
from assets.evaluation import steering_pairs
from assets.evaluation.steering_pairs import (
    ACCURACY,
    COIN,
    LONGER,
    SHORTER,
    Params,
    Preferred,
    read_preferred,
    results_of,
)
from assets.rows import REJECTED, read_rows
from registry.context import Input
from registry.errors import MethodError
from registry.results import read_results
from tests.assets.pairs import pair, write_pairs

PARAMS = Params(dtype="float32", batch_size=3)


def held(prompt, chosen, rejected, community="shore", **other):
    return pair(prompt, chosen, rejected, community=community, held_out=True, **other)


PAIRS = [
    held("Lend the boat?", "Yes, lend it and go along.", "No."),
    held("Sell early?", "No.", "Yes, the price is good today.", strength=0.6, people=40),
    held("Mend the net?", "Mend it.", "Buy one!", "hill"),
]


def measure(build, model, folder, rows, **params):
    context = build(
        PARAMS.model_copy(update=params),
        inputs={"model": model, "pairs": write_pairs(folder, rows)},
    )
    steering_pairs.run(context)
    return context


def test_scores_are_mean_log_probabilities_of_the_answers_alone(build, lively_model, tmp_path):
    import torch

    context = measure(build, lively_model, tmp_path, PAIRS)
    model, tokenizer = load_model(lively_model, torch.device("cpu"), "float32")
    found = {one.pair: one for one in read_preferred(context.out)}
    for row in PAIRS:
        one = found[row["row_id"]]
        for text, score in ((row["chosen"], one.chosen), (row["rejected"], one.rejected)):
            alone = mean_log_probability(model, tokenizer, row["prompt"], text)
            assert score == pytest.approx(alone, abs=1e-4)
    assert {one.community for one in read_results(context.out)} == {"shore", "hill"}
    shore = next(one for one in read_results(context.out) if one.community == "shore")
    assert (shore.metric, shore.slice, shore.items) == (ACCURACY, "held-out pairs", 2)
    assert shore.beside == {COIN: 0.5, LONGER: 0.5, SHORTER: 0.5}
    assert 0 <= shore.low <= shore.value <= shore.high <= 1


def preferred(name, chosen, rejected, community="shore", longer=True):
    return Preferred(community, name, None, None, chosen, rejected, longer)


def test_ties_count_half_and_near_ties_are_counted_beside(build, lively_model, tmp_path):
    found = [preferred("a", -1.0, -2.0), preferred("b", -1.5, -1.5), preferred("c", -2.0, -1.0)]
    (one,) = results_of("m", None, found)
    assert one.value == 0.5
    assert [row["near_tie"] for row in steering_pairs._rows(found, 0.01)] == [False, True, False]
    context = measure(build, lively_model, tmp_path, PAIRS, near_tie=1e6)
    assert json.loads((context.out / "headline.json").read_text())["near ties"] == 1


def test_a_killed_attempt_goes_on_with_the_parts_it_left(
    build, lively_model, tmp_path, monkeypatch
):
    monkeypatch.setattr(steering_pairs, "_PART", 1)
    context = build(PARAMS, inputs={"model": lively_model, "pairs": write_pairs(tmp_path, PAIRS)})
    read, calls = steering_pairs.mean_nats, []

    def killed(*given):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return read(*given)

    monkeypatch.setattr(steering_pairs, "mean_nats", killed)
    with pytest.raises(KeyboardInterrupt):
        steering_pairs.run(context)
    steering_pairs.run(context)
    assert len(calls) == 4
    whole = measure(build, lively_model, tmp_path / "again", PAIRS)
    again = [one.chosen for one in read_preferred(whole.out)]
    assert [one.chosen for one in read_preferred(context.out)] == pytest.approx(again, abs=1e-6)


def test_what_cannot_be_compared_is_named_and_left_out(build, lively_model, tmp_path):
    rows = [
        *PAIRS, held("q", "Same.", "Same."), held("q", " ", "No."),
        held("q", "<|im_end|> now", "No."), held("long", "word " * 400, "No."),
    ]  # fmt: skip
    context = measure(build, lively_model, tmp_path, rows, longest=120)
    left = read_rows(context.out / REJECTED)
    assert left["reason"].to_list() == [
        "both answers are the same to the model", "one of its answers is empty",
        "it holds <|im_end|>, which the model reads as a mark of its own",
        "longer than 120 tokens",
    ]  # fmt: skip
    assert read_rows(context.out / "scores.parquet").height == 3
    with pytest.raises(MethodError, match="none of 1 pairs can be compared"):
        measure(build, lively_model, tmp_path / "none", rows[3:4])


def test_rows_on_the_wrong_side_or_of_nobody_are_refused(build, lively_model, tmp_path):
    learned = pair("q", "Yes.", "No.", community="shore", held_out=False)
    with pytest.raises(MethodError, match="not held out"):
        measure(build, lively_model, tmp_path / "a", [learned])
    with pytest.raises(MethodError, match="does not say which community"):
        measure(build, lively_model, tmp_path / "b", [held("q", "Yes.", "No.", None)])
    folder = write_pairs(tmp_path / "c", PAIRS)
    twice = [Input("pairs", None, folder), Input("more", None, folder)]
    context = build(PARAMS, inputs={"model": lively_model, "pairs": twice})
    with pytest.raises(MethodError, match="given twice"):
        steering_pairs.run(context)


def test_weights_that_are_broken_are_named(build, lively_model, tmp_path, monkeypatch):
    def broken(_model, sequences, *_):
        return [float(np.nan)] * len(sequences)

    monkeypatch.setattr(steering_pairs, "mean_nats", broken)
    with pytest.raises(MethodError, match="no number"):
        measure(build, lively_model, tmp_path, PAIRS)
