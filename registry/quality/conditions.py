"""Expectations about rows: the SQL condition of a row that breaks one, and which rows count.

Nulls break `expect_column_values_to_not_be_null` and nothing else. NaN is a value that no bounds
hold. Everything else is as Great Expectations counts it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry.expectation import Expectation, arguments
from registry.leakage import ORDERS
from registry.quality.sql import FLOATS, bounds, listed, literal, name, of_type
from registry.quality.surroundings import Surroundings
from registry.vocabulary import HELD_OUT, LEAKS, OFF_LIMITS

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class Sight:
    """What a condition is written from."""

    connection: duckdb.DuckDBPyConnection
    types: Mapping[str, str]
    """The table's columns with their types."""
    around: Surroundings


@dataclass(frozen=True)
class RowRule:
    """An expectation about rows, in SQL."""

    breaks: str
    """The condition of a row that breaks it."""
    considered: str
    """The aggregate that counts the rows that it speaks about."""


def row_rule(given: Expectation, sight: Sight) -> RowRule | None:
    """An expectation about rows in SQL; None where it is about something else."""
    write = _RULES.get(given.expect)
    return write(given, sight) if write else None


def _about_values(
    breaks: Callable[[str, str, Expectation, Sight], str],
) -> Callable[[Expectation, Sight], RowRule]:
    """A rule about the values of one column, given its name and type."""

    def write(given: Expectation, sight: Sight) -> RowRule:
        column = str(given.column)
        quoted = name(column)
        condition = breaks(quoted, sight.types[column], given, sight)
        return RowRule(condition, f"count({quoted})")

    return write


def _not_null(given: Expectation, _: Sight) -> RowRule:
    return RowRule(f"{name(str(given.column))} is null", "count(*)")


def _null(given: Expectation, _: Sight) -> RowRule:
    return RowRule(f"{name(str(given.column))} is not null", "count(*)")


def _between(column: str, kind: str, given: Expectation, _: Sight) -> str:
    return bounds(column, arguments(given), floating=kind in FLOATS)


def _lengths(column: str, _: str, given: Expectation, __: Sight) -> str:
    return bounds(f"length({column})", arguments(given))


def _length(column: str, _: str, given: Expectation, __: Sight) -> str:
    return f"length({column}) <> {given.value}"


def _in_set(column: str, kind: str, given: Expectation, sight: Sight) -> str:
    allowed = of_type(sight.connection, kind, given.value_set or ())
    return f"{column} not in ({listed(kind, allowed)})" if allowed else f"{column} is not null"


def _not_in_set(column: str, kind: str, given: Expectation, sight: Sight) -> str:
    refused = of_type(sight.connection, kind, given.value_set or ())
    return f"{column} in ({listed(kind, refused)})" if refused else "false"


def _matches(column: str, _: str, given: Expectation, __: Sight) -> str:
    return f"not regexp_matches({column}, {literal(given.regex or '')})"


def _matches_not(column: str, _: str, given: Expectation, __: Sight) -> str:
    return f"regexp_matches({column}, {literal(given.regex or '')})"


def _greater(given: Expectation, _: Sight) -> RowRule:
    one, two = name(str(given.column_A)), name(str(given.column_B))
    return _of_pair(given, f"not ({one} {'>=' if given.or_equal else '>'} {two})")


def _equal(given: Expectation, _: Sight) -> RowRule:
    one, two = name(str(given.column_A)), name(str(given.column_B))
    return _of_pair(given, f"not coalesce({one} = {two}, false)")


def _of_pair(given: Expectation, breaks: str) -> RowRule:
    one, two = (f"{name(str(column))} is null" for column in (given.column_A, given.column_B))
    match given.ignore_row_if:
        case "neither":
            return RowRule(f"({breaks})", "count(*)")
        case "either_value_is_missing":
            counts = f"not ({one} or {two})"
        case _:
            counts = f"not ({one} and {two})"
    return RowRule(f"({breaks} and {counts})", f"count(*) filter (where {counts})")


def _leaks(column: str, _: str, __: Expectation, ___: Sight) -> str:
    found = [f"regexp_matches({column}, {literal(pattern)})" for pattern, _ in ORDERS]
    return "(" + " or ".join(found) + ")"


def _off_limits(column: str, _: str, __: Expectation, sight: Sight) -> str:
    """A community's topics bind its own rows, and all rows of a table that names no community."""
    owned = "community" in sight.types
    found = []
    for community, pattern in sight.around.topics.items():
        touches = f"regexp_matches(nfc_normalize(lower({column})), {literal(pattern)})"
        mine = f"coalesce(community, {literal(community)}) = {literal(community)}"
        found.append(f"({mine} and {touches})" if owned else touches)
    return "(" + " or ".join(found) + ")" if found else "false"


_OF = "chr(31)"
"""What parts a community from the id of its own row, where both are compared as one text."""


def list_held_out(sight: Sight) -> None:
    """Puts what is held out where queries can look it up."""
    sight.connection.execute("create temp table held_out (id varchar, own varchar)")
    known = sight.around.held_out
    rows = [[one, None] for one in sorted(known.ids)] if known else []
    rows += [[one, of] for of, one in sorted(known.own)] if known else []
    if rows:
        sight.connection.executemany("insert into held_out values (?, ?)", rows)


def _held_out(column: str, kind: str, _: Expectation, sight: Sight) -> str:
    """A row that bears a held-out id, or has one among its parents.

    Where rows name their community, the ids of a profile's own rows count for that one alone.
    """
    owned = "community" in sight.types
    values = (
        f"cast({column} as varchar[])" if kind.endswith("[]") else f"[cast({column} as varchar)]"
    )
    everywhere = "where own is null" if owned else ""
    found = [f"list_has_any({values}, {_looked_up('id', everywhere)})"]
    if owned:
        named = f"list_transform({values}, lambda one: cast(community as varchar) || {_OF} || one)"
        those = _looked_up(f"own || {_OF} || id", "where own is not null")
        found.append(f"list_has_any({named}, {those})")
    return f"({' or '.join(found)})"


def _looked_up(what: str, where: str) -> str:
    return f"coalesce((select list({what}) from held_out {where}), [])"


_RULES: dict[str, Callable[[Expectation, Sight], RowRule]] = {
    "expect_column_values_to_not_be_null": _not_null,
    "expect_column_values_to_be_null": _null,
    "expect_column_values_to_be_between": _about_values(_between),
    "expect_column_value_lengths_to_be_between": _about_values(_lengths),
    "expect_column_value_lengths_to_equal": _about_values(_length),
    "expect_column_values_to_be_in_set": _about_values(_in_set),
    "expect_column_values_to_not_be_in_set": _about_values(_not_in_set),
    "expect_column_values_to_match_regex": _about_values(_matches),
    "expect_column_values_to_not_match_regex": _about_values(_matches_not),
    "expect_column_pair_values_a_to_be_greater_than_b": _greater,
    "expect_column_pair_values_to_be_equal": _equal,
    LEAKS: _about_values(_leaks),
    OFF_LIMITS: _about_values(_off_limits),
    HELD_OUT: _about_values(_held_out),
}
