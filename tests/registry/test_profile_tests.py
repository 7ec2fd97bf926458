"""A community's own tests: added, chained, proposed, retired; and what they stop."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from registry import test_desk
from registry.errors import ChorusError, IntegrityError, RefusedError, UsageError
from registry.profile_check import check_tables
from registry.profile_desk import digest_of_yaml
from registry.profile_tests import CommunityTest, Marked, normalised, plain_answer
from registry.test_desk import (
    accepted,
    add,
    marked,
    proposals,
    propose,
    proposed_folder,
    retire,
    take,
)
from tests.conftest import ROOT, Folder
from tests.registry.proposals import ID
from tests.registry.proposals import propose as write_proposal
from tests.registry.test_profile_desk import ATTESTED, STEWARD, act, take_up
from tests.registry.test_release import TOY

GROUP = "age-22-34"
MAINTAINERS = ("maintainer:1", "maintainer:2")
WHY = "Nobody whom I know would say so."
SAID = {
    "question": "How much do you trust the news media?",
    "options": ("A lot", "Some", "None"),
    "wrong": "None",
    "why": WHY,
    "model": "parrot@age-22-34",
    "content": "ab" * 32,
    "by": "register:7",
}


def mark(**changed: object) -> Marked:
    return marked(GROUP, **{**SAID, **changed})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "registry").mkdir()
    shutil.copytree(ROOT / "value_profiles" / GROUP, tmp_path / "value_profiles" / GROUP)
    made_up = "example-tidewater-coop"
    shutil.copytree(ROOT / "value_profiles" / made_up, tmp_path / "value_profiles" / made_up)
    return tmp_path


def table(root: Path) -> Path:
    return root / "value_profiles" / GROUP / "tests.jsonl"


def records(root: Path) -> list[str]:
    return sorted(p.name for p in (root / "value_profiles" / GROUP / "tests").glob("*"))


def doubts(root: Path) -> list[str]:
    return list(accepted(root, GROUP).tests.doubts())


# What a test is.


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("  Yes. ", "yes"),
        ("»No!«", "no"),
        ("Straße", "STRASSE"),
        ("two\n lines", "two lines"),
        ("ﬁne", "fine"),
        ("- Buy a new one.", "buy a new one"),
        ("**Ask first**", "ask first"),
    ],
)
def test_what_two_people_would_write_differently_is_the_same(one: str, other: str) -> None:
    assert normalised(one) == normalised(other)


@pytest.mark.parametrize(("one", "other"), [("-5", "5"), ("yes", "yes, but"), ("?", "!")])
def test_what_differs_stays_different(one: str, other: str) -> None:
    assert normalised(one) != normalised(other)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=20))
@example("-5 degrees")
@example("\x00- \u202eBuy\u200d a new one\x7f")
@example("\u32c00")
@example("\uff0d5 degrees")
def test_what_a_model_wrote_is_a_text_that_a_table_takes_and_stays_the_same(text: str) -> None:
    plain = plain_answer(text)
    if any(c.isalnum() for c in plain):
        assert mark(options=(), wrong=plain).wrong == unicodedata.normalize("NFC", plain)
        assert normalised(plain) == normalised(text)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"question": "Is it\u202e so?"}, "turns the direction of writing"),
        ({"question": "Is it\x07 so?"}, "control character"),
        ({"why": "=cmd|' /C calc'!A0 is why"}, "which a spreadsheet runs"),
        ({"why": "no"}, "must have 10 to 1000"),
        ({"question": "w" * 4001}, "at most 4000"),
        ({"wrong": "Some of it"}, "none of the options"),
        ({"better": "Plenty"}, "none of the options"),
        ({"better": "None"}, "is the answer that is marked wrong"),
        ({"options": ("A lot",)}, "two or more different"),
        ({"options": ("None", "None")}, "two or more different"),
        ({"options": tuple(f"o{n}" for n in range(27)), "wrong": "o1"}, "at most 26"),
        ({"by": "somebody@example.org"}, "never an address"),
        ({"model": "../../etc"}, "should match pattern"),
        ({"content": "nothing"}, "64 small hex digits"),
        ({"wrong": "   "}, "must have 1 to 4000 characters"),
        ({"surprise": 1}, "not permitted"),
    ],
)
def test_what_no_profile_may_hold_no_test_holds(changed: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        mark(**changed)


def test_everything_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(UsageError, match=r"why: .*; by: "):
        mark(why="no", by="x@y")


def test_a_digest_confirms_no_guess_and_does_not_hang_on_the_order_of_keys() -> None:
    test = CommunityTest(id="test-1", **mark().model_dump())
    shuffled = dict(reversed(json.loads(test.model_dump_json()).items()))
    assert CommunityTest.model_validate(shuffled).sha256 == test.sha256
    other = test.model_copy(update={"salt": "0" * 32})
    assert CommunityTest.model_validate(other.model_dump()).sha256 != test.sha256


def test_off_limits_holds_for_tests_too(root: Path) -> None:
    made_up = "example-tidewater-coop"
    with pytest.raises(UsageError, match="'bell roll', which is off limits"):
        add(root, made_up, mark(question="What stands on the Bell Roll?"))
    assert not (root / "value_profiles" / made_up / "tests.jsonl").exists()


# Adding one.


def test_it_is_added_for_ever_and_the_profile_stays_as_it_is(root: Path) -> None:
    before = accepted(root, GROUP)
    receipt = add(root, GROUP, mark())
    after = accepted(root, GROUP)
    assert (after.digest, after.life) == (before.digest, before.life)
    assert receipt.act == "test-1 added"
    assert receipt.event == f"value_profiles/{GROUP}/tests/0001-added.yaml"
    assert "--retire test-1" in receipt.undo
    (test,) = after.tests.standing
    assert (test.id, test.wrong, test.kind) == ("test-1", "None", "options")
    assert check_tables(after) == []
    assert doubts(root) == []
    text = (root / receipt.event).read_text()
    assert not any(str(word) in text for word in (SAID["question"], WHY, "None"))


def test_the_same_mark_is_not_added_twice(root: Path) -> None:
    add(root, GROUP, mark())
    again = mark(
        question=" how much do you TRUST the news media", options=("None", "Some", "A lot")
    )
    with pytest.raises(UsageError, match="is test-1 already"):
        add(root, GROUP, again)
    add(root, GROUP, mark(wrong="Some"))
    assert [t.id for t in accepted(root, GROUP).tests.standing] == ["test-1", "test-2"]


def test_a_profile_that_is_not_here_or_has_left_takes_none(root: Path) -> None:
    with pytest.raises(UsageError, match="no profile is called 'age-22-43'"):
        add(root, "age-22-43", mark())
    with pytest.raises(UsageError, match="no profile"):
        add(root, "../registry", mark())


def altered(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def swap(folder: Path) -> None:
    one, two = folder / "0001-added.yaml", folder / "0002-added.yaml"
    first = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(first)


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda f: altered(f / "tests.jsonl", WHY, "It is quite all right so."), "was altered"),
        (lambda f: altered(f / "tests.jsonl", "Some", "Sums"), "was altered"),
        (
            lambda f: (f / "tests.jsonl").write_text(
                (f / "tests.jsonl").read_text().split("\n")[0]
            ),
            "test-2 is gone",
        ),
        (lambda f: (f / "tests.jsonl").unlink(), "test-1 is gone"),
        (lambda f: (f / "tests.jsonl").write_text("no json\n"), "is no JSON object"),
        (lambda f: (f / "tests/0001-added.yaml").unlink(), "one before it is missing"),
        (lambda f: altered(f / "tests/0001-added.yaml", "register:7", "register:8"), "follows"),
        (lambda f: swap(f / "tests"), "follows another record"),
    ],
)
def test_none_vanishes_or_changes_unseen(root: Path, harm: object, message: str) -> None:
    add(root, GROUP, mark())
    add(root, GROUP, mark(wrong="Some"))
    harm(root / "value_profiles" / GROUP)  # type: ignore[operator]
    tests = [*_tests(root).doubts()]
    assert any(message in doubt for doubt in tests), tests
    with pytest.raises((IntegrityError, ChorusError)):
        add(root, GROUP, mark(wrong="A lot"))


def _tests(root: Path):
    from registry.profile_folder import read_profile

    profile, _ = read_profile(root / "value_profiles" / GROUP, root)
    assert profile is not None
    return profile.tests


@pytest.mark.parametrize("name", ["dvc.yaml", "0001-added.yml", "0001-added.yaml.bak", ".hidden"])
def test_a_planted_file_among_the_records_is_refused(root: Path, name: str) -> None:
    add(root, GROUP, mark())
    (root / "value_profiles" / GROUP / "tests" / name).write_text("stages: {}\n")
    with pytest.raises(ChorusError, match="is a file that a profile does not have"):
        accepted(root, GROUP)


def _killed_before_the_record(root: Path) -> None:
    test_desk._record = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    add(root, GROUP, mark(wrong="Some"))


def test_a_killed_process_loses_no_test_and_the_next_one_records_it(root: Path) -> None:
    add(root, GROUP, mark())
    context = multiprocessing.get_context("fork")
    process = context.Process(target=_killed_before_the_record, args=(root,))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert records(root) == ["0001-added.yaml"]
    (doubt,) = doubts(root)
    assert "test-2 in tests.jsonl has no record" in doubt
    add(root, GROUP, mark(wrong="A lot"))
    assert doubts(root) == []
    assert [t.wrong for t in accepted(root, GROUP).tests.standing] == ["None", "Some", "A lot"]


def _add_some(root: Path, who: str) -> None:
    for number in range(4):
        add(root, GROUP, mark(question=f"Does {who} agree, number {number}?"))


def test_two_writers_lose_nothing(root: Path) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_add_some, args=(root, who)) for who in ("one", "two")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert len(accepted(root, GROUP).tests.standing) == 8
    assert doubts(root) == []


# Ending one.


def test_only_those_who_may_retire_a_test_and_it_stays_visible(root: Path) -> None:
    add(root, GROUP, mark())
    for by in (("maintainer:1",), ("maintainer:1", "maintainer:1")):
        with pytest.raises(RefusedError, match="2 maintainers retire a test"):
            retire(root, GROUP, "test-1", by, "It asked about something else.")
    with pytest.raises(UsageError, match="no test is called 'test-9'"):
        retire(root, GROUP, "test-9", MAINTAINERS, "It asked about something else.")
    with pytest.raises(UsageError, match="reason"):
        retire(root, GROUP, "test-1", MAINTAINERS, "no")
    before = table(root).read_bytes()
    receipt = retire(root, GROUP, "test-1", MAINTAINERS, "It asked about something else.")
    tests = accepted(root, GROUP).tests
    assert receipt.act == "test-1 retired"
    assert table(root).read_bytes() == before
    assert tests.standing == ()
    assert tests.retired["test-1"].by == MAINTAINERS
    assert doubts(root) == []
    with pytest.raises(UsageError, match="was retired before"):
        retire(root, GROUP, "test-1", MAINTAINERS, "It asked about something else.")
    assert add(root, GROUP, mark()).act == "test-2 added"


# Proposed ones.


def test_a_proposal_waits_until_somebody_takes_it_over(root: Path) -> None:
    name = propose(root, GROUP, mark())
    assert propose(root, GROUP, mark()) == name
    assert not table(root).exists()
    assert list(proposals(root, GROUP)) == [name]
    assert "/*.tests/" in (root / "proposals/.gitignore").read_text()
    receipt = take(root, GROUP, name, ("maintainer:1",))
    assert receipt is not None
    (test,) = accepted(root, GROUP).tests.standing
    assert test.by == "register:7"
    assert "maintainer:1" in (root / receipt.event).read_text()
    assert proposals(root, GROUP) == {}
    with pytest.raises(UsageError, match="no proposed test"):
        take(root, GROUP, name, ("maintainer:1",))


def test_taking_over_twice_adds_one(root: Path) -> None:
    name = propose(root, GROUP, mark())
    path = proposed_folder(root, GROUP) / f"{name}.json"
    content = path.read_bytes()
    take(root, GROUP, name, ("maintainer:1",))
    path.write_bytes(content)  # as if the process had died before it removed the proposal
    assert take(root, GROUP, name, ("maintainer:1",)) is None
    assert not path.exists()
    assert len(accepted(root, GROUP).tests.standing) == 1


@pytest.mark.parametrize("name", ["../../secret", "/etc/passwd", "", "2026-11-23-0000000g"])
def test_a_name_is_never_a_path(root: Path, name: str) -> None:
    (root / "secret.json").write_text(mark().model_dump_json())
    propose(root, GROUP, mark())
    with pytest.raises(UsageError, match="no proposed test"):
        take(root, GROUP, name, ("maintainer:1",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "Invalid JSON"),
        (b"[]", "is no proposed test"),
        (b'{"question": "' + b"x" * 70_000 + b'"}', "is larger than"),
    ],
)
def test_a_proposal_that_is_none_is_said_with_its_file(
    root: Path, content: bytes, message: str
) -> None:
    name = propose(root, GROUP, mark())
    (proposed_folder(root, GROUP) / f"{name}.json").write_bytes(content)
    with pytest.raises(UsageError, match=message):
        take(root, GROUP, name, ("maintainer:1",))
    with pytest.raises(UsageError, match=f"proposals/{GROUP}.tests/{name}.json"):
        proposals(root, GROUP)


def test_there_is_an_end_to_proposals(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_desk, "MAX_PROPOSED", 2)
    for number in range(2):
        propose(root, GROUP, mark(question=f"Question number {number}?"))
    with pytest.raises(UsageError, match="wait already"):
        propose(root, GROUP, mark())


# With the whole project around it.


@pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")  # DVC's own
def test_held_words_stay_out_of_git_and_the_next_revision_brings_them_along(toy: Folder) -> None:
    write_proposal(toy.root)
    take_up(toy)
    standing = toy.root / "value_profiles" / ID
    before = (standing / "content.dvc").read_text()
    add(toy.root, ID, mark(model="count"))
    assert (standing / "content.dvc").read_text() != before
    toy.run("git", "add", "--all")
    known = toy.run("git", "ls-files", "value_profiles").out
    assert f"value_profiles/{ID}/tests/0001-added.yaml" in known
    assert "tests.jsonl" not in known
    # A second revision is submitted; while it is read, another test is added.
    write_proposal(toy.root, revision=2, supersedes=digest_of_yaml(standing))
    revised = toy.root / "proposals" / ID
    shutil.copytree(standing / "events", revised / "events")
    act(toy, "submit", by=STEWARD)
    act(toy, "review", "--for-community", by=STEWARD)
    add(toy.root, ID, mark(model="count", wrong="Some"))
    act(toy, "review")
    (revised / "content/tests.jsonl").write_text(
        CommunityTest(id="test-1", **mark().model_dump()).model_dump_json() + "\n"
    )
    assert "brings tests that were never added" in act(toy, "accept", expect=2)
    (revised / "content/tests.jsonl").unlink()
    act(toy, "accept")
    taken_up = accepted(toy.root, ID)
    assert taken_up.profile.revision == 2
    assert [test.wrong for test in taken_up.tests.standing] == ["None", "Some"]
    assert toy.chorus("profile", "status", ID, "--verify", "--json").json["profiles"][0]["tests"]
    # Leaving takes the words along; records keep a digest that confirms nothing.
    toy.chorus("sync")
    with pytest.raises(RefusedError, match="only its steward"):
        retire(toy.root, ID, "test-1", MAINTAINERS, "It asked about something else.")
    leaving = ("--by", STEWARD, *ATTESTED, "--reason", "The guild has dissolved.", "--yes")
    toy.chorus("profile", "withdraw", ID, *leaving)
    assert not (standing / "content").exists()
    assert (
        toy.chorus("profile", "status", ID, "--verify", "--json").json["profiles"][0]["tests"]
        is None
    )
    with pytest.raises(RefusedError, match="withdrawn has no tests"):
        test_desk.check(accepted(toy.root, ID), mark())


NODE, TESTS = f"parrot@{GROUP}", f"parrot-tests@{GROUP}"
ASKED = ("--options", "A lot", "Some", "None")


def wrong(folder: Folder, *more: str, expect: int = 0) -> str:
    what = (GROUP, str(SAID["question"]), "--model", NODE, "--why", WHY, "--by", "register:7")
    done = folder.chorus("profile", "wrong", *what, *more, *ASKED, expect=expect)
    return done.out + done.err


def commit(folder: Folder) -> None:
    folder.run("git", "add", "--all")
    folder.run("git", "commit", "--quiet", "--allow-empty", "--message", "test")


def release(folder: Folder, expect: int) -> str:
    commit(folder)
    done = folder.chorus("release", NODE, "--version", "1.0.0", "--dry-run", *TOY, expect=expect)
    return " ".join((done.out + done.err).split())


def test_a_marked_answer_stops_a_release_until_a_model_passes_or_it_is_retired(
    talking: Folder,
) -> None:
    before = talking.states()
    assert TESTS not in before
    assert "nothing was written" in wrong(talking, "--answer", "Some", "--dry-run")
    assert not table(talking.root).exists()
    said = wrong(talking)  # asks the model
    assert "test-1 added" in said
    assert f"wrote registry/pipelines/{GROUP}/dvc.yaml" in said
    after = talking.states()
    assert after.pop(TESTS) == "missing"
    assert after == before
    assert f"{TESTS} is missing; run `chorus make {TESTS}`" in release(talking, 1)
    (test,) = accepted(talking.root, GROUP).tests.standing
    other = next(option for option in test.options if option != test.wrong)
    wrong(talking, "--answer", other)
    talking.chorus("make", TESTS)
    shown = release(talking, 1)
    assert f"refused it passes the tests of {GROUP}" in shown
    assert "test-1 failed: it puts" in shown
    assert "test-2" not in shown
    listed = talking.chorus("profile", "tests", GROUP, "--json").json["tests"]
    assert [t["models"][NODE].partition(":")[0] for t in listed] == ["fails", "passes"]
    assert not any("salt" in t for t in listed)
    ends = ("--by", "maintainer:1", "--reason", "It asked about something else.")
    refused = talking.chorus("profile", "tests", GROUP, "--retire", "test-1", *ends, expect=4)
    assert "2 maintainers" in refused.err
    talking.chorus("profile", "tests", GROUP, "--retire", "test-1", *ends, "--by", "maintainer:2")
    commit(talking)
    said = talking.chorus("release", NODE, "--version", "1.0.0", *TOY).out
    assert f"ok it passes the tests of {GROUP}" in " ".join(said.split())
    card = (talking.root / f"releases/parrot/{GROUP}/1.0.0/README.md").read_text()
    assert f"passes all of 1, by `{TESTS}`" in card
    assert "`test-1` was retired on" in card
    # A test that was altered is no way round.
    altered(talking.root / f"value_profiles/{GROUP}/tests.jsonl", WHY, "It is fine after all.")
    shown = talking.chorus("release", NODE, "--version", "1.1.0", "--dry-run", *TOY, expect=3).out
    assert "was altered after it was added" in shown
    assert "was altered" in talking.chorus("profile", "status", "--verify", expect=3).out


def test_the_command_says_what_it_cannot_take(talking: Folder) -> None:
    assert "is none of the options" in wrong(talking, "--answer", "Lots", expect=2)
    assert "never an address" in wrong(talking, "--answer", "Some", "--by", "a@b.org", expect=2)
    done = talking.chorus(
        "profile", "wrong", GROUP, "Is it so?", "--model", "parrot@age-65-plus", "--why", WHY,
        "--by", "register:7", "--answer", "No.", expect=2,
    )  # fmt: skip
    assert "is no model that was made" in done.err
