"""What a group answered, as it may be published: counts, shares, and what they rest on."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

from registry.profile_tables import Opinion

FEWEST_ANSWERS = 50
"""A question that fewer people of a group answered is not published at all."""
ROUNDING_BASE = 5
"""A rarer answer is published as if this many people had given it."""
SPLIT = "half:{seed}:"
"""What stands before a respondent's id when it is hashed to choose a half."""
_MILLION = 1_000_000


def is_learned_from(seed: int, respondent: str) -> bool:
    """Whether a respondent is in the half that models may learn from.

    It is a function of the id alone, so that the same file always splits alike, however its rows
    are ordered and its groups drawn: the SHA-256 of seed and id is in the lower half of its range.
    """
    text = SPLIT.format(seed=seed) + respondent
    return hashlib.sha256(text.encode()).hexdigest() < "8"


@dataclass(frozen=True)
class Answers:
    """What some people answered to one item."""

    counts: tuple[int, ...]
    """How many people chose each option."""
    weights: tuple[float, ...]
    """The sum of their weights."""
    n_effective: float
    """Kish's effective number of those who answered."""

    @property
    def n(self) -> int:
        """How many answered."""
        return sum(self.counts)

    @property
    def shares(self) -> tuple[float, ...]:
        """The weighted share of each option."""
        total = math.fsum(self.weights)
        return tuple(weight / total for weight in self.weights)


def kish(weight_sum: float, square_sum: float) -> float:
    """The effective sample size (sum of w)^2 / (sum of w^2) (Kish, Survey Sampling, 1965)."""
    return weight_sum**2 / square_sum if square_sum else 0.0


@dataclass(frozen=True)
class Estimate:
    """What a group answered to one item, as it may be published."""

    counts: tuple[int, ...]
    """People for each option, after rare answers were rounded."""
    shares: tuple[int, ...]
    """Weighted shares in millionths, which sum to one million."""
    rounded: tuple[bool, ...]
    """Whether an option was rare."""
    n_effective: float
    """Kish's effective number of those who answered."""

    @property
    def n(self) -> int:
        """The published total: those who answered, plus what rounding added."""
        return sum(self.counts)


def estimate(answers: Answers) -> Estimate:
    """Estimates how a group answered one item, in a form that points at nobody.

    An option that one to four people chose is published as five: the total grows with it, its share
    is five over that total, and the other shares shrink alike. Nothing is set to zero.
    """
    rounded = tuple(0 < count < ROUNDING_BASE for count in answers.counts)
    counts = tuple(max(count, ROUNDING_BASE * (count > 0)) for count in answers.counts)
    rare = ROUNDING_BASE / sum(counts)
    kept = [0.0 if r else w for w, r in zip(answers.weights, rounded, strict=True)]
    rest = math.fsum(kept)
    scale = (1 - rare * sum(rounded)) / rest if rest else 0.0
    shares = [rare if r else w * scale for w, r in zip(kept, rounded, strict=True)]
    return Estimate(counts, millionths(shares), rounded, answers.n_effective)


def largest_remainder(shares: Sequence[float], total: int) -> tuple[int, ...]:
    """Whole numbers in the proportion of `shares`, which sum to `total` exactly."""
    exact = [share * total for share in shares]
    floors = [math.floor(value) for value in exact]
    order = sorted(range(len(exact)), key=lambda index: (floors[index] - exact[index], index))
    for index in order[: total - sum(floors)]:
        floors[index] += 1
    return tuple(floors)


def millionths(shares: Sequence[float]) -> tuple[int, ...]:
    """Shares that sum to 1, as millionths that sum to a million."""
    return largest_remainder(shares, _MILLION)


def opinion_rows(item: str, options: Sequence[str], found: Estimate) -> list[Opinion]:
    """The rows of `opinions.csv` for one item."""
    return [
        Opinion(
            item=item,
            option=option,
            position=index + 1,
            count=found.counts[index],
            share=found.shares[index] / _MILLION,
            n=found.n,
            n_effective=round(found.n_effective, 1),
            mark="rounded" if found.rounded[index] else "",
        )
        for index, option in enumerate(options)
    ]
