"""Training on shares: the loss, the schedule, the split forward pass, and what a toy learns."""

from __future__ import annotations

import io
import json
import math
import random
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from assets.alignment import opinion_sft
from assets.alignment.adapter import enrol
from assets.alignment.examples import Example, community_weights, read_examples
from assets.alignment.opinion_sft import (
    Params,
    batches,
    option_loss,
    rate,
    seen_tokens,
    shared_ends,
)
from assets.option_prompt import pad_left, position_ids
from assets.rows import read_rows
from registry.context import Context, Input
from registry.errors import MethodError, UsageError
from registry.hashing import sha256_file
from tests.assets.alignment.conftest import PLANTED, answered

if TYPE_CHECKING:
    from tests.assets.conftest import Build

pytestmark = pytest.mark.filterwarnings(  # peft 0.21 asks transformers 5.23 by the old name
    "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"
)
QUICK = Params(steps=40, batch_size=4, learning_rate=2e-2, adapter_rank=4, trained_layers=1)


# What is seen.


def test_what_all_prompts_begin_and_end_with_is_always_seen() -> None:
    torch.manual_seed(1)
    seen = seen_tokens([20, 8, 300, 300], (3, 2), 0.5)
    assert [len(one) for one in seen] == [20, 8, 300, 300]
    for one in seen:
        assert one[:3].tolist() == [1, 1, 1]
        assert one[-2:].tolist() == [1, 1]
    assert any(0 in one for one in seen)


def test_what_prompts_share_is_counted_from_both_ends_and_never_twice() -> None:
    assert shared_ends([[1, 2, 3, 8, 9], [1, 2, 4, 5, 8, 9]]) == (2, 2)
    first, last = shared_ends([[1, 1, 1], [1, 1, 1, 1]])
    assert first + last < 3


def test_the_declared_part_is_hidden_in_the_mean_more_or_less_a_prompt() -> None:
    torch.manual_seed(2)
    parts = [1 - float(one.float().mean()) for one in seen_tokens([200] * 400, (0, 0), 0.15)]
    assert sum(parts) / len(parts) == pytest.approx(0.15, abs=0.02)
    assert min(parts) < 0.03
    assert max(parts) > 0.25


def test_a_hidden_token_says_nothing_to_the_trained_layers(
    build: Build, lively_model: Path
) -> None:
    texts = ["Do you like tea at noon?", "Do you like ale at noon?"]
    params = QUICK.model_copy(update={"trained_layers": 0})
    pupil = enrol(build(params, inputs={"base": lively_model}), params, texts, 2, 1)
    one, other = (pupil.ids[text] for text in texts)
    differ = [place for place, pair in enumerate(zip(one, other, strict=True)) if len({*pair}) > 1]
    seen = torch.ones(len(one), dtype=torch.long)
    seen[differ] = 0
    whole = pupil.logits(pupil.model, [one, other])
    hidden = pupil.logits(pupil.model, [one, other], [seen, seen])
    assert not torch.allclose(whole[0], whole[1], atol=1e-3)
    assert torch.allclose(hidden[0], hidden[1], atol=1e-5)


# The loss.


def test_uniform_logits_cost_the_log_of_the_vocabulary() -> None:
    targets = torch.tensor([[0.25, 0.75, 0.0], [0.2, 0.3, 0.5]])
    loss = option_loss(torch.zeros(2, 50), targets, torch.tensor([7, 8, 9]))
    assert loss.item() == pytest.approx(math.log(50), abs=1e-6)


def test_the_loss_is_that_of_the_options_minus_the_log_of_the_mass_on_them() -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(5, 20, generator=generator)
    targets = torch.rand(5, 3, generator=generator)
    targets /= targets.sum(dim=-1, keepdim=True)
    letters = torch.tensor([4, 11, 2])
    shown = logits.softmax(dim=-1)[:, letters]
    inside = shown.sum(dim=-1, keepdim=True)
    options = -(targets * (shown / inside).log()).sum(dim=-1) - inside.log().squeeze(-1)
    assert option_loss(logits, targets, letters).item() == pytest.approx(
        options.mean().item(), abs=1e-5
    )


