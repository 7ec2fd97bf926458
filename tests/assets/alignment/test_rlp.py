"""Thoughts are paid by the next token, and nothing but thoughts is learned from that."""

from __future__ import annotations

import io
import itertools
import json
import math
import statistics
from dataclasses import replace

import polars
import pytest
import torch
from transformers import set_seed

from assets.alignment import rlp
from assets.alignment.groups import against_others
from assets.alignment.shadow import Shadow
from assets.alignment.thoughts import Moment, Thought, moments, think, thought_log_probs, worth
from assets.compute import load_weights, save_model
from assets.rows import ROWS, row_schema, write_rows
from assets.synthesis.sampling import Sampling
from registry.errors import MethodError

pytestmark = pytest.mark.filterwarnings(  # peft 0.21 asks transformers 5.23 by the old name
    "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"
)
LETTERS = "abcdefgh"
PARAMS = rlp.Params(
    steps=4, prefixes=4, thoughts=4, thought_tokens=3, adapter_rank=0, learning_rate=1e-3,
    least_context=5, checkpoint_every=2, weights_dtype="float32",
)  # fmt: skip


@pytest.fixture
def exact(monkeypatch):
    """No autocast: equalities hold to the last digits."""
    import accelerate

    kind = accelerate.Accelerator
    monkeypatch.setattr(
        accelerate, "Accelerator", lambda cpu, mixed_precision: kind(cpu=cpu, mixed_precision="no")
    )


@pytest.fixture
def learner(small_model, exact):
    model, tokenizer = load_weights(small_model, torch.device("cpu"), "float32")
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4)
    return rlp.build(PARAMS, model, tokenizer, 0, "cpu"), tokenizer


@pytest.fixture
def asked(learner):
    _, tokenizer = learner
    texts = [tokenizer.encode(text) for text in ("One, two, three and four.", "Red sky at night")]
    return moments(texts, 4, least=5, longest=64, after=1, seed=3)


def thoughts_of(learner, asked, size=4):
    sampling = Sampling(temperature=1.0, max_new_tokens=3)
    return think(learner.plain, asked, size, learner.marks, sampling, 0)


def test_moments_are_places_in_texts_with_enough_before_them():
    texts = [list(range(20)), list(range(100, 130))]
    found = moments(texts, 200, least=5, longest=8, after=2, seed=1)
    assert found == moments(texts, 200, least=5, longest=8, after=2, seed=1)
    for moment in found:
        assert 5 <= len(moment.before) <= 8
        whole = [*moment.before, *moment.after]
        assert whole == list(range(whole[0], whole[0] + len(whole)))
    places = {moment.after[-1] for moment in found}
    assert {19, 129} <= places, "the last token of a text is a place too"


def test_the_expected_reward_of_a_reasoner_over_a_uniform_baseline():
    """Section (b): p* = (.8, .2) against uniform is worth .1927 nats."""
    truth = (0.8, 0.2)
    value = sum(p * (math.log(p) - math.log(0.5)) for p in truth)
    assert value == pytest.approx(0.1927, abs=1e-4)


def test_the_mean_of_logs_is_below_the_log_of_the_mean(learner, asked):
    """Section (c), over all thoughts of one letter; equal where a thought changes nothing."""
    school, tokenizer = learner
    moment = asked[0]
    thoughts = [
        Thought(moment, tuple(tokenizer.encode(letter)), school.marks) for letter in LETTERS
    ]
    logs = worth(school.plain, [(t.context, moment.after) for t in thoughts], school.marks.pad)
    assert logs.mean() < logs.exp().mean().log()
    same = worth(school.plain, [(moment.before, moment.after)] * 3, school.marks.pad)
    assert same.mean() == pytest.approx(float(same.exp().mean().log()), abs=1e-6)


def test_before_the_first_step_the_slow_copy_is_the_model(learner, asked):
    """Section (d): no drift, so the reward is the thought's own; an empty thought is worth 0."""
    school, tokenizer = learner
    thoughts = thoughts_of(school, asked)
    rewards = rlp.step_rewards(school, asked, thoughts)
    assert rewards["drift"].abs().max() == 0
    assert torch.equal(rewards["reward"], rewards["value"])
    empty = [Thought(m, (tokenizer.eos_token_id,), school.marks) for m in asked for _ in range(4)]
    assert rlp.step_rewards(school, asked, empty)["reward"].abs().max() < 1e-5


