"""Prompts that begin alike are read once, and answered as if each were read alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

from assets.compute import load_model
from assets.option_prompt import (
    Order,
    arrange,
    encode,
    letter_ids,
    next_token_probabilities,
    render,
)
from assets.shared_prefixes import all_probabilities, in_batches, probabilities_after, shared_length

OPTIONS = ("A lot", "Some", "Not much", "None at all")
QUESTIONS = (
    "Do you trust the police?",
    "How much, when all is said and done, do you read?",
    "Well?",
)


@pytest.fixture(scope="module")
def loaded(lively_model: Path) -> tuple[Any, Any]:
    return load_model(lively_model, torch.device("cpu"), "float32")


@pytest.fixture(scope="module")
def groups(loaded: tuple[Any, Any]) -> list[list[list[int]]]:
    """All orders of each question."""
    _, tokenizer = loaded
    return [
        [encode(tokenizer, render(text, arrange(OPTIONS, order))) for order in get_args(Order)]
        for text in QUESTIONS
    ]


def test_what_prompts_share_ends_before_the_last_token_of_the_shortest() -> None:
    assert shared_length([[1, 2, 3], [1, 2, 4]]) == 2
    assert shared_length([[1, 2, 3], [1, 2, 3]]) == 2
    assert shared_length([[1, 2], [1, 2, 3]]) == 1
    assert shared_length([[1], [2]]) == 0
    assert shared_length([[1, 2, 3]]) == 2


@given(some.lists(some.integers(1, 7), min_size=1, max_size=30), some.integers(1, 12))
def test_each_group_stands_in_one_batch_and_batches_keep_to_their_size(
    sizes: list[int], size: int
) -> None:
    groups = [[[place, member] for member in range(count)] for place, count in enumerate(sizes)]
    batches = list(in_batches(groups, size))
    assert sorted(place for batch in batches for place in batch) == list(range(len(groups)))
    for batch in batches:
        assert len(batch) == 1 or sum(len(groups[place]) for place in batch) <= size


@pytest.mark.parametrize("size", [1, 4, 9, 64])
def test_probabilities_are_those_of_each_prompt_alone(
    loaded: tuple[Any, Any], groups: list[list[list[int]]], size: int
) -> None:
    model, tokenizer = loaded
    letters = torch.tensor(letter_ids(tokenizer, 4))
    found = {}
    for batch in all_probabilities(model, groups, letters, tokenizer.pad_token_id, size):
        found |= batch
    for place, group in enumerate(groups):
        alone = torch.cat([next_token_probabilities(model, tokenizer, [ids]) for ids in group])
        assert torch.allclose(found[place], alone[:, letters], atol=1e-6, rtol=0)


def test_prompts_that_share_nothing_are_answered_too(
    loaded: tuple[Any, Any], groups: list[list[list[int]]]
) -> None:
    model, tokenizer = loaded
    letters = torch.tensor(letter_ids(tokenizer, 4))
    other = [groups[0][0][1:], groups[0][1]]
    (found,) = probabilities_after(model, [other], letters, tokenizer.pad_token_id)
    alone = torch.cat([next_token_probabilities(model, tokenizer, [ids]) for ids in other])
    assert torch.allclose(found, alone[:, letters], atol=1e-6, rtol=0)
