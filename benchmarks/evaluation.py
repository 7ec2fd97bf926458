"""Resampling and permutation, beside a loop over draws: python -m benchmarks.evaluation.

10,000 resamples over 100 questions of four options and 10 models, on one thread.
"""

from __future__ import annotations

import argparse

import numpy as np

from assets.evaluation.distances import Array, total_variation
from assets.evaluation.resampling import distances, flip_clusters, holm, resample, shares_of
from assets.opinion_tables import OpinionTable
from benchmarks.speed import seconds

QUESTIONS, OPTIONS, MODELS, DRAWS, BATTERIES = 100, 4, 10, 10_000, 20
LOOPED = 100
"""The loop is timed over this many draws, and multiplied."""


def planted(source: np.random.Generator) -> tuple[dict[str, OpinionTable], list[Array]]:
    """A table of shares among 600 people, and the answers of all models to each question."""
    tables = {
        f"q{number:03d}": OpinionTable(tuple(source.dirichlet(np.ones(OPTIONS))), 660, 600.0)
        for number in range(QUESTIONS)
    }
    said = [source.dirichlet(np.ones(OPTIONS), MODELS) for _ in tables]
    return tables, said


def bootstrap(tables: dict[str, OpinionTable], said: list[Array], draws: int) -> Array:
    """Mean distances of all models to redrawn people, shape (models, draws)."""
    redrawn = resample(tables, draws, np.random.default_rng(0))
    return distances(said, list(redrawn.values()))


def looped(tables: dict[str, OpinionTable], said: list[Array], draws: int) -> Array:
    """The same as one would write it first: draw by draw, model by model, item by item."""
    source = np.random.default_rng(0)
    shares = list(shares_of(tables).values())
    found = np.empty((MODELS, draws))
    for draw in range(draws):
        redrawn = [source.multinomial(600, share) / 600 for share in shares]
        for model in range(MODELS):
            found[model, draw] = np.mean(
                [total_variation(p[model], r) for p, r in zip(said, redrawn, strict=True)]
            )
    return found


def permute(each: Array, draws: int) -> Array:
    """The p of each pair of models, by flips of whole batteries, for the whole family."""
    one, other = np.triu_indices(MODELS, 1)
    clusters = [f"b{number % BATTERIES}" for number in range(QUESTIONS)]
    source = np.random.default_rng(0)
    return holm([t.p for t in flip_clusters(each[one] - each[other], clusters, draws, source)])


def main() -> None:
    """Prints both claims, each beside what a user would write instead."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--draws", type=int, default=DRAWS, help=f"resamples (default {DRAWS:,})")
    draws = parser.parse_args().draws
    tables, said = planted(np.random.default_rng(1))
    shares = list(shares_of(tables).values())
    each = np.stack([total_variation(p, q) for p, q in zip(said, shares, strict=True)], axis=1)
    drawn = seconds(lambda: bootstrap(tables, said, draws))
    flipped = seconds(lambda: permute(each, draws))
    loop = seconds(lambda: looped(tables, said, LOOPED), 1) * draws / LOOPED
    what = f"{draws:,} resamples, {QUESTIONS} questions, {MODELS} models"
    print(f"people redrawn: {what:<48} {drawn:7.3f} s   (claim: under 2)   a loop: {loop:.0f} s")
    pairs = MODELS * (MODELS - 1) // 2
    what = f"{draws:,} flips of {BATTERIES} batteries, {pairs} pairs"
    print(f"batteries flipped: {what:<45} {flipped:7.3f} s   (claim: under 2)")


if __name__ == "__main__":
    main()
