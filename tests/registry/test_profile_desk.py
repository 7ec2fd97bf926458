"""A profile comes in, is reviewed, taken up, changed and suspended; each act leaves a receipt."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from registry.profile_desk import digest_of_yaml
from registry.profile_folder import read_profile
from tests.conftest import Folder
from tests.registry.proposals import ID, NORMS, propose

STEWARD, ONE, TWO = "steward:harbour-menders", "maintainer:1", "maintainer:2"
ATTESTED = ("--by", ONE, "--by", TWO)
"""Where a profile names no key of its steward, two maintainers attest the steward's word."""
WHY = ("--reason", "Read it and found it whole.")


def act(folder: Folder, verb: str, *more: str, by: str = ONE, expect: int = 0, of: str = ID) -> str:
    more = (*more, *(("--floor-seen",) if verb == "review" else ()))
    more = (*more, *(ATTESTED if "--for-community" in more else ()))
    done = folder.chorus("profile", verb, of, "--by", by, *WHY, *more, expect=expect)
    return done.out + done.err


def take_up(folder: Folder, of: str = ID) -> str:
    act(folder, "submit", by=f"steward:{of}", of=of)
    act(folder, "review", "--for-community", by=f"steward:{of}", of=of)
    act(folder, "review", by=ONE, of=of)
    return act(folder, "accept", by=TWO, of=of)


@pytest.fixture
def proposed(toy: Folder) -> Folder:
    propose(toy.root)
    return toy


@pytest.fixture
def taken_up(proposed: Folder) -> Folder:
    take_up(proposed)
    return proposed


def status(folder: Folder, *more: str, expect: int = 0) -> dict:
    return folder.chorus("profile", "status", ID, "--json", *more, expect=expect).json["profiles"][
        0
    ]


def test_a_whole_proposal_has_nothing_to_fix(proposed: Folder) -> None:
    assert proposed.chorus("profile", "check", ID).out == f"proposals/{ID}: nothing to fix\n"


def test_all_that_is_wrong_comes_at_once_with_place_and_mend(proposed: Folder) -> None:
    content = proposed.root / "proposals" / ID / "content"
    (content / "norms.csv").write_text(NORMS.replace(",-1,", ",-3,").replace("It's good", "=cmd()"))
    (content / "examples.jsonl").write_text('{"id": "one"}\nnot json\n')
    done = proposed.chorus("profile", "check", ID, expect=1)
    assert "norms.csv:2: judgement: must be -2 or more (found '-3')" in done.out
    assert "mend: -2 very bad, -1 bad, 0 it is all right or depends" in done.out
    assert "norms.csv:3: rule: starts with '=', which a spreadsheet runs as a formula" in done.out
    assert "examples.jsonl:2: is no JSON object" in done.out
    assert done.out.rstrip().endswith("things to fix")
    lines = proposed.chorus("profile", "check", ID, "--format", "github", expect=1).out
    assert f"::error file=proposals/{ID}/content/norms.csv,line=2::judgement" in lines
    assert proposed.chorus("profile", "check", ID, "--format", "json", expect=1).json["problems"]


def test_it_is_taken_up_after_two_reviews_one_of_them_the_communitys_own(proposed: Folder) -> None:
    assert "cannot be reviewed" in act(proposed, "review", expect=4)
    act(proposed, "submit", by=STEWARD)
    assert "2 people review exactly this content first; so far 0 did" in act(
        proposed, "accept", expect=4
    )
    act(proposed, "review", by=ONE)
    act(proposed, "review", by=ONE)
    assert "so far 1 did" in act(proposed, "accept", expect=4)
    act(proposed, "review", by=TWO)
    assert "nobody has signed off on the community's own side" in act(proposed, "accept", expect=4)
    act(proposed, "review", "--for-community", by=STEWARD)
    said = act(proposed, "accept")
    assert f"{ID}, revision 1: accepted on" in said
    assert f"value_profiles/{ID}/events/0007-accepted.yaml" in said
    assert f"wrote registry/pipelines/{ID}/dvc.yaml" in said
    assert not (proposed.root / "proposals" / ID).exists()
    assert f"letters@{ID}" in proposed.states()
    assert f"count@{ID}" not in proposed.states()  # it reads a table that this profile lacks


