"""Pairs are read, sorted out and masked; what is held out is never learned from."""

from __future__ import annotations

import math

import pytest
import torch
from pydantic import ValidationError

from assets.alignment.preferences import (
    Pair,
    PairParams,
    log_odds,
    read_pairs,
    readable,
    require_learnable,
    sort_pairs,
    words_only,
)
from assets.alignment.sequences import of_completion
from assets.compute import load_weights
from assets.rows import ROWS, row_schema, write_rows
from registry.errors import MethodError
from tests.assets.pairs import colours, pair, write_pairs

PARAMS = PairParams(longest=64)


@pytest.fixture(scope="module")
def tokenizer(small_model):
    return load_weights(small_model, torch.device("cpu"), "float32")[1]


def one(chosen="Yes.", rejected="No.", strength=None) -> Pair:
    return Pair("a", "Tea?", chosen, rejected, strength)


def test_log_odds_are_those_of_bradley_and_terry():
    assert log_odds(0.5) == 0
    assert log_odds(0.75) == pytest.approx(math.log(3))
    assert log_odds(None) == 0
    assert log_odds(1.0) == log_odds(0.995) == pytest.approx(5.2933, abs=1e-4)


@pytest.mark.parametrize(
    ("given", "reason", "score"),
    [
        (one(chosen=" \n"), "one of its answers is empty", 0),
        (one(rejected=""), "one of its answers is empty", 0),
        (one(rejected="Yes."), "both answers are the same", 0),
        (one(strength=0.59), "a near-tie: less than 0.6 preferred it", 0.59),
        (one(strength=0.2), "a near-tie: less than 0.6 preferred it", 0.2),
        (one(chosen="y" * 90), "longer than 64 tokens", None),
        (one(chosen="ok<|im_end|>"), "it holds <|im_end|>, which the model reads as", 0),
    ],
)
def test_pairs_that_cannot_be_learned_from_are_named(tokenizer, given, reason, score):
    good = [one(), one(strength=0.6), one(strength=1.0)]
    taken, rejected = sort_pairs(tokenizer, [*good, given], PARAMS, PARAMS.longest, "base")
    assert [t.pair for t in taken] == good
    (left,) = rejected
    assert left["reason"].startswith(reason)
    assert left["score"] == (score if score is not None else pytest.approx(125, abs=30))
    assert left["caused_by"] == left["row_id"] == "a"


def test_no_pair_that_can_be_learned_from_is_refused(tokenizer):
    with pytest.raises(MethodError, match="none of 1 pairs can be learned from") as caught:
        sort_pairs(tokenizer, [one(strength=0.5)], PARAMS, PARAMS.longest, "base")
    assert "near-tie" in caught.value.why
    assert "least_strength" in caught.value.mend


def test_only_words_of_an_answer_count(tokenizer):
    sequence = of_completion(tokenizer, "Tea?", "Yes.", chat=True)
    words = words_only(tokenizer, sequence)
    assert tokenizer.decode([t for t, on in zip(sequence.ids, words, strict=True) if on]) == "Yes."
    assert sum(sequence.learned) == sum(words) + 1
    assert sequence.ids[-1] == tokenizer.eos_token_id


def test_both_names_of_the_preferred_answer_are_read(build, tmp_path):
    write_pairs(tmp_path / "pairs", [pair("a", "b", "c", strength=0.7)])
    row = {"row_id": "r", "parents": [], "prompt": "d", "completion": "e", "source": "s",
           "community": None, "rejected": "f"}  # fmt: skip
    schema = row_schema() | {"rejected": row_schema()["prompt"]}
    (tmp_path / "examples").mkdir()
    write_rows(tmp_path / "examples" / ROWS, [row], schema)
    found = [
        read_pairs(build(PARAMS, inputs={"data": tmp_path / name}), "data")[0]
        for name in ("pairs", "examples")
    ]
    assert [(p.prompt, p.chosen, p.rejected, p.strength) for p in found] == [
        ("a", "b", "c", 0.7), ("d", "e", "f", None),
    ]  # fmt: skip


def test_a_dataset_without_pairs_is_refused_with_its_columns(build, tmp_path):
    row = dict.fromkeys(row_schema()) | {"row_id": "r", "parents": []}
    write_rows(tmp_path / ROWS, [row], row_schema())
    with pytest.raises(MethodError, match="holds no pairs of answers") as caught:
        read_pairs(build(PARAMS, inputs={"data": tmp_path}), "data")
    assert caught.value.where == "data"
    assert "community-preferences" in caught.value.mend


def test_an_empty_dataset_is_refused(build, tmp_path):
    write_pairs(tmp_path, [])
    with pytest.raises(MethodError, match="there are no pairs"):
        read_pairs(build(PARAMS, inputs={"data": tmp_path}), "data")


@pytest.mark.parametrize("strength", [1.2, -0.1, float("nan")])
def test_a_strength_that_is_no_share_is_refused(build, tmp_path, strength):
    write_pairs(tmp_path, [pair("a", "b", "c", strength=strength)])
    with pytest.raises(MethodError, match="the strength of row"):
        read_pairs(build(PARAMS, inputs={"data": tmp_path}), "data")


def test_a_row_that_is_held_out_stops_training(build, tmp_path):
    write_pairs(tmp_path, [*colours(), pair("a", "b", "c", held_out=True)])
    with pytest.raises(MethodError, match="is held out"):
        require_learnable(build(PARAMS, inputs={"data": tmp_path}), "data")


def test_no_pair_is_longer_than_the_model_reads(small_model):
    model, _ = load_weights(small_model, torch.device("cpu"), "float32")
    assert readable(model, PARAMS) == 64
    assert readable(model, PairParams(longest=5000)) == 2048


def test_pairs_are_not_packed():
    with pytest.raises(ValidationError, match="not packed"):
        PairParams(packing=True)
