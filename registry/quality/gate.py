"""The gate: one pass of DuckDB SQL over each Parquet file of an artifact.

Each expectation becomes aggregates over the rows that break it, and all aggregates of a table are
read in one query. Only where something breaks is the table read again, for examples. Uniqueness,
and what compares a table with others or reads its texts, is asked in a query of its own; what only
Great Expectations knows is left to that. Memory stays flat: beyond `MEMORY` DuckDB goes on on disk.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.expectation import Expectation
from registry.quality.conditions import RowRule, Sight, list_held_out, row_rule
from registry.quality.figures import Figure, figure, stated, unheld
from registry.quality.foreign import FOREIGN, foreign
from registry.quality.languages import in_languages
from registry.quality.sql import (
    TRUSTS_STATISTICS,
    columns_of,
    listed,
    literal,
    name,
    of_type,
    parquet,
    rows_shown,
)
from registry.quality.surroundings import Surroundings
from registry.quality.uniqueness import UNIQUE, unique
from registry.quality.verdict import EXAMPLES, Verdict, broken, enough
from registry.vocabulary import HELD_OUT, LANGUAGE

if TYPE_CHECKING:
    import duckdb

NOBODY_SAYS = "nothing that it is made from says which items are held out, so nothing is proved"
_BETWEEN, _UNORDERED = "expect_column_values_to_be_between", ("VARCHAR", "BOOLEAN")
"""Types whose values DuckDB would compare with a number, and Great Expectations would not."""
APART = (*FOREIGN, *UNIQUE, LANGUAGE)
"""What needs a query of its own."""
MEMORY = "512MB"
"""What DuckDB holds in memory before it goes on on disk."""
_NO_TABLE = "the artifact has no such table"
_UNREADABLE = "the table is not a Parquet file that can be read"


def check(
    files: Path, contract: Sequence[Expectation], around: Surroundings | None = None
) -> tuple[Verdict, ...]:
    """Checks every expectation against the Parquet files below `files`.

    Args:
        files: The artifact's files.
        contract: What they must meet.
        around: What the artifact was made from, where the contract asks for that.
    """
    if not contract:
        return ()
    import duckdb

    around = around or Surroundings()
    verdicts: dict[int, Verdict] = {}
    with tempfile.TemporaryDirectory(prefix="chorus-gate-") as disk, duckdb.connect() as connection:
        connection.execute(f"set disabled_optimizers = '{TRUSTS_STATISTICS}'")
        connection.execute(f"set memory_limit = '{MEMORY}'")
        connection.execute(f"set temp_directory = {literal(disk)}")
        if any(given.expect == HELD_OUT for given in contract):
            list_held_out(Sight(connection, {}, around))
        for table in sorted({e.table for e in contract}):
            numbered = [(i, e) for i, e in enumerate(contract) if e.table == table]
            found = _check_table(connection, files / table, [e for _, e in numbered], around)
            for (index, _), verdict in zip(numbered, found, strict=True):
                verdicts[index] = verdict
    return tuple(verdicts[index] for index in range(len(contract)))


def _check_table(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    expectations: Sequence[Expectation],
    around: Surroundings,
) -> list[Verdict]:
    import duckdb

    if not path.is_file():
        return [broken(given, _NO_TABLE) for given in expectations]
    try:
        sight = Sight(connection, columns_of(connection, parquet(path)), around)
    except duckdb.Error:
        return [broken(given, _UNREADABLE) for given in expectations]
    verdicts: dict[int, Verdict] = {}
    asked: dict[int, _Asked] = {}
    left: dict[int, Expectation] = {}
    for index, given in enumerate(expectations):
        if known := _known_at_once(given, sight):
            verdicts[index] = known
        elif given.checker == "great expectations":
            left[index] = given
        elif given.expect in APART:
            verdicts[index] = _apart(given, path, sight)
        else:
            asked[index] = _ask(given, sight)
    verdicts |= _together(connection, path, asked, sight)
    if left:
        from registry.quality.suites import validated

        found = validated(path, list(left.values()))
        verdicts |= dict(zip(left, found, strict=True))
    return [verdicts[index] for index in range(len(expectations))]


def _known_at_once(given: Expectation, sight: Sight) -> Verdict | None:
    """The verdict where columns and types alone decide it, or it can be reached by nothing."""
    absent = [c for c in named_columns(given) if c not in sight.types]
    if absent:
        there = ", ".join(sight.types)
        return broken(given, f"the table has no column {', '.join(absent)}; it has {there}")
    known = sight.around.held_out
    if given.expect == HELD_OUT and not (known and known.known_from):
        return broken(given, NOBODY_SAYS)
    if given.expect == _BETWEEN and sight.types[str(given.column)] in _UNORDERED:
        return broken(given, unfit(given, sight.types))
    if given.value_set and (
        said := unheld(sight.connection, given, sight.types[str(given.column)])
    ):
        return broken(given, said)
    return stated(given, sight)


def named_columns(given: Expectation) -> tuple[str, ...]:
    """The columns that an expectation reads."""
    single = [c for c in (given.column, given.column_A, given.column_B) if c is not None]
    if given.expect == "expect_table_columns_to_match_ordered_list":
        return ()
    return (*single, *(given.column_list or ()))


def _apart(given: Expectation, path: Path, sight: Sight) -> Verdict:
    """The verdict on what needs a query of its own."""
    import duckdb

    try:
        if given.expect == LANGUAGE:
            return in_languages(given, path, sight)
        if given.expect in UNIQUE:
            return unique(given, path, sight)
        return foreign(given, path, sight)
    except duckdb.Error:
        return broken(given, unfit(given, sight.types))


@dataclass(frozen=True)
class _Asked:
    """What one expectation reads of its table."""

    given: Expectation
    rule: RowRule | None
    figure: Figure | None

    @property
    def aggregates(self) -> tuple[str, ...]:
        """What is read in the one pass."""
        if self.rule is None:
            return self.figure.aggregates if self.figure else ()
        counted = f"count(*) filter (where {self.rule.breaks})"
        return (counted, self.rule.considered) if self.given.mostly is not None else (counted,)


def _ask(given: Expectation, sight: Sight) -> _Asked:
    rule = row_rule(given, sight)
    return _Asked(given, rule, None if rule else figure(given, sight))


def _together(
    connection: duckdb.DuckDBPyConnection, path: Path, asked: Mapping[int, _Asked], sight: Sight
) -> dict[int, Verdict]:
    """The verdicts on everything that one pass over the table decides."""
    import duckdb

    source = parquet(path)
    values = _values(connection, source, [one.aggregates for one in asked.values()])
    verdicts = {}
    for (index, one), value in zip(asked.items(), values, strict=True):
        if isinstance(value, duckdb.Error):
            verdicts[index] = broken(one.given, unfit(one.given, sight.types))
        else:
            verdicts[index] = _judged(connection, source, one, value, sight)
    return verdicts


def _values(
    connection: duckdb.DuckDBPyConnection,
    source: str,
    aggregates: Sequence[tuple[str, ...]],
    *,
    bounded: bool = True,
) -> list[Any]:
    """The aggregates, in one query; what cannot be computed is the error that it raises."""
    import duckdb

    if not aggregates:
        return []
    flat = [one for several in aggregates for one in several]
    try:
        row = connection.execute(f"select {', '.join(flat)} from {source}").fetchone() or ()
    except duckdb.Error as error:
        if bounded and isinstance(error, duckdb.OutOfMemoryException):
            connection.execute("reset memory_limit")  # a median, say, is found in memory only
            return _values(connection, source, aggregates, bounded=False)
        if len(aggregates) == 1:
            return [error]
        return [
            value
            for one in aggregates
            for value in _values(connection, source, [one], bounded=bounded)
        ]
    values = iter(row)
    return [tuple(next(values) for _ in several) for several in aggregates]


def unfit(given: Expectation, types: Mapping[str, str]) -> str:
    """Why an expectation cannot be checked; DuckDB's own words change between versions."""
    columns = ", ".join(f"{c} is {types[c]}" for c in named_columns(given))
    if given.regex is not None:
        columns += ", and the regex must be one that RE2 reads (no lookaround, no backreference)"
    return f"cannot be checked: {columns}"


