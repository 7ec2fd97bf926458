"""Which rows a teacher is shown."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Literal

from assets.synthesis.candidates import Plan, Row
from assets.synthesis.sampling import seed_of

Selector = Literal["even", "difficulty"]


def draw_examples(rows: Sequence[Row], count: int, selector: Selector, seed: int) -> list[Row]:
    """At most `count` different rows of a pool, each as likely, or as likely as it is difficult.

    A row without a difficulty counts 1.
    """
    source = random.Random(seed)  # noqa: S311
    count = min(count, len(rows))
    if selector == "even":
        return source.sample(list(rows), count)
    left = list(rows)
    found = []
    for _ in range(count):
        weights = [weight_of(row) for row in left]
        (place,) = source.choices(range(len(left)), weights)
        found.append(left.pop(place))
    return found


def weight_of(row: Row) -> float:
    """What a row counts by its difficulty."""
    given = row.get("difficulty")
    return float(given) if given is not None and given > 0 else 1.0


def plans_from(
    rows: Sequence[Row], requests: int, examples: int, selector: Selector, seed: int, name: str
) -> list[Plan]:
    """Plans whose examples come from all rows."""
    found = []
    for number in range(requests):
        plan = f"{name}-{number:06d}"
        drawn = seed_of(seed, plan)
        found.append(Plan(plan, drawn, tuple(draw_examples(rows, examples, selector, drawn))))
    return found
