"""Does it matter which rows a model learns from? One model, one budget, several choices of rows.

Each choice ("arm") gives the same number of rows and the same steps, for several seeds; each model
so trained is measured on tasks of kinds that none of the rows has, and then forgotten. Every pair
of arm and seed is kept as it ends, so that a run that was stopped repeats none of them.

Seeds are averaged first. Intervals are over tasks, drawn anew within each kind; differences are
taken task by task.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from assets.alignment import training
from assets.alignment.fine_tuning import tune
from assets.alignment.sft import sort_out
from assets.alignment.training import Tell, TuningParams
from assets.compute import LIBRARIES, load_model, load_weights, prepare, save_model
from assets.evaluation.tasks import Row, Scored, floor, require_tasks, score_tasks
from assets.rows import ROWS, read_rows, write_rows
from assets.sources.verifiers import LIBRARIES as TASK_LIBRARIES
from assets.synthesis.sampling import Sampling
from registry.artifact import write_atomically
from registry.errors import MethodError
from registry.method import Method, Role
from registry.results import Result, Results
from registry.typed import Frozen

if TYPE_CHECKING:
    from registry.context import Context, Input

Array = NDArray[np.float64]
BASE = "base"
"""The arm that learns nothing."""
_METRICS = {"verified accuracy": False, "nats per token of the reference answer": True}
"""What is measured, and whether lower is better."""


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


@dataclass(frozen=True)
class Unit:
    """One model of the experiment."""

    arm: str
    seed: int

    @property
    def name(self) -> str:
        """What it is known by."""
        return f"{self.arm}-{self.seed}"


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

        found[unit] = _measure(context, params, unit, arms.get(unit.arm, []), tasks, tell)
    _write(context, params, found, tasks)


def _measure(
    context: Context,
    params: Params,
    unit: Unit,
    rows: Sequence[Row],
    tasks: Sequence[Row],
    tell: Tell,
) -> list[Scored]:
    """One model's scores, from an earlier attempt where it came so far."""
    path = context.work / "units" / f"{unit.name}.json"
    if path.is_file():
        return [Scored(**one) for one in json.loads(path.read_bytes())]
    device = prepare(context)
    base: Input = context.input("base")
    files, scratch = base.files, context.work / "unit"
    shutil.rmtree(scratch, ignore_errors=True)
    if unit.arm != BASE:
        model, tokenizer = load_weights(base.files, device, params.tuning.loads_as)
        chosen = [dict(row) for row in choose(rows, params.rows, unit.seed, unit.arm)]
        chat = params.sampling.chat_template
        sequences, rejected = sort_out(tokenizer, chosen, params.tuning.longest, chat=chat)
        if rejected:
            raise MethodError(
                f"{len(rejected)} rows of {unit.arm} cannot be learned from",
                why=f"{rejected[0]['row_id']}: {rejected[0]['reason']}",
                mend="filter the arm first, so that all arms give the same number of rows",
            )
        tuned, _ = tune(
            model, tokenizer, sequences, params.tuning, seed=unit.seed, device=context.device,
            folder=scratch / "trainer", tell=tell,
        )  # fmt: skip
        files = scratch / "model"
        save_model(tuned, tokenizer, files)
    model, tokenizer = load_model(files, device, "bfloat16")
    scored = score_tasks(
        context, model, tokenizer, tasks, params.sampling, batch_size=params.batch_size,
        folder=scratch / "answers", progress=lambda _done, _total: None,
    )  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps([one.to_row() for one in scored]).encode())
    shutil.rmtree(scratch, ignore_errors=True)
    return scored


def table(found: Mapping[Unit, Sequence[Scored]], arm: str, metric: str) -> Array:
    """What an arm's models reached on each task, averaged over seeds."""
    runs = [scored for unit, scored in found.items() if unit.arm == arm]
    values = [[one.correct if metric == "verified accuracy" else one.nats for one in scored]
              for scored in runs]  # fmt: skip
    averaged: Array = np.asarray(values, dtype=np.float64).mean(axis=0)
    return averaged


def redraw(kinds: Sequence[str], draws: int, seed: int) -> NDArray[np.int64]:
    """New tasks, as many of each kind as there were; shape (draws, tasks)."""
    source = np.random.default_rng(seed)
    names = np.asarray(kinds)
    parts = []
    for kind in sorted(set(kinds)):
        places = np.flatnonzero(names == kind)
        parts.append(source.choice(places, size=(draws, len(places))))
    return np.concatenate(parts, axis=1)


def interval(values: Array, drawn: NDArray[np.int64]) -> tuple[float, float, float]:
    """The mean over tasks and its 95 % interval."""
    low, high = np.quantile(values[drawn].mean(axis=1), [0.025, 0.975])
    return float(values.mean()), float(low), float(high)


