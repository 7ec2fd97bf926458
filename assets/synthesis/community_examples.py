"""A profile's examples as prompts with the answers that its community would have given.

Each row also holds the answer that the community would not have given, so that the same rows serve
fine-tuning (`completion`) and learning from pairs (`completion` over `rejected`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from assets.rows import LIBRARIES, row_id, row_schema
from assets.synthesis.profile_rows import FIELDS, Side, SplitParams, Taken, split_rows, write_split
from registry.method import Method
from registry.profile_tables import EXAMPLES, Example

if TYPE_CHECKING:
    from registry.context import Context


class Params(SplitParams):
    """Which rows."""


def example_schema() -> dict[str, Any]:
    """The columns of examples."""
    import polars

    text = polars.String
    added = {"rejected": text, "item": text, "held_out": polars.Boolean}
    return row_schema() | added


def _row(one: Taken[Example], side: Side) -> dict[str, Any]:
    example = one.row
    content = {
        "prompt": example.prompt,
        "completion": example.preferred,
        "rejected": example.dispreferred,
        "item": example.item,
    }
    origin = f"examples:{one.community}"
    return {
        "row_id": row_id(origin, [example.id, content]),
        "parents": [example.id],
        "source": origin,
        "community": one.community,
        "held_out": side == "held out",
        **content,
    }


def _texts(row: Example) -> str:
    return f"{row.prompt}\n{row.preferred}\n{row.dispreferred}"


def _run(context: Context, side: Side) -> None:
    params = context.typed(Params)
    taken, left_out = split_rows(context, EXAMPLES, side, params.item_share, _texts)
    write_split(context, [_row(one, side) for one in taken], left_out, example_schema())


def run(context: Context) -> None:
    """Takes the rows that may be learned from."""
    _run(context, "learning")


def run_held_out(context: Context) -> None:
    """Takes the rows that are kept for evaluation."""
    _run(context, "held out")


method = Method(
    name="community-examples",
    kind="dataset",
    description="A profile's examples as prompts and preferred answers, without those held out.",
    params=Params,
    run=run,
    reads=(EXAMPLES.file,),
    profile_fields=FIELDS,
    may_lack=FIELDS,
    use="train-sft",
    libraries=LIBRARIES,
)

held_out_method = Method(
    name="held-out-examples",
    kind="dataset",
    description="The examples of a profile that no model learns from, to measure models on.",
    params=Params,
    run=run_held_out,
    reads=(EXAMPLES.file,),
    profile_fields=FIELDS,
    may_lack=FIELDS,
    use="evaluate",
    libraries=LIBRARIES,
)
