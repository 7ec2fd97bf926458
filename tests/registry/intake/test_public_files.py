"""OpinionQA, GlobalOpinionQA and CCAI, from small files laid out as they are handed out."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from registry.errors import ChorusError, UsageError
from registry.intake.ccai import export_of, read_ids
from registry.intake.codebook import About, read_about
from registry.intake.imports import from_polis
from registry.intake.opinion_qa import read_wave
from registry.intake.public_files import from_global_opinions, from_opinion_qa
from registry.profile_folder import read_profile
from tests.registry.intake.material import ABOUT, write_yaml

SAFE = "SAFE_W26"
MAPPING = {1.0: "Very safe", 2.0: "Not safe", 3.0: "In between", 99.0: "Refused"}
INFO = {
    "key": SAFE,
    "option_mapping": str(MAPPING),
    "question": "How safe is your place?",
    "references": str(["Very safe", "Not safe", "In between", "Refused"]),
    "option_ordinal": "[1.0, 2.0, 1.5]",
}


def write_csv(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(exist_ok=True, parents=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


def wave(folder: Path, *, coded: bool = False, **changed: Any) -> Path:
    """400 people of two regions who differ, one in ten of whom refuses."""
    random = np.random.default_rng(0)
    people = []
    for number in range(400):
        south = number % 2 == 0
        p = [0.8, 0.1, 0.1] if south else [0.1, 0.8, 0.1]
        code = float(random.choice([1, 2, 3], p=p)) if number % 9 else 99.0
        people.append(
            {
                "QKEY": 100 + number,
                "WEIGHT_W26": 0.5 + number % 3,
                "CREGION": "South" if south else "West",
                SAFE: code if coded else MAPPING[code],
            }
        )
    people[7]["CREGION"] = "Refused"
    write_csv(folder / "responses.csv", people)
    write_csv(folder / "info.csv", [INFO | changed])
    write_csv(folder / "metadata.csv", [{"key": "CREGION", "options": "['South', 'West']"}])
    return folder


@pytest.fixture
def about(tmp_path: Path) -> Path:
    return write_yaml(tmp_path / "about.yaml", ABOUT)


# OpinionQA.


@pytest.mark.parametrize("coded", [False, True], ids=["labels", "codes"])
def test_a_wave_becomes_profiles_with_ordered_options_and_no_refusals(
    tmp_path: Path, about: Path, coded: bool
) -> None:
    found = from_opinion_qa(wave(tmp_path / "w", coded=coded), about, "CREGION")
    south, west = found.groups
    assert (south.id, west.id) == ("town-2024-south", "town-2024-west")
    question = found.about.questions[SAFE]  # type: ignore[attr-defined]
    assert list(question.options.values()) == ["Very safe", "In between", "Not safe"]
    for group in (south, west):
        counted = [group.learning[SAFE], (group.held_out or {})[SAFE]]
        assert sum(one.n for one in counted) < group.total
        assert all(one.n_effective < one.n for one in counted)
    assert south.learning[SAFE].shares[0] > 0.6 > west.learning[SAFE].shares[0]
    assert found.separation.usable
    found.write(tmp_path / "proposals", None, replace=False)
    path = tmp_path / "proposals" / "town-2024-south"
    profile, problems = read_profile(path, tmp_path)
    assert profile is not None, problems
    assert profile.profile.opinions is not None
    assert profile.profile.opinions.held_out
    assert (path / "evaluation/opinions.csv").is_file()


def test_codes_and_labels_give_the_same_figures(tmp_path: Path, about: Path) -> None:
    one = from_opinion_qa(wave(tmp_path / "a"), about, "CREGION")
    other = from_opinion_qa(wave(tmp_path / "b", coded=True), about, "CREGION")
    assert [g.learning for g in one.groups] == [g.learning for g in other.groups]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"option_ordinal": "[1.0, 2.0]"}, r"info.csv:2: orders 2 options, and has 3"),
        ({"references": "__import__('os')"}, "which is no list"),
        ({"references": "[" * 5000}, "which is no list"),
        ({"option_mapping": "{1.0: 'Very safe'}"}, "gives no code"),
        ({"question": "x"}, "questions.SAFE_W26.text"),
    ],
)
def test_a_broken_info_is_named_with_its_line(
    tmp_path: Path, about: Path, changed: dict[str, str], message: str
) -> None:
    folder = wave(tmp_path / "w", **changed)
    with pytest.raises(UsageError, match=message):
        read_wave(folder, read_about(about, About), "CREGION")


def test_one_option_is_no_question_and_an_absent_column_is_named(
    tmp_path: Path, about: Path
) -> None:
    folder = wave(tmp_path / "w")
    single = INFO | {"key": "ONE_W26", "references": "['Very safe', 'Refused']",
                     "option_ordinal": "[1.0]"}  # fmt: skip
    write_csv(folder / "info.csv", [INFO, single, INFO | {"key": "GONE_W26"}])
    path = folder / "responses.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0] + ",ONE_W26", *(x + ",Very safe" for x in lines[1:])]))
    found = read_wave(folder, read_about(about, About), "CREGION")
    assert set(found.codebook.questions) == {SAFE}
    assert found.left_out["ONE_W26"] == "it has 1 options beside refusals"
    assert found.left_out["GONE_W26"] == "responses.csv has no such column"
    write_csv(folder / "info.csv", [INFO, INFO])
    with pytest.raises(UsageError, match=r"info.csv:3: has the question SAFE_W26 twice"):
        read_wave(folder, read_about(about, About), "CREGION")


def test_the_division_and_the_weights_must_be_those_of_the_wave(
    tmp_path: Path, about: Path
) -> None:
    folder, source = wave(tmp_path / "w"), read_about(about, About)
    with pytest.raises(UsageError, match=r"knows no division 'RELIG'(.|\n)*CREGION"):
        read_wave(folder, source, "RELIG")
    path = folder / "responses.csv"
    text = path.read_text()
    path.write_text(text.replace("WEIGHT_W26", "W"))
    with pytest.raises(UsageError, match="has 0 columns that start with WEIGHT"):
        read_wave(folder, source, "CREGION")
    path.write_text(text.replace(",0.5,", ",-0.5,", 1))
    with pytest.raises(UsageError, match="a weight is a number above 0"):
        from_opinion_qa(folder, about, "CREGION")
    first = text.splitlines()[1]
    path.write_text(text + first + "\n")
    with pytest.raises(UsageError, match="1 ids stand twice"):
        from_opinion_qa(folder, about, "CREGION")
    path.write_bytes(text.encode().replace(b"Very safe", b"Very s\xe4fe"))
    with pytest.raises(ChorusError, match=r"UTF-8|does not know"):
        from_opinion_qa(folder, about, "CREGION")


# GlobalOpinionQA.

COUNTRIES = ABOUT | {
    "licence": "CC-BY-NC-SA-4.0",
    "groups": {
        "Norway": {"id": "wvs-norway", "name": "respondents in Norway", "n": 1000},
        "Peru": {"id": "wvs-peru", "name": "respondents in Peru", "n": 1200},
    },
}


def selections(norway: list[Any], peru: list[Any]) -> str:
    return f"defaultdict(<class 'list'>, {{'Norway': {norway}, 'Peru': {peru}}})"


def row(number: int, norway: list[Any], peru: list[Any], **changed: str) -> dict[str, str]:
    return {
        "question": f"Is thing {number} justifiable?",
        "selections": selections(norway, peru),
        "options": "['Always', 'Never', 'DK/Refused']",
        "source": "WVS",
    } | changed


ROWS = [row(1, [0.7, 0.2, 0.1], [0.2, 0.7, 0.1]), row(2, [0.6, 0.4, 0], [0.3, 0.7, 0])]


def globe(folder: Path, rows: list[dict[str, str]], **changed: Any) -> Any:
    file = write_csv(folder / "global_opinions.csv", rows)
    book = write_yaml(folder / "countries.yaml", COUNTRIES | changed)
    return from_global_opinions(file, book, without_held_out=True)


def test_countries_become_profiles_without_refusals_under_their_licence(tmp_path: Path) -> None:
    found = globe(tmp_path, [*ROWS, ROWS[0], row(3, [1.0], [1.0], options="['Always']")])
    norway, _ = found.groups
    (item, _) = norway.learning
    assert item.startswith("WVS-")
    answers = norway.learning[item]
    assert answers.counts == (700, 200)
    assert answers.shares == pytest.approx((7 / 9, 2 / 9))
    assert answers.n_effective == pytest.approx(900)
    reasons = " ".join(norway.left_out.values())
    assert "the same question stands again" in reasons
    assert "no two different options" in reasons
    found.write(tmp_path / "proposals", None, replace=False)
    path = tmp_path / "proposals" / "wvs-norway"
    profile, problems = read_profile(path, tmp_path)
    assert profile is not None, problems
    assert profile.profile.licence == "CC-BY-NC-SA-4.0"
    assert "commercial" not in profile.profile.consent.uses
    text = (path / "profile.yaml").read_text()
    (path / "profile.yaml").write_text(text.replace("  - evaluate\n", "  - commercial\n"))
    refused, problems = read_profile(path, tmp_path)
    assert refused is None
    assert "CC-BY-NC-SA-4.0 does not grant 'commercial'" in str(problems[0])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"licence": "CC-BY-4.0"}, "is licensed as CC-BY-NC-SA-4.0, and the codebook says"),
        ({"uses": ["train-sft", "commercial"]}, "does not grant 'commercial'"),
        ({"uses": ["publish-data"]}, "shared under the same licence"),
        (
            {"groups": {k: v | {"n": None} for k, v in COUNTRIES["groups"].items()}},
            "how many people answered in Norway",
        ),
        (
            {"groups": COUNTRIES["groups"] | {"Nroway": {"id": "wvs-x", "name": "abc", "n": 9}}},
            "has no answers of 'Nroway'",
        ),
    ],
)
def test_a_codebook_that_does_not_fit_is_refused(
    tmp_path: Path, changed: dict[str, Any], message: str
) -> None:
    if "groups" in changed:
        changed["groups"] = {
            k: {a: b for a, b in v.items() if b is not None} for k, v in changed["groups"].items()
        }
    with pytest.raises(ChorusError, match=message):
        globe(tmp_path, ROWS, **changed)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (row(1, [0.7, 0.3], [0.2, 0.7, 0.1]), r"csv:2: gives Norway 2 shares of 3 options"),
        (row(1, [0.7, 0.7, 0.1], [0.2, 0.7, 0.1]), "gives Norway the shares"),
        (row(1, [-0.1, 1.1, 0], [0.2, 0.7, 0.1]), "gives Norway the shares"),
        (row(1, [], [], selections="[1]"), "which is no mapping"),
        (row(1, [], [], selections="{'Norway': nan}"), "which is no mapping"),
        (row(1, [], [], selections="{'Norway': 3}"), "no list of"),
    ],
)
def test_a_broken_row_is_named(tmp_path: Path, wrong: dict[str, str], message: str) -> None:
    with pytest.raises(ChorusError, match=message):
        globe(tmp_path, [wrong])


def test_nobody_who_answered_is_left_out_and_halves_are_not_made_up(tmp_path: Path) -> None:
    found = globe(tmp_path, [*ROWS, row(3, [0, 0, 0], [0.5, 0.5, 0]), row(4, [0, 0, 1], [1, 0, 0])])
    norway, peru = found.groups
    assert (len(norway.learning), len(peru.learning)) == (2, 4)
    file = tmp_path / "global_opinions.csv"
    with pytest.raises(UsageError, match="cannot be split into two halves"):
        from_global_opinions(file, tmp_path / "countries.yaml")
    file.write_text("question,options\nQ,[]\n")
    with pytest.raises(UsageError, match="has no column 'selections'"):
        from_global_opinions(file, tmp_path / "countries.yaml", without_held_out=True)


# CCAI.


def ccai(folder: Path, toss: str = "3\n5\n") -> Path:
    random = np.random.default_rng(0)
    statements = [
        {"comment-id": i, "author-id": 0, "moderated": 1, "comment-body": f"The AI should do {i}."}
        for i in range(40)
    ]
    votes = []
    for person in range(260):
        side = person % 2
        given = {
            str(i): int(random.choice([1, -1], p=[0.85, 0.15])) * (1 if (i % 2) == side else -1)
            for i in range(40)
        }
        votes.append({"participant": person, "group-id": side, **given})
    write_csv(folder / "comments.csv", statements)
    write_csv(folder / "participants-votes.csv", votes)
    (folder / "ids-to-toss.csv").write_text(toss)
    return folder


def test_people_whose_votes_were_set_aside_are_in_no_group(tmp_path: Path, about: Path) -> None:
    export = export_of(ccai(tmp_path / "ccai"))
    found = from_polis(export.votes, export.statements, about, draws=20, left_out=export.left_out)
    assert sum(group.total for group in found.groups) == 258
    assert found.more["left_out"] == ["3", "5"]
    assert "2 people were left out by name" in found.notes
    json.dumps(found.record(None))


def test_a_list_of_another_export_is_refused(tmp_path: Path, about: Path) -> None:
    export = export_of(ccai(tmp_path / "ccai", "3\n999\n"))
    with pytest.raises(UsageError, match="has no participant 999"):
        from_polis(export.votes, export.statements, about, draws=20, left_out=export.left_out)
    with pytest.raises(UsageError, match=r"toss.csv:2: holds 'abc'"):
        read_ids(export_of(ccai(tmp_path / "b", "3\nabc\n")).left_out or Path())
    (tmp_path / "b" / "comments.csv").unlink()
    with pytest.raises(UsageError, match=r"holds no comments.csv"):
        export_of(tmp_path / "b")
