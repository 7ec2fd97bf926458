"""Situations and the reasonable answers to them, from a file: a view a row."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, model_validator

from assets.rows import LIBRARIES
from assets.sources.table_rows import (
    RowColumns,
    RowLicences,
    RowLimits,
    TableParams,
    not_taken,
    read_table,
)
from assets.sources.view_rows import LeftOutView, View, write_views
from registry.errors import Place, Problem, ProblemsError, UsageError
from registry.method import Method, SourcePath
from registry.typed import Frozen

if TYPE_CHECKING:
    from registry.context import Context

_SITUATION = "{situation}"


class ViewColumns(Frozen):
    """Which column of the file is which."""

    situation: str = Field(default="situation", min_length=1)
    """What is asked, or what somebody does."""
    view: str = Field(default="view", min_length=1)
    """One reasonable answer, as a sentence."""
    explanation: str | None = Field(default=None, min_length=1)
    """Why somebody holds it."""
    opposite: str | None = Field(default=None, min_length=1)
    """The same view denied."""
    prevalence: str | None = Field(default=None, min_length=1)
    """The share of people who hold it, above 0 and up to 1."""

    @property
    def kept(self) -> tuple[str, ...]:
        """The columns beside situation and view."""
        given = (self.explanation, self.opposite, self.prevalence)
        return tuple(name for name in given if name)


class Params(Frozen):
    """Which file, and how it is read."""

    path: SourcePath
    """A JSON Lines or Parquet file, from the project's root; its bytes count as an input."""
    columns: ViewColumns = ViewColumns()
    """Which column is which."""
    prompt: str = _SITUATION
    """How a situation is put to a model; `{situation}` stands for it."""
    fewest_views: int = Field(default=2, ge=1)
    """Views below which a situation is left out; one alone shows no pluralism."""
    licences: RowLicences | None = None
    """Where rows state a licence each, those that are taken."""
    limits: RowLimits = RowLimits()
    """What is too much."""

    @model_validator(mode="after")
    def _slot_stands_once(self) -> Self:
        if self.prompt.count(_SITUATION) != 1:
            raise ValueError("`prompt` must hold {situation} once")
        return self

    @property
    def table(self) -> TableParams:
        """The same as the table reader takes it."""
        columns = RowColumns(
            prompt=self.columns.situation, completion=self.columns.view, keep=self.columns.kept
        )
        return TableParams(columns=columns, licences=self.licences, limits=self.limits)


def views_of(
    rows: Iterator[Mapping[str, Any]], params: Params
) -> tuple[list[View], list[LeftOutView]]:
    """The views of a file, and those left out; raises ProblemsError with every line that is wrong.

    A view that stands twice for one situation counts once: it would weigh double.
    """
    problems: list[Problem] = []
    views: list[View] = []
    left_out: list[LeftOutView] = []
    seen: set[tuple[str, str]] = set()
    for row in rows:
        try:
            view = _view(row, params)
        except ValueError as error:
            problems.append(Problem(Place(params.path, row["line"]), str(error)))
            continue
        key = (view.prompt, " ".join(view.view.casefold().split()))
        texts = (view.prompt, view.view, view.explanation or "", view.opposite or "")
        reason = not_taken(row, texts, params.table)
        if not reason and key in seen:
            reason = "the same view of the situation came before"
        if reason:
            left_out.append(LeftOutView(view, reason))
        else:
            views.append(view)
        seen.add(key)
    if problems:
        raise ProblemsError(problems)
    return views, left_out


def _view(row: Mapping[str, Any], params: Params) -> View:
    columns = params.columns
    situation, view = (_text(row, name) for name in (columns.situation, columns.view))
    if not situation or not view:
        empty = columns.view if situation else columns.situation
        raise ValueError(f"{empty!r} is empty; write it out, or delete the line")
    opposite = _text(row, columns.opposite)
    if opposite == view:
        raise ValueError(f"{columns.opposite!r} says the same as {columns.view!r}; deny it")
    return View(
        prompt=params.prompt.replace(_SITUATION, situation),
        view=view,
        source=params.path,
        explanation=_text(row, columns.explanation) or None,
        opposite=opposite or None,
        prevalence=_share(row, columns.prevalence),
    )


def _text(row: Mapping[str, Any], name: str | None) -> str:
    value = row[name] if name else None
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{name!r} is {type(value).__name__}, not text")
    return (value or "").strip()


def _share(row: Mapping[str, Any], name: str | None) -> float | None:
    value = row[name] if name else None
    if value is None:
        return None
    if isinstance(value, bool | str):
        raise ValueError(f"{name!r} is {value!r}, not a number")  # noqa: TRY004  told with its line
    if not (math.isfinite(value) and 0 < value <= 1):
        raise ValueError(f"{name!r} is {value:g}, not a share above 0 and up to 1")
    return float(value)


def run(context: Context) -> None:
    """Reads the file."""
    params = context.typed(Params)
    columns = params.columns
    names = [columns.situation, columns.view, *columns.kept]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"the column {twice!r} is named for two things", where="params.columns")
    rows = read_table(context.source(params.path), params.path, params.table)
    write_views(*views_of(rows, params), params.fewest_views, context.out)
    context.progress(1, 1)


method = Method(
    name="views-file",
    kind="dataset",
    description="Situations with the reasonable answers to them, from a file of the project.",
    params=Params,
    run=run,
    libraries=LIBRARIES,
)
