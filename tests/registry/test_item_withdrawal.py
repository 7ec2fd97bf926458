"""One member takes one row back: what is listed, what goes, what stays, and who may."""

from __future__ import annotations

import json
import shutil

import pytest

from registry.hashing import sha256_file
from registry.item_withdrawal import plan_item, withdraw_item
from registry.profile_check import check_tables
from registry.profile_folder import read_profile
from tests.conftest import Folder
from tests.registry.proposals import ID, propose
from tests.registry.test_profile_desk import ATTESTED, STEWARD, WHY, act, status
from tests.registry.test_withdrawal import SECRET, by_consent, commit, holds, made

__all__ = ["by_consent", "made"]
pytestmark = pytest.mark.filterwarnings(
    "ignore:_NoneStep:DeprecationWarning"
)  # DVC's own, in process
ROW = "mend-first"
TWO_OF_THEM = ("maintainer:1", "maintainer:2")
REASON = "Its author asked to have it back."


def take_back(folder: Folder, *more: str, item: str = ROW, expect: int = 0) -> str:
    done = folder.chorus("profile", "withdraw", ID, "--item", item, *more, expect=expect)
    return done.out + done.err


def home(folder: Folder):
    return folder.root / "value_profiles" / ID


def profile_of(folder: Folder):
    found, problems = read_profile(home(folder), folder.root)
    assert found is not None
    return found, problems


def test_a_dry_run_lists_everything_and_changes_nothing(made: Folder) -> None:
    before = made.snapshot()
    plan = made.chorus("profile", "withdraw", ID, "--item", ROW, "--dry-run", "--json").json
    assert plan["item"] == {"table": "values.csv", "row": ROW}
    assert plan["tables"] == [f"value_profiles/{ID}/content/{t}"
                              for t in ("values.csv", "examples.jsonl")]  # fmt: skip
    assert {a["node"]: a["fate"] for a in plan["artifacts"]} == {
        f"sayings@{ID}": "removed",
        f"voice@{ID}": "removed",
        "choir": "kept until it is made again",
    }
    assert plan["rows"] == [{"node": f"sayings@{ID}", "table": "words.parquet", "count": 1}]
    assert made.snapshot() == before
    assert SECRET.encode() in (home(made) / "content/values.csv").read_bytes()


def test_the_row_is_gone_from_workspace_cache_and_remote_and_the_rest_goes_on(
    made: Folder,
) -> None:
    remote, words = made.root.parent / "remote", SECRET.encode()
    assert holds(remote, words)
    assert holds(made.root / ".dvc", words)
    old = sha256_file(home(made) / "content/values.csv")
    norms = made.run("git", "show", f"HEAD:value_profiles/{ID}/content.dvc").out
    said = take_back(made, "--by", STEWARD, *ATTESTED, *WHY, "--yes")
    for place in (made.root, remote):
        assert not [p for p in holds(place, words) if "hill-shepherds" not in str(p)]
    assert "values.csv:mend-first was taken back by a member" in said
    profile, problems = profile_of(made)
    assert (profile.stage, problems) == ("accepted", [])
    assert [row.id for row in profile.tables()["values.csv"].rows] == ["share-tools"]
    assert all(not row.values for row in profile.tables()["examples.jsonl"].rows)
    found = status(made, "--verify")
    assert (found["stage"], found["chain"], found["next"]) == ("accepted", [], None)
    assert "train-sft" in found["grants today"]
    event = (home(made) / "events/0006-item-withdrawn.yaml").read_text()
    assert f"profile_after: {profile.digest}" in event
    graves = made.root / "registry/tombstones" / ID
    assert not holds(graves, words)
    assert old in json.loads((graves / "content.json").read_text())["earlier"]
    assert norms != (home(made) / "content.dvc").read_text()
    made.chorus("make", "--all")
    assert set(made.states().values()) == {"current"}
    commit(made)
    made.dvc("push", "--quiet")
    assert not [p for p in holds(remote, words) if "hill" not in str(p)]


@pytest.fixture
def plain(toy: Folder) -> Folder:
    """A community by consent, taken up without a command for each step."""
    from registry.profile_desk import review, settle, submit

    folder = propose(toy.root)
    why = "Read it and found it whole."
    submit(toy.root, folder, (STEWARD,), why)
    word = (STEWARD, *TWO_OF_THEM)
    review(toy.root, folder, word, why, for_community=True, floor=True)
    review(toy.root, folder, ("maintainer:1",), why, for_community=False, floor=True)
    settle(toy.root, folder, ("maintainer:2",), why)
    return toy


