"""Four value profiles by age, from the public answers to a survey of September 2020.

The respondents of the file are split in half at random, once. The first half makes the opinions
that a model may learn from, the second half those that an evaluation compares with, so that no
person stands on both sides. Only shares by age leave this module: no row of the file does.

Run it from the repository root:

    python -m assets.sources.civic_2020 RESPONSES_CSV VALUE_PROFILES_DIR
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import io
import json
import math
import random
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from registry.errors import ChorusError, ProblemsError, UsageError
from registry.intake import estimates
from registry.intake.estimates import FEWEST_ANSWERS, ROUNDING_BASE, Estimate
from registry.strict_yaml import read

INSTRUMENT = Path(__file__).resolve().parents[2] / "registry" / "instruments" / "civic-2020.yaml"
"""The questionnaire: which items there are, and their options in the order of the codes."""

SPLIT_SEED = 2020

_MISSING = frozenset({"-1", "NA", ""})
_WEIGHT = re.compile(r"\d+(\.\d+)?", re.ASCII)
_GZIP_MAGIC = b"\x1f\x8b"
_MILLION = 1_000_000
_COLUMNS = ("item", "option", "position", "count", "share", "n", "n_effective", "mark")
_STATEMENT = "used under CC BY 4.0; the people who answered were not asked about training models"
_ADMITTED = """\
event: admitted
revision: 1
"on": "2026-11-23"
by: [chorus-founders]
reason: "Its figures were computed from data published under CC BY 4.0 and are used under that \
licence; no review of purpose, identifiability and harm is claimed."
"""

Options = Mapping[str, tuple[str, ...]]
"""The option labels of every item."""


@dataclass(frozen=True)
class AgeBand:
    """Respondents of neighbouring ages, who become one profile."""

    id: str
    """The profile's id."""
    words: str
    """The ages as a reader sees them."""
    youngest: int
    """The lowest age in years that belongs to it; it ends where the next one starts."""


AGE_BANDS = (
    AgeBand("age-22-34", "aged 22-34", 22),
    AgeBand("age-35-49", "aged 35-49", 35),
    AgeBand("age-50-64", "aged 50-64", 50),
    AgeBand("age-65-plus", "aged 65 and over", 65),
)


@dataclass(frozen=True)
class Respondent:
    """One row of the file, without anything that this module does not read."""

    id: str
    band: str
    weight: float
    codes: Mapping[str, int]
    """The code of the option chosen, counted from 1, for each item answered."""


def estimate(answers: Sequence[tuple[int, float]], option_count: int, where: str) -> Estimate:
    """Estimates how a group answers one item.

    A share is the sum of weights of those who chose the option over the sum for all who answered.
    The effective size is (sum of weights)^2 / (sum of squared weights) (Kish, Survey Sampling,
    1965). An option that one to four people chose is published as five, the total grows with it,
    its share is five over that total, and the other shares shrink alike.

    Args:
        answers: The code (from 1) and the weight of each respondent who answered.
        option_count: How many options the item has.
        where: The group and the item, for messages.

    Raises:
        UsageError: Too few people answered to publish anything about them.
    """
    if len(answers) < FEWEST_ANSWERS:
        raise UsageError(
            f"only {len(answers)} people answered; at least {FEWEST_ANSWERS} are needed",
            where=where,
            why="the answers of few people can point to one of them",
            mend="merge the group with its neighbour",
        )
    by_option = [
        [weight for code, weight in answers if code == position]
        for position in range(1, option_count + 1)
    ]
    everyone = [weight for _, weight in answers]
    given = estimates.Answers(
        counts=tuple(map(len, by_option)),
        weights=tuple(map(math.fsum, by_option)),
        n_effective=estimates.kish(math.fsum(everyone), math.fsum(w**2 for w in everyone)),
    )
    return estimates.estimate(given)


def read_options(instrument: Path) -> dict[str, tuple[str, ...]]:
    """Reads the option labels of every item of a questionnaire, in the order of the codes.

    Raises:
        ProblemsError: The questionnaire cannot be read.
    """
    document, problems = read(instrument, instrument.name)
    if document is None:
        raise ProblemsError(problems)
    return {
        item: tuple(battery["options"])
        for battery in document.data["batteries"].values()
        for item in battery["items"]
    }


