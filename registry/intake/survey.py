"""Survey microdata: one row for each respondent, with a group, a weight and coded answers.

All respondents are split in half once, by a hash of their ids. Only sums leave the file: for every
group, half, question and code how many people, the sum of their weights and of their squares.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.errors import Place, Problem, ProblemsError, UsageError
from registry.intake.codebook import Codebook, Named, named_groups
from registry.intake.estimates import SPLIT, Answers, kish
from registry.intake.group import Group
from registry.intake.tables import opened

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MOST_GROUPS = 50
MOST_VALUES = 10_000
"""Different values of a group column that are looked at."""
MOST_CODES = 200_000
"""Different answers, over all groups and questions, that are looked at."""
HEAVIEST = 1_000_000
_SHOWN_PROBLEMS = 20
_SCALE = 1_000_000_000
"""Weights are summed as whole billionths, so that the order of rows changes no digit."""
_EVERYBODY = "everybody"

_CHECK = """
SELECT count(*), count(i), count(DISTINCT i),
       count(*) FILTER (coalesce(try_cast(w AS DOUBLE), 0) <= 0
                        OR NOT isfinite(try_cast(w AS DOUBLE))
                        OR try_cast(w AS DOUBLE) > $heaviest)
FROM people
"""
_FIRST_BAD_WEIGHT = """
SELECT row, w FROM (SELECT row_number() OVER () AS row, w FROM people)
WHERE coalesce(try_cast(w AS DOUBLE), 0) <= 0 OR NOT isfinite(try_cast(w AS DOUBLE))
      OR try_cast(w AS DOUBLE) > $heaviest
ORDER BY row LIMIT 1
"""
_FIRST_ID_TWICE = """
SELECT count(*) FROM (SELECT i FROM people GROUP BY i HAVING count(*) > 1 OR i IS NULL)
"""
_VALUES = "SELECT g, count(*) FROM people GROUP BY g ORDER BY g LIMIT $most"
_COUNTS = """
SELECT number, learned, item, code, count(*),
       sum(CAST(round(weight * $scale) AS BIGINT)), fsum(weight * weight)
FROM (UNPIVOT (
    SELECT number, sha256($salt || i) < '8' AS learned, CAST(w AS DOUBLE) AS weight,
           '1' AS everybody, COLUMNS('^q[0-9]+$')
    FROM people JOIN groups USING (g)
) ON COLUMNS('^(q[0-9]+|everybody)$') INTO NAME item VALUE code)
GROUP BY ALL
LIMIT $most
"""


@dataclass(frozen=True)
class Columns:
    """Which columns of the file mean what."""

    group: str
    """Divides the people."""
    weight: str | None = None
    """Their weights; everybody counts the same where there is none."""
    id: str | None = None
    """Tells people apart; the number of their row does where there is none."""


@dataclass(frozen=True)
class Survey:
    """What a survey's file holds."""

    groups: tuple[Group, ...]
    grouped: int
    """Respondents in a group."""
    outside: int
    """Respondents in none."""


@dataclass
class _Sums:
    """What the respondents of one group and half answered to one question."""

    counts: list[int]
    weights: list[float]
    squares: float = 0.0

    def answers(self) -> Answers:
        return Answers(
            tuple(self.counts), tuple(self.weights), kish(sum(self.weights), self.squares)
        )


