"""Groups of people who vote alike, formed on half of the statements and measured on the rest.

As in Polis: principal components of the votes, with what was not voted on put at the mean, people
pulled outwards the fewer they voted on, then k-means (Small et al., Polis: Scaling deliberation by
mapping high dimensional opinion spaces, 2021). Groups that were formed to differ do differ on the
very votes that formed them, so those votes prove nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from registry.errors import UsageError
from registry.intake.difference import Separation, separation

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Votes = NDArray[numpy.int8]
    Labels = NDArray[numpy.intp]

AGREE, DISAGREE, PASS, UNSEEN = 1, -1, 0, 9
"""Votes as the export writes them; and what stands where somebody did not vote."""
VALUES = (AGREE, DISAGREE, PASS)
FEWEST_VOTES = 20
"""Votes of a half of a group from which a statement is measured; nothing of it is published."""
_STARTS = 8
_ROUNDS = 10
"""Trades a person takes part in; 40 give the same null."""


def principal_plane(votes: Votes) -> NDArray[numpy.float64]:
    """Where each person stands on the first two principal components of the votes."""
    import numpy as np

    seen = votes != UNSEEN
    counts = np.maximum(seen.sum(axis=0), 1)
    mean = np.where(seen, votes, 0).sum(axis=0) / counts
    centred = np.where(seen, votes - mean, 0.0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    plane = centred @ vectors[:, ::-1][:, :2]
    stretch = np.sqrt(votes.shape[1] / np.maximum(seen.sum(axis=1), 1))
    return np.asarray(plane * stretch[:, None])


def cluster(votes: Votes, count: int, seed: int) -> Labels:
    """Puts people into `count` groups, the largest being 0.

    Raises:
        UsageError: They do not fall into so many.
    """
    import numpy as np
    from scipy.cluster.vq import ClusterError, kmeans2

    points = principal_plane(votes)
    best: Any = None
    places = len(np.unique(points.round(9), axis=0))
    for start in range(_STARTS if places >= count else 0):
        random = np.random.default_rng((seed, start))
        try:
            centres, labels = kmeans2(points, count, minit="++", missing="raise", rng=random)
        except ClusterError:  # a centre lost all of its points: another start finds better ones
            continue
        inertia = float(((points - centres[labels]) ** 2).sum())
        if best is None or inertia < best[0]:
            best = inertia, labels
    if best is None:
        raise UsageError(
            f"people do not fall into {count} groups",
            where="the votes",
            why="every attempt left a group empty",
            mend="ask for fewer groups with --clusters",
        )
    sizes = np.bincount(best[1], minlength=count)
    rank = np.argsort(np.argsort(-sizes, kind="stable"))
    return np.asarray(rank[best[1]])


def counts(votes: Votes) -> NDArray[numpy.int64]:
    """For each statement how many agree, disagree and pass."""
    import numpy as np

    return np.stack([(votes == value).sum(axis=0) for value in VALUES], axis=1)


def measure(votes: Votes, labels: Labels, learned: NDArray[numpy.bool_]) -> Separation:
    """How far groups are apart on some statements.

    Only statements on which each half of each group has at least 20 votes count, so that all pairs
    are measured on the same ones.
    """
    import numpy as np

    tables = [
        [counts(votes[(labels == group) & (learned == half)]) for half in (True, False)]
        for group in range(int(labels.max()) + 1)
    ]
    totals = np.stack([half.sum(axis=1) for group in tables for half in group])
    kept = np.flatnonzero((totals >= FEWEST_VOTES).all(axis=0))
    halves: dict[str, Mapping[str, Any]] = {}
    for group, (first, second) in enumerate(tables):
        shares = [half[kept] / half[kept].sum(axis=1, keepdims=True) for half in (first, second)]
        halves[f"cluster-{group + 1}"] = {
            str(n): (one.tolist(), two.tolist())
            for n, (one, two) in enumerate(zip(*shares, strict=True))
        }
    return separation(halves)


def traded(votes: Votes, random: numpy.random.Generator) -> Votes:
    """Votes that say nothing but how people vote in general, and how statements are voted on.

    Two people who both voted on some statements trade votes in which they differ, so that each
    keeps as many of every kind, and so does each statement (the curveball of Strona et al., A fast
    and unbiased procedure to randomize ecological binary matrices, 2014, for three kinds of votes).
    """
    import numpy as np

    result = votes.copy()
    people = len(votes)
    for _ in range(_ROUNDS):
        order = random.permutation(people)
        ones, others = order[: people // 2], order[people // 2 : 2 * (people // 2)]
        one, other = result[ones], result[others]
        for first, second in ((AGREE, DISAGREE), (AGREE, PASS), (DISAGREE, PASS)):
            ahead = (one == first) & (other == second)
            rows, columns = np.nonzero(ahead | ((one == second) & (other == first)))
            shuffled = np.argsort(rows + random.random(len(rows)))
            starts = np.searchsorted(rows, rows)
            wins = np.empty(len(rows), dtype=bool)
            wins[shuffled] = np.arange(len(rows)) - starts < ahead.sum(axis=1)[rows]
            one[rows, columns] = np.where(wins, first, second)
            other[rows, columns] = np.where(wins, second, first)
        result[ones], result[others] = one, other
    return result


def null_ratio(
    votes: Votes,
    forming: NDArray[numpy.bool_],
    learned: NDArray[numpy.bool_],
    count: int,
    draws: int,
    seed: int,
) -> tuple[float, float]:
    """The mean and the 95th percentile of the ratio where votes are traded at random.

    The whole way is repeated on each draw: forming groups on one half of the statements, measuring
    them on the other. People who agree with everything then still end up together, so that noise
    alone scores above 1.
    """
    import numpy as np

    ratios = []
    for draw in range(draws):
        random = np.random.default_rng((seed, draw))
        given = traded(votes, random)
        labels = cluster(given[:, forming], count, seed + draw)
        found = measure(given[:, ~forming], labels, learned)
        if found.pairs:
            ratios.append(found.ratio)
    if not ratios:
        return 0.0, float("inf")
    return float(np.mean(ratios)), float(np.percentile(ratios, 95))
