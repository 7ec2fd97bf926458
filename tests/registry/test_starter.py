"""`chorus init` and `chorus demo`: from nothing to a project of one's own."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from registry.graph import load_graph
from tests.conftest import ROOT, Folder, _environment, main_job


def test_the_demo_ends_verified_and_committed(tiny: Folder) -> None:
    states = tiny.states()
    assert {states[node] for node in main_job(tiny)} == {"current"}
    assert tiny.run("git", "status", "--porcelain").out == ""
    assert "Record what the demo made" in tiny.run("git", "log", "--oneline").out
    assert tiny.chorus("lineage", "verify", "pluralism").out.startswith("verified")


def test_a_second_demo_says_that_everything_is_up_to_date(tiny: Folder) -> None:
    parent = Folder(tiny.root.parent, tiny.env)
    done = parent.chorus("demo", "project", "--size", "tiny")
    assert "everything is up to date (18 nodes)" in done.err
    assert "community-rl/age-22-34@v1.0.0 is released already" in done.err
    for part in ("Total variation", "unseen questions", "verified: every byte", "chorus ask"):
        assert part.lower() in done.out.lower()


def test_dvc_agrees_that_the_demo_is_up_to_date(tiny: Folder) -> None:
    stages = main_job(tiny).values()
    assert "Data and pipelines are up to date" in tiny.dvc("status", *stages).out
    assert "Running stage" not in tiny.dvc("repro", *stages).out


def test_a_made_model_answers(tiny: Folder) -> None:
    asked = ("ask", "community-sft@age-22-34", "How important is voting?")
    answered = tiny.chorus(*asked, "--options", "Very", "Somewhat", "Not at all", "--json").json
    assert set(answered["options"]) == {"Very", "Somewhat", "Not at all"}
    assert sum(answered["options"].values()) == pytest.approx(1)
    assert "it speaks for no one" in answered["notice"]
    assert "it speaks for no one" in tiny.chorus(*asked).err
    assert "only models answer" in tiny.chorus("ask", "pluralism", "Why?", expect=2).err
    assert "two or more" in tiny.chorus(*asked, "--options", "Yes", expect=2).err


def test_a_model_that_rests_on_several_groups_is_asked_as_one_of_them(tiny: Folder) -> None:
    asked = ("ask", "pooled-sft", "How important is voting?", "--options", "Very", "Not at all")
    plain = tiny.chorus(*asked, "--json").json
    told = tiny.chorus(*asked, "--as", "age-22-34", "--json").json
    assert (plain["community"], told["community"]) == (None, "age-22-34")
    assert plain["options"] != told["options"]
    wrong = tiny.chorus(*asked, "--as", "age-35-49", expect=2).err
    assert "it knows age-22-34, age-65-plus" in " ".join(wrong.split())
    own = ("ask", "community-sft@age-22-34", "Why?", "--as", "age-22-34")
    assert "rests on age-22-34 alone" in " ".join(tiny.chorus(*own, expect=2).err.split())


def test_a_fanned_out_artifact_and_a_shared_one_are_made_the_same_by_dvc(
    tiny: Folder, tmp_path: Path
) -> None:
    other = Folder(tmp_path / "other", tiny.env)
    shutil.copytree(tiny.root, other.root, symlinks=True)
    before = other.snapshot()
    for node in ("data/community-sft", "data/pooled-sft"):
        shutil.rmtree(other.root / node)
    other.dvc("repro", *main_job(other).values())
    assert other.snapshot() == before


def test_init_refuses_a_folder_in_use_and_an_unknown_community(tmp_path: Path) -> None:
    folder = Folder(tmp_path, _environment())
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "file").touch()
    assert "is not empty" in folder.chorus("init", "used", expect=2).err
    unknown = folder.chorus("init", "new", "--communities", "age-22-35", expect=2)
    assert "did you mean 'age-22-34'?" in unknown.err
    assert not (tmp_path / "new").exists()


def test_a_project_may_start_from_a_community_without_a_survey(tmp_path: Path) -> None:
    folder = Folder(tmp_path, _environment())
    made = folder.chorus("init", "new", "--communities", "example-tidewater-coop", "--size", "tiny")
    assert "1 value profile\n" in made.err
    inside = Folder(tmp_path / "new", _environment())
    assert "a community with opinions.csv" in inside.chorus("list").out
    asked = inside.chorus("make", "pooled-sft", expect=2).err
    assert "pooled-sft has no node yet" in asked


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    source = tmp_path_factory.mktemp("source") / "chorus"
    ignore = shutil.ignore_patterns(".*", "data", "demo", "demo-tiny", "tests", "__pycache__")
    shutil.copytree(ROOT, source, ignore=ignore)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out)]
    subprocess.run([*build, str(source)], check=True, capture_output=True)
    return next(out.glob("*.whl"))


def test_a_project_starts_from_the_built_wheel(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    names = {p.relative_to(site).as_posix() for p in site.rglob("*")}
    assert "registry/value_profiles/age-22-34/opinions.csv" in names
    assert not {n for n in names if n.startswith(("tests", "registry/pipelines", "benchmarks"))}
    folder = Folder(tmp_path, _environment(site))
    where = folder.run(sys.executable, "-P", "-c", "import registry; print(registry.__file__)")
    assert str(site) in where.out
    folder.chorus("init", "mine")
    mine = Folder(tmp_path / "mine", folder.env)
    assert set(mine.states()) == set(load_graph(ROOT).nodes)
    mine.chorus("sync", "--check")
    mine.chorus("schema", "--check")
    mine.chorus("make", "opinion-items@age-35-49", "--upstream")
    assert mine.states()["opinion-items@age-35-49"] == "current"
