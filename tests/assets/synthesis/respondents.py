"""A made-up survey: its file with a row a person, its codebook, and profiles of two groups."""

from __future__ import annotations

import csv
import hashlib
import random
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from assets.rows import write_rows
from assets.synthesis.respondent_sequences import RespondentFile, RowPermission
from registry.context import ProfileView
from registry.intake.estimates import Answers, estimate, is_learned_from, kish, opinion_rows
from registry.intake.proposal import csv_text
from registry.profile_tables import OPINIONS

GROUPS = {"n": "town-north", "s": "town-south"}
OPTIONS = {"tea": ("Yes", "No"), "sea": ("Often", "Seldom", "Never"), "bus": ("Yes", "No"),
           "sky": ("Blue", "Grey"), "fog": ("Yes", "No")}  # fmt: skip
HELD_OUT = ("fog", "sky")
CODEBOOK = """\
schema_version: 1
instrument: town-2024
title: A survey of a made-up town
publisher: The Town
citation: "The Town, A survey of a made-up town, 2024"
url: https://example.org/town
licence: CC-BY-4.0
language: en-US
fielded: {start: "2024-01-01", end: "2024-02-01"}
population: People of one made-up town who answered by post.
missing: ["-1", "NA"]
groups:
  "n": {id: town-north, name: "respondents of the north"}
  "s": {id: town-south, name: "respondents of the south"}
questions:
"""


@dataclass(frozen=True)
class Town:
    """The project's root with the survey in it, and what a method is given of it."""

    root: Path
    file: RespondentFile
    questionnaire: Path
    profiles: tuple[ProfileView, ...]
    ids: dict[str, tuple[set[str], set[str]]]
    """For each group the people of the half for learning and of the other."""


def _answer(source: random.Random, group: str, mood: float, options: int) -> str:
    if source.random() < 0.05:
        return "-1"
    lean = mood if group == "n" else 1 - mood
    return str(1 if source.random() < lean else source.randint(2, options))


def town(root: Path, people: int = 400, seed: int = 0) -> Town:
    """Writes the survey; people of a group answer alike, and each person leans one way."""
    source = random.Random(5)
    rows = []
    for number in range(people):
        group, mood = "ns"[number % 2], source.betavariate(4, 1.5)
        answers = {i: _answer(source, group, mood, len(o)) for i, o in OPTIONS.items()}
        rows.append({"RespId": f"person-{number:05d}", "side": group, **answers})
    root.mkdir(parents=True, exist_ok=True)
    with (root / "answers.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    lines = [
        f'  {item}: {{text: "What about {item}?", options: {{'
        + ", ".join(f'"{n}": "{o}"' for n, o in enumerate(options, 1))
        + "}}\n"
        for item, options in OPTIONS.items()
    ]
    (root / "codebook.yaml").write_text(CODEBOOK + "".join(lines))
    profiles, ids = [], {}
    for group, name in GROUPS.items():
        own = [row for row in rows if row["side"] == group]
        learning = [row for row in own if is_learned_from(seed, row["RespId"])]
        ids[name] = ({r["RespId"] for r in learning},
                     {r["RespId"] for r in own} - {r["RespId"] for r in learning})  # fmt: skip
        table = [row for item, options in OPTIONS.items() for row in _rows(item, options, learning)]
        folder = root / "value_profiles" / name
        folder.mkdir(parents=True)
        (folder / "opinions.csv").write_text(csv_text(OPINIONS, table))
        words = f"respondents of the {'north' if group == 'n' else 'south'}"
        fields = {"opinions": {"instrument": "town-2024"}, "name": words}
        profiles.append(ProfileView(name, words, folder, ("opinions.csv",), fields))
    asked = root / "questionnaire"
    questions = [
        {
            "row_id": f"{item}-{wording}", "instrument": "town-2024", "battery": item, "item": item,
            "wording": wording, "question": f"What about {item}, in wording {wording}?",
            "options": list(options), "held_out": item in HELD_OUT,
        }
        for item, options in OPTIONS.items()
        for wording in ("a", "b", "unseen")
    ]  # fmt: skip
    write_rows(asked / "items.parquet", questions)
    digest = hashlib.sha256((root / "answers.csv").read_bytes()).hexdigest()
    permission = RowPermission(
        basis="consent", statement="Made up by the tests: nobody's answers.", file_sha256=digest
    )
    file = RespondentFile(
        path="answers.csv", codebook="codebook.yaml", group="side", id="RespId", seed=seed,
        permission=permission,
    )  # fmt: skip
    return Town(root, file, asked, tuple(profiles), ids)


def _rows(item, options, people):
    counted = Counter(row[item] for row in people)
    counts = tuple(counted[str(place)] for place in range(1, len(options) + 1))
    total = sum(counts)
    given = Answers(counts, tuple(map(float, counts)), kish(total, total))
    return opinion_rows(item, options, estimate(given))
