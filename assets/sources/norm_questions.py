"""Norms that no model learns from, as questions with a scale of judgements for options.

The rule itself is not shown: it says the judgement. A model is asked what it thinks of what
somebody does, in several wordings; the first is the one that `community-norms` teaches in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator

from assets.rows import LIBRARIES, row_id
from assets.synthesis.community_norms import NormWording
from assets.synthesis.profile_rows import FIELDS, SplitParams, Taken, split_rows, write_split
from registry.errors import MethodError
from registry.method import Method
from registry.profile_tables import NORMS, Norm

if TYPE_CHECKING:
    from registry.context import Context

SITUATION = "{situation}"
JUDGEMENTS = (-2, -1, 0, 1, 2)
"""The scale, from very bad to very good, in the order in which options stand."""


class Params(SplitParams):
    """How norms are asked."""

    wordings: dict[str, str] = Field(
        default={
            "a": "What do you think of {situation}?",
            "b": "How would you judge {situation}?",
            "c": "Somebody tells you of this: {situation}. Is it right or wrong?",
        },
        min_length=1,
    )
    """The questions; `{situation}` stands for what somebody does."""
    judgements: tuple[str, ...] = Field(
        default=NormWording().judgements, min_length=len(JUDGEMENTS), max_length=len(JUDGEMENTS)
    )
    """What -2, -1, 0, 1 and 2 are called."""
    language: str = "en"
    """The language that these words are in."""

    @field_validator("wordings")
    @classmethod
    def _slot_stands_once(cls, value: dict[str, str]) -> dict[str, str]:
        if wrong := next((n for n, text in value.items() if text.count(SITUATION) != 1), None):
            raise ValueError(f"the wording {wrong!r} must hold {SITUATION} once")
        return value

    @field_validator("judgements")
    @classmethod
    def _all_different(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len({" ".join(one.casefold().split()) for one in value}) != len(value):
            raise ValueError("two judgements are called the same; no answer could tell them apart")
        return value


def question_schema() -> dict[str, Any]:
    """The columns of norms as questions."""
    import polars

    text = polars.String
    return {
        "row_id": text,
        "parents": polars.List(text),
        "source": text,
        "community": text,
        "norm": text,
        "item": text,
        "wording": text,
        "question": text,
        "options": polars.List(text),
        "judgement": polars.Int64,
        "agreement": polars.Int64,
        "commonest": polars.Int64,
        "held_out": polars.Boolean,
    }


def commonest(learned: Sequence[Norm]) -> int | None:
    """The judgement that stands most often among norms; of equals the milder, None of none."""
    counts = Counter(norm.judgement for norm in learned)
    return min(counts, key=lambda one: (-counts[one], abs(one), one)) if counts else None


def _rows(one: Taken[Norm], usual: int | None, params: Params) -> list[dict[str, Any]]:
    norm, origin = one.row, f"norms:{one.community}"
    found = []
    for wording, template in params.wordings.items():
        content = {
            "wording": wording,
            "question": template.replace(SITUATION, norm.situation),
            "options": list(params.judgements),
            "judgement": norm.judgement,
            "agreement": norm.agreement,
            "item": norm.item,
        }
        found.append(
            {
                "row_id": row_id(origin, [norm.id, content]),
                "parents": [norm.id],
                "source": origin,
                "community": one.community,
                "norm": norm.id,
                "commonest": usual,
                "held_out": True,
                **content,
            }
        )
    return found


def _texts(row: Norm) -> str:
    return f"{row.situation}\n{row.rule}"


def _require_language(context: Context, language: str) -> None:
    wanted = language.partition("-")[0]
    for profile in context.profiles:
        spoken = [str(tag) for tag in profile.fields.get("languages") or ()]
        if wanted not in {tag.partition("-")[0] for tag in spoken}:
            raise MethodError(
                f"the norms of {profile.id} are in {', '.join(spoken) or 'no known language'}, "
                f"the words around them in {language}",
                where=context.node,
                why="a judgement of a mixture says little about either",
                mend="give `wordings`, `judgements` and `language` in the profile's language",
            )


def run(context: Context) -> None:
    """Renders the norms that are kept for evaluation."""
    params = context.typed(Params)
    _require_language(context, params.language)
    taken, left_out = split_rows(context, NORMS, "held out", params.item_share, _texts)
    learning, _ = split_rows(context, NORMS, "learning", params.item_share, _texts)
    usual = {
        profile.id: commonest([one.row for one in learning if one.community == profile.id])
        for profile in context.profiles
    }
    rows = [row for one in taken for row in _rows(one, usual[one.community], params)]
    write_split(context, rows, left_out, question_schema())


method = Method(
    name="norm-questions",
    kind="dataset",
    description="Norms that no model learns from, as questions with a scale of judgements.",
    params=Params,
    run=run,
    reads=(NORMS.file,),
    profile_fields=("languages", *FIELDS),
    may_lack=FIELDS,
    use="evaluate",
    libraries=LIBRARIES,
)
