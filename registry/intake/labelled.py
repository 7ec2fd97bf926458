"""Stata (.dta) and SPSS (.sav, .zsav): codes as text, with the labels that the file carries.

The file is read in pieces, only the columns that are asked for, into Parquet files that are then
scanned; so it is never whole in memory. Values that the file marks as missing are no answers.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry.errors import UsageError
from registry.intake.codebook import About

ENDINGS = (".dta", ".sav", ".zsav")
PIECE = 50_000
"""Rows that are in memory at once."""
MOST_OPTIONS = 50
REFUSALS = re.compile(
    r"(no answer|refus\w*|don'?t know|do not know|not asked|not applicable|inapplicable|dk|n/?a|"
    r"skipped|missing|prefer not to (say|answer))([ /,(;:-].*)?",
    re.IGNORECASE,
)
"""Labels that are most often no answer; a person looks at the draft that they make."""


@dataclass(frozen=True)
class Labels:
    """What a file says about its columns."""

    columns: tuple[str, ...]
    questions: Mapping[str, str]
    """The label of each column that has one."""
    options: Mapping[str, Mapping[str, str]]
    """For each column with labelled values, code by code."""


def is_labelled(path: Path) -> bool:
    """Whether a file is one of Stata or SPSS, by its ending."""
    return path.suffix.lower() in ENDINGS


def code(value: Any) -> str:
    """A value as the text that codebooks write: `1` for 1.0."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def read_labels(path: Path) -> Labels:
    """What a file says about its columns; raises UsageError where it is broken."""
    _, meta = _read(path, metadataonly=True)
    return Labels(
        tuple(meta.column_names),
        {name: label for name, label in meta.column_names_to_labels.items() if label},
        {
            column: {code(value): str(label) for value, label in sorted(found.items(), key=_first)}
            for column, found in meta.variable_value_labels.items()
        },
    )


def _first(pair: tuple[Any, Any]) -> tuple[bool, Any]:
    return (isinstance(pair[0], str), pair[0])


def as_parquet(
    path: Path, columns: Collection[str], by_label: Collection[str], folder: Path
) -> Path:
    """Writes columns of a file as Parquet files of text; returns the pattern that names them all.

    Args:
        path: The file.
        columns: Those that are wanted.
        by_label: Those whose values are given by their labels, where they have one.
        folder: Where the pieces go.

    Raises:
        UsageError: The file is broken, or lacks a column.
    """
    labels = read_labels(path)
    if missing := [name for name in columns if name not in labels.columns]:
        shown = ", ".join(labels.columns[:40])
        raise UsageError(
            f"has no column {missing[0]!r}", where=str(path), mend=f"its columns are: {shown}"
        )
    rows = 0
    for number, piece in enumerate(_pieces(path, columns)):
        rows += len(piece)
        texts = piece.select(
            _text(piece, name, labels.options.get(name, {}) if name in by_label else {})
            for name in columns
        )
        texts.write_parquet(folder / f"piece-{number:06}.parquet")
    if not rows:
        raise UsageError("holds no respondent", where=str(path), mend="give the file with its rows")
    return folder / "piece-*.parquet"


def _text(piece: Any, name: str, labels: Mapping[str, str]) -> Any:
    import polars

    column = piece[name]
    if column.dtype.is_float():
        column = column.fill_nan(None)
        whole = column.drop_nulls()
        if (whole == whole.floor()).all() and (whole.abs() < 2**53).all():
            column = column.cast(polars.Int64)
    text = column.cast(polars.String)
    text = text.set(text == "", None)
    return text.replace(list(labels), list(labels.values())) if labels else text


def _pieces(path: Path, columns: Collection[str]) -> Iterator[Any]:
    import pyreadstat

    reader = _reader(path)
    try:
        for piece, _ in pyreadstat.read_file_in_chunks(
            reader, str(path), chunksize=PIECE, usecols=list(columns), output_format="polars"
        ):
            yield piece
    except (pyreadstat.ReadstatError, pyreadstat.PyreadstatError, ValueError) as error:
        raise _broken(path, error) from error


def _read(path: Path, **how: Any) -> Any:
    import pyreadstat

    if not path.is_file():
        raise UsageError("is no file", where=str(path), mend="give the path of the source's file")
    try:
        return _reader(path)(str(path), output_format="polars", **how)
    except (pyreadstat.ReadstatError, pyreadstat.PyreadstatError, ValueError) as error:
        raise _broken(path, error) from error


def _reader(path: Path) -> Any:
    import pyreadstat

    return pyreadstat.read_dta if path.suffix.lower() == ".dta" else pyreadstat.read_sav


def _broken(path: Path, error: Exception) -> UsageError:
    kind = "Stata" if path.suffix.lower() == ".dta" else "SPSS"
    return UsageError(
        f"cannot be read as a file of {kind}: {str(error)[:200]}",
        where=str(path),
        why="a row that is misread is a person miscounted",
        mend="give the whole file as it was published, or save it again (in UTF-8)",
    )


def draft(path: Path, about: About, questions: Collection[str]) -> dict[str, Any]:
    """A codebook from the labels of a file, for a person to read and mend.

    Args:
        path: The file.
        about: The source.
        questions: The columns that are questions; every one with labels where none is named.

    Raises:
        UsageError: A column is not there, or fewer than two of its labels are answers.
    """
    labels = read_labels(path)
    wanted = list(questions) or [
        name for name, options in labels.options.items() if len(_answers(options)) > 1
    ]
    found: dict[str, Any] = {}
    missing = {"", "NA"}
    for name in wanted:
        if name not in labels.columns:
            shown = ", ".join(labels.columns[:40])
            raise UsageError(
                f"has no column {name!r}", where=str(path), mend=f"its columns are: {shown}"
            )
        options = labels.options.get(name, {})
        answers = _answers(options)
        if not 1 < len(answers) <= MOST_OPTIONS:
            raise UsageError(
                f"gives {len(answers)} labelled answers",
                where=f"{path}, column {name}",
                why=f"a question has 2 to {MOST_OPTIONS} options",
                mend="leave it out of --questions, or write its options into the codebook yourself",
            )
        missing |= options.keys() - answers.keys()
        found[name] = {"text": labels.questions.get(name, name), "options": answers}
    clash = sorted(missing & {c for question in found.values() for c in question["options"]})
    if clash:
        raise UsageError(
            f"uses the code {clash[0]!r} for an answer in one column and for none in another",
            where=str(path),
            mend="make a codebook for each, with --questions",
        )
    data = about.model_dump(mode="json", exclude_none=True)
    return data | {"missing": sorted(missing), "questions": found}


def _answers(options: Mapping[str, str]) -> dict[str, str]:
    return {key: label for key, label in options.items() if not REFUSALS.fullmatch(label.strip())}
