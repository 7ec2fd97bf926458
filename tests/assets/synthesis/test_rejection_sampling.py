"""Several answers are drawn, judged and sifted; the best are kept, and the rest says why it is not.

At the end the chain: what a model got right teaches a smaller one.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import polars
import pytest
import torch
from accelerate.state import AcceleratorState

from assets.alignment import reward_model, sft
from assets.alignment.sequences import of_completion
from assets.compute import load_model, load_weights
from assets.evaluation.tasks import reference_nats
from assets.rows import ROWS, row_schema, write_rows
from assets.sources import random_model
from assets.sources.reasoning_tasks import task_schema
from assets.sources.verifiers import verify
from assets.synthesis import rejection_sampling
from assets.synthesis.rejection_sampling import BestOfParams, EndpointParams, Params
from assets.synthesis.sampling import Sampling
from registry.context import ProfileView
from registry.errors import MethodError, UsageError
from tests.assets.pairs import pair, write_pairs
from tests.assets.synthesis.scripted import Scripted, task_rows

pytestmark = pytest.mark.filterwarnings(  # peft 0.21 asks transformers 5.23 by the old name
    "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"
)
PARAMS = Params(samples=4, sampling=Sampling(max_new_tokens=8), dtype="float32")


@pytest.fixture(autouse=True)
def _anew():
    """accelerate keeps one state a process, and its first precision."""
    AcceleratorState._reset_state()
    yield
    AcceleratorState._reset_state()


@pytest.fixture(scope="module")
def rows():
    return [row | {"community": None} for row in task_rows("gcd", "lcm", rows=2)]


@pytest.fixture(scope="module")
def tasks(rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tasks")
    write_rows(folder / ROWS, rows, task_schema())
    return folder


def scripted(monkeypatch, reply, reason="stop"):
    teacher = Scripted(reply, reason)
    monkeypatch.setattr(rejection_sampling, "load_teacher", lambda *_: teacher)
    return teacher


def sample_of(request) -> int:
    return int(request.id.rpartition("-")[2])


def make(build, tasks, model, params=PARAMS, **inputs):
    profiles = inputs.pop("profiles", ())
    context = build(
        params, inputs={"prompts": tasks, "model": model} | inputs, profiles=profiles, seed=3
    )
    rejection_sampling.run(context)
    return context.out


def read(files, name=ROWS) -> list[dict]:
    return polars.read_parquet(files / name).to_dicts()


def test_the_first_right_answer_is_kept(build, small_model, tasks, rows, monkeypatch):
    answers = {row["prompt"]: row["answer"] for row in rows}
    replies = ["-1", "<answer>{}</answer>", "Answer: {}", "<think>x</think>"]
    scripted(monkeypatch, lambda r: replies[sample_of(r)].replace("{}", answers[r.prompt]))
    made = make(build, tasks, small_model)
    kept = read(made)
    assert [row["parents"] for row in kept] == [[row["row_id"]] for row in rows]
    assert {row["sample"] for row in kept} == {1}
    for row, task in zip(kept, rows, strict=True):
        assert row["completion"] == f"<answer>{task['answer']}</answer>"
        assert verify(row["task"], row["entry"], row["completion"])
        assert row["row_id"] != task["row_id"]
        assert (row["score"], row["good_samples"], row["teacher"]) == (1.0, 2, "scripted")
    left = read(made, "rejected.parquet")
    assert Counter(row["reason"] for row in left) == {
        "the answer is wrong": 4, "another answer was better": 4,
        "no answer follows the thought": 4,
    }  # fmt: skip
    beaten = {row["caused_by"] for row in left if row["reason"] == "another answer was better"}
    assert beaten == {row["row_id"] for row in kept}
    headline = json.loads((made / "headline.json").read_text())
    assert headline["prompts with an answer kept"] == 1
    assert headline["expected best of one"] == pytest.approx(2 / 4)
    assert headline["expected best of 4"] == 1
    # pass@2 with 2 of 4 right: 1 - C(2, 2) / C(4, 2)
    assert read(made, "best_of.parquet")[1]["expected_best"] == pytest.approx(1 - 1 / 6)
    for name in ("best_of.png", "outcomes.png"):
        assert (made / name).read_bytes().startswith(b"\x89PNG")


def test_several_may_be_kept_but_no_text_twice(build, small_model, tasks, rows, monkeypatch):
    answers = {row["prompt"]: row["answer"] for row in rows}
    scripted(monkeypatch, lambda r: answers[r.prompt] + " " * (sample_of(r) % 2))
    made = make(build, tasks, small_model, PARAMS.model_copy(update={"keep": 3}))
    assert len(read(made)) == len(rows)
    assert {row["reason"] for row in read(made, "rejected.parquet")} == {
        "the same text is kept already"
    }


def test_what_mixes_languages_or_was_cut_is_never_kept(
    build, small_model, tasks, rows, monkeypatch
):
    answers = {row["prompt"]: row["answer"] for row in rows}
    thoughts = ["We look.", "We \u770b look.", "Wir teilen beide Zahlen der Reihe nach durch zwei."]
    params = PARAMS.model_copy(update={"samples": 3, "languages": ("en",), "keep": 9})
    scripted(monkeypatch, lambda r: f"<think>{thoughts[sample_of(r)]}</think>{answers[r.prompt]}")
    made = make(build, tasks, small_model, params)
    assert {row["sample"] for row in read(made)} == {0}
    assert {row["reason"] for row in read(made, "rejected.parquet")} == {"it mixes languages"}
    scripted(monkeypatch, lambda r: answers[r.prompt], reason="length")
    with pytest.raises(MethodError, match="none of 12 answers is good enough") as caught:
        make(build, tasks, small_model, params)
    assert "it was cut" in caught.value.why


def test_a_profile_gives_the_languages_and_what_is_off_limits(
    build, small_model, tasks, rows, monkeypatch, tmp_path
):
    fields = {"languages": ["de"],
              "off_limits": [{"id": "bells", "topic": "t", "terms": ["bell roll"]}]}  # fmt: skip
    view = ProfileView("made-up", "Made up", tmp_path, (), fields)
    answers = {row["prompt"]: row["answer"] for row in rows}
    thoughts = [
        "Wir teilen beide Zahlen der Reihe nach durch zwei.",
        "We divide both of the numbers by two, one after the other.",
        "Wir lesen die Bell-Roll und teilen dann beide Zahlen.",
    ]
    scripted(monkeypatch, lambda r: f"<think>{thoughts[sample_of(r)]}</think>{answers[r.prompt]}")
    params = PARAMS.model_copy(update={"samples": 3, "keep": 9})
    made = make(build, tasks, small_model, params, profiles=[view])
    assert {row["sample"] for row in read(made)} == {0}
    left = read(made, "rejected.parquet")
    hidden = [row for row in left if row["reason"] == "off limits: bells"]
    assert len(hidden) == len(rows)
    assert all(row["completion"] is None and row["prompt"] is None for row in hidden)
    assert "it mixes languages" in {row["reason"] for row in left}


@pytest.fixture(scope="module")
def judge(build, lively_model, tmp_path_factory):
    """A reward model to which any scores will do."""
    AcceleratorState._reset_state()
    rows = [pair(f"Word {i}?", "a", "b") for i in range(4)]
    data = write_pairs(tmp_path_factory.mktemp("pairs"), rows)
    params = reward_model.Params(
        steps=8, batch_size=4, longest=400, adapter_rank=0, learning_rate=1e-3, warmup=0
    )
    context = build(params, inputs={"base": lively_model, "data": data})
    reward_model.run(context)
    return context.out


@pytest.fixture(scope="module")
def prompts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prompts")
    rows = [dict.fromkeys(row_schema()) | {"row_id": f"{i:016d}", "parents": [], "prompt": text}
            for i, text in enumerate(("Tea?", "Or coffee?", ""))]  # fmt: skip
    write_rows(folder / ROWS, rows, row_schema())
    return folder


REWARDED = PARAMS.model_copy(update={"judge": "reward model"})


def replies_of(monkeypatch):
    words = ("a", "bb", "a b", "ba", "aaa", "b a b")
    return scripted(monkeypatch, lambda r: words[(sample_of(r) + len(r.prompt)) % 6])


def test_the_reward_model_keeps_what_it_scores_highest(
    build, lively_model, prompts, judge, monkeypatch
):
    replies_of(monkeypatch)
    params = REWARDED.model_copy(update={"samples": 6})
    made = make(build, prompts, lively_model, params, reward=judge)
    kept, left = read(made), read(made, "rejected.parquet")
    refused = [row for row in left if row["sample"] is None]
    assert [(row["row_id"], row["reason"]) for row in refused] == [
        ("2".zfill(16), "the prompt is empty")
    ]
    assert len(kept) == 2
    for row in kept:
        others = [other["score"] for other in left if other["parents"] == row["parents"]]
        assert len(others) == 5
        assert row["score"] >= max(others)


def test_the_best_of_more_samples_is_never_worse(build, lively_model, prompts, judge, monkeypatch):
    best = []
    for samples in (1, 2, 4, 6):
        replies_of(monkeypatch)
        params = REWARDED.model_copy(update={"samples": samples})
        kept = read(make(build, prompts, lively_model, params, reward=judge))
        best.append([row["score"] for row in kept])
    for fewer, more in pairwise(best):
        assert all(b >= a - 1e-6 for a, b in zip(fewer, more, strict=True))


def test_rewards_that_are_too_low_are_not_kept(build, lively_model, prompts, judge, monkeypatch):
    replies_of(monkeypatch)
    params = REWARDED.model_copy(update={"least_reward": 1e6})
    with pytest.raises(MethodError, match="none of 8 answers is good enough") as caught:
        make(build, prompts, lively_model, params, reward=judge)
    assert "its reward is below 1e+06" in caught.value.why


def test_right_answers_are_told_apart_by_the_reward_model(
    build, lively_model, tasks, rows, judge, monkeypatch
):
    answers = {row["prompt"]: row["answer"] for row in rows}
    forms = ["-1", "<answer>{}</answer>", "Answer: {}", "{}"]
    scripted(monkeypatch, lambda r: forms[sample_of(r)].replace("{}", answers[r.prompt]))
    params = PARAMS.model_copy(update={"judge": "verifier, then reward model"})
    made = make(build, tasks, lively_model, params, reward=judge)
    left = read(made, "rejected.parquet")
    for row in read(made):
        assert verify(row["task"], row["entry"], row["completion"])
        right = [
            o["score"]
            for o in left
            if o["parents"] == row["parents"] and o["reason"] != "the answer is wrong"
        ]
        assert len(right) == 2
        assert row["score"] >= max(right)


def test_a_mark_of_the_chat_is_not_scored(build, lively_model, prompts, judge, monkeypatch):
    scripted(monkeypatch, lambda r: "<|im_end|>" if sample_of(r) else "a")
    made = make(build, prompts, lively_model, REWARDED, reward=judge)
    reasons = {row["reason"] for row in read(made, "rejected.parquet") if row["sample"]}
    assert reasons == {"it holds <|im_end|>, a mark of the chat"}


def test_a_judge_that_is_not_there_is_refused(build, small_model, tasks, prompts, judge):
    with pytest.raises(UsageError, match="no reward model is given"):
        make(build, prompts, small_model, REWARDED)
    with pytest.raises(UsageError, match="a reward model is given"):
        make(build, tasks, small_model, PARAMS, reward=judge)
    with pytest.raises(MethodError, match="is no reward model"):
        make(build, prompts, small_model, REWARDED, reward=small_model)
    with pytest.raises(MethodError, match="is a reward model; it scores answers and writes none"):
        make(build, tasks, judge)
    with pytest.raises(MethodError, match="has no column task"):
        make(build, prompts, small_model)


def test_prompts_that_are_held_out_are_refused(build, small_model, tmp_path, rows):
    held = [row | {"held_out": True} for row in rows]
    write_rows(tmp_path / ROWS, held, task_schema() | {"held_out": polars.Boolean})
    with pytest.raises(MethodError, match="is held out"):
        make(build, tmp_path, small_model)


def test_a_server_is_sampled_the_same_way(build, tasks, rows, monkeypatch):
    answers = {row["prompt"]: row["answer"] for row in rows}
    teacher = Scripted(lambda r: answers[r.prompt])
    monkeypatch.setattr(rejection_sampling, "EndpointTeacher", lambda *_: teacher)
    endpoint = {"base_url": "http://localhost:1/v1", "model": "some"}
    params = EndpointParams.model_validate({"endpoint": endpoint, "samples": 2})
    context = build(params, inputs={"prompts": tasks})
    rejection_sampling.run_endpoint(context)
    assert len(read(context.out)) == len(rows)
    assert isinstance(params, BestOfParams)


class Killed(BaseException):
    """Stands in for a signal."""


def test_a_killed_run_asks_for_no_answer_again(build, small_model, tasks, rows, monkeypatch):
    answers = {row["prompt"]: row["answer"] for row in rows}

    def dies(request):
        if len(teacher.asked) == 6:
            raise Killed
        return answers[request.prompt]

    teacher = scripted(monkeypatch, dies)
    cut = build(PARAMS, inputs={"prompts": tasks, "model": small_model}, seed=3)
    with pytest.raises(Killed):
        rejection_sampling.run(cut)
    again = scripted(monkeypatch, lambda r: answers[r.prompt])
    rejection_sampling.run(replace(cut))
    assert len(again.asked) == 16 - 5
    scripted(monkeypatch, lambda r: answers[r.prompt])
    whole = make(build, tasks, small_model)
    for name in (ROWS, "rejected.parquet", "best_of.parquet", "headline.json"):
        assert (cut.out / name).read_bytes() == (whole / name).read_bytes()


def test_what_a_model_got_right_teaches_a_smaller_one(build, small_model, tasks, rows):
    """Distillation: rejection sampling from a teacher, then fine-tuning of a student."""
    learning = sft.Params(
        steps=120, batch_size=4, longest=400, adapter_rank=0, learning_rate=1e-2,
        checkpoint_every=0, weights_dtype="float32",
    )  # fmt: skip
    taught = build(learning, inputs={"base": small_model, "data": tasks})
    sft.run(taught)
    traces = make(build, tasks, taught.out)
    kept = read(traces)
    assert kept
    assert all(verify(row["task"], row["entry"], row["completion"]) for row in kept)
    smaller = build(random_model.Params(hidden_size=16, layers=1))
    random_model.run(smaller)
    student = build(learning, inputs={"base": smaller.out, "data": traces})
    sft.run(student)
    learned = {row["parents"][0] for row in kept}
    assert learned <= {row["row_id"] for row in rows}
    model, tokenizer = load_model(student.out, torch.device("cpu"), "float32")
    start, _ = load_weights(smaller.out, torch.device("cpu"), "float32")
    sequences = [of_completion(tokenizer, r["prompt"], r["completion"], chat=True) for r in kept]
    before, after = (
        sum(reference_nats(one, sequences, tokenizer.pad_token_id, 4)) / len(kept)
        for one in (start, model)
    )
    assert after < 0.5 < before
