"""Do groups differ enough to be worth separate alignment?

Two samples of the same people differ too. So the distance between two groups is set against the
distance within them: everybody is split in half at random once, the total variation between the
halves of one group is noise, and a group's learning half is compared with another's evaluation
half, which has just as much of it. Groups that do not differ then score 1 on average.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean
from typing import Any

LEAST_RATIO = 2.0
"""Groups closer than this many times the noise are not worth separate alignment."""

Shares = Sequence[float]
Halves = Mapping[str, tuple[Shares, Shares]]
"""For each item the shares in one half of a group and in the other."""
Sampled = Mapping[str, tuple[Shares, float]]
"""For each item the shares of a group and the (effective) number of people they come from."""


@dataclass(frozen=True)
class Pair:
    """Two groups, and how far apart they are."""

    one: str
    other: str
    items: int
    """How many items both groups answered."""
    distance: float
    """Mean total variation between them."""
    noise: float
    """What two samples of the same people would show: the quadratic mean of both groups' noise."""

    @property
    def ratio(self) -> float:
        """How many times the noise they are apart."""
        return _ratio(self.distance, self.noise)

    @property
    def indistinguishable(self) -> bool:
        """Whether they are closer than twice their noise."""
        return self.ratio < LEAST_RATIO


@dataclass(frozen=True)
class Separation:
    """How far the groups of a set are apart."""

    pairs: tuple[Pair, ...]
    noise: Mapping[str, float]
    """For each group its own noise, on all of its items."""
    measured_by: str
    """How noise was measured, in words."""
    null: float | None = None
    """The 95th percentile of the ratio where votes say nothing but how people vote in general."""

    @property
    def distance(self) -> float:
        """The mean distance over pairs."""
        return fmean(pair.distance for pair in self.pairs) if self.pairs else 0.0

    @property
    def mean_noise(self) -> float:
        """The mean noise over pairs."""
        return fmean(pair.noise for pair in self.pairs) if self.pairs else 0.0

    @property
    def ratio(self) -> float:
        """The mean distance over the mean noise."""
        return _ratio(self.distance, self.mean_noise)

    @property
    def limit(self) -> float:
        """What the ratio must reach."""
        return max(LEAST_RATIO, self.null or 0.0)

    @property
    def usable(self) -> bool:
        """Whether the groups differ enough, on the mean over pairs."""
        return bool(self.pairs) and self.ratio >= self.limit

    @property
    def indistinguishable(self) -> tuple[Pair, ...]:
        """The pairs that are closer than twice their own noise."""
        return tuple(pair for pair in self.pairs if pair.indistinguishable)

    def to_json(self) -> dict[str, Any]:
        """The figures for a record."""
        return {
            "usable": self.usable,
            "ratio": _rounded(self.ratio),
            "limit": _rounded(self.limit),
            "distance": _rounded(self.distance),
            "noise": _rounded(self.mean_noise),
            "null_95": _rounded(self.null) if self.null is not None else None,
            "measured_by": self.measured_by,
            "noise_of_each_group": {name: _rounded(value) for name, value in self.noise.items()},
            "pairs": [
                {
                    "one": pair.one,
                    "other": pair.other,
                    "items": pair.items,
                    "distance": _rounded(pair.distance),
                    "noise": _rounded(pair.noise),
                    "ratio": _rounded(pair.ratio),
                    "indistinguishable": pair.indistinguishable,
                }
                for pair in self.pairs
            ],
        }


def _ratio(distance: float, noise: float) -> float:
    """A difference without any noise is a difference; none is none."""
    if noise:
        return distance / noise
    return math.inf if distance else 0.0


def _rounded(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None


def total_variation(one: Shares, other: Shares) -> float:
    """Half the sum of absolute differences: the share of people who would have to move."""
    return sum(abs(p - q) for p, q in zip(one, other, strict=True)) / 2


def quadratic_mean(one: float, other: float) -> float:
    """The root of the mean square: variances add, so that two unequal groups still score 1."""
    return math.sqrt((one**2 + other**2) / 2)


def separation(groups: Mapping[str, Halves]) -> Separation:
    """How far groups are apart whose people were split in half.

    The distance of a pair is the mean over items of (TV(A1, B2) + TV(A2, B1)) / 2, its noise the
    quadratic mean of TV(A1, A2) and TV(B1, B2), each the mean over the items that both answered.
    """

    def noise(name: str, items: Iterable[str]) -> float:
        return fmean(total_variation(*groups[name][item]) for item in items)

    def distance(one: str, other: str, items: Iterable[str]) -> float:
        a, b = groups[one], groups[other]
        return fmean(
            (total_variation(a[i][0], b[i][1]) + total_variation(a[i][1], b[i][0])) / 2
            for i in items
        )

    return _separation(groups, distance, noise, "people split in half at random, once")


def expected_noise(shares: Shares, n: float) -> float:
    """The total variation to expect between two samples of `n` of the same people.

    Half the sum over options of E|p1 - p2|, each difference being nearly normal with variance
    2 p (1 - p) / n and E|x| = sd * sqrt(2 / pi): the sum of sqrt(p (1 - p) / (pi n)).
    """
    return sum(math.sqrt(p * (1 - p) / (math.pi * n)) for p in shares)


def sampled_separation(groups: Mapping[str, Sampled]) -> Separation:
    """How far groups are apart of whom only shares and numbers are known, not two halves."""

    def noise(name: str, items: Iterable[str]) -> float:
        return fmean(expected_noise(*groups[name][item]) for item in items)

    def distance(one: str, other: str, items: Iterable[str]) -> float:
        return fmean(total_variation(groups[one][i][0], groups[other][i][0]) for i in items)

    return _separation(groups, distance, noise, "computed from the number of people in each group")


def _separation(
    groups: Mapping[str, Mapping[str, Any]],
    distance: Callable[[str, str, Iterable[str]], float],
    noise: Callable[[str, Iterable[str]], float],
    measured_by: str,
) -> Separation:
    pairs = []
    for one, other in combinations(groups, 2):
        items = [item for item in groups[one] if item in groups[other]]
        if items:
            own = quadratic_mean(noise(one, items), noise(other, items))
            pairs.append(Pair(one, other, len(items), distance(one, other, items), own))
    each = {name: noise(name, items) for name, items in groups.items() if items}
    return Separation(tuple(pairs), each, measured_by)
