"""Doors as processes: the same from each, two at once, killed halfway, and twenty in a row."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.browser.browsing import Served, serve, until
from tests.conftest import Folder, _environment

pytest.importorskip("dagster")

YOUNG, OLD = "age-22-34", "age-65-plus"
NODES = (
    "words", f"letters@{YOUNG}", f"letters@{OLD}", f"count@{YOUNG}", f"count@{OLD}", "total"
)  # fmt: skip

_UI = """
import json, sys
from pathlib import Path
import dagster as dg
from assets.definitions import defs
from assets.ui.reporting import report
from registry.graph import load_graph
check = "nothing_that_it_was_made_from_has_changed"
with dg.DagsterInstance.get() as instance:
    report(load_graph(Path.cwd()), instance)
    job = defs.resolve_implicit_global_asset_job_def()
    for node in sys.argv[1:]:
        name, _, community = node.partition("@")
        done = job.execute_in_process(
            instance=instance, partition_key=community or None, asset_selection=[dg.AssetKey(name)]
        )
        assert done.success
    report(load_graph(Path.cwd()), instance)
    heard = {}
    for key in defs.get_repository_def().asset_graph.asset_check_keys:
        if key.name == check:
            history = instance.event_log_storage.get_asset_check_execution_history(key, 1000)
            for said in reversed([record.evaluation for record in history]):
                node = key.asset_key.path[0] + (f"@{said.partition}" if said.partition else "")
                heard[node] = "" if said.passed else said.metadata["why"].value
    print(json.dumps({node: why for node, why in heard.items() if why}))
"""


def dagster_env(folder: Folder) -> dict[str, str]:
    """Dagster's own settings of a project, as `make ui` gives them."""
    home = folder.root / ".chorus" / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    (home / "dagster.yaml").touch()
    return {"DAGSTER_HOME": str(home), "CHORUS_PROJECT": str(folder.root)}


def in_ui(folder: Folder, *nodes: str) -> dict[str, str]:
    """Materialises nodes as a run of the UI does; what it then calls changed, and why."""
    done = folder.run(sys.executable, "-c", _UI, *nodes, **dagster_env(folder))
    return dict(json.loads(done.out.splitlines()[-1]))


def in_chorus(folder: Folder) -> dict[str, str]:
    """What `chorus status` calls stale, and why."""
    nodes = folder.chorus("status", "--json").json["nodes"]
    return {n["node"]: "; ".join(n["reasons"]) for n in nodes if n["state"] == "stale"}


def in_dvc(folder: Folder) -> dict[str, str]:
    """What `dvc status` calls changed; DVC names what must run first, not all that follows."""
    folder.chorus("sync")
    found = {}
    for stage, why in json.loads(folder.dvc("status", "--json").out).items():
        place, _, name = stage.rpartition(":")
        community = Path(place).parent.name if "pipelines" in place else ""
        found[f"{name}@{community}" if community else name] = json.dumps(why)
    return found


def repro(folder: Folder) -> None:
    folder.chorus("sync")
    folder.dvc("repro", "-P")


MAKERS: Mapping[str, Callable[[Folder], object]] = {
    "the UI": lambda folder: in_ui(folder, *NODES),
    "dvc repro": repro,
    "chorus make": lambda folder: folder.chorus("make", "--all"),
}


@pytest.fixture
def own(toy: Folder, tmp_path: Path) -> Folder:
    """A project whose methods' code is its own to edit."""
    site = tmp_path / "site"
    shutil.copytree(toy.env["PYTHONPATH"], site)
    return Folder(toy.root, {**toy.env, "PYTHONPATH": str(site)})


def change_profile(folder: Folder) -> tuple[dict[str, str], set[str]]:
    """Changes a table; who is stale and why, and what DVC must run first."""
    folder.edit(f"value_profiles/{YOUNG}/opinions.csv", ",640,", ",641,")
    why = f"value_profiles/{YOUNG}/opinions.csv changed"
    return {f"count@{YOUNG}": why, "total": why}, {f"count@{YOUNG}", "total"}


def change_declaration(folder: Folder) -> tuple[dict[str, str], set[str]]:
    """Changes a parameter; who is stale and why, and what DVC must run first."""
    folder.edit("registry/datasets/letters.yaml", "letter: b", "letter: c")
    first = {f"letters@{community}" for community in (YOUNG, OLD)}
    return {
        **dict.fromkeys(first, "params.letter changed from 'b' to 'c'"),
        **{f"count@{c}": f"input letters@{c} is stale" for c in (YOUNG, OLD)},
        "total": f"input letters@{YOUNG} is stale; input letters@{OLD} is stale",
    }, first


