"""Preference optimisation by known answers: ln 2, gradients by hand, marks that do not count."""

from __future__ import annotations

import io
import json
import math
from dataclasses import replace

import polars
import pytest
import torch
from accelerate.state import AcceleratorState

from assets.alignment import dpo
from assets.alignment.dpo import Collator, losses, preference_loss, rows_of, token_logs
from assets.alignment.preferences import read_pairs, sort_pairs
from assets.alignment.reward_model import Params as RewardParams
from assets.alignment.reward_model import run as make_reward_model
from assets.alignment.training import settings
from assets.compute import load_weights, save_model
from registry.errors import MethodError
from tests.assets.pairs import colours, pair, write_pairs

pytestmark = pytest.mark.filterwarnings(  # peft 0.21 asks transformers 5.23 by the old name
    "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"
)
PARAMS = dpo.Params(
    steps=6, batch_size=4, longest=96, checkpoint_every=2, adapter_rank=4, learning_rate=1e-3,
    warmup=0,
)  # fmt: skip
LOSSES = [0.6931, 0.6148, 0.4523, 0.3995, 0.3971, 0.2938]
"""The preference part of `PARAMS` on the six colours, all weights at 1e-4: it must stay."""


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    return write_pairs(tmp_path_factory.mktemp("pairs"), colours())


def train(build, base, pairs, params=PARAMS, **context):
    made = build(params, inputs={"base": base, "data": pairs}, **context)
    dpo.run(made)
    return made.out


def curve(files, name="loss") -> list[float]:
    return polars.read_parquet(files / "curves.parquet")[name].to_list()


def test_where_nothing_has_moved_the_loss_is_the_log_of_two():
    logs = torch.tensor([-3.0, -50.0])
    found = preference_loss(logs, logs - 7, logs, logs - 7, beta=0.1)
    assert found.tolist() == pytest.approx([math.log(2)] * 2, abs=1e-6)


def test_the_gradient_is_the_one_by_hand():
    """d loss / d log p(chosen) = -beta sigmoid(-beta difference), and the opposite for rejected."""
    chosen, rejected = (torch.tensor([v], requires_grad=True) for v in (-2.0, -3.0))
    first_chosen, first_rejected = torch.tensor([-2.5]), torch.tensor([-2.0])
    beta = 0.4
    preference_loss(chosen, rejected, first_chosen, first_rejected, beta).sum().backward()
    difference = (-2.0 + 2.5) - (-3.0 + 2.0)
    pull = beta / (1 + math.exp(beta * difference))
    assert chosen.grad.item() == pytest.approx(-pull, abs=1e-6)
    assert rejected.grad.item() == pytest.approx(pull, abs=1e-6)


def test_both_parts_of_the_loss_by_hand():
    params = PARAMS.model_copy(update={"beta": 0.5})
    logs = torch.tensor([[-1.0, -2.0, 0.0], [-4.0, 0.0, 0.0]])
    first = torch.tensor([[-2.0, -2.0, 0.0], [-3.0, 0.0, 0.0]])
    counted = torch.tensor([[1, 1, 0], [1, 0, 0]])
    found = losses(logs, first, counted, params)
    # chosen gained 1 nat and rejected lost 1: 0.5 * (1 + 1) = 1
    assert found["difference"].item() == 1
    assert found["preference"].item() == pytest.approx(math.log(1 + math.exp(-1)), abs=1e-6)
    assert found["likelihood"].item() == 1.5
    assert found["accuracy"].item() == 1


@pytest.fixture(scope="module")
def school(build, lively_model, pairs):
    """A trainer without precision to lose, on six pairs."""
    AcceleratorState._reset_state()
    context = build(PARAMS, inputs={"base": lively_model, "data": pairs})
    model, tokenizer = load_weights(lively_model, torch.device("cpu"), "float32")
    tokens, _ = sort_pairs(tokenizer, read_pairs(context, "data"), PARAMS, PARAMS.longest, "base")
    arguments = settings(PARAMS, 0, "cpu", context.work) | {"bf16": False}
    trainer = dpo.build_trainer(model, None, tokenizer, tokens, PARAMS, arguments)
    return trainer, tokenizer, tokens


def batch_of(tokenizer, tokens, *, mask_marks=True):
    return Collator(tokenizer.pad_token_id)(rows_of(tokenizer, tokens, mask_marks=mask_marks))


def test_log_probabilities_are_those_of_each_answer_alone(school):
    trainer, tokenizer, tokens = school
    batch = batch_of(tokenizer, tokens)
    with torch.no_grad():
        found = token_logs(trainer.model, batch)
        for place, one in enumerate(tokens):
            ids = torch.tensor([one.chosen.ids])
            logs = trainer.model(input_ids=ids).logits[0].log_softmax(-1)
            words = tokenizer.encode(one.pair.chosen, add_special_tokens=False)
            start = len(one.chosen.ids) - 1 - len(words)
            alone = [logs[start + i - 1, token].item() for i, token in enumerate(words)]
            assert found[place].sum().item() == pytest.approx(sum(alone), abs=1e-3)


