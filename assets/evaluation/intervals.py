"""95 % intervals of shares and means."""

from __future__ import annotations

from collections.abc import Sequence


def wilson(share: float, n: int) -> tuple[float, float]:
    """The 95 % interval of a share of `n`, which is not a point where all or none are right.

    Wilson (1927). Ties count half, so that the share need not be a whole number of n.
    """
    z = 1.959963984540054
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    margin = z / (1 + z * z / n) * (share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5
    return max(0.0, middle - margin), min(1.0, middle + margin)


def mean(values: Sequence[float]) -> tuple[float, float, float]:
    """A mean with its 95 % interval by Student's t; of one value, the value."""
    import numpy as np
    from scipy.stats import t

    middle = float(np.mean(values))
    if len(values) == 1:
        return middle, middle, middle
    margin = float(t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))
    return middle, middle - margin, middle + margin
