"""GRPO learns what it is paid for, keeps each reward apart, and goes on where it was."""

from __future__ import annotations

import hashlib
import io
import json
import math
from dataclasses import replace
from pathlib import Path

import polars
import pytest
import torch
from accelerate.state import AcceleratorState
from pydantic import ValidationError

from assets.alignment import grpo, sft
from assets.alignment.checkpoints import last_checkpoint
from assets.alignment.grpo_course import Course, places_of
from assets.compute import load_model
from assets.rows import ROWS, row_id, row_schema, write_rows
from assets.sources.reasoning_tasks import task_schema
from assets.sources.verifiers import write_entry
from registry.context import Input, ProfileView
from registry.errors import MethodError
from tests.assets.alignment.reward_files import reward_files

pytestmark = [
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
    pytest.mark.filterwarnings(  # trl 1.16 asks transformers 5.23 by the old names
        "ignore:`gradient_checkpointing_(en|dis)able` is deprecated:FutureWarning"
    ),
]
__all__ = ["reward_files"]
SHORT = {"kind": "length", "free": 1, "most": 8}
QUESTIONS = {"One?": "2", "Seven?": "3", "The last of all?": "4"}
GUESSES = ("2", "3", "4", "some four", "the two")
"""What the model that training starts from answers to any of them."""
PARAMS = grpo.Params(
    steps=6, prompts=2, group_size=4, adapter_rank=4, learning_rate=1e-2, checkpoint_every=2,
    samples_every=1, sampling={"max_new_tokens": 8},
    rewards=[SHORT, {"kind": "diversity", "weight": 0.5}, {"kind": "accuracy"}],
)  # fmt: skip


def task_row(question: str, answer: str, task: str = "chain_sum") -> dict:
    entry = {"question": question, "answer": answer, "metadata": {}}
    return {
        "row_id": row_id("test", question), "parents": [], "prompt": question,
        "completion": answer, "source": "test", "community": None, "task": task,
        "answer": answer, "entry": write_entry(entry), "difficulty": 1.0,
    }  # fmt: skip


def prompt_row(prompt: str) -> dict:
    return {
        "row_id": row_id("test", prompt), "parents": [], "prompt": prompt, "completion": "",
        "source": "test", "community": None,
    }  # fmt: skip


