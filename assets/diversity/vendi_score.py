"""How diverse datasets are: G-Vendi at equal numbers of rows, by community and by cluster.

Every score stands beside what as many vectors of pure noise would score, since a sketch of d
numbers cannot show more. Datasets are compared with datasets, communities with communities and
clusters with clusters, each at the number of rows that the smallest of them has.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import Field

from assets.diversity.cluster_table import given_clusters
from assets.diversity.equal_rows import Estimate, estimates, growth, seed_of
from assets.diversity.features import Features, read_features
from assets.diversity.plots import Bar, draw_scores
from assets.diversity.vectors import Blocks, blocks_of
from assets.diversity.vendi import Order, moments, name_of, noise_score, score, title_of
from assets.rows import LIBRARIES
from registry.errors import MethodError
from registry.method import Method, Role
from registry.results import Result, Results
from registry.typed import Frozen

if TYPE_CHECKING:
    import numpy
    import polars
    from numpy.typing import NDArray

    from registry.context import Context

WHOLE, COMMUNITY, CLUSTER = "all rows", "community", "cluster"


class Params(Frozen):
    """How scores are taken."""

    orders: tuple[Order, ...] = Field(default=(1.0, 2.0, "inf"), min_length=1)
    """Orders of the score; the first is the headline. 1 is the paper's."""
    rows: int = Field(default=1000, ge=2)
    """At most how many rows a draw has; fewer where a group is smaller."""
    least_rows: int = Field(default=20, ge=2)
    """Communities and clusters of fewer rows are counted and not scored."""
    draws: int = Field(default=20, ge=1)
    """Draws of different rows, whose mean is the score."""
    resamples: int = Field(default=100, ge=20)
    """Draws with repetition, for the intervals."""
    growth_rows: int = Field(default=4096, ge=16)
    """Up to how many rows the growth of the score is drawn."""


@dataclass(frozen=True)
class Given:
    """One dataset's vectors, and the groups of its rows."""

    label: str
    features: Features
    groups: Mapping[str, Mapping[str, NDArray[numpy.int64]]]
    """For each kind of group, the positions of each group's rows."""
    left_out: int
    """Rows whose vector holds only zeros."""

    @property
    def whole(self) -> NDArray[numpy.int64]:
        """The positions of all rows that have a direction."""
        return self.groups[WHOLE][""]

    def blocks(self) -> Iterator[NDArray[Any]]:
        """The vectors that have a direction, shard by shard."""
        for shard in self.features.shards():
            yield shard[shard.any(axis=1)] if self.left_out else shard


