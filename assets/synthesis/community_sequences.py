"""A profile's norms and examples as samples of two sources: how it judges, and how it answers.

What one source made belongs in one sequence, in any order. A row that is held out is left out, and
so is every example of a person who wrote one that is held out: no row, item or author stands on
both sides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from assets.alignment.spectrum_sequences import written
from assets.rows import LIBRARIES, row_id, row_schema
from assets.synthesis.profile_rows import (
    FIELDS,
    LeftOut,
    SplitParams,
    Taken,
    is_held_out,
    split_rows,
    write_split,
)
from registry.method import Method
from registry.profile_tables import EXAMPLES, NORMS, Example, Norm, read_table
from registry.typed import Frozen

if TYPE_CHECKING:
    from registry.context import Context, ProfileView

SHARED_AUTHOR = "its author also wrote an example that is held out"


class SequenceWording(Frozen):
    """The words around samples, in the community's own language."""

    norms: str = (
        "How {name} judges what somebody does. Each input is what somebody does and a rule of "
        "thumb about it, each output is the judgement."
    )
    """What a sequence of norms is; `{name}` stands for the profile's name."""
    examples: str = (
        "How {name} would answer. Each input is what somebody says, each output is the answer."
    )
    """What a sequence of examples is."""
    judgements: tuple[str, ...] = Field(
        default=("very bad", "bad", "all right, or it depends", "good", "very good"),
        min_length=5,
        max_length=5,
    )
    """What -2, -1, 0, 1 and 2 are called."""


class Params(SplitParams):
    """Which rows, and the words around them."""

    sequence_wording: SequenceWording = SequenceWording()
    """The words around samples."""


def _row(
    profile: ProfileView, source: str, description: str, given: str, output: str, own: str,
    item: str | None,
) -> dict[str, Any]:  # fmt: skip
    content = {
        "process": source,
        "description": description.replace("{name}", profile.name),
        "prompt": given,
        "completion": output,
        "item": item,
    }
    origin = f"sequences:{profile.id}:{source}"
    return {
        "row_id": row_id(origin, [own, content]),
        "parents": [own],
        "source": origin,
        "community": profile.id,
        "held_out": False,
        **content,
    }


def _norm_row(profile: ProfileView, norm: Norm, wording: SequenceWording) -> dict[str, Any]:
    given = written({"situation": norm.situation, "rule": norm.rule})
    said = wording.judgements[norm.judgement + 2]
    return _row(profile, "norms", wording.norms, given, said, norm.id, norm.item)


def _example_row(
    profile: ProfileView, example: Example, wording: SequenceWording
) -> dict[str, Any]:
    return _row(
        profile, "examples", wording.examples, example.prompt, example.preferred, example.id,
        example.item,
    )  # fmt: skip


def _held_out_authors(profile: ProfileView, item_share: float) -> set[str]:
    read = read_table(profile.table(EXAMPLES.file), EXAMPLES.file, EXAMPLES)
    return {e.author for e in read.rows if is_held_out(profile, e.id, e.item, item_share)}


def _norm_text(row: Norm) -> str:
    return f"{row.situation}\n{row.rule}"


def _example_text(row: Example) -> str:
    return f"{row.prompt}\n{row.preferred}\n{row.dispreferred}"


def sequence_schema() -> dict[str, Any]:
    """The columns of samples."""
    import polars

    text = polars.String
    added = {"process": text, "description": text, "item": text, "held_out": polars.Boolean}
    return row_schema() | added


def run(context: Context) -> None:
    """Writes the samples that may be learned from."""
    params = context.typed(Params)
    wording, share = params.sequence_wording, params.item_share
    profiles = {profile.id: profile for profile in context.profiles}
    norms, left_out = split_rows(context, NORMS, "learning", share, _norm_text)
    examples, more = split_rows(context, EXAMPLES, "learning", share, _example_text)
    left_out += more
    authors = {c: _held_out_authors(profile, share) for c, profile in profiles.items()}
    apart: list[Taken[Example]] = []
    for one in examples:
        if one.row.author in authors[one.community]:
            left_out.append(LeftOut(one.community, one.row.id, SHARED_AUTHOR))
        else:
            apart.append(one)
    rows = [_norm_row(profiles[one.community], one.row, wording) for one in norms]
    rows += [_example_row(profiles[one.community], one.row, wording) for one in apart]
    write_split(context, rows, left_out, sequence_schema())


method = Method(
    name="community-sequences",
    kind="dataset",
    description="A profile's norms and examples as samples, none beside one that is held out.",
    params=Params,
    run=run,
    reads=(NORMS.file, EXAMPLES.file),
    profile_fields=("name", *FIELDS),
    may_lack=FIELDS,
    use="train-sft",
    libraries=LIBRARIES,
)
