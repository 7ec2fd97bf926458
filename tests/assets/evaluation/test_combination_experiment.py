"""Arms learn from the same number of tokens, whatever their stages, and none is trained twice."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import polars
import pytest
from pydantic import ValidationError

from assets.alignment import rlp
from assets.alignment.grpo import Params as GrpoParams
from assets.alignment.reward_terms import AccuracyReward, LengthReward
from assets.alignment.training import TuningParams
from assets.evaluation import combination_experiment as experiment
from assets.synthesis.sampling import Sampling
from registry.context import Input
from registry.errors import MethodError
from registry.results import read_results
from tests.assets.drawn_tasks import drawn

pytestmark = pytest.mark.filterwarnings(  # peft 0.21 asks transformers 5.23 by the old name
    "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"
)
SFT = {"batch_size": 2, "longest": 400, "checkpoint_every": 0, "adapter_rank": 2}
GRPO = {
    "prompts": 2, "group_size": 2, "sampling": Sampling(max_new_tokens=4), "adapter_rank": 2,
    "rewards": (AccuracyReward(kind="accuracy"), LengthReward(kind="length", free=1, most=4)),
    "checkpoint_every": 0,
}  # fmt: skip
RLP = {"prefixes": 2, "thoughts": 2, "thought_tokens": 3, "least_context": 4, "adapter_rank": 2}
PARAMS = experiment.Params(
    tokens=600,
    seeds=(0, 1),
    sft=TuningParams(**SFT),
    grpo=GrpoParams(**GRPO),
    rlp=rlp.Params(**RLP, checkpoint_every=0),
    sampling=Sampling(temperature=0, max_new_tokens=4),
    resamples=100,
)


@pytest.fixture(scope="session")
def inputs(build, lively_model):
    return {
        "base": lively_model,
        "tasks": drawn(build, "train", gcd=5, chain_sum=5),
        "new": [
            Input("same-kinds", None, drawn(build, "train", 5, gcd=4, chain_sum=4)),
            Input("other-kinds", None, drawn(build, "held-out", lcm=4)),
        ],
    }


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"sft": TuningParams(steps=3)}, "`sft.steps` follows from `tokens`"),
        ({"sft": TuningParams(packing=True)}, "packed rows hide"),
        ({"arms": (("sft",), ("sft",))}, "no two arms have the same"),
        ({"arms": ((),)}, "each arm has stages"),
        ({"grpo": GrpoParams(rewards=[{"kind": "preference"}])}, "'preference' is of people"),
    ],
)
def test_what_would_make_arms_unequal_is_refused(changed, message):
    with pytest.raises(ValidationError, match=message):
        experiment.Params(**changed)


def test_tasks_that_models_learn_from_are_not_measured_on():
    learning = [{"prompt": "1 + 1?"}]
    new = experiment.only_new(learning, [{"prompt": "1 + 1?"}, {"prompt": "1 + 2?"}], "new")
    assert new == [{"prompt": "1 + 2?"}]
    with pytest.raises(MethodError, match="every task is one that models learn from"):
        experiment.only_new(learning, learning, "new")


class Killed(BaseException):
    """Stands in for a signal."""


class Deadly(io.StringIO):
    """Events that end the process while the fourth model trains."""

    def write(self, text: str) -> int:
        if json.loads(text)["done"] > 3000:
            raise Killed
        return super().write(text)


@pytest.fixture(scope="module")
def made(build, inputs):
    context = build(PARAMS, inputs=inputs)
    experiment.run(context)
    return context


def test_every_arm_learns_from_the_same_number_of_tokens(made):
    used = polars.read_parquet(made.out / "used.parquet")
    stages: dict[tuple[str, int], list[dict]] = {}
    for row in used.iter_rows(named=True):
        stages.setdefault((row["arm"], row["seed"]), []).append(row)
    assert len(stages) == 8
    for own in stages.values():
        # A stage ends with the step that reaches its share, or at the nearest one.
        step = max(row["tokens"] / row["steps"] for row in own)
        assert 600 - step / 2 <= sum(row["tokens"] for row in own) <= 600 + step * len(own)
    assert [row["stage"] for row in stages["rlp-then-sft-then-grpo", 0]] == ["rlp", "sft", "grpo"]


def test_every_model_is_measured_on_every_new_task_of_both_parts(made):
    scores = polars.read_parquet(made.out / "scores.parquet")
    assert len(scores) == 9 * 12
    results = read_results(made.out)
    assert {r.slice for r in results} == {"same-kinds", "other-kinds"}
    accuracies = [r for r in results if r.metric == "verified accuracy"]
    assert {r.about for r in accuracies} == {
        "base", "sft", "grpo", "sft-then-grpo", "rlp-then-sft-then-grpo",
    }  # fmt: skip
    assert {r.items for r in accuracies if r.slice == "other-kinds"} == {4}
    assert (made.out / "same-kinds.png").read_bytes().startswith(b"\x89PNG")
    assert "## other-kinds" in (made.out / "table.md").read_text()


def test_imitation_lowers_the_cross_entropy_of_reference_answers(made):
    nats = {
        (r.about, r.slice): r.value
        for r in read_results(made.out)
        if r.metric.startswith("nats") and "minus" not in r.metric
    }
    assert nats["sft", "same-kinds"] < nats["base", "same-kinds"]
    assert nats["sft-then-grpo", "same-kinds"] < nats["base", "same-kinds"]


def test_a_killed_experiment_repeats_no_model_and_ends_the_same(build, inputs, made):
    cut = build(PARAMS, inputs=inputs, events=Deadly())
    with pytest.raises(Killed):
        experiment.run(cut)
    assert len(list((cut.work / "units").iterdir())) == 3
    events = io.StringIO()
    experiment.run(replace(cut, events=events))
    assert min(json.loads(line)["done"] for line in events.getvalue().splitlines()) >= 3000
    for name in ("scores.parquet", "results.json", "table.md", "used.parquet"):
        assert (cut.out / name).read_bytes() == (made.out / name).read_bytes()