def read_survey(
    path: Path,
    codebook: Codebook,
    columns: Columns,
    bins: Sequence[int] = (),
    seed: int = 0,
    only: Collection[str] | None = None,
) -> Survey:
    """Reads a survey's groups, in the order of the bins or of the file's values.

    Args:
        path: CSV, gzipped CSV, Parquet, Stata or SPSS; groups of the last two by their labels.
        codebook: Its questions and their codes.
        columns: Which columns mean what.
        bins: Lowest values of neighbouring bands of a numeric group column; the last is open.
        seed: Of the split in half.
        only: The values of the group column that are groups; all but missing ones where left out.

    Raises:
        UsageError: The file does not fit the codebook or holds impossible values.
    """
    items = list(codebook.questions)
    wanted = {"g": columns.group, **{f"q{n}": item for n, item in enumerate(items)}}
    wanted |= {"w": columns.weight} if columns.weight else {}
    wanted |= {"i": columns.id} if columns.id else {}
    with opened(path, wanted, by_label=() if bins else (columns.group,)) as connection:
        _people(connection, columns)
        _check_people(connection, columns, str(path))
        values = connection.execute(_VALUES, {"most": MOST_VALUES + 1}).fetchall()
        chosen = [(v, count) for v, count in values if only is None or v in only]
        groups = _groups(chosen, codebook, columns.group, bins, str(path))
        connection.execute("CREATE TEMP TABLE groups (g VARCHAR, number INTEGER)")
        numbers = {named.id: n for n, named in enumerate(groups)}
        rows = [(v, numbers[named.id]) for named, vs in groups.items() for v in vs]
        connection.executemany("INSERT INTO groups VALUES (?, ?)", rows)
        settings = {"scale": _SCALE, "salt": SPLIT.format(seed=seed), "most": MOST_CODES + 1}
        counts = connection.execute(_COUNTS, settings).fetchall()
    if len(counts) > MOST_CODES:
        raise UsageError(
            f"holds more than {MOST_CODES:,} different answers",
            where=str(path),
            mend="name only questions with options in the codebook, no free text",
        )
    found = _sums(counts, codebook, str(path))
    read = tuple(_group(named, number, found, items) for number, named in enumerate(groups))
    grouped = sum(group.total for group in read)
    return Survey(read, grouped, sum(count for _, count in values) - grouped)


def _people(connection: DuckDBPyConnection, columns: Columns) -> None:
    """The view `people`: every row with group `g`, id `i`, weight `w` and answers `q0`, ..."""
    have = connection.view("raw")
    if columns.weight is None:
        have = have.project("*, '1' AS w")
    if columns.id is None:
        have = have.project("*, CAST(row_number() OVER () AS VARCHAR) AS i")
    have.create_view("people")


def _check_people(connection: DuckDBPyConnection, columns: Columns, where: str) -> None:
    row = connection.execute(_CHECK, {"heaviest": HEAVIEST}).fetchone()
    total, with_id, different, bad = row if row is not None else (0, 0, 0, 0)
    if not total:
        raise UsageError("holds no respondent", where=where, mend="give the file with its rows")
    if bad:
        found = connection.execute(_FIRST_BAD_WEIGHT, {"heaviest": HEAVIEST}).fetchone()
        number, weight = found if found is not None else (0, "")
        raise UsageError(
            f"has the weight {weight or ''!r}; a weight is a number above 0, and {bad:,} "
            f"{'row has' if bad == 1 else 'rows have'} none",
            where=f"{where}, respondent {number}, column {columns.weight}",
            why="a share is a sum of weights",
            mend="remove respondents without a weight, or name the right column",
        )
    if with_id != total or different != total:
        found = connection.execute(_FIRST_ID_TWICE).fetchone()
        raise UsageError(
            f"tells people apart in {different:,} ways, and has {total:,} rows "
            f"({found[0] if found else 0:,} ids stand twice or are empty)",
            where=f"{where}, column {columns.id}",
            why="one person could stand in both halves",
            mend="name a column that differs in every row, or none: then the rows are numbered",
        )


