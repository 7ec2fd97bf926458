"""Questions with options of which one is right, from a file: as Social IQa is handed out.

Each option is a column; the right one is a label in a column, or in a file with a label a line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, model_validator

from assets.rows import LIBRARIES, row_id, row_schema
from assets.sources.table_files import FileName, table_files
from assets.sources.table_rows import (
    RowColumns,
    RowLicences,
    RowLimits,
    TableParams,
    not_taken,
    read_table,
)
from assets.sources.taken import Taken, each_made
from registry.errors import UsageError
from registry.method import Method, SourcePath
from registry.typed import Frozen

if TYPE_CHECKING:
    from registry.context import Context

_MOST_LABELS = 64 * 1024 * 1024
_FEWEST = 2
_BESIDE = ""
"""Where the label of a file of labels stands in a row; no column has this name."""


class ChoiceColumns(Frozen):
    """Which column of the file is which."""

    question: str = Field(default="question", min_length=1)
    """The question."""
    context: str | None = Field(default=None, min_length=1)
    """What is told before it."""
    options: tuple[str, ...] = Field(min_length=2, max_length=26)
    """The columns with the options, in their order; a row may leave some empty."""
    label: str | None = Field(default=None, min_length=1)
    """The label of the right option; without it, `labels_file` has them."""

    @property
    def kept(self) -> tuple[str, ...]:
        """All columns beside the question."""
        given = [self.context, *self.options, self.label]
        return tuple(name for name in given if name)


class Params(Frozen):
    """Which file, and how it is read."""

    path: SourcePath
    """A JSON Lines or Parquet file, or a folder with such files; its bytes count as an input."""
    files: tuple[FileName, ...] = ()
    """Which files of a folder are read."""
    labels_file: SourcePath = ""
    """A text file with a label on each line, for the rows of one file in their order."""
    columns: ChoiceColumns
    """Which column is which."""
    labels: tuple[str, ...] = Field(min_length=2, max_length=26)
    """What the options are called where the right one is named, in the order of the options."""
    licences: RowLicences | None = None
    """Where rows state a licence each, those that are taken."""
    limits: RowLimits = RowLimits()
    """What is too much."""

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if len(self.labels) != len(self.columns.options):
            raise ValueError(
                f"{len(self.labels)} labels for {len(self.columns.options)} columns of options"
            )
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("two options have the same label")
        if (self.columns.label is None) == (not self.labels_file):
            raise ValueError("give either `columns.label` or `labels_file`")
        names = [self.columns.question, *self.columns.kept]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"the column {twice!r} is named for two things")
        return self

    @property
    def table(self) -> TableParams:
        """The same as the table reader takes it."""
        columns = RowColumns(prompt=self.columns.question, keep=self.columns.kept)
        return TableParams(columns=columns, licences=self.licences, limits=self.limits)


def choice_schema() -> dict[str, Any]:
    """The columns of questions with options."""
    import polars

    added = {"options": polars.List(polars.String), "correct": polars.Int32, "line": polars.Int64}
    return row_schema() | added


def read_labels(path: Path, shown: str) -> list[str]:
    """The labels of a file, a line each; raises UsageError where it cannot be read."""
    if not path.is_file():
        raise UsageError("there is no such file", where=shown, mend="check `labels_file`")
    if path.stat().st_size > _MOST_LABELS:
        raise UsageError("is too large for a file of labels", where=shown)
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except UnicodeDecodeError as error:
        raise UsageError(f"byte {error.start + 1} is not UTF-8", where=shown) from None


def question_row(found: Mapping[str, Any], source: str, params: Params) -> dict[str, Any]:
    """One question as a row; raises ValueError with what is wrong."""
    columns = params.columns
    question = _text(found, columns.question)
    told = _text(found, columns.context) if columns.context else ""
    if not question:
        raise ValueError(f"{columns.question!r} is empty")
    given = [_text(found, name) for name in columns.options]
    options = [text for text in given if text]
    if len(options) < _FEWEST:
        raise ValueError(f"has {len(options)} options; a question needs two at least")
    same = [" ".join(text.casefold().split()) for text in options]
    if twice := next((text for text, one in zip(options, same, strict=True)
                      if same.count(one) > 1), None):  # fmt: skip
        raise ValueError(f"has the option {twice!r} twice; no answer could be told right")
    named = _label(found[params.columns.label or _BESIDE])
    if named not in params.labels:
        raise ValueError(
            f"names the right option {named!r}; `labels` has {', '.join(params.labels)}"
        )
    right = given[params.labels.index(named)]
    if not right:
        raise ValueError(f"says that the option {named!r} is right, which is empty")
    prompt = f"{told}\n{question}" if told else question
    return {
        "row_id": row_id("choice-question", [prompt, options, right]),
        "parents": [],
        "prompt": prompt,
        "completion": right,
        "source": source,
        "community": None,
        "options": options,
        "correct": options.index(right),
        "line": found["line"],
    }


def _label(label: Any) -> str:
    whole = isinstance(label, float) and label.is_integer()
    return str(int(label) if whole else label).strip()


def _text(found: Mapping[str, Any], name: str) -> str:
    value = found[name]
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{name!r} is {type(value).__name__}, not text")
    return (value or "").strip()


def _labelled(
    rows: Iterator[dict[str, Any]], labels: Sequence[str] | None, params: Params, shown: str
) -> Iterator[dict[str, Any]]:
    """Each row, with its label where a file beside it has them; both must be as many."""
    count = 0
    for count, row in enumerate(rows, 1):
        if labels is None:
            yield row
        elif count <= len(labels):
            yield {**row, _BESIDE: labels[count - 1]}
    if labels is not None and count != len(labels):
        raise UsageError(
            f"has {len(labels)} labels, and {shown} has {count} rows",
            where=params.labels_file,
            why="from some row on, every answer would be checked with another one's label",
            mend="give the labels of that file",
        )


def run(context: Context) -> None:
    """Reads the files."""
    params = context.typed(Params)
    tables = table_files(context.root, params.path, params.files)
    labels = None
    if params.labels_file:
        if len(tables) > 1:
            raise UsageError("holds labels of one file, and several are read",
                             where=params.labels_file, mend="name one in `files`")  # fmt: skip
        labels = read_labels(context.source(params.labels_file), params.labels_file)
    lines = [
        (shown, _labelled(read_table(path, shown, params.table), labels, params, shown))
        for shown, path in tables.items()
    ]
    taken = Taken("question")
    for found, row in each_made(lines, lambda one, shown: question_row(one, shown, params)):
        taken.add(row, not_taken(found, (row["prompt"], *row["options"]), params.table))
    taken.write(context.out, choice_schema(), tables)
    context.progress(1, 1)


method = Method(
    name="choice-questions",
    kind="dataset",
    description="Questions with options of which one is right, from a file of the project.",
    params=Params,
    run=run,
    libraries=LIBRARIES,
)
