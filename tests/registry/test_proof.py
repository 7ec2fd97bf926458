"""What proof finds: each fault ends in its verdict, and none in a stack trace."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from registry.artifact import Hasher, canonical_json
from registry.cli.lineage import ground_of
from registry.code_proof import CodeProof, _is_edited
from registry.errors import IntegrityError
from registry.graph import Graph
from registry.lineage import Hop, Verification, verify
from registry.project import load_profiles
from registry.release import parse_name
from registry.release_proof import verify_release
from registry.store import md5
from tests.conftest import Folder
from tests.registry.conftest import NODE, TAG

BUNDLE = "releases/count/age-22-34/1.0.0"
LOCK = "registry/pipelines/age-22-34/dvc.lock"
PROFILE = "value_profiles/age-22-34/profile.yaml"


def proved(folder: Folder, target: str = NODE, rev: str | None = None) -> Verification:
    """Verifies in this process: proof needs no method."""
    graph = Graph(load_profiles(folder.root), {})
    if name := parse_name(target):
        return verify_release(graph, name)
    ground, node = ground_of(graph, target, rev)
    return verify(ground, graph, node)


def said(result: Verification) -> str:
    return "\n".join(f"{hop.state} {hop.name}: {'; '.join(hop.findings)}" for hop in result.hops)


def hop(result: Verification, name: str) -> Hop:
    return next(one for one in result.hops if one.name == name)


def flip(path: Path, mode: int = 0o444) -> None:
    """Flips one bit without changing size or modification time, and leaves the file read-only."""
    stat = path.stat()
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(bytes(raw))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    path.chmod(mode)


@pytest.mark.parametrize("target", [NODE, TAG])
def test_what_nobody_touched_is_verified(target: str, released_toy: Folder) -> None:
    result = proved(released_toy, target)
    assert result.verdict == "verified", said(result)


def test_at_a_revision_it_is_verified_whatever_lies_here(released_toy: Folder) -> None:
    flip(released_toy.root / "data/words/files/words.parquet")
    assert proved(released_toy).verdict == "broken"
    assert proved(released_toy, rev="HEAD").verdict == "verified"


def cached(folder: Folder, inside: str) -> Path:
    """Where DVC's cache holds a file of an artifact."""
    raw = (folder.root / inside).read_bytes()
    digest = md5(raw)
    return folder.root / ".dvc/cache/files/md5" / digest[:2] / digest[2:]


@pytest.mark.parametrize("inside", ["data/words/files/words.parquet", "data/words/files/note.txt"])
def test_a_byte_flipped_in_the_cache_breaks_the_release(inside: str, released_toy: Folder) -> None:
    flip(cached(released_toy, inside))
    result = proved(released_toy, TAG)
    assert result.verdict == "broken"
    assert f"{inside} was altered" in said(result)


def test_a_missing_object_is_named_with_what_to_do(released_toy: Folder) -> None:
    cached(released_toy, "data/words/files/words.parquet").unlink()
    shutil.rmtree(released_toy.root / "data")
    result = proved(released_toy, TAG)
    assert result.verdict == "broken"
    assert "data/words/files/words.parquet is neither here nor in DVC's cache" in said(result)
    assert "chorus pull" in said(result)


def test_artifacts_of_equal_size_that_were_swapped_are_found(released_toy: Folder) -> None:
    notes = [
        released_toy.root / f"data/{n}/files/words.parquet" for n in ("words", "letters/age-22-34")
    ]
    contents = [path.read_bytes() for path in notes]
    for path, raw in zip(notes, reversed(contents), strict=True):
        path.chmod(0o644)
        path.write_bytes(raw)
    result = proved(released_toy)
    assert {"words", "letters@age-22-34"} <= {h.name for h in result.hops if h.state == "broken"}


def edited(folder: Folder, change: Callable[[dict[str, object]], None]) -> None:
    lock = yaml.safe_load((folder.root / LOCK).read_text())
    change(lock["stages"]["count"])
    (folder.root / LOCK).write_text(yaml.safe_dump(lock, sort_keys=False))


def test_a_lock_edited_by_hand_no_longer_covers_its_manifest(released_toy: Folder) -> None:
    edited(released_toy, lambda stage: stage["outs"][1].update(md5="0" * 32))
    result = proved(released_toy)
    assert result.verdict == "broken"
    assert f"manifest.json is not the one that {LOCK} records" in said(result)
    assert proved(released_toy, TAG).verdict == "verified"  # the tag holds its own lock


