"""Two communities with planted answers, and how a model answers their questions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from accelerate.state import AcceleratorState

from assets.compute import load_model
from assets.option_prompt import (
    arrange,
    encode,
    letter_ids,
    next_token_probabilities,
    render,
)
from assets.rows import write_rows
from registry.context import Input
from registry.typed import Frozen

if TYPE_CHECKING:
    from tests.assets.conftest import Build

QUESTIONS = {"Tea or coffee?": ("Tea", "Coffee"), "Hot or cold?": ("Hot", "Cold", "Neither")}
PLANTED = {
    "north": {"Tea or coffee?": (0.9, 0.1), "Hot or cold?": (0.1, 0.2, 0.7)},
    "south": {"Tea or coffee?": (0.2, 0.8), "Hot or cold?": (0.6, 0.3, 0.1)},
}


@pytest.fixture(autouse=True)
def _anew() -> Iterator[None]:
    """accelerate keeps one state a process, and its first precision."""
    AcceleratorState._reset_state()
    yield
    AcceleratorState._reset_state()


@pytest.fixture(scope="session")
def data(build: Build) -> dict[str, Input]:
    found = {}
    for community, planted in PLANTED.items():
        rows = [
            {
                "community": community,
                "prompt": render(question, arrange(QUESTIONS[question], order)),
                "shares": list(arrange(shares, order)),
                "n": 200,
            }
            for question, shares in planted.items()
            for order in ("forward", "reversed")
        ]
        folder = build(Frozen()).out
        write_rows(folder / "items.parquet", rows)
        found[community] = Input("opinion-items", community, folder)
    return found


def answered(files: Path, question: str) -> list[float]:
    """A model's option probabilities and the mass outside them, over both orders."""
    model, tokenizer = load_model(files, torch.device("cpu"), "bfloat16")
    options = QUESTIONS[question]
    letters = letter_ids(tokenizer, len(options))
    rows = []
    for order in ("forward", "reversed"):
        prompt = encode(tokenizer, render(question, arrange(options, order)))
        found = next_token_probabilities(model, tokenizer, [prompt])[0, letters].tolist()
        rows.append(arrange(found, order))
    return [sum(column) / 2 for column in zip(*rows, strict=True)]
