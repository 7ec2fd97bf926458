"""Random maps to fewer numbers that keep inner products in the mean over seeds."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_LOOPED = 64
"""Up to so many blocks are added one by one; more go through a table of all shifts."""
_TABLE_DIMENSIONS = 4096
"""A table has the square of this many numbers at most: 64 MiB."""


def generator(seed: int, name: str) -> torch.Generator:
    """A source of random numbers of its own for each name, whatever else was drawn before."""
    import torch

    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


def orthonormal(size: int, width: int, source: torch.Generator) -> torch.Tensor | None:
    """A random map from `size` to `width` numbers, (size, width); None where none is needed.

    Its columns are orthogonal and of length sqrt(size / width), so that inner products of projected
    vectors have the right mean, with less spread than independent entries give (for width = size
    there is none: the map is then a rotation, which is left out).
    """
    import torch

    if width >= size:
        return None
    basis, _ = torch.linalg.qr(torch.randn(size, width, generator=source))
    scaled: torch.Tensor = basis * (size / width) ** 0.5
    return scaled


def signs(size: int, width: int, source: torch.Generator) -> torch.Tensor | None:
    """A random map like `orthonormal`, for a size at which that would take minutes to draw."""
    import torch

    if width >= size:
        return None
    drawn = torch.randint(0, 2, (size, width), generator=source, dtype=torch.int8)
    scaled: torch.Tensor = (drawn * 2 - 1).float() / width**0.5
    return scaled


class Sketch:
    """Folds named rows of numbers into `dimensions` buckets, with random signs.

    Each number goes to one bucket, drawn uniformly, with a random sign: a count sketch (Charikar,
    Chen and Farach-Colton 2002). Buckets are drawn by shifting whole blocks of `dimensions` numbers
    by one random amount each, which is as fast as adding. Numbers of one block never meet, those of
    two blocks meet with probability 1/dimensions, so that inner products keep their mean and have
    no more spread than with independent buckets. Position modulo `dimensions` without the shifts
    would send a whole column of a weight to a few buckets.
    """

    def __init__(self, dimensions: int, seed: int, device: torch.device) -> None:
        self.dimensions, self.seed, self.device = dimensions, seed, device
        self._drawn: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}

    def start(self, rows: int) -> Fold:
        """Begins the sketches of so many rows."""
        return Fold(self, rows)

    def draw(self, name: str, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The sign of each number called `name`, and the shift of each of their blocks."""
        import torch

        if name not in self._drawn:
            source = generator(self.seed, f"sketch/{name}")
            drawn = torch.randint(0, 2, (size,), generator=source, dtype=torch.int8) * 2 - 1
            blocks = -(-size // self.dimensions)
            shifts = torch.randint(0, self.dimensions, (blocks,), generator=source)
            self._drawn[name] = (drawn.to(self.device), shifts)
        return self._drawn[name]


class Fold:
    """The sketches of a batch of rows while their numbers come in, in any order."""

    def __init__(self, sketch: Sketch, rows: int) -> None:
        import torch

        self._sketch = sketch
        self._total = torch.zeros(rows, sketch.dimensions, device=sketch.device)
        self._table: torch.Tensor | None = None

    def add(self, name: str, values: torch.Tensor) -> None:
        """Adds numbers called `name`, (rows, any number of them)."""
        import torch

        drawn, shifts = self._sketch.draw(name, values.shape[1])
        signed = values.float() * drawn
        dimensions = self._sketch.dimensions
        if missing := -signed.shape[1] % dimensions:
            signed = torch.nn.functional.pad(signed, (0, missing))
        blocks = signed.view(len(signed), -1, dimensions)
        if len(shifts) > _LOOPED and len(blocks) == 1 and dimensions <= _TABLE_DIMENSIONS:
            self._shifted().index_add_(0, shifts.to(blocks.device), blocks[0])
            return
        for index, shift in enumerate(shifts.tolist()):
            self._total[:, shift:] += blocks[:, index, : dimensions - shift]
            self._total[:, :shift] += blocks[:, index, dimensions - shift :]

    def result(self) -> torch.Tensor:
        """The sketches, (rows, dimensions), in float32."""
        import torch

        if self._table is not None:
            positions = torch.arange(self._sketch.dimensions, device=self._total.device)
            source = (positions[None, :] - positions[:, None]) % self._sketch.dimensions
            self._total += self._table.gather(1, source).sum(0)
            self._table = None
        return self._total

    def _shifted(self) -> torch.Tensor:
        """The sum of all blocks that each shift was drawn for, not shifted yet."""
        import torch

        if self._table is None:
            self._table = torch.zeros(
                self._sketch.dimensions, self._sketch.dimensions, device=self._total.device
            )
        return self._table