def test_reward_is_value_and_drift(learner, asked):
    school, _ = learner
    for number in range(2):
        rlp.step(school, asked, number)
    rewards = rlp.step_rewards(school, asked, thoughts_of(school, asked))
    assert rewards["drift"].abs().max() > 0
    assert torch.allclose(rewards["reward"], rewards["value"] + rewards["drift"], atol=1e-5)


def test_gradient_reaches_thought_tokens_only(learner, asked):
    """Section (e): zero at the logits of what follows, and of what came before."""
    school, _ = learner
    thoughts = thoughts_of(school, asked[:1])
    kept = []

    def hook(_module, _inputs, output):
        output.retain_grad()
        kept.append(output)

    school.plain.lm_head.register_forward_hook(hook)
    logs, mask = thought_log_probs(school.plain, thoughts, school.marks.pad)
    gains = torch.arange(len(thoughts)) - 1.5
    loss, _ = rlp.surrogate((logs - logs.detach()).exp(), gains, mask, 0.2, 0.2)
    loss.backward()
    (logits,) = kept
    for place, one in enumerate(thoughts):
        learned = logits.grad[place].abs().sum(dim=-1) > 0
        assert int(learned.sum()) == len(one.tokens)
        assert not learned[len(one.tokens) :].any()


def test_equal_rewards_give_no_gradient(learner, asked, monkeypatch):
    """Section (a)."""
    school, _ = learner
    before = [p.detach().clone() for p in school.trained]
    monkeypatch.setattr(
        rlp,
        "step_rewards",
        lambda *_: dict.fromkeys(("reward", "value", "drift"), torch.ones(4, 4)),
    )
    figures = rlp.step(school, asked, 1)
    assert figures["gradient_norm"] == 0
    assert all(torch.equal(a, b) for a, b in zip(before, school.trained, strict=True))


def test_the_first_update_is_unclipped_and_later_ones_may_not_be(learner, asked):
    """Section (f)."""
    school, _ = learner
    assert rlp.step(school, asked, 0)["clipped"] == 0
    many = replace(school, params=PARAMS.model_copy(update={"updates": 6, "clip_low": 0.01}))
    many.optimiser.param_groups[0]["lr"] = 5e-3
    assert rlp.step(many, asked, 1)["clipped"] > 0


def test_the_slow_copy_follows_by_its_rule():
    """Section (g): after k steps at constant weights w, t^k of the start and 1 - t^k of w."""
    model = torch.nn.Linear(3, 2)
    start = model.weight.detach().clone()
    shadow = Shadow(model, 0.9)
    with torch.no_grad():
        model.weight.copy_(torch.ones(2, 3))
    for _ in range(7):
        shadow.follow()
    expected = 0.9**7 * start + (1 - 0.9**7)
    assert torch.allclose(shadow.values["weight"], expected, atol=1e-6)
    with shadow.worn():
        assert torch.allclose(model.weight, expected, atol=1e-6)
    assert torch.equal(model.weight, torch.ones(2, 3))


@pytest.fixture(scope="module")
def copier(small_model, tmp_path_factory):
    """A model that knows nothing of what follows `Next:`, and repeats what it has thought."""
    model, tokenizer = load_weights(small_model, torch.device("cpu"), "float32")
    set_seed(0)
    rows = [
        tokenizer.encode(text)
        for letter in LETTERS
        for text in (f"Next:{letter}", f"Next:\n<think>{letter}</think>\n{letter}")
    ]
    width = max(map(len, rows))
    ids = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    labels = torch.tensor([row + [-100] * (width - len(row)) for row in rows])
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(250):
        loss = model(input_ids=ids, labels=labels).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    folder = tmp_path_factory.mktemp("copier")
    save_model(model, tokenizer, folder)
    return folder


@pytest.fixture
def going(copier, exact):
    """Trains the copier on `Next:b`: reward at first and at last, and what the best thought has."""

    def train() -> tuple[float, float, float]:
        model, tokenizer = load_weights(copier, torch.device("cpu"), "float32")
        params = PARAMS.model_copy(
            update={"steps": 40, "thoughts": 8, "thought_tokens": 1, "learning_rate": 5e-4,
                    "temperature": 1.0, "checkpoint_every": 0}
        )  # fmt: skip
        school = rlp.build(params, model, tokenizer, 0, "cpu")
        moment = Moment("", tuple(tokenizer.encode("Next:")), tuple(tokenizer.encode("b")))
        every = [
            Thought(moment, tuple(tokenizer.encode(letter)), school.marks) for letter in LETTERS
        ]
        rewards = rlp.step_rewards(_sized(school, len(every)), [moment], every)["reward"]
        curve = rlp.train(school, [tokenizer.encode("Next:b")], _nowhere(), lambda *_: None)
        last = sum(row["reward"] for row in curve[-8:]) / 8
        return curve[0]["reward"], last, float(rewards.max())

    return train


