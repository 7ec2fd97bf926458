"""Figures of evaluations in tables: each with its interval and how many it is over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from registry.pages.lineage_view import Pages
from registry.results import Result, in_tables

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
    """Figures of one kind."""

    lower_is_better: bool
    beside: tuple[str, ...]
    rows: tuple[Row, ...]
    beyond: int
    """How many more there are."""
    people: bool
    """Whether any speaks of people."""


def result_tables(
    found: Sequence[tuple[str, Result]], pages: Pages, *, about: bool
) -> list[ResultTable]:
    """The figures by kind.

    Args:
        found: Each figure with the evaluation that found it.
        pages: What knows where pages are.
        about: Whether rows lead to what they are about, rather than to the evaluation.
    """
    sources = {id(result): source for source, result in found}
    tables = []
    for results in in_tables(result for _, result in found):
        rows = tuple(
            Row(
                result,
                sources[id(result)],
                pages.node(result.about if about else sources[id(result)]),
                pages.profile(result.community),
            )
            for result in results[:_MOST]
        )
        lower, beside = results[0].columns
        people = any(result.people for result in results)
        beyond = max(0, len(results) - _MOST)
        tables.append(ResultTable(lower, beside, rows, beyond, people))
    return tables
