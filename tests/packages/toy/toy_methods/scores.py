"""Writes the comparisons and figures that its parameters give: stands in for an evaluation."""

import polars

from registry.context import Context
from registry.method import Method, Role
from registry.results import Result, Results
from registry.typed import Frozen


class Comparison(Frozen):
    """One model minus one rival."""

    community: str
    model: str
    rival: str
    difference: float
    low: float
    high: float
    slice: str = "asked"
    items: int = 30
    people: int = 600


class Params(Frozen):
    """What was found."""

    comparisons: tuple[Comparison, ...] = ()
    results: tuple[Result, ...] = ()


def run(context: Context) -> None:
    """Writes what it was told."""
    params = context.typed(Params)
    rows = [one.model_dump() for one in params.comparisons]
    if rows:
        polars.DataFrame(rows).write_parquet(context.out / "comparisons.parquet")
    Results(results=params.results).write(context.out)


method = Method(
    name="toy-scores",
    kind="evaluation",
    description="Scores.",
    params=Params,
    run=run,
    inputs={"answers": Role("model", "whom it scores", many=True)},
)
