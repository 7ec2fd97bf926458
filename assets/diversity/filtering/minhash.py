"""MinHash signatures, and near repetition by them in time that grows with the number of rows.

The estimate is that of Broder (1997): the share of equal numbers in two signatures is an unbiased
estimate of the Jaccard similarity J of two sets, with variance J (1 - J) / permutations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from assets.diversity.filtering.shingles import Groups, mixed

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Signatures = NDArray[numpy.uint32]
    Positions = NDArray[numpy.int64]
    Flags = NDArray[numpy.bool_]

EMPTY = 0xFFFFFFFF
"""What the signature of a text without words holds throughout."""
_RECALL = 0.99
"""The least chance that two rows just at the threshold are compared at all."""
_BLOCK = 1 << 15
"""Sequences that are hashed at once: few enough for the processor's cache."""
_ROWS = 1 << 16
"""Rows whose bands are numbered at once."""


@dataclass(frozen=True)
class Nearest:
    """For each row, the best-ranked row kept before it that it is most like."""

    score: NDArray[Any]
    """The similarity; 0 where no row kept before it was found alike."""
    cause: Positions
    """The position of that row; -1 where there is none."""


def signatures(found: Groups, permutations: int, seed: int = 1) -> Signatures:
    """The signature of each text, from its sequences; `permutations` numbers a text."""
    import numpy

    count = len(found.offsets) - 1
    signed = numpy.full((count, permutations), EMPTY, dtype=numpy.uint32)
    keys = mixed(numpy.arange(2 * permutations, dtype=numpy.uint64) + numpy.uint64(seed << 32))
    factors, shifts = keys[:permutations] | numpy.uint64(1), keys[permutations:]
    filled = numpy.flatnonzero(found.counts)
    starts = found.offsets[:-1][filled]
    first = 0
    while first < len(filled):
        limit = int(starts[first]) + _BLOCK
        after = max(first + 1, int(numpy.searchsorted(starts, limit)))
        stop = int(starts[after]) if after < len(filled) else len(found.values)
        values = found.values[starts[first] : stop]
        here = starts[first:after] - starts[first]
        for index in range(permutations):
            moved = ((values * factors[index] + shifts[index]) >> numpy.uint64(32)).astype(
                numpy.uint32
            )
            signed[filled[first:after], index] = numpy.minimum.reduceat(moved, here)
        first = after
    return signed


def rows_per_band(threshold: float, permutations: int) -> int:
    """The longest band with which rows at the threshold are compared almost surely."""
    longest = 1
    for length in range(1, permutations + 1):
        bands = permutations // length
        if 1 - (1 - threshold**length) ** bands < _RECALL:
            break
        longest = length
    return longest


def nearest_kept(
    signed: Signatures, order: Positions, eligible: Flags, threshold: float
) -> Nearest:
    """Goes through rows from the best-ranked down and compares each with those kept before it.

    A row is kept if it is eligible and no row kept before it is as much alike as `threshold`. Rows
    that are not eligible are compared too, and never kept. Only rows that agree in a whole band of
    their signatures are compared (locality-sensitive hashing).

    Args:
        signed: A signature a row.
        order: The rows' positions, the best-ranked first.
        eligible: Whether a row may be kept.
        threshold: The similarity from which a row is a repetition.
    """
    import numpy

    score = numpy.zeros(len(signed))
    cause = numpy.full(len(signed), -1, dtype=numpy.int64)
    buckets = _buckets(signed, rows_per_band(threshold, signed.shape[1]))
    shared: Flags = numpy.any(buckets >= 0, axis=1)
    kept_in: dict[int, list[int]] = {}
    for row in order[shared[order]].tolist():
        mine = [bucket for bucket in buckets[row].tolist() if bucket >= 0]
        alike = sorted({other for bucket in mine for other in kept_in.get(bucket, ())})
        if alike:
            equal = (signed[alike] == signed[row]).mean(axis=1)
            best = int(equal.argmax())
            score[row], cause[row] = equal[best], alike[best]
        if eligible[row] and score[row] < threshold:
            for bucket in mine:
                kept_in.setdefault(bucket, []).append(row)
    return Nearest(score, cause)


def _buckets(signed: Signatures, length: int) -> NDArray[Any]:
    """For each row and band, the number of the bucket that it shares with others, else -1."""
    import numpy

    bands = signed.shape[1] // length
    buckets = numpy.full((len(signed), bands), -1, dtype=numpy.int64)
    empty = signed[:, 0] == EMPTY
    begin = 0
    for band in range(bands):
        keys = numpy.zeros(len(signed), dtype=numpy.uint64)
        for start in range(0, len(signed), _ROWS):
            part = signed[start : start + _ROWS, band * length : (band + 1) * length]
            for index in range(length):
                here = keys[start : start + _ROWS]
                here[:] = mixed(here + part[:, index].astype(numpy.uint64))
        _, inverse, counts = numpy.unique(keys, return_inverse=True, return_counts=True)
        mates = (counts[inverse] > 1) & ~empty
        buckets[mates, band] = inverse[mates] + begin
        begin += len(counts)
    return buckets
