"""Rounds of Prismatic Synthesis: a pool grows where it is thin.

Each round groups the pool's vectors, lets a teacher write from examples of thin places, and keeps
of what it wrote the rows that land in a thin cluster (Prismatic Synthesis, 2025, and its published
`ClusterManager`). What was computed is found again by a run that was killed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from assets.diversity.clusters import Clustering, assign, cluster
from assets.diversity.seeding import Seeding
from assets.diversity.vendi import vendi
from assets.synthesis.candidates import (
    Candidate,
    Plan,
    Row,
    Writer,
    leave_out_repeats,
    normal,
    question_of,
)
from assets.synthesis.embedding import Embedder, embed_rows
from assets.synthesis.few_shots import draw_examples
from assets.synthesis.journal import Progress
from assets.synthesis.sampling import seed_of
from assets.synthesis.sparse_clusters import (
    Sparse,
    Ties,
    cluster_count,
    draw_sparse_cluster,
    find_sparse,
)
from registry.errors import MethodError
from registry.typed import Frozen

if TYPE_CHECKING:
    from assets.diversity.features import Vectors

_DRAWS = 5
"""Random samples that a score beside another is the mean of."""
NOT_SPARSE = "its cluster is not sparse"


class RoundParams(Frozen):
    """How a pool grows."""

    rounds: int = Field(default=3, ge=1, le=1000)
    """How often the pool is grouped and grown."""
    requests: int = Field(default=100, ge=1)
    """Requests to the teacher in each round."""
    cluster_share: float = Field(default=0.1, gt=0, le=1)
    """Clusters for each row of the pool."""
    iterations: int = Field(default=20, ge=1)
    """Iterations of k-means."""
    seeding: Seeding = "k-means++"
    """Where k-means starts; `first-k`, as published, needs a shuffled pool."""
    selector: Literal["sparse cluster", "difficulty", "even"] = "sparse cluster"
    """Where examples come from: one thin cluster, or all rows, by difficulty or each as likely."""
    sparse_share: float = Field(default=0.1, gt=0, le=1)
    """The part of all clusters, smallest first, that examples come from."""
    ratio: float = Field(default=0.5, ge=0, le=1)
    """Where among all clusters by size the threshold lies that a cluster must keep to."""
    ties: Ties = "at most"
    """Whether a cluster that is as large as the threshold may grow. `strictly below` is as
    published: where no cluster is below, it accepts everything."""


@dataclass(frozen=True)
class Figures:
    """The numbers of one round."""

    round: int
    pool: int
    """Rows before it."""
    candidates: int
    verified: int
    """Candidates that passed every check before their place was looked at."""
    kept: int
    threshold: int
    all_accepted: bool
    clusters: int
    smallest: int
    largest: int
    sizes: tuple[int, ...]
    """Rows in each cluster, smallest first."""
    g_vendi: float
    """Of the pool with what was kept."""
    g_vendi_random: float
    """Of the pool with as many verified rows taken at random, the mean of some draws."""
    g_vendi_first_size: float
    """Of as many rows of the grown pool as the first pool had, the mean of some draws: scores of
    other sizes cannot be compared."""


@dataclass
class Pool:
    """Rows, and where they lie."""

    rows: list[Row]
    vectors: Vectors
    seen: dict[str, str] = field(default_factory=dict)
    """Every question so far, and the row that asked it."""


@dataclass(frozen=True)
class _Placed:
    """A verified candidate, and where it lies."""

    candidate: Candidate
    vector: Vectors
    label: int | None
    """Its cluster; None where it has no vector."""


@dataclass
class Grown:
    """A pool after its rounds."""

    pool: Pool
    first: int
    """Rows that it started with."""
    candidates: list[Candidate]
    """Of all rounds, kept or not."""
    clusters: dict[str, str]
    """For each candidate that has a place, the round and the cluster."""
    figures: list[Figures]


def grow(
    rows: Sequence[Row],
    params: RoundParams,
    examples: int,
    writer: Writer,
    embedder: Embedder,
    folder: Path,
    seed: int,
    progress: Callable[[int], Progress],
    heard: Callable[[Figures], None],
) -> Grown:
    """Grows a pool by some rounds.

    Args:
        rows: The pool at the start.
        params: How it grows.
        examples: Rows that the teacher is shown in each request.
        writer: Writes and checks candidates.
        embedder: Makes the vectors of rows.
        folder: Keeps what is made, for a run that goes on.
        seed: Of everything drawn.
        progress: Gives, for each round, who is told of its progress.
        heard: Told of each round's figures.
    """
    pool, left_out = _start(rows, embedder, folder, progress(0))
    grown = Grown(pool, len(pool.rows), left_out, {}, [])
    for number in range(1, params.rounds + 1):
        figures = _round(grown, number, params, examples, writer, embedder,
                         folder / f"round-{number:03d}", seed, progress(number))  # fmt: skip
        grown.figures.append(figures)
        heard(figures)
    return grown


def _start(
    rows: Sequence[Row], embedder: Embedder, folder: Path, progress: Progress
) -> tuple[Pool, list[Candidate]]:
    """The first pool, and its rows that have no vector."""
    vectors, reasons = embed_rows(
        embedder, rows, folder / "pool", lambda done, total: progress(done, total, 0)
    )
    whole = [place for place, reason in enumerate(reasons) if reason is None]
    if not whole:
        raise MethodError(f"no row of the pool has a vector: {reasons[0]}")
    left = [
        Candidate(dict(row), row["prompt"]).left_out(reason, caused_by=row["row_id"])
        for row, reason in zip(rows, reasons, strict=True)
        if reason is not None
    ]
    seen = {normal(question_of(row)): row["row_id"] for row in rows}
    return Pool([rows[place] for place in whole], vectors[whole], seen), left


def _round(
    grown: Grown,
    number: int,
    params: RoundParams,
    examples: int,
    writer: Writer,
    embedder: Embedder,
    folder: Path,
    seed: int,
    progress: Progress,
) -> Figures:
    pool = grown.pool
    before, start = len(pool.rows), pool.vectors
    clustering = cluster(
        pool.vectors,
        cluster_count(before, params.cluster_share),
        seeding=params.seeding,
        iterations=params.iterations,
        seed=seed,
    )
    sizes = sorted(clustering.sizes.tolist())
    sparse = find_sparse(clustering.sizes.tolist(), params.ratio, params.ties)
    plans = _plans(pool, clustering, number, params, examples, seed)
    written = [_numbered(c, number) for c in writer.write(plans, folder, progress)]
    written = leave_out_repeats(written, pool.seen)
    verified = [candidate for candidate in written if candidate.reason is None]
    placed = _place(verified, embedder, folder / "vectors", clustering, sparse, pool)
    judged = {one.candidate.row["row_id"]: one.candidate for one in placed}
    grown.candidates += [judged.get(c.row["row_id"], c) for c in written]
    grown.clusters |= {
        one.candidate.row["row_id"]: f"round {number}, cluster {one.label:04d}"
        for one in placed
        if one.label is not None
    }
    kept = [one for one in placed if one.candidate.reason is None]
    _merge(pool, kept)
    possible = [one.vector for one in placed if one.label is not None]
    return Figures(
        round=number,
        pool=before,
        candidates=len(written),
        verified=len(verified),
        kept=len(kept),
        threshold=sparse.threshold,
        all_accepted=sparse.all_accepted,
        clusters=len(sizes),
        smallest=sizes[0],
        largest=sizes[-1],
        sizes=tuple(sizes),
        g_vendi=vendi(pool.vectors),
        g_vendi_random=_random_score(start, possible, len(kept), seed_of(seed, f"{number}")),
        g_vendi_first_size=_score_of_some(
            pool.vectors, grown.first, seed_of(seed, f"{number} first")
        ),
    )


def _plans(
    pool: Pool, clustering: Clustering, number: int, params: RoundParams, examples: int, seed: int
) -> list[Plan]:
    found = []
    for request in range(params.requests):
        name = f"round-{number:03d}-{request:06d}"
        drawn = seed_of(seed, name)
        if params.selector == "sparse cluster":
            places = draw_sparse_cluster(clustering.labels, params.sparse_share, drawn)
            chosen = draw_examples([pool.rows[p] for p in places], examples, "even", drawn)
        else:
            chosen = draw_examples(pool.rows, examples, params.selector, drawn)
        found.append(Plan(name, drawn, tuple(chosen)))
    return found


def _numbered(candidate: Candidate, number: int) -> Candidate:
    return replace(candidate, row={**candidate.row, "round": number})


def _place(
    candidates: Sequence[Candidate],
    embedder: Embedder,
    folder: Path,
    clustering: Clustering,
    sparse: Sparse,
    pool: Pool,
) -> list[_Placed]:
    """Leaves out what has no vector, and what lands in a cluster that is not sparse.

    What caused the latter is the pool's row of that cluster that is nearest.
    """
    vectors, reasons = embed_rows(embedder, [c.row for c in candidates], folder)
    whole = [place for place, reason in enumerate(reasons) if reason is None]
    labels = dict(zip(whole, assign(clustering, vectors[whole]).tolist(), strict=True))
    found = []
    for place, candidate in enumerate(candidates):
        label, reason = labels.get(place), reasons[place]
        if reason is not None:
            judged = candidate.left_out(reason, caused_by=candidate.row["row_id"])
        elif label in sparse.clusters:
            judged = candidate
        else:
            members = (clustering.labels == label).nonzero()[0]
            nearest = members[(pool.vectors[members] @ vectors[place]).argmax()]
            cause = pool.rows[int(nearest)]["row_id"]
            judged = candidate.left_out(NOT_SPARSE, float(len(members)), cause)
        found.append(_Placed(judged, vectors[place], label))
    return found


def _merge(pool: Pool, kept: Sequence[_Placed]) -> None:
    import numpy

    pool.rows += [one.candidate.row for one in kept]
    pool.vectors = numpy.concatenate([pool.vectors, *(one.vector[None] for one in kept)])


def _random_score(pool: Vectors, possible: Sequence[Any], count: int, seed: int) -> float:
    """The score of a pool with some of the possible vectors, the mean of random choices."""
    import numpy

    source = numpy.random.default_rng(seed)
    draws = 1 if count in (0, len(possible)) else _DRAWS
    found = []
    for _ in range(draws):
        chosen = [possible[place][None] for place in source.permutation(len(possible))[:count]]
        found.append(vendi(numpy.concatenate([pool, *chosen])))
    return sum(found) / draws


def _score_of_some(vectors: Vectors, count: int, seed: int) -> float:
    import numpy

    source = numpy.random.default_rng(seed)
    draws = 1 if count == len(vectors) else _DRAWS
    found = [vendi(vectors[source.permutation(len(vectors))[:count]]) for _ in range(draws)]
    return sum(found) / draws


def rounds_table(figures: Sequence[Figures]) -> list[dict[str, Any]]:
    """The figures as rows of `rounds.parquet`."""
    return [{**vars(one), "sizes": list(one.sizes)} for one in figures]
