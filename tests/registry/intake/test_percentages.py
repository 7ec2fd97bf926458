"""Tables of percentages: counts worked back, both layouts, and impossible figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from registry.errors import UsageError
from registry.intake.codebook import Codebook, read_about
from registry.intake.imports import from_table
from registry.intake.percentages import read_percentages
from registry.profile_folder import read_profile
from tests.registry.intake.material import (
    CODEBOOK,
    masculinity_codebook,
    published,
    write_yaml,
)

HEADER = "question,option,group,percent,n\n"
LONG = HEADER + (
    "Q1,Yes,East,60,200\nQ1,Perhaps,East,25,200\nQ1,No,East,15,200\n"
    "Q1,Yes,West,20%,100\nQ1,Perhaps,West,30,100\nQ1,No,West,40,100\nQ1,NA,West,10,100\n"
)


def table(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "table.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_long(tmp_path: Path, codebook: Path) -> None:
    east, west = read_percentages(table(tmp_path, LONG), read_about(codebook, Codebook))
    assert east.learning["Q1"].counts == (120, 50, 30)
    assert west.learning["Q1"].counts == (20, 30, 40)
    assert west.learning["Q1"].n_effective == pytest.approx(90)
    assert west.learning["Q1"].shares[0] == pytest.approx(2 / 9)
    assert east.held_out is None
    assert east.left_out == {"Q2": "the file has no figures for this group"}


def test_it_is_not_imported_without_saying_that_nothing_is_held_out(
    tmp_path: Path, codebook: Path
) -> None:
    path = table(tmp_path, LONG)
    with pytest.raises(UsageError, match="cannot be split into two halves of people"):
        from_table(path, codebook)
    found = from_table(path, codebook, without_held_out=True)
    found.write(tmp_path / "proposals", None, replace=False)
    folder = tmp_path / "proposals" / "town-2024-east"
    assert not (folder / "evaluation").exists()
    profile, _ = read_profile(folder, tmp_path)
    assert profile is not None
    assert "There is no evaluation/opinions.csv" in profile.profile.description


def test_people_and_effective_numbers_can_stand_in_the_codebook(tmp_path: Path) -> None:
    book = write_yaml(
        tmp_path / "book.yaml",
        {**CODEBOOK, "groups": {
            "East": {"id": "east", "name": "the east", "n": 200, "n_effective": 120},
            "West": {"id": "west", "name": "the west", "n": 100},
        }},
    )  # fmt: skip
    text = "\n".join(line.rpartition(",")[0] for line in LONG.splitlines())
    east, west = read_percentages(table(tmp_path, text), read_about(book, Codebook))
    assert (east.learning["Q1"].n, east.learning["Q1"].n_effective) == (200, 120)
    assert west.learning["Q1"].n == 90


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("60,200", "60,200.5", "has '200.5' people"),
        ("60,200", "60,-200", "has '-200' people"),
        ("60,200", "60,0", "has '0' people"),
        ("60,200", "60,two hundred", "has 'two hundred' people"),
        ("60,200", "-60,200", "has the percentage '-60'"),
        ("60,200", "160,200", "has the percentage '160'"),
        ("60,200", "many,200", "has the percentage 'many'"),
        ("60,200", "60", "has 4 cells where the first line has 5"),
        ("Perhaps,East,25,200", "Perhaps,East,25,300", "has another n than the rows of Q1 above"),
        ("Perhaps,East", "Never,East", "has the option 'Never' of Q1, which the codebook does not"),
        ("Perhaps,East", "Yes,East", "has 'Yes' of Q1 twice for East"),
        ("West", "east ", "both become town-2024-east"),
        ("West", "..", "makes no id for a profile"),
        ("West", "W\0est", "holds a NUL byte"),
        ("percent", "share", "the first line reads: question,option,group,percent,n"),
        ("Q1,Yes,East", 'Q1,"Yes,East', "is no CSV"),
    ],
)
def test_impossible_figures(tmp_path: Path, codebook: Path, old: str, new: str, words: str) -> None:
    path = table(tmp_path, LONG.replace(old, new))
    with pytest.raises(UsageError) as caught:
        read_percentages(path, read_about(codebook, Codebook))
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


def test_other_encodings_are_named_with_their_line(tmp_path: Path, codebook: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(LONG.replace("West", "W\xebst").encode("latin-1"))
    with pytest.raises(UsageError, match=r"table.csv:5: is not UTF-8 text"):
        read_percentages(path, read_about(codebook, Codebook))


def test_n_must_be_known(tmp_path: Path, codebook: Path) -> None:
    text = "\n".join(line.rpartition(",")[0] for line in LONG.splitlines())
    with pytest.raises(UsageError, match="does not say how many people are in town-2024-east"):
        read_percentages(table(tmp_path, text), read_about(codebook, Codebook))


def test_several_answers_are_no_distribution(tmp_path: Path, codebook: Path) -> None:
    path = table(tmp_path, LONG.replace("No,East,15", "No,East,75"))
    east, _ = read_percentages(path, read_about(codebook, Codebook))
    assert "Q1" not in east.learning
    assert east.left_out["Q1"] == "its options sum to 160 %, so people could give several answers"


WIDE = """\
AMONG ALL,,All,Side,,Age,
,,,East,West,Old,Young
Is the  park large enough?,,,,,,
,Yes,40%,60%,20%,50%,30%
,Perhaps,30%,25%,40%,30%,30%
,No,30%,15%,40%,20%,40%
Something else?,,,,,,
,Yes,50%,50%,50%,50%,50%
"""


def test_wide(tmp_path: Path) -> None:
    groups = {"East": {"id": "east", "name": "the east", "n": 200},
              "West": {"id": "west", "name": "the west", "n": 100}}  # fmt: skip
    book = write_yaml(tmp_path / "book.yaml", {**CODEBOOK, "groups": groups})
    read = read_about(book, Codebook)
    east, west = read_percentages(table(tmp_path, WIDE), read, "wide", "Side")
    assert east.learning["Q1"].counts == (120, 50, 30)
    assert west.learning["Q1"].counts == (20, 40, 40)
    assert east.left_out["Something else?"] == "the codebook does not list it"
    with pytest.raises(UsageError, match="its headings are: Side, Age"):
        read_percentages(table(tmp_path, WIDE), read, "wide", "Town")
    with pytest.raises(UsageError, match="has a group twice"):
        read_percentages(table(tmp_path, WIDE.replace("West", "East")), read, "wide", "Side")


@pytest.mark.parametrize(("n", "usable"), [(600, True), (60, False)])
def test_the_2018_table_of_men_by_age(tmp_path: Path, n: int, usable: bool) -> None:
    path = published("masculinity538/masculinity-survey.csv")
    book = masculinity_codebook(tmp_path, dict.fromkeys(("18 - 34", "35 - 64", "65 and up"), n))
    found: Any = from_table(path, book, layout="wide", heading="Age", without_held_out=True)
    assert [len(group.learning) for group in found.groups] == [9, 9, 9]
    assert found.separation.distance == pytest.approx(0.149, abs=0.002)
    assert found.separation.usable == usable


def test_men_by_orientation_must_be_declared(tmp_path: Path) -> None:
    path = published("masculinity538/masculinity-survey.csv")
    book = masculinity_codebook(tmp_path, {"Straight": 900, "Gay/Bisexual": 100})
    arguments: Any = {"layout": "wide", "heading": "Sexual Orientation", "without_held_out": True}
    with pytest.raises(UsageError, match="division by sexuality"):
        from_table(path, book, **arguments)
    assert from_table(path, book, sensitive=["sexuality"], **arguments).sensitive == ("sexuality",)
