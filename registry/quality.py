"""Contracts: one pass of DuckDB SQL over the Parquet files of an artifact.

Expectations speak Great Expectations' vocabulary and count as it does: each becomes one aggregate
over the rows that break it, and all aggregates of a table are read in one query; only where values
repeat, a second one counts every row of them. Nulls break `expect_column_values_to_not_be_null` and
nothing else. NaN is a value that no bounds hold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.artifact import CheckResult
from registry.declaration import ARGUMENTS, HELD_OUT_EXPECTATION, Expectation
from registry.errors import ContractError
from registry.held_out import HeldOut

if TYPE_CHECKING:
    import duckdb

EXAMPLES = 5
"""Failing rows that a message shows."""
_TRUSTS_STATISTICS = "filter_pushdown,statistics_propagation"
"""Optimisers that believe a Parquet file's statistics, which may be wrong and leave out NaN."""
_WIDTH = 60
"""Characters of a cell that a message shows."""


@dataclass(frozen=True)
class Verdict:
    """The outcome of one expectation, with examples of the rows that break it."""

    expectation: Expectation
    unexpected: int
    detail: str = ""
    examples: tuple[str, ...] = ()

    @property
    def success(self) -> bool:
        """Whether the artifact met it."""
        return self.unexpected == 0

    @property
    def stops(self) -> bool:
        """Whether it stops everything downstream."""
        return not self.success and self.expectation.severity == "error"

    def to_result(self) -> CheckResult:
        """The part that belongs into the manifest."""
        given = self.expectation
        return CheckResult(
            expect=given.expect,
            table=given.table,
            arguments=arguments(given),
            severity=given.severity,
            reason=given.reason,
            success=self.success,
            unexpected=self.unexpected,
            found=self.detail,
        )

    def __str__(self) -> str:
        given = self.expectation
        shown = ", ".join(f"{name}={value}" for name, value in arguments(given).items())
        head = f"{given.severity}: {given.expect}({shown}) in {given.table}"
        counted = (
            "1 row breaks it" if self.unexpected == 1 else f"{self.unexpected:,} rows break it"
        )
        body = self.detail or counted
        rows = "".join(f"\n      {row}" for row in self.examples)
        return f"{head}: {body}\n    why: {given.reason}{rows}"


def arguments(expectation: Expectation) -> dict[str, Any]:
    """The arguments that an expectation gives."""
    dumped = expectation.model_dump(mode="json", include=set(ARGUMENTS))
    return {name: value for name, value in dumped.items() if value is not None}


def asks_what_is_held_out(contract: Sequence[Expectation]) -> bool:
    """Whether a contract can be checked only by somebody who knows what is held out."""
    return any(e.expect == HELD_OUT_EXPECTATION for e in contract)


def check(
    files: Path, contract: Sequence[Expectation], held_out: HeldOut | None = None
) -> tuple[Verdict, ...]:
    """Checks every expectation against the Parquet files below `files`.

    `held_out` is what no row may bear or come from, where the contract asks for that.
    """
    if not contract:
        return ()
    import duckdb

    verdicts: dict[int, Verdict] = {}
    with duckdb.connect() as connection:
        connection.execute(f"set disabled_optimizers = '{_TRUSTS_STATISTICS}'")
        if asks_what_is_held_out(contract):
            _list_held_out(connection, held_out or HeldOut())
        for table in sorted({e.table for e in contract}):
            numbered = [(i, e) for i, e in enumerate(contract) if e.table == table]
            found = _check_table(connection, files, [e for _, e in numbered])
            for (index, given), verdict in zip(numbered, found, strict=True):
                known = given.expect != HELD_OUT_EXPECTATION or (held_out and held_out.known_from)
                verdicts[index] = verdict if known else Verdict(given, 1, detail=_NOBODY_SAYS)
    return tuple(verdicts[index] for index in range(len(contract)))


def require(verdicts: Sequence[Verdict], node: str, kept: Path) -> None:
    """Raises ContractError if any verdict stops everything downstream."""
    stopping = [v for v in verdicts if v.stops]
    if stopping:
        lines = "".join(f"\n  - {verdict}" for verdict in stopping)
        error = ContractError(
            f"the contract is broken:{lines}",
            where=node,
            why="nothing downstream is made from rows that break their contract; "
            "the artifact that stood there before is untouched",
            mend=f"look at the rows in {kept}, then mend the method, its inputs or the contract",
        )
        error.results = tuple(verdict.to_result() for verdict in verdicts)
        raise error


