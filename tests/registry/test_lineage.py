"""The walk back: what it shows, and that no changed byte passes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.conftest import Folder


@pytest.fixture(scope="module")
def made_once(_toy_template: Folder, tmp_path_factory: pytest.TempPathFactory) -> Folder:
    toy = _toy_template.copied(tmp_path_factory.mktemp("made"))
    toy.chorus("make", "count@age-22-34", "--upstream")
    return toy


@pytest.fixture
def made(made_once: Folder, tmp_path: Path) -> Folder:
    return made_once.copied(tmp_path)


def test_the_tree_leads_to_table_and_permission_with_digests(made: Folder) -> None:
    shown = made.chorus("lineage", "show", "count@age-22-34").out
    assert "words  sha256:" in shown
    assert "table value_profiles/age-22-34/opinions.csv  sha256:" in shown
    assert "licence of age-22-34 for train-sft" in shown
    assert "used under CC BY 4.0; the people who answered were not asked" in shown
    tree = made.chorus("lineage", "show", "count@age-22-34", "--json").json["lineage"]
    assert {branch["what"] for branch in tree["made_from"]} == {
        "node",
        "table",
        "field",
        "permission",
    }


def test_what_was_not_made_has_no_lineage(made: Folder) -> None:
    assert "chorus make total --upstream" in made.chorus("lineage", "show", "total", expect=2).err


def test_an_untouched_artifact_is_verified(made: Folder) -> None:
    done = made.chorus("lineage", "verify", "count@age-22-34")
    assert done.out.startswith("verified: every byte")
    assert done.out.count("verified") >= 6


@pytest.mark.parametrize(
    "path",
    [
        "data/count/age-22-34/files/counts.json",
        "data/words/files/words.parquet",
        "data/letters/age-22-34/files/note.txt",
        "data/words/manifest.json",
        "value_profiles/age-22-34/opinions.csv",
    ],
)
@pytest.mark.parametrize("mode", [0o644, 0o444], ids=["writable", "read-only"])
def test_one_flipped_byte_breaks_it_and_is_named(made: Folder, path: str, mode: int) -> None:
    _flip(made.root / path, mode)
    done = made.chorus("lineage", "verify", "count@age-22-34", expect=3)
    assert done.out.startswith("broken")
    broken = [line for line in done.out.splitlines() if line.startswith("  broken")]
    assert any(path in line for line in broken), done.out


def test_a_manifest_forged_with_its_files_is_found_by_the_record(made: Folder) -> None:
    note = made.root / "data/words/files/note.txt"
    note.write_text("forged\n")
    made.chorus("lineage", "verify", "words", expect=3)
    manifest = made.root / "data/words/manifest.json"
    forged = json.loads(manifest.read_text())
    from registry.artifact import Hasher, content_digest

    files = Hasher(None).tree(made.root / "data/words/files")
    forged["files"] = [entry.model_dump() for entry in files]
    forged["content"] = content_digest(files)
    manifest.write_text(json.dumps(forged))
    done = made.chorus("lineage", "verify", "words", expect=3)
    assert "is not the one that dvc.lock records" in done.out


def test_an_extra_and_a_missing_file_are_found(made: Folder) -> None:
    (made.root / "data/words/files/extra.txt").write_text("x")
    (made.root / "data/words/files/note.txt").unlink()
    out = made.chorus("lineage", "verify", "words", expect=3).out
    assert "extra.txt is not in the manifest" in out
    assert "note.txt is missing" in out


def test_an_input_made_anew_no_longer_supports_its_user(made: Folder) -> None:
    made.edit("registry/datasets/words.yaml", "letter: a", "letter: z")
    made.chorus("make", "words")
    out = made.chorus("lineage", "verify", "count@age-22-34", expect=3).out
    assert "its user was made from" in out


def test_a_permission_that_has_ended_is_said_with_its_own_exit_code(made: Folder) -> None:
    made.edit(
        "value_profiles/age-22-34/profile.yaml", "expires_on: never", 'expires_on: "2026-01-01"'
    )
    done = made.chorus("lineage", "verify", "count@age-22-34", expect=4)
    assert done.out.startswith("ended")
    assert "expired on 2026-01-01" in done.out
    _flip(made.root / "data/words/files/words.parquet", 0o644)
    made.chorus("lineage", "verify", "count@age-22-34", expect=3)


def test_what_no_record_covers_is_never_called_verified(made: Folder) -> None:
    (made.root / "dvc.lock").unlink()
    done = made.chorus("lineage", "verify", "count@age-22-34", expect=1)
    assert done.out.startswith("unrecorded")


def test_verify_as_json_names_every_hop(made: Folder) -> None:
    done = made.chorus("lineage", "verify", "count@age-22-34", "--json").json
    assert done["schema_version"] == 1
    assert done["verdict"] == "verified"
    assert next(hop["name"] for hop in done["hops"]) == "count@age-22-34"


def _flip(path: Path, mode: int) -> None:
    """Flips one bit without changing size or modification time."""
    stat = path.stat()
    raw = bytearray(path.read_bytes())
    middle = len(raw) // 2
    raw[middle] ^= 1
    path.chmod(0o644)
    path.write_bytes(bytes(raw))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    path.chmod(mode)
