"""A loss falls on answers and their end of turn, and on nothing else."""

from __future__ import annotations

import pytest
from transformers import AutoTokenizer

from assets.alignment.sequences import (
    IGNORED,
    mark_in,
    of_chat,
    of_completion,
    problem_of_chat,
)
from registry.errors import MethodError

TURNS = [
    {"role": "user", "content": "Tea?"},
    {"role": "assistant", "content": "Yes, please."},
    {"role": "user", "content": "Milk?"},
    {"role": "assistant", "content": "No."},
]


@pytest.fixture
def tokenizer(small_model):
    return AutoTokenizer.from_pretrained(small_model)


def learned_text(tokenizer, sequence) -> list[str]:
    """Each run of learned tokens, as text."""
    runs, open_run = [], []
    for token, on in zip(sequence.ids, sequence.learned, strict=True):
        if on:
            open_run.append(token)
        elif open_run:
            runs.append(open_run)
            open_run = []
    return [tokenizer.decode(run) for run in [*runs, open_run] if run]


def test_a_completion_and_its_end_are_learned(tokenizer):
    sequence = of_completion(tokenizer, "Tea?", "Yes, please.", chat=True)
    assert learned_text(tokenizer, sequence) == ["Yes, please.<|im_end|>"]
    assert tokenizer.decode(sequence.ids).endswith(
        "<|im_start|>user\nTea?<|im_end|>\n<|im_start|>assistant\nYes, please.<|im_end|>"
    )


def test_without_a_template_the_end_of_text_is_learned_too(tokenizer):
    sequence = of_completion(tokenizer, "2 + 2 =", " 4", chat=False)
    assert learned_text(tokenizer, sequence) == [" 4" + tokenizer.eos_token]
    assert tokenizer.decode(sequence.ids) == "2 + 2 = 4" + tokenizer.eos_token


def test_every_answer_of_a_conversation_is_learned(tokenizer):
    sequence = of_chat(tokenizer, TURNS)
    assert learned_text(tokenizer, sequence) == ["Yes, please.<|im_end|>", "No.<|im_end|>"]


def test_labels_are_the_tokens_that_are_learned(tokenizer):
    sequence = of_completion(tokenizer, "a", "b", chat=False)
    assert sequence.labels == [IGNORED, *sequence.ids[1:]]


def test_a_template_that_rewrites_earlier_turns_is_refused(tokenizer):
    tokenizer.chat_template = (
        "{% for m in messages %}{% if loop.last %}{{ m['content'] }}{% endif %}{% endfor %}"
    )
    with pytest.raises(MethodError, match="rewrites earlier turns"):
        of_chat(tokenizer, TURNS)


def test_a_tokenizer_without_a_template_says_what_to_do(tokenizer):
    tokenizer.chat_template = None
    with pytest.raises(MethodError, match="no chat template") as caught:
        of_completion(tokenizer, "a", "b", chat=True)
    assert "chat_template: false" in caught.value.mend


def test_a_conversation_begins_with_a_question(tokenizer):
    with pytest.raises(MethodError, match="begins with a question"):
        of_chat(tokenizer, TURNS[1:])


# What conversations must be.

ASK, TELL = TURNS[:2]


@pytest.mark.parametrize(
    ("turns", "said"),
    [
        (TURNS, ""),
        ([{"role": "system", "content": "Be brief."}, *TURNS], ""),
        ([TELL, ASK], "does not begin with a question"),
        ([ASK], "nobody answers"),
        ([ASK, {"role": "assistant", "content": "  "}], "nobody answers"),
        ([ASK, {"role": "assistant", "content": None}], "no role or no text"),
        ([ASK, None], "no role or no text"),
        ([ASK, {"role": "wizard", "content": "x"}], "is by 'wizard'"),
    ],
)
def test_conversations_that_cannot_be_learned_from_say_why(turns, said):
    found = problem_of_chat(turns)
    assert said in found
    assert bool(found) == bool(said)


def test_a_mark_that_is_written_out_is_found(tokenizer):
    assert mark_in(tokenizer, ["a", "b <|im_end|> c"]) == "<|im_end|>"
    assert not mark_in(tokenizer, ["a < b", "|im_end|"])


def test_a_template_that_refuses_a_conversation_is_an_error_with_its_turns(tokenizer):
    tokenizer.chat_template = "{{ raise_exception('roles must alternate') }}"
    with pytest.raises(MethodError, match="roles must alternate") as caught:
        of_chat(tokenizer, TURNS)
    assert "its turns are by user" in caught.value.why