def change_code(folder: Folder) -> tuple[dict[str, str], set[str]]:
    """Changes what a method does; who is stale and why, and what DVC must run first."""
    module = Path(folder.env["PYTHONPATH"]) / "toy_methods" / "count.py"
    module.write_text(module.read_text().replace("sort_keys=True", "sort_keys=False"))
    stale = {f"count@{YOUNG}", f"count@{OLD}", "total"}
    return dict.fromkeys(stale, "the code of toy-count changed"), stale


CHANGES = (change_profile, change_declaration, change_code)


@pytest.mark.parametrize(
    "turn", [0, pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow)]
)
def test_each_door_sees_what_another_made_as_fresh_and_what_moved_with_its_reason(
    own: Folder, turn: int
) -> None:
    makers = list(itertools.islice(itertools.cycle(MAKERS.values()), turn, turn + 3))
    makers[-1](own)
    for make, change in zip(makers, CHANGES, strict=True):
        assert (in_chorus(own), in_dvc(own), in_ui(own)) == ({}, {}, {})
        stale, first = change(own)
        assert in_chorus(own) == stale
        assert in_ui(own) == stale
        assert set(in_dvc(own)) == first
        make(own)
    assert (in_chorus(own), in_dvc(own), in_ui(own)) == ({}, {}, {})


def test_all_three_doors_give_the_same_bytes_records_and_status(
    toy: Folder, tmp_path: Path
) -> None:
    folders = [Folder(tmp_path / name.replace(" ", "-"), toy.env) for name in MAKERS]
    for folder, make in zip(folders, MAKERS.values(), strict=True):
        shutil.copytree(toy.root, folder.root, symlinks=True)
        make(folder)
    first, second, third = (folder.snapshot() for folder in folders)
    assert first == second == third
    for folder in folders:
        assert set(folder.states().values()) == {"current"}


