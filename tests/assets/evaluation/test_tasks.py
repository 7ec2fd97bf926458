"""Tasks are scored by their verifier, beside the floor and what the model expected."""

from __future__ import annotations

import json

import polars
import pytest
import torch

from assets.alignment.sequences import of_completion
from assets.compute import load_model
from assets.evaluation import verified_accuracy
from assets.evaluation.intervals import mean, wilson
from assets.evaluation.tasks import floor, reference_nats, require_tasks
from assets.rows import ROWS, write_rows
from assets.sources import reasoning_tasks
from assets.sources.reasoning_tasks import TaskGenerator, task_schema
from assets.synthesis.sampling import Sampling
from registry.errors import MethodError
from registry.results import read_results


@pytest.fixture(scope="session")
def tasks(build):
    params = reasoning_tasks.Params(
        side="held-out",
        generators=(TaskGenerator(name="lcm", rows=6), TaskGenerator(name="syllogism", rows=6)),
    )
    context = build(params)
    reasoning_tasks.run(context)
    return context.out


def test_the_floor_is_the_commonest_answer_of_each_kind():
    given = [("a", "yes"), ("a", "yes "), ("a", "no"), ("b", "1"), ("b", "2")]
    assert floor({"task": t, "answer": a} for t, a in given) == {"a": 2 / 3, "b": 1 / 2}


def test_reference_nats_are_those_of_each_sequence_alone(lively_model):
    model, tokenizer = load_model(lively_model, torch.device("cpu"), "float32")
    pairs = [("Tea?", "Yes."), ("A much longer question, is it not?", "No"), ("2+2", "4, I think")]
    sequences = [of_completion(tokenizer, p, c, chat=True) for p, c in pairs]
    found = reference_nats(model, sequences, tokenizer.pad_token_id, batch_size=2)
    for sequence, nats in zip(sequences, found, strict=True):
        ids = torch.tensor([sequence.ids])
        logs = model(input_ids=ids).logits[0].log_softmax(-1)
        places = [i for i, on in enumerate(sequence.learned) if on]
        alone = [-logs[i - 1, sequence.ids[i]].item() for i in places]
        assert nats == pytest.approx(sum(alone) / len(alone), abs=1e-4)


def test_a_share_has_wilsons_interval():
    # Wilson (1927): (p + z^2/2n +- z sqrt(pq/n + z^2/4n^2)) / (1 + z^2/n) for 0 of 10.
    low, high = wilson(0, 10)
    assert low == pytest.approx(0, abs=1e-12)
    assert high == pytest.approx(1.959964**2 / (10 + 1.959964**2), abs=1e-6)


def test_a_mean_has_students_interval():
    value, low, high = mean([1.0, 3.0])
    assert value == 2
    assert high - value == value - low == pytest.approx(12.7062, abs=1e-4)
    assert mean([5.0]) == (5, 5, 5)


def test_a_model_is_measured_on_every_task(build, lively_model, tasks):
    params = verified_accuracy.Params(
        sampling=Sampling(temperature=0, max_new_tokens=8), batch_size=4, dtype="float32"
    )
    context = build(params, inputs={"model": lively_model, "tasks": tasks})
    verified_accuracy.run(context)
    answers = polars.read_parquet(context.out / "answers.parquet")
    assert len(answers) == 12
    results = {(r.slice, r.metric): r for r in read_results(context.out)}
    assert {name for name, _ in results} == {"all kinds of task", "lcm", "syllogism"}
    whole = results["all kinds of task", "verified accuracy"]
    assert whole.value == answers["correct"].mean()
    assert whole.beside["always the commonest answer"] > 0.2
    nats = results["all kinds of task", "nats per token of the reference answer"]
    assert nats.value == pytest.approx(answers["nats"].mean())
    headline = json.loads((context.out / "headline.json").read_text())
    assert headline["verified accuracy"] == whole.value


def test_the_reference_itself_is_wholly_right(build, lively_model, tasks, monkeypatch):
    """An oracle in place of the model: every answer is the reference."""
    rows = {row["row_id"]: row for row in polars.read_parquet(tasks / ROWS).to_dicts()}
    monkeypatch.setattr(
        "assets.synthesis.teachers.ModelTeacher._completion",
        lambda *_: pytest.fail("the model was asked"),
    )
    context = build(
        verified_accuracy.Params(batch_size=64), inputs={"model": lively_model, "tasks": tasks}
    )
    folder = context.work / "answers"
    folder.mkdir()
    lines = [
        {"id": key, "text": row["completion"], "finish_reason": "stop", "tokens": 1, "logprob": 0.0}
        for key, row in rows.items()
    ]
    (folder / "000000.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    verified_accuracy.run(context)
    assert read_results(context.out)[0].value == 1


@pytest.mark.parametrize(
    ("rows", "message"),
    [([], "holds no tasks"), ([{"prompt": "a", "task": "lcm"}], "has no column answer, entry")],
)
def test_rows_that_cannot_be_checked_are_refused(rows, message):
    with pytest.raises(MethodError, match=message):
        require_tasks(rows, "somewhere")


def test_no_tasks_at_all_are_refused(build, small_model, tmp_path):
    write_rows(tmp_path / ROWS, [], task_schema())
    context = build(verified_accuracy.Params(), inputs={"model": small_model, "tasks": tmp_path})
    with pytest.raises(MethodError, match="holds no tasks"):
        verified_accuracy.run(context)
