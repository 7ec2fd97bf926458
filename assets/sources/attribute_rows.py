"""Situations, statements, and whether each statement supports or opposes what somebody does.

From a file, such as the values, rights and duties of Value Kaleidoscope (Sorensen et al. 2024)
with their valence. Nothing is packaged; the file's licence is the permission to use it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, model_validator

from assets.rows import LIBRARIES, row_id, row_schema
from assets.sources.csv_rows import read_any
from assets.sources.table_rows import RowColumns, RowLicences, RowLimits, TableParams, not_taken
from assets.sources.taken import Taken, each_made
from registry.method import Method, SourcePath
from registry.typed import Frozen

if TYPE_CHECKING:
    from registry.context import Context

Label = Literal["supports", "opposes", "either"]
LABELS: tuple[Label, ...] = ("supports", "opposes", "either")


class AttributeColumns(Frozen):
    """Which column of the file is which."""

    situation: str = Field(default="situation", min_length=1)
    """What somebody does."""
    statement: str = Field(default="statement", min_length=1)
    """A value, right, duty or other attribute, in words."""
    label: str = Field(default="label", min_length=1)
    """Whether the statement supports what is done, opposes it, or may do either."""

    @property
    def names(self) -> tuple[str, str, str]:
        """All of them."""
        return self.situation, self.statement, self.label


class Params(Frozen):
    """Which file, and how it is read."""

    path: SourcePath
    """A CSV, JSON Lines or Parquet file; its bytes count as an input."""
    columns: AttributeColumns = AttributeColumns()
    """Which column is which."""
    labels: dict[str, Label] = Field(
        default={"supports": "supports", "opposes": "opposes", "either": "either"}, min_length=2
    )
    """What the file's labels mean; compared without regard to case."""
    licences: RowLicences | None = None
    """Where rows state a licence each, those that are taken."""
    limits: RowLimits = RowLimits()
    """What is too much."""

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        names = self.columns.names
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"the column {twice!r} is named for two things")
        folded = [name.casefold() for name in self.labels]
        if len(set(folded)) != len(folded):
            raise ValueError("two labels differ in their case alone")
        return self

    @property
    def table(self) -> TableParams:
        """The same as the table reader takes it."""
        columns = RowColumns(
            prompt=self.columns.situation,
            completion=self.columns.statement,
            keep=(self.columns.label,),
        )
        return TableParams(columns=columns, licences=self.licences, limits=self.limits)


def attribute_schema() -> dict[str, Any]:
    """The columns of labelled statements."""
    import polars

    text = polars.String
    return row_schema() | {"statement": text, "label": text, "line": polars.Int64}


def _row(found: Mapping[str, Any], params: Params) -> dict[str, Any]:
    """One labelled statement; raises ValueError with what is wrong."""
    situation, statement, named = (_text(found, name) for name in params.columns.names)
    for name, text in zip(params.columns.names, (situation, statement, named), strict=True):
        if not text:
            raise ValueError(f"{name!r} is empty; write it out, or delete the row")
    meant = {name.casefold(): label for name, label in params.labels.items()}
    if named.casefold() not in meant:
        raise ValueError(
            f"has the label {named[:60]!r}; `labels` has {', '.join(map(repr, params.labels))}"
        )
    label = meant[named.casefold()]
    return {
        "row_id": row_id("attribute", [situation, statement, label]),
        "parents": [],
        "prompt": situation,
        "completion": None,
        "source": params.path,
        "community": None,
        "statement": statement,
        "label": label,
        "line": found["line"],
    }


def _text(found: Mapping[str, Any], name: str) -> str:
    value = found[name]
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{name!r} is {type(value).__name__}, not text")
    return (value or "").strip()


def rows_of(table: Iterator[Mapping[str, Any]], params: Params) -> Taken:
    """The labelled statements of a file, and those left out.

    A statement that has two labels for one situation says nothing; all its rows are left out.
    """
    read = [
        (row, not_taken(given, (row["prompt"], row["statement"]), params.table))
        for given, row in each_made([(params.path, table)], lambda one, _: _row(one, params))
    ]
    lines: dict[tuple[str, str], dict[str, int]] = {}
    for row, reason in read:
        if not reason:
            lines.setdefault(_key(row), {}).setdefault(row["label"], row["line"])
    taken, kept = Taken(), set[tuple[str, str]]()
    for row, given in read:
        key, reason = _key(row), given
        others = [line for label, line in lines.get(key, {}).items() if label != row["label"]]
        if not reason and others:
            reason = f"line {others[0]} gives it another label"
        elif not reason and key in kept:
            reason = "the same statement of the situation came before"
        kept |= set() if reason else {key}
        taken.add(row, reason)
    return taken


def _key(row: Mapping[str, Any]) -> tuple[str, str]:
    situation, statement = (" ".join(row[n].casefold().split()) for n in ("prompt", "statement"))
    return situation, statement


def run(context: Context) -> None:
    """Reads the file."""
    params = context.typed(Params)
    taken = rows_of(read_any(context.source(params.path), params.path, params.table), params)
    taken.write(context.out, attribute_schema(), [params.path])
    context.progress(1, 1)


method = Method(
    name="attribute-rows",
    kind="dataset",
    description="Situations and statements that support or oppose them, from a file.",
    params=Params,
    run=run,
    libraries=LIBRARIES,
)