def results_of(
    params: Params, found: Mapping[Unit, Sequence[Scored]], tasks: Sequence[Row], seed: int
) -> Iterator[Result]:
    """Each arm's figures, and how they differ from those of the first arm."""
    arms = list(dict.fromkeys(unit.arm for unit in found))
    compared = [arm for arm in arms if arm != BASE]
    drawn = redraw([row["task"] for row in tasks], params.resamples, seed)
    for metric, lower in _METRICS.items():
        values = {arm: table(found, arm, metric) for arm in arms}
        for arm in arms:
            value, low, high = interval(values[arm], drawn)
            beside = {other: float(values[other].mean()) for other in arms if other != arm}
            yield Result(
                about=arm, slice="held-out tasks", metric=metric, lower_is_better=lower,
                value=value, low=low, high=high, items=len(tasks), beside=beside,
            )  # fmt: skip
        for arm in compared[1:]:
            value, low, high = interval(values[arm] - values[compared[0]], drawn)
            yield Result(
                about=arm, slice="held-out tasks", metric=f"{metric}, minus {compared[0]}",
                lower_is_better=lower, value=value, low=low, high=high, items=len(tasks),
                beside={},
            )  # fmt: skip


def informative(results: Sequence[Result], lowest: float) -> bool:
    """Whether the base model's accuracy can be told from that of not reading the question."""
    base = next(r for r in results if r.about == BASE and r.metric == "verified accuracy")
    return base.low > lowest


def by_seed(found: Mapping[Unit, Sequence[Scored]], arm: str, metric: str) -> list[float]:
    """An arm's figure for each of its seeds."""
    return [
        float(table({unit: scored}, arm, metric).mean())
        for unit, scored in found.items()
        if unit.arm == arm
    ]


def markdown(
    params: Params, found: Mapping[Unit, Sequence[Scored]], results: Sequence[Result], lowest: float
) -> str:
    """The figures as a page."""
    head = (
        f"Each model learned from {params.rows} rows in {params.tuning.steps} steps; "
        f"{len(params.seeds)} seeds an arm, averaged first; 95 % intervals over tasks, to which "
        "the spread over seeds, beside, comes on top."
    )
    lines = [head, "", "| rows chosen by | metric | value | 95 % interval | seeds | tasks |"]
    lines.append("|---|---|---|---|---|---|")
    for r in results:
        seeds = by_seed(found, r.about, r.metric) if r.metric in _METRICS else []
        shown = " ".join(f"{value:.3f}" for value in seeds)
        lines.append(
            f"| {r.about} | {r.metric} | {r.value:.3f} | {r.low:.3f} to {r.high:.3f} | {shown} "
            f"| {r.items} |"
        )
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
    found: Mapping[Unit, Sequence[Scored]],
    tasks: Sequence[Row],
) -> None:
    rows: list[dict[str, Any]] = [
        {"arm": unit.arm, "seed": unit.seed, **one.to_row(), "parents": [one.row_id]}
        for unit, scored in found.items()
        for one in scored
    ]
    write_rows(context.out / "scores.parquet", rows)
    floors = floor(tasks)
    lowest = sum(floors[row["task"]] for row in tasks) / len(tasks)
    results = list(results_of(params, found, tasks, context.seed))
    Results(results=tuple(results)).write(context.out)
    (context.out / "table.md").write_text(
        markdown(params, found, results, lowest), encoding="utf-8"
    )
    headline = {f"{r.about}: {r.metric}": r.value for r in results if "minus" not in r.metric}
    headline["always the commonest answer"] = lowest
    (context.out / "headline.json").write_text(json.dumps(headline, indent=2) + "\n")
    (context.out / "arms.png").write_bytes(_draw(results))


def _draw(results: Sequence[Result]) -> bytes:
    """A panel for each metric, an arm a line, with its interval."""
    from io import BytesIO

    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3), layout="constrained")
    FigureCanvasAgg(figure)
    for axis, metric in zip(figure.subplots(1, 2), _METRICS, strict=True):
        shown = [r for r in results if r.metric == metric][::-1]
        axis.errorbar(
            [r.value for r in shown],
            range(len(shown)),
            xerr=[[r.value - r.low for r in shown], [r.high - r.value for r in shown]],
            fmt="o",
            color="#30638e",
            capsize=3,
        )
        axis.set_yticks(range(len(shown)), [r.about for r in shown], fontsize=8)
        axis.set_title(metric, fontsize=9)
        axis.grid(axis="x", alpha=0.3)
    out = BytesIO()
    figure.savefig(out, format="png", dpi=110, metadata={"Software": None})
    return out.getvalue()


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
