"""Rows of value profiles as rows of datasets: which may be learned from, and which are kept back.

Whether a row is held out is a function of ids alone, as in `registry.held_out`. A row that came
from a survey item may fall under the profile's own share or under the questionnaire's; it counts as
held out if either says so, so that nothing is learned that any reader of the profile holds out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from pydantic import Field

from assets.diversity.filtering.rules import Topic, named_topic, pattern
from assets.rows import REJECTED, ROWS, write_rows
from registry.errors import MethodError, ProblemsError
from registry.profile import Evaluation
from registry.profile_tables import Shape, held_out, read_table
from registry.typed import Frozen

if TYPE_CHECKING:
    from registry.context import Context, ProfileView

Side = Literal["learning", "held out"]
FIELDS = ("evaluation", "off_limits", "opinions")
"""What decides which rows of a profile may be used for what."""
Row = TypeVar("Row", bound=Frozen)


class SplitParams(Frozen):
    """How rows are kept back for evaluation."""

    item_share: float = Field(default=0.2, ge=0, le=1)
    """The share of survey items that is held out, for rows that came from one: that of the
    questionnaire, or of the import that wrote the profile. Both take 0.2 unless told otherwise."""


@dataclass(frozen=True)
class Taken(Generic[Row]):
    """One row of a profile that is on the wanted side, and where it came from."""

    community: str
    row: Row


@dataclass(frozen=True)
class LeftOut:
    """One row of a profile that is not taken; its text stays in the profile."""

    community: str
    row_id: str
    reason: str

    def to_row(self) -> dict[str, Any]:
        """The same as a row of `rejected.parquet`."""
        return {**vars(self), "caused_by": self.row_id}


def is_held_out(profile: ProfileView, row_id: str, item: str | None, item_share: float) -> bool:
    """Whether a row of a profile is kept for evaluation, by its own id or by its survey item."""
    share = Evaluation.model_validate(profile.fields.get("evaluation") or {}).held_out_share
    if held_out(profile.id, item or row_id, share):
        return True
    opinions = profile.fields.get("opinions")
    return bool(item and opinions and held_out(opinions["instrument"], item, item_share))


def split_rows(
    context: Context,
    shape: Shape[Row],
    side: Side,
    item_share: float,
    texts: Callable[[Row], str],
) -> tuple[list[Taken[Row]], list[LeftOut]]:
    """The rows of one table of every profile read, and those that are not for this use.

    Args:
        context: The attempt; its profiles are read.
        shape: The table.
        side: Which part of the rows is wanted.
        item_share: The share of survey items that is held out.
        texts: All text of a row, in which off-limits topics are looked for.

    Raises:
        MethodError: Where a profile lacks the table.
        ProblemsError: Where a row of it is wrong.
    """
    taken: list[Taken[Row]] = []
    left_out: list[LeftOut] = []
    for profile in context.profiles:
        path = profile.table(shape.file)
        if not path.is_file():
            raise MethodError(
                f"the profile {profile.id} has no {shape.file}",
                where=context.node,
                why="this method has nothing else to make rows from",
                mend=f"add the table to the profile, or leave {profile.id} out of `communities`",
            )
        read = read_table(path, f"value_profiles/{profile.id}/{shape.file}", shape)
        if read.problems:
            raise ProblemsError(read.problems)
        topics = _topics(profile)
        for row in read.rows:
            own = shape.identity(row)
            held = is_held_out(profile, own, getattr(row, "item", None), item_share)
            topic = named_topic(texts(row), profile.id, topics)
            if topic:
                left_out.append(LeftOut(profile.id, own, f"off limits: {topic}"))
            elif held != (side == "held out"):
                reason = "held out for evaluation" if held else "for learning, not held out"
                left_out.append(LeftOut(profile.id, own, reason))
            else:
                taken.append(Taken(profile.id, row))
    return taken, left_out


def _topics(profile: ProfileView) -> list[tuple[Topic, Any]]:
    return [
        (Topic(profile.id, topic["id"], tuple(topic["terms"])), pattern(topic["terms"]))
        for topic in profile.fields.get("off_limits") or ()
        if topic.get("terms")
    ]


def require_side(rows: Iterable[Mapping[str, Any]], side: Side, where: str) -> None:
    """Raises MethodError where a row says that it stands on the other side."""
    for row in rows:
        if bool(row.get("held_out")) != (side == "held out"):
            raise MethodError(
                f"the row {row['row_id']} is {'not ' if side == 'held out' else ''}held out",
                where=where,
                why="what a model is measured on must be what it has not learned from",
                mend="name the dataset of the other side as input",
            )


def write_split(
    context: Context,
    rows: Sequence[Mapping[str, Any]],
    left_out: Sequence[LeftOut],
    schema: Mapping[str, Any],
) -> None:
    """Writes the rows taken and those left out; raises MethodError where none was taken."""
    import polars

    if not rows:
        raise MethodError(
            f"none of {len(left_out)} rows can be taken",
            where=context.node,
            why=left_out[0].reason if left_out else "the tables are empty",
            mend="add rows to the profile, or lower its `evaluation.held_out_share`",
        )
    write_rows(context.out / ROWS, rows, schema)
    names = ("community", "row_id", "reason", "caused_by")
    write_rows(
        context.out / REJECTED,
        [one.to_row() for one in left_out],
        dict.fromkeys(names, polars.String),
    )


def input_rows(context: Context, role: str, side: Side) -> Iterator[dict[str, Any]]:
    """The rows of the datasets given for a role, with the community that each was made for."""
    from assets.rows import read_rows

    for given in context.inputs(role):
        rows = read_rows(given.files / ROWS).to_dicts()
        require_side(rows, side, given.label)
        for row in rows:
            yield row | {"community": row.get("community") or given.community}
