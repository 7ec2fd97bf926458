"""Gradients of rows, in the form of all features (`features.py`).

Rows are worked on in parts; what a part gives is written into the work folder, its table of rows
last, so that a killed run goes on with the first part that is not whole and gives the same bytes.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from io import BytesIO
from typing import TYPE_CHECKING, Any

from pydantic import Field

from assets.compute import LIBRARIES, Dtype, load_model, prepare
from assets.diversity.features import Description, shard_path, write_description, write_shard
from assets.diversity.gradients import Encoded, EngineName, GradientEngine, Unusable
from assets.diversity.gradients.engine import BATCH_TOKENS, DIMENSIONS, WIDTH
from assets.diversity.gradients.picture import draw_gradients
from assets.rows import REJECTED, ROWS
from registry.artifact import write_atomically
from registry.errors import MethodError
from registry.method import Method, Role
from registry.typed import Frozen

if TYPE_CHECKING:
    from pathlib import Path

    import polars

    from registry.context import Context

CARRIED = ("parents", "source", "community", "task", "difficulty")
"""Columns of rows that come along where they are there."""


class Params(Frozen):
    """How gradients are taken, and how short they are made."""

    engine: EngineName = "factored"
    """`factored` projects both sides of each layer for many rows at once; `full` computes every
    gradient in full, a row at a time: the reference, many times slower."""
    dimensions: int = Field(default=DIMENSIONS, ge=16, le=65_536)
    """Numbers in a vector; cosines have a spread of one over its root."""
    width: int = Field(default=WIDTH, ge=1)
    """To how many numbers `factored` projects each side of a layer; `full` reads no width."""
    dtype: Dtype = "bfloat16"
    """The number format of the forward and backward pass."""
    chat_template: bool = True
    """Whether a prompt is put as a user's message in the proxy's own form."""
    max_tokens: int | None = Field(default=None, ge=2)
    """The longest row that is taken; by default as long as the proxy can read."""
    batch_tokens: int = Field(default=BATCH_TOKENS, ge=1)
    """Tokens in a batch of `factored`, padding counted; a longer row is a batch of its own."""
    shard_rows: int = Field(default=512, ge=1)
    """Rows in a part: what is lost at most when a run is killed."""


def run(context: Context) -> None:
    """Takes the gradient of every row that has one."""
    import polars

    params = context.typed(Params)
    path = context.input("rows").files / ROWS
    total = _check_rows(path)
    given = context.input("proxy")
    model, tokenizer = load_model(given.files, prepare(context), params.dtype)
    engine = GradientEngine(
        model,
        tokenizer,
        params.engine,
        params.dimensions,
        context.seed,
        width=params.width,
        chat_template=params.chat_template,
        max_tokens=params.max_tokens,
        batch_tokens=params.batch_tokens,
    )
    parts = range(-(-total // params.shard_rows))
    for part in parts:
        if not _rows_path(context, part).is_file():
            start = part * params.shard_rows
            rows = polars.scan_parquet(path).slice(start, params.shard_rows).collect()
            _make_part(context, engine, part, rows, (start, total))
    kept = _join([_rows_path(context, part) for part in parts])
    rejected = _join([_rejected_path(context, part) for part in parts])
    if kept.is_empty():
        raise _none_usable(rejected)
    kept.drop("part").write_parquet(context.out / ROWS, compression="zstd", statistics=False)
    rejected.write_parquet(context.out / REJECTED, compression="zstd", statistics=False)
    description = Description(
        of="gradients",
        made_with=_made_with(params, given.label, context.seed),
        dimensions=params.dimensions,
        shards=tuple(_take_shards(context, kept)),
    )
    write_description(context.out, description)
    _summarise(kept, rejected, context.out)


def _check_rows(path: Path) -> int:
    """How many rows there are; raises MethodError where they are not what gradients need."""
    import polars

    rows = polars.scan_parquet(path)
    columns = rows.collect_schema().names()
    if lacking := [name for name in ("row_id", "prompt", "completion") if name not in columns]:
        raise MethodError(
            f"the rows have no column {lacking[0]!r}; they have {', '.join(columns)}",
            mend="name a dataset of prompts and completions",
        )
    ids = rows.select("row_id").collect()["row_id"]
    if ids.is_empty():
        raise MethodError(
            "there are no rows to take gradients of",
            mend="look at what the dataset before this one left out, and why",
        )
    if (twice := ids.filter(ids.is_duplicated())).len():
        raise MethodError(
            f"the row {twice[0]} stands twice",
            why="a vector could not be told from the other's",
            mend="filter exact duplicates first",
        )
    return len(ids)


def _rows_path(context: Context, part: int) -> Path:
    return context.work / f"rows-{part:05d}.parquet"


def _rejected_path(context: Context, part: int) -> Path:
    return context.work / f"rejected-{part:05d}.parquet"


def _make_part(
    context: Context,
    engine: GradientEngine,
    part: int,
    rows: polars.DataFrame,
    place: tuple[int, int],
) -> None:
    """Takes the gradients of one part; its table of rows is written last, and in one step."""
    import polars

    start, total = place
    began = time.perf_counter()
    read = [engine.encode(row["prompt"], row["completion"]) for row in rows.to_dicts()]
    usable = [index for index, row in enumerate(read) if isinstance(row, Encoded)]
    encoded = [row for row in read if isinstance(row, Encoded)]

    def note(done: int) -> None:
        speed = done / (time.perf_counter() - began)
        left_out = len(rows) - len(encoded)
        context.progress(start + left_out + done, total, examples_per_second=round(speed, 3))

    found = engine.gradients(encoded, note)
    for position, fine in enumerate(found.finite):
        if not fine:
            read[usable[position]] = Unusable("gradient not finite", len(encoded[position].ids))
    fine = found.finite
    kept = rows[[index for index in usable if isinstance(read[index], Encoded)]]
    whole = [row for row in read if isinstance(row, Encoded)]
    lengths = write_shard(context.work, part, found.vectors[fine])
    table = kept.select("row_id", *(name for name in CARRIED if name in kept.columns))
    table = table.with_columns(
        polars.Series("length", lengths, polars.Float32),
        polars.Series("loss", found.losses[fine], polars.Float32),
        polars.Series("tokens", [len(row.ids) for row in whole], polars.Int32),
        polars.Series("supervised", [row.supervised for row in whole], polars.Int32),
        polars.lit(part, polars.Int32).alias("part"),
    )
    _write(_rejected_path(context, part), _rejected(rows, read))
    _write(_rows_path(context, part), table)


def _rejected(rows: polars.DataFrame, read: list[Encoded | Unusable]) -> polars.DataFrame:
    import polars

    left_out = [(i, row) for i, row in enumerate(read) if isinstance(row, Unusable)]
    taken = rows[[index for index, _ in left_out]]
    return taken.with_columns(
        polars.Series("reason", [row.reason for _, row in left_out], polars.String),
        polars.Series("score", [row.tokens for _, row in left_out], polars.Float64),
        polars.col("row_id").alias("caused_by"),
    )


def _write(path: Path, table: polars.DataFrame) -> None:
    stream = BytesIO()
    table.write_parquet(stream, compression="zstd", statistics=False)
    write_atomically(path, stream.getvalue())


def _join(paths: list[Path]) -> polars.DataFrame:
    import polars

    return polars.concat([polars.read_parquet(path) for path in paths])


def _take_shards(context: Context, kept: polars.DataFrame) -> Iterator[int]:
    """Copies the shards that hold any row; gives the number of rows in each."""
    held = kept.group_by("part", maintain_order=True).len()
    for index, (part, size) in enumerate(held.iter_rows()):
        target = shard_path(context.out, index)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(shard_path(context.work, part), target)
        yield size


def _made_with(params: Params, proxy: str, seed: int) -> str:
    engine = f"factored, width {params.width}" if params.engine == "factored" else "full"
    form = "chat template" if params.chat_template else "plain text"
    return f"{proxy}: {engine}, {params.dtype}, {form}, seed {seed}"


def _none_usable(rejected: polars.DataFrame) -> MethodError:
    counts = rejected.group_by("reason").len().sort("len", "reason", descending=[True, False])
    reasons = ", ".join(f"{count} {reason}" for reason, count in counts.iter_rows())
    return MethodError(
        f"no row has a gradient: {reasons}",
        mend="look at the rows, at `max_tokens`, or at the proxy's own output",
    )


def _summarise(kept: polars.DataFrame, rejected: polars.DataFrame, out: Path) -> None:
    headline: dict[str, Any] = {
        "rows": len(kept),
        "rows left out": len(rejected),
        "mean loss (nats)": kept["loss"].mean(),
        "median gradient length": kept["length"].median(),
    }
    (out / "headline.json").write_text(json.dumps(headline, indent=2) + "\n")
    (out / "gradients.png").write_bytes(draw_gradients(kept))


method = Method(
    name="gradient-features",
    kind="dataset",
    description="What each row would teach a proxy model: its gradient, as a short vector.",
    params=Params,
    run=run,
    inputs={
        "rows": Role("dataset", "prompts and completions"),
        "proxy": Role("model", "the model whose gradients are taken"),
    },
    libraries=(*LIBRARIES, "polars", "numpy"),
    limits=(
        "Gradients are those of the proxy model, and say nothing of what a row means to a person.",
        "Short vectors show less diversity than whole gradients: compare at equal dimensions.",
    ),
)
