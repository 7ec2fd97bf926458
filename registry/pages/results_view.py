"""Figures of evaluations in tables: each with its interval and how many it is over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from registry.pages.lineage_view import Pages
from registry.results import Result

_MOST = 150
"""Rows of one table; the rest stands in the evaluation's own file."""


@dataclass(frozen=True)
class Row:
    """One figure."""

    result: Result
    source: str
    """The evaluation that found it."""
    link: str
    """The way to what it is about, or to that evaluation."""
    community: str
    """The way to the profile that it speaks of."""


@dataclass(frozen=True)
class ResultTable:
    """Figures of which lower is better, or higher."""

    lower_is_better: bool
    rows: tuple[Row, ...]
    beyond: int
    """How many more there are."""


def result_tables(
    found: Sequence[tuple[str, Result]], pages: Pages, *, about: bool
) -> list[ResultTable]:
    """The figures, those of which lower is better first.

    Args:
        found: Each figure with the evaluation that found it.
        pages: What knows where pages are.
        about: Whether rows lead to what they are about, rather than to the evaluation.
    """
    tables = []
    for lower in (True, False):
        mine = [one for one in found if one[1].lower_is_better is lower]
        rows = tuple(
            Row(
                result,
                source,
                pages.node(result.about if about else source),
                pages.profile(result.community),
            )
            for source, result in mine[:_MOST]
        )
        if rows:
            tables.append(ResultTable(lower, rows, max(0, len(mine) - _MOST)))
    return tables
