"""Survey questions as prompts, each with the shares in which a community's respondents answered.

Every item appears in each wording for learning and in each option order. Items that are held out,
and the wording that is kept for evaluation, are written to `rejected.parquet` with the reason, and
without any share.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from assets.opinion_tables import OpinionTable, read_still_told
from assets.option_prompt import ORDERS, Order, arrange, render
from assets.rows import LIBRARIES, read_rows, row_id, write_rows
from assets.sources.questionnaire import UNSEEN
from registry.errors import MethodError
from registry.method import Method, Role
from registry.typed import Frozen

if TYPE_CHECKING:
    from registry.context import Context

Reason = Literal[
    "item held out for evaluation", "wording kept for evaluation", "not in the profile's table"
]


class Params(Frozen):
    """How questions are shown."""

    orders: tuple[Order, ...] = Field(default=ORDERS, min_length=1)
    """The orders in which options are listed; small models lean on position."""


def reason_to_reject(
    question: Mapping[str, Any], opinions: Mapping[str, OpinionTable]
) -> Reason | None:
    """Why a question may not be learned from."""
    if question["held_out"]:
        return "item held out for evaluation"
    if question["wording"] == UNSEEN:
        return "wording kept for evaluation"
    return None if question["item"] in opinions else "not in the profile's table"


def learning_rows(
    community: str,
    questions: list[dict[str, Any]],
    opinions: Mapping[str, OpinionTable],
    orders: tuple[Order, ...],
) -> Iterator[dict[str, Any]]:
    """One row for every question that may be learned from, in every order."""
    for question in questions:
        if reason_to_reject(question, opinions):
            continue
        table = opinions[question["item"]]
        for order in orders:
            content = {
                "community": community,
                "battery": question["battery"],
                "item": question["item"],
                "wording": question["wording"],
                "order": order,
                "question": question["question"],
                "options": list(arrange(question["options"], order)),
                "shares": list(arrange(table.shares, order)),
                "n": table.n,
                "n_effective": table.n_effective,
                "held_out": False,
            }
            prompt = render(content["question"], content["options"])
            yield {
                "row_id": row_id(f"opinions:{community}", content),
                "parents": [question["row_id"]],
                **content,
                "prompt": prompt,
            }


def rejected_rows(
    questions: list[dict[str, Any]], opinions: Mapping[str, OpinionTable]
) -> Iterator[dict[str, Any]]:
    """The questions that were left out, each with its reason and the row that caused it."""
    for question in questions:
        if reason := reason_to_reject(question, opinions):
            yield {
                "row_id": question["row_id"],
                "item": question["item"],
                "wording": question["wording"],
                "reason": reason,
                "caused_by": question["row_id"],
            }


def run(context: Context) -> None:
    """Renders a community's questions."""
    import polars

    params = context.typed(Params)
    (profile,) = context.profiles
    questions = read_rows(context.input("questionnaire").files / "items.parquet").to_dicts()
    named = profile.fields["opinions"]["instrument"]
    asked = {question["instrument"] for question in questions}
    if asked != {named}:
        raise MethodError(
            f"{profile.id} holds opinions on {named!r}, the questionnaire is {sorted(asked)}",
            mend="name the questionnaire that the profile's table answers",
        )
    options = {question["item"]: question["options"] for question in questions}
    table = profile.table("opinions.csv")
    opinions = read_still_told(table, options)
    rows = list(learning_rows(profile.id, questions, opinions, params.orders))
    write_rows(context.out / "items.parquet", rows)
    names = ("row_id", "item", "wording", "reason", "caused_by")
    schema = dict.fromkeys(names, polars.String)
    write_rows(context.out / "rejected.parquet", list(rejected_rows(questions, opinions)), schema)


method = Method(
    name="opinion-items",
    kind="dataset",
    description="Survey questions as prompts with a community's answer shares.",
    params=Params,
    run=run,
    inputs={"questionnaire": Role("dataset", "the items in every wording")},
    reads=("opinions.csv",),
    profile_fields=("opinions",),
    use="train-sft",
    libraries=LIBRARIES,
)
