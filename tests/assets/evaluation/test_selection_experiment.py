"""Arms get the same budget, are measured apart from what they learned, and are never run twice."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import polars
import pytest

from assets.alignment.training import TuningParams
from assets.evaluation import arms
from assets.evaluation import selection_experiment as experiment
from assets.evaluation.tasks import Scored
from assets.rows import ROWS
from assets.synthesis.sampling import Sampling
from registry.context import Input
from registry.errors import MethodError
from registry.results import Result, read_results
from tests.assets.drawn_tasks import drawn

pytestmark = pytest.mark.filterwarnings(  # peft 0.21 asks transformers 5.23 by the old name
    "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"
)
PARAMS = experiment.Params(
    rows=6,
    seeds=(0, 1),
    tuning=TuningParams(steps=3, batch_size=2, longest=400, checkpoint_every=0, adapter_rank=2),
    sampling=Sampling(temperature=0, max_new_tokens=6),
    resamples=100,
)


@pytest.fixture(scope="session")
def inputs(build, lively_model):
    return {
        "base": lively_model,
        "tasks": drawn(build, "held-out", lcm=4, syllogism=4),
        "arms": [
            Input("random", None, drawn(build, "train", gcd=5, chain_sum=5)),
            Input("chosen", None, drawn(build, "train", leg_counting=6)),
        ],
    }


def one(row_id: str, task: str, *, correct: bool = False, nats: float = 1.0) -> Scored:
    return Scored(row_id, task, "", answered=True, correct=correct, nats=nats)


def test_every_model_gets_the_same_number_of_rows():
    rows = [{"row_id": str(i)} for i in range(9)]
    chosen = [experiment.choose(rows, 4, seed, "arm") for seed in range(20)]
    assert {len(c) for c in chosen} == {4}
    assert len({tuple(r["row_id"] for r in c) for c in chosen}) > 10
    assert experiment.choose(rows, 4, 3, "arm") == chosen[3]
    with pytest.raises(
        MethodError, match="the arm small has 9 rows, and each model learns from 10"
    ):
        experiment.choose(rows, 10, 0, "small")


def test_seeds_are_averaged_before_anything_else():
    found = {
        arms.Unit("a", 0): [one("1", "x", correct=True), one("2", "x")],
        arms.Unit("a", 1): [one("1", "x"), one("2", "x")],
    }
    assert arms.table(found, "a", "verified accuracy").tolist() == [0.5, 0]
    assert arms.by_seed(found, "a", "verified accuracy") == [0.5, 0]


def test_new_tasks_are_drawn_within_their_kind():
    places = arms.redraw(["x", "y", "x", "y", "y"], 50, 0)
    kinds = np.array(["x", "y", "x", "y", "y"])[places]
    assert (kinds == "x").sum(axis=1).tolist() == [2] * 50


def test_an_interval_of_equal_tasks_is_a_point():
    places = arms.redraw(["x"] * 5, 200, 0)
    assert arms.interval(np.full(5, 0.25), places) == (0.25, 0.25, 0.25)


def test_differences_are_taken_task_by_task():
    """Arms that differ by the same on every task differ for certain, however tasks differ."""
    hard = [one(str(i), "x", nats=float(i)) for i in range(8)]
    easier = [one(str(i), "x", nats=float(i) - 0.5) for i in range(8)]
    found = {
        arms.Unit("base", 0): hard,
        arms.Unit("random", 0): hard,
        arms.Unit("chosen", 0): easier,
    }
    tasks = [{"task": "x", "answer": "1"} for _ in range(8)]
    results = list(arms.results_of(found, tasks, "held-out tasks", 100, 0))
    metric = "nats per token of the reference answer, minus random"
    (difference,) = [r for r in results if r.metric == metric]
    assert (difference.value, difference.low, difference.high) == (-0.5, -0.5, -0.5)


def test_a_base_at_the_floor_is_said_to_be_uninformative():
    def result(low: float):
        return Result(
            about="base", slice="", metric="verified accuracy", lower_is_better=False,
            value=0.3, low=low, high=0.4, items=10, beside={},
        )  # fmt: skip

    assert experiment.informative([result(0.21)], 0.2)
    assert not experiment.informative([result(0.2)], 0.2)


def test_rows_of_a_kind_that_is_measured_are_refused():
    row = {"row_id": "r", "task": "lcm", "prompt": "?"}
    with pytest.raises(MethodError, match="of a kind that is measured on"):
        experiment.require_apart({"arm": [row]}, [{"task": "lcm", "prompt": "other"}])
    with pytest.raises(MethodError, match="of a kind that is measured on"):
        experiment.require_apart({"arm": [row | {"task": None}]}, [{"task": "x", "prompt": "?"}])


class Killed(BaseException):
    """Stands in for a signal."""


class Deadly(io.StringIO):
    """Events that end the process while the third model trains."""

    def write(self, text: str) -> int:
        if json.loads(text)["done"] == 8:
            raise Killed
        return super().write(text)


def test_a_killed_experiment_repeats_no_model(build, inputs):
    whole = build(PARAMS, inputs=inputs)
    experiment.run(whole)
    cut = build(PARAMS, inputs=inputs, events=Deadly())
    with pytest.raises(Killed):
        experiment.run(cut)
    assert len(list((cut.work / "units").iterdir())) == 2
    events = io.StringIO()
    experiment.run(replace(cut, events=events))
    steps = [json.loads(line)["done"] for line in events.getvalue().splitlines()]
    assert min(steps) == 7
    for name in ("scores.parquet", "results.json", "table.md"):
        assert (cut.out / name).read_bytes() == (whole.out / name).read_bytes()
    assert not list(cut.work.glob("**/*.safetensors"))


def test_every_arm_is_reported_with_its_seeds(build, inputs):
    context = build(PARAMS, inputs=inputs)
    experiment.run(context)
    scores = polars.read_parquet(context.out / "scores.parquet")
    models = set(scores.select("arm", "seed").unique().rows())
    assert models == {("base", 0), *((arm, s) for arm in ("random", "chosen") for s in (0, 1))}
    assert set(scores.group_by("arm", "seed").len()["len"]) == {8}
    results = read_results(context.out)
    assert [r.about for r in results if r.metric == "verified accuracy"] == [
        "base", "random", "chosen",
    ]  # fmt: skip
    assert len([r for r in results if "minus random" in r.metric]) == 2
    page = (context.out / "table.md").read_text()
    assert "uninformative at this size" in page


def test_an_arm_that_is_too_small_stops_before_anything_is_trained(build, inputs):
    context = build(PARAMS.model_copy(update={"rows": 7}), inputs=inputs)
    with pytest.raises(MethodError, match="the arm chosen has 6 rows"):
        experiment.run(context)
    assert not (context.work / "units").exists()
    assert (inputs["tasks"] / ROWS).exists()
