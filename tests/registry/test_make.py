"""One node's life: every door, every way it can end, and what is left afterwards."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import CHORUS, Folder


def test_everything_is_made_recorded_and_current(toy: Folder) -> None:
    assert set(toy.states().values()) == {"missing"}
    toy.chorus("make", "--all")
    assert set(toy.states().values()) == {"current"}
    counts = json.loads((toy.root / "data/count/age-22-34/files/counts.json").read_text())
    assert counts["words"] == {"words": 15, "letters@age-22-34": 6}
    assert list(counts["people"]) == ["age-22-34"]
    again = toy.chorus("make", "--all")
    assert "everything is up to date (6 nodes)" in again.err


def test_a_gathering_node_takes_every_community_sorted(toy: Folder) -> None:
    toy.chorus("make", "total", "--upstream")
    counts = json.loads((toy.root / "data/total/files/counts.json").read_text())
    assert list(counts["words"]) == ["letters@age-22-34", "letters@age-65-plus"]


def test_dvc_repro_and_chorus_make_give_the_same_bytes_locks_and_status(
    toy: Folder, tmp_path: Path
) -> None:
    other = Folder(tmp_path / "other", toy.env)
    shutil.copytree(toy.root, other.root, symlinks=True)
    toy.chorus("make", "--all")
    other.dvc("repro", "-P")
    assert toy.snapshot() == other.snapshot()
    assert toy.states() == other.states()
    assert "Data and pipelines are up to date" in toy.dvc("status").out
    assert "up to date" in other.chorus("make", "--all").err


def test_each_door_sees_the_others_work_as_fresh_and_stale(toy: Folder) -> None:
    toy.dvc("repro", "-P")
    assert set(toy.states().values()) == {"current"}
    toy.edit("registry/datasets/letters.yaml", "letter: b", "letter: c")
    assert toy.states()["letters@age-22-34"] == "stale"
    assert toy.reasons("letters@age-22-34") == ["params.letter changed from 'b' to 'c'"]
    assert toy.reasons("count@age-22-34") == ["input letters@age-22-34 is stale"]
    assert toy.states()["words"] == "current"
    toy.chorus("make", "--all")
    repro = toy.dvc("repro", "-P")
    assert "Running stage" not in repro.out
    assert set(toy.states().values()) == {"current"}


def test_what_gives_the_same_content_makes_nothing_downstream_stale(toy: Folder) -> None:
    toy.chorus("make", "--all")
    toy.chorus("make", "words", "--force")
    assert set(toy.states().values()) == {"current"}


def test_a_comment_or_a_description_retrains_nobody(toy: Folder) -> None:
    toy.chorus("make", "--all")
    toy.edit("registry/datasets/words.yaml", "Some words,", "Some short words,")
    profile = "value_profiles/age-22-34/profile.yaml"
    toy.edit(profile, "revision: 1", "# a note\nrevision: 2")
    toy.edit(profile, "expires_on: never", 'expires_on: "2999-01-01"')
    assert set(toy.states().values()) == {"current"}
    toy.chorus("sync", "--check")


def test_a_profile_table_makes_exactly_its_descendants_stale(toy: Folder) -> None:
    toy.chorus("make", "--all")
    table = toy.root / "value_profiles/age-22-34/opinions.csv"
    table.write_text(table.read_text().replace(",640,", ",641,"))
    states = toy.states()
    assert {node for node, state in states.items() if state == "stale"} == {
        "count@age-22-34",
        "total",
    }
    assert toy.reasons("total") == ["value_profiles/age-22-34/opinions.csv changed"]


def test_a_changed_method_makes_its_nodes_stale(toy: Folder, tmp_path: Path) -> None:
    site = Path(toy.env["PYTHONPATH"])
    own = tmp_path / "own-site"
    shutil.copytree(site, own)
    edited = Folder(toy.root, {**toy.env, "PYTHONPATH": str(own)})
    edited.chorus("make", "--all")
    module = own / "toy_methods" / "count.py"
    module.write_text(module.read_text().replace("    words = {", "    # why\n    words = {"))
    assert set(edited.states().values()) == {"current"}
    module.write_text(module.read_text().replace("sort_keys=True", "sort_keys=False"))
    assert edited.reasons("total") == ["the code of toy-count changed"]
    assert "registry/code.yaml" in edited.chorus("sync", "--check", expect=1).err


def test_a_stage_run_by_dvc_refuses_when_code_yaml_is_out_of_date(toy: Folder) -> None:
    toy.edit("registry/code.yaml", "toy-words: ", "toy-words: 0")
    done = toy.dvc("repro", "-P", expect=None)
    assert done.code != 0
    assert "run `chorus sync`" in done.err
    assert not (toy.root / "data/words").exists()


def test_a_failing_contract_stops_and_leaves_the_old_bytes(toy: Folder) -> None:
    toy.chorus("make", "--all")
    before = toy.snapshot()
    toy.edit("registry/datasets/words.yaml", "rows: 5", "rows: 2")
    expectation = (
        "contract:\n  - expect: expect_table_row_count_to_be_between\n    table: words.parquet\n"
        "    min_value: 4\n    reason: Too few words teach nothing.\n"
    )
    toy.edit("registry/datasets/words.yaml", "contract:\n", expectation)
    failed = toy.chorus("make", "words", expect=1)
    assert "found 2 (rows)" in failed.err
    assert "Too few words teach nothing." in failed.err
    kept = toy.root / "data/.words.scratch/files/words.parquet"
    assert kept.exists()
    repro = toy.dvc("repro", "-P", expect=None)
    assert repro.code != 0
    after = {k: v for k, v in toy.snapshot().items() if ".scratch" not in k}
    assert after == before


def test_a_changed_contract_is_checked_again_without_remaking(toy: Folder) -> None:
    toy.chorus("make", "--all")
    toy.edit("registry/datasets/words.yaml", "numbered once.", "numbered exactly once.")
    assert toy.states()["words"] == "stale"
    assert toy.states()["count@age-22-34"] == "current"
    assert "rechecked words" in toy.chorus("make", "words").err
    assert set(toy.states().values()) == {"current"}
    assert "Data and pipelines are up to date" in toy.dvc("status").out


def test_a_warning_is_shown_and_stops_nothing(toy: Folder) -> None:
    toy.edit("registry/datasets/words.yaml", "    reason:", "    severity: warning\n    reason:")
    toy.edit("registry/datasets/words.yaml", "column: id", "column: absent")
    made = toy.chorus("make", "words")
    assert "the table has no column absent" in made.err
    assert toy.states()["words"] == "current"


def test_an_expired_permission_refuses_even_with_a_full_cache(toy: Folder) -> None:
    toy.chorus("make", "--all")
    profile = "value_profiles/age-22-34/profile.yaml"
    toy.edit(profile, "expires_on: never", 'expires_on: "2026-01-01"')
    refused = toy.chorus("make", "count@age-22-34", expect=4)
    assert "expired on 2026-01-01" in refused.err
    assert "renew the consent" in refused.err
    shutil.rmtree(toy.root / "data/count/age-22-34")
    assert toy.dvc("repro", "-P", expect=None).code != 0
    assert not (toy.root / "data/count/age-22-34/files").exists()
    toy.chorus("make", "count@age-65-plus")
    assert toy.chorus("make", "--all", expect=4).code == 4


def test_suspending_a_profile_takes_it_out_of_gathering(toy: Folder) -> None:
    toy.chorus("make", "--all")
    event = toy.root / "value_profiles/age-22-34/events/0002-suspended.yaml"
    event.write_text(
        'event: suspended\nrevision: 1\n"on": "2026-11-23"\nby: [test]\n'
        "reason: A test takes it out of gathering.\n"
    )
    assert toy.states()["total"] == "stale"
    assert "input letters@age-22-34 is gone" in toy.reasons("total")
    toy.chorus("make", "--all")
    assert set(toy.states()) == {"words", "letters@age-65-plus", "count@age-65-plus", "total"}
    assert not (toy.root / "registry/pipelines/age-22-34").exists()


def test_inputs_must_be_there_and_be_what_their_manifest_says(toy: Folder) -> None:
    missing = toy.chorus("make", "count@age-22-34", expect=2)
    assert "the input words is missing" in missing.err
    assert "--upstream" in missing.err
    toy.chorus("make", "count@age-22-34", "--upstream")
    note = toy.root / "data/words/files/note.txt"
    note.write_text("altered by hand\n")
    broken = toy.chorus("make", "count@age-22-34", expect=3)
    assert "note.txt was altered" in broken.err
    assert "note.txt was altered" in toy.reasons("words")


def test_a_failing_method_says_where_its_log_is_and_leaves_the_old_bytes(toy: Folder) -> None:
    toy.chorus("make", "words")
    before = toy.snapshot()
    toy.edit("registry/datasets/words.yaml", "rows: 5", "rows: 5, fail: true")
    failed = toy.chorus("make", "words", expect=1)
    assert "asked to fail" in failed.err
    log = next(line.split("log ")[1] for line in failed.err.splitlines() if "see the log" in line)
    assert "RuntimeError" in Path(log).read_text()
    after = {k: v for k, v in toy.snapshot().items() if ".scratch" not in k}
    assert after == before
    runs = toy.chorus("runs", "words", "--json").json["runs"]
    assert [run["outcome"] for run in runs] == ["made", "failed"]


def test_what_depends_on_a_failure_is_skipped_and_the_rest_goes_on(toy: Folder) -> None:
    toy.edit("registry/datasets/words.yaml", "rows: 5", "rows: 5, fail: true")
    done = toy.chorus("make", "--all", expect=1)
    assert "skipped  count@age-22-34 (it needs words)" in done.err
    assert toy.states()["total"] == "current"


def test_an_input_that_moves_while_a_node_is_made_leaves_the_target_untouched(toy: Folder) -> None:
    (toy.root / "source.txt").write_text("first")
    toy.edit("registry/datasets/words.yaml", "rows: 5", "rows: 5, source: source.txt, seconds: 3")
    with toy.start("make", "words") as making:
        _wait_for(toy, "words")
        (toy.root / "source.txt").write_text("second")
        _, err = making.communicate(timeout=60)
    assert making.returncode == 1
    assert "its sources changed" in err
    assert not (toy.root / "data/words").exists()
    toy.chorus("make", "words")
    assert "second" in (toy.root / "data/words/files/note.txt").read_text()


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("expires_on: never", 'expires_on: "2026-01-01"', "expired on 2026-01-01"),
        ("uses: [train-sft, ", "uses: [", "does not grant 'train-sft'"),
    ],
)
def test_a_permission_that_ends_while_a_node_is_made_leaves_the_target_untouched(
    toy: Folder, before: str, after: str, said: str
) -> None:
    toy.chorus("make", "words", "letters")
    toy.edit("registry/models/count.yaml", "{scale: 1}", "{scale: 1, seconds: 3}")
    with toy.start("make", "count@age-22-34") as making:
        _wait_for(toy, "count@age-22-34")
        toy.edit("value_profiles/age-22-34/profile.yaml", before, after)
        _, err = making.communicate(timeout=60)
    assert making.returncode == 4
    assert said in err
    assert not (toy.root / "data/count/age-22-34").exists()
    assert toy.states()["count@age-22-34"] == "missing"


def test_a_missing_source_is_named_with_its_place(toy: Folder) -> None:
    toy.edit("registry/datasets/words.yaml", "rows: 5", "rows: 5, source: absent.txt")
    failed = toy.chorus("make", "words", expect=2)
    assert "the source 'absent.txt' is missing" in failed.err
    assert "registry/datasets/words.yaml:5" in failed.err


def test_a_source_outside_the_project_is_refused(toy: Folder) -> None:
    (toy.root.parent / "outside.txt").write_text("x")
    toy.edit("registry/datasets/words.yaml", "rows: 5", "rows: 5, source: ../outside.txt")
    assert "lies outside the project" in toy.chorus("make", "words", expect=2).err


def test_an_unrecorded_artifact_is_recorded_without_running_the_method(toy: Folder) -> None:
    toy.chorus("make", "--all")
    (toy.root / "dvc.lock").unlink()
    assert toy.states()["words"] == "unrecorded"
    assert "recorded words" in toy.chorus("make", "words").err
    assert len(toy.chorus("runs", "words", "--json").json["runs"]) == 1
    assert toy.states()["words"] == "current"


def test_two_makes_of_the_same_node_wait_for_each_other(toy: Folder) -> None:
    toy.edit("registry/datasets/words.yaml", "rows: 5", "rows: 5, seconds: 3")
    with toy.start("make", "words") as first:
        _wait_for(toy, "words")
        with toy.start("make", "words") as second:
            first.communicate(timeout=60)
            _, err = second.communicate(timeout=60)
    assert first.returncode == 0
    assert second.returncode == 0
    assert "waiting  words is being made by process" in err
    assert "up to date" in err
    assert len(toy.chorus("runs", "words", "--json").json["runs"]) == 1


def test_two_makes_of_different_communities_at_once(toy: Folder) -> None:
    toy.chorus("make", "words")
    with (
        toy.start("make", "count@age-22-34", "--upstream") as one,
        toy.start("make", "count@age-65-plus", "--upstream") as other,
    ):
        one.communicate(timeout=120)
        other.communicate(timeout=120)
    assert one.returncode == other.returncode == 0
    states = toy.states()
    assert states["count@age-22-34"] == states["count@age-65-plus"] == "current"


def test_a_make_beside_a_running_repro_waits_and_both_end_well(toy: Folder) -> None:
    toy.edit("registry/datasets/words.yaml", "rows: 5", "rows: 5, seconds: 3")
    toy.chorus("sync")
    repro = subprocess.Popen(
        [sys.executable, "-m", "dvc", "repro", "-P"],
        cwd=toy.root,
        env=dict(toy.env),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    _wait_for(toy, "words")
    toy.chorus("make", "--all")
    out, err = repro.communicate(timeout=120)
    assert repro.returncode == 0, out + err
    assert set(toy.states().values()) == {"current"}


def test_ctrl_c_ends_with_130_and_loses_nothing(toy: Folder) -> None:
    toy.chorus("make", "words")
    before = toy.snapshot()
    toy.edit("registry/datasets/words.yaml", "rows: 5", "rows: 6, seconds: 30")
    with toy.start("make", "words") as making:
        _wait_for(toy, "words", runs=2)
        time.sleep(0.5)
        making.send_signal(signal.SIGINT)
        _, err = making.communicate(timeout=30)
    assert making.returncode == 130, err
    after = {k: v for k, v in toy.snapshot().items() if ".scratch" not in k}
    assert after == before
    assert toy.chorus("runs", "words", "--json").json["runs"][-1]["outcome"] == "interrupted"


_KILLER = """
import os, signal, sys
import registry.artifact, registry.make, registry.store, registry.quality
place, when, number = sys.argv.pop(1).split("/")
owner, name = place.rsplit(".", 1)
target = {"make": registry.make, "store": registry.store, "quality": registry.quality,
          "path": registry.artifact.ArtifactPath}[owner]
