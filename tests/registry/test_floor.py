"""The floor flags words that degrade people, a reviewer decides, and nobody else."""

from __future__ import annotations

import pytest

from registry.errors import ChorusError
from registry.floor import flags, floor, undecided
from registry.objections import keep
from registry.profile_desk import review, settle, submit
from registry.profile_folder import read_profile
from tests.conftest import Folder
from tests.registry.proposals import ID, VALUES, propose

pytestmark = pytest.mark.filterwarnings(
    "ignore:_NoneStep:DeprecationWarning"
)  # DVC's own, in process
STEWARD, ONE, TWO = f"steward:{ID}", "maintainer:1", "maintainer:2"
WHY = "Read it and found it whole."


def found(text: str) -> list[str]:
    expressions = [(pattern.id, floor().compiled(pattern)) for pattern in floor().patterns]
    from registry.floor import folded

    return [name for name, expression in expressions if expression.search(folded(text))]


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("Those people are vermin.", "en-likened"),
        ("THEY ARE  NOTHING BUT   RATS", "en-likened"),
        ("Immigrants are a plague on us", "en-likened"),
        ("Some say im\u00admigrants are like animals", "en-likened"),
        ("\uff34hey are cockroaches", "en-likened"),
        ("They are subhuman", "en-less-than-human"),
        ("They are not really human, after all", "en-less-than-human"),
        ("The poor should be shot", "en-harm"),
        ("We must wipe out strangers", "en-harm"),
        ("Diese Leute sind Ungeziefer!", "de-likened"),
        ("Ausländer sind nichts als Parasiten", "de-likened"),
        ("Ein Untermensch", "de-less-than-human"),
        ("Fremde gehören ausgerottet", "de-harm"),
        ("FLÜCHTLINGE SIND EIN VIRUS", "de-likened"),
    ],
)
def test_words_that_degrade_people_are_flagged(text, pattern):
    assert pattern in found(text)


@pytest.mark.parametrize(
    "text",
    [
        "There are rats in the shed; they are a nuisance.",
        "Parasites are found in some fish.",
        "Dogs are welcome aboard.",
        "They are men of the sea.",
        "Strangers are guests.",
        "Kill the engine before the harbour wall.",
        "Immigrants are people like us",
        "It killed them, and they are gone.",
        "Fremde sind Gäste. Ratten sind im Schuppen.",
        "Die Netze müssen geflickt werden.",
        "",
    ],
)
def test_plain_talk_is_not_flagged(text):
    assert found(text) == []


@pytest.fixture
def flagged(toy: Folder):
    folder = propose(toy.root)
    table = folder / "content/values.csv"
    table.write_text(VALUES.replace("It was work", "Grandfather said strangers are rats"))
    return folder


def read(folder):
    profile, _ = read_profile(folder, folder.parents[1])
    assert profile is not None
    return profile


def test_check_names_the_words_the_reason_and_the_two_ways_out(toy: Folder, flagged) -> None:
    said = toy.chorus("profile", "check", ID, expect=1).out
    assert "values.csv:2: the floor flags 'strangers are rats'" in said
    assert "which likens people to animals, dirt or disease" in said
    assert f"chorus profile floor {ID} --keep values.csv:mend-first" in said


def test_it_is_taken_up_only_after_a_reviewer_decided_and_wrote_down_why(
    toy: Folder, flagged
) -> None:
    submit(toy.root, flagged, (STEWARD,), WHY)
    word = (STEWARD, ONE, TWO)
    review(toy.root, flagged, word, WHY, for_community=True, floor=True)
    review(toy.root, flagged, (ONE,), WHY, for_community=False, floor=True)
    with pytest.raises(ChorusError, match="the floor flags"):
        settle(toy.root, flagged, (TWO,), WHY)
    with pytest.raises(ChorusError, match="a steward does not decide"):
        keep(toy.root, flagged, "values.csv:mend-first", (STEWARD,), WHY)
    with pytest.raises(ChorusError, match=r"one of: values.csv:mend-first"):
        keep(toy.root, flagged, "values.csv:share-tools", (ONE,), WHY)
    why = "It is quoted as what the guild no longer says, and dissents from."
    (receipt,) = keep(toy.root, flagged, "values.csv:mend-first", (ONE,), why)
    assert receipt.event.endswith("floor-decided.yaml")
    assert undecided(read(flagged)) == []
    settle(toy.root, flagged, (TWO,), WHY)


def test_a_decision_counts_for_exactly_what_lay_there(toy: Folder, flagged) -> None:
    keep(toy.root, flagged, "values.csv:mend-first", (ONE,), WHY)
    table = flagged / "content/values.csv"
    table.write_text(table.read_text().replace("strangers", "refugees"))
    assert [flag.words for flag in undecided(read(flagged))] == ["refugees are rats"]


def test_the_description_is_looked_at_too(toy: Folder) -> None:
    folder = propose(toy.root)
    path = folder / "profile.yaml"
    path.write_text(path.read_text().replace("A made-up guild", "Outsiders are pests. A guild"))
    assert [flag.place for flag in flags(read(folder))] == ["description"]


def test_a_reviewer_says_that_they_looked(toy: Folder) -> None:
    folder = propose(toy.root)
    submit(toy.root, folder, (STEWARD,), WHY)
    with pytest.raises(ChorusError) as caught:
        review(toy.root, folder, (ONE,), WHY, for_community=False, floor=False)
    assert "say that you looked at the floor" in str(caught.value)
    assert "--floor-seen" in str(caught.value)


@pytest.mark.parametrize("name", ["age-22-34", "age-65-plus", "example-tidewater-coop"])
def test_the_shipped_profiles_pass(name) -> None:
    from tests.conftest import ROOT

    assert list(flags(read(ROOT / "value_profiles" / name))) == []