def test_a_withdrawal_that_was_cut_off_is_finished_by_the_same_command(
    plain: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    import registry.item_withdrawal as module

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    for step in ("_bury", "_rewrite", "track_here", "forget"):
        given = plan_item(plain.root, home(plain), "norms.csv:borrowing")
        with monkeypatch.context() as patch:
            patch.setattr(module, step, die)
            with pytest.raises(KeyboardInterrupt):
                withdraw_item(plain.root, given, TWO_OF_THEM, REASON)
        if step in ("_bury", "_rewrite"):  # nothing is made from what half left
            assert status(plain)["grants today"] == []
            with pytest.raises(Exception, match="finish what was cut off first"):
                plan_item(plain.root, home(plain), "teaching")
    given = plan_item(plain.root, home(plain), "norms.csv:borrowing")
    assert given.started is not None
    withdraw_item(plain.root, given, TWO_OF_THEM, REASON)
    events = [p.name for p in (home(plain) / "events").glob("*item-withdrawn*")]
    assert events == ["0006-item-withdrawn.yaml"]
    assert not holds(plain.root / ".dvc", b"borrow without asking")
    assert not list((plain.root / ".chorus/leaving").iterdir())
    profile, _ = profile_of(plain)
    assert profile.life.content_now() == profile.digest


def test_it_cannot_come_back_under_its_id_and_a_proposal_loses_it_too(plain: Folder) -> None:
    waiting = propose(plain.root, revision=2, supersedes=sha256_file(home(plain) / "profile.yaml"))
    given = plan_item(plain.root, home(plain), "borrowing")
    done = withdraw_item(plain.root, given, TWO_OF_THEM, REASON)
    assert done.proposals == [f"proposals/{ID}/content/norms.csv"]
    table = waiting / "content/norms.csv"
    assert "borrowing" not in table.read_text()
    shutil.copytree(home(plain) / "events", waiting / "events")
    table.write_text(table.read_text() + "borrowing,borrowing a pot,It's rude,-1,3,,\n")
    profile, _ = read_profile(waiting, plain.root)
    assert profile is not None
    (problem,) = check_tables(profile)
    assert "'borrowing' was taken back on" in problem.what
    assert "under another id" in problem.mend


def test_a_second_row_and_a_pause_need_no_new_review(plain: Folder) -> None:
    for row in ("borrowing", "example-2"):
        withdraw_item(plain.root, plan_item(plain.root, home(plain), row), TWO_OF_THEM, REASON)
    act(plain, "suspend")
    act(plain, "resume")
    found = status(plain, "--verify")
    assert (found["stage"], found["chain"]) == ("accepted", [])
    assert len(found["reviewers"]) == 2
    assert found["grants today"]


def test_nobody_slips_another_change_in(plain: Folder) -> None:
    plain.edit(f"value_profiles/{ID}/content/values.csv", ",5,0.9,", ",1,0.9,")
    said = take_back(plain, "--dry-run", item="borrowing", expect=4)
    assert "the event would vouch for other changes that nobody reviewed" in said


@pytest.mark.parametrize(
    ("by", "said"),
    [
        (("maintainer:1",), "2 maintainers"),
        ((STEWARD,), "two maintainers attest the steward's word"),
    ],
)
def test_the_steward_or_two_maintainers_take_it_out(plain: Folder, by, said) -> None:
    given = plan_item(plain.root, home(plain), "borrowing")
    with pytest.raises(Exception, match=said):
        withdraw_item(plain.root, given, by, REASON)
    assert "borrowing" in (home(plain) / "content/norms.csv").read_text()


def test_an_unknown_row_is_named_with_a_near_one(plain: Folder) -> None:
    assert "did you mean 'mend-first'" in take_back(plain, item="mend-fist", expect=2)


def test_a_licensed_item_is_retired_and_stays_in_git(toy: Folder) -> None:
    folder = toy.root / "value_profiles/age-22-34"
    item = (folder / "opinions.csv").read_text().splitlines()[1].partition(",")[0]
    given = plan_item(toy.root, folder, item)
    assert given.retired_only
    withdraw_item(toy.root, given, TWO_OF_THEM, REASON)
    for name in ("opinions.csv", "evaluation/opinions.csv"):
        assert f"\n{item}," not in (folder / name).read_text()
    assert not (toy.root / "registry/tombstones").exists()
