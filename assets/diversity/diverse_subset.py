"""A diverse subset: m of n rows, chosen by their vectors, beside as many at random."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import Field

from assets.diversity import subset
from assets.diversity.cluster_table import given_clusters
from assets.diversity.features import Features, read_features
from assets.diversity.kept import LEAST_RATE, write_kept
from assets.diversity.plots import Bar, draw_choice
from assets.diversity.subset import Choice, Promise
from assets.diversity.vendi import Order, noise_score, score, spectrum, title_of
from assets.rows import LIBRARIES, REJECTED, ROWS, read_rows
from registry.errors import MethodError
from registry.method import Method, Role
from registry.typed import Frozen

if TYPE_CHECKING:
    import numpy
    import polars
    from numpy.typing import NDArray

    from assets.diversity.features import Vectors
    from registry.context import Context

NEARER, NOWHERE, NO_VECTOR = (
    "near a row that was kept",
    "its vector holds only zeros",
    "it has no vector",
)
"""Why rows are left out."""
_NORMAL = 1.959964
"""The 97.5 % point of the standard normal distribution."""


class Params(Frozen):
    """Which rows are chosen."""

    rows: int = Field(ge=1)
    """How many rows are kept."""
    choice: Choice = "log-det"
    """`log-det` adds the row that is least like those chosen; `cluster-balanced` takes the same
    number from each cluster; `random` draws."""
    ridge: float = Field(default=subset.RIDGE, gt=0)
    """For `log-det`: how far a vector must point elsewhere to count, as a share of its length
    squared."""
    community_rate: float = Field(default=LEAST_RATE, ge=0, le=1)
    """Each community keeps at least this share of what it would keep by chance; 0 promises
    nothing."""
    order: Order = 1.0
    """The order of the scores that are compared."""
    random_draws: int = Field(default=20, ge=2)
    """How many random choices the choice is compared with."""


@dataclass(frozen=True)
class Pool:
    """The rows that can be chosen, with their vectors in the same order."""

    given: polars.DataFrame
    """All rows, also those that cannot be chosen."""
    rows: polars.DataFrame
    vectors: Vectors
    clusters: polars.DataFrame | None
    """`row_id` and `cluster`, where they are given."""

    @property
    def labels(self) -> NDArray[numpy.int64]:
        """The cluster of each row."""
        import numpy

        if self.clusters is None:
            raise MethodError(
                "rows cannot be balanced over clusters that are not given",
                mend="name an artifact of `row-clusters` under `inputs: clusters`",
            )
        joined = self.rows.select("row_id").join(self.clusters, on="row_id", how="left")
        if joined["cluster"].null_count():
            lacking = joined.filter(joined["cluster"].is_null())["row_id"][0]
            raise MethodError(
                f"the row {lacking} is in no cluster",
                why="the clusters were made of other rows",
                mend="cluster the features that are given here",
            )
        return joined["cluster"].to_numpy().astype(numpy.int64)

    def promise(self, m: int, share: float) -> Promise | None:
        """What each community is promised of m rows, where there are communities."""
        if not share or "community" not in self.rows.columns:
            return None
        here, before = self.rows["community"].to_list(), self.given["community"].to_list()
        return subset.promise(here, m, share, among=before)


def run(context: Context) -> None:
    """Chooses rows, and says what the choice gains and whom it leaves out."""
    import numpy
    import polars

    params = context.typed(Params)
    rows = read_rows(context.input("rows").files / ROWS)
    features = read_features(context.input("features").files)
    clusters = given_clusters(context)
    pool, unfit = pool_of(rows, features, clusters)
    chosen = choose(pool, params, context.seed)
    context.progress(1, 3)

    rank = polars.Series("rank", numpy.argsort(chosen, kind="stable"), dtype=polars.Int32)
    kept = pool.rows[numpy.sort(chosen)].with_columns(rank)
    kept.write_parquet(context.out / ROWS, compression="zstd", statistics=False)
    rejected = polars.concat([_nearest(pool, chosen), unfit])
    rejected.write_parquet(context.out / REJECTED, compression="zstd", statistics=False)
    ids = kept["row_id"].to_list()
    counted = write_kept(context.out, rows, ids, clusters)
    context.progress(2, 3)

    title = title_of(features.description)
    compared = list(comparison(pool, chosen, params, context.seed))
    polars.DataFrame(compared).write_parquet(context.out / "comparison.parquet", statistics=False)
    mine, chance = compared[0]["score"], compared[1]["score"]
    headline = {
        "rows kept": len(kept),
        f"{title} of the rows kept": mine,
        f"{title} of as many at random": chance,
        "times as diverse as at random": mine / chance,
    }
    (context.out / "headline.json").write_text(json.dumps(headline, indent=2) + "\n")
    shown: list[Bar] = [(r["choice"], r["score"], r["low"], r["high"]) for r in compared]
    communities = counted.filter(polars.col("kind") == "community").sort("relative_rate")
    rates: list[Bar] = [
        (group, rate, None, None)
        for group, rate in communities.select("group", "relative_rate").iter_rows()
    ]
    picture = draw_choice(title, shown, rates, LEAST_RATE)
    (context.out / "diverse-subset.png").write_bytes(picture)
    context.progress(3, 3)


def pool_of(
    rows: polars.DataFrame, features: Features, clusters: polars.DataFrame | None
) -> tuple[Pool, polars.DataFrame]:
    """The rows that have a vector, in the rows' own order, and the others with the reason.

    Raises:
        MethodError: Where vectors belong to other rows, or a row has two.
    """
    import polars

    places = features.rows.select("row_id").with_row_index("place")
    if places["row_id"].n_unique() != len(places) or rows["row_id"].n_unique() != len(rows):
        raise MethodError(
            "a row id stands there twice",
            why="a vector would be taken for another row's",
            mend="drop exact repetitions before features are made",
        )
    if foreign := sorted(set(places["row_id"]) - set(rows["row_id"])):
        raise MethodError(
            f"{len(foreign):,} vectors belong to rows that are not given, the first {foreign[0]}",
            mend="give the rows from which the features were made",
        )
    lengths = features.rows.select("row_id", "length")
    joined = rows.select("row_id").join(places, on="row_id", how="left", maintain_order="left")
    joined = joined.join(lengths, on="row_id", how="left", maintain_order="left")
    usable = joined["length"].cast(polars.Float32).fill_null(0) > 0
    reason = polars.when(joined["place"].is_null()).then(polars.lit(NO_VECTOR))
    unfit = rows.with_columns(
        reason=reason.otherwise(polars.lit(NOWHERE)),
        score=polars.lit(None, dtype=polars.Float64),
        caused_by=polars.col("row_id"),
    ).filter(~usable)
    positions = joined.filter(usable)["place"].to_list()
    return Pool(rows, rows.filter(usable), features.take(positions), clusters), unfit


def choose(pool: Pool, params: Params, seed: int) -> NDArray[numpy.int64]:
    """The positions of the chosen rows, in the order of choice."""
    if params.rows > len(pool.rows):
        raise MethodError(
            f"{params.rows:,} rows cannot be chosen from {len(pool.rows):,}",
            mend="choose fewer rows, or give more",
        )
    promised = pool.promise(params.rows, params.community_rate)
    if params.choice == "random":
        return subset.at_random(len(pool.rows), params.rows, seed=seed, promised=promised)
    if params.choice == "cluster-balanced":
        return subset.cluster_balanced(pool.labels, params.rows, seed=seed, promised=promised)
    return subset.log_det(pool.vectors, params.rows, ridge=params.ridge, promised=promised)


def comparison(
    pool: Pool, chosen: NDArray[numpy.int64], params: Params, seed: int
) -> Iterator[dict[str, Any]]:
    """The score of the chosen rows, and of other choices of as many."""
    import numpy

    def scored(positions: NDArray[numpy.int64]) -> float:
        return score(spectrum(pool.vectors[positions]), params.order)

    noise = noise_score(params.rows, pool.vectors.shape[1]) if params.order == 1 else None
    line = {"rows": params.rows, "low": None, "high": None, "noise": noise}
    yield {"choice": params.choice, "score": scored(chosen)} | line
    draws = [
        scored(subset.at_random(len(pool.rows), params.rows, seed=seed + 1 + draw))
        for draw in range(params.random_draws)
    ]
    mean, margin = float(numpy.mean(draws)), _NORMAL * float(numpy.std(draws, ddof=1))
    yield {"choice": "as many at random", "score": mean} | line | {
        "low": mean - margin, "high": mean + margin,
    }  # fmt: skip
    if pool.clusters is not None and params.choice != "cluster-balanced":
        balanced = subset.cluster_balanced(pool.labels, params.rows, seed=seed)
        yield {"choice": "as many, cluster-balanced", "score": scored(balanced)} | line


def _nearest(pool: Pool, chosen: NDArray[numpy.int64]) -> polars.DataFrame:
    """The rows that were not chosen, each with the kept row that is nearest, and their cosine."""
    import numpy
    import polars

    left = numpy.setdiff1d(numpy.arange(len(pool.rows)), chosen)
    kept = pool.vectors[chosen] / numpy.linalg.norm(pool.vectors[chosen], axis=1, keepdims=True)
    causes, cosines = [], []
    for start in range(0, len(left), 4096):
        vectors = pool.vectors[left[start : start + 4096]]
        product = vectors @ kept.T / numpy.linalg.norm(vectors, axis=1, keepdims=True)
        causes.append(chosen[product.argmax(axis=1)])
        cosines.append(product.max(axis=1).astype(numpy.float64))
    ids = pool.rows["row_id"].to_numpy()
    empty = numpy.zeros(0)
    return pool.rows[left].with_columns(
        reason=polars.lit(NEARER),
        score=polars.Series(numpy.concatenate([empty, *cosines]), dtype=polars.Float64),
        caused_by=polars.Series(
            ids[numpy.concatenate([empty, *causes]).astype(numpy.int64)], dtype=polars.String
        ),
    )


method = Method(
    name="diverse-subset",
    kind="dataset",
    description="Chooses the rows whose vectors differ most, beside as many at random.",
    params=Params,
    run=run,
    inputs={
        "rows": Role("dataset", "the rows to choose from"),
        "features": Role("dataset", "the vectors of these rows"),
        "clusters": Role("dataset", "clusters of these rows", optional=True),
    },
    libraries=(*LIBRARIES, "numpy"),
    limits=("Rows were chosen to differ: rare kinds stand there more often than among all rows.",),
)
