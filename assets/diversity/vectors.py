"""Vectors that are read in blocks: a matrix at hand, or the shards of an artifact."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from assets.diversity.features import SHARD_ROWS, Features
from registry.errors import MethodError

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    from assets.diversity.features import Vectors

    Lengths = NDArray[numpy.float64]

IN_MEMORY = 2 * 1024**3
"""Bytes of float32 up to which an artifact's vectors are held at once; more are read in shards."""

UNIT = 1e-6
"""How far a vector's length may be from 1 without being scaled."""

_SMALL = 1e-30
"""Squared lengths that float32 still holds exactly enough, and one over the largest such."""


class Blocks(Protocol):
    """Vectors that can be read from the first to the last as often as needed, and singly."""

    @property
    def dimensions(self) -> int:
        """Numbers in a vector."""
        ...

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Vectors]:
        """The vectors as float32, some thousand at a time, in order."""
        ...

    def take(self, positions: Sequence[int] | NDArray[Any]) -> Vectors:
        """The vectors at these positions, in that order."""
        ...


@dataclass(frozen=True)
class _Matrix:
    vectors: Vectors
    dimensions: int

    def __len__(self) -> int:
        return len(self.vectors)

    def __iter__(self) -> Iterator[Vectors]:
        for start in range(0, len(self.vectors), SHARD_ROWS):
            yield self.vectors[start : start + SHARD_ROWS]

    def take(self, positions: Sequence[int] | NDArray[Any]) -> Vectors:
        return self.vectors[positions]


@dataclass(frozen=True)
class _Shards:
    features: Features
    dimensions: int
    unit: bool

    def __len__(self) -> int:
        return len(self.features)

    def __iter__(self) -> Iterator[Vectors]:
        start = 0
        for shard in self.features.shards():
            yield _checked(shard, start, unit=self.unit)
            start += len(shard)

    def take(self, positions: Sequence[int] | NDArray[Any]) -> Vectors:
        return _checked(self.features.take([int(p) for p in positions]), None, unit=self.unit)


def blocks_of(
    given: Features | NDArray[Any], *, unit: bool = True, in_memory: int = IN_MEMORY
) -> Blocks:
    """Vectors in blocks, scaled to length 1 where `unit`.

    Raises MethodError for what is no table of numbers, for numbers that are not finite, and where a
    vector of zeros would have to be scaled: it points nowhere.
    """
    if isinstance(given, Features):
        dimensions = given.description.dimensions
        if 4 * len(given) * dimensions > in_memory:
            return _Shards(given, dimensions, unit)
        given = given.matrix()
    vectors = matrix_of(given, unit=unit)
    return _Matrix(vectors, vectors.shape[1])


def matrix_of(given: NDArray[Any], *, unit: bool = True) -> Vectors:
    """Vectors as float32, scaled to length 1 where `unit`; copied only where that needs it."""
    import numpy

    given = numpy.asarray(given)
    if given.ndim != 2 or given.shape[1] == 0:  # noqa: PLR2004
        raise MethodError(
            f"vectors of shape {given.shape} are no table", mend="give one row for each vector"
        )
    return _checked(numpy.ascontiguousarray(given, dtype=numpy.float32), 0, unit=unit)


def lengths_of(vectors: NDArray[Any], start: int | None = 0, *, zeros: bool = False) -> Lengths:
    """The length of each vector.

    Raises MethodError where one is not finite, or zero unless `zeros`; `start` is the place of the
    first, where it is known.
    """
    import numpy

    squares: Lengths = numpy.einsum("nd,nd->n", vectors, vectors).astype(numpy.float64)
    if not ((squares > _SMALL) & (squares < 1 / _SMALL)).all():
        squares = numpy.einsum("nd,nd->n", vectors, vectors, dtype=numpy.float64)
    lengths: Lengths = numpy.sqrt(squares)
    bad = ~numpy.isfinite(lengths) if zeros else ~(numpy.isfinite(lengths) & (lengths > 0))
    if bad.any():
        first = int(numpy.argmax(bad))
        what = "only zeros" if lengths[first] == 0 else "a number that is not finite"
        where = f"vector {start + first}" if start is not None else "a vector"
        raise MethodError(
            f"{where} holds {what}",
            why="it points nowhere, so that it is like no other vector",
            mend="reject such rows with a reason before their vectors are compared",
        )
    return lengths


def _checked(vectors: Vectors, start: int | None, *, unit: bool) -> Vectors:
    """The same vectors, copied only where they have to be scaled."""
    import numpy

    lengths = lengths_of(vectors, start, zeros=not unit)
    if not unit or numpy.abs(lengths - 1).max(initial=0) < UNIT:
        return vectors
    scaled: NDArray[Any] = vectors / lengths[:, None].astype(numpy.float32)
    return scaled
