"""Does it matter which rows a model learns from? One model, one budget, several choices of rows.

Each choice ("arm") gives the same number of rows and the same steps, for several seeds; each model
so trained is measured on tasks of kinds that none of the rows has, and then forgotten.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from assets.alignment import training
from assets.alignment.fine_tuning import tune
from assets.alignment.training import Tell, TuningParams
from assets.compute import LIBRARIES, load_weights, prepare, save_model
from assets.evaluation.arms import (
    ACCURACY,
    BASE,
    Found,
    Unit,
    draw,
    in_lines,
    learnable,
    measured,
    results_of,
    rows_of,
    score_model,
)  # fmt: skip
from assets.evaluation.tasks import Row, Scored, floor, require_tasks
from assets.rows import ROWS, read_rows, write_rows
from assets.sources.verifiers import LIBRARIES as TASK_LIBRARIES
from assets.synthesis.sampling import Sampling
from registry.errors import MethodError
from registry.method import Method, Role
from registry.results import Result, Results
from registry.typed import Frozen

if TYPE_CHECKING:
    from registry.context import Context, Input

PART = "held-out tasks"


class Params(Frozen):
    """The budget that all arms share."""

    rows: int = Field(default=200, ge=1)
    """Rows that each model learns from; an arm with more gives a draw of them for each seed."""
    seeds: tuple[int, ...] = Field(default=(0, 1, 2), min_length=1)
    """Models of each arm."""
    tuning: TuningParams = TuningParams(steps=75, batch_size=8, longest=384, checkpoint_every=0)
    """How each is trained."""
    sampling: Sampling = Sampling(temperature=0, max_new_tokens=32)
    """How each answers."""
    batch_size: int = Field(default=32, ge=1)
    """Tasks that are put at once."""
    resamples: int = Field(default=2000, ge=100)
    """Draws of new tasks, for the intervals."""


def choose(rows: Sequence[Row], count: int, seed: int, arm: str) -> list[Row]:
    """The rows that an arm gives to one model, drawn by seed where it has more."""
    if len(rows) < count:
        raise MethodError(
            f"the arm {arm} has {len(rows)} rows, and each model learns from {count}",
            why="arms of different size would not show which rows are better",
            mend="lower params.rows, or make the arm larger",
        )
    drawn = np.random.default_rng(seed).permutation(len(rows))[:count]
    return [rows[place] for place in sorted(drawn)]


def require_apart(arms: Mapping[str, Sequence[Row]], tasks: Sequence[Row]) -> None:
    """Raises MethodError where a row is of a kind, or asks a question, that is measured on."""
    kinds, questions = {row["task"] for row in tasks}, {row["prompt"] for row in tasks}
    for arm, rows in arms.items():
        for row in rows:
            if row.get("task") in kinds or row["prompt"] in questions:
                raise MethodError(
                    f"row {row['row_id']} of {arm} is of a kind that is measured on",
                    why="the figures would show what was learned by heart",
                    mend="leave its kind out of the arm, or out of the held-out tasks",
                )


def run(context: Context) -> None:
    """Trains and measures every model, then compares the arms."""
    params = context.typed(Params)
    given = context.input("tasks")
    tasks = read_rows(given.files / ROWS).to_dicts()
    require_tasks(tasks, given.label)
    arms = {one.label: read_rows(one.files / ROWS).to_dicts() for one in context.inputs("arms")}
    require_apart(arms, tasks)
    for arm, rows in arms.items():
        choose(rows, params.rows, 0, arm)
    units = [Unit(BASE, 0)] + [Unit(arm, seed) for arm in arms for seed in params.seeds]
    found: dict[Unit, list[Scored]] = {}
    steps = params.tuning.steps
    for done, unit in enumerate(units):

        def tell(
            step: int, figures: Mapping[str, float], done: int = done, arm: str = unit.arm
        ) -> None:
            curve = {f"loss_{arm}": figures["loss"]}
            context.progress(done * steps + step, len(units) * steps, **curve)

        rows = arms.get(unit.arm, [])
        measure = partial(_measure, context, params, unit, rows, tasks, tell)
        found[unit] = measured(context.work / "units", unit, measure)
    _write(context, params, found, tasks)


def _measure(
    context: Context,
    params: Params,
    unit: Unit,
    rows: Sequence[Row],
    tasks: Sequence[Row],
    tell: Tell,
) -> list[Scored]:
    """Trains one model and scores it."""
    device = prepare(context)
    base: Input = context.input("base")
    files, scratch = base.files, context.work / "unit"
    shutil.rmtree(scratch, ignore_errors=True)
    if unit.arm != BASE:
        model, tokenizer = load_weights(base.files, device, params.tuning.loads_as)
        chosen = choose(rows, params.rows, unit.seed, unit.arm)
        sequences = learnable(
            tokenizer, chosen, params.tuning.longest, unit.arm, chat=params.sampling.chat_template
        )
        tuned, _ = tune(
            model, tokenizer, sequences, params.tuning, seed=unit.seed, device=context.device,
            folder=scratch / "trainer", tell=tell,
        )  # fmt: skip
        files = scratch / "model"
        save_model(tuned, tokenizer, files)
    scored = score_model(context, files, tasks, params.sampling, params.batch_size, scratch)
    shutil.rmtree(scratch, ignore_errors=True)
    return scored


def informative(results: Sequence[Result], lowest: float) -> bool:
    """Whether the base model's accuracy can be told from that of not reading the question."""
    base = next(r for r in results if r.about == BASE and r.metric == ACCURACY)
    return base.low > lowest


