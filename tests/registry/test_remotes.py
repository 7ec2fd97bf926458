"""Remotes, and proof from a bare clone with nothing but Git and a folder of objects."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Folder
from tests.registry.conftest import NODE, TAG


@pytest.fixture
def pushed(released_toy: Folder) -> Folder:
    """The release's project, with everything in a remote that is a folder."""
    released_toy.chorus("remote", "add", "store", str(released_toy.root.parent / "store"))
    released_toy.chorus("push")
    released_toy.run("git", "commit", "--quiet", "--all", "--message", "a remote")
    return released_toy


def cloned(folder: Folder, *how: str) -> Folder:
    target = folder.root.parent / "clone"
    folder.run("git", "clone", "--quiet", *how, str(folder.root), str(target))
    return Folder(target, folder.env)


def store(folder: Folder) -> Path:
    return folder.root.parent / "store"


def test_remotes_are_added_listed_chosen_and_forgotten(toy: Folder) -> None:
    assert "no remote yet" in toy.chorus("remote", "list").err
    toy.chorus("remote", "add", "near", "../near")
    toy.chorus("remote", "add", "far", "s3://bucket/place")
    assert "already" in toy.chorus("remote", "add", "far", "x", expect=2).err
    listed = toy.chorus("remote", "list", "--json").json["remotes"]
    near = {"name": "near", "url": str(toy.root.parent / "near"), "default": True}
    assert listed == [{"name": "far", "url": "s3://bucket/place", "default": False}, near]
    toy.chorus("remote", "default", "far")
    toy.chorus("remote", "remove", "far")
    assert "no remote is called 'far'" in toy.chorus("remote", "default", "far", expect=2).err
    (left,) = toy.chorus("remote", "list", "--json").json["remotes"]
    assert left == near | {"default": False}
    assert "no remote is the default" in toy.chorus("push", expect=2).err
    assert "remotes: near" in toy.chorus("pull", "--remote", "nope", expect=2).err


def test_a_bare_clone_and_a_folder_of_objects_are_enough(pushed: Folder) -> None:
    bare = cloned(pushed, "--bare")
    bare.run("rm", "-rf", str(pushed.root / ".dvc"))  # only the folder is left
    there = ("--objects", str(store(pushed)))
    assert bare.chorus("lineage", "verify", TAG, *there).out.startswith("verified")
    assert bare.chorus("lineage", "show", TAG).out.startswith(NODE)
    assert bare.chorus("lineage", "verify", "words", "--rev", "HEAD", *there).out.startswith(
        "verified"
    )
    assert TAG in bare.chorus("lineage", "impact", "--partner", "age-22-34").out
    wrong = bare.chorus("lineage", "verify", TAG, "--objects", "/", expect=2).err
    assert "holds no objects of DVC" in wrong
    for path in store(pushed).rglob("*"):
        if path.is_file():
            path.chmod(0o644)
            path.write_bytes(path.read_bytes()[:-1] + b"!")
    assert bare.chorus("lineage", "verify", TAG, *there, expect=3).out.startswith("broken")


def test_a_clone_pulls_a_release_and_verifies_it(pushed: Folder) -> None:
    clone = cloned(pushed)
    note = "they were read as DVC keeps them"  # in the remote, which is a folder
    assert note in clone.chorus("lineage", "verify", TAG).out
    assert "fetched" in clone.chorus("pull", TAG).err
    pushed.run("rm", "-rf", str(store(pushed)))
    proved = clone.chorus("lineage", "verify", TAG).out
    assert proved.startswith("verified")
    assert note not in proved


def test_a_clone_that_reaches_no_bytes_proves_nothing(pushed: Folder) -> None:
    clone = cloned(pushed)
    pushed.run("rm", "-rf", str(store(pushed)))
    assert "broken" in clone.chorus("lineage", "verify", TAG, expect=3).out


def test_artifacts_are_pulled_with_what_they_were_made_from(pushed: Folder) -> None:
    clone = cloned(pushed)
    clone.chorus("pull", NODE)
    assert sorted(path.name for path in (clone.root / "data").iterdir()) == ["count"]
    clone.chorus("pull", NODE, "--upstream")
    assert sorted(path.name for path in (clone.root / "data").iterdir()) == [
        "count", "letters", "words"]  # fmt: skip
    assert clone.chorus("lineage", "verify", NODE).out.startswith("verified")
    assert "here already" in clone.chorus("pull").err
    assert "no lock records 'nope'" in clone.chorus("pull", "nope", expect=2).err


@pytest.mark.parametrize("target", [NODE, TAG])
def test_what_the_remote_lacks_is_named(target: str, pushed: Folder) -> None:
    from registry.store import md5

    digest = md5((pushed.root / "data/count/age-22-34/files/counts.json").read_bytes())
    (store(pushed) / "files/md5" / digest[:2] / digest[2:]).unlink()
    clone = cloned(pushed)
    said = clone.chorus("pull", target, expect=3).err
    assert f"remote store ({store(pushed)}) does not hold" in said
    assert "data/count/age-22-34/files/counts.json" in said
    assert "chorus push" in said
    assert "Traceback" not in said


def test_what_the_cache_lost_is_not_pushed(pushed: Folder) -> None:
    pushed.run("rm", "-rf", ".dvc/cache", str(store(pushed)))
    assert "DVC's cache no longer holds" in pushed.chorus("push", expect=3).err


def test_a_record_that_reaches_outside_its_folder_writes_nothing(tmp_path: Path) -> None:
    from registry.checkout import _place
    from registry.errors import IntegrityError

    (tmp_path / "secret").write_text("x")
    for name in ("../out", "/tmp/chorus-out", "a/../../out"):
        with pytest.raises(IntegrityError, match="outside its folder"):
            _place({name: tmp_path / "secret"}, tmp_path / "target", link=False)
    assert not (tmp_path / "out").exists()
