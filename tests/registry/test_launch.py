"""A method that several processes share: how they start, and every way they can end."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from registry.child import environment
from registry.runs import Run
from tests.conftest import Folder, children_of

CREW = """\
name: crew
description: What several processes make together.
method: toy-crew
inputs: {}
params: {%s}
contract: []
licence: CC0-1.0
resources: {processes: %d}
"""


def declared(toy: Folder, params: str = "", processes: int = 3) -> Folder:
    toy.declare("models", CREW % (params, processes))
    return toy


def runs(toy: Folder) -> list[dict]:
    return toy.chorus("runs", "crew", "--json").json["runs"]


def test_each_process_has_its_seat_and_the_first_one_writes(toy: Folder) -> None:
    made = declared(toy).chorus("make", "crew")
    seat = json.loads((toy.root / "data/crew/files/seat.json").read_text())
    assert seat == {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "3"}
    assert json.loads((toy.root / "data/crew/manifest.json").read_text())["processes"] == 3
    assert sorted(p.name for p in (toy.root / "data/crew").iterdir()) == ["files", "manifest.json"]
    logs = sorted((toy.root / ".chorus/runs/crew").glob("*.log"))
    assert sorted(log.name.count(".") for log in logs) == [2, 3, 3]
    assert {log.read_text() for log in logs} == {"runs on cpu, 3 processes, data parallel\n"}
    assert made.err.count("runs on  cpu, 3 processes, data parallel (crew)") == 1
    assert runs(toy)[0]["ran"]["processes"] == 3
    assert "cpu, 3 processes, data parallel" in toy.chorus("runs", "crew").out


def test_processes_belong_to_what_a_node_is_made_from(toy: Folder) -> None:
    declared(toy, processes=2).chorus("make", "crew")
    toy.edit("registry/models/crew.yaml", "processes: 2", "processes: 3")
    assert toy.reasons("crew") == ["resources.processes changed from 2 to 3"]
    toy.chorus("sync")
    assert "resources.processes" in (toy.root / "dvc.yaml").read_text()


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_first_failure_is_told_and_nobody_is_left(toy: Folder, number: int) -> None:
    failed = declared(toy, f"fails: {number}, seconds: 60").chorus("make", "crew", expect=1)
    assert f"process {number}: has had enough" in failed.err
    assert "connection closed" not in failed.err


def test_of_several_the_killed_one_is_told(toy: Folder) -> None:
    failed = declared(toy, "dies: 1, seconds: 60").chorus("make", "crew", expect=1)
    assert "the method toy-crew was killed by signal 9" in failed.err
    assert f"{runs(toy)[0]['id']}.1.log" in failed.err
    assert "connection closed" not in failed.err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_whoever_stops_the_watcher_stops_all(toy: Folder, number: int, code: int) -> None:
    declared(toy, "seconds: 60")
    with toy.start("make", "crew") as making:
        while len(children := children_of(making.pid)) < 3 or not list(
            (toy.root / ".chorus/runs/crew").glob("*.ran")
        ):
            time.sleep(0.05)
            assert making.poll() is None
        making.send_signal(number)
        making.communicate(timeout=30)
    assert making.returncode == code
    end = time.monotonic() + 10
    while any(Path(f"/proc/{child}").exists() for child in children):
        assert time.monotonic() < end, "a process trains on"
        time.sleep(0.05)
    toy.edit("registry/models/crew.yaml", "seconds: 60", "seconds: 0")
    toy.chorus("make", "crew")
    outcomes = ["died" if number == signal.SIGKILL else "interrupted", "made"]
    assert [run["outcome"] for run in runs(toy)] == outcomes


@pytest.mark.parametrize("processes", [1, 2])
def test_a_method_that_asks_for_it_is_started_again(toy: Folder, processes: int) -> None:
    declared(toy, "again: 2", processes).chorus("make", "crew")
    assert [p.name for p in (toy.root / "data/crew/files").iterdir()] == ["seat.json"]
    log = (toy.root / ".chorus/runs/crew" / f"{runs(toy)[0]['id']}.log").read_text()
    assert log.count("runs on") == 3
    assert "try 2\n" in log
    assert "try 3\n" in log


def test_a_method_that_asks_without_end_is_stopped(toy: Folder) -> None:
    failed = declared(toy, "again: 99", 1).chorus("make", "crew", expect=1)
    assert "try 17" in failed.err


def test_a_method_that_cannot_be_shared_is_refused_with_its_line(toy: Folder) -> None:
    declared(toy)
    toy.edit("registry/models/crew.yaml", "toy-crew", "toy-count")
    toy.edit("registry/models/crew.yaml", "inputs: {}", "inputs: {words: words}")
    refused = toy.chorus("status", expect=2)
    assert "registry/models/crew.yaml:8:13: the method 'toy-count' runs in one process" in (
        refused.err
    )
    assert "leave out `processes`" in refused.err


def test_each_process_needs_a_gpu_of_its_own(toy: Folder) -> None:
    declared(toy)
    toy.edit("registry/models/crew.yaml", "processes: 3", "processes: 3, gpus: 2")
    assert "write `gpus: 3`" in toy.chorus("status", expect=2).err


def request(**values: object) -> dict[str, object]:
    return {"threads": 1, "network": False, "device": "cuda", "processes": 1} | values


def test_what_another_launcher_left_does_not_reach_a_method() -> None:
    left = {"RANK": "3", "WORLD_SIZE": "8", "ACCELERATE_USE_FSDP": "true", "RANKING": "kept"}
    found = environment(request(), left)
    assert not {"RANK", "WORLD_SIZE", "ACCELERATE_USE_FSDP"} & set(found)
    assert found["RANKING"] == "kept"


@pytest.mark.parametrize(
    ("shown", "processes", "seen"), [("2,3", 1, "2"), (None, 1, "0"), ("2,3", 2, "2,3")]
)
def test_one_process_sees_one_gpu(shown: str | None, processes: int, seen: str) -> None:
    base = {} if shown is None else {"CUDA_VISIBLE_DEVICES": shown}
    found = environment(request(processes=processes, process=1), base)
    assert found["CUDA_VISIBLE_DEVICES"] == seen


def test_runs_of_before_are_read(toy: Folder) -> None:
    declared(toy).chorus("make", "words")
    path = next((toy.root / ".chorus/runs/words").glob("*.json"))
    old = json.loads(path.read_text())
    del old["ran"]
    path.write_text(json.dumps(old))
    assert Run.model_validate_json(path.read_text()).ran is None
    assert "made" in toy.chorus("runs", "words").out
