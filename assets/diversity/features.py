"""Vectors of rows, one unit vector a row, in shards that are read one at a time.

An artifact of features holds `features/00000.npy` and so on (float16, a vector a line),
`rows.parquet` (each row's id, its vector's length before it was scaled, and the columns that were
carried along, in the order of the vectors) and `features.json`, which says what the vectors are.
Vectors are scaled to length 1, since gradients can be longer than float16 counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from registry.artifact import write_atomically
from registry.errors import MethodError
from registry.typed import Frozen

if TYPE_CHECKING:
    import numpy
    import polars
    from numpy.typing import NDArray

    Vectors = NDArray[numpy.float32]

SHARD_ROWS = 4096
"""Rows in a shard, where a method has no reason for another number."""


class Description(Frozen):
    """What the vectors of an artifact are: `features.json`."""

    schema_version: int = 1
    """The version of this schema."""
    of: Literal["gradients", "sentences"]
    """What each vector stands for."""
    made_with: str
    """The model, by its node, and how: two artifacts are comparable only where this is the same."""
    dimensions: int
    """Numbers in a vector."""
    shards: tuple[int, ...]
    """Rows in each shard."""

    @property
    def rows(self) -> int:
        """How many vectors there are."""
        return sum(self.shards)


def shard_path(folder: Path, index: int) -> Path:
    """Where a shard lies below an artifact's files, or below the folder in which it is made."""
    return folder / "features" / f"{index:05d}.npy"


def write_shard(folder: Path, index: int, vectors: Vectors) -> Vectors:
    """Writes a shard of unit vectors in one step; returns the lengths that they had before.

    A vector of zeros stays one. Raises MethodError where a number is not finite.
    """
    import io

    import numpy

    if not numpy.isfinite(vectors).all():
        first = int(numpy.argwhere(~numpy.isfinite(vectors).all(axis=1))[0, 0])
        raise MethodError(
            f"vector {first} of shard {index} has a number that is not finite",
            mend="reject such rows with a reason before they are written",
        )
    lengths: NDArray[Any] = numpy.linalg.norm(vectors.astype(numpy.float64), axis=1)
    scaled = vectors / numpy.where(lengths > 0, lengths, 1)[:, None]
    stream = io.BytesIO()
    numpy.save(stream, scaled.astype(numpy.float16), allow_pickle=False)
    path = shard_path(folder, index)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, stream.getvalue())
    shown: Vectors = lengths.astype(numpy.float32)
    return shown


def write_description(files: Path, description: Description) -> None:
    """Writes `features.json`."""
    write_atomically(
        files / "features.json", description.model_dump_json(indent=2).encode() + b"\n"
    )


@dataclass(frozen=True)
class Features:
    """The vectors of an artifact, in the order of its rows."""

    files: Path
    description: Description
    rows: polars.DataFrame
    """`row_id`, `length`, and the columns that were carried along."""

    @property
    def ids(self) -> list[str]:
        """The rows' ids."""
        return list(self.rows["row_id"])

    def __len__(self) -> int:
        return self.description.rows

    def shards(self) -> Iterator[Vectors]:
        """Each shard as float32, one at a time; raises MethodError where one is not whole."""
        import numpy

        for index in range(len(self.description.shards)):
            yield self._shard(index).astype(numpy.float32)

    def matrix(self) -> Vectors:
        """All vectors at once."""
        import numpy

        found = list(self.shards())
        empty = numpy.zeros((0, self.description.dimensions), dtype=numpy.float32)
        return numpy.concatenate(found) if found else empty

    def take(self, positions: Sequence[int]) -> Vectors:
        """The vectors at these positions, in that order."""
        import numpy

        wanted = numpy.asarray(positions, dtype=numpy.int64)
        found = numpy.empty((len(wanted), self.description.dimensions), dtype=numpy.float32)
        start = 0
        for index, size in enumerate(self.description.shards):
            here = (wanted >= start) & (wanted < start + size)
            if here.any():
                found[here] = self._shard(index)[wanted[here] - start]
            start += size
        return found

    def _shard(self, index: int) -> NDArray[numpy.float16]:
        import numpy

        path = shard_path(self.files, index)
        wanted = (self.description.shards[index], self.description.dimensions)
        try:
            found: NDArray[Any] = numpy.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise _broken(path, f"cannot be read: {error}") from None
        if found.shape != wanted or found.dtype != numpy.float16:
            raise _broken(path, f"holds {found.shape} of {found.dtype}, not {wanted} of float16")
        return found


def read_features(files: Path) -> Features:
    """The features of an artifact; raises MethodError where they do not fit together."""
    import polars

    path = files / "features.json"
    try:
        description = Description.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise _broken(path, f"does not describe features: {error}") from None
    rows = polars.read_parquet(files / "rows.parquet")
    if len(rows) != description.rows:
        raise _broken(path, f"describes {description.rows} vectors, rows.parquet {len(rows)} rows")
    return Features(files, description, rows)


def _broken(path: Path, what: str) -> MethodError:
    return MethodError(
        what,
        where=str(path),
        why="a vector would be taken for another row's",
        mend="make the features again with `chorus make NODE --force`, or `dvc checkout`",
    )
