"""A model's probability of each option of each question: all the expensive scoring in one place.

Every later figure is arithmetic over these rows. One model that answers as many groups is scored
once for each, told in the words in which it learned (`conditioned-option-probabilities`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from assets.compute import LIBRARIES, Dtype, load_model, prepare
from assets.option_prompt import (
    ORDERS,
    Order,
    arrange,
    encode,
    letter_ids,
    render,
)
from assets.rows import read_rows, row_id, write_rows
from assets.shared_prefixes import all_probabilities
from assets.synthesis.conditioned_items import conditioned
from registry.errors import MethodError
from registry.method import Method, Role
from registry.typed import Frozen

if TYPE_CHECKING:
    from registry.context import Context


class Params(Frozen):
    """How questions are put."""

    orders: tuple[Order, ...] = Field(default=ORDERS, min_length=1)
    """The orders in which options are shown."""
    batch_size: int = Field(default=16, ge=1)
    """Prompts at once; all orders of a question stand in one batch."""
    dtype: Dtype = "bfloat16"
    """The number format of the forward pass."""


def run(context: Context) -> None:
    """Scores every option of every question, wording and order."""
    _score(context, lambda prompt: prompt, None)


def run_conditioned(context: Context) -> None:
    """The same of one model that is told to answer as the node's community."""
    if len(context.profiles) != 1 or context.input("model").community:
        raise MethodError(
            "one model is asked as one community at a time",
            where=context.node,
            mend="add `each: community`, and give a model that was made for all of them",
        )
    (profile,) = context.profiles
    _score(context, lambda prompt: conditioned(profile.name, prompt), profile.id)


def _score(context: Context, lead: Callable[[str], str], told: str | None) -> None:
    import torch

    params = context.typed(Params)
    device = prepare(context)
    given = context.input("model")
    model, tokenizer = load_model(given.files, device, params.dtype)
    questions = read_rows(context.input("questionnaire").files / "items.parquet").to_dicts()
    _require_a_choice(questions, context)
    encoded = [
        [
            encode(tokenizer, lead(render(question["question"], arrange(question["options"], o))))
            for o in params.orders
        ]
        for question in questions
    ]
    letters = letter_ids(tokenizer, max(len(q["options"]) for q in questions))
    wanted = torch.tensor(letters)
    pad = tokenizer.pad_token_id or 0  # where a tokenizer has none: padding is masked anyway
    found: dict[int, list[list[float]]] = {}
    for batch in all_probabilities(model, encoded, wanted, pad, params.batch_size):
        found |= {place: shown.tolist() for place, shown in batch.items()}
        context.progress(len(found), len(questions))
    rows = [
        row
        for index, question in enumerate(questions)
        for order, shown in zip(params.orders, found[index], strict=True)
        for row in _option_rows(question, order, shown)
    ]
    write_rows(context.out / "probabilities.parquet", rows)
    summary = {"schema_version": 1, "model": given.name, "community": given.community}
    summary |= {"told": told} if told else {}
    (context.out / "model.json").write_text(json.dumps(summary, sort_keys=True, indent=2) + "\n")


def _require_a_choice(questions: Sequence[Mapping[str, Any]], context: Context) -> None:
    for question in questions:
        if len(question["options"]) < 2:  # noqa: PLR2004
            raise MethodError(
                f"item {question['item']} has one option",
                where=context.input("questionnaire").label,
                why="whatever a model says of it is right",
                mend="give it another option, or leave it out of the questionnaire",
            )


def _option_rows(
    question: dict[str, Any], order: Order, letters: list[float]
) -> list[dict[str, Any]]:
    """One row for each option, in the questionnaire's order whatever was shown first."""
    options = question["options"]
    shown = letters[: len(options)]
    outside = max(0.0, 1.0 - sum(shown))
    probabilities = arrange(shown, order)
    return [
        {
            "row_id": row_id("option-probability", [question["row_id"], order, option]),
            "parents": [question["row_id"]],
            "item": question["item"],
            "battery": question["battery"],
            "wording": question["wording"],
            "held_out": question["held_out"],
            "order": order,
            "option": option,
            "position": position,
            "probability": probability,
            "outside": outside,
        }
        for position, (option, probability) in enumerate(
            zip(options, probabilities, strict=True), 1
        )
    ]


_INPUTS = {
    "model": Role("model", "the model to score"),
    "questionnaire": Role("dataset", "the items in every wording"),
}

method = Method(
    name="option-probabilities",
    kind="evaluation",
    description="A model's probability of each option of each question, over option orders.",
    params=Params,
    run=run,
    inputs=_INPUTS,
    use="evaluate",
    libraries=(*LIBRARIES, "polars"),
)

conditioned_method = Method(
    name="conditioned-option-probabilities",
    kind="evaluation",
    description="The same of one model that is told whom to answer as.",
    params=Params,
    run=run_conditioned,
    inputs=_INPUTS,
    profile_fields=("name", "opinions"),
    use="evaluate",
    libraries=(*LIBRARIES, "polars"),
)
