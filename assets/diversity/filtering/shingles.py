"""Word sequences of many texts as 64-bit numbers, without a Python loop over words.

Texts are hashed from their UTF-8 bytes by numpy. The numbers depend on nothing but the text, so
that what is kept of one run can be used by the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy
    import polars
    from numpy.typing import NDArray

    Hashes = NDArray[numpy.uint64]
    Positions = NDArray[numpy.int64]

SCHEME = 1
"""The version of the numbers; what was kept under another one is not used."""
LONGEST = 1_000_000
"""Characters of a text that are read: one huge row must not take the memory of all others."""
_SPACE, _BREAK = 0x20, 0x0A
_BASE = 0x9E3779B97F4A7C15
_UNSPACED = r"([\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}])"
"""Scripts written without spaces: each of their characters counts as a word."""


def normalised(texts: polars.Series, longest: int | None = LONGEST) -> polars.Series:
    """Texts in NFKC and small letters, with single spaces and without invisible characters."""
    return (
        texts.fill_null("")
        .str.slice(0, longest)
        .str.normalize("NFKC")
        .str.to_lowercase()
        .str.replace_all(r"\p{Cf}", "")
        .str.replace_all(r"\s+", " ")
        .str.strip_chars(" ")
    )


@dataclass(frozen=True)
class Groups:
    """Numbers of many texts, one after the other."""

    values: Hashes
    offsets: Positions
    """Where each text's numbers begin, and where the last one's end."""

    @property
    def counts(self) -> Positions:
        """How many numbers each text has."""
        return self.offsets[1:] - self.offsets[:-1]

    def owners(self) -> Positions:
        """The text that each number belongs to."""
        import numpy

        return numpy.repeat(numpy.arange(len(self.offsets) - 1), self.counts)


def mixed(values: Hashes) -> Hashes:
    """A number whose every bit depends on every bit of the old one (splitmix64's last steps)."""
    import numpy

    shifted = values ^ (values >> numpy.uint64(30))
    shifted = shifted * numpy.uint64(0xBF58476D1CE4E5B9)
    shifted = (shifted ^ (shifted >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
    result: Hashes = shifted ^ (shifted >> numpy.uint64(31))
    return result


def words(texts: Sequence[str]) -> Groups:
    """Each text's words as numbers; texts are as `normalised` leaves them."""
    import numpy

    spaced = _spaced(texts)
    data = numpy.frombuffer("\n".join([*spaced, ""]).encode(), dtype=numpy.uint8)
    breaks = data == _BREAK
    inside = ~(breaks | (data == _SPACE))
    before = numpy.empty_like(inside)
    before[:1] = False
    before[1:] = inside[:-1]
    starts = numpy.flatnonzero(inside & ~before)
    ends = numpy.flatnonzero(breaks)
    offsets = numpy.concatenate([[0], numpy.searchsorted(starts, ends)]).astype(numpy.int64)
    if not len(starts):
        return Groups(numpy.zeros(0, dtype=numpy.uint64), offsets)
    word = numpy.cumsum(inside & ~before) - 1
    place = numpy.arange(len(data)) - starts[numpy.maximum(word, 0)]
    place[~inside] = 0
    letters = mixed(numpy.arange(1, 257, dtype=numpy.uint64))[data]
    letters *= _powers(int(place.max()) + 1)[place]
    letters[~inside] = 0
    return Groups(mixed(numpy.add.reduceat(letters, starts)), offsets)


def sequences(found: Groups, length: int, *, short: bool) -> Groups:
    """Every `length` words in a row as one number.

    Args:
        found: The words of each text.
        length: Words in a sequence.
        short: Whether a text with fewer words counts as one sequence, or has none.
    """
    import numpy

    counts = found.counts
    made = numpy.maximum(counts - length + 1, 0)
    if short:
        made = numpy.where((counts > 0) & (counts < length), 1, made)
    offsets = numpy.concatenate([[0], numpy.cumsum(made)]).astype(numpy.int64)
    owners = numpy.repeat(numpy.arange(len(counts)), made)
    first = found.offsets[:-1][owners] + numpy.arange(offsets[-1]) - offsets[:-1][owners]
    values = numpy.zeros(len(first), dtype=numpy.uint64)
    last = found.offsets[1:][owners]
    for step in range(length):
        here = first + step
        there = here < last
        word = found.values[numpy.where(there, here, 0)] if len(first) else values
        values = numpy.where(there, mixed(values * numpy.uint64(_BASE) + word), values)
    return Groups(values, offsets)


def common(parts: Iterable[Groups], limit: int) -> Hashes:
    """The numbers that more than `limit` texts of all parts hold, sorted."""
    import numpy
    import polars

    counted = polars.concat([
        polars.DataFrame({"value": part.values, "owner": part.owners()})
        .unique()
        .group_by("value")
        .agg(polars.len().alias("texts"))
        for part in parts
    ]).group_by("value").agg(polars.col("texts").sum())  # fmt: skip
    found: Hashes = numpy.sort(counted.filter(polars.col("texts") > limit)["value"].to_numpy())
    return found


def without(found: Groups, dropped: Hashes) -> Groups:
    """Texts without these numbers; a text that has no others keeps them all."""
    import numpy

    if not len(dropped):
        return found
    place = numpy.minimum(numpy.searchsorted(dropped, found.values), len(dropped) - 1)
    own = dropped[place] != found.values
    owners = found.owners()
    left = numpy.bincount(owners[own], minlength=len(found.counts))
    stays = own | (left[owners] == 0)
    counts = numpy.bincount(owners[stays], minlength=len(found.counts))
    offsets = numpy.concatenate([[0], numpy.cumsum(counts)]).astype(numpy.int64)
    return Groups(found.values[stays], offsets)


def _spaced(texts: Sequence[str]) -> list[str]:
    import polars

    series = polars.Series(texts, dtype=polars.String)
    return list(series.str.replace_all(_UNSPACED, " $1 "))


def _powers(count: int) -> NDArray[Any]:
    import numpy

    bases = numpy.full(count, _BASE, dtype=numpy.uint64)
    bases[0] = 1
    return numpy.cumprod(bases, dtype=numpy.uint64)