def materialise(folder: Folder, name: str) -> subprocess.Popen[bytes]:
    """Starts a process that materialises one asset, without waiting for it."""
    program = [sys.executable, "-m", "dagster", "asset", "materialize", "-m", "assets.definitions"]
    return subprocess.Popen(
        [*program, "--select", name],
        cwd=folder.root,
        env={**folder.env, **dagster_env(folder)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def begun(folder: Folder, node: str, runs: int) -> None:
    """Waits until the method of the latest of so many runs is at work."""
    place = folder.root / ".chorus" / "runs" / node
    until(lambda: len(list(place.glob("*.log"))), lambda n: n >= runs, "the method did not start")


def test_two_people_materialise_the_same_asset_at_once(toy: Folder) -> None:
    in_ui(toy)  # as `make ui` does: Dagster's own database is there before anyone clicks
    toy.edit("registry/datasets/words.yaml", "rows: 5", "rows: 5, seconds: 4")
    with materialise(toy, "words") as one, materialise(toy, "words") as other:
        assert (one.wait(120), other.wait(120)) == (0, 0)
    assert [r["outcome"] for r in toy.chorus("runs", "words", "--json").json["runs"]] == ["made"]
    assert toy.states()["words"] == "current"
    assert in_ui(toy) == {}


def test_a_killed_run_loses_nothing_and_the_next_one_succeeds(toy: Folder) -> None:
    toy.chorus("make", "words")
    before = toy.snapshot()
    toy.edit("registry/datasets/words.yaml", "rows: 5", "rows: 6, seconds: 60")
    with materialise(toy, "words") as run:
        begun(toy, "words", runs=2)
        run.kill()
    assert {k: v for k, v in toy.snapshot().items() if ".scratch" not in k} == before
    assert toy.states()["words"] == "stale"
    toy.edit("registry/datasets/words.yaml", "seconds: 60", "seconds: 0")
    with materialise(toy, "words") as again:
        assert again.wait(120) == 0
    outcomes = [r["outcome"] for r in toy.chorus("runs", "words", "--json").json["runs"]]
    assert outcomes == ["made", "died", "made"]
    assert toy.states()["words"] == "current"
    assert toy.chorus("lineage", "verify", "words").out.startswith("verified")


_LAUNCH = """mutation($given: ExecutionParams!) { launchPipelineExecution(executionParams: $given) {
  __typename ... on LaunchRunSuccess { run { runId } } } }"""
_STATUS = "query($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
_BACKFILL = """mutation($given: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $given) {
    __typename ... on LaunchBackfillSuccess { backfillId } } }"""
_BACKFILLED = """query($id: String!) { partitionBackfillOrError(backfillId: $id) {
  ... on PartitionBackfill { status runs { runId status tags { key value } } } } }"""
_ERRORS = """query($id: ID!) { runOrError(runId: $id) { ... on Run { eventConnection { events {
  ... on ExecutionStepFailureEvent { error { message } } } } } } }"""
_OUTCOMES = """{ assetNodes { assetKey { path } assetChecksOrError { ... on AssetChecks { checks {
  name partitionStatuses { ... on AssetCheckDefaultPartitionStatuses {
  succeededPartitions failedPartitions } } } } } } }"""


def launch(served: Served, name: str) -> str:
    """Launches a run of one asset, as the button does."""
    selector = {
        "repositoryName": "__repository__",
        "repositoryLocationName": "assets.definitions",
        "pipelineName": "__ASSET_JOB",
        "assetSelection": [{"path": [name]}],
    }
    given = {"selector": selector, "mode": "default", "runConfigData": {}}
    launched = served.ask(_LAUNCH, given=given)["launchPipelineExecution"]
    return str(launched["run"]["runId"])


def status(served: Served, run: str) -> str:
    return str(served.ask(_STATUS, id=run)["runOrError"]["status"])


@pytest.mark.slow
def test_a_killed_ui_holds_up_nothing_when_it_is_opened_again(toy: Folder, tmp_path: Path) -> None:
    toy.edit("registry/datasets/words.yaml", "rows: 5", "rows: 5, seconds: 60")
    with serve(toy.root, toy.env, tmp_path / "first.log") as served:
        lost = launch(served, "words")
        begun(toy, "words", runs=1)
        os.killpg(served.process.pid, signal.SIGKILL)
    toy.edit("registry/datasets/words.yaml", "seconds: 60", "seconds: 0")
    with serve(toy.root, toy.env, tmp_path / "second.log") as served:
        assert status(served, lost) == "FAILURE"
        run = launch(served, "words")
        until(lambda: status(served, run), lambda s: s == "SUCCESS", "the second run did not end")
    assert toy.states()["words"] == "current"


@pytest.fixture
def twenty(tmp_path: Path) -> Folder:
    """A project with twenty groups, of which one has too few people; the questionnaire is made."""
    folder = Folder(tmp_path / "project", _environment())
    start = Folder(tmp_path, folder.env)
    start.chorus("init", "project", "--size", "tiny", "--communities", YOUNG)
    profiles = folder.root / "value_profiles"
    for number in range(20):
        name = f"group-{number:02}"
        shutil.copytree(profiles / YOUNG, profiles / name)
        folder.edit(f"value_profiles/{name}/profile.yaml", f"id: {YOUNG}", f"id: {name}")
    shutil.rmtree(profiles / YOUNG)
    folder.chorus("sync")
    folder.chorus("make", "questionnaire")
    return folder


@pytest.mark.slow
def test_a_backfill_of_twenty_groups_makes_nineteen_and_names_the_one_that_breaks_its_contract(
    twenty: Folder, tmp_path: Path
) -> None:
    groups = [f"group-{number:02}" for number in range(20)]
    few = twenty.root / "value_profiles/group-07/opinions.csv"
    few.write_text(re.sub(r"(?m)^(Q17_3,.*),\d+,[\d.]+,", r"\1,40,36.0,", few.read_text()))
    with serve(twenty.root, twenty.env, tmp_path / "ui.log") as served:
        given = {
            "assetSelection": [{"path": ["opinion-items"]}],
            "partitionNames": groups,
            "fromFailure": False,
        }
        launched = served.ask(_BACKFILL, given=given)["launchPartitionBackfill"]
        done = until(
            lambda: served.ask(_BACKFILLED, id=launched["backfillId"])["partitionBackfillOrError"],
            lambda found: found["status"].startswith("COMPLETED"),
            "the backfill did not end",
            600,
        )
        assert done["status"] == "COMPLETED_FAILED"
        failed = [run for run in done["runs"] if run["status"] != "SUCCESS"]
        assert len(done["runs"]) - len(failed) == 19
        (one,) = failed
        assert {"key": "dagster/partition", "value": "group-07"} in one["tags"]
        events = served.ask(_ERRORS, id=one["runId"])["runOrError"]["eventConnection"]["events"]
        message = next(event["error"]["message"] for event in events if event.get("error"))
        assert "opinion-items@group-07: the contract is broken" in message
        assert "fewer than fifty people" in message
        broken = {
            (check["name"], *check["partitionStatuses"]["failedPartitions"])
            for asset in served.ask(_OUTCOMES)["assetNodes"]
            for check in asset["assetChecksOrError"].get("checks", ())
            if check["partitionStatuses"] and check["partitionStatuses"]["failedPartitions"]
        }
        name = "Shares_of_fewer_than_fifty_people_could_say_too_much_about_one_of_them"
        assert broken == {(name, "group-07")}
    states = twenty.states()
    assert states["opinion-items@group-07"] == "missing"
    assert {states[f"opinion-items@{group}"] for group in groups if group != "group-07"} == {
        "current"
    }