def test_a_lock_that_names_other_code_is_found(released_toy: Folder) -> None:
    def change(stage: dict[str, dict[str, dict[str, str]]]) -> None:
        stage["params"]["registry/code.yaml"]["methods.toy-count"] = "0" * 64

    edited(released_toy, change)
    result = proved(released_toy)
    assert result.verdict == "broken"
    assert f"{LOCK} and data/count/age-22-34/manifest.json name different code" in said(result)


@pytest.mark.parametrize("raw", [b"", b"\x00\xff", b"stages: [", b"stages: {count: 3}", b"- a"])
def test_a_damaged_lock_of_a_release_is_broken(raw: bytes, released_toy: Folder) -> None:
    (released_toy.root / LOCK).write_bytes(raw)
    released_toy.run("git", "commit", "--quiet", "--all", "--message", "damaged")
    released_toy.run("git", "tag", "--force", TAG, "HEAD")
    result = proved(released_toy, TAG)
    assert result.verdict == "broken"
    assert f"{LOCK} has no record of it" in said(result)


def test_a_tag_moved_to_another_commit_is_found(released_toy: Folder) -> None:
    released_toy.run("git", "tag", "--force", TAG, "HEAD~1")
    with pytest.raises(IntegrityError, match="not in the commit of the tag"):
        proved(released_toy, TAG)


def recorded_again(folder: Folder, node: str, **changed: object) -> None:
    """Writes a manifest anew and records it, as somebody with write access could."""
    path = folder.root / "data" / node.replace("@", "/") / "manifest.json"
    manifest = json.loads(path.read_text()) | changed
    before = md5(path.read_bytes())
    raw = canonical_json(manifest, indent=2) + b"\n"
    path.write_bytes(raw)
    for lock in (folder.root / "dvc.lock", folder.root / LOCK):
        lock.write_text(lock.read_text().replace(before, md5(raw)))


def test_a_recorded_manifest_that_says_its_contract_is_broken_is_broken(
    released_toy: Folder,
) -> None:
    path = released_toy.root / "data/words/manifest.json"
    (check,) = json.loads(path.read_text())["checks"]
    recorded_again(released_toy, "words", checks=[check | {"success": False, "unexpected": 2}])
    result = proved(released_toy)
    assert result.verdict == "broken"
    assert "its contract is broken: expect_column_values_to_be_unique" in said(result)
    recorded_again(released_toy, "words",
                   checks=[check | {"success": False, "severity": "warning"}])  # fmt: skip
    assert proved(released_toy).verdict == "verified"


def test_terms_that_did_not_grant_the_use_when_relied_on_are_found(released_toy: Folder) -> None:
    profile = released_toy.root / PROFILE
    granted = profile.read_text()
    profile.write_text(granted.replace("granted_on: ", 'granted_on: "2999-01-01" # '))
    raw = yaml.safe_load(profile.read_text())
    from registry.artifact import digest_of

    terms = digest_of([raw["permission"], raw["consent"] | {"granted_on": "2999-01-01"}])
    manifest = json.loads((released_toy.root / "data/count/age-22-34/manifest.json").read_text())
    entries = [entry | {"consent": terms} for entry in manifest["profiles"]]
    recorded_again(released_toy, NODE, profiles=entries)
    released_toy.run("git", "commit", "--quiet", "--all", "--message", "future")
    profile.write_text(granted)
    result = proved(released_toy)
    assert result.verdict == "ended"
    assert "when it was relied on, the permission holds only from 2999-01-01" in said(result)


def test_terms_that_no_commit_holds_are_said(released_toy: Folder) -> None:
    manifest = json.loads((released_toy.root / "data/count/age-22-34/manifest.json").read_text())
    entries = [entry | {"consent": "0" * 64} for entry in manifest["profiles"]]
    recorded_again(released_toy, NODE, profiles=entries)
    assert "no commit holds the terms that it relied on" in said(proved(released_toy))


@pytest.mark.parametrize("path", [PROFILE, "value_profiles/age-22-34/events/0001-admitted.yaml"])
@pytest.mark.parametrize("raw", [b"\xff\xfe", b"a: [", b"{}"])
def test_a_profile_that_cannot_be_read_grants_nothing(
    path: str, raw: bytes, released_toy: Folder
) -> None:
    place = released_toy.root / path
    if not place.is_file():
        place = next((released_toy.root / path).parent.glob("0001-*"))
    place.write_bytes(raw)
    result = proved(released_toy, TAG)
    assert result.verdict == "ended", said(result)
    assert "age-22-34 is gone or cannot be read" in said(result)


