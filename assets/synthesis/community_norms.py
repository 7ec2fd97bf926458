"""A profile's norms as questions with the community's rule and judgement as the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, model_validator

from assets.rows import LIBRARIES, row_id, row_schema
from assets.synthesis.profile_rows import FIELDS, SplitParams, Taken, split_rows, write_split
from registry.errors import MethodError
from registry.method import Method
from registry.profile_tables import NORMS, Norm
from registry.typed import Frozen

if TYPE_CHECKING:
    from registry.context import Context


class NormWording(Frozen):
    """How a norm is put into words."""

    question: str = "What do you think of {situation}?"
    """The prompt; `{situation}` stands for what somebody does."""
    answer: str = "{judgement} {rule}"
    """The completion; `{judgement}` and `{rule}` stand for what the community holds."""
    judgements: tuple[str, ...] = Field(
        default=(
            "That is very bad.",
            "That is not right.",
            "That is all right, or it depends.",
            "That is good.",
            "That is very good.",
        ),
        min_length=5,
        max_length=5,
    )
    """What -2, -1, 0, 1 and 2 are called."""
    language: str = "en"
    """The language that these words are in."""

    @model_validator(mode="after")
    def _slots_stand_once(self) -> Self:
        if self.question.count("{situation}") != 1:
            raise ValueError("`question` must hold {situation} once")
        if self.answer.count("{rule}") != 1:
            raise ValueError("`answer` must hold {rule} once")
        return self


class Params(SplitParams):
    """How norms are shown."""

    wording: NormWording = NormWording()
    """The words around a norm, in the community's own language."""


def norm_schema() -> dict[str, Any]:
    """The columns of norms as rows."""
    import polars

    text, whole = polars.String, polars.Int64
    added = {"situation": text, "rule": text, "judgement": whole, "agreement": whole}
    return row_schema() | added | {"item": text, "held_out": polars.Boolean}


def _row(one: Taken[Norm], wording: NormWording) -> dict[str, Any]:
    norm = one.row
    said = wording.judgements[norm.judgement + 2]
    content = {
        "prompt": wording.question.replace("{situation}", norm.situation),
        "completion": _filled(wording.answer, said, norm.rule),
        "situation": norm.situation,
        "rule": norm.rule,
        "judgement": norm.judgement,
        "agreement": norm.agreement,
        "item": norm.item,
    }
    origin = f"norms:{one.community}"
    return {
        "row_id": row_id(origin, [norm.id, content]),
        "parents": [norm.id],
        "source": origin,
        "community": one.community,
        "held_out": False,
        **content,
    }


def _filled(answer: str, judgement: str, rule: str) -> str:
    """The answer with both slots filled, neither of which is looked into for the other."""
    before, _, after = answer.partition("{rule}")
    named = "{judgement}"
    return f"{before.replace(named, judgement)}{rule}{after.replace(named, judgement)}"


def _texts(row: Norm) -> str:
    return f"{row.situation}\n{row.rule}"


def run(context: Context) -> None:
    """Renders the norms that may be learned from."""
    params = context.typed(Params)
    for profile in context.profiles:
        spoken = [str(tag) for tag in profile.fields.get("languages") or ()]
        wanted = params.wording.language.partition("-")[0]
        if wanted not in {tag.partition("-")[0] for tag in spoken}:
            raise MethodError(
                f"the norms of {profile.id} are in {', '.join(spoken) or 'no known language'}, "
                f"the words around them in {params.wording.language}",
                where=context.node,
                why="a model would learn to mix languages",
                mend="give `params.wording` in the profile's language",
            )
    taken, left_out = split_rows(context, NORMS, "learning", params.item_share, _texts)
    write_split(context, [_row(one, params.wording) for one in taken], left_out, norm_schema())


method = Method(
    name="community-norms",
    kind="dataset",
    description="A profile's norms as questions and answers, without those held out.",
    params=Params,
    run=run,
    reads=(NORMS.file,),
    profile_fields=("languages", *FIELDS),
    may_lack=FIELDS,
    use="train-sft",
    libraries=LIBRARIES,
)