original = getattr(target, name)
def deadly(*a, **k):
    if when == "before":
        os.kill(os.getpid(), int(number))
    result = original(*a, **k)
    if when == "after":
        os.kill(os.getpid(), int(number))
    return result
setattr(target, name, deadly)
sys.argv[0] = "chorus"
from registry.cli import main
main()
"""
_STEPS = (
    "make.require_inputs/before",
    "make.require_consent/after",
    "make.causes_of/after",
    "make.run_method/before",
    "make.run_method/after",
    "quality.check/after",
    "make.write_atomically/before",
    "make.write_atomically/after",
    "make.sync_tree/after",
    "make._require_unmoved/after",
    "path.swap_in/before",
    "path.swap_in/after",
    "store.record/before",
    "store.record/after",
)


@pytest.mark.parametrize("step", _STEPS)
@pytest.mark.parametrize("earlier", [False, True], ids=["new", "over an old artifact"])
def test_a_kill_at_any_step_leaves_a_whole_artifact_or_none(
    toy: Folder, step: str, earlier: bool
) -> None:
    if earlier:
        toy.chorus("make", "words")
        toy.edit("registry/datasets/words.yaml", "rows: 5", "rows: 7")
    deadly = f"{step}/{signal.SIGKILL.value}"
    toy.run(sys.executable, "-c", _KILLER, deadly, "make", "words", expect=-signal.SIGKILL)
    allowed = {"missing", "unrecorded", "current"} | ({"stale"} if earlier else set())
    assert toy.states()["words"] in allowed
    toy.chorus("make", "words")
    assert toy.states()["words"] == "current"
    assert not list((toy.root / "data").glob(".words*"))
    lineage = toy.chorus("lineage", "verify", "words")
    assert lineage.out.startswith("verified")


@pytest.mark.parametrize("step", _STEPS)
def test_ctrl_c_at_any_step_leaves_a_whole_artifact_or_none(toy: Folder, step: str) -> None:
    deadly = f"{step}/{signal.SIGINT.value}"
    toy.run(sys.executable, "-c", _KILLER, deadly, "make", "words", expect=130)
    assert toy.states()["words"] in {"missing", "unrecorded", "current"}
    toy.chorus("make", "words")
    assert toy.states()["words"] == "current"
    assert toy.chorus("lineage", "verify", "words").out.startswith("verified")


def test_a_kill_takes_the_training_child_along(toy: Folder) -> None:
    toy.edit("registry/datasets/words.yaml", "rows: 5", "rows: 5, seconds: 30")
    with toy.start("make", "words") as making:
        _wait_for(toy, "words")
        time.sleep(0.5)
        making.kill()
        making.communicate(timeout=30)
    toy.edit("registry/datasets/words.yaml", "seconds: 30", "seconds: 0")
    started = time.monotonic()
    toy.chorus("make", "words")
    assert time.monotonic() - started < 20
    outcomes = [r["outcome"] for r in toy.chorus("runs", "words", "--json").json["runs"]]
    assert outcomes == ["died", "made"]


def _steps(toy: Folder) -> list[list[int]]:
    """The steps that each attempt at the words went through, oldest attempt first."""
    return [
        [json.loads(line)["done"] for line in path.read_text().splitlines()]
        for path in sorted((toy.root / ".chorus/runs/words").glob("*.events.jsonl"))
    ]


def test_a_killed_method_goes_on_where_it_was(toy: Folder) -> None:
    toy.edit("registry/datasets/words.yaml", "rows: 5", "rows: 5, dies_after: 3")
    assert "signal 9" in toy.chorus("make", "words", expect=1).err
    toy.chorus("make", "words")
    assert _steps(toy) == [[1, 2, 3], [4, 5]]
    assert not list((toy.root / "data").glob(".words*"))
    assert not list((toy.root / "data/words").glob("*/work"))


def test_a_killed_method_begins_anew_where_its_causes_changed(toy: Folder) -> None:
    toy.edit("registry/datasets/words.yaml", "rows: 5", "rows: 5, dies_after: 3")
    toy.chorus("make", "words", expect=1)
    toy.edit("registry/datasets/words.yaml", "letter: a", "letter: b")
    toy.edit("registry/datasets/words.yaml", "dies_after: 3", "dies_after: 0")
    toy.chorus("make", "words")
    assert _steps(toy) == [[1, 2, 3], [1, 2, 3, 4, 5]]


def test_force_begins_anew(toy: Folder) -> None:
    toy.edit("registry/datasets/words.yaml", "rows: 5", "rows: 5, dies_after: 3")
    toy.chorus("make", "words", expect=1)
    toy.chorus("make", "words", "--force", expect=1)
    assert _steps(toy) == [[1, 2, 3], [1, 2, 3]]


def test_everything_wrong_in_a_file_that_a_method_reads_is_told(toy: Folder) -> None:
    (toy.root / "registry/datasets/asked.yaml").write_text(
        "name: asked\ndescription: Every question of a survey.\nmethod: questionnaire\n"
        "inputs: {}\nparams: {instrument: bad.yaml}\ncontract: []\nlicence: CC0-1.0\n"
    )
    (toy.root / "bad.yaml").write_text("id: bad\nid: twice\n")
    done = toy.chorus("make", "asked", expect=2)
    assert "bad.yaml:2:1" in done.err
    assert "Traceback" not in done.err


def test_a_half_written_artifact_is_never_taken_for_whole(toy: Folder) -> None:
    toy.chorus("make", "words")
    (toy.root / "data/words/manifest.json").unlink()
    assert toy.states()["words"] == "missing"
    (toy.root / "data/words/manifest.json").write_text("{")
    assert toy.states()["words"] == "stale"
    toy.chorus("make", "words")
    assert toy.states()["words"] == "current"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_said_plainly(toy: Folder) -> None:
    scratch = toy.root / "data"
    scratch.mkdir()
    limit = f"ulimit -f 0; exec {' '.join(CHORUS)} make words"
    failed = toy.run("bash", "-c", limit, expect=None)
    assert failed.code not in (0, None)
    assert "the machine refused to write: File too large" in failed.err
    assert "Traceback" not in failed.err
    assert not (scratch / "words").exists()
    toy.chorus("make", "words")


def test_an_unknown_node_is_refused_with_the_nearest(toy: Folder) -> None:
    assert "did you mean 'words'?" in toy.chorus("make", "wrds", expect=2).err
    unknown = toy.chorus("make", "count@age-99", expect=2)
    assert "no node is called 'count@age-99'" in unknown.err


def test_a_planted_pipeline_in_a_profile_folder_never_runs(toy: Folder) -> None:
    planted = toy.root / "value_profiles/age-22-34/dvc.yaml"
    planted.write_text("stages:\n  evil:\n    cmd: touch ../../planted\n")
    for command in (["status"], ["list"], ["make", "--all"], ["sync"], ["show", "words"]):
        refused = toy.chorus(*command, expect=2)
        assert "value_profiles/age-22-34/dvc.yaml: is a file that a profile does not have" in (
            refused.err
        )
    toy.dvc("repro", "-P", expect=None)
    assert not (toy.root / "planted").exists()


def test_threads_seed_and_switches_reach_the_child_whatever_the_caller_has_set(
    toy: Folder,
) -> None:
    toy.chorus("make", "words")
    first = toy.snapshot()
    toy.chorus("make", "words", "--force", OMP_NUM_THREADS="7", PYTHONHASHSEED="3", LC_ALL="C")
    assert toy.snapshot() == first


def test_a_method_of_another_package_is_found_and_named_in_the_manifest(toy: Folder) -> None:
    toy.chorus("make", "words")
    manifest = json.loads((toy.root / "data/words/manifest.json").read_text())
    assert manifest["method"]["distribution"] == "toy-methods"
    assert manifest["method"]["version"] == "1.0.0"
    assert manifest["rows"] == {"words.parquet": 5}


def test_the_manifest_names_no_time_host_user_or_path(toy: Folder) -> None:
    toy.chorus("make", "--all")
    for path in (toy.root / "data").rglob("manifest.json"):
        text = path.read_text()
        for secret in (str(toy.root), os.uname().nodename, "/home", "/tmp"):
            assert secret not in text


def test_a_declaration_that_is_renamed_prunes_its_lock_entry(toy: Folder) -> None:
    toy.chorus("make", "--all")
    (toy.root / "registry/models/total.yaml").unlink()
    assert "dvc.lock" in toy.chorus("sync", "--check", expect=1).err
    toy.chorus("sync")
    assert "total" not in (toy.root / "dvc.lock").read_text()
    toy.chorus("sync", "--check")
    assert toy.states()["words"] == "current"


def test_jobs_do_not_change_what_is_made(toy: Folder, tmp_path: Path) -> None:
    other = Folder(tmp_path / "other", toy.env)
    shutil.copytree(toy.root, other.root, symlinks=True)
    toy.chorus("make", "--all", "--jobs", "1")
    other.chorus("make", "--all", "--jobs", "4")
    assert toy.snapshot() == other.snapshot()


def _wait_for(toy: Folder, node: str, runs: int = 1) -> None:
    """Waits until a node's method runs."""
    folder = toy.root / ".chorus" / "runs" / node
    deadline = time.monotonic() + 30
    while len(list(folder.glob("*.log"))) < runs:
        assert time.monotonic() < deadline, "the method did not start"
        time.sleep(0.05)
