"""Vectors with known answers, and features of them on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy
import polars
import pytest
from numpy.typing import NDArray

from assets.diversity.features import (
    Description,
    Features,
    read_features,
    write_description,
    write_shard,
)

Vectors = NDArray[numpy.float32]


class Planted(Protocol):
    """Unit vectors in blobs around directions that are at right angles to each other."""

    def __call__(
        self, sizes: Sequence[int], *, dimensions: int = 32, spread: float = 0.02, seed: int = 0
    ) -> tuple[Vectors, NDArray[Any]]: ...


@pytest.fixture
def planted() -> Planted:
    def make(
        sizes: Sequence[int], *, dimensions: int = 32, spread: float = 0.02, seed: int = 0
    ) -> tuple[Vectors, NDArray[Any]]:
        source = numpy.random.default_rng(seed)
        labels = numpy.repeat(numpy.arange(len(sizes)), sizes)
        source.shuffle(labels)
        noise = source.standard_normal((len(labels), dimensions)) * spread
        vectors = numpy.eye(dimensions)[labels] + noise
        unit = vectors / numpy.linalg.norm(vectors, axis=1, keepdims=True)
        return unit.astype(numpy.float32), labels

    return make


class Write(Protocol):
    """Writes vectors as an artifact of features."""

    def __call__(
        self,
        folder: Path,
        vectors: NDArray[Any],
        columns: Mapping[str, Sequence[Any]] = {},
        *,
        shard: int = 50,
        ids: Sequence[str] = (),
        made_with: str = "toy",
        of: str = "gradients",
    ) -> Features: ...


@pytest.fixture
def write_features() -> Write:
    def write(
        folder: Path,
        vectors: NDArray[Any],
        columns: Mapping[str, Sequence[Any]] = {},
        *,
        shard: int = 50,
        ids: Sequence[str] = (),
        made_with: str = "toy",
        of: str = "gradients",
    ) -> Features:
        starts = range(0, len(vectors), shard)
        parts = [vectors[start : start + shard].astype(numpy.float32) for start in starts]
        lengths = [x for i, part in enumerate(parts) for x in write_shard(folder, i, part)]
        given: Any = {"of": of, "made_with": made_with, "dimensions": vectors.shape[1]}
        write_description(folder, Description(shards=tuple(map(len, parts)), **given))
        names = list(ids) or [f"r{i:05d}" for i in range(len(vectors))]
        rows = {"row_id": names, "length": lengths, **columns}
        polars.DataFrame(rows).write_parquet(folder / "rows.parquet")
        return read_features(folder)

    return write
