"""Expectations that compare a column with rows elsewhere: parents, foreign keys, overlaps.

Each is one join of the table with what it is compared with, so that both may be large.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from registry.expectation import Expectation
from registry.quality.conditions import Sight
from registry.quality.figures import within
from registry.quality.sql import columns_of, literal, name, parquet, rows_shown
from registry.quality.verdict import EXAMPLES, Verdict, broken, enough
from registry.vocabulary import IN_OTHER, NOT_IN_OTHER, PARENTS, SHARE_OF_OTHER

if TYPE_CHECKING:
    import duckdb

FOREIGN = (PARENTS, IN_OTHER, NOT_IN_OTHER, SHARE_OF_OTHER)

_IDENTITY = ("row_id", "item", "prompt_id")
"""Columns that name a row of an artifact."""


@dataclass(frozen=True)
class Known:
    """What a column is compared with."""

    source: str
    """A query that gives the values, as text, in a column `id`."""
    absent: bool
    """Whether a value that is not among them breaks the expectation, or one that is."""
    normalised: bool = False
    """Whether case and spaces do not matter."""


def foreign(given: Expectation, table: Path, sight: Sight) -> Verdict:
    """The verdict on an expectation that looks at other artifacts."""
    if given.expect == PARENTS:
        return _compared(given, table, sight, Known(_parents(sight), absent=True))
    paths = [
        folder / str(given.other_table) for folder in sight.around.folders.get(str(given.other), ())
    ]
    where = f"{given.other_table} of {given.other}"
    if not paths or not all(path.is_file() for path in paths):
        return broken(given, f"cannot be checked: {where} is not there; make {given.other} first")
    if given.expect == SHARE_OF_OTHER:
        return _share(given, table, sight.connection, parquet(*paths), where)
    if given.other_column not in columns_of(sight.connection, parquet(*paths)):
        return broken(given, f"cannot be checked: {where} has no column {given.other_column}")
    known = Known(
        f"select {_text(str(given.other_column), given.normalised)} as id from {parquet(*paths)}",
        absent=given.expect == IN_OTHER,
        normalised=bool(given.normalised),
    )
    return _compared(given, table, sight, known)


def _parents(sight: Sight) -> str:
    """Ids of rows that an artifact may have been made from.

    A table with a `reason` holds rows that were left out: nothing is made from those.
    """
    parts = [f"select unnest([{', '.join(map(literal, sorted(sight.around.own)))}]) as id"]
    if not sight.around.own:
        parts = ["select cast(null as varchar) as id where false"]
    for path in _tables(sight.around.folders.values()):
        columns = columns_of(sight.connection, parquet(path))
        there = [] if "reason" in columns else [one for one in _IDENTITY if one in columns]
        parts += [f"select cast({one} as varchar) from {parquet(path)}" for one in there]
    return " union all ".join(parts)


def _tables(folders: Iterable[tuple[Path, ...]]) -> Iterator[Path]:
    for several in folders:
        for folder in several:
            yield from sorted(folder.rglob("*.parquet"))


def _text(column: str, normalised: bool | None) -> str:
    plain = f"cast({name(column)} as varchar)"
    if not normalised:
        return plain
    return rf"trim(regexp_replace(lower(nfc_normalize({plain})), '\s+', ' ', 'g'))"


def _compared(given: Expectation, table: Path, sight: Sight, known: Known) -> Verdict:
    """Counts the rows whose value, or one of whose values, is where it must not be."""
    column = str(given.column)
    quoted, own = name(column), parquet(table, numbered=True)
    if sight.types[column].endswith("[]"):
        rows = f"select file_row_number as row, cast(unnest({quoted}) as varchar) as id from {own}"
    else:
        rows = f"select file_row_number as row, {_text(column, known.normalised)} as id from {own}"
    join = "anti" if known.absent else "semi"
    breaking = (
        f"select distinct row from (select * from ({rows}) where id is not null) mine "
        f"{join} join ({known.source}) other on mine.id = other.id"
    )
    counted = f"select (select count(*) from ({breaking})), count({quoted}) from {own}"
    ((unexpected, considered),) = sight.connection.execute(counted).fetchall()
    met = enough(considered, unexpected, given.mostly)
    if not unexpected:
        return Verdict(given, met)
    shown = (
        f"select * exclude (file_row_number) from {own} where file_row_number in "
        f"({breaking}) order by file_row_number limit {EXAMPLES}"
    )
    ids, lines = rows_shown(sight.connection.execute(shown))
    return Verdict(given, met, unexpected, rows=ids, examples=lines)


def _share(
    given: Expectation,
    table: Path,
    connection: duckdb.DuckDBPyConnection,
    other: str,
    where: str,
) -> Verdict:
    count = f"select (select count(*) from {parquet(table)}), (select count(*) from {other})"
    ((mine, theirs),) = connection.execute(count).fetchall()
    if not theirs:
        return broken(given, f"cannot be checked: {where} has no rows")
    met = within(given, mine / theirs)
    said = f"found {mine:,} rows, {mine / theirs:.4g} for each of the {theirs:,} in {where}"
    return Verdict(given, met, int(not met), said)