def read_respondents(text: str, options: Options) -> tuple[Respondent, ...]:
    """Reads the respondents of the file, sorted by id.

    Raises:
        UsageError: A column is missing, an id comes twice, or a value is none that the survey has.
    """
    rows = csv.DictReader(io.StringIO(text, newline=""), restval="")
    needed = ["RespId", "weight", "ppage", *options]
    if missing := [column for column in needed if column not in (rows.fieldnames or ())]:
        raise UsageError(
            f"lacks the columns {', '.join(missing)}",
            where="line 1",
            mend="give the respondent file of the survey, nonvoters_data.csv",
        )
    respondents = sorted(
        (_respondent(row, options) for row in rows), key=lambda respondent: respondent.id
    )
    if len({respondent.id for respondent in respondents}) != len(respondents):
        raise UsageError(
            "has the same RespId twice",
            why="one person could stand in both halves",
            mend="give the file as it was published",
        )
    return tuple(respondents)


def _respondent(row: Mapping[str, str], options: Options) -> Respondent:
    where = f"respondent {row['RespId']}"
    return Respondent(
        id=row["RespId"],
        band=_band(row["ppage"], where),
        weight=_weight(row["weight"], where),
        codes={
            item: _code(row[item], len(labels), f"{where}, {item}")
            for item, labels in options.items()
            if row[item] not in _MISSING
        },
    )


def _band(age: str, where: str) -> str:
    for band in reversed(AGE_BANDS):
        if age.isdecimal() and int(age) >= band.youngest:
            return band.id
    raise UsageError(f"has the age {age!r}, which is in no band", where=where)


def _weight(weight: str, where: str) -> float:
    if not _WEIGHT.fullmatch(weight) or float(weight) == 0:
        raise UsageError(f"has the weight {weight!r}, which is no positive number", where=where)
    return float(weight)


def _code(code: str, option_count: int, where: str) -> int:
    if not (code.isdecimal() and 1 <= int(code) <= option_count):
        raise UsageError(
            f"has the code {code!r}; codes run from 1 to {option_count}, and -1 is a refusal",
            where=where,
        )
    return int(code)


