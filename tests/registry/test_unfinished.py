"""What was begun with a community's words is found and removed, whatever stopped it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from registry.unfinished import Attempt, begin, begun, finish, left_with, remove
from tests.conftest import Folder
from tests.registry.proposals import ID, propose
from tests.registry.test_profile_desk import ATTESTED, STEWARD, WHY, take_up
from tests.registry.test_withdrawal import LEAVE, SAYINGS, SECRET, commit, holds

WORDS = SECRET.encode()
BROKEN = """\
contract:
  - expect: expect_table_row_count_to_be_between
    table: words.parquet
    min_value: 1000
    reason: It is never so many, so that the work stays unfinished.
"""


def scratch(root: Path, place: str, *profiles: str) -> Path:
    folder = root / "data" / place
    folder.mkdir(parents=True)
    begin(folder, Attempt(node="one", causes="0" * 64, profiles=profiles))
    return folder


def form(root: Path, place: str, name: str, state: object) -> Path:
    folder = root / ".chorus" / place / name
    folder.mkdir(parents=True)
    (folder / "state.json").write_text(json.dumps(state))
    return folder


class TestScratch:
    def test_it_says_what_it_is_for_until_a_manifest_does(self, tmp_path: Path) -> None:
        attempt = Attempt(node="voice@a-b", causes="1" * 64, profiles=("a-b", "c-d"))
        begin(tmp_path, attempt)
        assert begun(tmp_path) == attempt
        finish(tmp_path)
        assert begun(tmp_path) is None

    @pytest.mark.parametrize("raw", ["", "{", "[]", '{"node": "a"}', '{"more": 1}'])
    def test_a_note_that_cannot_be_read_is_none(self, tmp_path: Path, raw: str) -> None:
        (tmp_path / "attempt.json").write_text(raw)
        assert begun(tmp_path) is None

    def test_those_that_rest_on_a_community_are_found_wherever_they_lie(
        self, tmp_path: Path
    ) -> None:
        wanted = [
            scratch(tmp_path, ".choir.scratch", "a-b", "c-d"),
            scratch(tmp_path, "voice/.a-b.scratch", "a-b"),
            scratch(tmp_path, "voice/.e-f.scratch", "a-b", "e-f"),
        ]
        others = [
            scratch(tmp_path, "voice/.c-d.scratch", "c-d"),
            scratch(tmp_path, ".words.scratch"),
            scratch(tmp_path, "voice/a-b", "a-b"),
        ]
        assert left_with(tmp_path, "a-b") == wanted
        remove(wanted)
        assert not any(folder.exists() for folder in wanted)
        assert all(folder.exists() for folder in others)
        remove(wanted)

    def test_a_manifest_says_it_too_and_what_says_nothing_may_rest_on_anybody(
        self, tmp_path: Path
    ) -> None:
        for name, profiles in (("one", ["a-b"]), ("two", ["c-d"]), ("three", None)):
            folder = tmp_path / "data" / f".{name}.scratch"
            folder.mkdir(parents=True)
            if profiles is not None:
                manifest = {"profiles": [{"id": one} for one in profiles]}
                (folder / "manifest.json").write_text(json.dumps(manifest))
        (tmp_path / "data" / ".four.old").mkdir()
        found = [folder.name for folder in left_with(tmp_path, "a-b")]
        assert found == [".one.scratch", ".three.scratch", ".four.old"]


class TestForms:
    def test_only_those_that_show_words_of_the_community_are_found(self, tmp_path: Path) -> None:
        base = {"id": "a-b", "revision": 1, "sha256": "0", "opened": True}
        empty = {"base": None, "fields": {}, "receipt": []}
        reply = json.dumps({"communities": ["c-d", "a-b"]})
        wanted = [
            form(tmp_path, "drafts", "1", empty | {"base": base}),
            form(tmp_path, "answers", "2", empty | {"fields": {"reply": [reply]}}),
            form(tmp_path, "answers", "3", empty | {"receipt": [["profile", "a-b"]]}),
        ]
        form(tmp_path, "drafts", "4", empty)
        form(tmp_path, "drafts", "5", empty | {"base": base | {"opened": False}})
        form(tmp_path, "drafts", "6", empty | {"base": base | {"id": "c-d"}})
        form(tmp_path, "drafts", "7", empty | {"receipt": [["profile", "a-b"]]})
        form(tmp_path, "answers", "8", empty)
        (tmp_path / ".chorus" / "drafts" / "9").mkdir()
        assert left_with(tmp_path, "a-b") == wanted

    def test_what_was_being_handed_in_is_found(self, tmp_path: Path) -> None:
        folder = tmp_path / ".chorus" / "outgoing" / "1f" / "proposals" / "a-b"
        folder.mkdir(parents=True)
        (folder.parent / "c-d").mkdir()
        assert left_with(tmp_path, "a-b") == [folder]


# With the whole project around it.


@pytest.fixture
def begun_only(toy: Folder) -> Folder:
    """Two communities whose nodes were begun, and never made."""
    toy.declare("datasets", SAYINGS.replace("contract: []\n", BROKEN))
    other = propose(toy.root, name="hill-shepherds")
    values = other / "content" / "values.csv"
    values.write_text(values.read_text().replace(SECRET, "Count the flock"))
    take_up(toy, "hill-shepherds")
    propose(toy.root, notice_days=0)
    take_up(toy)
    for community in (ID, "hill-shepherds"):
        toy.chorus("make", f"sayings@{community}", expect=1)
    commit(toy)
    return toy


def test_who_leaves_leaves_nothing_in_nodes_that_were_never_made(begun_only: Folder) -> None:
    root = begun_only.root
    mine, theirs = (root / "data/sayings" / f".{c}.scratch" for c in (ID, "hill-shepherds"))
    assert mine.is_dir()
    assert not (root / "data/sayings" / ID).exists()
    waiting = root / "proposals" / f"{ID}.tests"
    waiting.mkdir()
    (waiting / "one.json").write_text(SECRET)
    base = {"id": ID, "revision": 1, "sha256": "0", "opened": True}
    draft = form(root, "drafts", "1f", {"base": base, "fields": {"x": [SECRET]}, "receipt": []})
    plan = begun_only.chorus("profile", "withdraw", ID, "--dry-run", "--json").json
    assert plan["unfinished"] == [
        f"data/sayings/.{ID}.scratch", ".chorus/drafts/1f", f"proposals/{ID}.tests",
    ]  # fmt: skip
    assert draft.is_dir()
    said = begun_only.chorus("profile", "withdraw", ID, *LEAVE).out
    assert f"data/sayings/.{ID}.scratch" in said
    assert not any(path.exists() for path in (mine, draft, waiting))
    assert not (root / ".chorus/runs" / f"sayings@{ID}").exists()
    assert theirs.is_dir()
    assert not holds(root / "data", WORDS)
    assert not holds(root / ".chorus", WORDS)


def test_a_row_that_is_taken_back_is_in_nothing_unfinished(begun_only: Folder) -> None:
    row = ("--item", "mend-first", "--by", STEWARD, *ATTESTED, *WHY, "--yes")
    said = begun_only.chorus("profile", "withdraw", ID, *row).out
    assert f"data/sayings/.{ID}.scratch" in said
    assert not holds(begun_only.root / "data", WORDS)
    assert (begun_only.root / "data/sayings/.hill-shepherds.scratch").is_dir()


_LEAVING = """
import shutil, subprocess, sys
from registry import make
from registry.cli import main
node, *leaving = sys.argv[1:]
original = make.run_method
def then_they_leave(*a, **k):
    original(*a, **k)
    scratch = f"data/sayings/.{leaving[0]}.scratch"
    shutil.copytree(scratch, "written-late")
    command = [sys.executable, "-P", "-m", "registry.cli", "profile", "withdraw", *leaving]
    subprocess.run(command, check=True, capture_output=True)
    shutil.move("written-late", scratch)
make.run_method = then_they_leave
sys.argv = ["chorus", "make", node]
main()
"""


@pytest.mark.parametrize("of_it", [(), ("--item", "mend-first")], ids=["all of it", "one row"])
def test_what_a_method_writes_after_they_left_is_not_kept(
    toy: Folder, of_it: tuple[str, ...]
) -> None:
    toy.declare("datasets", SAYINGS)
    propose(toy.root, notice_days=0)
    take_up(toy)
    commit(toy)
    node = f"sayings@{ID}"
    done = toy.run(sys.executable, "-c", _LEAVING, node, ID, *of_it, *LEAVE, expect=None)
    assert done.code != 0
    assert not (toy.root / "written-late").exists()
    assert not (toy.root / "data/sayings" / ID).exists()
    assert not holds(toy.root / "data", WORDS)
