"""What every training tells of itself."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest
import torch

from assets.alignment import sft
from assets.alignment.training import tokens_in
from assets.compute import load_weights
from assets.rows import ROWS, row_id, row_schema, write_rows

if TYPE_CHECKING:
    from pathlib import Path

    from tests.assets.conftest import Build

pytestmark = pytest.mark.filterwarnings(  # peft 0.21 asks transformers 5.23 by the old name
    "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"
)


def test_tokens_are_told_where_the_trainer_counts_them() -> None:
    assert tokens_in({"loss": 1.0, "num_tokens": 70.0}) == {"tokens": 70.0}
    assert tokens_in({"train_runtime": 1.0}) == {}


def test_every_token_read_is_counted_and_no_padding(
    build: Build, small_model: Path, tmp_path: Path
) -> None:
    """All rows are one batch, so that each step reads all of their tokens."""
    rows = [
        {
            "row_id": row_id("test", prompt), "parents": [], "prompt": prompt,
            "completion": "yes", "source": "test", "community": None,
        }
        for prompt in ("Tea?", "Is it cold outside, and will it rain before the evening?")
    ]  # fmt: skip
    write_rows(tmp_path / ROWS, rows, row_schema())
    _, tokenizer = load_weights(small_model, torch.device("cpu"), "float32")
    whole = sum(len(sft.sequence_of(tokenizer, row, chat=True).ids) for row in rows)
    events = io.StringIO()
    params = sft.Params(steps=3, batch_size=2, adapter_rank=0)
    sft.run(build(params, inputs={"base": small_model, "data": tmp_path}, events=events))
    told = [json.loads(line)["tokens"] for line in events.getvalue().splitlines()]
    assert told == [whole, 2 * whole, 3 * whole]
