"""The vectors of rows that are being made, kept in shards so that none is computed twice."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import Field

from assets.compute import Dtype, load_model, prepare
from assets.diversity.gradients import Encoded, EngineName, GradientEngine, Unusable
from assets.diversity.gradients.engine import DIMENSIONS
from assets.synthesis.candidates import Row
from registry.artifact import write_atomically
from registry.typed import Frozen

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    from registry.context import Context

    Vectors = NDArray[numpy.float32]

SHARD_ROWS = 128


class PrismaticGradients(Frozen):
    """What rows are compared by."""

    engine: EngineName = "factored"
    """`factored` is fast; `full` is the reference."""
    dimensions: int = Field(default=DIMENSIONS, ge=2, le=65_536)
    """Numbers in a vector."""
    chat_template: bool = True
    """Whether prompts are put as a user's message in the proxy model's own form."""
    dtype: Dtype = "bfloat16"
    """The number format of the proxy model."""


class Embedder(Protocol):
    """Makes a vector of each row, or says why it cannot."""

    dimensions: int

    def refuse(self, row: Row) -> str | None:
        """Why a row can have no vector; None where it can."""
        ...

    def embed(self, rows: Sequence[Row]) -> Vectors:
        """A vector a row, of any length; not finite where a row has none after all."""
        ...


class GradientEmbedder:
    """Vectors as gradients of a proxy model."""

    def __init__(self, context: Context, params: PrismaticGradients) -> None:
        device = prepare(context)
        model, tokenizer = load_model(context.input("proxy").files, device, params.dtype)
        self.dimensions = params.dimensions
        self._engine = GradientEngine(
            model,
            tokenizer,
            params.engine,
            params.dimensions,
            context.seed,
            chat_template=params.chat_template,
        )

    def refuse(self, row: Row) -> str | None:
        """What its engine says."""
        encoded = self._engine.encode(row["prompt"], row["completion"])
        return encoded.reason if isinstance(encoded, Unusable) else None

    def embed(self, rows: Sequence[Row]) -> Vectors:
        """The gradient of each row's completion loss."""
        encoded = [self._engine.encode(row["prompt"], row["completion"]) for row in rows]
        return self._engine.gradients([one for one in encoded if isinstance(one, Encoded)]).vectors


def embed_rows(
    embedder: Embedder,
    rows: Sequence[Row],
    folder: Path,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> tuple[Vectors, list[str | None]]:
    """Vectors of length 1, and why a row has none; its vector is then zero.

    `folder` belongs to these rows alone. A shard that is missing or not whole is made again.
    """
    import numpy

    reasons: list[str | None] = [embedder.refuse(row) for row in rows]
    places = [place for place, reason in enumerate(reasons) if reason is None]
    found: Vectors = numpy.zeros((len(rows), embedder.dimensions), dtype=numpy.float32)
    for index, start in enumerate(range(0, len(places), SHARD_ROWS)):
        chosen = places[start : start + SHARD_ROWS]
        shape = (len(chosen), embedder.dimensions)
        path = folder / f"{index:05d}.npy"
        shard = _read(path, shape)
        if shard is None:
            _write(path, _units(embedder.embed([rows[place] for place in chosen])))
            shard = _read(path, shape)
        found[chosen] = shard
        progress(start + len(chosen), len(places))
    for place in places:
        if not found[place].any():
            reasons[place] = "gradient is zero or not finite"
    lengths: Any = numpy.linalg.norm(found, axis=1, keepdims=True)
    scaled: Any = found / numpy.where(lengths > 0, lengths, 1)
    return scaled, reasons


def _units(vectors: Vectors) -> NDArray[numpy.float16]:
    import numpy

    finite: Any = numpy.isfinite(vectors).all(axis=1)
    whole = numpy.where(finite[:, None], vectors, 0)
    lengths: Any = numpy.linalg.norm(whole.astype(numpy.float64), axis=1, keepdims=True)
    units: NDArray[numpy.float16] = (whole / numpy.where(lengths > 0, lengths, 1)).astype(
        numpy.float16
    )
    return units


def _write(path: Path, vectors: NDArray[numpy.float16]) -> None:
    import numpy

    stream = io.BytesIO()
    numpy.save(stream, vectors, allow_pickle=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, stream.getvalue())


def _read(path: Path, shape: tuple[int, int]) -> NDArray[Any] | None:
    import numpy

    try:
        found: NDArray[Any] = numpy.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return found if found.shape == shape and found.dtype == numpy.float16 else None
