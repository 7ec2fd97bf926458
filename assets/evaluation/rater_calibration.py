"""Judges and reward models against the people who rated the same items.

`ratings` holds `item`, `rater` and `rating`, `scores` holds `item`, `scorer` and `score`; both are
CSV or Parquet files with a row for each. What is compared, and why, stands in `calibration.py`.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from assets.evaluation.calibration import Calibration, Rated, calibrate, match, rate
from assets.rows import LIBRARIES, write_rows
from registry.errors import MethodError, UsageError
from registry.method import Method, SourcePath
from registry.results import Result, Results
from registry.typed import Frozen

if TYPE_CHECKING:
    import polars

    from registry.context import Context


class Params(Frozen):
    """Which tables, and how items are compared."""

    ratings: SourcePath
    """What people said: a CSV or Parquet file with `item`, `rater` and `rating`."""
    scores: SourcePath
    """What judges or reward models said: a CSV or Parquet file with `item`, `scorer`, `score`."""
    fewest_ratings: int = Field(default=20, ge=4)
    """Ratings that an item needs; others are left out."""
    share: float = Field(default=0.3, gt=0, le=0.5)
    """The share of items, by disagreement, that count as disputed."""
    caliper: float = Field(default=0.2, gt=0, le=2)
    """How far the mean ratings of a pair may differ, in standard deviations of all means."""
    splits: int = Field(default=20, ge=2, le=1000)
    """Ways to split the raters in halves, for the ceiling."""
    resamples: int = Field(default=1000, ge=50)
    """Draws of other pairs of items, for the intervals."""


def read_numbers(path: Path, shown: str, columns: tuple[str, str, str]) -> polars.DataFrame:
    """A table with two columns of names and one of numbers; raises UsageError where it is not."""
    import polars

    if not path.is_file():
        raise UsageError("there is no such file", where=shown, mend="check the path")
    if path.suffix not in (".csv", ".parquet"):
        raise UsageError("is neither CSV nor Parquet", where=shown)
    try:
        is_csv = path.suffix == ".csv"
        table = polars.read_csv(path) if is_csv else polars.read_parquet(path)
    except (polars.exceptions.PolarsError, OSError) as error:
        raise UsageError(f"cannot be read: {str(error).splitlines()[0]}", where=shown) from None
    if lacking := [name for name in columns if name not in table.columns]:
        raise UsageError(
            f"has no column {lacking[0]!r}",
            where=shown,
            mend=f"name its columns {', '.join(columns)}",
        )
    one, other, value = columns
    found = table.select(
        polars.col(one).cast(polars.String),
        polars.col(other).cast(polars.String),
        polars.col(value).cast(polars.Float64, strict=False),
    )
    wrong = found.with_row_index("row", offset=1).filter(
        ~polars.col(value).is_finite().fill_null(value=False)
        | polars.any_horizontal(polars.col(one, other).is_null())
    )
    if len(wrong):
        raise UsageError(
            f"row {wrong['row'][0]} has no name, or no {value} that is a number", where=shown
        )
    if twice := found.filter(found.select(one, other).is_duplicated()).rows():
        raise UsageError(f"{twice[0][1]} gives {twice[0][0]} two {value}s", where=shown)
    return found


def run(context: Context) -> None:
    """Compares every scorer with the raters."""
    params = context.typed(Params)
    ratings = read_numbers(
        context.source(params.ratings), params.ratings, ("item", "rater", "rating")
    )
    scores = read_numbers(context.source(params.scores), params.scores, ("item", "scorer", "score"))
    by_item: dict[str, list[float]] = {}
    for item, _, rating in ratings.sort("item", "rater").iter_rows():
        by_item.setdefault(item, []).append(rating)
    enough = {k: v for k, v in by_item.items() if len(v) >= params.fewest_ratings}
    if not enough:
        raise MethodError(
            f"no item has {params.fewest_ratings} ratings",
            where=params.ratings,
            mend="lower `fewest_ratings`, knowing that few ratings make people look agreed",
        )
    rows, results = [], []
    found: Calibration
    names = sorted(set(scores["scorer"]))
    for done, name in enumerate(names, 1):
        given = {i: s for i, n, s in scores.iter_rows() if n == name}
        rated, found, pairs = _compare(enough, given, params, context.seed)
        row = {"scorer": name, "items": len(rated.items), "pairs": pairs, **asdict(found)}
        rows.append({**row, "falls": found.falls})
        results.append(_result(name, found, pairs, min(len(enough[i]) for i in rated.items)))
        context.progress(done, len(names))
    write_rows(context.out / "calibration.parquet", rows)
    _write_items(context.out, enough, by_item, params, context.seed)
    Results(results=tuple(r for r in results if r is not None)).write(context.out)
    headline = {f"difference where people disagree: {r['scorer']}": r["difference"] for r in rows}
    shown = {name: value for name, value in headline.items() if not np.isnan(value)}
    (context.out / "headline.json").write_text(json.dumps(shown, indent=2) + "\n")
    (context.out / "calibration.png").write_bytes(_draw(rows))


def _compare(
    ratings: dict[str, list[float]], scores: dict[str, float], params: Params, seed: int
) -> tuple[Rated, Calibration, int]:
    """A scorer on the items that it scored."""
    common = {item: given for item, given in ratings.items() if item in scores}
    source = np.random.default_rng(seed)
    rated = rate(common, params.splits, source)
    subsets = match(rated, params.share, params.caliper)
    given = np.array([scores[item] for item in rated.items])
    return rated, calibrate(rated, given, subsets, params.resamples, source), len(subsets.disputed)


def _result(name: str, found: Calibration, pairs: int, people: int) -> Result | None:
    if np.isnan([found.difference, found.low, found.high]).any():
        return None
    return Result(
        about=name,
        slice="items on which people disagree",
        metric="agreement with people, less that on items alike but undisputed",
        lower_is_better=False,
        value=found.difference,
        low=found.low,
        high=found.high,
        items=pairs,
        people=people,
        beside={},
    )


def _write_items(
    out: Path,
    enough: dict[str, list[float]],
    everything: dict[str, list[float]],
    params: Params,
    seed: int,
) -> None:
    """Every item with its mean and entropy, and those that were left out."""
    import polars

    rated = rate(enough, 2, np.random.default_rng(seed))
    rows = [
        {"item": item, "ratings": len(enough[item]), "mean": mean, "entropy": bits}
        for item, mean, bits in zip(
            rated.items, rated.means.tolist(), rated.entropies.tolist(), strict=True
        )
    ]
    write_rows(out / "items.parquet", rows)
    reason = f"fewer than {params.fewest_ratings} ratings"
    left_out = [
        {"item": item, "ratings": len(given), "reason": reason, "caused_by": item}
        for item, given in sorted(everything.items())
        if item not in enough
    ]
    text = polars.String
    schema = {"item": text, "ratings": polars.Int64, "reason": text, "caused_by": text}
    write_rows(out / "rejected.parquet", left_out, schema)


def _draw(rows: list[dict[str, Any]]) -> bytes:
    """Each scorer's agreement as a share of the ceiling, on disputed items and their partners."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 1.4 + 0.5 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    for place, row in enumerate(rows):
        for name, shift, colour in (("matched", 0.18, "#30638e"), ("disputed", -0.18, "#d1495b")):
            axis.barh(place + shift, row[name] / row[f"{name}_ceiling"], 0.34, color=colour,
                      label=_LEGEND[name] if place == 0 else None)  # fmt: skip
    axis.set_yticks(range(len(rows)), [row["scorer"] for row in rows], fontsize=8)
    axis.set_xlabel("rank correlation with mean ratings, of the most that is possible", fontsize=8)
    axis.tick_params(labelsize=8)
    axis.legend(fontsize=7)
    out = BytesIO()
    figure.savefig(out, format="png", dpi=110, metadata={"Software": None})
    return out.getvalue()


_LEGEND = {
    "matched": "people agree (same mean ratings)",
    "disputed": "people disagree",
}

method = Method(
    name="rater-calibration",
    kind="evaluation",
    description="Whether judges agree with people less where people disagree with each other.",
    params=Params,
    run=run,
    libraries=(*LIBRARIES, "numpy", "scipy", "matplotlib"),
)