def run(context: Context) -> None:
    """Scores every dataset and every group in it."""
    import polars

    params = context.typed(Params)
    clusters = given_clusters(context)
    given = [
        read_given(each.label, each.files, clusters, params.least_rows)
        for each in context.inputs("features")
    ]
    require_comparable(given)
    drawn = numbers_of_rows(given, params)
    steps = sum(len(groups) for one in given for groups in one.groups.values()) + len(given)
    rows: list[dict[str, Any]] = []
    lines: dict[str, list[tuple[int, float]]] = {}
    for one in given:
        blocks = blocks_of(one.features, unit=False)
        for kind, groups in one.groups.items():
            for name, positions in groups.items():
                rows += _scored(context, one, blocks, (kind, name), positions, drawn[kind])
                context.progress(len(rows) // len(params.orders), steps)
        lines[one.label] = growth(
            blocks,
            one.whole,
            most=params.growth_rows,
            draws=3,
            seed=seed_of(context.seed, one.label),
        )
    wholes = {one.label: moments(one.blocks(), double=True).spectrum() for one in given}
    schema = {"noise": polars.Float64}
    table = polars.DataFrame(rows, schema_overrides=schema, infer_schema_length=None)
    table.write_parquet(context.out / "scores.parquet", compression="zstd", statistics=False)
    _write_growth(context, lines, given[0].features.description.dimensions)
    _write_summary(context, given, wholes, drawn, rows)
    title = title_of(given[0].features.description)
    Results(results=tuple(results_of(rows, title))).write(context.out)
    first = [row for row in rows if row["order"] == rows[0]["order"]]
    picture = draw_scores(title, lines, _noise(lines, given), panels_of(first, len(given)))
    (context.out / "g-vendi.png").write_bytes(picture)
    context.progress(steps, steps)


def read_given(label: str, files: Any, clusters: polars.DataFrame | None, least_rows: int) -> Given:
    """One artifact's vectors with its groups; raises MethodError where nothing can be scored."""
    import numpy
    import polars

    features = read_features(files)
    table = features.rows
    usable = (table["length"].cast(polars.Float32) > 0).to_numpy()
    whole = numpy.flatnonzero(usable)
    if len(whole) < 2:  # noqa: PLR2004
        raise MethodError(
            f"{len(whole)} vectors have no diversity to speak of",
            where=label,
            mend="score a dataset of two rows or more",
        )
    groups: dict[str, dict[str, NDArray[numpy.int64]]] = {WHOLE: {"": whole}}
    if "community" in table.columns:
        groups[COMMUNITY] = _positions(table, "community", usable, least_rows)
    if clusters is not None:
        joined = table.select("row_id").join(
            clusters, on="row_id", how="left", maintain_order="left"
        )
        groups[CLUSTER] = _positions(joined, "cluster", usable, least_rows)
    return Given(label, features, groups, int((~usable).sum()))


def require_comparable(given: Sequence[Given]) -> None:
    """Raises MethodError unless all vectors were made alike, by one model in one way."""
    if not given:
        raise MethodError("no features to score", mend="name features under `inputs: features`")
    first = given[0]
    for other in given[1:]:
        one, two = first.features.description, other.features.description
        for what in ("of", "made_with", "dimensions"):
            here, there = getattr(one, what), getattr(two, what)
            if here != there:
                raise MethodError(
                    f"{first.label} has {what} {here!r}, {other.label} {there!r}",
                    why="scores of vectors that were made otherwise say nothing about each other",
                    mend="make both with the same model and parameters, or evaluate them apart",
                )
    if len({one.label for one in given}) != len(given):
        raise MethodError("the same features are given twice", mend="name each dataset once")


def numbers_of_rows(given: Sequence[Given], params: Params) -> dict[str, int]:
    """For each kind of group, how many rows every group of it can give."""
    found: dict[str, int] = {}
    for one in given:
        for kind, groups in one.groups.items():
            for positions in groups.values():
                found[kind] = min(found.get(kind, params.rows), len(positions))
    return found


def results_of(rows: Sequence[Mapping[str, Any]], title: str) -> Iterator[Result]:
    """What cards and pages show: the headline order of datasets and communities."""
    order = rows[0]["order"]
    chosen = [r for r in rows if r["order"] == order and r["kind"] in (WHOLE, COMMUNITY)]
    for row in chosen:
        yield Result(
            about=row["dataset"],
            community=row["group"] if row["kind"] == COMMUNITY else "",
            slice=f"{row['drawn']} rows",
            metric=title if order == "1" else f"{title} of order {order}",
            lower_is_better=False,
            value=row["score"],
            low=row["low"],
            high=row["high"],
            items=row["drawn"],
            beside={"as many vectors of noise": row["noise"]} if order == "1" else {},
        )


def panels_of(rows: Sequence[Mapping[str, Any]], datasets: int) -> dict[str, list[Bar]]:
    """The bars of each kind of group, the most diverse first."""
    panels: dict[str, list[Bar]] = {}
    for row in sorted(rows, key=lambda r: -r["score"]):
        name = row["group"] if row["kind"] != WHOLE else row["dataset"]
        if row["kind"] != WHOLE and datasets > 1:
            name = f"{row['group']}, {row['dataset']}"
        kinds = {WHOLE: "datasets", COMMUNITY: "communities", CLUSTER: "clusters"}
        title = f"{kinds[row['kind']]}, {row['drawn']} rows each"
        panels.setdefault(title, []).append((name, row["score"], row["low"], row["high"]))
    return panels


def _scored(
    context: Context,
    one: Given,
    blocks: Blocks,
    group: tuple[str, str],
    positions: NDArray[numpy.int64],
    drawn: int,
) -> Iterator[dict[str, Any]]:
    params = context.typed(Params)
    found = estimates(
        blocks,
        positions,
        drawn,
        orders=params.orders,
        draws=params.draws,
        resamples=params.resamples,
        seed=seed_of(context.seed, one.label, *group),
    )
    for estimate in found:
        yield _row(one.label, *group, estimate)


def _row(dataset: str, kind: str, group: str, estimate: Estimate) -> dict[str, Any]:
    return {
        "dataset": dataset,
        "kind": kind,
        "group": group,
        "order": name_of(estimate.order),
        "rows": estimate.rows,
        "drawn": estimate.drawn,
        "score": estimate.score,
        "low": estimate.low,
        "high": estimate.high,
        "noise": estimate.noise,
    }


def _positions(
    table: polars.DataFrame, column: str, usable: NDArray[Any], least_rows: int
) -> dict[str, NDArray[numpy.int64]]:
    """The positions of the rows of each group that is large enough, groups in order."""
    import numpy

    values = table[column].to_list()
    found: dict[Any, list[int]] = {}
    for position in numpy.flatnonzero(usable):
        if values[position] is not None:
            found.setdefault(values[position], []).append(int(position))
    return {
        str(value): numpy.array(found[value], dtype=numpy.int64)
        for value in sorted(found)
        if len(found[value]) >= least_rows
    }


def _noise(
    lines: Mapping[str, Sequence[tuple[int, float]]], given: Sequence[Given]
) -> list[tuple[int, float]]:
    dimensions = given[0].features.description.dimensions
    steps = sorted({rows for points in lines.values() for rows, _ in points})
    return [(rows, noise_score(rows, dimensions)) for rows in steps]


def _write_growth(
    context: Context, lines: Mapping[str, Sequence[tuple[int, float]]], dimensions: int
) -> None:
    import polars

    rows = [
        {"dataset": name, "rows": count, "score": value, "noise": noise_score(count, dimensions)}
        for name, points in lines.items()
        for count, value in points
    ]
    polars.DataFrame(rows).write_parquet(context.out / "growth.parquet", statistics=False)


def _write_summary(
    context: Context,
    given: Sequence[Given],
    wholes: Mapping[str, NDArray[numpy.float64]],
    drawn: Mapping[str, int],
    rows: Sequence[Mapping[str, Any]],
) -> None:
    """`summary.json` with everything by dataset, and `headline.json` with the scores alone."""
    params, description = context.typed(Params), given[0].features.description
    title, order = title_of(description), rows[0]["order"]
    summary = {
        "schema_version": 1,
        "vectors": description.model_dump(mode="json", include={"of", "made_with", "dimensions"}),
        "rows_in_each_draw": drawn,
        "datasets": {
            one.label: {
                "rows": len(one.features),
                "left_out": one.left_out,
                "groups": {kind: len(groups) for kind, groups in one.groups.items()},
                "whole": {
                    name_of(order): score(wholes[one.label], order) for order in params.orders
                },
                "noise": noise_score(len(one.whole), description.dimensions),
            }
            for one in given
        },
    }
    (context.out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    headline = {
        f"{title} of {row['dataset']} at {row['drawn']} rows": row["score"]
        for row in rows
        if row["kind"] == WHOLE and row["order"] == order
    }
    (context.out / "headline.json").write_text(json.dumps(headline, indent=2) + "\n")


method = Method(
    name="g-vendi",
    kind="evaluation",
    description="How diverse datasets are, at equal numbers of rows, by community and cluster.",
    params=Params,
    run=run,
    inputs={
        "features": Role("dataset", "the vectors of each dataset, made alike", many=True),
        "clusters": Role("dataset", "clusters of the rows", optional=True),
    },
    libraries=(*LIBRARIES, "numpy"),
    limits=(
        "Diversity is no fairness: leaving out people who write much alike can raise the score.",
    ),
)
