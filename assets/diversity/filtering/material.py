"""What steps look at besides the rows: vectors, clusters, evaluations, ratings, profiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from assets.diversity.features import Features, read_features
from assets.diversity.filtering.contamination import comparable
from assets.diversity.filtering.rules import Topic
from assets.diversity.filtering.steps import FilterStep
from assets.diversity.filtering.table import Table, read_parquet, read_part
from assets.rows import REJECTED, ROWS
from registry.context import Context, Input
from registry.errors import MethodError, UsageError
from registry.hashing import sha256_file

if TYPE_CHECKING:
    import polars
    from numpy.typing import NDArray

    from assets.diversity.features import Vectors

CLUSTERS, SCORES = "clusters.parquet", "scores.parquet"


@dataclass(frozen=True)
class Asked:
    """The rows of the evaluations that rows are compared with."""

    ids: Sequence[str]
    evaluations: Sequence[str]
    """The evaluation that each row belongs to."""
    digest: tuple[str, ...]
    """What they are, for the name of a measure."""


class Material:
    """The inputs of a filter besides its rows, each read when a step asks for it."""

    def __init__(self, context: Context, table: Table) -> None:
        self._context, self._table = context, table

    @property
    def community(self) -> str | None:
        """The community that the filter is made for, if any."""
        return self._context.community

    def column(self, name: str) -> NDArray[Any]:
        """A number of each row, from the rows or from `ratings`; NaN where a row has none."""
        import numpy
        import polars

        found = {one.label: frame for one, frame in self._ratings if name in frame.columns}
        frame = self._table.frame
        if name in frame.columns:
            values = frame[name]
        elif len(found) == 1:
            rated = next(iter(found.values())).select("row_id", polars.col(name).alias("value"))
            values = frame.select("row_id").join(
                rated, on="row_id", how="left", maintain_order="left", validate="m:1"
            )["value"]
        else:
            known = sorted({*frame.columns, *(c for _, f in self._ratings for c in f.columns)})
            what = (
                f"{len(found)} ratings hold a column {name!r}" if found else f"no column {name!r}"
            )
            raise MethodError(
                what,
                where=self._context.node,
                mend=f"name one of: {', '.join(known)}",
            )
        if not (values.dtype.is_numeric() or values.dtype == polars.Null):
            raise MethodError(
                f"the column {name!r} holds {values.dtype}, which is no number",
                where=self._context.node,
                mend="name a column of numbers",
            )
        numbers = values.cast(polars.Float64).fill_null(numpy.nan).to_numpy()
        return numpy.where(numpy.isfinite(numbers), numbers, numpy.nan)

    @cached_property
    def _ratings(self) -> list[tuple[Input, polars.DataFrame]]:
        return [(one, _rated(one)) for one in self._context.inputs("ratings")]

    @cached_property
    def clusters(self) -> polars.DataFrame | None:
        """`row_id` and `cluster` of the rows, where they were clustered."""
        if not self._context.inputs("clusters"):
            return None
        one = self._context.input("clusters")
        return read_parquet(one.files / CLUSTERS, one.label).select("row_id", "cluster")

    def labels(self, known: NDArray[Any]) -> NDArray[Any]:
        """The cluster of each row; one for all where they were not clustered.

        Rows that have no vector (`known` is false) have no cluster either; they get -1.
        """
        import numpy
        import polars

        if self.clusters is None:
            return numpy.zeros(len(self._table), dtype=numpy.int64)
        joined = self._table.frame.select("row_id").join(
            self.clusters, on="row_id", how="left", maintain_order="left", validate="m:1"
        )["cluster"]
        lacking = joined.is_null().to_numpy() & known
        if lacking.any():
            first = self._table.frame["row_id"][int(lacking.argmax())]
            one = self._context.input("clusters")
            raise _other_rows(one, first, int(lacking.sum()), "cluster")
        return joined.fill_null(-1).cast(polars.Int64).to_numpy()

    def vectors(self) -> tuple[Vectors, NDArray[Any]]:
        """The unit vector of each row, and whether it has one.

        A row that the features themselves left out, such as one without text, gets zeros, which are
        like no other row. Raises MethodError where a row is not accounted for.
        """
        import numpy

        one = self._context.input("features")
        places = dict(zip(self.features.ids, range(len(self.features)), strict=True))
        ids = self._table.frame["row_id"].to_list()
        known = numpy.array([row in places for row in ids])
        if not known.all():
            path = one.files / REJECTED
            excused = set(read_parquet(path, one.label)["row_id"]) if path.is_file() else set()
            lacking = [row for row in ids if row not in places and row not in excused]
            if lacking:
                raise _other_rows(one, lacking[0], len(lacking), "vector")
        found = numpy.zeros((len(ids), self.features.description.dimensions), dtype=numpy.float32)
        found[known] = self.features.take([places[row] for row in ids if row in places])
        lengths = numpy.linalg.norm(found, axis=1, keepdims=True)
        found /= numpy.where(lengths > 0, lengths, 1)
        return found, known

    @cached_property
    def features(self) -> Features:
        """The vectors of the rows."""
        return read_features(self._context.input("features").files)

    def features_digest(self) -> str:
        """What the vectors of the rows are."""
        return _digest_of_features(self._context.input("features"))

    def prompts(self) -> tuple[Asked, polars.Series]:
        """The prompts of the evaluations, and whose they are."""
        import polars

        given = self._context.inputs("against")
        parts = [
            read_part(one).select("row_id", polars.col("prompt").fill_null("")) for one in given
        ]
        names = [
            one.label for one, part in zip(given, parts, strict=True) for _ in range(len(part))
        ]
        whole = polars.concat(parts)
        digests = tuple(sha256_file(one.files / ROWS) for one in given)
        return Asked(whole["row_id"].to_list(), names, digests), whole["prompt"]

    def asked_vectors(self) -> tuple[Asked, Vectors]:
        """The vectors of the evaluations' rows, and whose they are."""
        import numpy

        given = self._context.inputs("against_features")
        found = [read_features(one.files) for one in given]
        if why := comparable(self.features, found):
            raise MethodError(
                f"the vectors are of two kinds: {why}",
                where=", ".join(one.label for one in given),
                why="cosines between them mean nothing",
                mend="make both with the same encoder",
            )
        names = [one.label for one, f in zip(given, found, strict=True) for _ in range(len(f))]
        ids = [row for features in found for row in features.ids]
        whole = numpy.concatenate([features.matrix() for features in found])
        lengths = numpy.linalg.norm(whole, axis=1, keepdims=True)
        digests = tuple(_digest_of_features(one) for one in given)
        whole /= numpy.where(lengths > 0, lengths, 1)
        return Asked(ids, names, digests), whole

    def tokenizer(self) -> Input:
        """The model whose tokens are counted."""
        return self._context.input("tokenizer")

    def languages(self) -> Mapping[str, tuple[str, ...]]:
        """The languages of each profile that the filter reads."""
        return {one.id: tuple(one.fields.get("languages") or ()) for one in self._context.profiles}

    def topics(self) -> list[Topic]:
        """What the profiles put off limits and say words for."""
        return [
            Topic(one.id, topic["id"], tuple(topic.get("terms") or ()))
            for one in self._context.profiles
            for topic in one.fields.get("off_limits") or ()
            if topic.get("terms")
        ]


