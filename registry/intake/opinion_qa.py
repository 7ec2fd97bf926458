"""A wave of OpinionQA: `info.csv`, `metadata.csv` and `responses.csv` of one Pew panel wave.

Options stand in the order that `option_ordinal` gives. Refusals are no option and no answer. The
weights are those of the one column that starts with WEIGHT (Santurkar et al., 2023).
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from registry.errors import UsageError
from registry.intake.codebook import About, Codebook
from registry.intake.labelled import code
from registry.intake.printed import printed, rows_of
from registry.intake.survey import Columns
from registry.intake.tables import header

INFO, METADATA, RESPONSES = "info.csv", "metadata.csv", "responses.csv"
LOOKED_AT = 2_000
"""Respondents that are looked at to see whether answers stand as codes or as labels."""
REFUSALS = frozenset({"refused", "no answer", "dk/ref", "don't know/refused", "refused/no answer"})
_IDS = ("QKEY", "qkey", "CaseId", "id")
_NEEDED = ("key", "question", "references", "option_mapping", "option_ordinal")


@dataclass(frozen=True)
class Wave:
    """What the files of a wave say."""

    codebook: Codebook
    columns: Columns
    groups: tuple[str, ...]
    """The values of the group column that are groups."""
    left_out: Mapping[str, str]
    """For each question that is not imported, why."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out, in sentences."""
        return tuple(f"{key} is left out: {why}" for key, why in self.left_out.items())


def read_wave(folder: Path, about: About, group: str, weight: str | None = None) -> Wave:
    """Reads what a wave's questions and columns mean.

    Args:
        folder: The folder with the three files.
        about: The source; its licence is that of the person who gives the files.
        group: A key of `metadata.csv`, such as CREGION.
        weight: The column of weights, where several start with WEIGHT.

    Raises:
        UsageError: A file is missing, or is not laid out so.
    """
    known = header(folder / RESPONSES)
    groups = _groups(folder / METADATA, group)
    seen = _seen(folder / RESPONSES)
    questions: dict[str, Any] = {}
    missing, left_out = {"", "NA", "nan", "99", "99.0"}, dict[str, str]()
    for line, row in rows_of(folder / INFO, _NEEDED):
        where, key = f"{folder / INFO}:{line}", row["key"]
        if key in questions or key in left_out:
            raise UsageError(f"has the question {key} twice", where=where, mend="keep one row")
        options = _options(row, where)
        missing |= {label for label in options.values() if _refused(label)}
        missing |= {one for one, label in options.items() if _refused(label)}
        answers = {one: label for one, label in options.items() if not _refused(label)}
        if key not in known:
            left_out[key] = f"{RESPONSES} has no such column"
        elif len(answers) < 2:  # noqa: PLR2004 - one option is no question
            left_out[key] = f"it has {len(answers)} options beside refusals"
        elif len(set(answers.values())) < len(answers):
            left_out[key] = "two of its options read alike"
        else:
            by_code = bool(seen.get(key)) and seen[key] <= options.keys() | missing
            shown = answers if by_code else {label: label for label in answers.values()}
            questions[key] = {"text": row["question"], "options": shown}
    missing -= {one for question in questions.values() for one in question["options"]}
    return Wave(
        _codebook(folder, about, questions, missing),
        Columns(group, _weight(known, weight, folder), next((i for i in _IDS if i in known), None)),
        groups,
        left_out,
    )


def _codebook(
    folder: Path, about: About, questions: Mapping[str, Any], missing: set[str]
) -> Codebook:
    try:
        return Codebook.model_validate(
            about.model_dump(exclude_none=True)
            | {"questions": dict(questions), "missing": tuple(sorted(missing))}
        )
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(map(str, first["loc"]))
        raise UsageError(
            f"{at}: {first['msg'].removeprefix('Value error, ')}",
            where=str(folder / INFO),
            mend="mend or remove that question",
        ) from None


def _refused(label: str) -> bool:
    return label.strip().casefold() in REFUSALS


def _weight(known: Sequence[str], given: str | None, folder: Path) -> str:
    found = [name for name in known if name.upper().startswith("WEIGHT")]
    if given is None and len(found) != 1:
        raise UsageError(
            f"has {len(found)} columns that start with WEIGHT",
            where=f"{folder / RESPONSES}:1",
            why="Pew's respondents stand for different numbers of people",
            mend=f"name the right one with --weight{': ' + ', '.join(found) if found else ''}",
        )
    return given or found[0]


def _groups(path: Path, group: str) -> tuple[str, ...]:
    keys = []
    for line, row in rows_of(path, ("key", "options")):
        keys.append(row["key"])
        if row["key"] == group:
            options = [str(one) for one in printed(row["options"], list, f"{path}:{line}")]
            return tuple(one for one in options if not _refused(one))
    raise UsageError(
        f"knows no division {group!r}", where=str(path), mend=f"its keys are: {', '.join(keys)}"
    )


def _options(row: Mapping[str, str], where: str) -> dict[str, str]:
    """Code and label of each option, in the order that `option_ordinal` gives."""
    mapping = printed(row["option_mapping"], dict, where)
    labels = [str(label) for label in printed(row["references"], list, where)]
    ordinal = printed(row["option_ordinal"], list, where)
    codes = {str(label): code(value) for value, label in mapping.items()}
    if lacking := [label for label in labels if label not in codes]:
        raise UsageError(
            f"lists the option {lacking[0][:60]!r}, to which option_mapping gives no code",
            where=where,
            mend="give info.csv as OpinionQA hands it out",
        )
    kept = [label for label in labels if not _refused(label)]
    if len(ordinal) != len(kept) or not all(isinstance(o, int | float) for o in ordinal):
        raise UsageError(
            f"orders {len(ordinal)} options, and has {len(kept)} beside refusals",
            where=where,
            why="the order says which answers are near each other",
            mend="give a number for each option but refusals",
        )
    order = sorted(range(len(kept)), key=lambda place: (ordinal[place], place))
    sorted_labels = [kept[place] for place in order]
    return {codes[one]: one for one in [*sorted_labels, *(x for x in labels if _refused(x))]}


def _seen(path: Path) -> dict[str, set[str]]:
    """What the first respondents have in each column."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
        found: dict[str, set[str]] = {}
        for row in islice(csv.DictReader(stream), LOOKED_AT):
            for name, value in row.items():
                if name and isinstance(value, str) and value:
                    whole = value.removesuffix(".0")
                    found.setdefault(name, set()).add(whole)
    return found