def test_marks_that_change_leave_the_preference_as_it_is(school):
    """The end of turn, in both answers, becomes another token; only its own log could tell."""
    trainer, tokenizer, tokens = school
    batch = batch_of(tokenizer, tokens)
    other = {name: value.clone() for name, value in batch.items()}
    for row, mask in zip(other["input_ids"], batch["attention_mask"], strict=True):
        last = int(mask.sum()) - 1
        assert row[last] == tokenizer.eos_token_id
        row[last] = 77
    first = torch.zeros(len(tokens) * 2, batch["input_ids"].shape[1] - 1)
    with torch.no_grad():
        found = [
            losses(token_logs(trainer.model, one), first, one["counted"][:, 1:], PARAMS)
            for one in (batch, other)
        ]
    assert torch.equal(found[0]["preference"], found[1]["preference"])
    assert torch.equal(found[0]["likelihood"], found[1]["likelihood"])


def test_what_does_not_count_has_no_part_in_the_loss(school):
    trainer, tokenizer, tokens = school
    batch = batch_of(tokenizer, tokens[:1])
    logs = token_logs(trainer.model, batch)
    marks = batch["counted"][:, 1:] == 0
    assert marks[0, len(tokens[0].chosen.ids) - 2], "the end of turn is a mark"
    assert marks[0, : len(tokens[0].chosen.ids) - 2 - len("It is red.")].all(), "so is the prompt"
    assert (logs[marks] == 0).all()
    assert (logs[~marks] < 0).all()


def test_marks_count_where_that_is_asked_for(school):
    _, tokenizer, tokens = school
    with_marks = batch_of(tokenizer, tokens, mask_marks=False)["counted"].sum()
    assert with_marks - batch_of(tokenizer, tokens)["counted"].sum() == 2 * len(tokens)


@pytest.mark.parametrize("rank", [4, 0], ids=["adapter", "all weights"])
def test_training_starts_at_the_log_of_two_and_prefers_what_was_preferred(
    build, lively_model, pairs, rank
):
    params = PARAMS.model_copy(
        update={"steps": 30, "adapter_rank": rank, "learning_rate": 1e-2 if rank else 3e-3}
    )
    made = train(build, lively_model, pairs, params)
    found = curve(made, "preference")
    assert found[0] == pytest.approx(math.log(2), abs=1e-6)
    assert found[-1] < 0.2
    assert curve(made, "accuracy")[-1] == 1
    assert curve(made, "likelihood")[-1] < curve(made, "likelihood")[0]
    whole = [p + 0.2 * n for p, n in zip(found, curve(made, "likelihood"), strict=True)]
    assert curve(made) == pytest.approx(whole, abs=1e-4)


def by_hand(files, pairs, params) -> list[float]:
    """The same training written out: whole batches, so that no order of pairs matters."""
    model, tokenizer = load_weights(files, torch.device("cpu"), "float32")
    model.set_attn_implementation("eager")
    tokens, _ = sort_pairs(tokenizer, pairs, params, params.longest, "base")
    batch = batch_of(tokenizer, tokens)
    counted, targets = batch["counted"][:, 1:], batch["input_ids"][:, 1:, None]

    def logs():
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(
                input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]
            ).logits[:, :-1]
        return logits.float().log_softmax(-1).gather(-1, targets)[..., 0] * counted

    optimiser = torch.optim.AdamW(model.parameters(), lr=params.learning_rate, weight_decay=0)
    fall = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda t: 1 - t / params.steps)
    with torch.no_grad():
        first = logs()
    found = []
    for _ in range(params.steps):
        good, bad = (logs() - first).sum(dim=1).chunk(2)
        preference = -torch.nn.functional.logsigmoid(params.beta * (good - bad))
        chosen, tokens_of = logs().chunk(2)[0].sum(dim=1), counted.chunk(2)[0].sum(dim=1)
        loss = (preference - params.likelihood_weight * chosen / tokens_of).mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        fall.step()
        found.append(float(preference.mean().detach()))
    return found


def test_every_step_is_the_one_written_out(build, lively_model, pairs):
    params = PARAMS.model_copy(update={"adapter_rank": 0, "batch_size": 6, "learning_rate": 1e-4})
    made = build(params, inputs={"base": lively_model, "data": pairs})
    dpo.run(made)
    expected = by_hand(lively_model, read_pairs(made, "data"), params)
    assert curve(made.out, "preference") == pytest.approx(expected, abs=1e-2)
    assert expected[-1] < 0.65


