"""Where the published sources lie, and codebooks for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from registry.intake.proposal import yaml_text
from registry.strict_yaml import read

ROOT = Path(__file__).resolve().parents[3]
DATA = ROOT.parent / "shared" / "data"

ABOUT: dict[str, Any] = {
    "schema_version": 1,
    "instrument": "town-2024",
    "title": "A survey of a town",
    "publisher": "The Town",
    "citation": "The Town, A survey of a town, 2024",
    "url": "https://example.org/town",
    "licence": "CC-BY-4.0",
    "language": "en-US",
    "fielded": {"start": "2024-01-01", "end": "2024-02-01"},
    "population": "People of one town who answered by post.",
}
PRESSURE = (
    "Do you think that society puts pressure on men in a way that is unhealthy or bad for them?"
)
LIKERT = {"1": "Yes", "2": "Perhaps", "3": "No"}
CODEBOOK: dict[str, Any] = {
    **ABOUT,
    "weighting": "weights of the town",
    "questions": {
        "Q1": {"text": "Is the park large enough?", "options": LIKERT},
        "Q2": {"text": "Is the bus on time?", "options": LIKERT},
    },
    "missing": ["-1", "NA"],
}


def published(name: str) -> Path:
    """A published file beside the project; the test is skipped where it is absent."""
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"{name} is not beside the project")
    return path


def write_yaml(path: Path, data: dict[str, Any]) -> Path:
    path.write_text(yaml_text(data), encoding="utf-8")
    return path


def nonvoters_codebook(folder: Path) -> Path:
    """The codebook of the 2020 survey, from the project's questionnaire for it."""
    document, _ = read(ROOT / "registry" / "instruments" / "civic-2020.yaml", "civic-2020.yaml")
    assert document is not None
    questions = {}
    for battery in document.data["batteries"].values():
        options = {str(n): label for n, label in enumerate(battery["options"], 1)}
        for item, phrases in battery["items"].items():
            text = battery["wordings"]["a"].replace("{item}", phrases.get("a", ""))
            questions[item] = {"text": text, "options": options}
    data = {
        **ABOUT,
        "instrument": "civic-2020",
        "title": "Why Many Americans Don't Vote",
        "publisher": "FiveThirtyEight and Ipsos",
        "citation": 'FiveThirtyEight/Ipsos, "Why Many Americans Don\'t Vote", 2020 (CC BY 4.0)',
        "url": "https://projects.fivethirtyeight.com/non-voters-poll-2020-election",
        "fielded": {"start": "2020-09-15", "end": "2020-09-25"},
        "weighting": "survey weights of the publisher",
        "population": "United States citizens who could vote in at least four elections.",
        "questions": questions,
        "missing": ["-1", "NA"],
    }
    return write_yaml(folder / "civic-2020.yaml", data)


def masculinity_codebook(folder: Path, people: dict[str, int]) -> Path:
    """A codebook of the 2018 table of men, for those questions that everybody was asked."""
    how_often = ["Often", "Sometimes", "Rarely", "Never, but open to it",
                 "Never, and not open to it"]  # fmt: skip
    asked = {
        "masculine": ('In general, how masculine or "manly" do you feel?',
                      ["Very masculine", "Somewhat masculine", "Not very masculine",
                       "Not at all masculine"]),
        "seen": ("How important is it to you that others see you as masculine?",
                 ["Very important", "Somewhat important", "Not too important",
                  "Not at all important"]),
        "pressure": (PRESSURE, ["Yes", "No"]),
        "professional-advice": ("Ask a friend for professional advice", how_often),
        "personal-advice": ("Ask a friend for personal advice", how_often),
        "sports": ("Watch sports of any kind", how_often),
        "work-out": ("Work out", how_often),
        "therapist": ("See a therapist", how_often),
        "lonely": ("Feel lonely or isolated", how_often),
    }  # fmt: skip
    data = {
        **ABOUT,
        "instrument": "masculinity-2018",
        "title": "Masculinity survey",
        "publisher": "FiveThirtyEight, WNYC and SurveyMonkey",
        "citation": "FiveThirtyEight/WNYC/SurveyMonkey, masculinity survey, May 2018 (CC BY 4.0)",
        "url": "https://github.com/fivethirtyeight/data/tree/master/masculinity-survey",
        "fielded": {"start": "2018-05-10", "end": "2018-05-22"},
        "weighting": "survey weights of the publisher",
        "population": "Adult men in the United States who answered online in May 2018.",
        "questions": {i: {"text": text, "options": {option: option for option in options}}
                      for i, (text, options) in asked.items()},
        "missing": ["No answer"],
        "groups": {label: {"id": f"men-{n}", "name": f"men, {label}, 2018 survey", "n": count}
                   for n, (label, count) in enumerate(people.items(), 1)},
    }  # fmt: skip
    return write_yaml(folder / "masculinity.yaml", data)


def san_juan_about(folder: Path) -> Path:
    """What the San Juan conversation is."""
    data = {
        **ABOUT,
        "instrument": "san-juan-2021",
        "title": "Land use and conservation in the San Juan Islands",
        "publisher": "The Computational Democracy Project",
        "citation": "Gathered with Polis (compdemocracy.org/polis), CC BY 4.0 with attribution to "
        "The Computational Democracy Project; compdemocracy.org/case-studies/2021-san-juan-island",
        "url": "https://compdemocracy.org/case-studies/2021-san-juan-island",
        "fielded": {"start": "2021-07-01", "end": "2021-08-01"},
        "weighting": "none: everybody counts the same",
        "population": "People who voted in one open conversation online about land use.",
    }
    return write_yaml(folder / "san-juan.yaml", data)
