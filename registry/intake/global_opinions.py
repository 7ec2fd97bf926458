"""GlobalOpinionQA: a question a row, with the share of each country that chose each option.

The file gives shares and no numbers of people, so the codebook gives them by country. It is under
CC BY-NC-SA 4.0, whatever a codebook says (Durmus et al., 2023).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from registry.errors import UsageError
from registry.intake.codebook import About, Codebook, Named, named_groups
from registry.intake.estimates import Answers, largest_remainder
from registry.intake.group import Group
from registry.intake.printed import printed, rows_of

LICENCE = "CC-BY-NC-SA-4.0"
NEEDED = ("question", "selections", "options", "source")
MOST_COUNTRIES = 50
SLACK = 0.02
"""How far published shares may be from summing to one."""
_REFUSALS = frozenset({"dk/refused", "dk", "refused", "don't know", "no answer", "missing", "nan",
                       "don't know/refused", "don't know / refused", "no response",
                       "dk/ref", "missing; unknown", "other missing", "not asked"})  # fmt: skip


class Countries(About):
    """What the source is, and how many people stand behind each country's shares."""

    groups: dict[str, Named] = Field(min_length=2, max_length=MOST_COUNTRIES)
    """For each country that is imported the id, the name and the `n` of its profile."""
    sources: tuple[str, ...] = ()
    """Which surveys of the file, such as WVS or GAS; all of them where left out."""


@dataclass
class _Read:
    """What was read of the file."""

    questions: dict[str, Any] = field(default_factory=dict)
    answers: dict[str, dict[str, Answers]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


def read_global(path: Path, about: Countries) -> tuple[Codebook, tuple[Group, ...]]:
    """Reads the countries that are named.

    Raises:
        UsageError: The licence is another one, a row is broken, or a country has no `n`.
    """
    if about.licence != LICENCE:
        raise UsageError(
            f"is licensed as {LICENCE}, and the codebook says {about.licence}",
            where=str(path),
            why="profiles made from it would claim uses that its publisher did not grant",
            mend=f"write `licence: {LICENCE}`, and leave commercial and publish-data out of `uses`",
        )
    if bare := [country for country, named in about.groups.items() if named.n is None]:
        raise UsageError(
            f"does not say how many people answered in {bare[0]}",
            where=str(path),
            why="a share of unknown people carries unknown noise",
            mend=f"give `n:` to {bare[0]} under `groups:`, from the survey's own report",
        )
    read, countries = _Read(), set[str]()
    for line, row in rows_of(path, NEEDED):
        if not about.sources or row["source"] in about.sources:
            countries |= _add(read, row, about.groups, f"{path}:{line}")
    if unknown := sorted(set(about.groups) - countries):
        raise UsageError(
            f"has no answers of {unknown[0]!r}",
            where=str(path),
            why="a misspelt country would silently lose its people",
            mend=f"it has: {', '.join(sorted(countries)[:40])}",
        )
    book = _codebook(path, about, read.questions)
    named = named_groups(dict.fromkeys(about.groups, ""), book, str(path), "selections")
    return book, tuple(
        Group(
            named[country],
            (max((a.n for a in read.answers.get(country, {}).values()), default=0), 0),
            read.answers.get(country, {}),
            None,
            dict(read.left_out),
        )
        for country in about.groups
    )


def _codebook(path: Path, about: Countries, questions: Mapping[str, Any]) -> Codebook:
    try:
        return Codebook.model_validate(
            about.model_dump(exclude_none=True, exclude={"sources"}) | {"questions": questions}
        )
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(map(str, first["loc"]))
        said = first["msg"].removeprefix("Value error, ")
        raise UsageError(f"{at}: {said}", where=str(path), mend="leave that out") from None


def _add(read: _Read, row: Mapping[str, str], groups: Mapping[str, Named], where: str) -> set[str]:
    """Adds one row; returns the countries that it speaks of."""
    options = [" ".join(str(one).split()) for one in printed(row["options"], list, where)]
    shares = printed(row["selections"], dict, where)
    for country, given in shares.items():
        if not isinstance(given, list) or len(given) != len(options):
            raise UsageError(
                f"gives {country} {len(given) if isinstance(given, list) else 'no list of'} shares "
                f"of {len(options)} options",
                where=where,
                mend="give the file as it was published",
            )
    kept = [n for n, option in enumerate(options) if option.casefold() not in _REFUSALS]
    text = " ".join(row["question"].split())
    digest = hashlib.sha256("\n".join([row["source"], text, *options]).encode()).hexdigest()
    item = f"{re.sub('[^A-Za-z0-9]', '', row['source']) or 'Q'}-{digest[:12]}"
    labels = [options[n] for n in kept]
    if len(labels) < 2 or len(set(labels)) < len(labels):  # noqa: PLR2004 - one is no choice
        read.left_out[item] = "it has no two different options beside refusals"
    elif item in read.questions:
        read.left_out[f"{item} again"] = f"the same question stands again ({where})"
    else:
        read.questions[item] = {"text": text, "options": {o: o for o in labels}}
        for country in shares.keys() & groups.keys():
            found = _answers(shares[country], kept, groups[country], country, where)
            if found is None:
                read.left_out[f"{item} {country}"] = "nobody chose an option beside refusals"
            else:
                read.answers.setdefault(country, {})[item] = found
    return set(shares)


def _answers(
    shares: Sequence[Any], kept: Sequence[int], named: Named, country: str, where: str
) -> Answers | None:
    whole = [isinstance(one, int | float) and 0 <= one <= 1 for one in shares]
    if not all(whole) or not (total := sum(shares)) or abs(total - 1) > SLACK:
        if all(whole) and not sum(shares):
            return None
        raise UsageError(
            f"gives {country} the shares {str(list(shares))[:80]}",
            where=where,
            why="shares lie between 0 and 1 and sum to 1",
            mend="give the file as it was published",
        )
    answered = sum(shares[n] for n in kept)
    if not answered or named.n is None:
        return None
    weights = [shares[n] / answered for n in kept]
    part = answered / total
    effective = (named.n_effective or named.n) * part
    return Answers(largest_remainder(weights, round(named.n * part)), tuple(weights), effective)
