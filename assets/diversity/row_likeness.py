"""How alike the rows of a dataset are: within groups, between them, and each to its nearest other.

The same measures as between models' answers (`homogeneity.py`), over any vectors of rows. A
contract over `groups.parquet` makes them a check: a group whose rows repeat each other, or that
cannot be told from another, stops what would be made from it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from assets.diversity.features import Features, read_features
from assets.diversity.homogeneity import (
    REPETITIVE,
    Array,
    Whole,
    cross_means,
    exchangeable_mixing,
    mixing,
    pair_mean,
)
from assets.rows import LIBRARIES, write_rows
from registry.errors import MethodError
from registry.method import Method, Role
from registry.results import Result, Results
from registry.typed import Frozen

if TYPE_CHECKING:
    from registry.context import Context

_BLOCK = 1024
_EVERYTHING = "all rows"
_NONE = "none"
_FEWEST = 2


class Params(Frozen):
    """What is compared."""

    group: Literal["source", "community", "task"] = "source"
    """The column that groups rows; rows without a value are the group `none`."""
    near: float = Field(default=REPETITIVE, gt=-1, lt=1)
    """The cosine above which a row repeats another."""
    neighbours: int = Field(default=10, ge=1)
    """Nearest rows whose groups are counted."""
    rows: int = Field(default=20_000, ge=2)
    """At most so many rows, drawn by the node's seed; comparing all with all is quadratic."""
    resamples: int = Field(default=200, ge=50)
    """Draws of other rows, for the intervals."""


def nearest(vectors: NDArray[Any]) -> tuple[Whole, Array]:
    """For each row the place of the nearest other row, and its cosine."""
    places, cosines = np.zeros(len(vectors), dtype=np.int64), np.zeros(len(vectors))
    for start in range(0, len(vectors), _BLOCK):
        stop = min(start + _BLOCK, len(vectors))
        found = vectors[start:stop] @ vectors.T
        found[np.arange(stop - start), np.arange(start, stop)] = -np.inf
        places[start:stop] = found.argmax(axis=1)
        cosines[start:stop] = found.max(axis=1)
    return places, cosines


def likeness_interval(
    vectors: NDArray[Any], draws: int, source: np.random.Generator
) -> tuple[float, float]:
    """A 95 % interval of the mean cosine over pairs, over rows drawn anew with return.

    A row that is drawn twice is not paired with itself, which would add cosines of 1.
    """
    exact = vectors.astype(np.float64)
    weights = source.multinomial(len(exact), np.full(len(exact), 1 / len(exact)), draws)
    sums = weights @ exact
    own = weights.astype(np.float64) ** 2
    pairs = len(exact) ** 2 - own.sum(axis=1)
    again = ((sums**2).sum(axis=1) - own @ (exact**2).sum(axis=1)) / np.where(pairs > 0, pairs, 1)
    low, high = np.percentile(again[pairs > 0], [2.5, 97.5])
    return float(low), float(high)


def _chosen(features: Features, most: int, seed: int) -> Whole:
    """The places of the rows that are compared, in their order."""
    if len(features) <= most:
        return np.arange(len(features))
    drawn = np.random.default_rng(seed).choice(len(features), most, replace=False)
    return np.sort(drawn)


def run(context: Context) -> None:
    """Compares rows, and writes groups, nearest rows and figures."""
    params = context.typed(Params)
    given = context.input("features")
    features = read_features(given.files)
    if len(features) < _FEWEST:
        raise MethodError("fewer than two rows to compare", where=given.label)
    if params.group not in features.rows.columns:
        raise MethodError(
            f"the features carry no column {params.group!r}",
            where=given.label,
            mend="group by one of " + ", ".join(features.rows.columns),
        )
    places = _chosen(features, params.rows, context.seed)
    vectors = features.take(places.tolist())
    rows = features.rows[places.tolist()]
    names = [value or _NONE for value in rows[params.group]]
    groups = sorted(set(names))
    group_of = np.array([groups.index(name) for name in names], dtype=np.int64)
    near, cosines = nearest(vectors)
    context.progress(1, 2)
    table = _groups(vectors, groups, group_of, cosines, params, context.seed)
    write_rows(context.out / "groups.parquet", table)
    ids = list(rows["row_id"])
    write_rows(
        context.out / "nearest.parquet",
        [
            {"row_id": ids[place], "group": names[place], "nearest": ids[other],
             "nearest_group": names[other], "cosine": float(cosine)}
            for place, (other, cosine) in enumerate(zip(near.tolist(), cosines, strict=True))
        ],
    )  # fmt: skip
    _write_figures(context, given.label, table)
    context.progress(2, 2)


def _groups(
    vectors: NDArray[Any],
    groups: list[str],
    group_of: Whole,
    cosines: Array,
    params: Params,
    seed: int,
) -> list[dict[str, Any]]:
    """One row for each group, and one for all rows together."""
    means = cross_means(vectors, group_of, len(groups))
    mixed = mixing(vectors, group_of, params.neighbours)
    sizes = np.bincount(group_of, minlength=len(groups))
    chance = exchangeable_mixing(sizes.tolist(), params.neighbours)
    every = np.ones(len(vectors), dtype=bool)
    parts: list[tuple[str, NDArray[Any], float, float | None]] = [
        (_EVERYTHING, every, pair_mean(vectors), None)
    ]
    for place, name in enumerate(groups):
        others = np.delete(means[place], place)
        weights = np.delete(sizes, place)
        floor = float(others @ weights / weights.sum()) if len(others) else None
        parts.append((name, group_of == place, float(means[place, place]), floor))
    table = []
    for name, here, likeness, floor in parts:
        low, high = likeness, likeness
        if here.sum() >= _FEWEST:
            source = np.random.default_rng(seed)
            low, high = likeness_interval(vectors[here], params.resamples, source)
        table.append(
            {
                "group": name,
                "rows": int(here.sum()),
                "likeness": None if np.isnan(likeness) else likeness,
                "low": None if np.isnan(low) else low,
                "high": None if np.isnan(high) else high,
                "likeness_to_others": floor,
                "repeated": float((cosines[here] > params.near).mean()),
                "groups_near": float(mixed[here].mean()),
                "groups_near_by_chance": chance,
            }
        )
    return table


def _write_figures(context: Context, label: str, table: list[dict[str, Any]]) -> None:
    whole = table[0]
    headline = {
        "rows": whole["rows"],
        "mean cosine of two rows": whole["likeness"],
        "rows that repeat another": whole["repeated"],
        "groups among the nearest rows": whole["groups_near"],
        "by chance, groups among the nearest rows": whole["groups_near_by_chance"],
    }
    (context.out / "headline.json").write_text(json.dumps(headline, indent=2) + "\n")
    results = [
        Result(
            about=label.partition("@")[0],
            slice=row["group"],
            metric="likeness of two rows",
            lower_is_better=True,
            value=row["likeness"],
            low=row["low"],
            high=row["high"],
            items=row["rows"],
            beside={"rows of other groups": row["likeness_to_others"]}
            if row["likeness_to_others"] is not None
            else {},
        )
        for row in table
        if row["likeness"] is not None
    ]
    Results(results=tuple(results)).write(context.out)


method = Method(
    name="row-likeness",
    kind="evaluation",
    description="How alike the rows of a dataset are, within groups, between them and to the next.",
    params=Params,
    run=run,
    inputs={"features": Role("dataset", "vectors of the rows")},
    libraries=(*LIBRARIES, "numpy", "scipy"),
)
