"""Prismatic Synthesis: a dataset that grows, round by round, where it is thin.

`rows.parquet` holds the pool that it started from (round 0) and what each round kept;
`rounds.parquet` and `rounds.png` have each round's numbers.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

from assets.compute import LIBRARIES as TORCH_LIBRARIES
from assets.diversity.kept import write_kept
from assets.rows import LIBRARIES, ROWS, read_rows, write_rows
from assets.sources.verifiers import LIBRARIES as GENERATOR_LIBRARIES
from assets.synthesis.candidates import candidate_schema, read_pool, write_rejected
from assets.synthesis.embedding import GradientEmbedder, PrismaticGradients
from assets.synthesis.journal import Progress
from assets.synthesis.outcomes import write_outcomes
from assets.synthesis.rounds import NOT_SPARSE, Figures, Grown, RoundParams, grow, rounds_table
from assets.synthesis.writers import (
    ENDPOINT_INPUTS,
    INPUTS,
    LIMITS,
    EndpointTeachers,
    LocalParams,
    WritingParams,
    open_writer,
    tell,
)
from registry.method import Method, Role

if TYPE_CHECKING:
    from registry.context import Context

_PROXY = {"proxy": Role("model", "the model whose gradients rows are compared by")}


class PrismaticParams(RoundParams, WritingParams):
    """How the dataset grows."""

    gradients: PrismaticGradients = PrismaticGradients()
    """What rows are compared by."""
    include_pool: bool = True
    """Whether the rows that it started from stand in the dataset too."""


class Params(PrismaticParams, LocalParams):
    """Rounds with a model of the registry."""


class EndpointParams(PrismaticParams, EndpointTeachers):
    """Rounds with a model behind a server."""


def run(context: Context) -> None:
    """Grows the pool and writes it."""
    params = context.typed(PrismaticParams)
    given = context.input("rows")
    rows = read_pool(read_rows(given.files / ROWS).to_dicts(), given.label)
    embedder = GradientEmbedder(context, params.gradients)
    writer = open_writer(context, params)
    whole = len(rows) + params.rounds * params.requests

    def progress(number: int) -> Progress:
        if number == 0:
            return tell(context, 0, len(rows), whole)
        start = len(rows) + (number - 1) * params.requests
        return tell(context, start, params.requests, whole)

    def heard(figures: Figures) -> None:
        done = len(rows) + figures.round * params.requests
        context.progress(done, whole, g_vendi=figures.g_vendi, kept=float(figures.kept))

    grown = grow(
        rows, params, params.examples, writer, embedder, context.work, context.seed, progress, heard
    )
    _write(context, params, grown)
    (context.out / "teacher.json").write_text(
        json.dumps({"schema_version": 1, **writer.describe()}, sort_keys=True, indent=2) + "\n"
    )


def _write(context: Context, params: PrismaticParams, grown: Grown) -> None:
    import polars

    columns = candidate_schema()
    first = [
        {**dict.fromkeys(columns), **_known(row, columns), "round": 0}
        for row in grown.pool.rows[: grown.first]
    ]
    kept = [_known(row, columns) for row in grown.pool.rows[grown.first :]]
    write_rows(context.out / ROWS, [*(first if params.include_pool else []), *kept], columns)
    made = [c for c in grown.candidates if c.row.get("round")]
    write_rejected(context.out, [_whole(c, columns) for c in grown.candidates])
    verified = [c for c in made if c.reason is None or c.reason == NOT_SPARSE]
    schema = {name: columns[name] for name in ("row_id", "community", "source")}
    before = polars.DataFrame(
        [{name: c.row[name] for name in schema} for c in verified], schema=schema
    )
    places = polars.DataFrame(
        {"row_id": list(grown.clusters), "cluster": list(grown.clusters.values())},
        schema={"row_id": polars.String, "cluster": polars.String},
    )
    write_kept(context.out, before, [row["row_id"] for row in kept], places)
    write_rows(context.out / "rounds.parquet", rounds_table(grown.figures))
    (context.out / "rounds.png").write_bytes(draw_rounds(grown.figures))
    last = grown.figures[-1]
    write_outcomes(
        context.out,
        made,
        passed={NOT_SPARSE},
        kept=len(kept),
        g_vendi=last.g_vendi,
        g_vendi_of_random_rows=last.g_vendi_random,
    )


def _known(row: Any, columns: Any) -> dict[str, Any]:
    return {name: row[name] for name in columns if name in row}


def _whole(candidate: Any, columns: Any) -> Any:
    from dataclasses import replace

    return replace(candidate, row={**dict.fromkeys(columns), **_known(candidate.row, columns)})


def draw_rounds(figures: Sequence[Figures]) -> bytes:
    """A PNG: the fate of candidates, diversity, and the sizes of clusters, round by round."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(11, 3), layout="constrained")
    FigureCanvasAgg(figure)
    fates, scores, sizes = figure.subplots(1, 3)
    rounds = [one.round for one in figures]
    for name, colour in (("candidates", "#c9d6df"), ("verified", "#30638e"), ("kept", "#00798c")):
        fates.bar(rounds, [getattr(one, name) for one in figures], color=colour, label=name)
    fates.set_title("what became of candidates", fontsize=9)
    shown = (("g_vendi", "kept rows", "#00798c"), ("g_vendi_random", "random rows", "#d1495b"),
             ("g_vendi_first_size", "at the first size", "#edae49"))  # fmt: skip
    for name, label, colour in shown:
        values = [getattr(one, name) for one in figures]
        scores.plot(rounds, values, "o-", color=colour, label=label, lw=1.4, ms=3)
    scores.set_title("G-Vendi of the pool", fontsize=9)
    sizes.boxplot(
        [list(one.sizes) for one in figures], positions=rounds, widths=0.5, manage_ticks=False
    )
    sizes.plot(rounds, [one.threshold for one in figures], "_", color="#d1495b", ms=24, mew=2,
               label="threshold")  # fmt: skip
    sizes.set_title("rows in a cluster", fontsize=9)
    for axis in (fates, scores, sizes):
        axis.set_xlabel("round", fontsize=8)
        axis.tick_params(labelsize=8)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.margins(y=0.18)
        axis.legend(fontsize=7, frameon=False, loc="upper center", ncols=3)
    out = BytesIO()
    figure.savefig(out, format="png", dpi=110, metadata={"Software": None})
    return out.getvalue()


method = Method(
    name="prismatic",
    kind="dataset",
    description="A dataset that a model of the registry grows where it is thin, round by round.",
    params=Params,
    run=run,
    inputs={**INPUTS, **_PROXY},
    limits=LIMITS,
    libraries=(*TORCH_LIBRARIES, *LIBRARIES, *GENERATOR_LIBRARIES, "faiss-cpu"),
)

endpoint_method = Method(
    name="prismatic-endpoint",
    kind="dataset",
    description="A dataset that a model behind a server grows where it is thin, round by round.",
    params=EndpointParams,
    run=run,
    inputs={**ENDPOINT_INPUTS, **_PROXY},
    limits=(*LIMITS, "A server may change what it serves under one name: not repeatable."),
    libraries=(*TORCH_LIBRARIES, "openai", *LIBRARIES, *GENERATOR_LIBRARIES, "faiss-cpu"),
    network=True,
)
