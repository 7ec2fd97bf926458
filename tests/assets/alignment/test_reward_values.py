"""Rewards against known answers: gradients by enumerating every group, and credit by member."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.alignment.reward_values import (
    Answer,
    Asked,
    after_thought,
    checked,
    contributions,
    cosine_distances,
    is_valid,
    keeps_format,
    length_pay,
    option_of,
    rarity,
    word_distances,
)
from assets.alignment.rewards import OUTSIDE
from assets.sources.verifiers import write_entry
from registry.errors import MethodError

SHARES = [0.70, 0.20, 0.08, 0.02]


def expected_gradient(policy, pay, size) -> np.ndarray:
    """What GRPO's gradient by the policy's logits is on average, over all K^G groups."""
    options = len(policy)
    total = np.zeros(options)
    for group in itertools.product(range(options), repeat=size):
        chance = np.prod([policy[a] for a in group])
        paid = np.array(pay(group))
        for reward, answer in zip(paid - paid.mean(), group, strict=True):
            total += chance * reward * (np.eye(options)[answer] - policy) / size
    return total


@pytest.mark.parametrize("size", [3, 4, 5])
def test_a_policy_that_matches_people_is_left_alone(size):
    found = expected_gradient(np.array(SHARES), lambda g: rarity(SHARES, g, 1.0), size)
    assert np.abs(found).max() < 1e-12


def test_the_divisor_is_the_group_without_two():
    def with_one(group):
        counts = [group.count(a) - 1 for a in group]
        return [SHARES[a] - c / (len(group) - 1) for a, c in zip(group, counts, strict=True)]

    found = expected_gradient(np.array(SHARES), with_one, 4)
    assert found[0] == pytest.approx(0.029, abs=5e-4)


def test_its_gradient_is_that_of_the_squared_distance():
    policy, target = np.array([0.5, 0.3, 0.2]), [0.1, 0.2, 0.7]
    gap = np.array(target) - policy
    downhill = policy * (gap - (policy * gap).sum())
    found = expected_gradient(policy, lambda g: rarity(target, g, 1.0), 4)
    assert found == pytest.approx(downhill * 3 / 4, abs=1e-12)


def test_a_group_of_two_cannot_say_how_rare_an_answer_is():
    with pytest.raises(MethodError, match="too small") as caught:
        rarity(SHARES, [0, 1], 1.0)
    assert "group_size" in caught.value.mend


@given(st.lists(st.sampled_from([OUTSIDE, 0, 1, 2, 3]), min_size=3, max_size=9))
def test_leaving_the_options_never_pays(labels):
    paid = rarity(SHARES, labels, 1.0)
    outside = {p for p, label in zip(paid, labels, strict=True) if label == OUTSIDE}
    inside = [p for p, label in zip(paid, labels, strict=True) if label != OUTSIDE]
    assert len(outside) <= 1
    assert not outside or all(p > next(iter(outside)) for p in inside)


def test_diversity_is_what_a_member_adds_among_valid_ones():
    texts = ["red fox", "red fox", "blue sky", "green sea"]
    valid = [True, True, True, False]
    apart = word_distances(texts)

    def whole(kept):
        pairs = itertools.combinations([i for i in kept if valid[i]], 2)
        return sum(apart[i, j] for i, j in pairs) / 3

    everyone = range(4)
    wanted = [whole(everyone) - whole([i for i in everyone if i != out]) for out in everyone]
    assert contributions(apart, valid) == pytest.approx(wanted)
    assert wanted == pytest.approx([1 / 3, 1 / 3, 2 / 3, 0])


def test_equal_answers_add_no_diversity_and_a_stranger_adds_all():
    assert contributions(word_distances(["a b"] * 3), [True] * 3) == [0, 0, 0]
    assert contributions(word_distances(["a", "b", "c"]), [True] * 3) == [1, 1, 1]
    assert contributions(word_distances(["a", "b", "c"]), [True, False, False]) == [0, 0, 0]


def test_distances_are_jaccards_and_the_cosines():
    found = word_distances(["The cat sat.", "the CAT ran", ""])
    assert found[0, 1] == pytest.approx(1 - 2 / 4)
    assert found[0, 2] == 1
    assert (np.diag(found) == 0).all()
    vectors = np.array([[1, 0], [0.6, 0.8], [-1, 0]])
    assert cosine_distances(vectors)[0] == pytest.approx([0, 0.4, 1])


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("B", 1), ("(B)", 1), ("B. Sometimes", 1), ("Answer: C", 2), ("<answer>A</answer>", 0),
        ("I would say sometimes.", 1), ("<think>A or B?</think>Never", 2), ("E", OUTSIDE),
        ("always or never", OUTSIDE), ("A lot", OUTSIDE), ("", OUTSIDE), ("<think>B", OUTSIDE),
    ],
)  # fmt: skip
def test_an_option_is_read_by_its_letter_or_its_name(text, place):
    assert option_of(text, ("Always", "Sometimes", "Never")) == place


@pytest.mark.parametrize(
    ("text", "alone", "kept"),
    [
        ("<think>so</think><answer>4</answer>", True, True),
        (" <think>a\nb</think>\n<answer> 4 </answer>\n", True, True),
        ("<think></think><answer>4</answer>", True, False),
        ("<think> \n</think><answer>4</answer>", True, False),
        ("<answer>4</answer><think>so</think>", True, False),
        ("<think>so</think><answer>4</answer><answer>5</answer>", True, False),
        ("<think>so<answer>4</answer>", True, False),
        ("Well, <think>so</think> thus <answer>4</answer>.", True, False),
        ("Well, <think>so</think> thus <answer>4</answer>.", False, True),
        ("<think>a</think>" * 2 + "<answer>4</answer>", True, False),
    ],
)
def test_tags_stand_once_each_in_order_with_text_in_them(text, alone, kept):
    assert keeps_format(text, ("think", "answer"), alone=alone) is kept


def test_without_tags_one_answer_must_be_found():
    assert keeps_format("Answer: 4", (), alone=True)
    assert not keeps_format("<answer>4</answer> or <answer>5</answer>", (), alone=True)


def test_length_is_free_and_then_falls_to_minus_one():
    paid = [length_pay(n, 10, 20, ended=True) for n in (0, 10, 15, 20, 99)]
    assert paid == [0, 0, -0.5, -1, -1]
    assert length_pay(3, 10, 20, ended=False) == -1


def test_what_is_valid_ended_says_something_and_is_right():
    entry = write_entry({"question": "2+2", "answer": "4", "metadata": {}})
    task = Asked("a", "2+2", "2+2", task="chain_sum", entry=entry)
    free = Asked("b", "Hello", "Hello")
    assert is_valid(Answer(task, "4"))
    assert not is_valid(Answer(task, "5"))
    assert not is_valid(Answer(task, "4", ended=False))
    assert is_valid(Answer(free, "Good day."))
    assert not is_valid(Answer(free, " "))
    assert not is_valid(Answer(free, "<think>only a thought</think>"))


def test_what_follows_the_thought():
    assert after_thought("<think>x</think> y") == "y"
    assert after_thought("y") == "y"
    assert after_thought("<think>never ends") == ""


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_a_reward_that_is_no_number_is_refused_by_name(wrong):
    with pytest.raises(MethodError, match="the reward 'kindness' paid") as caught:
        checked("kindness", [0.5, wrong], 2)
    assert "kindness" in caught.value.mend


def test_a_reward_of_the_wrong_length_is_refused_by_name():
    with pytest.raises(MethodError, match="the reward 'kindness' paid 1 answers out of 2"):
        checked("kindness", [0.5], 2)
    assert checked("kindness", [None, 1], 2) == [None, 1.0]