def markdown(params: Params, found: Found, results: Sequence[Result], lowest: float) -> str:
    """The figures as a page."""
    head = (
        f"Each model learned from {params.rows} rows in {params.tuning.steps} steps; "
        f"{len(params.seeds)} seeds an arm, averaged first; 95 % intervals over tasks, to which "
        "the spread over seeds, beside, comes on top."
    )
    lines = [head, "", "| rows chosen by | metric | value | 95 % interval | seeds | tasks |"]
    lines.append("|---|---|---|---|---|---|")
    lines += in_lines(found, results)
    lines += ["", f"Always giving the commonest answer of a kind gets {lowest:.3f} right."]
    if not informative(results, lowest):
        why = (
            "**Accuracy is uninformative at this size:** the base model gets no more right than "
            "somebody who has not read the question. Only the nats can be compared."
        )
        lines += ["", why]
    return "\n".join(lines) + "\n"


def _write(
    context: Context,
    params: Params,
    found: Found,
    tasks: Sequence[Row],
) -> None:
    write_rows(context.out / "scores.parquet", rows_of(found))
    floors = floor(tasks)
    lowest = sum(floors[row["task"]] for row in tasks) / len(tasks)
    results = list(results_of(found, tasks, PART, params.resamples, context.seed))
    Results(results=tuple(results)).write(context.out)
    (context.out / "table.md").write_text(
        markdown(params, found, results, lowest), encoding="utf-8"
    )
    headline = {f"{r.about}: {r.metric}": r.value for r in results if "minus" not in r.metric}
    headline["always the commonest answer"] = lowest
    (context.out / "headline.json").write_text(json.dumps(headline, indent=2) + "\n")
    (context.out / "arms.png").write_bytes(draw(results))


method = Method(
    name="selection-experiment",
    kind="evaluation",
    description="Trains one model on several choices of rows and compares what each learned.",
    params=Params,
    run=run,
    inputs={
        "base": Role("model", "the model that each arm starts from"),
        "tasks": Role("dataset", "tasks with verifiers, of kinds that no arm has"),
        "arms": Role(
            "dataset", "choices of rows; the first is what others are compared to", many=True
        ),
    },
    use="train-sft",
    libraries=(*LIBRARIES, *training.LIBRARIES, *TASK_LIBRARIES, "matplotlib", "polars"),
)
