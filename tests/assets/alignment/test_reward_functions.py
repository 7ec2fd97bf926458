"""Declared rewards pay what they say, find what they need, and stay out where they do not apply."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import torch
from pydantic import TypeAdapter

from assets.alignment import grpo
from assets.alignment.reward_functions import Means, require_means, reward_functions
from assets.alignment.reward_scoring import load_scorer
from assets.alignment.reward_terms import RewardTerm
from assets.alignment.reward_values import Answer, Asked
from assets.diversity.encoder import load_encoder
from assets.diversity.filtering.rules import Topic
from assets.sources.verifiers import write_entry
from registry.context import Input, ProfileView
from registry.errors import UsageError
from tests.assets.alignment.reward_files import reward_files
from tests.assets.encoders import packaged_encoder

__all__ = ["reward_files"]
FREE = Asked("free", "Hello", "Hello")
TASK = Asked(
    "task", "1 + 1", "1 + 1", task="chain_sum",
    entry=write_entry({"question": "1 + 1", "answer": "2", "metadata": {}}),
)  # fmt: skip
SURVEY = Asked(
    "survey", "Tea?", "Tea?", options=("Yes", "No"), shares=(0.75, 0.25), people=99
)  # fmt: skip
NORM = Asked("norm", "Lying?", "Lying?", situation="lying", rule="It's wrong.", judgement=-2)


def paid(given: dict, asked, texts, means: Means | None = None, **more):
    term = TypeAdapter(RewardTerm).validate_python(given)
    means = means or Means(size=len(texts), **more)
    (reward,) = reward_functions([term], means)
    return reward.pay([Answer(asked, text) for text in texts])


def test_accuracy_is_all_or_nothing():
    assert paid({"kind": "accuracy"}, TASK, ["2", "<answer>2</answer>", "3", "2 or 3"]) == [
        1, 1, 0, 0,
    ]  # fmt: skip
    assert paid({"kind": "accuracy"}, FREE, ["2"]) == [None]


def test_a_reward_for_tasks_says_nothing_of_other_prompts():
    given = {"kind": "format", "tags": ["answer"], "on": "tasks"}
    assert paid(given, TASK, ["<answer>2</answer>"]) == [1]
    assert paid(given, FREE, ["<answer>2</answer>"]) == [None]
    assert paid({**given, "on": "prompts"}, TASK, ["<answer>2</answer>"]) == [None]


def test_what_is_off_limits_is_paid_minus_one():
    topics = (Topic(None, "bell", ("bell roll",)),)
    found = paid({"kind": "off-limits"}, FREE, ["The Bell-Roll is read.", "Bells."], topics=topics)
    assert found == [-1, 0]


def test_languages_are_those_of_the_reward_or_of_the_profile():
    text = "The boat came back to the harbour before the storm had reached the shore."
    assert paid({"kind": "language", "languages": ["en"]}, FREE, [text])[0] > 0.95
    assert paid({"kind": "language"}, FREE, [text], languages=("de",))[0] < 0.05
    assert paid({"kind": "language"}, FREE, ["<think></think>"], languages=("en",)) == [0]


def test_shares_pay_a_label_for_being_rarer_than_among_people():
    found = paid({"kind": "shares"}, SURVEY, ["Yes", "A", "No", "(B) No", "what?"])
    yes, no = 74.75 / 100, 25.25 / 100
    assert found == pytest.approx([yes - 1 / 3, yes - 1 / 3, no - 1 / 3, no - 1 / 3, no - 7 / 3])


def test_match_pays_the_log_of_peoples_share_over_the_models():
    means = Means(size=3, letters=[11, 12, 13], chances=lambda asked: [[0.5, 0.5]] * len(asked))
    term = TypeAdapter(RewardTerm).validate_python({"kind": "match"})
    (reward,) = reward_functions([term], means)
    found = reward.pay([Answer(SURVEY, "", tokens) for tokens in ((11, 2), (12, 2), (13, 2))])
    outside = math.log(0.2525) - 1  # a third letter is none of two options
    assert found == pytest.approx([math.log(0.7475 / 0.5), math.log(0.2525 / 0.5), outside])


def test_norms_pay_for_the_communitys_judgement():
    def judge(pairs):
        assert {situation for situation, _ in pairs} == {"lying"}
        return [-2.0 if "bad" in said else 2.0 for _, said in pairs]

    found = paid({"kind": "norms"}, NORM, ["It is bad.", "<think>bad</think>Fine."], judge=judge)
    assert found == [1, 0]
    assert paid({"kind": "norms"}, FREE, ["bad"], judge=judge) == [None]


def test_diversity_in_words_is_paid_by_group():
    means = Means(size=2)
    texts = ["red fox", "blue sky", "same", "same"]
    assert paid({"kind": "diversity"}, FREE, texts, means) == [1, 1, 0, 0]


def test_diversity_in_meaning_needs_an_encoder_and_sees_what_words_do_not():
    encoder = load_encoder(packaged_encoder(), torch.device("cpu"))
    texts = ["The vessel reached port.", "The ship came into the harbour.", "Beans grow on poles."]
    means = Means(size=3, encoder=encoder)
    found = paid({"kind": "diversity", "of": "meaning"}, FREE, texts, means)
    assert found[2] > max(found[:2])


def test_a_reward_model_reads_the_answer_and_is_bounded(reward_files):
    scorer = load_scorer(Input("reward", None, reward_files), torch.device("cpu"), "float32")
    means = Means(size=4, scorer=scorer)
    texts = ["Yes.", "<think>So.</think>Yes.", "No, never.", "long " * 100]
    found = paid({"kind": "preference", "limit": 0.01}, FREE, texts, means)
    assert all(abs(one) <= 0.01 for one in found)
    assert found[0] == found[1]
    assert found[3] == -0.01  # too long to be read
    wide = paid({"kind": "preference", "limit": 100}, FREE, texts, means)
    assert wide[:3] == pytest.approx(
        scorer.scores([("Hello", t) for t in ("Yes.", "Yes.", texts[2])])
    )
    whole = paid({"kind": "preference", "limit": 100, "reads": "whole"}, FREE, texts, means)
    assert whole[1] != whole[0]


@pytest.mark.parametrize(
    ("given", "needed"),
    [
        ({"kind": "preference"}, "'reward'"),
        ({"kind": "norms"}, "'judge'"),
        ({"kind": "diversity", "of": "meaning"}, "'encoder'"),
        ({"kind": "language"}, "languages"),
        ({"kind": "off-limits"}, "off-limits topics"),
    ],
)
def test_a_reward_that_lacks_what_it_needs_is_refused(build, given, needed):
    params = grpo.Params(rewards=[given])
    with pytest.raises(UsageError, match=f"reward '{given['kind']}' needs .*{needed}") as caught:
        require_means(build(params), params.rewards)
    assert caught.value.mend


def test_norms_are_never_read_by_likeness(build):
    params = grpo.Params(rewards=[{"kind": "norms"}])
    with pytest.raises(UsageError) as caught:
        require_means(build(params), params.rewards)
    assert "likeness of sentence vectors" in caught.value.why


def test_a_profile_gives_languages_and_topics(build, tmp_path):
    fields = {"languages": ["en"], "off_limits": [{"id": "a", "topic": "b c", "terms": ["b"]}]}
    profile = ProfileView("x", "X", tmp_path, (), fields)
    params = grpo.Params(rewards=[{"kind": "language"}, {"kind": "off-limits"}])
    require_means(build(params, profiles=[profile]), params.rewards)


def test_every_kind_of_reward_can_be_built():
    kinds = Counter(
        one.model_fields["kind"].annotation.__args__[0]
        for one in RewardTerm.__args__[0].__args__
    )  # fmt: skip
    from assets.alignment.reward_functions import _BUILDERS

    assert len(kinds) == len(_BUILDERS)
