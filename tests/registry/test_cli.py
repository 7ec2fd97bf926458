"""The command line: what it prints, and how it ends."""

from __future__ import annotations

import sys

from tests.conftest import Folder


def test_every_reading_command_has_json_with_a_schema_version(toy: Folder) -> None:
    toy.chorus("make", "words")
    for command in (["list"], ["show", "words"], ["status"], ["runs", "words"]):
        assert toy.chorus(*command, "--json").json["schema_version"] == 1


def test_show_says_what_a_person_wants_to_know(toy: Folder) -> None:
    shown = toy.chorus("show", "count@age-22-34").out
    for part in ("registry/models/count.yaml", "toy-count", "words=letters@age-22-34", "missing"):
        assert part in shown
    assert "age-22-34=train-sft" in shown


def test_runs_list_attempts_with_their_door(toy: Folder) -> None:
    toy.chorus("make", "words")
    toy.edit("registry/datasets/words.yaml", "rows: 5", "rows: 6")
    toy.chorus("sync")
    toy.dvc("repro", "words")
    doors = [run["door"] for run in toy.chorus("runs", "words", "--json").json["runs"]]
    assert doors == ["chorus make", "dvc repro"]


def test_a_command_works_from_any_folder_of_the_project(toy: Folder) -> None:
    below = Folder(toy.root / "registry" / "datasets", toy.env)
    assert "words" in below.chorus("list").out


def test_outside_a_project_the_message_says_how_to_start_one(toy: Folder) -> None:
    outside = Folder(toy.root.parent, toy.env)
    assert "chorus init DIR" in outside.chorus("status", expect=2).err


def test_messages_go_to_standard_error_and_results_to_standard_output(toy: Folder) -> None:
    made = toy.chorus("make", "words")
    assert made.out == ""
    assert "made     words" in made.err
    shown = toy.chorus("list")
    assert shown.err == ""


def test_a_wrong_option_ends_with_2(toy: Folder) -> None:
    assert toy.chorus("make", "--nonsense", expect=2).code == 2
    assert "name the nodes to make, or give --all" in toy.chorus("make", expect=2).err
    assert toy.chorus("show", expect=2).code == 2


def test_a_broken_declaration_stops_every_command_with_its_place(toy: Folder) -> None:
    toy.edit("registry/datasets/words.yaml", "rows: 5", "rows: many")
    toy.edit("registry/models/total.yaml", "method: toy-count", "method: toy-cuont")
    refused = toy.chorus("status", expect=2)
    assert "registry/datasets/words.yaml:5" in refused.err
    assert "did you mean 'toy-count'?" in refused.err
    assert refused.err.rstrip().endswith("2 things to fix")


def test_reading_takes_no_lock_and_loads_no_heavy_library(toy: Folder) -> None:
    script = (
        "import sys; sys.argv = ['chorus', 'status']\n"
        "from registry.cli import app\n"
        "app(standalone_mode=False)\n"
        "heavy = {'torch', 'transformers', 'dagster', 'great_expectations', 'dvc'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    toy.run(sys.executable, "-c", script)


def test_sync_is_stable_byte_for_byte(toy: Folder) -> None:
    files = [*toy.root.rglob("dvc.yaml"), toy.root / "registry" / "code.yaml"]
    before = {path: path.read_bytes() for path in files}
    for path in files:
        path.unlink()
    toy.chorus("sync")
    assert {path: path.read_bytes() for path in files} == before
    pipeline = (toy.root / "registry/pipelines/age-22-34/dvc.yaml").read_text()
    assert "wdir: ../../.." in pipeline
    assert pipeline.count("persist: true") == 4
    assert "&" not in pipeline
