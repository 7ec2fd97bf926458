"""The Vendi score of vectors: how many different ones there are, in effect.

For n vectors of length 1 with the kernel K of their cosines, it is the exponential of the entropy
of the eigenvalues of K / n (D. Friedman and A. B. Dieng, The Vendi Score, 2023): n vectors at
right angles score n, n times the same one scores 1. Of gradients it is called G-Vendi (Prismatic
Synthesis, 2025). Order q is Hill's number of that order (A. Pasarkar and Dieng, 2024): small orders
count rare directions as much as common ones, `inf` sees the commonest alone.

    vendi(vectors)                     # order 1
    vendi_of_kernel(kernel, "inf")

The eigenvalues of K / n and of X'X / n are the same but for zeros, so the smaller of the two is
taken apart. X'X is added up block by block, so that memory does not grow with n.

A score lies between 1 and the smaller of n and d, and grows with n: compare at equal n alone. Even
of pure noise it is less than that, since n random directions in d dimensions are not at right
angles: `noise_score` says how much is left, and no sketch of d numbers can show more.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from assets.diversity.features import Description, Features
from assets.diversity.vectors import UNIT, lengths_of
from registry.errors import MethodError

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Doubles = NDArray[numpy.float64]

Order = float | Literal["inf"]
_SHANNON = 1e-8
"""How near to 1 an order counts as 1: nearer, the general formula divides rounding by nothing."""
_DOUBLE_ROWS = 16_384
"""Up to this many float32 vectors, products are taken in float64, which costs twice as much."""
_SMALL_ORDER = 1.0
"""Scores of orders below this hang on the smallest eigenvalues, and so are taken in float64."""
_NEGATIVE = 1e-6
"""How far below zero an eigenvalue may be by rounding, beside the largest."""


def vendi(given: Features | NDArray[Any] | Iterable[NDArray[Any]], order: Order = 1.0) -> float:
    """The score of vectors: a matrix, the features of an artifact, or blocks of vectors.

    Raises MethodError where there are none, or one points nowhere.
    """
    small = order != "inf" and order < _SMALL_ORDER
    return score(spectrum(given, double=True if small else None), order)


def vendi_of_kernel(kernel: NDArray[Any], order: Order = 1.0) -> float:
    """The score of items with this kernel of similarities, which is scaled to ones on its diagonal.

    Raises MethodError where it is no kernel: not square, not symmetric, or not positive.
    """
    import numpy

    kernel = numpy.asarray(kernel, dtype=numpy.float64)
    if kernel.ndim != 2 or kernel.shape[0] != kernel.shape[1] or not len(kernel):  # noqa: PLR2004
        raise MethodError(f"similarities of shape {kernel.shape} are no kernel")
    diagonal = numpy.diagonal(kernel)
    if not numpy.isfinite(kernel).all() or (diagonal <= 0).any():
        raise MethodError("a kernel needs numbers, and each item's similarity to itself above 0")
    if not numpy.allclose(kernel, kernel.T, rtol=1e-6, atol=1e-9):
        raise MethodError("a kernel says of two items the same whichever comes first")
    scale = numpy.sqrt(diagonal)
    return score(eigenvalues(kernel / numpy.outer(scale, scale) / len(kernel)), order)


def score(eigenvalues: Doubles, order: Order = 1.0) -> float:
    """Hill's number of an order: the effective number of the shares `eigenvalues`, which sum to 1.

    Order 1 is the exponential of the entropy, 0 the number of shares above 0, 2 one over the sum of
    squares, and `inf` one over the largest.
    """
    import numpy

    shares = eigenvalues[eigenvalues > 0]
    if order == "inf" or math.isinf(order):
        return float(1 / shares.max())
    if not order >= 0:
        raise MethodError(f"the order {order} is no order", mend='give a number from 0, or "inf"')
    if abs(order - 1) < _SHANNON:
        return float(numpy.exp(-(shares * numpy.log(shares)).sum()))
    if order == 0:
        return float(len(shares))
    logs = order * numpy.log(shares)
    largest = logs.max()
    return float(numpy.exp((largest + numpy.log(numpy.exp(logs - largest).sum())) / (1 - order)))


def noise_score(rows: int, dimensions: int) -> float:
    """About what `rows` vectors of pure noise in `dimensions` score at order 1.

    n e^(-n/2d) for n up to d, else d e^(-d/2n): the entropy of the Marchenko-Pastur law, which is
    that of the entanglement of random states (D. Page, 1993).
    """
    few, many = sorted((rows, dimensions))
    return few * math.exp(-few / (2 * many))


def spectrum(
    given: Features | NDArray[Any] | Iterable[NDArray[Any]], *, double: bool | None = None
) -> Doubles:
    """The eigenvalues of K / n that are not zero by rounding; they sum to 1.

    In float64, but for float32 vectors in great number or in blocks, whose products are taken in
    float32 and added up in float64 unless `double`.
    """
    import numpy

    if isinstance(given, Features):
        if len(given) > given.description.dimensions:
            wide = len(given) <= _DOUBLE_ROWS if double is None else double
            return moments(given.shards(), double=wide).spectrum()
        given = given.matrix()
    if not isinstance(given, numpy.ndarray):
        return moments(given, double=double).spectrum()
    if given.ndim != 2:  # noqa: PLR2004
        raise MethodError(
            f"vectors of shape {given.shape} are no table", mend="give one row for each vector"
        )
    rows, dimensions = given.shape
    if rows > dimensions:
        wide = given.dtype == numpy.float64 or rows <= _DOUBLE_ROWS
        return moments(_cut(given), double=wide if double is None else double).spectrum()
    if not rows:
        raise _nothing()
    unit = given.astype(numpy.float64) / lengths_of(given)[:, None]
    return eigenvalues(unit @ unit.T / rows)


@dataclass
class Moments:
    """X'X of unit vectors that were seen block by block: d x d, however many they are."""

    total: Doubles
    rows: int = 0
    double: bool = False
    _space: dict[tuple[int, ...], NDArray[Any]] = field(default_factory=dict, repr=False)
    """Room for a block and a product: to ask for it anew costs a fifth of the time."""

    def add(self, block: NDArray[Any]) -> None:
        """Adds vectors, of any length but 0."""
        import numpy

        lengths = lengths_of(block, self.rows)[:, None]
        unit, single = block, not self.double and block.dtype == numpy.float32
        if not single or numpy.abs(lengths - 1).max(initial=0) > UNIT:
            unit = self._room(block.shape)
            numpy.divide(block, lengths.astype(unit.dtype), out=unit)
        self.total += numpy.matmul(unit.T, unit, out=self._room(self.total.shape))
        self.rows += len(block)

    def _room(self, shape: tuple[int, ...]) -> NDArray[Any]:
        import numpy

        if shape not in self._space:
            self._space[shape] = numpy.empty(shape, numpy.float64 if self.double else numpy.float32)
        return self._space[shape]

    def spectrum(self) -> Doubles:
        """The eigenvalues of X'X / n that are not zero by rounding."""
        import numpy

        if not self.rows:
            raise _nothing()
        rounding = None if self.double else 4 * float(numpy.finfo(numpy.float32).eps)
        return eigenvalues(self.total / self.rows, rounding)