def learning_half(ids: Iterable[str]) -> frozenset[str]:
    """The respondents that a model may learn from; all others are held out.

    There is one split for the whole file, so it is the same however groups are drawn.
    """
    shuffled = sorted(ids)
    random.Random(SPLIT_SEED).shuffle(shuffled)  # noqa: S311 - a repeatable split, not a secret
    return frozenset(shuffled[: len(shuffled) // 2])


def opinions_table(respondents: Sequence[Respondent], options: Options, group: str) -> str:
    """The text of an `opinions.csv`: one row for every item and option.

    Raises:
        UsageError: Too few of the respondents, whom messages call `group`, answered some item.
    """
    output = io.StringIO(newline="")
    writer = csv.writer(output, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for item, labels in options.items():
        answers = [(one.codes[item], one.weight) for one in respondents if item in one.codes]
        result = estimate(answers, len(labels), f"{group}, {item}")
        effective = f"{result.n_effective:.1f}"
        for index, label in enumerate(labels):
            count, share = result.counts[index], f"{result.shares[index] / _MILLION:.6f}"
            mark = "rounded" if result.rounded[index] else ""
            writer.writerow((item, label, index + 1, count, share, result.n, effective, mark))
    return output.getvalue()


def profile_text(band: AgeBand, learning: int, held_out: int, items: int, sha256: str) -> str:
    """The text of a band's `profile.yaml`.

    Args:
        band: The respondents' ages.
        learning: How many of them may be learned from.
        held_out: How many are in the other half.
        items: How many questions they were asked.
        sha256: Digest of the respondent file, decompressed.
    """
    description = (
        f"How {learning + held_out:,} survey respondents {band.words} answered {items} questions "
        "about public life in the United States between 15 and 25 September 2020. All respondents "
        "of the survey were split in half at random, once: opinions.csv was computed from the "
        f"{learning:,} of this age in the first half, evaluation/opinions.csv from the "
        f"{held_out:,} in the second, which only evaluations read. A share is the sum of the "
        "publisher's survey weights of those who chose an option, divided by the sum for all who "
        "answered; people who gave no answer are left out. An option that at least one but fewer "
        f"than {ROUNDING_BASE} people chose is published as {ROUNDING_BASE} and marked rounded."
    )
    scope = (
        f"Estimates what survey respondents {band.words} answered in September 2020. The file "
        "holds United States citizens aged 22 and over who could vote in at least four elections; "
        "it says nothing about younger people, people who are not citizens, or anyone later. Which "
        "people it holds depends on voting records and voting habits, and those differ with age, "
        "so a difference between ages is mixed with voting habit. Nobody who answered has endorsed "
        "any model; it speaks for no one."
    )
    citation = (
        'FiveThirtyEight / Ipsos KnowledgePanel, "Why Many Americans Don\'t Vote", '
        "15-25 September 2020, 5,836 respondents in the file (CC BY 4.0); "
        "github.com/fivethirtyeight/data, non-voters/nonvoters_data.csv at commit fcf572c4fba0. "
        "Shares by age were computed by the Chorus authors."
    )
    return f"""\
schema_version: 1
id: {band.id}
revision: 1
kind: survey-population
name: {_quoted(f"respondents {band.words}, 2020 survey")}
description: {_quoted(description)}
scope: {_quoted(scope)}
languages: ["en-US"]
source:
  title: {_quoted("Why Many Americans Don't Vote: answers of the respondents")}
  publisher: {_quoted("FiveThirtyEight and Ipsos")}
  citation: {_quoted(citation)}
  url: "https://projects.fivethirtyeight.com/non-voters-poll-2020-election"
  licence: "CC-BY-4.0"
  sha256: "{sha256}"
permission: licence
consent:
  terms_version: "CC BY 4.0"
  uses: [train-sft, train-rl, evaluate, publish-data]
  granted_on: "2020-09-25"
  expires_on: never
  statement: {_quoted(_STATEMENT)}
opinions:
  instrument: civic-2020
  fielded: {{start: "2020-09-15", end: "2020-09-25"}}
  weighting: {_quoted("survey weights of the publisher")}
"""


def _quoted(text: str) -> str:
    """`text` as a double-quoted YAML scalar (each JSON string is one)."""
    return json.dumps(text, ensure_ascii=False)


def write_profiles(responses: Path, value_profiles: Path) -> tuple[Path, ...]:
    """Writes the four profiles by age; the same file always gives the same bytes.

    Args:
        responses: The respondent file of the survey, as CSV, plain or gzipped.
        value_profiles: The folder that holds one folder for each profile.

    Returns:
        The folders of the profiles, from the youngest to the oldest.

    Raises:
        UsageError: The file is not the survey's, or a group is too small to publish.
    """
    raw = responses.read_bytes()
    if raw.startswith(_GZIP_MAGIC):
        raw = gzip.decompress(raw)
    options = read_options(INSTRUMENT)
    respondents = read_respondents(raw.decode("utf-8"), options)
    learning_ids = learning_half(respondent.id for respondent in respondents)
    files: dict[Path, str] = {}
    for band in AGE_BANDS:
        people = [respondent for respondent in respondents if respondent.band == band.id]
        learning = [one for one in people if one.id in learning_ids]
        held_out = [one for one in people if one.id not in learning_ids]
        folder = value_profiles / band.id
        files[folder / "profile.yaml"] = profile_text(
            band, len(learning), len(held_out), len(options), hashlib.sha256(raw).hexdigest()
        )
        files[folder / "opinions.csv"] = opinions_table(learning, options, f"{band.id} (learning)")
        files[folder / "evaluation" / "opinions.csv"] = opinions_table(
            held_out, options, f"{band.id} (held out)"
        )
        files[folder / "events" / "0001-admitted.yaml"] = _ADMITTED
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode("utf-8"))
    return tuple(value_profiles / band.id for band in AGE_BANDS)


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the profiles from the command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m assets.sources.civic_2020",
        description="Write the four value profiles by age from the 2020 survey's answers.",
    )
    parser.add_argument("responses", type=Path, help="nonvoters_data.csv, plain or gzipped")
    parser.add_argument("value_profiles", type=Path, help="the folder that holds the profiles")
    given = parser.parse_args(arguments)
    try:
        folders = write_profiles(given.responses, given.value_profiles)
    except ChorusError as error:
        sys.stderr.write(f"{error}\n")
        return int(error.exit_code)
    sys.stdout.writelines(f"{folder}\n" for folder in folders)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
