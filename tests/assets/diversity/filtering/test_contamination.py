"""Rows that hold what an evaluation will ask."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from assets.diversity.filtering.contamination import evaluations, overlap
from registry.errors import MethodError, UsageError
from tests.assets.diversity.filtering.conftest import (
    Filter,
    dataset,
    features,
    kept,
    left_out,
    row,
)

QUESTION = "A farmer has seventeen sheep and sells nine of them at the market on Tuesday morning"
SETTINGS = {"shortest": 4, "ignore_common": 10}


def shares(texts: list[str], prompts: list[str], length: int = 8, **settings: int):
    sought = evaluations(pl.Series(prompts), length, **{**SETTINGS, **settings})
    return overlap(pl.Series(texts), sought), sought.unjudged


def test_the_share_is_that_of_the_evaluations_sequences() -> None:
    words = QUESTION.split()
    quoted = " ".join(words[:10])
    found, _ = shares(
        [f'Before ("{QUESTION}.") After.', f"xx {quoted} yy", "nothing of the kind", ""], [QUESTION]
    )
    sequences = len(words) - 8 + 1
    assert found[:, 0].tolist() == pytest.approx([1, 3 / sequences, 0, 0])
    assert found[:, 1].tolist() == [0, 0, -1, -1]


def test_capitals_spaces_and_width_hide_nothing() -> None:
    disguised = QUESTION.upper().replace(" ", "\u00a0\n ").replace("S", "\uff33")
    found, _ = shares([disguised], [QUESTION])
    assert found[0, 0] == pytest.approx(1)


def test_signs_of_reckoning_are_words() -> None:
    found, _ = shares(["What is 3 * 4 - 2?", "What is 3 + 4 - 2?"], ["what is 3 + 4 - 2"])
    assert found[:, 0].tolist() == [0, 1]


def test_a_short_prompt_is_sought_as_a_whole_and_a_tiny_one_not_at_all() -> None:
    found, unjudged = shares(
        ["Tell me: who wrote the anthem? Now.", "who wrote it", "yes no"],
        ["who wrote the anthem?", "yes no"],
    )
    assert found[:, 0].tolist() == [1, 0, 0]
    assert unjudged == 1


def test_a_template_of_many_prompts_is_not_counted() -> None:
    template = "Please work out the following sum and give only the number at the end"
    prompts = [
        f"{template} number {i}: add {i} to {i + 1} and then take {i * 7} away" for i in range(40)
    ]
    text = [f"{template} number 99: multiply 3 by 4"]
    counted, _ = shares(text, prompts, ignore_common=1000)
    ignored, _ = shares(text, prompts)
    assert counted[0, 0] > 0.2
    assert ignored[0, 0] == 0
    same, _ = shares([prompts[7]], prompts)
    assert same[0].tolist() == pytest.approx([1, 7])


def test_the_row_that_caused_it_and_its_evaluation_are_named(
    run_filter: Filter, tmp_path: Path
) -> None:
    asked = dataset(
        tmp_path / "asked", [row("x", "some other question of enough words"), row("y", QUESTION)]
    )
    rows = [row(0, f"Q: {QUESTION}?", "8"), row(1, "How many sheep are there in all?", "8")]
    made = run_filter(rows, {"kind": "overlap"}, against=asked)
    assert kept(made) == ["row-1"]
    found = left_out(made)["row-0"]
    assert found["caused_by"] == "row-y"
    assert found["reason"] == "holds the words of a row of the evaluation against"
    assert found["score"] >= 0.8


def test_paraphrases_are_found_by_vectors(run_filter: Filter, tmp_path: Path) -> None:
    rows = [row(0, "a"), row(1, "b"), row(2, "c")]
    mine = features(tmp_path / "f", ["row-0", "row-1", "row-2"], [[1, 0], [0, 1], [0.6, 0.8]])
    theirs = features(tmp_path / "g", ["q-0", "q-1"], [[-1, 0], [0.1, 2]])
    made = run_filter(
        rows, {"kind": "paraphrase", "threshold": 0.9}, features=mine, against_features=theirs
    )
    assert kept(made) == ["row-0", "row-2"]
    assert left_out(made)["row-1"]["caused_by"] == "q-1"
    scores = pl.read_parquet(made.out / "scores.parquet")["paraphrase_1"]
    assert scores.to_list()[1:] == pytest.approx([0.9988, 0.8289], abs=1e-3)
    assert scores[0] == pytest.approx(0.05, abs=1e-2)


def test_vectors_of_another_encoder_are_refused(run_filter: Filter, tmp_path: Path) -> None:
    mine = features(tmp_path / "f", ["row-0"], np.eye(2)[:1])
    theirs = features(tmp_path / "g", ["q-0"], np.eye(2)[:1], encoder="another")
    with pytest.raises(MethodError, match="the vectors are of two kinds"):
        run_filter([row(0, "a")], {"kind": "paraphrase"}, features=mine, against_features=theirs)
    with pytest.raises(UsageError, match="needs the input 'against'"):
        run_filter([row(0, "a")], {"kind": "overlap"})