def test_content_is_tracked_by_dvc_and_never_in_git(taken_up: Folder) -> None:
    taken_up.run("git", "add", "--all")
    known = taken_up.run("git", "ls-files", "value_profiles").out
    assert f"value_profiles/{ID}/content.dvc" in known
    assert f"value_profiles/{ID}/content/" not in known
    assert "nothing to fix" in taken_up.chorus("profile", "check", ID).out


def test_the_questionnaire_of_an_import_comes_along(proposed: Folder) -> None:
    with (proposed.root / "proposals" / ID / "profile.yaml").open("a") as stream:
        stream.write(
            "opinions:\n  instrument: net-questions\n  weighting: none\n"
            '  fielded: {start: "2026-03-01", end: "2026-03-02"}\n'
        )
    beside = proposed.root / "proposals" / "net-questions.instrument.yaml"
    beside.write_text("id: net-questions\n")
    take_up(proposed)
    brought = proposed.root / "registry/instruments/net-questions.yaml"
    assert brought.read_text() == "id: net-questions\n"


def test_a_proposal_changed_after_a_review_is_reviewed_again(proposed: Folder) -> None:
    act(proposed, "submit", by=STEWARD)
    act(proposed, "review", "--for-community", by=STEWARD)
    proposed.edit(f"proposals/{ID}/content/values.csv", ",5,0.9,", ",4,0.9,")
    act(proposed, "review", by=ONE)
    assert "so far 1 did" in act(proposed, "accept", expect=4)


def test_an_accepted_profile_that_is_edited_grants_nothing(taken_up: Folder) -> None:
    taken_up.chorus("make", "words", "letters")
    taken_up.edit(f"value_profiles/{ID}/content/values.csv", ",5,0.9,", ",4,0.9,")
    found = status(taken_up)
    assert found["grants today"] == []
    assert "not what lies here now" in found["next"]


def test_a_new_revision_follows_the_old_one_and_says_what_changed(taken_up: Folder) -> None:
    old = taken_up.root / "value_profiles" / ID
    new = propose(taken_up.root, revision=2, supersedes=digest_of_yaml(old), uses="evaluate")
    shutil.copytree(old / "events", new / "events")
    taken_up.edit(f"proposals/{ID}/content/values.csv", ",4,0.8,42,", ",2,0.8,42,")
    changed = taken_up.chorus("profile", "diff", ID).out
    assert "consent.uses" in changed
    assert "no longer 'train-sft', 'train-rl', 'publish-weights'" in changed
    assert "share-tools: strength from 4 to 2" in changed
    take_up(taken_up)
    found = status(taken_up, "--verify")
    assert (found["revision"], found["stage"], found["chain"]) == (2, "accepted", [])
    assert found["grants today"] == ["evaluate"]


def test_a_revision_out_of_order_is_refused_with_what_to_write(taken_up: Folder) -> None:
    old = taken_up.root / "value_profiles" / ID
    new = propose(taken_up.root, revision=3, supersedes="1" * 64)
    shutil.copytree(old / "events", new / "events")
    said = act(taken_up, "submit", by=STEWARD, expect=2)
    assert f"write `revision: 2` and `supersedes: {digest_of_yaml(old)}`" in said
    shutil.rmtree(new / "events")
    assert "carry on the events" in act(taken_up, "submit", by=STEWARD, expect=2)


@pytest.mark.parametrize("harm", ["edit", "drop", "swap"])
def test_an_altered_past_is_found(taken_up: Folder, harm: str) -> None:
    events = taken_up.root / "value_profiles" / ID / "events"
    second, third = (events / n for n in ("0002-validated.yaml", "0003-reviewed.yaml"))
    if harm == "edit":
        second.write_text(second.read_text().replace("Every table", "Each table"))
    elif harm == "drop":
        second.unlink()
    else:
        fourth = events / "0004-reviewed.yaml"
        third.rename(events / "x")
        fourth.rename(third)
        (events / "x").rename(fourth)
    assert status(taken_up, "--verify", expect=3)["chain"]
    assert "the chain of events is broken" in act(taken_up, "suspend", expect=4)


