"""Objections and answers; the steward who hears of a release and can hold it."""

from __future__ import annotations

import datetime as dt

import pytest

import registry.profile_desk as desk
from registry.errors import ChorusError
from registry.event_details import ReleaseMatter
from registry.objections import answer, object_to
from registry.profile_desk import add_event, review, settle, submit
from registry.profile_folder import read_profile
from registry.release_notice import hold
from registry.release_terms import terms
from tests.conftest import ROOT, Folder
from tests.registry.proposals import ID, propose

pytestmark = pytest.mark.filterwarnings(
    "ignore:_NoneStep:DeprecationWarning"
)  # DVC's own, in process
STEWARD, ONE, TWO = f"steward:{ID}", "maintainer:1", "maintainer:2"
WORD = (STEWARD, ONE, TWO)
WHY = "Read it and found it whole."
NAME, CONTENT = f"voice/{ID}", "a" * 64
MATTER = ReleaseMatter(name=NAME, version="1.0.0", content=CONTENT)
DAY = dt.date(2026, 10, 1)


@pytest.fixture
def standing(toy: Folder, monkeypatch):
    folder = propose(toy.root)
    submit(toy.root, folder, (STEWARD,), WHY)
    review(toy.root, folder, WORD, WHY, for_community=True, floor=True)
    review(toy.root, folder, (ONE,), WHY, for_community=False, floor=True)
    settle(toy.root, folder, (TWO,), WHY)
    monkeypatch.setattr(desk, "today", lambda: DAY)
    return toy.root / "value_profiles" / ID


def read(folder):
    profile, problems = read_profile(folder, folder.parents[1])
    assert profile is not None, problems
    return profile


def problems(folder, *, days=0, content=CONTENT, version="1.0.0"):
    day = DAY + dt.timedelta(days=days)
    found = terms(read(folder), NAME, version, content, day)
    return [term.problem for term in found if term.problem]


class TestNotice:
    def test_without_it_nothing_is_released(self, standing):
        (problem,) = problems(standing)
        assert "nobody told the steward of exactly this model" in problem
        assert "--notify" in problem

    def test_the_days_are_counted(self, toy, standing):
        add_event(toy.root, standing, "release-noticed", (ONE,), WHY, release=MATTER)
        assert problems(standing, days=13) == [
            "told on 2026-10-01; it may be released from 2026-10-15"
        ]
        assert problems(standing, days=14) == []

    def test_it_counts_for_this_content_and_version_alone(self, toy, standing):
        add_event(toy.root, standing, "release-noticed", (ONE,), WHY, release=MATTER)
        assert problems(standing, days=14, content="b" * 64)
        assert problems(standing, days=14, version="1.0.1")

    def test_the_steward_holds_it_and_lets_it_go(self, toy, standing):
        add_event(toy.root, standing, "release-noticed", (ONE,), WHY, release=MATTER)
        reason = "The assembly looks at it first."
        with pytest.raises(ChorusError, match="two maintainers attest"):
            hold(toy.root, standing, f"{NAME}@v1.0.0", (STEWARD,), reason)
        with pytest.raises(ChorusError, match="only its steward holds a release"):
            hold(toy.root, standing, f"{NAME}@v1.0.0", (ONE, TWO), reason)
        hold(toy.root, standing, f"{NAME}@v1.0.0", WORD, reason)
        assert problems(standing, days=14) == [f"held on 2026-10-01: {reason}"]
        hold(toy.root, standing, f"{NAME}@1.0.0", WORD, "The assembly agreed.", lift=True)
        assert problems(standing, days=14) == []

    def test_what_is_no_release_is_refused(self, toy, standing):
        with pytest.raises(ChorusError, match="names no release"):
            hold(toy.root, standing, f"voice@{ID}", WORD, WHY)

    @pytest.mark.parametrize(
        ("name", "why"),
        [("age-22-34", "it has no steward"), ("example-tidewater-coop", "it is made up")],
    )
    def test_who_has_nobody_to_tell_is_said_on_the_list(self, name, why):
        found = list(terms(read(ROOT / "value_profiles" / name), NAME, "1.0.0", CONTENT, DAY))
        assert [term.sentence for term in found] == [
            f"every objection to {name} is answered",
            f"no steward of {name} is told of it: {why}",
        ]
        assert not any(term.problem for term in found)


class TestObjections:
    def test_one_that_waits_stands_against_a_release(self, toy, standing):
        add_event(toy.root, standing, "release-noticed", (ONE,), WHY, release=MATTER)
        object_to(toy.root, standing, ("register:12",), "It says of us what is not so.")
        (problem,) = problems(standing, days=14)
        assert problem == (f"0007-objected; two maintainers answer it (chorus profile answer {ID})")
        assert read(standing).active
        with pytest.raises(ChorusError, match="two maintainers answer"):
            answer(toy.root, standing, "kept", (ONE, ONE), "We looked and it is so.")
        answer(toy.root, standing, "kept", (ONE, TWO), "We looked, and it says nothing of them.")
        assert problems(standing, days=14) == []

    def test_an_answer_can_take_the_profile_out(self, toy, standing):
        object_to(toy.root, standing, ("register:12",), "It says of us what is not so.")
        answer(toy.root, standing, "suspended", (ONE, TWO), "It does; it is mended first.")
        assert read(standing).stage == "suspended"
        assert not read(standing).life.unanswered()

    def test_where_two_wait_one_is_named(self, toy, standing):
        for reason in ("It says of us what is not so.", "It names a place of ours."):
            object_to(toy.root, standing, ("register:12",), reason)
        with pytest.raises(ChorusError, match="0006-objected, 0007-objected"):
            answer(toy.root, standing, "kept", (ONE, TWO), WHY)
        with pytest.raises(ChorusError, match="say which"):
            answer(toy.root, standing, "kept", (ONE, TWO), WHY, "0001-objected")
        answer(toy.root, standing, "kept", (ONE, TWO), WHY, "0007-objected")
        assert [h.file for h in read(standing).life.unanswered()] == ["0006-objected.yaml"]

    @pytest.mark.parametrize("by", ["me@example.org", ""])
    def test_an_address_is_never_written_down(self, toy, standing, by):
        if by:
            with pytest.raises(ChorusError, match="never an address"):
                object_to(toy.root, standing, (by,), "It says of us what is not so.")
        else:
            with pytest.raises(ChorusError, match="by"):
                object_to(toy.root, standing, (), "It says of us what is not so.")
        assert not list((standing / "events").glob("*objected*"))

    def test_an_answer_to_nothing_is_refused(self, toy, standing):
        with pytest.raises(ChorusError, match="no objection that waits"):
            answer(toy.root, standing, "kept", (ONE, TWO), WHY)