def _check_table(
    connection: duckdb.DuckDBPyConnection, files: Path, expectations: Sequence[Expectation]
) -> list[Verdict]:
    import duckdb

    path = files / expectations[0].table
    if not path.is_file():
        return [Verdict(e, 1, detail="the artifact has no such table") for e in expectations]
    source = f"read_parquet({_literal(str(path))}, hive_partitioning = false)"
    try:
        described = connection.execute(f"describe select * from {source}").fetchall()
    except duckdb.Error:
        detail = "the table is not a Parquet file that can be read"
        return [Verdict(e, 1, detail=detail) for e in expectations]
    types = {str(row[0]): str(row[1]) for row in described}
    verdicts: dict[int, Verdict] = {}
    aggregates: dict[int, str] = {}
    for index, expectation in enumerate(expectations):
        absent = [c for c in _columns(expectation) if c not in types]
        if absent:
            detail = f"the table has no column {', '.join(absent)}; it has {', '.join(types)}"
            verdicts[index] = Verdict(expectation, 1, detail=detail)
        elif expectation.expect == "expect_table_columns_to_match_set":
            verdicts[index] = _match_columns(expectation, list(types))
        else:
            aggregates[index] = _aggregate(expectation, types)
    values = _values(connection, source, list(aggregates.values()))
    for index, value in zip(aggregates, values, strict=True):
        given = expectations[index]
        if isinstance(value, duckdb.Error):
            verdicts[index] = Verdict(given, 1, detail=_unfit(given, types))
        else:
            verdicts[index] = _verdict(connection, source, given, value, types)
    return [verdicts[index] for index in range(len(expectations))]


def _values(
    connection: duckdb.DuckDBPyConnection, source: str, aggregates: Sequence[str]
) -> list[Any]:
    """The aggregates, in one query; one that cannot be computed is the error that it raises."""
    import duckdb

    if not aggregates:
        return []
    try:
        row = connection.execute(f"select {', '.join(aggregates)} from {source}").fetchone()
    except duckdb.Error as error:
        if len(aggregates) == 1:
            return [error]
        return [value for one in aggregates for value in _values(connection, source, [one])]
    return list(row or ())


def _unfit(expectation: Expectation, types: Mapping[str, str]) -> str:
    """Why an expectation cannot be checked; DuckDB's own words change between versions."""
    columns = ", ".join(f"{c} is {types[c]}" for c in _columns(expectation))
    if expectation.regex is not None:
        columns += ", and the regex must be one that RE2 reads (no lookaround, no backreference)"
    return f"cannot be checked: {columns}"


def _columns(expectation: Expectation) -> tuple[str, ...]:
    single = (expectation.column,) if expectation.column is not None else ()
    return single + (expectation.column_list or ())


def _match_columns(expectation: Expectation, columns: Sequence[str]) -> Verdict:
    wanted = set(expectation.column_set or ())
    extra, lacking = sorted(set(columns) - wanted), sorted(wanted - set(columns))
    parts = [f"has the extra column {c}" for c in extra] + [f"lacks {c}" for c in lacking]
    detail = "the table " + ", ".join(parts) if parts else ""
    return Verdict(expectation, len(parts), detail=detail)


def _verdict(
    connection: duckdb.DuckDBPyConnection,
    source: str,
    expectation: Expectation,
    value: Any,
    types: Mapping[str, str],
) -> Verdict:
    kind = expectation.expect
    if kind == "expect_table_row_count_to_be_between":
        outside = not _within(expectation, value)
        return Verdict(expectation, int(outside), detail=f"found {value} (rows)")
    if kind == "expect_column_mean_to_be_between":
        return _mean(expectation, value)
    broken = int(value)
    if broken == 0:
        return Verdict(expectation, 0)
    condition = _broken_row(expectation, types)
    if condition is None:
        repeated = _repeated(expectation, source)
        ((broken,),) = connection.execute(f"select sum(times) from (select {repeated})").fetchall()
        query = f"select {_keys(expectation)}, {repeated} order by all limit {EXAMPLES}"
    else:
        query = f"select * from {source} where {condition} limit {EXAMPLES}"
    cursor = connection.execute(query)
    names = [column[0] for column in cursor.description or ()]
    examples = tuple(
        ", ".join(f"{_short(n)}={_short(v)}" for n, v in zip(names, row, strict=True))
        for row in cursor.fetchall()
    )
    return Verdict(expectation, int(broken), examples=examples)


def _within(expectation: Expectation, value: float) -> bool:
    low, high = expectation.min_value, expectation.max_value
    return (low is None or value >= low) and (high is None or value <= high)


