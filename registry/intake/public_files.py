"""Imports of the public opinion files that many papers use, from a copy that somebody has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from registry.errors import UsageError
from registry.hashing import sha256_file
from registry.intake.codebook import About, read_about
from registry.intake.difference import sampled_separation, separation
from registry.intake.global_opinions import Countries, read_global
from registry.intake.imports import Import, questions_of
from registry.intake.opinion_qa import RESPONSES, read_wave
from registry.intake.percentages import samples
from registry.intake.sensitive import declared
from registry.intake.survey import read_survey


def from_opinion_qa(
    folder: Path,
    about: Path,
    group: str,
    *,
    weight: str | None = None,
    sensitive: Sequence[str] = (),
    seed: int = 0,
) -> Import:
    """Imports one wave of OpinionQA; see `registry.intake.opinion_qa`."""
    wave = read_wave(folder, read_about(about, About), group, weight)
    kinds = declared(sensitive, group, wave.groups)
    file = folder / RESPONSES
    read = read_survey(file, wave.codebook, wave.columns, (), seed, wave.groups)
    groups = tuple(one.published() for one in read.groups)
    halves = {
        one.id: {i: (a.shares, one.held_out[i].shares) for i, a in one.learning.items()}
        for one in groups
        if one.held_out
    }
    method = (
        "All respondents of the wave were split in half once, by a hash of "
        f"{wave.columns.id or 'the number of their row'} (seed {seed}): opinions.csv comes from "
        "one half, evaluation/opinions.csv from the other, which only evaluations read. A share is "
        f"a sum of {wave.columns.weight}; refusals are no answers."
    )
    return Import(
        about=wave.codebook,
        kind="survey-population",
        sha256=sha256_file(file),
        method=method,
        groups=groups,
        separation=separation(halves),
        instrument=questions_of(wave.codebook),
        sensitive=kinds,
        row_id=wave.columns.id,
        notes=(f"{read.grouped:,} respondents are in a group, {read.outside:,} in none",
               *wave.notes),
        more={"seed": seed, "grouped": read.grouped, "outside": read.outside,
              "questions_left_out": dict(wave.left_out)},
    )  # fmt: skip


def from_global_opinions(
    file: Path, about: Path, *, sensitive: Sequence[str] = (), without_held_out: bool = False
) -> Import:
    """Imports countries of GlobalOpinionQA; see `registry.intake.global_opinions`."""
    if not without_held_out:
        raise UsageError(
            "gives shares, which cannot be split into two halves of people",
            where=str(file),
            why="models would be measured against the people that they learned from",
            mend="give --no-held-out: the profiles then have no table for evaluation",
        )
    countries = read_about(about, Countries)
    book, found = read_global(file, countries)
    kinds = declared(sensitive, "country", [one.named.name for one in found])
    groups = tuple(one.published() for one in found)
    return Import(
        about=book,
        kind="survey-population",
        sha256=sha256_file(file),
        method="Counts were worked back from published shares and the number of people that the "
        "codebook gives for each country; refusals are no answers. There is no "
        "evaluation/opinions.csv: nobody else was counted.",
        groups=groups,
        separation=sampled_separation({i: of for i, of in samples(groups).items() if of}),
        instrument=questions_of(book),
        sensitive=kinds,
        more={"held_out": False, "sources": list(countries.sources)},
    )
