"""Releases: what stops one, what one holds, and that it verifies for ever after."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml

from tests.conftest import Folder, trust_a_new_key

NODE, TAG = "count@age-22-34", "count/age-22-34@v1.0.0"
FOLDER = "releases/count/age-22-34/1.0.0"
TOY = ("--override", "A toy: it counts, and answers nobody.", "--by", "maintainer:7")
REVIEW = "value_profiles/age-22-34/events/0002-release-reviewed.yaml"


def commit(folder: Folder) -> None:
    folder.run("git", "add", "--all")
    folder.run("git", "commit", "--quiet", "--message", "test")


def release(folder: Folder, *more: str, expect: int = 0, version: str = "1.0.0") -> str:
    signed = ("--sign-with", str(folder.root.parent / "key.pem"))
    asked = ("release", NODE, "--version", version, *TOY, *signed, *more)
    done = folder.chorus(*asked, expect=expect)
    return done.out + done.err


def tags(folder: Folder) -> list[str]:
    return folder.run("git", "tag", "--list").out.split()


@pytest.fixture(scope="module")
def made_once(_toy_template: Folder, tmp_path_factory: pytest.TempPathFactory) -> Folder:
    folder = _toy_template.copied(tmp_path_factory.mktemp("made"))
    folder.chorus("make", NODE, "--upstream")
    trust_a_new_key(folder)
    commit(folder)
    return folder


@pytest.fixture(scope="module")
def released_once(made_once: Folder, tmp_path_factory: pytest.TempPathFactory) -> Folder:
    folder = made_once.copied(tmp_path_factory.mktemp("released"))
    release(folder)
    return folder


@pytest.fixture
def made(made_once: Folder, tmp_path: Path) -> Folder:
    """A model that is made, recorded and committed, in a project that trusts a key."""
    return made_once.copied(tmp_path)


@pytest.fixture
def released(released_once: Folder, tmp_path: Path) -> Folder:
    """The same, and released."""
    return released_once.copied(tmp_path)


# What a release is.


def test_it_is_an_annotated_tag_on_a_commit_with_card_statement_and_manifests(
    released: Folder,
) -> None:
    assert tags(released) == [TAG]
    assert released.run("git", "cat-file", "-t", TAG).out.strip() == "tag"
    kept = released.run("git", "ls-tree", "-r", "--name-only", TAG, "releases/").out.split()
    assert kept == [
        "releases/.gitignore",
        f"{FOLDER}/README.md",
        f"{FOLDER}/bom.cdx.json",
        f"{FOLDER}/croissant.json",
        *(f"{FOLDER}/lineage/{node}.json" for node in (NODE, "letters@age-22-34", "words")),
        f"{FOLDER}/model.sig",
        f"{FOLDER}/provenance.intoto.json",
        f"{FOLDER}/release.json",
    ]
    assert released.run("git", "status", "--porcelain").out == ""
    statement = json.loads((released.root / FOLDER / "release.json").read_text())
    manifest = json.loads((released.root / "data/count/age-22-34/manifest.json").read_text())
    assert statement["content"] == manifest["content"]
    assert (released.root / FOLDER / "counts.json").read_bytes() == (
        released.root / "data/count/age-22-34/files/counts.json"
    ).read_bytes()


def test_gto_sees_it(released: Folder) -> None:
    done = released.run("gto", "show", "count/age-22-34", "--json")
    assert TAG in done.out


def test_the_command_says_what_it_did(made: Folder) -> None:
    said = release(made)
    listed = [line for line in said.splitlines() if line.startswith("  ok  ")]
    for part in ("current and recorded", "no contract is broken", "every objection", "no steward"):
        assert sum(part in line for line in listed) == 1, part
    head = made.run("git", "rev-parse", "--short", "HEAD").out.strip()
    assert f"committed its record as {head}: releases/.gitignore, {FOLDER}/README.md" in said
    assert f"tagged it {TAG}" in said
    shown = made.chorus("releases").out
    assert TAG in shown
    (one,) = made.chorus("releases", "--json").json["releases"]
    assert one["node"] == NODE


def test_the_card_is_written_from_the_records(released: Folder) -> None:
    text = (released.root / FOLDER / "README.md").read_text()
    front = yaml.safe_load(text.split("---")[1])
    assert front["license"] == "cc0-1.0"
    assert front["language"] == ["en"]
    for part in (
        "it speaks for no one",
        "in place of a poll",
        "used under CC BY 4.0; the people who answered were not asked",
        "by review, publish-weights",
        "FiveThirtyEight / Ipsos",
        "respondents aged 65 and over",
        "No evaluation of this project has measured it",
        f"chorus lineage verify {TAG}",
    ):
        assert part in text, part
    assert "More Information Needed" not in text


def test_a_strangers_words_stay_words_on_the_card(made: Folder) -> None:
    profile = made.root / "value_profiles/age-22-34/profile.yaml"
    document = profile.read_text()
    name = 'name: "respondents aged 22-34, 2020 survey"'
    hostile = "name: '<script>x</script> | {{ 7*7 }} [a](javascript:x)'"
    assert name in document
    profile.write_text(document.replace(name, hostile))
    commit(made)
    release(made)
    text = (made.root / FOLDER / "README.md").read_text()
    assert "<script>" not in text
    assert r"\<script\>x\</script\> \| \{\{ 7\*7 \}\} \[a\](javascript:x)" in text


# What stops one.


def refused(folder: Folder, because: str, expect: int) -> None:
    """The release is refused with this reason, and nothing changed."""
    before = folder.run("git", "rev-parse", "HEAD").out, tags(folder)
    said = release(folder, expect=expect)
    assert because in said
    assert (folder.run("git", "rev-parse", "HEAD").out, tags(folder)) == before
    assert not (folder.root / FOLDER).exists()


def test_a_stale_model_is_not_released(made: Folder) -> None:
    made.edit("registry/datasets/words.yaml", "rows: 5", "rows: 6")
    commit(made)
    refused(made, "words is stale: params.rows changed from 5 to 6", 1)


def test_a_model_that_was_not_made_is_not_released(toy: Folder) -> None:
    commit(toy)
    done = toy.chorus("release", NODE, "--version", "1.0.0", *TOY, expect=2)
    assert "count@age-22-34 is missing" in done.out


def test_an_unrecorded_model_is_not_released(made: Folder) -> None:
    lock = made.root / "registry/pipelines/age-22-34/dvc.lock"
    entries = yaml.safe_load(lock.read_text())
    del entries["stages"]["count"]
    lock.write_text(yaml.safe_dump(entries))
    commit(made)
    refused(made, "count@age-22-34 is unrecorded", 1)


def test_altered_bytes_are_not_released(made: Folder) -> None:
    path = made.root / "data/words/files/words.parquet"
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[20] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    refused(made, "data/words/files/words.parquet was altered", 3)


def test_a_changed_contract_is_not_released_unchecked(made: Folder) -> None:
    made.edit("registry/datasets/words.yaml", "column: id", "column: word")
    commit(made)
    refused(made, "the contract changed", 1)


def test_a_licence_without_a_review_is_not_released(made: Folder) -> None:
    (made.root / REVIEW).unlink()
    commit(made)
    refused(made, "no review of purpose, identifiability and harm grants publish-weights", 4)


def test_an_ended_permission_is_not_released(made: Folder) -> None:
    profile = "value_profiles/age-22-34/profile.yaml"
    made.edit(profile, "expires_on: never", 'expires_on: "2026-01-01"')
    commit(made)
    refused(made, "it expired on 2026-01-01", 4)


def test_a_source_whose_terms_the_licence_drops_is_not_released(made: Folder) -> None:
    profile = made.root / "value_profiles/age-22-34/profile.yaml"
    text = profile.read_text()
    assert 'licence: "CC-BY-4.0"' in text
    profile.write_text(text.replace('licence: "CC-BY-4.0"', 'licence: "CC-BY-NC-4.0"'))
    commit(made)
    refused(made, "(source of age-22-34) is under CC-BY-NC-4.0, which asks for NC", 4)


def test_a_key_that_the_project_does_not_trust_signs_nothing(made: Folder) -> None:
    other = made.root.parent / "other.pem"
    made.chorus("key", "new", str(other), "--no-passphrase")
    asked = ("release", NODE, "--version", "1.0.0", *TOY)
    done = made.chorus(*asked, "--sign-with", str(other), expect=4)
    assert "run `chorus key trust other.pub --name NAME`, and commit it" in done.out
    done = made.chorus(*asked, "--sign-with", str(other), "--keyless", expect=2)
    assert "sign with a key or without one" in done.err
    assert tags(made) == []


def test_without_a_key_it_is_released_and_shown_as_unsigned(made: Folder) -> None:
    done = made.chorus("release", NODE, "--version", "1.0.0", *TOY)
    assert "nobody signs it: it is unsigned" in done.out
    assert "it is shown as unsigned" in done.err
    done = made.chorus("lineage", "verify", TAG, expect=1)
    assert done.out.startswith("unsigned: every byte is what the records say, but no trusted key")
    assert "unsigned" in made.chorus("releases").out
    done = made.chorus("release", "verify", FOLDER, expect=1)
    assert done.out.startswith("unsigned")


def test_a_suspended_profile_is_not_released(made: Folder) -> None:
    event = made.root / "value_profiles/age-22-34/events/0003-suspended.yaml"
    event.write_text(
        'event: suspended\nrevision: 1\n"on": "2026-11-23"\nby: [test]\n'
        "reason: A test takes it out of gathering.\n"
    )
    commit(made)
    said = made.chorus("release", NODE, "--version", "1.0.0", expect=None)
    assert said.code in (2, 4)
    assert tags(made) == []


def test_a_dirty_tree_is_not_released_and_is_named(made: Folder) -> None:
    (made.root / "notes.txt").write_text("not committed")
    refused(made, "notes.txt; commit or remove that first", 2)
    (made.root / "notes.txt").unlink()
    made.edit("registry/datasets/words.yaml", "Some words", "Several words")
    refused(made, "registry/datasets/words.yaml; commit or remove that first", 2)


def test_a_version_is_released_once(released: Folder) -> None:
    head = released.run("git", "rev-parse", "--short", f"{TAG}^{{commit}}").out.strip()
    said = release(released, expect=2)
    assert f"{TAG} is released already, as commit {head}; choose a higher version" in said
    release(released, version="1.1.0")
    assert tags(released) == [TAG, "count/age-22-34@v1.1.0"]


@pytest.mark.parametrize("version", ["1.0", "v1.0.0", "1.0.0-rc", "01.0.0", "latest"])
def test_what_is_no_version_is_refused(made: Folder, version: str) -> None:
    assert "is no version" in release(made, expect=2, version=version)


def test_only_models_are_released(made: Folder) -> None:
    done = made.chorus("release", "words", "--version", "1.0.0", expect=2)
    assert "words is of kind dataset; releases are of models" in done.err


def test_a_project_outside_git_and_one_without_an_author_are_told_what_to_do(
    made: Folder,
) -> None:
    made.run("git", "config", "--unset", "user.email")
    assert "git config user.email ADDRESS" in release(made, expect=2)
    shutil.rmtree(made.root / ".git")
    assert "is not in a Git repository" in release(made, expect=2)


def test_records_that_git_ignores_are_not_released(made: Folder) -> None:
    with (made.root / ".gitignore").open("a") as stream:
        stream.write("dvc.lock\n")
    made.run("git", "rm", "--quiet", "--cached", "-r", "dvc.lock", "registry/pipelines")
    commit(made)
    refused(made, "dvc.lock", 2)


def test_a_dry_run_changes_nothing(made: Folder) -> None:
    assert "nothing stands against it" in release(made, "--dry-run")
    assert tags(made) == []
    assert not (made.root / "releases").exists()


def test_a_release_that_was_cut_off_is_finished_by_the_same_command(made: Folder) -> None:
    release(made)
    made.run("git", "tag", "--delete", TAG)  # as if it had died between commit and tag
    release(made)
    assert tags(made) == [TAG]
    made.run("git", "tag", "--delete", TAG)
    made.run("git", "reset", "--quiet", "--mixed", "HEAD~1")  # between folder and commit
    (made.root / FOLDER / "counts.json").write_text("half")
    release(made)
    assert tags(made) == [TAG]
    made.chorus("lineage", "verify", TAG)


def test_two_releases_of_one_version_at_once_make_one(made: Folder) -> None:
    signed = ("--sign-with", str(made.root.parent / "key.pem"))
    started = [made.start("release", NODE, "--version", "1.0.0", *TOY, *signed) for _ in range(2)]
    ends = [process.communicate(timeout=120) for process in started]
    assert sorted(process.returncode for process in started) == [0, 2], ends
    assert tags(made) == [TAG]
    made.chorus("lineage", "verify", TAG)


# What a reviewer sees, then and later.


def test_a_release_is_verified_and_its_tree_shown(released: Folder) -> None:
    done = released.chorus("lineage", "verify", TAG)
    assert done.out.startswith("verified: every byte")
    assert "release count/age-22-34 1.0.0" in done.out
    assert "permission of age-22-34 for publish-weights" in done.out
    shown = released.chorus("lineage", "show", TAG).out
    assert "value_profiles/age-22-34/opinions.csv" in shown
    assert released.chorus("lineage", "show", "count/age-22-34@1.0.0").out == shown


def test_it_stays_verified_when_the_project_moves_on(released: Folder) -> None:
    released.edit("registry/datasets/words.yaml", "rows: 5", "rows: 7")
    table = released.root / "value_profiles/age-22-34/opinions.csv"
    table.write_text(table.read_text().replace(",640,", ",641,"))
    released.chorus("make", "--all")
    commit(released)
    assert released.chorus("lineage", "verify", TAG).out.startswith("verified")
    shutil.rmtree(released.root / "data")
    assert released.chorus("lineage", "verify", TAG).out.startswith("verified")


@pytest.mark.parametrize(
    ("path", "named"),
    [
        (f"{FOLDER}/counts.json", f"{FOLDER}/counts.json was altered"),
        (f"{FOLDER}/README.md", f"{FOLDER}/README.md was altered"),
        (f"{FOLDER}/lineage/words.json", f"{FOLDER}/lineage/words.json was altered"),
        (f"{FOLDER}/release.json", "is not the one that the tag holds"),
    ],
)
@pytest.mark.parametrize("mode", [0o644, 0o444], ids=["writable", "read-only"])
def test_one_flipped_byte_of_a_release_is_found(
    released: Folder, path: str, named: str, mode: int
) -> None:
    file = released.root / path
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    file.chmod(mode)
    done = released.chorus("lineage", "verify", TAG, expect=3)
    assert done.out.startswith("broken")
    assert named in done.out


def test_a_byte_flipped_in_dvcs_cache_is_found(released: Folder) -> None:
    shutil.rmtree(released.root / "data")
    cache = released.root / ".dvc/cache/files/md5"
    wanted = (released.root / FOLDER / "counts.json").read_bytes()
    (file,) = (p for p in cache.rglob("*") if p.is_file() and p.read_bytes() == wanted)
    file.chmod(0o644)
    file.write_bytes(wanted.replace(b"1", b"2", 1) if b"1" in wanted else wanted + b" ")
    done = released.chorus("lineage", "verify", TAG, expect=3)
    assert "data/count/age-22-34/files/counts.json was altered" in done.out


def test_an_extra_and_a_missing_file_are_found(released: Folder) -> None:
    (released.root / FOLDER / "croissant.json").unlink()
    (released.root / FOLDER / "model.pkl").write_bytes(b"\x80")
    out = released.chorus("lineage", "verify", TAG, expect=3).out
    assert "croissant.json is missing" in out
    assert "model.pkl is not in the statement" in out


def test_a_clone_without_weights_is_verified_from_what_dvc_keeps(released: Folder) -> None:
    (released.root / FOLDER / "counts.json").unlink()
    out = released.chorus("lineage", "verify", TAG).out
    assert "the model's 1 files are not in it; they were read as DVC keeps them" in out
    shutil.rmtree(released.root / "data")
    shutil.rmtree(released.root / ".dvc/cache")
    out = released.chorus("lineage", "verify", TAG, expect=3).out
    assert f"{FOLDER}/counts.json is missing" in out


def test_a_permission_that_ended_since_is_said(released: Folder) -> None:
    path = released.root / "value_profiles/age-22-34/events/0003-release-reviewed.yaml"
    path.write_text((released.root / REVIEW).read_text().replace("granted: true", "granted: false"))
    done = released.chorus("lineage", "verify", TAG, expect=4)
    assert done.out.startswith("ended")
    assert "was reviewed for release and not granted" in done.out


def test_an_unknown_release_is_named_with_what_there_is(released: Folder) -> None:
    done = released.chorus("lineage", "verify", "count/age-22-34@v9.0.0", expect=2)
    assert "no release is called count/age-22-34@v9.0.0" in done.err
    assert "versions of count/age-22-34: 1.0.0" in done.err


# A real one.


def test_a_released_model_loads_by_itself(tiny: Folder, tmp_path: Path) -> None:
    folder = tmp_path / "downloaded"
    shutil.copytree(tiny.root / "releases/community-rl/age-22-34/1.0.0", folder)
    assert not [p for p in folder.rglob("*") if p.suffix in (".bin", ".pt", ".pkl")]
    script = (
        "import sys\n"
        "from transformers import AutoModelForCausalLM, AutoTokenizer\n"
        "model = AutoModelForCausalLM.from_pretrained(sys.argv[1])\n"
        "tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])\n"
        "ids = tokenizer('Tea or coffee?', return_tensors='pt')\n"
        "print(model(**ids).logits.shape[-1] == model.config.vocab_size)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder)],
        env={**tiny.env, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "True", done.stderr


def test_its_card_passes_the_hubs_own_reader_and_names_its_results(tiny: Folder) -> None:
    from huggingface_hub import ModelCard

    card = ModelCard.load(tiny.root / "releases/community-rl/age-22-34/1.0.0/README.md")
    assert card.data.license == "cc-by-4.0"
    assert card.data.library_name == "transformers"
    measured = Counter(one.metric_type for one in card.data.eval_results)
    assert set(measured.values()) == {3}, "each once in every part of the questionnaire"
    assert {"total variation", "skill"} <= set(measured)
    for part in ("| pooled-rl |", "95 % interval", "own table", "opinion-grpo"):
        assert part in card.text