def test_its_least_value_is_the_entropy_of_the_shares() -> None:
    shares = torch.tensor([[0.7, 0.2, 0.1]])
    entropy = -(shares * shares.log()).sum().item()
    logits = torch.full((1, 30), -1e4)
    letters = torch.tensor([3, 4, 5])
    logits[0, letters] = shares[0].log()
    assert option_loss(logits, shares, letters).item() == pytest.approx(entropy, abs=1e-6)
    logits.requires_grad_()
    (gradient,) = torch.autograd.grad(option_loss(logits, shares, letters), logits)
    assert gradient.abs().max().item() < 1e-6
    moved = logits.detach() + 0.1 * torch.randn(1, 30, generator=torch.Generator().manual_seed(2))
    assert option_loss(moved, shares, letters).item() > entropy


# The schedule, the weights and the batches.


def test_the_rate_warms_up_and_falls_to_a_tenth() -> None:
    assert [rate(step, 100) for step in range(6)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1])
    assert rate(100, 100) == pytest.approx(0.1)
    rates = [rate(step, 100) for step in range(5, 100)]
    assert rates == sorted(rates, reverse=True)
    assert 0.1 < rates[-1] < 0.111
    assert rate(0, 1) == 1


def examples(**counts: int) -> dict[str, list[Example]]:
    return {
        name: [Example(name, f"{name} {number}", (1.0,), 100) for number in range(count)]
        for name, count in counts.items()
    }


def drawn(
    given: Mapping[str, list[Example]], weights: Mapping[str, float], size: int, count: int
) -> list[list[Example]]:
    return list(islice(batches(given, weights, size, random.Random(3)), count))


def test_communities_come_in_exactly_their_declared_proportion() -> None:
    given = examples(north=7, south=5)
    for size, count in ((3, 100), (4, 75), (1, 300)):
        chosen = [e for b in drawn(given, {"north": 2, "south": 1}, size, count) for e in b]
        assert Counter(e.community for e in chosen) == {"north": 200, "south": 100}
        seen = 0
        for number, example in enumerate(chosen, 1):
            seen += example.community == "north"
            assert abs(seen - number * 2 / 3) <= 1


def test_a_community_without_weight_never_comes() -> None:
    given = examples(east=3, north=3, south=3)
    weights = {"east": 0, "north": 0.3, "south": 0.6}
    chosen = [e.community for b in drawn(given, weights, 5, 200) for e in b]
    assert set(chosen) == {"north", "south"}
    assert chosen.count("north") == pytest.approx(1000 / 3, abs=1)


def test_each_community_comes_in_shuffled_rounds_without_repeats() -> None:
    given = examples(north=7, south=5)
    chosen = [e for b in drawn(given, {"north": 1, "south": 1}, 4, 35) for e in b]
    for name, size in (("north", 7), ("south", 5)):
        own = [e.prompt for e in chosen if e.community == name]
        rounds = [own[start : start + size] for start in range(0, len(own), size)]
        assert all(len(set(one)) == size for one in rounds if len(one) == size)
        assert len({tuple(one) for one in rounds}) > 1


def test_batches_are_a_function_of_the_seed() -> None:
    given = examples(north=7, south=5)
    assert drawn(given, {"north": 1, "south": 1}, 4, 9) == drawn(
        given, {"north": 1, "south": 1}, 4, 9
    )


def test_weights_that_cannot_be_are_refused() -> None:
    assert community_weights({"north": 2}, ["north", "south"]) == {"north": 2, "south": 1}
    with pytest.raises(UsageError, match=r"params\.weights\.north is negative"):
        community_weights({"north": -0.5}, ["north", "south"])
    with pytest.raises(UsageError, match="leave no community any weight"):
        community_weights({"north": 0}, ["north"])


# A toy, from rows to weights that stand alone.


class Killed(BaseException):
    """The process ends, as far as the method can see."""


class Deadly(io.StringIO):
    """Events that end the process when a step is noted."""

    def __init__(self, done: int) -> None:
        super().__init__()
        self.done = done

    def write(self, text: str) -> int:
        if json.loads(text)["done"] == self.done:
            raise Killed
        return super().write(text)


def trained(
    build: Build, base: Path, data: Mapping[str, Input], params: Params, seed: int = 0
) -> tuple[Context, list[dict[str, float]]]:
    """One training: its context, and what it told about its progress."""
    events = io.StringIO()
    inputs = {"base": base, "data": list(data.values())}
    context = build(params, inputs=inputs, seed=seed, events=events)
    opinion_sft.run(context)
    return context, [json.loads(line) for line in events.getvalue().splitlines()]


@pytest.fixture(scope="module")
def own(build: Build, lively_model: Path, data: dict[str, Input]) -> dict[str, Any]:
    return {name: trained(build, lively_model, {name: data[name]}, QUICK) for name in data}