def _groups(
    values: Sequence[tuple[str | None, int]],
    codebook: Codebook,
    column: str,
    bins: Sequence[int],
    where: str,
) -> dict[Named, list[str]]:
    """For each group the values of the group column that belong to it."""
    if len(values) > MOST_VALUES:
        raise UsageError(
            f"has more than {MOST_VALUES:,} different values",
            where=f"{where}, column {column}",
            mend="name a column of groups",
        )
    kept = [value for value, _ in values if value is not None and value not in codebook.missing]
    bands = _banded(kept, bins, f"{where}, column {column}") if bins else {v: [v] for v in kept}
    if len(bands) > MOST_GROUPS:
        raise UsageError(
            f"has {len(bands):,} different values; at most {MOST_GROUPS} groups are made",
            where=f"{where}, column {column}",
            mend="give the lowest values of bands, like --bins 18,35,50,65, or another column",
        )
    words = {value: value if bins else f"with {column} = {value}" for value in bands}
    named = named_groups(words, codebook, where, column)
    return {named[value]: members for value, members in bands.items()}


def _banded(values: Sequence[str], bins: Sequence[int], where: str) -> dict[str, list[str]]:
    """The values of each band, named like `22-34` and `65-plus`; those below the first are left."""
    if list(bins) != sorted(set(bins)):
        raise UsageError("the bins do not rise", where="--bins", mend="write them like 22,35,50,65")
    names = [f"{low}-{high - 1}" for low, high in pairwise(bins)]
    names.append(f"{bins[-1]}-plus")
    bands: dict[str, list[str]] = {name: [] for name in names}
    for value in values:
        try:
            number = float(value)
        except ValueError:
            raise UsageError(
                f"holds {value[:60]!r}, which is no number",
                where=where,
                mend="list it under `missing:` in the codebook, or leave out --bins",
            ) from None
        below = sum(low <= number for low in bins)
        if below:
            bands[names[below - 1]].append(value)
    return {name: members for name, members in bands.items() if members}


Key = tuple[int, bool, str]


def _sums(rows: Sequence[tuple[Any, ...]], codebook: Codebook, where: str) -> dict[Key, _Sums]:
    items = {f"q{n}": item for n, item in enumerate(codebook.questions)}
    found: dict[Key, _Sums] = {}
    strange: dict[tuple[str, str], int] = {}
    for number, learned, column, code, count, weight, squares in sorted(rows):
        item = items.get(column, _EVERYBODY)
        question = codebook.questions.get(item)
        position = 0 if question is None else _position(question.options, code)
        if position is None:
            if not {"", *codebook.missing} & {code, code.strip(), _whole(code)}:
                strange[item, code] = strange.get((item, code), 0) + count
            continue
        size = len(question.options) if question else 1
        sums = found.setdefault((number, learned, item), _Sums([0] * size, [0.0] * size))
        sums.counts[position] += count
        sums.weights[position] += weight / _SCALE
        sums.squares += squares
    if strange:
        raise ProblemsError(
            Problem(
                Place(f"{where}, column {item}"),
                f"holds the code {code[:60]!r} ({count:,} times), which the codebook does not know",
                f"known: {', '.join(codebook.questions[item].options)}; list it under "
                f"`options:` or `missing:`",
            )
            for (item, code), count in sorted(strange.items())[:_SHOWN_PROBLEMS]
        )
    return found


def _position(options: Mapping[str, str], code: str) -> int | None:
    codes = list(options)
    return next((codes.index(c) for c in (code, code.strip(), _whole(code)) if c in codes), None)


def _whole(code: str) -> str:
    """`1` for `1.0`, as columns with gaps are often saved."""
    return code.strip().removesuffix(".0")


def _group(named: Named, number: int, sums: Mapping[Key, _Sums], items: Sequence[str]) -> Group:
    halves = [
        {i: sums[number, side, i].answers() for i in items if (number, side, i) in sums}
        for side in (True, False)
    ]
    people = [
        sums[number, side, _EVERYBODY].counts[0] if (number, side, _EVERYBODY) in sums else 0
        for side in (True, False)
    ]
    left_out = {item: "nobody in the half for learning answered" for item in items
                if item not in halves[0]}  # fmt: skip
    return Group(named, (people[0], people[1]), halves[0], halves[1], left_out)