def test_everything_is_hashed_anew_and_once(
    released_toy: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from registry import artifact, hashing

    (released_toy.root / ".chorus/digests.json").write_text("{}")
    read: list[Path] = []
    plain = hashing.sha256_file

    def counted(path: Path) -> str:
        read.append(path)
        return plain(path)

    monkeypatch.setattr(hashing, "sha256_file", counted)
    monkeypatch.setattr(artifact, "sha256_file", counted)
    assert proved(released_toy).verdict == "verified"
    assert len(read) == len(set(read))
    wanted = {"counts.json", "words.parquet", "note.txt", "opinions.csv"}
    assert wanted <= {path.name for path in read}


def test_hashes_remember_files_only_while_they_are_the_same(tmp_path: Path) -> None:
    file, hasher = tmp_path / "a", Hasher(None)
    file.write_bytes(b"a")
    hasher.ahead([file, tmp_path / "nowhere"])
    before = hasher.file(file)
    file.unlink()
    file.write_bytes(b"b")
    assert hasher.file(file) != before


# Code.


@pytest.fixture
def own_methods(released_toy: Folder) -> Folder:
    """The project holds the package that offers its methods, as this one does."""
    packages = Path(__file__).parents[1] / "packages" / "toy"
    shutil.copytree(packages / "toy_methods", released_toy.root / "toy_methods")
    shutil.copy(packages / "pyproject.toml", released_toy.root)
    released_toy.run("git", "add", "--all")
    released_toy.run("git", "commit", "--quiet", "--message", "methods")
    return released_toy


def test_the_projects_own_code_is_compared_with_the_git_tree(own_methods: Folder) -> None:
    head = own_methods.run("git", "rev-parse", "HEAD").out.strip()
    at_head = hop(proved(own_methods, rev="HEAD"), "code of toy-count")
    assert at_head.findings == (f"compared with the Git tree of {head[:10]}",)
    here = hop(proved(own_methods), "code of toy-count")
    assert (here.state, here.findings) == ("verified", ("compared with the working tree",))


def test_code_that_moved_on_is_said_and_is_broken_only_in_a_release(own_methods: Folder) -> None:
    source = own_methods.root / "toy_methods/count.py"
    source.write_text(source.read_text() + "\n# a comment changes nothing\n")
    assert "compared with the working tree" in said(proved(own_methods))
    source.write_text(source.read_text() + "\nMORE = 1\n")
    found = hop(proved(own_methods), "code of toy-count")
    assert found.state == "verified"
    assert "the working tree holds other code than made it" in found.findings[0]
    own_methods.run("git", "commit", "--quiet", "--all", "--message", "other code")
    head = own_methods.run("git", "rev-parse", "HEAD").out.strip()
    proof = CodeProof(own_methods.root, head)
    manifest = json.loads((own_methods.root / "data/count/age-22-34/manifest.json").read_text())
    from registry.artifact import MethodEntry

    assert proof.compare(MethodEntry(**manifest["method"])).same is False


def test_code_of_a_distribution_is_compared_where_it_is_installed(released_toy: Folder) -> None:
    done = released_toy.chorus("lineage", "verify", NODE)
    assert "compared with toy-methods 1.0.0 as it is installed here" in done.out
    found = hop(proved(released_toy), "code of toy-count")  # here it is not
    assert (
        "toy-methods 1.0.0 itself could not be compared: it is not installed" in found.findings[0]
    )


@pytest.mark.parametrize(
    ("text", "edited"),
    [(None, False), ("not json", False), ('{"dir_info": {"editable": true}}', True), ("{}", False)],
)
def test_a_distribution_that_is_worked_on_is_known(text: str | None, edited: bool) -> None:
    assert _is_edited(text) is edited


# Records of the past.


def verdict(folder: Folder) -> str:
    """How proof of the release ends, whether it is said or raised."""
    try:
        return proved(folder, TAG).verdict
    except IntegrityError:
        return "broken"


def test_no_fault_here_ends_in_anything_but_our_errors(released_toy: Folder) -> None:
    for path in sorted((released_toy.root / BUNDLE).rglob("*")):
        if path.is_file():
            before = path.read_bytes()
            flip(path)
            assert verdict(released_toy) == "broken", path
            path.chmod(0o644)
            path.write_bytes(before)
