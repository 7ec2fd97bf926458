"""Choosing m of n rows: as diverse as can be, evenly from clusters, or at random.

`log_det` adds, one at a time, the row that makes the determinant of the chosen rows' kernel grow
most: the greedy answer for a determinantal point process (L. Chen, G. Zhang and E. Zhou, 2018).
The determinant of K + r I is largest where the eigenvalues are large and even, which is where
G-Vendi is large. The ridge r lets it go on past d rows, where the determinant of K itself is zero.

A community can be promised its share, since whoever writes much alike would else be left out.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from assets.diversity.vectors import matrix_of
from registry.errors import MethodError

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    from assets.diversity.features import Vectors

    Positions = NDArray[numpy.int64]

Choice = Literal["log-det", "cluster-balanced", "random"]
RIDGE = 0.01
"""What is added to the kernel's diagonal, where each vector has 1."""
_FRONT = 2048
"""Candidates whose gains are kept exact; those of all others are bounds until they matter."""
_PENDING = 64
"""Chosen rows after which all bounds are made exact again, in one matrix product."""


@dataclass
class Promise:
    """How many rows of each group must be chosen; others may be chosen as it comes."""

    groups: NDArray[numpy.int64]
    """The group of each row, -1 for none."""
    owed: NDArray[numpy.int64]
    """Rows of each group that are still to be chosen."""
    left: int
    """Rows that are still to be chosen."""
    _bound: bool = field(default=False)

    def open_to(self) -> NDArray[numpy.bool_] | None:
        """Which rows may be chosen next; None where any may."""
        import numpy

        if self.owed.sum() < self.left:
            return None
        wanting = numpy.append(self.owed > 0, [False])
        rows: NDArray[numpy.bool_] = wanting[self.groups]
        return rows

    def take(self, position: int) -> bool:
        """Counts a chosen row; says whether that changed which rows may be chosen."""
        group = int(self.groups[position])
        self.left -= 1
        filled = False
        if group >= 0 and self.owed[group] > 0:
            self.owed[group] -= 1
            filled = self.owed[group] == 0
        bound = bool(self.owed.sum() >= self.left)
        changed = bound and (filled or not self._bound)
        self._bound = bound
        return changed


def promise(
    groups: Sequence[str | None],
    m: int,
    share: float,
    *,
    among: Sequence[str | None] | None = None,
) -> Promise:
    """Promises each group `share` of its part of m rows; rows of no group are promised nothing.

    Args:
        groups: The group of each row that can be chosen.
        m: How many rows are chosen.
        share: What each group gets at least, as a share of what it would get by chance.
        among: The groups of all rows, where some cannot be chosen: parts are counted among these.

    Raises:
        MethodError: Where the promise cannot be kept.
    """
    import numpy

    before = Counter(groups if among is None else among)
    total = before.total()
    names = sorted(name for name in before if name is not None)
    numbers = {name: number for number, name in enumerate(names)}
    of_row = numpy.array([-1 if g is None else numbers[g] for g in groups], dtype=numpy.int64)
    parts = [math.ceil(round(share * m * before[name] / total, 9)) for name in names]
    if sum(parts) > m:
        raise MethodError(
            f"{m} rows are too few: {len(names)} communities are promised {sum(parts)} of them",
            why=f"each community is kept at {share:g} of the overall rate or more",
            mend="choose more rows, or promise less",
        )
    there = Counter(groups)
    for name, part in zip(names, parts, strict=True):
        if part > there[name]:
            raise MethodError(
                f"{name} is promised {part} rows, and {there[name]} of its {before[name]} rows "
                "can be chosen",
                why=f"each community is kept at {share:g} of the overall rate or more",
                mend="see in the features' rejected.parquet why its rows have no vector",
            )
    return Promise(of_row, numpy.array(parts, dtype=numpy.int64), m)


def log_det(
    vectors: NDArray[Any], m: int, *, ridge: float = RIDGE, promised: Promise | None = None
) -> Positions:
    """The positions of m rows in the order in which the greedy algorithm chooses them.

    With A = r I + the sum of x x' over the chosen rows, row i adds log(1 + s_i), s_i = x_i' A^-1
    x_i. Each choice j lowers every s_i by (x_i' u)^2, u = A^-1 x_j / sqrt(1 + s_j). As gains only
    fall, an old one is a bound: only the foremost candidates are followed exactly, and the others
    are looked at again when no candidate is sure to be the best.

    Raises:
        MethodError: Where there are fewer rows than m, or one points nowhere.
    """
    import numpy

    _require(len(vectors), m)
    state = _Greedy(matrix_of(vectors), ridge)
    chosen = numpy.empty(m, dtype=numpy.int64)
    for index in range(m):
        position = state.best(promised)
        state.choose(position)
        chosen[index] = position
        if promised is not None and promised.take(position):
            state.refresh()
    return chosen


