"""The index of all commits: what it answers, how it follows Git, and how it mends itself."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import time
from pathlib import Path

import pytest

from registry.history import History, Record, open_history
from registry.history_reading import lock_entries, node_of
from tests.conftest import Folder
from tests.registry.conftest import NODE, TAG

TABLE = "value_profiles/age-22-34/opinions.csv"


def made_from(root: Path, tag: str = TAG) -> list[str]:
    with open_history(root) as history:
        node, commit = history.node_of_release(tag) or ("", "")
        return [record.node for record in history.made_from(history.at(commit, node) or 0)]


def made_with(root: Path, path: str) -> set[str]:
    with open_history(root) as history:
        return {record.node for record in history.made_with(history.using(path))}


def commit(folder: Folder, message: str = "more") -> None:
    folder.run("git", "commit", "--quiet", "--all", "--allow-empty", "--message", message)


def test_both_directions(released_toy: Folder) -> None:
    assert made_from(released_toy.root) == [NODE, "letters@age-22-34", "words"]
    assert made_with(released_toy.root, TABLE) == {NODE}
    assert made_with(released_toy.root, "value_profiles/age-22-34") == {NODE}
    field = "value_profiles/age-22-34/profile.yaml: opinions"
    assert made_with(released_toy.root, field) == {NODE}
    assert made_with(released_toy.root, "value_profiles/age-22") == set()
    with open_history(released_toy.root) as history:
        assert {r.node for r in history.made_with(history.by_method("toy-words"))} == {
            NODE, "letters@age-22-34", "words"}  # fmt: skip
        assert set(history.releases()) == {TAG}
        assert set(history.releases()[TAG]) == {NODE, "letters@age-22-34", "words"}


def changed(folder: Folder) -> None:
    """The same artifact as if it had been made anew, in the next commit."""
    lock = folder.root / "dvc.lock"
    lock.write_text(lock.read_text().replace("size: ", "size: 1"))
    commit(folder)


def test_a_commit_adds_what_it_changed_and_a_rewritten_history_takes_it_away(
    released_toy: Folder,
) -> None:
    def records() -> list[Record]:
        with open_history(released_toy.root) as history:
            return history.of("words")

    (first,) = records()
    changed(released_toy)
    assert len(records()) == 2
    assert first in records()
    released_toy.run("git", "reset", "--quiet", "--hard", "HEAD~1")
    assert records() == [first]


def test_a_release_whose_tag_is_gone_or_moved_is_no_longer_known(released_toy: Folder) -> None:
    made_from(released_toy.root)
    released_toy.run("git", "tag", "other", "HEAD~1")
    released_toy.run("git", "tag", "--force", TAG, "HEAD~1")
    with open_history(released_toy.root) as history:
        assert history.releases() == {}
    released_toy.run("git", "tag", "--delete", TAG)
    with open_history(released_toy.root) as history:
        assert history.node_of_release(TAG) is None


@pytest.mark.parametrize("damage", ["nothing", "text", "cut", "other version", "emptied"])
def test_whatever_is_wrong_with_the_file_it_is_made_again(
    damage: str, released_toy: Folder
) -> None:
    before = made_from(released_toy.root)
    path = released_toy.root / ".chorus/history.sqlite"
    raw = path.read_bytes()
    if damage == "nothing":
        path.write_bytes(b"")
    elif damage == "text":
        path.write_text("this is no index\n" * 400)
    elif damage == "cut":
        path.write_bytes(raw[:8192] + b"\xff" * (len(raw) - 8192))
    else:
        with sqlite3.connect(path) as base:
            base.execute(
                "DROP TABLE uses" if damage == "emptied" else "UPDATE meta SET value = '0'"
            )
        base.close()
    assert made_from(released_toy.root) == before


def test_a_project_without_a_commit_has_no_history(toy: Folder) -> None:
    with open_history(toy.root) as history:
        assert history.count() == 0
        assert history.releases() == {}


def test_several_processes_at_once_read_the_same(released_toy: Folder) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        found = pool.map(made_from, [released_toy.root] * 3)
    assert all(one == found[0] and len(one) == 3 for one in found)


def _die_while_indexing(root: Path) -> None:
    original = History._read_releases

    def killed(self: History) -> None:
        original(self)
        os.kill(os.getpid(), signal.SIGKILL)

    History._read_releases = killed  # type: ignore[method-assign]
    History(root)


def test_a_killed_process_leaves_an_index_that_goes_on(released_toy: Folder) -> None:
    process = multiprocessing.get_context("spawn").Process(
        target=_die_while_indexing, args=(released_toy.root,)
    )
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert made_from(released_toy.root) == [NODE, "letters@age-22-34", "words"]


def test_a_lock_is_read_entry_by_entry_and_damage_costs_one_entry() -> None:
    good = "  {name}:\n    outs:\n    - path: data/{name}/files\n      md5: {name}.dir\n"
    lock = "schema: '2.0'\nstages:\n" + good.format(name="a") + "  b: [\n" + good.format(name="c")
    entries = list(lock_entries(lock.encode(), "dvc.lock", ()))
    assert [(entry.node, entry.content) for entry in entries] == [("a", "a.dir"), ("c", "c.dir")]
    (inside, _) = lock_entries(lock.encode(), "registry/pipelines/x/dvc.lock", ())
    assert inside.node == "a@x"
    known = {f"{entries[0].node}\0{entries[0].text}"}
    assert next(lock_entries(lock.encode(), "dvc.lock", known)).content == ""


@pytest.mark.parametrize("raw", [b"", b"stages:", b"\xff\xfe", b"stages:\n  a: 3\n", b"- x\n"])
def test_what_is_no_lock_has_no_entries(raw: bytes) -> None:
    assert list(lock_entries(raw, "dvc.lock", ())) == []


@pytest.mark.parametrize(
    ("path", "node"),
    [("data/a/files", "a"), ("data/a/b/files", "a@b"), ("data/a/manifest.json", None), ("x", None)],
)
def test_a_path_leads_to_its_node(path: str, node: str | None) -> None:
    assert node_of(path) == node


def test_opening_it_again_reads_no_commit(
    released_toy: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_from(released_toy.root)
    monkeypatch.setattr(History, "_follow", lambda *_: pytest.fail("it read the history again"))
    started = time.perf_counter()
    made_from(released_toy.root)
    assert time.perf_counter() - started < 5
