"""Reads a profile's opinion tables."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from registry.errors import Place, Problem, ProblemsError


@dataclass(frozen=True)
class OpinionTable:
    """How the respondents of one group answered one item."""

    shares: tuple[float, ...]
    """Weighted share of each option, in the questionnaire's order; they sum to one."""
    n: int
    """How many answered."""
    n_effective: float
    """Kish's effective number: how many equally weighted answers would be as precise."""


COLUMNS = ("item", "option", "position", "count", "share", "n", "n_effective", "mark")


def still_told(path: Path, options: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    """The items of a questionnaire that a table still tells about: members may take one back."""
    with path.open(newline="", encoding="utf-8") as stream:
        named = {row.get("item") for row in csv.DictReader(stream)}
    return {item: found for item, found in options.items() if item in named}


def read_still_told(path: Path, options: Mapping[str, Sequence[str]]) -> dict[str, OpinionTable]:
    """The table of every item in `options` that it still tells about."""
    return read_opinions(path, still_told(path, options))


def read_opinions(path: Path, options: Mapping[str, Sequence[str]]) -> dict[str, OpinionTable]:
    """The table of every item in `options`; raises ProblemsError with every wrong row."""
    shown = "/".join(path.parts[-3:] if path.parent.name == "evaluation" else path.parts[-2:])
    problems: list[Problem] = []
    rows: dict[str, dict[str, dict[str, str]]] = {}
    lines: dict[str, int] = {}
    wrong: set[str] = set()
    with path.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            what = f"has the columns {', '.join(reader.fieldnames or ())}"
            raise ProblemsError([Problem(Place(shown, 1), what, f"use {', '.join(COLUMNS)}")])
        for row in reader:
            place = Place(shown, reader.line_num)
            if what := _wrong(row, options, rows):
                problems.append(Problem(place, what, "mend this row"))
                wrong.add(row["item"])
            else:
                lines.setdefault(row["item"], reader.line_num)
                rows.setdefault(row["item"], {})[row["option"]] = row
    tables: dict[str, OpinionTable] = {}
    for item, wanted in options.items():
        found = rows.get(item, {})
        if item in wrong:
            continue
        if missing := [option for option in wanted if option not in found]:
            what = f"lacks the option {missing[0]!r} of item {item}"
            problems.append(Problem(Place(shown), what, "add a row for each option"))
            continue
        place = Place(shown, lines[item])
        if len({(int(row["n"]), float(row["n_effective"])) for row in found.values()}) > 1:
            what = f"item {item}: n and n_effective differ between its rows"
            problems.append(Problem(place, what, "they count those who answered the item"))
        shares = tuple(float(found[option]["share"]) for option in wanted)
        if not math.isclose(math.fsum(shares), 1, abs_tol=1e-4):
            what = f"item {item}: the shares sum to {math.fsum(shares):.4f}"
            problems.append(Problem(place, what, "shares of an item sum to 1"))
        first = found[wanted[0]]
        tables[item] = OpinionTable(shares, int(first["n"]), float(first["n_effective"]))
    if problems:
        raise ProblemsError(problems)
    return tables


def _wrong(
    row: Mapping[str, str],
    options: Mapping[str, Sequence[str]],
    seen: Mapping[str, Mapping[str, object]],
) -> str:
    """What is wrong with one row, or nothing."""
    item, option = row["item"], row["option"]
    if item not in options:
        return f"names the item {item!r}, which the questionnaire does not have"
    if option not in options[item]:
        return f"item {item}: the questionnaire has no option {option!r}"
    if option in seen.get(item, {}):
        return f"item {item}: the option {option!r} stands twice"
    try:
        share, n, effective = float(row["share"]), int(row["n"]), float(row["n_effective"])
    except (TypeError, ValueError):
        return f"item {item}: share, n and n_effective must be numbers"
    if not (0 <= share <= 1 and n > 0 and 0 < effective <= n + 0.5):
        return f"item {item}: share {share}, n {n}, n_effective {effective} cannot be"
    return ""
