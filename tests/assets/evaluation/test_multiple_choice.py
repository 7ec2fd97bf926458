"""Multiple choice: two readings, each checked against a computation of its own."""

from __future__ import annotations

import json

import pytest
import torch

from assets.compute import load_model
from assets.evaluation import multiple_choice
from assets.evaluation.multiple_choice import (
    Chosen,
    Params,
    by_letter,
    by_text,
    floors,
    in_parts,
    option_sequence,
    require_different,
    require_questions,
)
from assets.rows import ROWS, read_rows, write_rows
from assets.sources.choice_questions import choice_schema
from registry.errors import MethodError
from registry.results import read_results


def question(place, options=("look for it", "sing", "sleep a long while"), correct=0):
    return {"row_id": f"q{place}", "parents": [], "prompt": f"Mo lost key {place}. What next?",
            "completion": options[correct], "source": "q.jsonl", "community": None,
            "options": list(options), "correct": correct, "line": place + 1}  # fmt: skip


ROWS_GIVEN = [question(0), question(1, ("yes", "no"), 1), question(2, correct=2)]


@pytest.fixture(scope="module")
def loaded(lively_model):
    return load_model(lively_model, torch.device("cpu"), "float32")


def test_the_mean_log_probability_of_an_option_is_that_of_its_tokens_alone(loaded):
    model, tokenizer = loaded
    found = by_text(model, tokenizer, ROWS_GIVEN, batch_size=2)
    for row, chosen in zip(ROWS_GIVEN, found, strict=True):
        head = tokenizer.apply_chat_template(
            [{"role": "user", "content": row["prompt"]}], add_generation_prompt=True,
            tokenize=True, return_dict=True,
        )["input_ids"]  # fmt: skip
        for option, score in zip(row["options"], chosen.scores, strict=True):
            tokens = tokenizer.encode(option, add_special_tokens=False)
            logs = model(input_ids=torch.tensor([[*head, *tokens]])).logits[0].log_softmax(-1)
            alone = [logs[len(head) + i - 1, token].item() for i, token in enumerate(tokens)]
            assert score == pytest.approx(sum(alone) / len(alone), abs=1e-4)
        assert chosen.outside is None


def test_letters_are_read_in_every_rotation(loaded, monkeypatch):
    """A model that always says A is right by no letter: every option is as likely."""
    model, tokenizer = loaded

    def says_a(_model, _tokenizer, prompts):
        shown = torch.zeros(len(prompts), len(tokenizer))
        shown[:, multiple_choice.letter_ids(tokenizer, 1)[0]] = 0.9
        return shown

    monkeypatch.setattr(multiple_choice, "next_token_probabilities", says_a)
    found = by_letter(model, tokenizer, ROWS_GIVEN, 4)
    assert found[0].scores == pytest.approx([0.3] * 3)
    assert found[1].scores == pytest.approx([0.45] * 2)
    assert found[0].outside == pytest.approx(0.1)


def test_a_model_that_knows_the_text_is_found_by_letter(loaded, monkeypatch):
    model, tokenizer = loaded
    asked = []
    monkeypatch.setattr(multiple_choice, "encode", lambda _, prompt: asked.append(prompt) or [0])

    def knows(_model, _tokenizer, prompts):
        shown = torch.zeros(len(prompts), len(tokenizer))
        letters = multiple_choice.letter_ids(tokenizer, 3)
        for place, prompt in enumerate(asked[: len(prompts)]):
            letter = next(one[0] for one in prompt.splitlines() if one.endswith(". sing"))
            shown[place, letters["ABC".index(letter)]] = 1.0
        del asked[: len(prompts)]
        return shown

    monkeypatch.setattr(multiple_choice, "next_token_probabilities", knows)
    (found,) = by_letter(model, tokenizer, [question(0)], 1)
    assert found.scores == pytest.approx([0, 1, 0])
    assert (found.best, found.correct(1), found.correct(0)) == ((1,), 1, 0)


def test_equals_count_as_their_chance():
    assert Chosen((0.5, 0.5, 0.1)).correct(0) == 0.5
    assert Chosen((0.5, 0.5, 0.1)).correct(2) == 0
    assert Chosen((0.2, 0.2, 0.2)).correct(2) == pytest.approx(1 / 3)


def test_what_needs_no_reading():
    found = floors(ROWS_GIVEN)
    assert found["chance"] == pytest.approx((1 / 3 + 1 / 2 + 1 / 3) / 3)
    assert found["always the commonest place"] == pytest.approx(1 / 3)
    assert found["always the longest option"] == pytest.approx(1 / 3)


def test_options_of_the_same_tokens_are_refused(loaded):
    _, tokenizer = loaded
    row = question(4, ("one", "other", "one"))
    own = [option_sequence(tokenizer, "p", text) for text in row["options"]]
    with pytest.raises(MethodError, match="'one' and 'one' are the same tokens") as caught:
        require_different(row, own)
    assert caught.value.where == "q.jsonl:5"
    assert "word them differently" in caught.value.mend


@pytest.mark.parametrize(
    ("rows", "columns", "said"),
    [
        ([], None, "holds no questions"),
        ([question(0)], ["row_id"], "has no column 'prompt'"),
        ([question(0, ("only",))], None, "has 1 options"),
        ([question(0) | {"correct": 3}], None, "says that option 4 of 3 is right"),
    ],
)
def test_what_is_no_question_is_refused(rows, columns, said):
    with pytest.raises(MethodError, match=said):
        require_questions(rows, columns or list(question(0)), "questions")


def test_parts_of_a_killed_attempt_are_kept_and_broken_scores_refused(tmp_path):
    rows = [question(place) for place in range(300)]
    asked = []

    def read(part):
        asked.append(len(part))
        if len(asked) == 2:
            raise KeyboardInterrupt
        return [Chosen((0.1, 0.2, 0.3), 0.4) for _ in part]

    with pytest.raises(KeyboardInterrupt):
        in_parts(rows, read, tmp_path, lambda _: None)
    found = in_parts(rows, read, tmp_path, lambda _: None)
    assert asked == [256, 44, 44]
    assert set(found) == {Chosen((0.1, 0.2, 0.3), 0.4)}
    with pytest.raises(MethodError, match="no number"):
        in_parts(rows[:1], lambda _: [Chosen((float("nan"), 0, 0))], tmp_path / "x", lambda _: None)


def test_both_readings_with_intervals_and_floors(build, lively_model, tmp_path):
    write_rows(tmp_path / ROWS, ROWS_GIVEN, choice_schema())
    params = Params(dtype="float32")
    context = build(params, inputs={"model": lively_model, "questions": tmp_path})
    multiple_choice.run(context)
    letter, text = read_results(context.out)
    assert (letter.metric, letter.items) == ("accuracy, by letter", 3)
    assert text.metric == "accuracy, by mean log-probability a token"
    assert set(text.beside) - set(letter.beside) == {"without the question"}
    assert 0 <= letter.low <= letter.value <= letter.high <= 1
    table = read_rows(context.out / "choices.parquet")
    assert table.height == 9
    headline = json.loads((context.out / "headline.json").read_text())
    assert 0 <= headline["mean probability outside the letters"] <= 1
    again = build(Params(dtype="float32", readings=("text",), batch_size=1),
                  inputs={"model": lively_model, "questions": tmp_path})  # fmt: skip
    multiple_choice.run(again)
    (alone,) = read_results(again.out)
    assert alone.value == text.value
