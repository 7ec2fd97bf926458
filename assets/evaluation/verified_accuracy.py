"""The share of held-out tasks that a model gets wholly right, by kind of task."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from assets.compute import LIBRARIES, Dtype, load_model, prepare
from assets.evaluation.intervals import mean, wilson
from assets.evaluation.tasks import Row, Scored, floor, require_tasks, score_tasks
from assets.rows import ROWS, read_rows, write_rows
from assets.sources.verifiers import LIBRARIES as TASK_LIBRARIES
from assets.synthesis.sampling import Sampling
from registry.method import Method, Role
from registry.results import Result, Results
from registry.typed import Frozen

if TYPE_CHECKING:
    from registry.context import Context

ALL = "all kinds of task"


class Params(Frozen):
    """How tasks are put."""

    sampling: Sampling = Sampling(temperature=0, max_new_tokens=48)
    """How answers are drawn; a temperature of 0 takes the most likely one."""
    batch_size: int = Field(default=32, ge=1)
    """Tasks at once."""
    dtype: Dtype = "bfloat16"
    """The number format of the model."""


def results_of(scored: Sequence[Scored], rows: Sequence[Row], about: str) -> list[Result]:
    """The figures, over all tasks and for each kind."""
    floors = floor(rows)
    found = []
    for name in [ALL, *floors]:
        chosen = [one for one in scored if name in (ALL, one.task)]
        lowest = sum(floors[one.task] for one in chosen) / len(chosen)
        value = sum(one.correct for one in chosen) / len(chosen)
        low, high = wilson(value, len(chosen))
        found.append(
            Result(
                about=about,
                slice=name,
                metric="verified accuracy",
                lower_is_better=False,
                value=value,
                low=low,
                high=high,
                items=len(chosen),
                beside={"always the commonest answer": lowest},
            )
        )
        value, low, high = mean([one.nats for one in chosen])
        found.append(
            Result(
                about=about,
                slice=name,
                metric="nats per token of the reference answer",
                lower_is_better=True,
                value=value,
                low=low,
                high=high,
                items=len(chosen),
                beside={},
            )
        )
    return found


def run(context: Context) -> None:
    """Puts every task to the model."""
    params = context.typed(Params)
    given = context.input("tasks")
    rows = read_rows(given.files / ROWS).to_dicts()
    require_tasks(rows, given.label)
    device = prepare(context)
    about = context.input("model")
    model, tokenizer = load_model(about.files, device, params.dtype)
    scored = score_tasks(
        context,
        model,
        tokenizer,
        rows,
        params.sampling,
        batch_size=params.batch_size,
        folder=context.work / "answers",
        progress=context.progress,
    )
    answers = [{**one.to_row(), "parents": [one.row_id]} for one in scored]
    write_rows(context.out / "answers.parquet", answers)
    results = results_of(scored, rows, about.label)
    Results(results=tuple(results)).write(context.out)
    headline = {
        "verified accuracy": results[0].value,
        "always the commonest answer": results[0].beside["always the commonest answer"],
        "answers that could be read": sum(one.answered for one in scored) / len(scored),
    }
    (context.out / "headline.json").write_text(json.dumps(headline, indent=2) + "\n")


method = Method(
    name="verified-accuracy",
    kind="evaluation",
    description="The share of tasks that a model gets wholly right, checked by a program.",
    params=Params,
    run=run,
    inputs={
        "model": Role("model", "the model to measure", form="language model"),
        "tasks": Role("dataset", "tasks with verifiers, of kinds that it did not learn from"),
    },
    libraries=(*LIBRARIES, *TASK_LIBRARIES, "polars", "scipy"),
)
