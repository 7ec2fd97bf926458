"""Trainings that several processes share: the same steps as one, killed or not."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import polars
import pytest
import torch
from accelerate import DistributedType
from pydantic import ValidationError
from safetensors.torch import load_file

from assets.alignment import sft, spread
from assets.alignment.grpo_course import Course, GrpoTraining
from assets.rows import ROWS as ROWS_FILE
from assets.rows import row_schema, write_rows
from registry.errors import AgainError, MethodError
from registry.ran import Ran
from tests.conftest import ROOT, Folder, children_of

pytestmark = [
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
]
WORDS = ("red", "green", "blue", "black", "white", "brown", "grey", "pink", "gold", "plum")
MODEL = """\
name: random
description: A model that knows no language.
method: random-model
inputs: {}
params: {hidden_size: 32, layers: 2}
contract: []
licence: CC0-1.0
"""
ROWS = """\
name: rows
description: Questions about colours, and their answers.
method: rows-file
inputs: {}
params: {path: rows.jsonl, columns: {completion: completion}}
contract: []
licence: CC0-1.0
"""
TRAINED = """\
name: %s
description: A model that several processes train together.
method: %s
inputs: {base: random, %s: rows}
params: {%s}
contract: []
licence: CC0-1.0
resources: {processes: %d}
"""
DATA = {"sft": "data", "rlp": "data", "grpo": "tasks"}
PARAMS = {
    # Ten rows and eight a step: steps cross the ends of passes.
    "sft": "steps: 5, batch_size: 8, adapter_rank: 4, learning_rate: 0.01, checkpoint_every: 2",
    "rlp": "steps: 4, prefixes: 4, thoughts: 4, thought_tokens: 4, least_context: 4, "
    "adapter_rank: 0, learning_rate: 0.001, updates: 2, control_every: 2, checkpoint_every: 2",
    "grpo": "steps: 6, prompts: 2, group_size: 4, adapter_rank: 4, learning_rate: 0.01, "
    "iterations: 2, checkpoint_every: 2, samples_every: 1, "
    "sampling: {max_new_tokens: 40, chat_template: false, until: end of line}, "
    "rewards: [{kind: diversity}, {kind: length, free: 1, most: 40}]",
}
EXACT = ", arithmetic: float32, weights_dtype: float32"


@pytest.fixture(scope="module")
def _template(tmp_path_factory, _toy_template) -> Folder:
    folder = _toy_template.copied(tmp_path_factory.mktemp("spread"))
    folder, root = Folder(folder.root, folder.env | {"OMP_NUM_THREADS": "1"}), folder.root
    for name in ("models/count", "models/total", "datasets/words", "datasets/letters"):
        (root / "registry" / f"{name}.yaml").unlink()
    lines = [{"prompt": f"Word {w}?", "completion": f"It is {w}."} for w in WORDS]
    (root / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    folder.declare("models", MODEL)
    folder.declare("datasets", ROWS)
    folder.chorus("make", "--all")
    return folder


@pytest.fixture
def project(_template, tmp_path) -> Folder:
    return _template.copied(tmp_path)


def declare(project: Folder, name: str, method: str, processes: int, more: str = "") -> None:
    params = PARAMS[method] + more
    text = TRAINED % (name, method, DATA[method], params, processes)
    project.declare("models", text)


def files(project: Folder, name: str) -> Path:
    return project.root / "data" / name / "files"


def curves(project: Folder, name: str) -> dict[str, list[float]]:
    table = polars.read_parquet(files(project, name) / "curves.parquet")
    return {column: table[column].to_list() for column in table.columns}


@pytest.mark.slow
@pytest.mark.parametrize("method", ["sft", "rlp", "grpo"])
def test_two_processes_take_the_steps_that_one_takes(project, method):
    for name, processes in (("one", 1), ("two", 2)):
        declare(project, name, method, processes, EXACT)
    said = project.chorus("make", "one", "two", "--jobs", "1").err
    assert "runs on  cpu, 1 process, float32 arithmetic" in said
    assert "runs on  cpu, 2 processes, float32 arithmetic, data parallel" in said
    alone, together = curves(project, "one"), curves(project, "two")
    assert alone.keys() == together.keys()
    assert len(alone["loss"]) >= 4
    for column, values in alone.items():
        assert together[column] == pytest.approx(values, abs=1e-4, nan_ok=True), column
    assert len({round(value, 6) for value in alone["loss"]}) > 1


@pytest.mark.slow
@pytest.mark.parametrize("method", ["sft", "rlp", "grpo"])
def test_a_killed_pair_goes_on_and_ends_with_the_same_bytes(project, method):
    declare(project, "whole", method, 2)
    declare(project, "killed", method, 2)
    project.chorus("make", "whole")
    with project.start("make", "killed") as making:
        while not _checkpoints(project):
            time.sleep(0.02)
            assert making.poll() is None, "nothing was kept before it ended"
        making.kill()
        making.communicate(timeout=60)
    project.chorus("make", "killed")
    events = sorted((project.root / ".chorus/runs/killed").glob("*.events.jsonl"))
    first = json.loads(events[-1].read_text().splitlines()[0])
    assert first["done"] > 1, "it began anew"
    for path in sorted(files(project, "whole").iterdir()):
        if path.suffix != ".png":
            other = files(project, "killed") / path.name
            assert other.read_bytes() == path.read_bytes(), path.name


def _checkpoints(project: Folder) -> list[Path]:
    work = project.root / "data" / ".killed.scratch" / "work"
    return [*work.glob("trainer/checkpoint-2/whole"), *work.glob("checkpoint.pt")]


@pytest.mark.slow
def test_one_of_two_that_is_killed_ends_both_and_loses_nothing(project):
    declare(project, "killed", "sft", 2)
    project.edit("registry/models/killed.yaml", "steps: 5", "steps: 400")
    with project.start("make", "killed") as making:
        while not _checkpoints(project):
            time.sleep(0.02)
            assert making.poll() is None
        second = next(pid for pid in children_of(making.pid) if _rank(pid) == "1")
        os.kill(second, signal.SIGKILL)
        said = making.communicate(timeout=60)[1]
    assert making.returncode == 1
    assert "the method sft was killed by signal 9" in said
    assert _checkpoints(project) or list(
        (project.root / "data/.killed.scratch/work/trainer").glob("checkpoint-*/whole")
    )


def _rank(pid: int) -> str | None:
    pairs = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return dict(one.decode().partition("=")[::2] for one in pairs if one).get("RANK")


def sharded(folder: Path, base: Path, data: Path, sharding: str, rank: int, steps: int) -> Path:
    """The files of a model that two processes train, their weights shared out or not."""
    folder.mkdir(exist_ok=True)
    params = TUNING | FLOATS | {"adapter_rank": rank, "steps": steps, "sharding": sharding}
    params |= {"batch_size": 4, "schedule": "constant_with_warmup", "warmup": 0}
    command = [sys.executable, "-m", "tests.assets.alignment.sharded_sft"]
    rest = [str(folder), str(base), str(data), json.dumps(params)]
    env = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    both = [subprocess.Popen([*command, str(n), *rest], cwd=ROOT, env=env) for n in (0, 1)]
    assert [one.wait(200) for one in both] == [0, 0]
    return folder / "files-0"


@pytest.mark.slow
@pytest.mark.parametrize("rank", [4, 0], ids=["adapter", "all weights"])
def test_weights_that_are_shared_out_are_saved_whole(small_model, lines, tmp_path, rank):
    """FSDP itself, between CPUs: same losses and weights as data parallel, stopped or not."""
    plain = sharded(tmp_path / "plain", small_model, lines, "none", rank, 4)
    whole = sharded(tmp_path / "whole", small_model, lines, "fsdp", rank, 4)
    sharded(tmp_path / "stopped", small_model, lines, "fsdp", rank, 2)
    went_on = sharded(tmp_path / "stopped", small_model, lines, "fsdp", rank, 4)
    assert losses(whole) == pytest.approx(losses(plain), abs=1e-4)
    assert losses(went_on) == pytest.approx(losses(whole), abs=1e-6)
    for found in (whole, went_on):
        same, other = (load_file(one / "model.safetensors") for one in (plain, found))
        assert same.keys() == other.keys()
        assert max(float((same[n] - other[n]).abs().max()) for n in same) < 1e-4


@pytest.mark.slow
def test_fsdp_by_two_cpu_processes_is_refused_and_named(project):
    declare(project, "sharded", "sft", 2, ", sharding: fsdp")
    refused = project.chorus("make", "sharded", expect=1).err
    assert "`sharding: fsdp` was asked for, and data parallel on cpu would run instead" in refused


def test_fsdp_of_one_process_is_refused_and_named():
    with pytest.raises(MethodError) as refused:
        spread.sharding_settings("fsdp")
    assert refused.value.what == (
        "`sharding: fsdp` was asked for, and one process would run instead"
    )
    assert "`resources.gpus`" in refused.value.mend


class Accelerator:
    """What accelerate says of itself."""

    def __init__(self, kind: str, processes: int, precision: str = "bf16") -> None:
        self.distributed_type = DistributedType(kind)
        self.num_processes, self.mixed_precision = processes, precision
        self.device = torch.device("cpu")


@pytest.mark.parametrize(
    ("kind", "processes", "sharding", "precision", "problem"),
    [
        (
            "MULTI_CPU",
            2,
            "fsdp",
            "bf16",
            "`sharding: fsdp` was asked for, and data parallel on cpu",
        ),
        ("FSDP", 2, "none", "bf16", "`sharding: none` was asked for, and fsdp on cpu"),
        ("NO", 1, "none", "bf16", "2 processes were started, and 1 would work together"),
        ("MULTI_CPU", 2, "none", "no", "`arithmetic: bfloat16` was asked for, and no would run"),
    ],
)
def test_what_was_asked_for_is_what_runs(
    monkeypatch, kind, processes, sharding, precision, problem
):
    monkeypatch.setattr(spread, "processes_here", lambda: 2)
    with pytest.raises(MethodError, match=problem):
        spread.what_runs(Accelerator(kind, processes, precision), sharding, "bfloat16")


def test_what_runs_is_told_in_one_line(monkeypatch):
    monkeypatch.setattr(spread, "processes_here", lambda: 2)
    ran = spread.what_runs(Accelerator("MULTI_CPU", 2), "none", "bfloat16", 4, "transformers")
    assert str(ran) == (
        "cpu, 2 processes, bfloat16 arithmetic, data parallel, each step in 4 parts, "
        "answers written by transformers"
    )


@pytest.mark.parametrize(
    ("rows", "parts", "more"),
    [(8, 1, 2), (8, 2, 4), (8, 8, None), (6, 2, 6), (12, 3, 6), (7, 1, 7)],
)
def test_more_parts_are_equal_ones_and_at_least_twice_as_many(rows, parts, more):
    assert spread.more_parts(rows, parts) == more


def test_a_batch_that_processes_cannot_share_is_refused(monkeypatch):
    assert spread.share_of(8, 2) == 4
    monkeypatch.setattr(spread, "processes_here", lambda: 3)
    problem = "batch_size 8 cannot be taken in 1 parts by each of 3 processes"
    with pytest.raises(MethodError, match=problem):
        spread.share_of(8, 1)


def test_every_row_comes_once_a_pass_and_more_steps_only_add_to_the_order():
    found = spread.order_of(10, 25, 7)
    assert sorted(found[:10]) == sorted(found[10:20]) == list(range(10))
    assert found[:10] != found[10:20]
    assert spread.order_of(10, 40, 7)[:25] == found
    assert spread.order_of(10, 25, 8) != found


class Narrow:
    """A model that runs out of memory with more than so many rows at once."""

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def __call__(self, _module, args, given):
        if given["input_ids"].shape[0] > self.rows:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


TUNING = {"steps": 6, "batch_size": 8, "adapter_rank": 4, "learning_rate": 1e-2}
FLOATS = {"arithmetic": "float32", "weights_dtype": "float32", "checkpoint_every": 2}


def narrowed(monkeypatch, rows: int, after: int = 0) -> None:
    """Models run out of memory from now on, with more rows than `rows`, after so many passes."""
    plain, passes = sft.load_weights, itertools.count()

    def load(*given):
        model, tokenizer = plain(*given)
        narrow = Narrow(rows)

        def hook(module, args, named):
            if next(passes) >= after:
                narrow(module, args, named)

        model.model.register_forward_pre_hook(hook, with_kwargs=True)
        return model, tokenizer

    monkeypatch.setattr(sft, "load_weights", load)


@pytest.mark.parametrize("after", [0, 3], ids=["at once", "after a checkpoint"])
def test_where_memory_runs_out_steps_are_taken_in_more_parts(
    build, small_model, lines, monkeypatch, after
):
    inputs = {"base": small_model, "data": lines}
    plain = build(sft.Params(**TUNING, **FLOATS), inputs=inputs)
    sft.run(plain)
    fitted = build(sft.Params(**TUNING, **FLOATS, fit_memory=True), inputs=inputs)
    said = fitted.work / "said"
    fitted = replace(fitted, said=said)
    narrowed(monkeypatch, 2, after)
    for parts in (2, 4):
        with pytest.raises(AgainError, match=f"goes on with each step in {parts} parts"):
            sft.run(fitted)
    sft.run(fitted)
    assert Ran.model_validate_json(said.read_text()).parts == 4
    assert losses(fitted.out) == pytest.approx(losses(plain.out), abs=1e-5)


def test_where_it_cannot_be_fitted_the_mend_is_named(build, small_model, lines, monkeypatch):
    inputs = {"base": small_model, "data": lines}
    narrowed(monkeypatch, 0)
    unfitted = build(sft.Params(**TUNING), inputs=inputs)
    with pytest.raises(MethodError, match="more memory than the machine has") as failed:
        sft.run(unfitted)
    assert "`fit_memory: true`" in failed.value.mend
    fitted = build(sft.Params(**TUNING, fit_memory=True), inputs=inputs)
    for _ in range(3):
        with pytest.raises(AgainError):
            sft.run(fitted)
    with pytest.raises(MethodError, match="more memory than the machine has"):
        sft.run(fitted)


def losses(out: Path) -> list[float]:
    return polars.read_parquet(out / "curves.parquet")["loss"].to_list()


@pytest.fixture
def lines(tmp_path) -> Path:
    rows = [
        dict.fromkeys(row_schema())
        | {"row_id": w, "parents": [], "prompt": f"Word {w}?", "completion": f"It is {w}."}
        for w in WORDS
    ]
    write_rows(tmp_path / ROWS_FILE, rows, row_schema())
    return tmp_path


def test_a_step_in_more_parts_of_another_loss_is_refused():
    with pytest.raises(ValidationError, match="leave out `fit_memory`"):
        GrpoTraining(fit_memory=True, loss="bnpo")


def test_grpo_fits_answers_and_steps(build, tmp_path):
    params = GrpoTraining(fit_memory=True, prompts=4, group_size=4, accumulate=2)
    course = Course((), (), params, 0, "cpu", tmp_path)
    assert (course.parts, course.at_once, course.more_parts) == (2, 64, 4)
    course.trainer.mkdir()
    spread.parts_file(course.trainer).write_text("8")
    assert (course.parts, course.at_once, course.more_parts) == (8, 16, 16)