@pytest.fixture(scope="session")
def tasks(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tasks")
    rows = [task_row(question, answer) for question, answer in QUESTIONS.items()]
    write_rows(folder / ROWS, rows, task_schema())
    return folder


@pytest.fixture(scope="session")
def guesser(build, small_model, tmp_path_factory) -> Path:
    """A tiny model that answers each question with one of the guesses, all about as often."""
    AcceleratorState._reset_state()
    folder = tmp_path_factory.mktemp("guesses")
    rows = [
        task_row(question, "2") | {"completion": guess, "row_id": row_id("test", [question, guess])}
        for question in QUESTIONS
        for guess in GUESSES
    ]
    write_rows(folder / ROWS, rows, task_schema())
    params = sft.Params(
        steps=60, batch_size=15, adapter_rank=0, learning_rate=1e-2, weights_dtype="float32",
        checkpoint_every=0,
    )  # fmt: skip
    context = build(params, inputs={"base": small_model, "data": folder})
    sft.run(context)
    AcceleratorState._reset_state()
    return context.out


def digest(files: Path) -> str:
    return hashlib.sha256((files / "model.safetensors").read_bytes()).hexdigest()


def curves(files: Path) -> polars.DataFrame:
    return polars.read_parquet(files / "curves.parquet")


@pytest.fixture(scope="session")
def made(build, guesser, tasks):
    """A whole run, never cut off."""
    AcceleratorState._reset_state()
    context = build(PARAMS, inputs={"base": guesser, "tasks": tasks}, events=io.StringIO())
    grpo.run(context)
    return context


def test_guesses_become_right_answers(build, guesser, tasks):
    params = grpo.Params(
        steps=60, prompts=3, group_size=16, adapter_rank=0, learning_rate=5e-3, checkpoint_every=0,
        sampling={"max_new_tokens": 8}, rewards=[{"kind": "accuracy"}],
    )  # fmt: skip
    context = build(params, inputs={"base": guesser, "tasks": tasks})
    grpo.run(context)
    found = curves(context.out)["reward_accuracy"]
    assert found[:3].mean() < 0.4
    assert found[-5:].mean() > 0.6


def test_answers_come_as_often_as_people_gave_them(build, guesser, tmp_path):
    shares = [0.6, 0.3, 0.1]
    row = {
        "row_id": "0" * 16, "prompt": "One?", "options": ["2", "3", "4"], "shares": shares,
        "n": 4000,
    }  # fmt: skip
    polars.DataFrame([row]).write_parquet(tmp_path / "items.parquet")
    params = grpo.Params(
        steps=60, prompts=1, group_size=48, adapter_rank=0, learning_rate=5e-3,
        checkpoint_every=0, samples_every=1, sampling={"max_new_tokens": 8},
        rewards=[{"kind": "shares"}],
    )  # fmt: skip
    context = build(params, inputs={"base": guesser, "tasks": tmp_path})
    grpo.run(context)
    found = polars.read_parquet(context.out / "samples.parquet").filter(polars.col("step") > 40)
    drawn = [(found["answer"] == option).mean() for option in row["options"]]
    assert drawn == pytest.approx(shares, abs=0.1)


def test_the_curve_of_each_reward_is_recorded_apart(made):
    found = curves(made.out)
    assert found["step"].to_list() == list(range(1, 7))
    whole = found["reward_length"] + 0.5 * found["reward_diversity"] + found["reward_accuracy"]
    assert found["reward"].to_list() == pytest.approx(whole.to_list(), abs=1e-5)
    assert {"deviation_length", "equal_groups", "entropy", "cut_answers"} <= set(found.columns)
    assert (made.out / "rewards.png").read_bytes().startswith(b"\x89PNG")
    told = [json.loads(line) for line in made.events.getvalue().splitlines()]
    assert [one["done"] for one in told] == list(range(1, 7))
    assert {"reward", "reward_length", "reward_diversity"} <= set(told[0])


def test_groups_are_kept_to_be_read_with_what_each_reward_paid(made):
    found = polars.read_parquet(made.out / "samples.parquet")
    assert len(found) == 6 * 4
    for group in found.partition_by("step"):
        assert group["advantage"].sum() == pytest.approx(0, abs=1e-4)
        paid = group["reward_length"] + 0.5 * group["reward_diversity"] + group["reward_accuracy"]
        assert group["advantage"].to_list() == pytest.approx(
            (paid - paid.mean()).to_list(), abs=1e-5
        )
        assert len(set(group["prompt"])) == 1


def test_the_same_run_gives_the_same_bytes(build, guesser, tasks, made):
    context = build(PARAMS, inputs={"base": guesser, "tasks": tasks})
    grpo.run(context)
    assert digest(context.out) == digest(made.out)
    other = build(PARAMS, inputs={"base": guesser, "tasks": tasks}, seed=1)
    grpo.run(other)
    assert digest(other.out) != digest(made.out)


class Killed(BaseException):
    """Stands in for a signal: nothing on the way may catch it."""


class Deadly(io.StringIO):
    """Events that end the process when step 5 is noted."""

    def write(self, text: str) -> int:
        if json.loads(text)["done"] == 5:
            raise Killed
        return super().write(text)


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"adapter_rank": 0, "kl_weight": 0.05, "learning_rate": 1e-3},
        {"minibatches": 2, "iterations": 2, "checkpoint_every": 3, "steps": 7},
    ],
    ids=["adapter", "all weights", "several steps a draw"],
)
def test_a_killed_run_goes_on_and_ends_the_same(build, guesser, tasks, changed):
    params = grpo.Params(**(PARAMS.model_dump() | changed))
    inputs = {"base": guesser, "tasks": tasks}
    whole = build(params, inputs=inputs)
    grpo.run(whole)
    AcceleratorState._reset_state()
    cut = build(params, inputs=inputs, events=Deadly())
    with pytest.raises(Killed):
        grpo.run(cut)
    assert (cut.work / "trainer" / "checkpoint-4" / "whole").is_file()
    AcceleratorState._reset_state()
    events = io.StringIO()
    grpo.run(replace(cut, events=events))
    steps = [json.loads(line)["done"] for line in events.getvalue().splitlines()]
    assert steps == list(range(5, params.steps + 1))
    assert curves(cut.out).equals(curves(whole.out))
    assert digest(cut.out) == digest(whole.out)
    kept = [polars.read_parquet(one.out / "samples.parquet") for one in (cut, whole)]
    assert kept[0].equals(kept[1])


