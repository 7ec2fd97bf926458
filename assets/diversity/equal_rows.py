"""Scores at equal numbers of rows: the only ones that may be compared.

A group's score at m rows is the mean over draws of m different rows of it. How sure it is says the
bootstrap: the spread of the logarithm of the score when m rows are drawn with repetition. Its level
is lower, since repeated rows add nothing, so only its spread is used (B. Efron, 1979; in
simulations, within a quarter of the true spread).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from assets.diversity.vectors import lengths_of
from assets.diversity.vendi import Order, eigenvalues, noise_score, score
from registry.errors import MethodError

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    from assets.diversity.vectors import Blocks

_NORMAL = 1.959964
"""The 97.5 % point of the standard normal distribution."""
_HELD = 4096
"""Groups of up to this many rows are read once."""


@dataclass(frozen=True)
class Estimate:
    """A group's score at a number of rows, with a 95 % interval."""

    order: Order
    rows: int
    """Rows in the group."""
    drawn: int
    """Rows in each draw."""
    score: float
    low: float
    high: float
    noise: float | None
    """What as many vectors of pure noise would score, at order 1."""


def estimates(
    blocks: Blocks,
    positions: NDArray[Any],
    drawn: int,
    *,
    orders: Sequence[Order] = (1.0,),
    draws: int = 20,
    resamples: int = 100,
    seed: Sequence[int] = (0,),
) -> list[Estimate]:
    """The scores of the rows at `positions`, at `drawn` rows, for each order.

    Where all rows are drawn, one draw is enough. The draws depend on the seed and on how many rows
    there are, and on nothing else.

    Raises:
        MethodError: Where there are fewer rows than are to be drawn.
    """
    import numpy

    rows = len(positions)
    if not 1 <= drawn <= rows:
        raise MethodError(f"{drawn} different rows cannot be drawn from {rows}")
    vectors = blocks.take(positions) if rows <= _HELD else None

    def scored(chosen: NDArray[Any]) -> list[float]:
        once, counts = numpy.unique(chosen, return_counts=True)
        found = blocks.take(positions[once]) if vectors is None else vectors[once]
        shares = _shares(found, counts)
        return [score(shares, order) for order in orders]

    source = numpy.random.default_rng([*seed, rows, drawn])
    times = draws if drawn < rows else 1
    values = numpy.array([scored(source.choice(rows, drawn, replace=False)) for _ in range(times)])
    again = numpy.array([scored(source.integers(0, rows, drawn)) for _ in range(resamples)])
    means = values.mean(axis=0)
    factors = numpy.exp(_NORMAL * numpy.log(again).std(axis=0, ddof=1))
    most, noise = min(drawn, blocks.dimensions), noise_score(drawn, blocks.dimensions)
    return [
        Estimate(
            order,
            rows,
            drawn,
            float(mean),
            low=max(1.0, float(mean / factor)),
            high=min(float(most), float(mean * factor)),
            noise=noise if order == 1 else None,
        )
        for order, mean, factor in zip(orders, means, factors, strict=True)
    ]


def growth(
    blocks: Blocks, positions: NDArray[Any], *, most: int, draws: int, seed: Sequence[int] = (0,)
) -> list[tuple[int, float]]:
    """The mean score of order 1 of 16, 32, 64 ... rows, up to all of them or `most`."""
    import numpy

    ladder = [2**i for i in range(4, 64) if 2**i < min(most, len(positions))]
    found = []
    for drawn in [*ladder, min(most, len(positions))]:
        source = numpy.random.default_rng([*seed, drawn])
        chosen = [source.choice(positions, drawn, replace=False) for _ in range(draws)]
        scores = [score(_shares(blocks.take(c), numpy.ones(drawn))) for c in chosen]
        found.append((drawn, float(numpy.mean(scores))))
    return found


def seed_of(seed: int, *names: str) -> tuple[int, int]:
    """A seed for one group, which others beside it do not change."""
    digest = hashlib.sha256("\0".join(names).encode("utf-8", "surrogatepass")).digest()
    return seed, int.from_bytes(digest[:8], "little")


def _shares(vectors: NDArray[Any], counts: NDArray[Any]) -> NDArray[numpy.float64]:
    """The eigenvalues of vectors at length 1, each of which stands there `counts` times."""
    import numpy

    weights = numpy.sqrt(counts / counts.sum()) / lengths_of(vectors)
    scaled = vectors.astype(numpy.float64) * weights[:, None]
    few = len(scaled) <= scaled.shape[1]
    return eigenvalues(scaled @ scaled.T if few else scaled.T @ scaled)