def test_the_trajectory_is_the_committed_one(build, lively_model, pairs):
    params = PARAMS.model_copy(update={"adapter_rank": 0, "learning_rate": 1e-4})
    found = curve(train(build, lively_model, pairs, params), "preference")
    assert found == pytest.approx(LOSSES, abs=1e-2)


def test_a_batch_in_parts_is_the_same_batch(build, lively_model, pairs):
    found = []
    for accumulate in (1, 2):
        params = PARAMS.model_copy(update={"adapter_rank": 0, "accumulate": accumulate})
        found.append(curve(train(build, lively_model, pairs, params)))
    assert found[0] == pytest.approx(found[1], abs=2e-2)


class Killed(BaseException):
    """Stands in for a signal."""


class Deadly(io.StringIO):
    """Events that end the process when step 5 is noted."""

    def write(self, text: str) -> int:
        if json.loads(text)["done"] == 5:
            raise Killed
        return super().write(text)


@pytest.mark.parametrize("rank", [4, 0], ids=["adapter", "all weights"])
def test_a_killed_run_goes_on_and_ends_the_same(build, lively_model, pairs, rank):
    params = PARAMS.model_copy(update={"adapter_rank": rank})
    inputs = {"base": lively_model, "data": pairs}
    whole = build(params, inputs=inputs)
    dpo.run(whole)
    cut = build(params, inputs=inputs, events=Deadly())
    with pytest.raises(Killed):
        dpo.run(cut)
    events = io.StringIO()
    dpo.run(replace(cut, events=events))
    assert [json.loads(line)["done"] for line in events.getvalue().splitlines()] == [5, 6]
    for name in ("model.safetensors", "curves.parquet", "rejected.parquet", "training.png"):
        assert (cut.out / name).read_bytes() == (whole.out / name).read_bytes(), name


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory."), RuntimeError("DefaultCPUAllocator: can't "
     "allocate memory: you tried to allocate 1 bytes.")],
)  # fmt: skip
def test_too_little_memory_is_told_and_what_was_trained_stays(
    build, lively_model, pairs, monkeypatch, error
):
    context = build(PARAMS, inputs={"base": lively_model, "data": pairs})
    told = []

    def full(*given, **named):
        told.append(given)
        if len(told) == 4:
            raise error
        return losses(*given, **named)

    monkeypatch.setattr(dpo, "losses", full)
    with pytest.raises(MethodError, match="more memory than the machine has") as caught:
        dpo.run(context)
    assert "accumulate" in caught.value.mend
    assert (context.work / "trainer" / "checkpoint-2").is_dir()
    dpo.run(context)
    assert len(curve(context.out)) == 6


def test_any_other_error_is_left_as_it_is(build, lively_model, pairs, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("something else")

    monkeypatch.setattr(dpo, "losses", broken)
    with pytest.raises(RuntimeError, match="something else"):
        train(build, lively_model, pairs)


def test_a_loss_that_is_no_number_is_refused(build, small_model, pairs):
    params = PARAMS.model_copy(update={"adapter_rank": 0, "learning_rate": 1e30})
    with pytest.raises(MethodError, match=r"the loss is (nan|inf) at step") as caught:
        train(build, small_model, pairs, params)
    assert "learning_rate" in caught.value.mend


def test_a_base_without_a_chat_template_or_a_filler(build, small_model, pairs, tmp_path):
    model, tokenizer = load_weights(small_model, torch.device("cpu"), "float32")
    tokenizer.chat_template, tokenizer.pad_token = None, None
    save_model(model, tokenizer, tmp_path)
    with pytest.raises(MethodError, match="has no chat template") as caught:
        train(build, tmp_path, pairs)
    assert caught.value.where == "base"
    plain = PARAMS.model_copy(update={"steps": 1, "chat_template": False})
    made = train(build, tmp_path, pairs, plain)
    assert curve(made, "preference") == pytest.approx([math.log(2)], abs=1e-6)


def test_a_reward_model_is_no_base(build, small_model, pairs):
    context = build(
        RewardParams(steps=1, batch_size=2, adapter_rank=0),
        inputs={"base": small_model, "data": pairs},
    )
    make_reward_model(context)
    with pytest.raises(MethodError, match="is a reward model; it scores answers and writes none"):
        train(build, context.out, pairs)


def test_held_out_pairs_and_uneven_parts_are_refused(build, small_model, tmp_path):
    held = write_pairs(tmp_path / "held", [pair("a", "b", "c", held_out=True)])
    with pytest.raises(MethodError, match="is held out"):
        train(build, small_model, held)
    good = write_pairs(tmp_path / "good", colours())
    with pytest.raises(MethodError, match="cannot be taken in 3 parts"):
        train(build, small_model, good, PARAMS.model_copy(update={"accumulate": 3}))
