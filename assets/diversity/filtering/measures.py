"""What is expensive is measured once: kept for a second run, and for one that was killed.

A measure is an array with a line a row. It is named by the digest of everything that it depends
on: the rows, what they are compared with, and its own settings, and never a threshold. An artifact
keeps its measures in `measures/`, and `scores.json` says what each is, so that a filter with other
thresholds takes them over. While they are made, their parts lie in the work folder.
"""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pydantic

from assets.diversity.filtering.table import Table
from registry.artifact import digest_of, write_atomically
from registry.context import Context, Input
from registry.errors import MethodError
from registry.typed import Frozen

if TYPE_CHECKING:
    from numpy.typing import NDArray

INDEX = "scores.json"
_PART_ROWS = 50_000
_PART_BYTES = 1 << 22
"""A part ends at either: rows differ in length a thousandfold."""


class Index(Frozen):
    """What measures an artifact keeps: `scores.json`."""

    schema_version: int = 1
    """The version of this schema."""
    rows: str
    """Digest of the ids, texts and communities of the rows that were measured."""
    measures: dict[str, dict[str, Any]]
    """For each file in `measures/`, what it depends on."""


class Measures:
    """The measures of one run."""

    def __init__(self, context: Context, table: Table) -> None:
        self._context, self._table = context, table
        self._given = _given(context, table)
        self._made: dict[str, dict[str, Any]] = {}
        self.parts = tuple(_bounds(table))
        """The slices of rows that are measured at once."""
        self.reused: list[str] = []
        """The names of measures that an earlier artifact gave."""

    def measure(
        self,
        name: str,
        depends_on: Mapping[str, Any],
        compute: Callable[[slice], NDArray[Any]],
    ) -> NDArray[Any]:
        """An array with a line a row, taken over where it is known already.

        Args:
            name: What is measured, for people.
            depends_on: Everything besides the rows that the numbers depend on, as plain values.
            compute: Measures the rows of a slice.
        """
        import numpy

        described = {"name": name, "rows": self._table.digest, **depends_on}
        identity = digest_of(described)[:16]
        target = self._context.out / "measures" / f"{identity}.npy"
        if identity not in self._made:
            target.parent.mkdir(exist_ok=True)
            if self._given is not None and identity in self._given[1].measures:
                self._take_over(identity, target)
                self.reused.append(name)
            else:
                self._compute(identity, target, compute)
            self._made[identity] = described
        found: NDArray[Any] = numpy.load(target, mmap_mode="r", allow_pickle=False)
        return found

    def write(self) -> None:
        """Writes what each measure is."""
        index = Index(rows=self._table.digest, measures=dict(sorted(self._made.items())))
        content = json.dumps(index.model_dump(), sort_keys=True, indent=2) + "\n"
        write_atomically(self._context.out / INDEX, content.encode())

    def _take_over(self, identity: str, target: Path) -> None:
        import numpy

        given, _ = self._given or (None, None)
        if given is None:
            return
        source = given.files / "measures" / target.name
        try:
            found = numpy.load(source, mmap_mode="r", allow_pickle=False)
            whole = len(found) == len(self._table)
        except (OSError, ValueError, EOFError):
            whole = False
        if not whole:
            raise MethodError(
                f"the measure {identity} is damaged or missing",
                where=given.label,
                why="scores would be taken for those of other rows",
                mend=f"run `chorus make {given.label} --force`, or `dvc checkout`",
            )
        shutil.copyfile(source, target)

    def _compute(
        self,
        identity: str,
        target: Path,
        compute: Callable[[slice], NDArray[Any]],
    ) -> None:
        import numpy

        folder = self._context.work / "measures" / identity
        folder.mkdir(parents=True, exist_ok=True)
        whole: NDArray[Any] | None = None
        for number, part in enumerate(self.parts):
            path = folder / f"{number:05d}.npy"
            if not path.exists():
                stream = io.BytesIO()
                numpy.save(stream, compute(part), allow_pickle=False)
                write_atomically(path, stream.getvalue())
            found = numpy.load(path, allow_pickle=False)
            if whole is None:
                shape = (len(self._table), *found.shape[1:])
                whole = numpy.lib.format.open_memmap(target, "w+", found.dtype, shape)
            whole[part] = found
            self._context.progress(part.stop, len(self._table))
        del whole
        shutil.rmtree(folder)


def _bounds(table: Table) -> Iterator[slice]:
    """Parts of the rows that are measured at once; the same rows give the same parts."""
    start = held = 0
    sizes = table.texts("both").str.len_bytes()
    for position, size in enumerate(sizes):
        if position > start and (held + size > _PART_BYTES or position - start == _PART_ROWS):
            yield slice(start, position)
            start, held = position, 0
        held += size
    yield slice(start, len(table))


def _given(context: Context, table: Table) -> tuple[Input, Index] | None:
    """The artifact whose scores are taken over; raises MethodError where its rows are others."""
    if not context.inputs("scores"):
        return None
    given = context.input("scores")
    try:
        index = Index.model_validate_json((given.files / INDEX).read_bytes())
    except FileNotFoundError:
        raise MethodError(
            f"holds no {INDEX}, so it has no scores to give",
            where=given.label,
            mend="name a dataset made by a row filter",
        ) from None
    except pydantic.ValidationError as error:
        raise MethodError(
            f"{INDEX} does not say what its scores are: {error.errors()[0]['msg']}",
            where=given.label,
            mend=f"run `chorus make {given.label} --force`",
        ) from None
    if index.rows != table.digest:
        raise MethodError(
            f"its scores are of other rows ({index.rows[:12]}) than those given here "
            f"({table.digest[:12]})",
            where=given.label,
            why="a row would be judged by another row's score",
            mend="name the same datasets in the same order, or leave `scores` out",
        )
    return given, index
