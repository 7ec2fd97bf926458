"""Thoughts are well formed and in one language, or the answer is not kept."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.synthesis.thought_checks import (
    ThoughtParams,
    fault,
    is_mixed,
    require_known,
    split_thought,
)
from registry.errors import UsageError

ENGLISH = ThoughtParams(languages=("en",))
SENTENCES = (
    "We first add the legs of all the dogs together.",
    "Then we take away the two that were counted twice.",
    "So the number that is left must be the answer.",
    "It helps to write down what we know already.",
    "12 + 7 = 19, and 19 - 4 = 15.",
    "Let x be the number of birds, with f(x) = 2x and \u03c0 about 3.14.",
)
FOREIGN = (
    "\u56e0\u4e3a\u6240\u6709\u7684\u72d7\u90fd\u6709\u56db\u6761\u817f",
    "\u043f\u043e\u0442\u043e\u043c\u0443 \u0447\u0442\u043e \u0443 \u0441\u043e\u0431\u0430\u043a",
    "\u0644\u0623\u0646 \u0644\u0644\u0643\u0644\u0627\u0628 \u0623\u0631\u0628\u0639\u0629",
    "\u72ac\u306f\u56db\u672c\u306e\u811a\u304c\u3042\u308b",
    "\uac1c\ub294 \ub2e4\ub9ac\uac00 \ub124 \uac1c",
    "\u03b3\u03b9\u03b1\u03c4\u03af \u03c4\u03b1 \u03c3\u03ba\u03c5\u03bb\u03b9\u03ac",
    "\u56e0",
    "denn alle Hunde haben zusammen genau zw\u00f6lf Beine",
    "parce que tous les chiens ont ensemble exactement douze pattes",
    "porque todos los perros tienen juntos exactamente doce patas",
    "poniewa\u017c wszystkie psy maj\u0105 razem dok\u0142adnie dwana\u015bcie n\u00f3g",
)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("42", (None, "42")),
        ("<think>a</think>42", ("a", "42")),
        ("\n <think>a\nb</think>\n42", ("a\nb", "\n42")),
        ("<think>a", None),
        ("a</think>42", None),
        ("</think><think>42", None),
        ("42 <think>a</think>", None),
        ("<think>a</think><think>b</think>42", None),
        ("<think><think>a</think></think>42", None),
        ("<THINK>a</THINK>42", None),
        ("< think >a", None),
    ],
)
def test_a_thought_stands_first_and_once(text, parts):
    assert split_thought(text) == parts


@pytest.mark.parametrize(
    ("text", "params", "reason"),
    [
        ("<think>a</think>42", {}, ""),
        ("42", {}, ""),
        (" \n", {}, "there is no answer"),
        ("<think>a</think> ", {}, "no answer follows the thought"),
        ("<think> </think>42", {}, "its thought is empty"),
        ("<think>a", {}, "its thought is malformed"),
        ("42", {"thought": "required"}, "it has no thought"),
        ("<think>a</think>42", {"thought": "none"}, "it has a thought"),
        ("<think>```x```</think>42", {}, "its thought holds code"),
        ("<think>```x```</think>42", {"code_in_thought": True}, ""),
        ("<think>abcdef\n\nabc</think>4", {"longest_paragraph": 5}, "its thought has a very long"),
        ("<think>abcde\n\nabcde</think>4", {"longest_paragraph": 5}, ""),
        ("<think>abcdef</think>4", {"longest_paragraph": 0}, ""),
    ],
)
def test_each_fault_has_its_reason(text, params, reason):
    found = fault(text, ThoughtParams(**params))
    assert found.startswith(reason)
    assert bool(found) == bool(reason)


@pytest.mark.parametrize("sentence", SENTENCES)
def test_plain_english_stays(sentence):
    assert not is_mixed(f"<think>{sentence}</think>15", ENGLISH)
    assert not is_mixed(" ".join(SENTENCES), ENGLISH)


@settings(max_examples=60, deadline=None)
@given(
    before=st.lists(st.sampled_from(SENTENCES), max_size=3),
    foreign=st.sampled_from(FOREIGN),
    after=st.lists(st.sampled_from(SENTENCES), max_size=3),
    joint=st.sampled_from([" ", ", ", ". ", "\n", "\n\n"]),
    tail=st.sampled_from(["", ".", " and so on."]),
)
def test_a_mixed_thought_never_survives(before, foreign, after, joint, tail):
    thought = joint.join([*before, foreign + tail, *after])
    assert fault(f"<think>{thought}</think>\n15", ENGLISH) == "it mixes languages"


def test_a_mixed_answer_after_the_thought_does_not_survive_either():
    assert fault(f"<think>{SENTENCES[0]}</think>{FOREIGN[0]}", ENGLISH) == "it mixes languages"


def test_without_languages_none_is_looked_at():
    assert not is_mixed(" ".join(FOREIGN), ThoughtParams())


def test_formulas_stand_in_a_text_of_any_script():
    chinese = ThoughtParams(languages=("zh",))
    assert not is_mixed("\u8bbex\u7b49\u4e8e3\uff0c\u5219sin(x)\u4e3ay\u3002", chinese)
    assert is_mixed("\u8bbex\u7b49\u4e8e3\uff0cwhich is easy", chinese)


def test_two_wanted_languages_may_stand_beside_each_other():
    both = ThoughtParams(languages=("en", "de"))
    assert not is_mixed(f"{SENTENCES[0]} {FOREIGN[7]}", both)
    assert is_mixed(f"{SENTENCES[0]} {FOREIGN[8]}", both)


def test_a_language_that_nobody_can_tell_is_refused():
    require_known(["en", "de-AT"])
    with pytest.raises(UsageError, match="does not know the language 'tlh'"):
        require_known(["tlh"])
