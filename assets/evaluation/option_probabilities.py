"""A model's probability of each option of each question: all the expensive scoring in one place.

Every later figure is arithmetic over these rows. One model that answers as many groups is scored
once for each, told in the words in which it learned (`conditioned-option-probabilities`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pydantic import Field

from assets.compute import LIBRARIES, Dtype, load_model, prepare
from assets.option_prompt import (
    ORDERS,
    Order,
    arrange,
    encode,
    letter_ids,
    next_token_probabilities,
    render,
)
from assets.rows import read_rows, row_id, write_rows
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
    """Prompts at once."""
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
    params = context.typed(Params)
    device = prepare(context)
    given = context.input("model")
    model, tokenizer = load_model(given.files, device, params.dtype)
    questions = read_rows(context.input("questionnaire").files / "items.parquet").to_dicts()
    asked = [(question, order) for question in questions for order in params.orders]
    encoded = [
        encode(tokenizer, lead(render(q["question"], arrange(q["options"], order))))
        for q, order in asked
    ]
    letters = letter_ids(tokenizer, max(len(q["options"]) for q in questions))
    by_length = sorted(range(len(asked)), key=lambda index: (len(encoded[index]), index))
    found: dict[int, list[float]] = {}
    for start in range(0, len(by_length), params.batch_size):
        chosen = by_length[start : start + params.batch_size]
        probabilities = next_token_probabilities(model, tokenizer, [encoded[i] for i in chosen])
        found |= dict(zip(chosen, probabilities[:, letters].tolist(), strict=True))
        context.progress(len(found), len(asked))
    rows = [
        row
        for index, (question, order) in enumerate(asked)
        for row in _option_rows(question, order, found[index])
    ]
    write_rows(context.out / "probabilities.parquet", rows)
    summary = {"schema_version": 1, "model": given.name, "community": given.community}
    summary |= {"told": told} if told else {}
    (context.out / "model.json").write_text(json.dumps(summary, sort_keys=True, indent=2) + "\n")


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
