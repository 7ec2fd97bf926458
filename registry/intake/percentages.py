"""A ready table of percentages: what somebody else counted, with the number of people.

Two layouts are read. `long`: the columns question, option, group, percent, n, and n_effective if
it is known. `wide`: as FiveThirtyEight publishes, a line of headings over groups, a line of groups,
then a line for each question and below it a line for each option.

Percentages do not say who gave which answer, so they cannot be split into two halves of people.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from registry.errors import UsageError
from registry.intake.codebook import Codebook, Named, Question, named_groups
from registry.intake.estimates import Answers, largest_remainder
from registry.intake.group import Group

Layout = Literal["long", "wide"]
MAX_BYTES = 32 * 1024 * 1024
_NEEDED = ("question", "option", "group", "percent")
_ALLOWED = (*_NEEDED, "n", "n_effective")
_HUNDRED = 100.0
_MOST_PEOPLE = 1_000_000_000


@dataclass(frozen=True)
class Cell:
    """One figure of the table, and where it stands."""

    line: int
    question: str
    option: str
    group: str
    percent: float
    n: int | None = None
    n_effective: float | None = None


@dataclass
class _Figures:
    """The figures of one question for one group."""

    shares: dict[int, float] = field(default_factory=dict)
    missing: float = 0.0
    n: int | None = None
    n_effective: float | None = None


def read_percentages(
    path: Path, codebook: Codebook, layout: Layout = "long", heading: str | None = None
) -> tuple[Group, ...]:
    """Reads the groups of a table.

    Args:
        path: The table, as CSV in UTF-8.
        codebook: Its questions; those that it does not list are left out. It gives `n` where the
            file does not.
        layout: How the table is laid out.
        heading: Over which groups of a wide table; all of them where left out.

    Raises:
        UsageError: The table is not laid out so, or holds impossible figures.
    """
    text = _text(path)
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        cells = list(
            _long(rows, str(path)) if layout == "long" else _wide(rows, heading, str(path))
        )
    except csv.Error as error:
        raise UsageError(
            f"is no CSV: {error}",
            where=f"{path}:{rows.line_num}",
            mend="check the quotes on this line",
        ) from None
    if not cells:
        raise UsageError("holds no figure", where=str(path), mend="check --layout and --heading")
    names = {cell.group: f"in the group {cell.group}" for cell in cells}
    named = named_groups(names, codebook, str(path), heading or "group")
    return tuple(
        _group(named[name], [cell for cell in cells if cell.group == name], codebook, str(path))
        for name in names
    )


def _text(path: Path) -> str:
    if not path.is_file():
        raise UsageError("is no file", where=str(path), mend="give the path of the table")
    with path.open("rb") as stream:
        raw = stream.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise UsageError(
            f"is larger than {MAX_BYTES // 2**20} MiB",
            where=str(path),
            mend="a table of percentages is small: give the right file",
        )
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        mend = "save it as UTF-8 (in a spreadsheet: `CSV UTF-8`)"
        raise UsageError("is not UTF-8 text", where=f"{path}:{line}", mend=mend) from None
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise UsageError("holds a NUL byte", where=f"{path}:{line}", mend="remove it")
    return text


class _Lines:
    """Rows with the line that each of them ends on."""

    def __init__(self, rows: Iterator[list[str]]) -> None:
        self._rows = rows

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        for row in self._rows:
            yield self._rows.line_num, row  # type: ignore[attr-defined]


def _long(rows: Iterator[list[str]], where: str) -> Iterator[Cell]:
    header = [name.strip() for name in next(rows, [])]
    unknown = [name for name in header if name not in _ALLOWED]
    lacking = [name for name in _NEEDED if name not in header]
    if unknown or lacking or len(set(header)) != len(header):
        raise UsageError(
            f"has the columns {', '.join(header)[:200] or 'none'}",
            where=f"{where}:1",
            mend=f"the first line reads: {','.join(_ALLOWED)} (n and n_effective may be left out "
            "where the codebook gives them)",
        )
    for line, row in _Lines(rows):
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(header):
            raise UsageError(
                f"has {len(row)} cells where the first line has {len(header)}",
                where=f"{where}:{line}",
                mend="quote text with commas",
            )
        record = {name: cell.strip() for name, cell in zip(header, row, strict=True)}
        here = f"{where}:{line}"
        percent = _percent(record["percent"], here)
        if percent is not None:
            yield Cell(
                line,
                record["question"],
                record["option"],
                record["group"],
                percent,
                _people(record.get("n", ""), here),
                _effective(record.get("n_effective", ""), here),
            )


def _wide(rows: Iterator[list[str]], heading: str | None, where: str) -> Iterator[Cell]:
    headings, labels = next(rows, []), next(rows, [])
    over, shown = "", ""
    columns: dict[int, str] = {}
    known: list[str] = []
    for index, label in enumerate(labels):
        shown = headings[index].strip() if index < len(headings) else ""
        over = shown or over
        if label.strip() and index > 1:
            known.append(over)
            if heading in (None, over):
                columns[index] = label.strip()
    if not columns:
        raise UsageError(
            f"has no groups under the heading {heading!r}",
            where=f"{where}:1",
            mend=f"its headings are: {', '.join(dict.fromkeys(known)) or 'none'}",
        )
    if len(set(columns.values())) != len(columns):
        raise UsageError("has a group twice", where=f"{where}:2", mend="give each its own label")
    question = ""
    for line, row in _Lines(rows):
        if row and row[0].strip():
            question = " ".join(row[0].split())
            continue
        option = row[1].strip() if len(row) > 1 else ""
        for index, group in columns.items():
            percent = _percent(row[index].strip() if index < len(row) else "", f"{where}:{line}")
            if option and percent is not None:
                yield Cell(line, question, option, group, percent)


def _percent(text: str, where: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text.removesuffix("%").strip())
    except ValueError:
        value = math.nan
    if not 0 <= value <= _HUNDRED:
        raise UsageError(
            f"has the percentage {text[:40]!r}",
            where=where,
            why="a share lies between 0 and 100",
            mend="write it like 37 or 37%",
        )
    return value


def _people(text: str, where: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:12]) <= _MOST_PEOPLE):
        raise UsageError(
            f"has {text[:40]!r} people",
            where=f"{where}, column n",
            why="people are counted whole, from 1",
            mend="write how many answered this question, unweighted",
        )
    return int(text)


def _effective(text: str, where: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= _MOST_PEOPLE:
        raise UsageError(
            f"has the effective number {text[:40]!r}",
            where=f"{where}, column n_effective",
            mend="write a number above 0",
        )
    return value


def _group(named: Named, cells: Sequence[Cell], codebook: Codebook, where: str) -> Group:
    by_text = {" ".join(q.text.split()): item for item, q in codebook.questions.items()}
    figures: dict[str, _Figures] = {}
    left_out: dict[str, str] = {}
    for cell in cells:
        item = cell.question if cell.question in codebook.questions else by_text.get(cell.question)
        if item is None:
            left_out[cell.question[:100]] = "the codebook does not list it"
        else:
            _add(figures.setdefault(item, _Figures()), cell, item, codebook, where)
    answers: dict[str, Answers] = {}
    for item, question in codebook.questions.items():
        found = figures.get(item)
        if found is None:
            left_out[item] = "the file has no figures for this group"
            continue
        total = sum(found.shares.values())
        whole = total + found.missing
        slack = 0.5 * (len(question.options) + len(codebook.missing)) + 0.01
        if abs(whole - _HUNDRED) > slack:
            left_out[item] = f"its options sum to {whole:g} %, so people could give several answers"
        elif total:
            answers[item] = _answers(found, question, named, total / whole, where)
    return Group(
        named, (max((a.n for a in answers.values()), default=0), 0), answers, None, left_out
    )


def _add(found: _Figures, cell: Cell, item: str, codebook: Codebook, where: str) -> None:
    here = f"{where}:{cell.line}"
    if cell.option in codebook.missing:
        found.missing += cell.percent
        return
    position = codebook.questions[item].position(cell.option)
    if position is None:
        raise UsageError(
            f"has the option {cell.option[:60]!r} of {item}, which the codebook does not know",
            where=here,
            mend="known: " + ", ".join(codebook.questions[item].options.values()),
        )
    if position in found.shares:
        raise UsageError(
            f"has {cell.option[:60]!r} of {item} twice for {cell.group}",
            where=here,
            mend="keep one row",
        )
    if found.shares and (cell.n, cell.n_effective) != (found.n, found.n_effective):
        raise UsageError(
            f"has another n than the rows of {item} above it",
            where=here,
            mend="n is how many answered the question",
        )
    found.shares[position] = cell.percent
    found.n, found.n_effective = cell.n, cell.n_effective


def _answers(
    found: _Figures, question: Question, named: Named, answered: float, where: str
) -> Answers:
    n = found.n or named.n
    if n is None:
        raise UsageError(
            f"does not say how many people are in {named.id}",
            where=where,
            why="a percentage of unknown people carries unknown noise",
            mend="add a column n, or `n:` to the group in the codebook",
        )
    effective = found.n_effective or named.n_effective or n
    if effective > n:
        raise UsageError(
            f"has a larger effective number ({effective:g}) than people ({n}) in {named.id}",
            where=where,
            mend="Kish's number is at most n",
        )
    shares = [found.shares.get(position, 0.0) for position in range(len(question.options))]
    weights = [share / sum(shares) for share in shares]
    people = round(n * answered)
    return Answers(largest_remainder(weights, people), tuple(weights), effective * answered)


def samples(groups: Sequence[Group]) -> Mapping[str, Mapping[str, tuple[Sequence[float], float]]]:
    """For each group and item the shares, and the effective number they come from."""
    return {
        group.id: {item: (a.shares, a.n_effective) for item, a in group.learning.items()}
        for group in groups
    }