def test_each_communitys_own_model_learns_its_shares(own: dict[str, Any]) -> None:
    for community, planted in PLANTED.items():
        context, events = own[community]
        for question, shares in planted.items():
            assert answered(context.out, question) == pytest.approx(list(shares), abs=0.07)
        losses = [event["loss"] for event in events if "loss" in event]
        assert len(losses) == QUICK.steps
        entropy = sum(-p * math.log(p) for s in planted.values() for p in s) / len(planted)
        assert losses[0] > 3
        assert losses[-1] == pytest.approx(entropy, abs=0.1)
        assert [event["done"] for event in events if "loss" in event] == list(range(5, 45))
        assert events[-1]["done"] == events[-1]["total"] == 44


def test_a_pooled_model_learns_the_weighted_mean(
    build: Build, lively_model: Path, data: dict[str, Input]
) -> None:
    weighted = QUICK.model_copy(update={"weights": {"north": 3.0}})
    context, _ = trained(build, lively_model, data, weighted)
    expected = 0.75 * 0.9 + 0.25 * 0.2
    assert answered(context.out, "Tea or coffee?") == pytest.approx(
        [expected, 1 - expected], abs=0.1
    )


def test_the_same_seed_gives_the_same_weights(
    build: Build, lively_model: Path, data: dict[str, Input], own: dict[str, Any]
) -> None:
    digests = [
        sha256_file(context.out / "model.safetensors")
        for context in (
            own["north"][0],
            trained(build, lively_model, {"north": data["north"]}, QUICK)[0],
            trained(build, lively_model, {"north": data["north"]}, QUICK, seed=1)[0],
        )
    ]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize("layers", [1, 0], ids=["above a trunk", "all layers"])
