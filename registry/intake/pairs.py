"""Preference pairs from votes: of two statements on one topic, the one a group agrees with more.

A pair is made only where people of the group who voted on both agree with one more often beyond
noise, and do so otherwise than the people of the other groups; else none is made. Statements that
formed the groups make no pairs: on those the groups differ because they were chosen to. Which
statements are on one topic a person says: shared words do not tell ("too much development" and
"spends too much" are two topics).
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING

from registry.errors import UsageError
from registry.intake.clusters import AGREE, UNSEEN
from registry.intake.estimates import FEWEST_ANSWERS, ROUNDING_BASE
from registry.intake.polis import Clusters, Conversation
from registry.profile_tables import Preference, held_out

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

CHANCE = 0.05
"""Of making a single false pair among all that were looked at (Bonferroni)."""
HELD_OUT_SHARE = 0.2
_MOST_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class Compared:
    """How people who voted on two statements tell them apart."""

    mean: float
    """How much more often they agree with the first, from -1 to 1."""
    error: float
    """The standard error of that."""
    first: int
    """How many agree with the first only."""
    second: int
    """How many agree with the second only."""


def compare(one: NDArray[numpy.int8], other: NDArray[numpy.int8]) -> Compared | None:
    """Compares two columns of votes of the same people; None where too few voted on both."""
    import numpy as np

    both = (one != UNSEEN) & (other != UNSEEN)
    n = int(both.sum())
    if n < FEWEST_ANSWERS:
        return None
    more = (one[both] == AGREE).astype(int) - (other[both] == AGREE).astype(int)
    error = float(np.std(more, ddof=1)) / math.sqrt(n)
    return Compared(float(more.mean()), error, int((more > 0).sum()), int((more < 0).sum()))


def read_topics(path: Path) -> set[frozenset[str]]:
    """Pairs of statements that a person put under one topic: a CSV `comment-id,topic`.

    Raises:
        UsageError: The file is not laid out so.
    """
    try:
        raw = path.read_bytes() if path.stat().st_size <= _MOST_BYTES else b"\0"
        rows = list(csv.DictReader(raw.decode("utf-8-sig").splitlines(), strict=True))
        topics = [(row["comment-id"].strip(), row["topic"].strip()) for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, AttributeError) as error:
        raise UsageError(
            f"is no table of topics: {error}",
            where=str(path),
            mend="a CSV in UTF-8 with the columns comment-id,topic",
        ) from None
    by_topic: dict[str, list[str]] = {}
    for item, topic in topics:
        by_topic.setdefault(topic, []).append(item)
    return {frozenset(p) for items in by_topic.values() for p in combinations(set(items), 2)}


def preference_pairs(
    talk: Conversation,
    found: Clusters,
    topics: set[frozenset[str]],
    instrument: str,
    *,
    learning_only: bool,
) -> tuple[dict[int, list[Preference]], int]:
    """For each cluster its pairs, and how many comparisons were made to find them.

    Args:
        talk: The conversation.
        found: Its clusters.
        topics: Pairs of statements of one topic.
        instrument: The id under which items are held out. Both statements of a pair are on one side
            of that split, so that the pair can carry the id of either.
        learning_only: Whether only the half for learning counts.
    """
    voters = found.learned if learning_only else found.learned | True
    considered: list[tuple[int, int, int, Compared, Compared]] = []
    for group in range(found.count):
        inside, outside = (voters & (found.labels == group)), (voters & (found.labels != group))
        for one, other in _candidates(talk, found, topics, instrument):
            votes = found.votes[:, one], found.votes[:, other]
            own = compare(votes[0][inside], votes[1][inside])
            rest = compare(votes[0][outside], votes[1][outside])
            if own is not None and rest is not None:
                considered.append((group, one, other, own, rest))
    pairs: dict[int, list[Preference]] = {group: [] for group in range(found.count)}
    limit = NormalDist().inv_cdf(1 - CHANCE / (2 * max(len(considered), 1)))
    for group, one, other, own, rest in considered:
        apart = math.hypot(own.error, rest.error)
        if abs(own.mean) > limit * own.error and abs(own.mean - rest.mean) > limit * apart:
            chosen, rejected = (one, other) if own.mean > 0 else (other, one)
            pairs[group].append(_preference(talk, chosen, rejected, own))
    return pairs, len(considered)


def _candidates(
    talk: Conversation, found: Clusters, topics: set[frozenset[str]], instrument: str
) -> Iterator[tuple[int, int]]:
    measured = [n for n in range(len(talk.statements)) if not found.forming[n]]
    for one, other in combinations(measured, 2):
        ids = talk.statements[one].id, talk.statements[other].id
        sides = {held_out(instrument, item, HELD_OUT_SHARE) for item in ids}
        if frozenset(ids) in topics and len(sides) == 1:
            yield one, other


def _preference(talk: Conversation, chosen: int, rejected: int, own: Compared) -> Preference:
    """A pair, its agreement rounded as rare answers are."""
    better, worse = talk.statements[chosen], talk.statements[rejected]
    few, many = sorted(max(n, ROUNDING_BASE * (n > 0)) for n in (own.first, own.second))
    first, second = sorted((better, worse), key=lambda statement: int(statement.id))
    return Preference(
        id=f"pair-{better.id}-over-{worse.id}",
        prompt=f"Which statement is closer to your view?\n1. {first.text}\n2. {second.text}",
        chosen=better.text,
        rejected=worse.text,
        agreement=round(many / (few + many), 2),
        n=few + many,
        item=better.id,
    )