def _mean(expectation: Expectation, value: Any) -> Verdict:
    """The verdict on a mean; its last digits depend on the order of summing, so few are kept."""
    if value is None:
        return Verdict(expectation, 1, detail="found no values")
    if not isinstance(value, (int, float, Decimal)):
        return Verdict(expectation, 1, detail=f"found {value} (the mean), which is no number")
    outside = not _within(expectation, float(value))
    return Verdict(expectation, int(outside), detail=f"found {float(value):.6g} (the mean)")


def _aggregate(expectation: Expectation, types: Mapping[str, str]) -> str:
    condition = _broken_row(expectation, types)
    if condition is not None:
        return f"count(*) filter (where {condition})"
    match expectation.expect:
        case "expect_table_row_count_to_be_between":
            return "count(*)"
        case "expect_column_mean_to_be_between":
            return f"avg({_name(str(expectation.column))})"
        case _:
            given = f"filter (where {_given(expectation)})"
            return f"count(*) {given} - count(distinct ({_keys(expectation)})) {given}"


def _keys(expectation: Expectation) -> str:
    return ", ".join(_name(column) for column in _columns(expectation))


def _given(expectation: Expectation) -> str:
    """The SQL condition of a row with a key; where all of the key is null, nothing repeats."""
    return " or ".join(f"{_name(column)} is not null" for column in _columns(expectation))


def _repeated(expectation: Expectation, source: str) -> str:
    """The rest of a query over the keys that stand more than once, with how often."""
    grouped = f"group by {_keys(expectation)} having count(*) > 1"
    return f"count(*) as times from {source} where {_given(expectation)} {grouped}"


def _broken_row(  # noqa: PLR0911 - one for each expectation
    expectation: Expectation, types: Mapping[str, str]
) -> str | None:
    """The SQL condition of a row that breaks an expectation; None where it is not about rows."""
    column = _name(expectation.column) if expectation.column is not None else ""
    match expectation.expect:
        case "expect_column_values_to_not_be_null":
            return f"{column} is null"
        case "expect_column_values_to_be_between":
            return _outside(expectation, column)
        case "expect_column_value_lengths_to_be_between":
            return _outside(expectation, f"length({column})")
        case "expect_column_values_to_be_in_set":
            allowed = ", ".join(_literal(value) for value in expectation.value_set or ())
            return f"cast({column} as varchar) not in ({allowed})"
        case "expect_column_values_to_match_regex":
            return f"not regexp_matches({column}, {_literal(expectation.regex or '')})"
        case "expect_column_values_to_not_be_held_out":
            return _held_out(column, types[str(expectation.column)], owned="community" in types)
        case _:
            return None


_NOBODY_SAYS = "nothing that it is made from says which items are held out, so nothing is proved"
_OF = "chr(31)"
"""What parts a community from the id of its own row, where both are compared as one text."""


def _list_held_out(connection: duckdb.DuckDBPyConnection, held_out: HeldOut) -> None:
    """Puts what is held out where queries can look it up."""
    connection.execute("create temp table held_out (id varchar, own varchar)")
    rows = [[one, None] for one in sorted(held_out.ids)]
    rows += [[one, of] for of, one in sorted(held_out.own)]
    if rows:
        connection.executemany("insert into held_out values (?, ?)", rows)


def _held_out(column: str, kind: str, *, owned: bool) -> str:
    """The SQL condition of a row that bears a held-out id, or has one among its parents.

    Where rows name their community, the ids of a profile's own rows count for that one alone.
    """
    values = (
        f"cast({column} as varchar[])" if kind.endswith("[]") else f"[cast({column} as varchar)]"
    )
    everywhere = "where own is null" if owned else ""
    found = [f"list_has_any({values}, {_listed('id', everywhere)})"]
    if owned:
        named = f"list_transform({values}, lambda one: cast(community as varchar) || {_OF} || one)"
        listed = _listed(f"own || {_OF} || id", "where own is not null")
        found.append(f"list_has_any({named}, {listed})")
    return f"({' or '.join(found)})"


def _listed(what: str, where: str) -> str:
    return f"coalesce((select list({what}) from held_out {where}), [])"


def _outside(expectation: Expectation, value: str) -> str:
    low, high = expectation.min_value, expectation.max_value
    parts = [f"{value} < {low!r}"] if low is not None else []
    parts += [f"{value} > {high!r}"] if high is not None else []
    if not value.startswith("length("):
        parts.append(f"isnan(cast({value} as double))")
    return "(" + " or ".join(parts) + ")"


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _short(value: Any) -> str:
    """A value on one short line, with nothing in it that a terminal would obey."""
    line = "".join(c if c.isprintable() else "\ufffd" for c in " ".join(str(value).split()))
    return line if len(line) <= _WIDTH else line[: _WIDTH - 1] + "\u2026"