def require_material(context: Context, steps: Sequence[FilterStep]) -> None:
    """Raises UsageError where a step needs what the declaration does not give."""
    for number, step in enumerate(steps, 1):
        for role in _needs(step):
            if not context.inputs(role):
                raise UsageError(
                    f"step {number} ({step.kind}) needs the input {role!r}",
                    where=context.node,
                    mend=f"add `{role}:` to the declaration's inputs",
                )
        own = (step.kind == "language" and step.languages) or (
            step.kind == "off-limits" and step.terms
        )
        if step.kind in ("language", "off-limits") and not own and not context.profiles:
            word = "languages" if step.kind == "language" else "terms"
            raise UsageError(
                f"step {number} ({step.kind}) has no {word}, and this method reads no profile",
                where=context.node,
                mend=f"give `{word}`, or use the method `community-row-filter`",
            )


def _needs(step: FilterStep) -> tuple[str, ...]:
    match step.kind:
        case "semantic":
            return ("features",)
        case "overlap":
            return ("against",)
        case "paraphrase":
            return ("features", "against_features")
        case "length":
            return ("tokenizer",) if step.unit == "tokens" else ()
        case _:
            return ()


def _rated(one: Input) -> polars.DataFrame:
    name = SCORES if (one.files / SCORES).is_file() else ROWS
    frame = read_parquet(one.files / name, one.label)
    if "row_id" not in frame.columns or frame["row_id"].is_duplicated().any():
        raise MethodError(
            f"{name} does not name each row once by `row_id`",
            where=one.label,
            mend="name an artifact whose table rates rows by their ids",
        )
    return frame


def _digest_of_features(one: Input) -> str:
    paths = [one.files / "features.json", one.files / ROWS]
    paths += sorted((one.files / "features").glob("*.npy"))
    return " ".join(sha256_file(path) for path in paths)


def _other_rows(one: Input, first: str, count: int, what: str) -> MethodError:
    return MethodError(
        f"{count:,} rows have no {what} here, the first is {first}",
        where=one.label,
        why="a row would be judged by another row's",
        mend="make it from the very datasets that are filtered here; where a step takes lines out, "
        "give that a filter of its own, and make vectors from its rows",
    )
