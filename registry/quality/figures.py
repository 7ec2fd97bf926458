"""Expectations about a whole column or table: the SQL aggregates of one, and its verdict on them.

Figures that depend on the order of summing are shown with few digits, so that a manifest is the
same each time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from registry.expectation import Expectation
from registry.quality.conditions import Sight
from registry.quality.sql import listed, name, of_type
from registry.quality.verdict import Verdict, broken
from registry.vocabulary import OF_TYPE

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class Figure:
    """What is read of a table for one expectation, and how it is judged."""

    aggregates: tuple[str, ...]
    """Aggregates over all rows of the table."""
    judge: Callable[[Sequence[Any]], Verdict]
    """The verdict on their values."""


def figure(given: Expectation, sight: Sight) -> Figure | None:
    """What an expectation about a whole column or table reads; None where it is about rows."""
    if given.expect in _SHARES:
        return _share(given, *_SHARES[given.expect])
    if given.expect in _FIGURES:
        return _aggregate(given, *_FIGURES[given.expect])
    if given.expect.startswith("expect_column_distinct_values_"):
        return _distinct(given, sight)
    match given.expect:
        case "expect_table_row_count_to_be_between":
            return Figure(("count(*)",), lambda found: _rows(given, within(given, found[0]), found))
        case "expect_table_row_count_to_equal":
            return Figure(("count(*)",), lambda found: _rows(given, found[0] == given.value, found))
        case _:
            return None


def stated(given: Expectation, sight: Sight) -> Verdict | None:
    """The verdict on an expectation that columns and types alone decide; None on any other."""
    columns = list(sight.types)
    match given.expect:
        case "expect_column_to_exist":
            return Verdict(given, success=True)
        case "expect_table_columns_to_match_set":
            wanted = set(given.column_set or ())
            extra = sorted(set(columns) - wanted) if given.exact_match is not False else []
            parts = [f"has the extra column {c}" for c in extra]
            parts += [f"lacks {c}" for c in sorted(wanted - set(columns))]
            detail = "the table " + ", ".join(parts) if parts else ""
            return Verdict(given, success=not parts, unexpected=len(parts), detail=detail)
        case "expect_table_columns_to_match_ordered_list":
            same = columns == list(given.column_list or ())
            detail = "" if same else f"the table has {', '.join(columns)}"
            return Verdict(given, success=same, unexpected=int(not same), detail=detail)
        case _ if given.expect == OF_TYPE:
            kind = sight.types[str(given.column)]
            same = kind == given.type_
            return Verdict(given, same, int(not same), "" if same else f"found {kind}")
        case _:
            return None


def within(given: Expectation, value: float) -> bool:
    """Whether a figure lies within its bounds; NaN never does."""
    low, high = given.min_value, given.max_value
    above = low is None or (value > low if given.strict_min else value >= low)
    return above and (high is None or (value < high if given.strict_max else value <= high))


_FIGURES = {
    "expect_column_mean_to_be_between": ("avg({})", "the mean"),
    "expect_column_median_to_be_between": ("median({})", "the median"),
    "expect_column_min_to_be_between": ("min({})", "the smallest"),
    "expect_column_max_to_be_between": ("max({})", "the largest"),
    "expect_column_sum_to_be_between": ("sum({})", "the sum"),
    "expect_column_stdev_to_be_between": ("stddev_samp({})", "the standard deviation"),
    "expect_column_unique_value_count_to_be_between": ("count(distinct {})", "different values"),
}
_SHARES = {
    "expect_column_proportion_of_unique_values_to_be_between": (
        "count(distinct {})", "count({})", "of the values differ",
    ),
    "expect_column_proportion_of_non_null_values_to_be_between": (
        "count({})", "count(*)", "of the rows have a value",
    ),
}  # fmt: skip


def _aggregate(given: Expectation, aggregate: str, called: str) -> Figure:
    def judge(found: Sequence[Any]) -> Verdict:
        value = found[0]
        if value is None:
            return broken(given, "found no values")
        if not isinstance(value, (int, float, Decimal)) or isinstance(value, bool):
            return broken(given, f"found {value} ({called}), which is no number")
        met = within(given, float(value))
        shown = f"{value:,}" if isinstance(value, int) else f"{float(value):.6g}"
        return Verdict(given, met, int(not met), f"found {shown} ({called})")

    return Figure((aggregate.format(name(str(given.column))),), judge)


def _share(given: Expectation, part: str, whole: str, called: str) -> Figure:
    column = name(str(given.column))

    def judge(found: Sequence[Any]) -> Verdict:
        share = found[0] / found[1] if found[1] else 0
        met = within(given, share)
        return Verdict(given, met, int(not met), f"found {share:.6g} ({called})")

    return Figure((part.format(column), whole.format(column)), judge)


def _rows(given: Expectation, met: bool, found: Sequence[Any]) -> Verdict:
    return Verdict(given, met, int(not met), f"found {found[0]} (rows)")


def _distinct(given: Expectation, sight: Sight) -> Figure:
    """Counts different values in the set and outside of it, whichever matter."""
    column, kind = name(str(given.column)), sight.types[str(given.column)]
    wanted = given.value_set or ()
    known = of_type(sight.connection, kind, wanted)
    inside = f"{column} in ({listed(kind, known)})" if known else "false"
    counts = tuple(
        f"count(distinct {column}) filter (where {condition})"
        for condition in (inside, f"not ({inside})")
    )

    def judge(found: Sequence[Any]) -> Verdict:
        lacking = len(set(known)) - found[0] if not given.expect.endswith("be_in_set") else 0
        extra = found[1] if not given.expect.endswith("contain_set") else 0
        parts = [f"{extra} values outside of the set"] if extra else []
        parts += [f"{lacking} values of the set stand nowhere"] if lacking else []
        return Verdict(given, not parts, extra + lacking, ", ".join(parts))

    return Figure(counts, judge)


def unheld(connection: duckdb.DuckDBPyConnection, given: Expectation, kind: str) -> str:
    """What is wrong with a set of which each value is to stand somewhere, and one never can."""
    if not given.expect.endswith(("_contain_set", "_equal_set")):
        return ""
    wanted = given.value_set or ()
    known = of_type(connection, kind, wanted)
    strange = [repr(value) for value in wanted if value not in known]
    if not strange:
        return ""
    return f"cannot be checked: {given.column} is {kind}, and never writes {', '.join(strange)}"