def test_a_thought_that_reveals_what_follows_is_learned(going):
    """Section (h): the reward rises."""
    first, last, best = going()
    assert first < 0 < best
    assert last > 0.9 * best


def test_where_rewards_are_dealt_out_at_random_nothing_is_learned(going, monkeypatch):
    """Section (h). One walk at random may end at any letter, the right one too: nine are made."""
    dealer = torch.Generator().manual_seed(1)

    def deal(rewards):
        order = torch.randperm(rewards.numel(), generator=dealer)
        return against_others(rewards.flatten()[order].reshape(rewards.shape))

    monkeypatch.setattr(rlp, "against_others", deal)
    assert statistics.median(going()[1] for _ in range(9)) < 0


def _sized(school, thoughts: int):
    return replace(school, params=school.params.model_copy(update={"thoughts": thoughts}))


def _nowhere():
    from pathlib import Path

    return Path("/nonexistent/checkpoint.pt")


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("texts")
    rows = [
        {"row_id": f"{place:016d}", "parents": [], "prompt": text, "completion": "",
         "source": "test", "community": None}
        for place, text in enumerate(["Red sky at night.", "One, two, three, four.", "Hm"])
    ]  # fmt: skip
    write_rows(folder / ROWS, rows, row_schema())
    return folder


class Killed(BaseException):
    """Stands in for a signal."""


class Deadly(io.StringIO):
    """Events that end the process when step 3 is noted."""

    def write(self, text: str) -> int:
        if json.loads(text)["done"] == 3:
            raise Killed
        return super().write(text)


@pytest.mark.parametrize("rank", [0, 2], ids=["all weights", "adapter"])
def test_a_killed_run_goes_on_and_ends_the_same(build, lively_model, texts, rank):
    params = PARAMS.model_copy(update={"adapter_rank": rank})
    inputs = {"base": lively_model, "data": texts}
    whole = build(params, inputs=inputs)
    rlp.run(whole)
    cut = build(params, inputs=inputs, events=Deadly())
    with pytest.raises(Killed):
        rlp.run(cut)
    events = io.StringIO()
    rlp.run(replace(cut, events=events))
    assert [json.loads(line)["done"] for line in events.getvalue().splitlines()] == [3, 4]
    for name in ("model.safetensors", "curves.parquet"):
        assert (cut.out / name).read_bytes() == (whole.out / name).read_bytes()
    rejected = polars.read_parquet(cut.out / "rejected.parquet")
    assert rejected["reason"].to_list() == ["shorter than 6 tokens"]


def test_texts_that_are_all_too_short_are_refused(build, small_model, texts):
    params = PARAMS.model_copy(update={"least_context": 400})
    context = build(params, inputs={"base": small_model, "data": texts})
    with pytest.raises(MethodError, match="none of 3 texts is long enough"):
        rlp.run(context)


def test_a_reward_that_is_no_number_is_refused(learner, asked, monkeypatch):
    school, _ = learner
    bad = dict.fromkeys(("reward", "value", "drift"), torch.full((4, 4), torch.nan))
    monkeypatch.setattr(rlp, "step_rewards", lambda *_: bad)
    with pytest.raises(MethodError, match="reward of step 2 is not finite"):
        rlp.step(school, asked, 1)


def test_thoughts_do_not_depend_on_who_is_beside_them(learner, asked):
    school, _ = learner
    together = thoughts_of(school, asked)
    alone = list(itertools.chain(*(thoughts_of(school, [moment]) for moment in asked)))
    assert [t.tokens for t in together] == [t.tokens for t in alone]


def test_a_shuffled_thought_stands_before_another_text(learner, asked):
    school, _ = learner
    assert rlp._CONTROL not in rlp.step(school, asked[:1], 0)
    assert rlp._CONTROL in rlp.step(school, asked, 0)
    empty = [Thought(m, (next(iter(school.marks.ends)),), school.marks) for m in asked] * 4
    assert rlp.shuffled_value(school, asked, empty) == pytest.approx(0, abs=1e-5)
    assert isinstance(asked[0], Moment)
