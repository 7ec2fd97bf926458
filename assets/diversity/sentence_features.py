"""Sentence vectors of rows, in the form of all features (`features.py`).

Shards are written into the work folder and found again, so that a killed run goes on where it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from assets.compute import prepare
from assets.diversity.encoder import BATCH_SIZE, LIBRARIES, cut, encode, load_encoder, width
from assets.diversity.features import (
    SHARD_ROWS,
    Description,
    shard_path,
    write_description,
    write_shard,
)
from assets.rows import REJECTED, ROWS, read_rows
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
    """Which text of a row its vector stands for."""

    text: Literal["prompt", "completion", "both"] = "both"
    """Both: the prompt, an empty line, and the completion where there is one."""
    batch_size: int = Field(default=BATCH_SIZE, ge=1)
    """Texts at once."""
    shard_rows: int = Field(default=SHARD_ROWS, ge=1)
    """Rows in a shard."""


def text_of(row: Mapping[str, Any], which: Literal["prompt", "completion", "both"]) -> str:
    """The text of a row that is encoded; empty where it has none."""
    names = ("prompt", "completion") if which == "both" else (which,)
    parts = [(row.get(name) or "").strip() for name in names]
    return "\n\n".join(part for part in parts if part)


def run(context: Context) -> None:
    """Encodes every row that has a text."""
    import polars

    params = context.typed(Params)
    device = prepare(context)
    given = context.input("encoder")
    rows = read_rows(context.input("rows").files / ROWS)
    _require_columns(rows, params.text)
    texts = [text_of(row, params.text) for row in rows.iter_rows(named=True)]
    has_text = polars.Series([bool(text) for text in texts], dtype=polars.Boolean)
    _write_rejected(rows.filter(~has_text), params.text, context.out)
    kept, texts = rows.filter(has_text), [text for text in texts if text]
    encoder = load_encoder(given.files, device)
    sizes = _sizes(len(texts), params.shard_rows)
    done = 0
    for index, size in enumerate(sizes):
        _make_shard(context, encoder, index, texts[done : done + size])
        done += size
        context.progress(done, len(texts))
    lengths = [_take_shard(context, index) for index in range(len(sizes))]
    table = kept.select("row_id", *(name for name in CARRIED if name in kept.columns))
    found = polars.concat(lengths) if lengths else polars.Series("length", [], polars.Float32)
    table = table.insert_column(1, found.alias("length"))
    table = table.with_columns(polars.Series("cut", cut(encoder, texts), polars.Boolean))
    table.write_parquet(context.out / ROWS, compression="zstd", statistics=False)
    description = Description(
        of="sentences",
        made_with=f"{given.label}: {params.text}",
        dimensions=width(encoder),
        shards=tuple(sizes),
    )
    write_description(context.out, description)


def _require_columns(rows: polars.DataFrame, text: str) -> None:
    wanted = {"row_id", "completion" if text == "completion" else "prompt"}
    if lacking := sorted(wanted - set(rows.columns)):
        raise MethodError(
            f"the rows have no column {lacking[0]!r}; they have {', '.join(rows.columns)}",
            mend="name a dataset of prompts and completions",
        )


def _write_rejected(rows: polars.DataFrame, text: str, out: Path) -> None:
    import polars

    reason = "no text to encode" if text == "both" else f"no {text}"
    left_out = rows.with_columns(
        polars.lit(reason).alias("reason"),
        polars.lit(None, polars.Float64).alias("score"),
        polars.col("row_id").alias("caused_by"),
    )
    left_out.write_parquet(out / REJECTED, compression="zstd", statistics=False)


def _sizes(rows: int, most: int) -> list[int]:
    whole, rest = divmod(rows, most)
    return [most] * whole + ([rest] if rest else [])


def _lengths_path(context: Context, index: int) -> Path:
    return context.work / f"lengths-{index:05d}.parquet"


def _make_shard(context: Context, encoder: Any, index: int, texts: list[str]) -> None:
    """Encodes a shard, unless an earlier attempt did; its lengths are written last."""
    import polars

    path = _lengths_path(context, index)
    if path.is_file() and shard_path(context.work, index).is_file():
        return
    vectors = encode(encoder, texts, context.typed(Params).batch_size)
    lengths = polars.DataFrame({"length": write_shard(context.work, index, vectors)})
    whole = path.with_suffix(".part")
    lengths.write_parquet(whole)
    whole.replace(path)


def _take_shard(context: Context, index: int) -> polars.Series:
    """Moves a shard from the work folder into the artifact; returns the lengths of its vectors."""
    target = shard_path(context.out, index)
    target.parent.mkdir(parents=True, exist_ok=True)
    shard_path(context.work, index).replace(target)
    return read_rows(_lengths_path(context, index))["length"]


method = Method(
    name="sentence-features",
    kind="dataset",
    description="Sentence vectors of rows, for what compares or groups them by meaning.",
    params=Params,
    run=run,
    inputs={
        "rows": Role("dataset", "prompts and completions"),
        "encoder": Role("model", "the sentence encoder"),
    },
    libraries=(*LIBRARIES, "polars", "numpy"),
)