def moments(blocks: Iterable[NDArray[Any]], *, double: bool | None = None) -> Moments:
    """X'X of all vectors of these blocks, in `double` precision or, by default, in the blocks'."""
    import numpy

    found: Moments | None = None
    for block in blocks:
        if found is None:
            wide = block.dtype == numpy.float64 if double is None else double
            found = Moments(numpy.zeros((block.shape[1],) * 2), double=wide)
        found.add(block)
    if found is None:
        raise _nothing()
    return found


def _cut(vectors: NDArray[Any], rows: int = 8192) -> Iterator[NDArray[Any]]:
    for start in range(0, len(vectors), rows):
        yield vectors[start : start + rows]


def eigenvalues(matrix: Doubles, rounding: float | None = None) -> Doubles:
    """The eigenvalues of a positive matrix of trace 1, but for those that are rounding.

    Raises MethodError where the matrix is not positive.
    """
    import numpy

    found = numpy.linalg.eigvalsh(matrix)
    largest = float(found[-1])
    if found[0] < -max(_NEGATIVE, rounding or 0) * largest:
        raise MethodError(
            f"the kernel has the eigenvalue {found[0]:.3g}, which is below 0",
            why="no set of vectors has such similarities",
            mend="use a kernel that is positive, such as cosines",
        )
    floor = (rounding or len(matrix) * float(numpy.finfo(numpy.float64).eps)) * largest
    kept: Doubles = numpy.asarray(found[found > floor], dtype=numpy.float64)
    kept /= kept.sum()
    return kept


def _nothing() -> MethodError:
    return MethodError("no vectors have no diversity", mend="score a dataset that has rows")


def name_of(order: Order) -> str:
    """An order as a word: `1`, `0.5` or `inf`."""
    return f"{float(order):g}"


def title_of(description: Description) -> str:
    """What the score of such vectors is called."""
    return "G-Vendi" if description.of == "gradients" else "Vendi score"
