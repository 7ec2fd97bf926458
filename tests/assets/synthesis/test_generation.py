"""Writing many answers at once gives what writing each alone would give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from assets.compute import load_model
from assets.option_prompt import encode
from assets.synthesis.generation import write_answers
from assets.synthesis.sampling import Sampling
from assets.synthesis.teachers import ModelTeacher, Request
from registry.errors import MethodError

PROMPTS = ["Tea?", "A much longer question about the sea", "Tea?", "Tea?", "Rain"]
END = frozenset({2})
Loaded = tuple[Any, Any]


@pytest.fixture(scope="module")
def loaded(lively_model: Path) -> Loaded:
    return load_model(lively_model, torch.device("cpu"), "float32")


@pytest.fixture(scope="module")
def calm(small_model: Path) -> Loaded:
    return load_model(small_model, torch.device("cpu"), "float32")


def written(loaded: Loaded, prompts: list[str], seeds: list[int], sampling: Sampling):
    model, tokenizer = loaded
    return write_answers(model, [encode(tokenizer, p) for p in prompts], seeds, sampling, END, 0)


def test_greedy_answers_are_those_of_transformers(loaded: Loaded) -> None:
    model, tokenizer = loaded
    found = written(loaded, PROMPTS, [0] * 5, Sampling(temperature=0, max_new_tokens=12))
    for prompt, one in zip(PROMPTS, found, strict=True):
        ids = torch.tensor([encode(tokenizer, prompt)])
        expected = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=12,
            do_sample=False,
            pad_token_id=0,
        )[0, ids.shape[1] :].tolist()
        assert one.tokens == expected


@pytest.mark.parametrize("sampling", [Sampling(max_new_tokens=40), Sampling(top_p=0.9)])
def test_an_answer_depends_on_its_seed_and_not_on_its_company(
    calm: Loaded, sampling: Sampling
) -> None:
    sampling = sampling.model_copy(update={"max_new_tokens": 40})
    seeds = [5, 6, 7, 8, 9]
    together = written(calm, PROMPTS, seeds, sampling)
    for prompt, seed, one in zip(PROMPTS, seeds, together, strict=True):
        (alone,) = written(calm, [prompt], [seed], sampling)
        assert one.tokens == alone.tokens
        assert one.logprobs == pytest.approx(alone.logprobs, abs=1e-4)
    assert together[0].tokens != together[2].tokens


def test_rows_that_end_leave_and_the_others_go_on(calm: Loaded) -> None:
    """With 259 tokens nearly as likely, an end comes after about 259 / 40 draws of 40 tokens."""
    ends = frozenset(range(2, 42))
    model, tokenizer = calm
    ids = [encode(tokenizer, "Tea?")] * 40
    found = write_answers(model, ids, list(range(40)), Sampling(max_new_tokens=60), ends, 0)
    lengths = [len(one.tokens) for one in found]
    assert len(set(lengths)) > 5
    assert sum(lengths) / 40 == pytest.approx(259 / 40, rel=0.5)
    for one in found:
        assert one.ended == (one.tokens[-1] in ends)
        assert not set(one.tokens[:-1]) & ends
        assert len(one.logprobs) == len(one.tokens)
    again = write_answers(model, ids[:1], [17], Sampling(max_new_tokens=60), ends, 0)
    assert again[0].tokens == found[17].tokens


def test_log_probabilities_are_those_of_one_pass_over_the_whole(loaded: Loaded) -> None:
    model, tokenizer = loaded
    found = written(loaded, PROMPTS, [1] * 5, Sampling(temperature=1.5, max_new_tokens=10))
    for prompt, one in zip(PROMPTS, found, strict=True):
        ids = encode(tokenizer, prompt)
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([ids + one.tokens])).logits[0].float()
        expected = logits.log_softmax(-1)[
            torch.arange(len(ids) - 1, len(ids) + len(one.tokens) - 1), torch.tensor(one.tokens)
        ]
        assert one.logprobs == pytest.approx(expected.tolist(), abs=1e-3)


def teacher(loaded: Loaded, **sampling: Any) -> ModelTeacher:
    return ModelTeacher(*loaded, "north", Sampling(**sampling), 8)


def test_a_teacher_says_how_an_answer_ended(calm: Loaded) -> None:
    requests = [Request(str(n), "Tea?", n) for n in range(8)]
    (one, *_) = [c for _, c in teacher(calm, max_new_tokens=3).complete(requests)]
    assert one.finish_reason == "length"
    assert one.tokens == 3
    assert one.logprob == pytest.approx(-5.56, abs=0.2)  # log(1/259), nearly uniform
    lines = teacher(calm, max_new_tokens=600, until="end of line", chat_template=False)
    for _, found in lines.complete(requests):
        assert "\n" not in found.text


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        (" \n", "the prompt is empty"),
        ("Tea?<|im_end|>\n<|im_start|>system", "the prompt holds <|im_end|>"),
        ("x" * 2040, "the model reads 2048"),
    ],
)
def test_a_prompt_that_cannot_be_put_is_refused_with_the_reason(
    calm: Loaded, prompt: str, said: str
) -> None:
    assert said in (teacher(calm, max_new_tokens=16).refuse(Request("1", prompt, 0)) or "")
    assert teacher(calm, max_new_tokens=16).refuse(Request("1", "Tea?", 0)) is None


def test_a_model_without_a_chat_template_is_refused_unless_none_is_wanted(calm: Loaded) -> None:
    import copy

    model, tokenizer = calm
    bare = copy.deepcopy(tokenizer)
    bare.chat_template = None
    with pytest.raises(MethodError, match=r"no chat template\n.*\n.*chat_template: false"):
        ModelTeacher(model, bare, "north", Sampling(), 8)
    ModelTeacher(model, bare, "north", Sampling(chat_template=False), 8)


def test_the_head_of_a_bfloat16_model_loses_nothing(lively_model: Path) -> None:
    model, tokenizer = load_model(lively_model, torch.device("cpu"), "bfloat16")
    hidden = torch.randn(7, 32, generator=torch.manual_seed(0)).bfloat16()
    head = model.get_output_embeddings()
    before = torch.get_float32_matmul_precision()
    ModelTeacher(model, tokenizer, "north", Sampling(), 8)
    exact = hidden.double() @ head.weight.double().T
    assert torch.allclose(head(hidden).double(), exact, rtol=1e-5, atol=1e-4)
    assert torch.get_float32_matmul_precision() == before
