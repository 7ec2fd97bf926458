"""Rows become tokens the same way everywhere, and those without a gradient are named."""

from __future__ import annotations

import pytest

from assets.compute import load_model
from assets.diversity.gradients import Encoded, Encoder, GradientEngine, Unusable
from assets.diversity.gradients.encoding import batches, context_length
from registry.errors import MethodError, UsageError


@pytest.fixture(scope="module")
def proxy(lively_model):
    import torch

    return load_model(lively_model, torch.device("cpu"), "float32")


def test_a_row_is_the_prompt_as_a_chat_then_the_completion_and_its_end(proxy):
    tokenizer = proxy[1]
    row = Encoder(tokenizer, 100)("Hi", "yes")
    assert isinstance(row, Encoded)
    text = tokenizer.decode(row.ids)
    assert text == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nyes<|im_end|>"
    assert row.supervised == 4
    assert row.ids[row.prompt :] == (*tokenizer("yes")["input_ids"], tokenizer.eos_token_id)


def test_without_a_template_the_prompt_is_plain(proxy):
    row = Encoder(proxy[1], 100, chat_template=False)("Hi", "yes")
    assert isinstance(row, Encoded)
    assert proxy[1].decode(row.ids) == "Hiyes<|im_end|>"


@pytest.mark.parametrize("completion", ["", "  \n", None])
def test_an_empty_completion_has_no_gradient(proxy, completion):
    assert Encoder(proxy[1], 100)("Hi", completion) == Unusable("empty completion")


def test_a_row_longer_than_the_context_is_told_with_its_length(proxy):
    long = Encoder(proxy[1], 50)("Hi", "y" * 60)
    assert isinstance(long, Unusable)
    assert long.reason == "longer than the context"
    assert long.tokens is not None
    assert long.tokens > 60
    assert isinstance(Encoder(proxy[1], long.tokens)("Hi", "y" * 60), Encoded)


def test_a_completion_that_stands_alone_begins_after_the_first_token(proxy):
    row = Encoder(proxy[1], 100, chat_template=False)("", "yes")
    assert isinstance(row, Encoded)
    assert (row.prompt, row.ids[0]) == (1, proxy[1].bos_token_id)


def test_a_template_that_is_asked_for_and_absent_is_an_error_with_a_mend(proxy):
    class Plain:
        chat_template = None

    with pytest.raises(UsageError, match="chat_template: false"):
        Encoder(Plain(), 100)


def test_batches_hold_rows_alike_in_length_and_every_row_once():
    rows = [Encoded((1,) * n, 1) for n in (5, 90, 3, 40, 3, 41, 200, 7)]
    found = list(batches(rows, 100))
    assert sorted(i for batch in found for i in batch) == list(range(len(rows)))
    assert found == [[2, 4, 0, 7], [3, 5], [1], [6]]
    assert list(batches([], 100)) == []


def test_the_context_is_the_models_own(proxy):
    assert context_length(proxy[0]) == 2048


def test_vectors_of_texts_come_in_the_order_given(proxy):
    engine = GradientEngine(*proxy, dimensions=64, width=8)
    rows = [("Hi", "y" * n) for n in (30, 2, 11)]
    found = engine.vectors(rows)
    assert found.shape == (3, 64)
    for index, row in enumerate(rows):
        assert found[index] == pytest.approx(engine.vectors([row])[0], rel=1e-3, abs=1e-3)
    assert engine.vectors([]).shape == (0, 64)


def test_a_row_without_a_gradient_is_an_error_for_who_asks_for_vectors(proxy):
    engine = GradientEngine(*proxy, dimensions=64, width=8)
    with pytest.raises(MethodError, match="row 1 has no gradient: empty completion"):
        engine.vectors([("a", "b"), ("a", " ")])


def test_a_shorter_limit_counts_and_a_longer_one_does_not_stretch_the_model(proxy):
    assert GradientEngine(*proxy, max_tokens=10).encode.context == 10
    assert GradientEngine(*proxy, max_tokens=10_000).encode.context == 2048