class _Greedy:
    """The gains of all rows, exact for the foremost and bounds for the rest."""

    def __init__(self, unit: Vectors, ridge: float) -> None:
        import numpy

        self.unit = unit
        self.gains = numpy.full(len(unit), 1 / ridge)
        self.inverse = numpy.asfortranarray(numpy.eye(unit.shape[1]) / ridge)
        self.pending: list[Vectors] = []
        self.front = numpy.zeros(0, dtype=numpy.int64)
        self.near: Vectors = unit[:0]
        self.exact = numpy.zeros(0)
        self.rest = math.inf
        """No row outside the front gains more than this."""

    def best(self, promised: Promise | None) -> int:
        """The row that gains most of those that may be chosen."""
        if not len(self.front) or self.exact.max() < self.rest:
            self.refresh()
            self._advance(None if promised is None else promised.open_to())
        return int(self.front[self.exact.argmax()])

    def choose(self, position: int) -> None:
        """Takes a row, and lowers what the foremost others would add."""
        import numpy
        from scipy.linalg.blas import dger

        row = self.unit[position].astype(numpy.float64)
        direction = self.inverse @ row
        direction /= math.sqrt(1 + max(float(row @ direction), 0.0))
        self.inverse = dger(-1.0, direction, direction, a=self.inverse, overwrite_a=1)
        single = direction.astype(numpy.float32)
        self.pending.append(single)
        self.exact = self.exact - (self.near @ single).astype(numpy.float64) ** 2
        self.gains[position] = -math.inf
        self.exact[self.front == position] = -math.inf
        if len(self.pending) == _PENDING:
            self.refresh()

    def refresh(self) -> None:
        """Makes all gains exact, and forgets the front."""
        import numpy

        if self.pending:
            directions = numpy.stack(self.pending, axis=1)
            for start in range(0, len(self.unit), 16 * _FRONT):
                part = slice(start, start + 16 * _FRONT)
                product = self.unit[part] @ directions
                self.gains[part] -= numpy.einsum("nb,nb->n", product, product, dtype=numpy.float64)
        self.pending = []
        self.front = self.front[:0]

    def _advance(self, allowed: NDArray[numpy.bool_] | None) -> None:
        """Puts the rows of largest gain in front."""
        import numpy

        gains = self.gains if allowed is None else numpy.where(allowed, self.gains, -math.inf)
        order = numpy.argsort(-gains, kind="stable")[: _FRONT + 1]
        order = order[gains[order] > -math.inf]
        self.front, self.near = order[:_FRONT], self.unit[order[:_FRONT]]
        self.exact = self.gains[self.front]
        self.rest = float(gains[order[_FRONT]]) if len(order) > _FRONT else -math.inf


def cluster_balanced(
    labels: NDArray[Any], m: int, *, seed: int = 0, promised: Promise | None = None
) -> Positions:
    """The positions of m rows, one after the other from the cluster that has given least so far.

    Inside a cluster the order is drawn. So each cluster gives the same number, or all that it has.
    """
    import numpy

    _require(len(labels), m)
    drawn = numpy.random.default_rng(seed).permutation(len(labels))
    turns = numpy.empty(len(labels), dtype=numpy.int64)
    order = drawn[numpy.argsort(labels[drawn], kind="stable")]
    starts = numpy.flatnonzero(numpy.diff(labels[order], prepend=labels[order][:1] - 1))
    sizes = numpy.diff(numpy.append(starts, len(order)))
    turns[order] = numpy.arange(len(order)) - numpy.repeat(starts, sizes)
    return _in_order(numpy.lexsort((labels, turns)), m, promised)


def at_random(rows: int, m: int, *, seed: int = 0, promised: Promise | None = None) -> Positions:
    """The positions of m rows drawn at random."""
    import numpy

    _require(rows, m)
    return _in_order(numpy.random.default_rng(seed).permutation(rows), m, promised)


def _in_order(order: Positions, m: int, promised: Promise | None) -> Positions:
    """The first m rows of an order that keep a promise."""
    import numpy

    if promised is None:
        return order[:m]
    chosen: list[int] = []
    waiting = order
    while len(chosen) < m:
        allowed = promised.open_to()
        usable = waiting if allowed is None else waiting[allowed[waiting]]
        taken = 0
        for position in usable[: m - len(chosen)]:
            chosen.append(int(position))
            taken += 1
            if promised.take(int(position)):
                break
        waiting = waiting[~numpy.isin(waiting, usable[:taken])]
    return numpy.array(chosen, dtype=numpy.int64)


def _require(rows: int, m: int) -> None:
    if not 1 <= m <= rows:
        raise MethodError(
            f"{m} of {rows} rows cannot be chosen",
            mend=f"choose 1 to {rows} rows" if rows else "choose from a dataset that has rows",
        )
