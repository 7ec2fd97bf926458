"""GRPO on a toy: what it draws, what it pays, and what it learns."""

from __future__ import annotations

import io
import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from assets.alignment import opinion_grpo, opinion_sft
from assets.alignment.adapter import Pupil, enrol
from assets.alignment.examples import read_examples
from assets.alignment.opinion_grpo import Params, build_trainer, draw, rows_of, settings
from assets.alignment.rewards import OUTSIDE
from assets.rows import read_rows
from registry.context import Context, Input
from registry.hashing import sha256_file
from tests.assets.alignment.conftest import PLANTED, answered

if TYPE_CHECKING:
    from tests.assets.conftest import Build

pytestmark = [
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
QUICK = Params(
    steps=100, batch_size=4, group_size=64, learning_rate=5e-3, adapter_rank=4, trained_layers=1
)


@pytest.fixture(scope="module")
def taught(build: Build, lively_model: Path, data: dict[str, Input]) -> Path:
    """A model that has learned to answer with a letter, and the other community's shares."""
    params = opinion_sft.Params(
        steps=40, batch_size=4, learning_rate=2e-2, adapter_rank=4, trained_layers=1
    )
    context = build(params, inputs={"base": lively_model, "data": [data["south"]]})
    opinion_sft.run(context)
    return context.out


def trained(
    build: Build, base: Path, data: Mapping[str, Input], params: Params = QUICK
) -> tuple[Context, list[dict[str, float]]]:
    events = io.StringIO()
    context = build(params, inputs={"base": base, "data": list(data.values())}, events=events)
    opinion_grpo.run(context)
    return context, [json.loads(line) for line in events.getvalue().splitlines()]


@pytest.fixture(scope="module")
def north(build: Build, taught: Path, data: dict[str, Input]) -> Any:
    return trained(build, taught, {"north": data["north"]})


def pupil_of(
    build: Build, base: Path, data: Mapping[str, Input]
) -> tuple[Context, Pupil, list[dict[str, Any]]]:
    context = build(QUICK, inputs={"base": base, "data": list(data.values())})
    rows = rows_of(read_examples(context))
    prompts = sorted({row["prompt"] for row in rows})
    return context, enrol(context, QUICK, prompts, 3, QUICK.steps), rows


def test_a_model_that_learned_another_communitys_shares_learns_these(north: Any) -> None:
    context, events = north
    for question, shares in PLANTED["north"].items():
        assert answered(context.out, question) == pytest.approx(list(shares), abs=0.1)
    told = [event for event in events if "reward_match" in event]
    assert len(told) == QUICK.steps
    assert events[-1]["done"] == events[-1]["total"]


def test_the_curve_of_each_reward_is_recorded_apart(north: Any) -> None:
    context, _ = north
    curves = read_rows(context.out / "curves.parquet")
    assert curves["step"].to_list() == list(range(1, QUICK.steps + 1))
    assert curves["match"][:5].mean() < -0.3
    assert curves["match"][-10:].mean() > -0.05
    assert curves["format"][-10:].mean() > 0.98
    whole = QUICK.match_weight * curves["match"] + QUICK.format_weight * curves["format"]
    assert curves["reward"].to_list() == pytest.approx(whole.to_list(), abs=1e-4)
    assert (context.out / "rewards.png").read_bytes().startswith(b"\x89PNG")


def test_the_same_seed_gives_the_same_weights(
    build: Build, taught: Path, data: dict[str, Input]
) -> None:
    short = QUICK.model_copy(update={"steps": 3})
    made = [trained(build, taught, {"north": data["north"]}, short)[0] for _ in range(2)]
    first, second = (sha256_file(context.out / "model.safetensors") for context in made)
    assert first == second


class Killed(BaseException):
    """The process ends, as far as the method can see."""


class Deadly(io.StringIO):
    """Events that end the process when step 8, after the four prompts, is noted."""

    def write(self, text: str) -> int:
        if json.loads(text)["done"] == 4 + 8:
            raise Killed
        return super().write(text)


@pytest.mark.parametrize("kl_weight", [0.0, 0.1], ids=["free", "held to its start"])
def test_a_killed_run_goes_on_and_ends_the_same(
    build: Build, taught: Path, data: dict[str, Input], kl_weight: float
) -> None:
    """Three questions of four a step, so that a round ends within a step."""
    update = {"steps": 12, "checkpoint_every": 5, "batch_size": 3, "kl_weight": kl_weight}
    params = QUICK.model_copy(update=update)
    whole, _ = trained(build, taught, {"north": data["north"]}, params)
    inputs = {"base": taught, "data": [data["north"]]}
    cut = build(params, inputs=inputs, events=Deadly())
    with pytest.raises(Killed):
        opinion_grpo.run(cut)
    assert (cut.work / "trainer" / "checkpoint-5").is_dir()
    events = io.StringIO()
    opinion_grpo.run(replace(cut, events=events))
    noted = [json.loads(line) for line in events.getvalue().splitlines()]
    assert [event["done"] for event in noted] == list(range(4 + 6, 4 + 13))
    for name in ("curves.parquet", "model.safetensors"):
        assert sha256_file(cut.out / name) == sha256_file(whole.out / name)
    tokens = [event["tokens"] for event in noted]
    assert tokens == sorted(set(tokens))


def test_answers_are_drawn_from_the_policy_itself(
    build: Build, taught: Path, data: dict[str, Input]
) -> None:
    _, pupil, rows = pupil_of(build, taught, data)
    prompt, options = rows[0]["prompt"], len(rows[0]["target"])
    torch.manual_seed(5)
    drawn = draw(pupil, [prompt], [options], 4000)
    with torch.no_grad():
        chances = pupil.logits(pupil.model, [pupil.ids[prompt]])[0].softmax(-1)
    shares = chances[pupil.letters[:options]]
    counts = Counter(drawn["answer"])
    for place in range(options):
        assert counts[place] / 4000 == pytest.approx(shares[place].item(), abs=0.03)
    own = dict(zip(drawn["answer"], drawn["own"], strict=True))
    for place in set(counts) - {OUTSIDE}:
        assert math.exp(own[place]) == pytest.approx(
            (shares[place] / shares.sum()).item(), abs=1e-4
        )
    assert {tuple(ids) for ids in drawn["prompt_ids"]} == {pupil.ids[prompt]}


def test_a_letter_beyond_the_options_lies_outside(
    build: Build, taught: Path, data: dict[str, Input]
) -> None:
    _, pupil, rows = pupil_of(build, taught, data)
    prompt = next(row["prompt"] for row in rows if len(row["target"]) == 3)
    drawn = draw(pupil, [prompt], [2], 500)
    third = int(pupil.letters[2])
    places = {
        answer
        for answer, (token,) in zip(drawn["answer"], drawn["completion_ids"], strict=True)
        if token == third
    }
    assert places == {OUTSIDE}


def test_one_pass_a_question_scores_answers_as_trl_does_one_by_one(
    build: Build, taught: Path, data: dict[str, Input]
) -> None:
    context, pupil, rows = pupil_of(build, taught, data)
    config = settings(context, QUICK)
    trainer = build_trainer(pupil, rows, QUICK, config)
    prompts = [pupil.ids[row["prompt"]] for row in rows[:2]]
    width = max(len(prompt) for prompt in prompts) + 1
    ids = torch.zeros((4, width), dtype=torch.long)
    mask = torch.zeros((4, width), dtype=torch.long)
    for row, (prompt, letter) in enumerate((p, x) for p in prompts for x in (0, 1)):
        tokens = torch.tensor([*prompt, int(pupil.letters[letter])])
        ids[row, width - len(tokens) :] = tokens
        mask[row, width - len(tokens) :] = 1
    with torch.no_grad():
        ours, entropy, _ = trainer._get_per_token_logps_and_entropies(pupil.model, ids, mask, 1)
        theirs, their_entropy, _ = super(type(trainer), trainer)._get_per_token_logps_and_entropies(
            pupil.model, ids, mask, 1, compute_entropy=True
        )
    assert torch.allclose(ours, theirs, atol=0.05)
    assert torch.allclose(entropy, their_entropy, atol=0.05)