def test_suspending_takes_it_out_of_gathering_and_resuming_puts_it_back(taken_up: Folder) -> None:
    assert "chorus profile resume" in act(taken_up, "suspend")
    assert f"letters@{ID}" not in taken_up.states()
    act(taken_up, "resume")
    assert f"letters@{ID}" in taken_up.states()


def test_what_is_held_by_consent_is_refused_outside_its_place(proposed: Folder) -> None:
    folder = proposed.root / "proposals" / ID
    shutil.copy(folder / "content" / "norms.csv", folder / "norms.csv")
    done = proposed.chorus("profile", "check", ID, expect=1)
    assert "norms.csv: is held by consent or mandate, and would stay in Git for ever" in done.out
    assert "move it to content/" in done.out


def test_two_at_once_both_add_their_event_to_one_chain(proposed: Folder) -> None:
    act(proposed, "submit", by=STEWARD)
    started = [
        proposed.start("profile", "review", ID, "--by", f"maintainer:{n}", "--floor-seen", *WHY)
        for n in range(4)
    ]
    for process in started:
        process.communicate(timeout=120)
    assert [process.returncode for process in started] == [0] * 4
    assert status(proposed, "--verify")["chain"] == []
    assert len(status(proposed)["reviewers"]) == 4


def test_an_unknown_profile_is_named_with_a_near_one(proposed: Folder) -> None:
    done = proposed.chorus("profile", "check", "harbor-menders", expect=2)
    assert "did you mean 'harbour-menders'?" in done.err


def test_the_proposal_reads_as_it_was_written(proposed: Folder) -> None:
    profile, problems = read_profile(proposed.root / "proposals" / ID, proposed.root)
    assert not problems
    assert profile is not None
    assert [row.id for row in profile.tables()["values.csv"].rows] == ["mend-first", "share-tools"]
    assert profile.home == Path(proposed.root / "proposals" / ID / "content")


def test_a_preview_shows_what_would_be_taught_and_what_is_kept_back(taken_up: Folder) -> None:
    out = taken_up.chorus("profile", "preview", ID).out
    assert "somebody says   My net has" in out
    assert "it would learn  Sit down with somebody who mends" in out
    assert "and not         Buy a new one" in out
    found = taken_up.chorus("profile", "preview", ID, "--json").json
    assert found["rows"] + len(found["dropped"]) == 7
    assert {row["why"] for row in found["dropped"]} <= {"kept back, so that models can be measured"}
    shown = taken_up.chorus("profile", "preview", "age-22-34").out
    assert "Very important 68%" in shown


def test_questions_that_no_model_learns_from_are_named_as_kept_back(tiny: Folder) -> None:
    found = tiny.chorus("profile", "preview", "age-22-34", "--json").json
    assert (found["rows"], len(found["dropped"])) == (31, 12)


ANSWERS = """\
harbour-menders
The harbour menders
A made-up guild of people who mend nets.
Speaks for the guild of this test and for nobody else.
en
Guild of menders
secretary
register:7
assembly
minutes.txt
assembly
2026-03-01
2026-03-02
42
none
terms.txt
1
assembly of the guild
2026-03-03
2030-01-01
y
n
y
n
n
n
register:7
14
retire
"""


def test_new_asks_in_plain_words_and_leaves_tables_to_fill_in(toy: Folder) -> None:
    for name in ("minutes.txt", "terms.txt"):
        (toy.root / name).write_text("agreed")
    done = subprocess.run(
        toy.command("profile", "new"),
        cwd=toy.root,
        env=dict(toy.env),
        input=ANSWERS,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "May a model learn by example from your words" in done.stdout
    folder = toy.root / "proposals" / ID
    assert (folder / "content/values.csv").read_text().startswith("id,statement,rationale")
    out = toy.chorus("profile", "check", ID, expect=1).out
    assert "values.csv:1: has no rows" in out
    assert "profile.yaml" not in out
    again = subprocess.run(
        toy.command("profile", "new"),
        cwd=toy.root,
        env=dict(toy.env),
        input=ANSWERS,
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode == 2
    assert "is taken" in again.stderr