def test_a_checkpoint_that_a_kill_left_half_written_is_passed_over(tmp_path):
    for step, whole in ((2, True), (10, False)):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        (folder / "trainer_state.json").write_text("{")
        if whole:
            (folder / "whole").touch()
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-2"
    assert not (tmp_path / "checkpoint-10").exists()
    assert last_checkpoint(tmp_path / "nowhere") is None


def test_checkpoints_stand_only_where_a_draw_is_used_up():
    several = {"minibatches": 2, "iterations": 3, "prompts": 4}
    params = PARAMS.model_copy(update=several | {"checkpoint_every": 7})
    assert params.checkpoint_steps == 12
    assert params.model_copy(update={"checkpoint_every": 0}).checkpoint_steps == 0


def test_every_prompt_is_asked_before_any_is_asked_again(tmp_path):
    params = PARAMS.model_copy(update={"steps": 9})
    course = Course([None] * 5, [], params, 3, "cpu", tmp_path)
    order = places_of(course)
    assert len(order) == 18
    for start in (0, 5, 10):
        assert sorted(order[start : start + 5]) == list(range(5))
    assert order[:5] != order[5:10]


def test_parts_of_a_step_make_the_same_step(build, guesser, tasks):
    found = []
    for accumulate in (1, 4):
        params = PARAMS.model_copy(update={"accumulate": accumulate, "steps": 3})
        context = build(params, inputs={"base": guesser, "tasks": tasks})
        grpo.run(context)
        AcceleratorState._reset_state()
        found.append(curves(context.out))
    assert found[0]["reward"].to_list() == pytest.approx(found[1]["reward"].to_list(), abs=1e-6)
    assert found[0]["gradient_norm"].to_list() == pytest.approx(
        found[1]["gradient_norm"].to_list(), rel=0.02
    )


def test_a_group_that_is_paid_alike_teaches_nothing(build, guesser, tasks):
    params = PARAMS.model_copy(
        update={"steps": 2, "scale": "sample", "rewards": grpo.Params(
            rewards=[{"kind": "format"}]).rewards}
    )  # fmt: skip
    context = build(params, inputs={"base": guesser, "tasks": tasks})
    grpo.run(context)
    found = curves(context.out)
    assert found["equal_groups"].to_list() == [1, 1]
    assert found["gradient_norm"].to_list() == [0, 0]
    assert polars.read_parquet(context.out / "samples.parquet")["advantage"].to_list() == [0] * 8


def test_the_penalty_for_leaving_the_start_is_nothing_at_the_start(build, guesser, tasks):
    params = PARAMS.model_copy(update={"kl_weight": 0.1, "steps": 4})
    context = build(params, inputs={"base": guesser, "tasks": tasks})
    grpo.run(context)
    found = curves(context.out)["kl_to_start"].to_list()
    assert found[0] == pytest.approx(0, abs=1e-6)
    assert all(value > 0 for value in found[1:]), found


def test_nothing_is_clipped_where_answers_meet_the_model_that_gave_them(made):
    found = curves(made.out)
    assert found["clipped_low"].to_list() == [0] * 6
    assert found["clipped_high"].to_list() == [0] * 6


BOLD = PARAMS.model_dump() | {
    "steps": 2, "accumulate": 2, "learning_rate": 3e-3, "checkpoint_every": 0,
    "clip_low": 1e-4, "clip_high": 0.2,
}  # fmt: skip


@pytest.fixture(scope="module")
def digest_of_changed(build, guesser, tasks):
    """The digest of what comes of bold parameters with a change; each is trained once."""
    known: dict[str, str] = {}

    def found(changed: dict) -> str:
        key = json.dumps(changed, sort_keys=True)
        if key not in known:
            AcceleratorState._reset_state()
            context = build(
                grpo.Params(**(BOLD | changed)), inputs={"base": guesser, "tasks": tasks}
            )
            grpo.run(context)
            known[key] = digest(context.out)
        return known[key]

    return found


