"""Whether a row holds what an evaluation will ask: by word sequences, and by vectors.

By words, the score is the share of an evaluation prompt's word sequences that stand in the row, at
the worst evaluation row. (GPT-3, appendix C, looks for any one sequence of 13 words and drops what
is common; a share tells a quotation from a phrase.) By vectors it is the highest cosine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from assets.diversity.filtering.shingles import Groups, normalised, sequences, words

if TYPE_CHECKING:
    import numpy
    import polars
    from numpy.typing import NDArray

    from assets.diversity.features import Features, Vectors

    Vectors64 = NDArray[numpy.float64]

_ROWS = 4096
_MARKS = r"[\p{P}&&[^\-*/%]]+"
"""Punctuation that a quotation may lack; signs of reckoning are words."""


@dataclass(frozen=True)
class Sought:
    """The word sequences of one length of the evaluations' prompts."""

    length: int
    sequences: polars.DataFrame
    """`value`, `owner` (the position of the prompt) and `share` (1 / sequences of that prompt)."""


@dataclass(frozen=True)
class Evaluations:
    """The prompts of the evaluations that rows are compared with."""

    sought: tuple[Sought, ...]
    unjudged: int
    """Prompts with too few words of their own to be sought."""


def evaluations(
    prompts: polars.Series, length: int, *, shortest: int, ignore_common: int
) -> Evaluations:
    """What is sought: every `length` words in a row, or all words of a shorter prompt.

    Args:
        prompts: The evaluations' prompts.
        length: Words in a sequence.
        shortest: Words that a prompt needs to be sought at all.
        ignore_common: In more prompts than this a sequence is a template, and not sought.
    """
    import polars

    found = _words(prompts)
    counts = found.counts
    sought, judged = [], 0
    for size in range(min(shortest, length), length + 1):
        right = (counts >= size if size == length else counts == size) & (counts >= shortest)
        if not right.any():
            continue
        grams = sequences(found, size, short=False)
        owners = grams.owners()
        mine = right[owners]
        pairs = polars.DataFrame({"value": grams.values[mine], "owner": owners[mine]}).unique()
        own = pairs.filter(polars.len().over("value") <= ignore_common)
        own = own.with_columns(share=1 / polars.len().over("owner"))
        judged += own["owner"].n_unique()
        sought.append(Sought(size, own))
    return Evaluations(tuple(sought), len(counts) - judged)


def overlap(texts: polars.Series, against: Evaluations) -> Vectors64:
    """For each text, the highest share, and the position of the evaluation row (-1 for none)."""
    import numpy
    import polars

    result = numpy.zeros((len(texts), 2))
    result[:, 1] = -1
    found = _words(texts)
    for sought in against.sought:
        grams = sequences(found, sought.length, short=False)
        pairs = polars.DataFrame({"value": grams.values, "row": grams.owners()})
        worst = (
            pairs.join(sought.sequences, on="value")
            .unique(("row", "value", "owner"))
            .group_by("row", "owner")
            .agg(polars.col("share").sum())
            .sort("row", "share", "owner", descending=[False, True, False])
            .unique("row", keep="first", maintain_order=True)
        )
        for row, owner, share in worst.select("row", "owner", "share").iter_rows():
            if share > result[row, 0]:
                result[row] = min(share, 1.0), owner
    return result


def _words(texts: polars.Series) -> Groups:
    return words(normalised(texts).str.replace_all(_MARKS, " ").to_list())


def closest(vectors: Vectors, against: Vectors) -> Vectors64:
    """For each vector, the highest cosine to one of `against`, and that one's position."""
    import numpy

    result = numpy.zeros((len(vectors), 2))
    result[:, 1] = -1
    for start in range(0, len(against), _ROWS):
        cosines = vectors @ against[start : start + _ROWS].T
        best = cosines.argmax(axis=1)
        value = cosines[numpy.arange(len(vectors)), best]
        better = (value > result[:, 0]) | (result[:, 1] < 0)
        result[better, 0] = value[better]
        result[better, 1] = best[better] + start
    return result


def comparable(one: Features, others: Sequence[Features]) -> str:
    """Why vectors cannot be compared; nothing where they can."""
    first = one.description
    for other in others:
        second = other.description
        if (first.of, first.made_with, first.dimensions) != (
            second.of,
            second.made_with,
            second.dimensions,
        ):
            return (
                f"{first.of} by {first.made_with} in {first.dimensions} dimensions, and "
                f"{second.of} by {second.made_with} in {second.dimensions}"
            )
    return ""