def test_logits_where_they_are_needed_give_the_same_gradients(
    build: Build, lively_model: Path, data: dict[str, Input], layers: int
) -> None:
    """Beside the loss over every token of whole prompts through the whole model, in float32."""
    params = QUICK.model_copy(update={"trained_layers": layers})
    context = build(params, inputs={"base": lively_model, "data": list(data.values())})
    rows = [example for rows in read_examples(context).values() for example in rows]
    batch = list({example.prompt: example for example in rows}.values())
    assert len({len(example.prompt) for example in batch}) > 1, "some prompts are padded"
    pupil = enrol(context, params, [example.prompt for example in batch], 3, 1)
    pupil.model.float()
    hidden = {ids: pupil.trunk.hidden(ids) for ids in pupil.ids.values()}
    pupil = replace(pupil, hidden=hidden)
    generator = torch.Generator().manual_seed(4)
    trained_weights = [p for p in pupil.model.parameters() if p.requires_grad]
    with torch.no_grad():
        for weight in trained_weights:
            weight.add_(torch.randn(weight.shape, generator=generator) * 0.05)
    targets = torch.zeros(len(batch), 3)
    for row, example in enumerate(batch):
        targets[row, : len(example.shares)] = torch.tensor(example.shares)
    ids = [pupil.ids[example.prompt] for example in batch]
    ours = option_loss(pupil.logits(pupil.model, ids), targets, pupil.letters)
    padded, mask = pad_left(ids, 0)
    whole = pupil.model(
        input_ids=padded, attention_mask=mask, position_ids=position_ids(mask), use_cache=False
    ).logits
    everywhere = torch.zeros(*whole.shape[:2], 3)
    everywhere[:, -1] = targets
    naive = -(everywhere * whole.log_softmax(dim=-1)[..., pupil.letters]).sum() / len(batch)
    assert ours.item() == pytest.approx(naive.item(), abs=1e-5)
    gradients = [torch.autograd.grad(loss, trained_weights) for loss in (ours, naive)]
    assert max(float(one.abs().max()) for one in gradients[0]) > 0.01
    for one, other in zip(*gradients, strict=True):
        assert torch.allclose(one, other, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("layers", "killed_at", "dropped"), [(1, 8, 0.0), (0, 5, 0.0), (1, 12, 0.0), (0, 8, 0.2)]
)
def test_a_killed_run_goes_on_and_ends_the_same(
    build: Build,
    lively_model: Path,
    data: dict[str, Input],
    layers: int,
    killed_at: int,
    dropped: float,
) -> None:
    """Killed between two checkpoints, at the step of one, and before the model is saved."""
    changed = {"steps": 12, "checkpoint_every": 5, "trained_layers": layers}
    changed |= {"hide_tokens": dropped, "adapter_dropout": dropped}
    params = QUICK.model_copy(update=changed)
    whole, _ = trained(build, lively_model, data, params)
    prompts = 8
    inputs = {"base": lively_model, "data": list(data.values())}
    cut = build(params, inputs=inputs, events=Deadly(prompts // 2 + killed_at))
    with pytest.raises(Killed):
        opinion_sft.run(cut)
    assert not (cut.out / "model.safetensors").exists()
    events = io.StringIO()
    opinion_sft.run(replace(cut, events=events))
    noted = [json.loads(line)["done"] for line in events.getvalue().splitlines()]
    first = killed_at // 5 * 5 + 1
    assert noted == list(range(prompts // 2 + first, prompts // 2 + 13))
    for name in ("curves.parquet", "model.safetensors"):
        assert sha256_file(cut.out / name) == sha256_file(whole.out / name)
    curve = read_rows(cut.out / "curves.parquet")
    assert curve["step"].to_list() == list(range(1, 13))


def test_a_loss_that_is_no_number_stops_it(
    build: Build, lively_model: Path, data: dict[str, Input]
) -> None:
    params = QUICK.model_copy(update={"learning_rate": 1e30})
    with pytest.raises(MethodError, match=r"the loss is (nan|inf) at step") as caught:
        trained(build, lively_model, data, params)
    assert "learning_rate" in caught.value.mend


def test_tokens_and_the_curve_are_told(own: dict[str, Any]) -> None:
    context, events = own["north"]
    tokens = [event["tokens"] for event in events if "tokens" in event]
    assert len(tokens) == QUICK.steps
    assert len(set(tokens)) == QUICK.steps
    assert tokens == sorted(tokens)
    curve = read_rows(context.out / "curves.parquet")
    assert curve["loss"].to_list() == [event["loss"] for event in events if "loss" in event]
    assert curve["learning_rate"].max() == pytest.approx(QUICK.learning_rate)
    assert (context.out / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_the_order_of_prompts_follows_the_seed(
    build: Build, lively_model: Path, data: dict[str, Input]
) -> None:
    params = QUICK.model_copy(update={"steps": 1, "batch_size": 1})
    first = {
        trained(build, lively_model, data, params, seed=seed)[1][-1]["loss"] for seed in range(5)
    }
    assert len(first) > 1


def test_the_merged_model_stands_alone_and_only_its_top_layer_changed(
    own: dict[str, Any], lively_model: Path, tmp_path: Path
) -> None:
    shutil.copytree(own["north"][0].out, tmp_path / "alone")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "alone", dtype=torch.float32)
    start = AutoModelForCausalLM.from_pretrained(lively_model, dtype=torch.bfloat16).float()
    names = {path.name for path in (tmp_path / "alone").iterdir()}
    assert not any("adapter" in name for name in names)
    assert type(model).__name__ == "LlamaForCausalLM"
    before, after = start.state_dict(), model.state_dict()
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(name.startswith("model.layers.1.") for name in changed)


def test_no_trained_layers_named_means_all_of_them(
    build: Build, lively_model: Path, data: dict[str, Input]
) -> None:
    params = QUICK.model_copy(update={"trained_layers": 0, "steps": 3})
    context, events = trained(build, lively_model, data, params)
    model = AutoModelForCausalLM.from_pretrained(context.out, dtype=torch.float32)
    start = AutoModelForCausalLM.from_pretrained(lively_model, dtype=torch.bfloat16).float()
    pairs = zip(start.state_dict().items(), model.state_dict().values(), strict=True)
    changed = {name.split(".")[2] for (name, old), new in pairs if not torch.equal(old, new)}
    assert changed == {"0", "1"}
    assert events[-1]["loss"] < events[0]["loss"]


def test_too_many_trained_layers_stop_before_any_work(
    build: Build, lively_model: Path, data: dict[str, Input]
) -> None:
    params = QUICK.model_copy(update={"trained_layers": 3})
    with pytest.raises(UsageError, match="trained_layers is 3; the model has 2 layers"):
        trained(build, lively_model, data, params)


def test_a_negative_weight_stops_before_any_work(
    build: Build, lively_model: Path, data: dict[str, Input]
) -> None:
    params = QUICK.model_copy(update={"weights": {"south": -1.0}})
    with pytest.raises(UsageError, match=r"params\.weights\.south is negative"):
        trained(build, lively_model, data, params)
