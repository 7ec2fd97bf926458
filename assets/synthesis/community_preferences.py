"""Pairs of answers of which a community prefers one, from its table of pairs and its examples.

`strength` is the share of those asked who preferred the chosen answer; null where nobody counted,
as in examples, which one member wrote.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from assets.rows import LIBRARIES, row_id
from assets.synthesis.profile_rows import (
    FIELDS,
    Side,
    SplitParams,
    Taken,
    input_rows,
    split_rows,
    write_split,
)
from registry.method import Method, Role
from registry.profile_tables import PREFERENCES, Preference

if TYPE_CHECKING:
    from registry.context import Context


class Params(SplitParams):
    """Which pairs."""


def pair_schema() -> dict[str, Any]:
    """The columns of pairs."""
    import polars

    text = polars.String
    return {
        "row_id": text,
        "parents": polars.List(text),
        "prompt": text,
        "chosen": text,
        "rejected": text,
        "strength": polars.Float64,
        "people": polars.Int64,
        "source": text,
        "community": text,
        "item": text,
        "held_out": polars.Boolean,
    }


def _of_pair(one: Taken[Preference], side: Side) -> dict[str, Any]:
    pair = one.row
    content = {
        "prompt": pair.prompt,
        "chosen": pair.chosen,
        "rejected": pair.rejected,
        "strength": pair.agreement,
        "people": pair.n,
        "item": pair.item,
    }
    return _row(f"pairs:{one.community}", one.community, pair.id, content, side)


def _of_example(row: Mapping[str, Any], side: Side) -> dict[str, Any]:
    content = {
        "prompt": row["prompt"],
        "chosen": row["completion"],
        "rejected": row["rejected"],
        "strength": None,
        "people": None,
        "item": row["item"],
    }
    return _row(row["source"], row["community"], row["row_id"], content, side)


def _row(
    source: str, community: str, parent: str, content: Mapping[str, Any], side: Side
) -> dict[str, Any]:
    return {
        "row_id": row_id(source, [parent, content]),
        "parents": [parent],
        "source": source,
        "community": community,
        "held_out": side == "held out",
        **content,
    }


def _texts(row: Preference) -> str:
    return f"{row.prompt}\n{row.chosen}\n{row.rejected}"


def _run(context: Context, side: Side) -> None:
    params = context.typed(Params)
    taken, left_out = split_rows(context, PREFERENCES, side, params.item_share, _texts)
    rows = [_of_pair(one, side) for one in taken]
    rows += [_of_example(row, side) for row in input_rows(context, "examples", side)]
    write_split(context, rows, left_out, pair_schema())


def run(context: Context) -> None:
    """Takes the rows that may be learned from."""
    _run(context, "learning")


def run_held_out(context: Context) -> None:
    """Takes the rows that are kept for evaluation."""
    _run(context, "held out")


method = Method(
    name="community-preferences",
    kind="dataset",
    description="Pairs of answers of which a community prefers one, without those held out.",
    params=Params,
    run=run,
    inputs={
        "examples": Role(
            "dataset", "rows of `community-examples`, as pairs too", many=True, optional=True
        )
    },
    reads=(PREFERENCES.file,),
    profile_fields=FIELDS,
    may_lack=FIELDS,
    use="train-rl",
    libraries=LIBRARIES,
)

held_out_method = Method(
    name="held-out-preferences",
    kind="dataset",
    description="The pairs of a profile that no model learns from, to measure models on.",
    params=Params,
    run=run_held_out,
    inputs={
        "examples": Role(
            "dataset", "rows of `held-out-examples`, as pairs too", many=True, optional=True
        )
    },
    reads=(PREFERENCES.file,),
    profile_fields=FIELDS,
    may_lack=FIELDS,
    use="evaluate",
    libraries=LIBRARIES,
)
