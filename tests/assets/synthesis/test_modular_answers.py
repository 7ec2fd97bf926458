"""Comments of several models become answers of one, as in Modular Pluralism."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from assets.rows import read_rows, write_rows
from assets.synthesis import modular_answers
from assets.synthesis.answers import ANSWERS
from assets.synthesis.modular_answers import (
    Asked,
    Choice,
    Comment,
    Params,
    Wording,
    _choice,
    combined,
    led_by,
    read_comments,
)
from registry.context import Input
from registry.errors import MethodError

SAMPLING = {"temperature": 1.0, "max_new_tokens": 6}


def comments(folder, name, said):
    rows = [
        {"row_id": f"{name}-{place}", "prompt_id": prompt, "prompt": f"What of {prompt}?",
         "sample": sample, "text": text}
        for place, (prompt, sample, text) in enumerate(said)
    ]  # fmt: skip
    write_rows(folder / name / ANSWERS, rows)
    return Input("comments", name, folder / name)


@pytest.fixture
def given(tmp_path):
    both = [("boats", 0, "Lend them."), ("nets", 0, "Mend\nthem.")]
    return [
        comments(tmp_path, "a", both),
        comments(tmp_path, "b", [("boats", 0, "Keep them."), ("nets", 0, " "), ("boats", 1, "X")]),
    ]


def asked(*texts):
    said = tuple(Comment(str(place), f"c@{place}", text) for place, text in enumerate(texts))
    return Asked("boats", "What of boats?", 0, said)


def test_only_prompts_that_all_commented_on_are_put(given):
    (one,) = read_comments(given)
    assert (one.prompt_id, one.sample, one.prompt) == ("boats", 0, "What of boats?")
    assert [(c.by, c.text) for c in one.comments] == [
        ("comments@a", "Lend them."), ("comments@b", "Keep them."),
    ]  # fmt: skip


def test_a_comment_that_looks_like_a_slot_stays_as_it_is():
    one = asked("Say {prompt} and {comments}.", "B\nc")
    found = combined(one, Wording())
    assert "- Say {prompt} and {comments}.\n- B c\n" in found
    assert found.count("What of boats?") == 1
    led = led_by(one, Choice(0, 1.0, 0.0), Wording())
    assert "Say {prompt} and {comments}." in led
    assert "B\nc" not in led


def test_the_choice_is_read_over_rotations():
    # a model that always says A, and one that always finds the second comment
    assert _choice([[0.8, 0.1], [0.8, 0.1]]).probability == pytest.approx(0.5)
    found = _choice([[0.0, 0.9, 0.0], [0.9, 0.0, 0.0], [0.0, 0.0, 0.9]])
    assert found.place == 1
    assert found.probability == pytest.approx(1)
    assert found.outside == pytest.approx(0.1)
    assert _choice([[0.0, 0.0], [0.0, 0.0]]) == Choice(0, 0.5, 1.0)


@pytest.mark.parametrize("way", ["all-comments", "chosen-comment"])
def test_answers_are_rows_like_others(build, lively_model, given, way):
    params = Params(way=way, sampling=SAMPLING, dtype="float32")
    context = build(params, inputs={"comments": given, "model": lively_model})
    modular_answers.run(context)
    (row,) = read_rows(context.out / ANSWERS).to_dicts()
    assert (row["prompt_id"], row["prompt"], row["model"]) == ("boats", "What of boats?", "node")
    read = {"a-0", "b-0"}
    if way == "all-comments":
        assert set(row["parents"]) == {"boats", *read}
    else:
        (choice,) = read_rows(context.out / "choices.parquet").to_dicts()
        assert row["parents"] == ["boats", "a-0" if choice["chosen"] == "comments@a" else "b-0"]
        assert 0.5 <= choice["probability"] <= 1


def test_one_model_alone_cannot_be_combined(given, tmp_path):
    with pytest.raises(MethodError, match="1 models comment; 2 to 26"):
        read_comments(given[:1])
    other = comments(tmp_path, "c", [("other", 0, "Yes.")])
    with pytest.raises(MethodError, match="no prompt has a comment of all 2"):
        read_comments([given[0], other])
    (tmp_path / "empty").mkdir()
    with pytest.raises(MethodError, match=r"has no answers\.parquet"):
        read_comments([given[0], Input("x", None, tmp_path / "empty")])


def test_words_need_their_slots():
    with pytest.raises(ValidationError, match=r"must hold \{comments\} once"):
        Wording(all_comments="{prompt}")
    with pytest.raises(ValidationError, match="none is chosen"):
        Params(way="all-comments", attribute="a fisher")
