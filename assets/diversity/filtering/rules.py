"""Rules that look at one row: its length, what it names, its scores; and lines seen too often."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from assets.diversity.filtering.steps import LinesStep, ScoreCriterion
from assets.diversity.filtering.table import Table, table_of
from assets.rows import row_id
from registry.errors import MethodError

if TYPE_CHECKING:
    import numpy
    import polars
    from numpy.typing import NDArray

    Flags = NDArray[numpy.bool_]

_MERGED = 256
"""Texts that the tokenizer takes at once."""


@dataclass(frozen=True)
class Topic:
    """What a profile, or the declaration itself, puts off limits."""

    community: str | None
    id: str
    terms: tuple[str, ...]


def lengths(texts: polars.Series, unit: Literal["characters", "words"]) -> NDArray[Any]:
    """How many characters or words each text has."""
    import polars

    if unit == "characters":
        return texts.str.len_chars().cast(polars.Int64).to_numpy()
    return texts.str.count_matches(r"\S+").cast(polars.Int64).to_numpy()


def token_counter(files: Path, where: str) -> Callable[[polars.Series], NDArray[Any]]:
    """Counts tokens, without those that mark beginning and end, by a model's own tokenizer."""
    import numpy
    from tokenizers import Tokenizer

    path = files / "tokenizer.json"
    if not path.is_file():
        raise MethodError(
            "holds no tokenizer.json",
            where=where,
            mend="name a model whose tokenizer is in that form as `tokenizer`",
        )
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def count(texts: polars.Series) -> NDArray[Any]:
        found: list[int] = []
        for start in range(0, len(texts), _MERGED):
            part = texts[start : start + _MERGED].to_list()
            encoded = tokenizer.encode_batch_fast(part, add_special_tokens=False)
            found += [len(one.ids) for one in encoded]
        return numpy.array(found, dtype=numpy.int64)

    return count


def pattern(terms: Sequence[str]) -> re.Pattern[str]:
    """Finds any of the terms as whole words, however they are spaced and capitalised."""
    parts = []
    for term in terms:
        plain = _plain(term)
        inner = r"[\s\-_]+".join(re.escape(part) for part in re.split(r"[\s\-_]+", plain) if part)
        if inner:
            parts.append(f"{_edge(plain[0])}{inner}{_edge(plain[-1])}")
    return re.compile("|".join(parts) or r"(?!)")


def _edge(letter: str) -> str:
    """Where a word ends; in scripts without spaces it ends anywhere."""
    alone = unicodedata.east_asian_width(letter) == "W" or unicodedata.name(letter, "").startswith(
        ("THAI", "LAO", "KHMER", "MYANMAR")
    )
    return "" if alone or not letter.isalnum() else r"\b"


def _plain(text: str) -> str:
    visible = "".join(
        c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) != "Cf"
    )
    return visible.casefold().strip()


def named_topic(text: str, community: str | None, topics: Iterable[tuple[Topic, Any]]) -> str:
    """The id of the first topic off limits for a row of this community that a text names."""
    plain = _plain(text)
    for topic, found in topics:
        bound = topic.community is None or community is None or community == topic.community
        if bound and found.search(plain):
            return topic.id
    return ""


def passes(criterion: ScoreCriterion, values: NDArray[Any], among: Flags) -> Flags:
    """Which rows pass a criterion; a share is counted among the rows of `among`."""
    import numpy

    known = ~numpy.isnan(values)
    if criterion.at_least is not None:
        high: Flags = known & (values >= criterion.at_least)
        return high
    candidates = numpy.sort(values[known & among])[::-1]
    if not len(candidates):
        return numpy.zeros(len(values), dtype=bool)
    share = criterion.top_share or 0
    last = math.ceil(share * len(candidates) - 1e-9) - 1
    passed: Flags = known & (values >= candidates[last])
    return passed


@dataclass(frozen=True)
class Shortened:
    """A table without the lines that are seen too often, and what became of the old rows."""

    table: Table
    replaced: Mapping[str, Shortening]
    """What happened to each row that lost a line, by its id."""


@dataclass(frozen=True)
class Shortening:
    """How one row lost lines."""

    new_id: str | None
    """The row that it goes on as; None where no line is left."""
    lost: float
    """The share of its completion's characters that were taken out."""
    caused_by: str
    """The first row that holds one of these lines."""


def without_common_lines(table: Table, step: LinesStep) -> Shortened:
    """Takes lines out of completions that are seen more than `at_most` times in all of them."""
    import polars

    completions = table.texts("completion")
    seen: Counter[str] = Counter()
    first: dict[str, int] = {}
    for position, text in enumerate(completions):
        for line in _lines(text, step.shortest):
            seen[line] += 1
            first.setdefault(line, position)
    common = {line for line, times in seen.items() if times > step.at_most}
    ids = table.frame["row_id"]
    replaced: dict[str, Shortening] = {}
    texts: dict[str, str] = {}
    for position, text in enumerate(completions):
        lost = [line for line in _lines(text, step.shortest) if line in common]
        if not lost:
            continue
        kept = [line for line in text.split("\n") if _bare(line) not in common]
        rest = "\n".join(kept)
        old = ids[position]
        new = row_id("without common lines", [old, rest]) if rest.strip() else None
        share = 1 - len(rest) / len(text)
        replaced[old] = Shortening(new, share, ids[first[lost[0]]])
        texts[old] = rest
    if not replaced:
        return Shortened(table, {})
    frame = table.frame.with_columns(new=polars.col("row_id").replace_strict(
        {old: one.new_id for old, one in replaced.items()},
        default=polars.col("row_id"), return_dtype=polars.String,
    )).drop_nulls("new")  # fmt: skip
    changed = polars.col("new") != polars.col("row_id")
    completion = polars.col("row_id").replace_strict(
        texts, default=polars.col("completion"), return_dtype=polars.String
    )
    frame = frame.with_columns(
        completion=completion,
        parents=polars.when(changed).then(polars.concat_list("row_id")).otherwise("parents"),
        row_id="new",
    ).drop("new")
    return Shortened(table_of(frame), replaced)


def _lines(text: str, shortest: int) -> Iterator[str]:
    for line in text.split("\n"):
        bare = _bare(line)
        if len(bare) >= shortest:
            yield bare


def _bare(line: str) -> str:
    return " ".join(line.split())