@pytest.mark.parametrize(
    "changed",
    [
        {"loss": "grpo"}, {"loss": "bnpo"}, {"loss": "dr_grpo"}, {"schedule": "linear"},
        {"scale": "population"}, {"scale": "sample"}, {"kl_weight": 1.0}, {"minibatches": 2},
        {"warmup": 0.9},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_asked_for_makes_a_difference(digest_of_changed, changed):
    assert digest_of_changed(changed) != digest_of_changed({})


@pytest.mark.parametrize("changed", [{"clip_low": 0.9}, {"clip_high": 1e-4}], ids=str)
def test_clipping_decides_where_answers_are_learned_from_again(digest_of_changed, changed):
    again = {"iterations": 3, "steps": 3}
    assert digest_of_changed(again) != digest_of_changed({})
    assert digest_of_changed(again | changed) != digest_of_changed(again)


@pytest.mark.parametrize("changed", [{"answers_at_once": 3}, {"gradient_checkpointing": True}])
def test_what_saves_memory_changes_nothing_else(build, guesser, tasks, changed):
    found = []
    for more in ({}, changed):
        params = PARAMS.model_copy(update={"steps": 2} | more)
        context = build(params, inputs={"base": guesser, "tasks": tasks})
        grpo.run(context)
        AcceleratorState._reset_state()
        found.append(curves(context.out))
    assert found[0]["reward"].to_list() == pytest.approx(found[1]["reward"].to_list(), abs=1e-6)
    assert found[0]["gradient_norm"].to_list() == pytest.approx(
        found[1]["gradient_norm"].to_list(), rel=0.02
    )


@pytest.mark.parametrize("masked", [False, True])
def test_answers_that_were_cut_teach_unless_told_otherwise(build, guesser, tasks, masked):
    params = grpo.Params(
        steps=1, prompts=3, group_size=8, adapter_rank=4, mask_cut=masked,
        sampling={"max_new_tokens": 1}, rewards=[{"kind": "accuracy"}],
    )  # fmt: skip
    context = build(params, inputs={"base": guesser, "tasks": tasks})
    grpo.run(context)
    found = curves(context.out)
    assert found["cut_answers"][0] == 1
    assert found["reward_accuracy"][0] > 0
    assert (found["gradient_norm"][0] == 0) is masked


def test_a_reward_says_nothing_of_prompts_that_it_does_not_apply_to(
    build, guesser, tasks, tmp_path
):
    write_rows(tmp_path / ROWS, [prompt_row("Hello")], row_schema())
    params = PARAMS.model_copy(
        update={
            "steps": 4,
            "prompts": 1,
            "rewards": grpo.Params(
                rewards=[{"kind": "accuracy"}, {**SHORT, "on": "prompts"}]
            ).rewards,
        }
    )
    given = [Input("tasks", None, tasks), Input("prompts", None, tmp_path)]
    context = build(params, inputs={"base": guesser, "tasks": given})
    grpo.run(context)
    found = curves(context.out)
    apart = list(zip(found["reward_accuracy"], found["reward_length"], strict=True))
    assert all((one is None) != (other is None) for one, other in apart)
    assert sum(one is None for one, _ in apart) == 1


def test_the_model_that_is_saved_answers(made):
    model, tokenizer = load_model(made.out, torch.device("cpu"), "bfloat16")
    asked = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hi"}], add_generation_prompt=True, return_tensors="pt",
        return_dict=True,
    )["input_ids"]  # fmt: skip
    assert model.generate(asked, max_new_tokens=2, do_sample=False).shape[1] > asked.shape[1]


TRAJECTORY = {
    "reward_length": [-0.6281, -0.8813, -0.8406, -0.9531, -0.8188],
    "gradient_norm": [0.3124, 0.2214, 0.2781, 0.2302, 0.175],
    "entropy": [5.5494, 5.5476, 5.5435, 5.5416, 5.5378],
}
"""Of a random model, in float32. A change here is a change of what training does: say why."""


def test_the_first_steps_are_those_that_were_committed(build, small_model, tmp_path):
    rows = [prompt_row(f"Tell me about {word}.") for word in ("tea", "rain", "boats")]
    write_rows(tmp_path / ROWS, rows, row_schema())
    params = grpo.Params(
        steps=5, prompts=2, group_size=8, adapter_rank=0, learning_rate=1e-2, scale="sample",
        sampling={"max_new_tokens": 40, "until": "end of line"},
        rewards=[{"kind": "length", "free": 0, "most": 40}],
        arithmetic="float32", weights_dtype="float32",
    )  # fmt: skip
    context = build(params, inputs={"base": small_model, "tasks": tmp_path})
    grpo.run(context)
    found = curves(context.out)
    assert {name: found[name].round(4).to_list() for name in TRAJECTORY} == {
        name: pytest.approx(wanted, abs=1e-3) for name, wanted in TRAJECTORY.items()
    }


def test_a_communitys_rewards_are_paid_together(build, guesser, tasks, reward_files, tmp_path):
    fields = {
        "languages": ["en"],
        "off_limits": [
            {"id": "bells", "topic": "the bells", "terms": ["seven"]},
            {"id": "kept", "steward_only": True},
        ],
    }
    params = PARAMS.model_copy(
        update={
            "steps": 1,
            "rewards": grpo.Params(
                rewards=[{"kind": kind} for kind in ("preference", "language", "off-limits")]
            ).rewards,
        }
    )
    context = build(
        params,
        inputs={"base": guesser, "tasks": tasks, "reward": reward_files},
        profiles=[ProfileView("x", "X", tmp_path, (), fields)],
    )
    grpo.run(context)
    found = curves(context.out)
    assert {"reward_preference", "reward_language", "reward_off_limits"} <= set(found.columns)
    (left_out,) = polars.read_parquet(context.out / "rejected.parquet")["reason"]
    assert left_out == "off limits: bells"


def test_match_reads_the_policys_own_option_probabilities(build, lively_model, tmp_path):
    row = {
        "row_id": "0" * 16, "prompt": "Tea?\nA. Yes\nB. No", "options": ["Yes", "No"],
        "shares": [0.9, 0.1], "n": 500,
    }  # fmt: skip
    polars.DataFrame([row]).write_parquet(tmp_path / "items.parquet")
    params = grpo.Params(
        steps=2, prompts=1, group_size=64, adapter_rank=4, samples_every=1,
        sampling={"max_new_tokens": 1}, rewards=[{"kind": "match"}],
    )  # fmt: skip
    context = build(params, inputs={"base": lively_model, "tasks": tmp_path})
    grpo.run(context)
    found = polars.read_parquet(context.out / "samples.parquet").filter(polars.col("step") == 1)
    for letter, share in (("A", 450.5 / 501), ("B", 50.5 / 501)):
        paid = found.filter(polars.col("answer") == letter)["reward_match"]
        assert all(value > math.log(share) for value in paid)  # log q is below 0
    assert found["reward_match"].min() == pytest.approx(math.log(50.5 / 501) - 1, abs=1e-5)


def test_a_reward_model_is_no_model_to_start_from(build, tasks, reward_files):
    context = build(PARAMS, inputs={"base": reward_files, "tasks": tasks})
    with pytest.raises(MethodError, match="is a reward model"):
        grpo.run(context)


def test_rows_that_cannot_be_asked_are_named(build, guesser, tmp_path):
    rows = [
        task_row("1 + 1", "2"), task_row("", "2"), task_row("say <|im_end|> twice", "2"),
        task_row("long " * 2000, "2"), task_row("6 and 4", "12", "lcm"),
        task_row("who knows", "2", "astrology"), task_row("broken", "2") | {"entry": "{"},
        task_row("plain", "2") | {"task": None, "entry": None},
    ]  # fmt: skip
    write_rows(tmp_path / ROWS, rows, task_schema())
    params = PARAMS.model_copy(
        update={"steps": 1, "rewards": grpo.Params(rewards=[{"kind": "accuracy"}]).rewards}
    )
    context = build(params, inputs={"base": guesser, "tasks": tmp_path})
    grpo.run(context)
    found = polars.read_parquet(context.out / "rejected.parquet")
    reasons = dict(zip(found["row_id"], found["reason"], strict=True))
    wanted = [
        "its prompt is empty", "holds <|im_end|>", "the model reads", "no model learns from lcm",
        "cannot be checked", "cannot be checked", "no reward applies",
    ]  # fmt: skip
    for row, words in zip(rows[1:], wanted, strict=True):
        assert words in reasons[row["row_id"]]
    assert rows[0]["row_id"] not in reasons


def test_nothing_to_ask_is_refused(build, guesser, tmp_path):
    write_rows(tmp_path / ROWS, [task_row("", "2")], task_schema())
    context = build(PARAMS, inputs={"base": guesser, "tasks": tmp_path})
    with pytest.raises(MethodError, match="none of 1 prompts can be asked") as caught:
        grpo.run(context)
    assert "rewards" in caught.value.mend


def test_a_row_that_is_held_out_is_refused(build, guesser, tmp_path):
    row = prompt_row("Hello") | {"held_out": True}
    write_rows(tmp_path / ROWS, [row], row_schema() | {"held_out": polars.Boolean})
    context = build(PARAMS, inputs={"base": guesser, "tasks": tmp_path})
    with pytest.raises(MethodError, match="is held out"):
        grpo.run(context)


def test_a_model_without_a_template_is_refused(build, guesser, tasks, tmp_path):
    import shutil

    bare = shutil.copytree(guesser, tmp_path / "bare")
    (bare / "chat_template.jinja").unlink(missing_ok=True)
    settings = json.loads((bare / "tokenizer_config.json").read_text())
    settings.pop("chat_template", None)
    (bare / "tokenizer_config.json").write_text(json.dumps(settings))
    context = build(PARAMS, inputs={"base": bare, "tasks": tasks})
    with pytest.raises(MethodError, match="no chat template") as caught:
        grpo.run(context)
    assert "chat_template: false" in caught.value.mend
    plain = PARAMS.model_copy(
        update={"steps": 1, "sampling": PARAMS.sampling.model_copy(update={"chat_template": False})}
    )
    grpo.run(build(plain, inputs={"base": bare, "tasks": tasks}))


def test_a_lack_of_memory_names_what_to_do_and_keeps_what_was_trained(
    build, guesser, tasks, monkeypatch
):
    from trl import GRPOTrainer

    whole = GRPOTrainer.training_step

    def starved(self, *args, **kwargs):
        if self.state.global_step == 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return whole(self, *args, **kwargs)

    monkeypatch.setattr(GRPOTrainer, "training_step", starved)
    context = build(PARAMS, inputs={"base": guesser, "tasks": tasks})
    with pytest.raises(MethodError, match="more memory than the machine has") as caught:
        grpo.run(context)
    assert "accumulate" in caught.value.mend
    assert (context.work / "trainer" / "checkpoint-2" / "whole").is_file()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"rewards": []}, "at least 1 item"),
        ({"rewards": [SHORT, SHORT]}, "listed twice"),
        ({"rewards": [{**SHORT, "weight": 0}]}, "every reward has a weight of 0"),
        ({"rewards": [{"kind": "length", "free": 9, "most": 9}]}, "must be larger than"),
        ({"rewards": [{"kind": "likeness"}]}, "does not match any of the expected tags"),
        ({"rewards": [{"kind": "match"}, {"kind": "shares"}]}, "pay for the same twice"),
        ({"rewards": [{"kind": "shares"}], "scale": "sample"}, "would bend the gradient"),
        ({"rewards": [{"kind": "shares"}], "group_size": 2}, "3 or more"),
        ({"rewards": [{"kind": "match"}], "sampling": {"temperature": 0.7}}, "the model itself"),
        ({"rewards": [{"kind": "format", "tags": ["a b"]}]}, "no name of a tag"),
        ({"sampling": {"temperature": 0}}, "would be the same"),
        ({"prompts": 3, "group_size": 3, "minibatches": 2}, "cannot be taken in"),
    ],
)
def test_parameters_that_cannot_be_meant_are_refused(changed, said):
    with pytest.raises(ValidationError, match=said):
        grpo.Params(**({"rewards": [SHORT]} | changed))
