"""Each community's view of a situation, from the norms of profiles that no model learns from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from assets.alignment.reward_judges import negated
from assets.rows import LIBRARIES
from assets.sources.view_rows import LeftOutView, View, write_views
from assets.synthesis.profile_rows import FIELDS, SplitParams, split_rows
from registry.method import Method
from registry.profile_tables import NORMS

if TYPE_CHECKING:
    from assets.synthesis.profile_rows import Taken
    from registry.context import Context
    from registry.profile_tables import Norm

_SITUATION = "{situation}"


class Params(SplitParams):
    """How situations are put."""

    prompt: str = "What do you think of {situation}?"
    """How a situation is put to a model; `{situation}` stands for what somebody does."""
    fewest_views: int = Field(default=1, ge=1)
    """Views below which a situation is left out: 2 keeps those on which communities differ."""

    @model_validator(mode="after")
    def _slot_stands_once(self) -> Self:
        if self.prompt.count(_SITUATION) != 1:
            raise ValueError("`prompt` must hold {situation} once")
        return self


def merged(taken: list[Taken[Norm]], prompt: str) -> list[View]:
    """A view for each different rule of a situation, with all communities that hold it."""
    found: dict[tuple[str, str], View] = {}
    for one in taken:
        norm = one.row
        asked = prompt.replace(_SITUATION, norm.situation)
        key = (asked, " ".join(norm.rule.casefold().split()))
        before = found.get(key)
        found[key] = View(
            prompt=asked,
            view=before.view if before else norm.rule,
            source="norms of profiles",
            opposite=negated(norm.rule),
            held_by=tuple(sorted({*(before.held_by if before else ()), one.community})),
            parents=(*(before.parents if before else ()), norm.id),
        )
    return list(found.values())


def _texts(row: Norm) -> str:
    return f"{row.situation}\n{row.rule}"


def run(context: Context) -> None:
    """Gathers the norms that are held out."""
    params = context.typed(Params)
    taken, left_out = split_rows(context, NORMS, "held out", params.item_share, _texts)
    absent = [
        LeftOutView(
            View(prompt="", view="", source=f"norms of {one.community}", parents=(one.row_id,)),
            one.reason,
        )
        for one in left_out
    ]
    write_views(merged(taken, params.prompt), absent, params.fewest_views, context.out)
    context.progress(1, 1)


method = Method(
    name="community-views",
    kind="dataset",
    description="What communities hold of situations, from norms that no model learns from.",
    params=Params,
    run=run,
    reads=(NORMS.file,),
    profile_fields=FIELDS,
    may_lack=FIELDS,
    use="evaluate",
    libraries=LIBRARIES,
)