def _judged(
    connection: duckdb.DuckDBPyConnection,
    source: str,
    one: _Asked,
    values: Sequence[Any],
    sight: Sight,
) -> Verdict:
    given = one.given
    if one.figure is not None:
        verdict = one.figure.judge(values)
        return verdict if verdict.success else _with_examples(connection, source, verdict, sight)
    unexpected = int(values[0])
    considered = int(values[1]) if given.mostly is not None else 0
    met = enough(considered, unexpected, given.mostly)
    if not unexpected or one.rule is None:
        return Verdict(given, met)
    first = [c for c in dict.fromkeys(("row_id", *named_columns(given))) if c in sight.types]
    shown = ", ".join(map(name, first))
    others = f", * exclude ({shown})" if len(first) < len(sight.types) else ""
    query = f"select {shown}{others} from {source} where {one.rule.breaks} limit {EXAMPLES}"
    ids, lines = rows_shown(connection.execute(query))
    detail = ""
    if given.mostly is not None:
        share = 1 - unexpected / considered if considered else 1.0
        detail = f"{unexpected:,} of {considered:,} break it: {share:.4g} meet it"
    return Verdict(given, met, unexpected, detail, ids, lines)


def _with_examples(
    connection: duckdb.DuckDBPyConnection, source: str, verdict: Verdict, sight: Sight
) -> Verdict:
    """Which values are out of place, where rows do not tell."""
    given = verdict.expectation
    if given.expect.startswith("expect_column_distinct") and given.value_set:
        kind, column = sight.types[str(given.column)], name(str(given.column))
        known = listed(kind, of_type(connection, kind, given.value_set))
        outside = f"where {column} is not null and coalesce({column} not in ({known}), true)"
        query = f"select distinct {column} from {source} {outside} order by all limit {EXAMPLES}"
        _, lines = rows_shown(connection.execute(query))
        return Verdict(given, verdict.success, verdict.unexpected, verdict.detail, examples=lines)
    return verdict
