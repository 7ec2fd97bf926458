"""Supervised fine-tuning on rows of prompts and completions, or of conversations.

The loss falls on completions only. Rows without a completion, and rows longer than the model is
told to read, are left out and named in `rejected.parquet`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from assets.alignment import training
from assets.alignment.fine_tuning import tune
from assets.alignment.reward_scoring import require_language_model
from assets.alignment.sequences import (
    TokenSequence,
    mark_in,
    of_chat,
    of_completion,
    problem_of_chat,
)
from assets.alignment.training import TuningParams, save_trained, told
from assets.compute import LIBRARIES, load_weights, prepare
from assets.rows import ROWS, read_rows, turned_away, write_left_out
from registry.errors import MethodError
from registry.method import Method, Role

if TYPE_CHECKING:
    from registry.context import Context


class Params(TuningParams):
    """Parameters of the training."""

    chat_template: bool = True
    """Whether rows are written as turns, by the model's own template."""


def sequence_of(tokenizer: Any, row: Mapping[str, Any], *, chat: bool) -> TokenSequence:
    """A row as tokens: its `messages` where it has some, else its prompt and completion."""
    if row.get("messages"):
        return of_chat(tokenizer, row["messages"])
    return of_completion(tokenizer, row["prompt"] or "", row["completion"], chat=chat)


def sort_out(
    tokenizer: Any, rows: list[dict[str, Any]], longest: int, *, chat: bool
) -> tuple[list[TokenSequence], list[dict[str, Any]]]:
    """The rows as sequences, and those that cannot be learned from, with the reason."""
    taken: list[TokenSequence] = []
    rejected = []
    for row in rows:
        if problem := _problem(tokenizer, row, chat=chat):
            rejected.append(turned_away(row["row_id"], problem))
            continue
        sequence = sequence_of(tokenizer, row, chat=chat)
        if not any(sequence.learned):
            rejected.append(turned_away(row["row_id"], "nothing in it is learned"))
        elif len(sequence.ids) > longest:
            why = f"longer than {longest} tokens"
            rejected.append(turned_away(row["row_id"], why, len(sequence.ids)))
        else:
            taken.append(sequence)
    return taken, rejected


def _problem(tokenizer: Any, row: Mapping[str, Any], *, chat: bool) -> str:
    """Why a row cannot be learned from, or nothing."""
    if turns := row.get("messages"):
        if problem := problem_of_chat(turns):
            return problem
        texts = [turn["content"] for turn in turns]
    else:
        if not (row["completion"] or "").strip():
            return "its completion is empty"
        if chat and not (row["prompt"] or "").strip():
            return "its prompt is empty"
        texts = [row["prompt"] or "", row["completion"]]
    found = mark_in(tokenizer, texts)
    return f"it holds {found!r}, which the model reads as a mark" if found else ""


def run(context: Context) -> None:
    """Trains on every row of every dataset given, and saves the model."""
    params = context.typed(Params)
    require_language_model(context.input("base"))
    device = prepare(context)
    model, tokenizer = load_weights(context.input("base").files, device, params.loads_as)
    rows = [
        row for given in context.inputs("data") for row in read_rows(given.files / ROWS).to_dicts()
    ]
    sequences, rejected = sort_out(tokenizer, rows, params.longest, chat=params.chat_template)
    if not sequences:
        raise MethodError(
            f"none of {len(rows)} rows can be learned from",
            why=rejected[0]["reason"] if rejected else "the dataset is empty",
            mend="give rows with completions, or raise params.longest",
        )
    trained, curve = tune(
        model,
        tokenizer,
        sequences,
        params,
        seed=context.seed,
        device=context.device,
        folder=context.work / "trainer",
        tell=told(context, params.steps),
        say=context.ran,
    )
    panels = {"loss (nats)": [row["loss"] for row in curve]}
    save_trained(context, trained, tokenizer, curve, panels, "loss.png")
    write_left_out(context.out, rejected)


method = Method(
    name="sft",
    kind="model",
    form="language model",
    description="Supervised fine-tuning on prompts and completions, all weights or an adapter.",
    params=Params,
    run=run,
    inputs={
        "base": Role("model", "the model to start from", form="language model"),
        "data": Role("dataset", "rows of prompts and completions, or of conversations", many=True),
    },
    use="train-sft",
    spreads=True,
    libraries=(*LIBRARIES, *training.LIBRARIES, "matplotlib", "polars"),
)
