"""Models that learned in different ways ("arms"), compared on the same tasks.

Seeds are averaged first. Intervals are over tasks, drawn anew within each kind; differences are
taken task by task. Every pair of arm and seed is kept as it ends, so that an experiment that was
stopped repeats none of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from assets.alignment.sft import sort_out
from assets.compute import load_model, prepare
from assets.evaluation.tasks import Row, Scored, score_tasks
from assets.synthesis.sampling import Sampling
from registry.artifact import write_atomically
from registry.errors import MethodError
from registry.results import Result

if TYPE_CHECKING:
    from assets.alignment.sequences import TokenSequence
    from registry.context import Context

Array = NDArray[np.float64]
BASE = "base"
"""The arm that learns nothing."""
ACCURACY, NATS = "verified accuracy", "nats per token of the reference answer"
METRICS = {ACCURACY: False, NATS: True}
"""What is measured, and whether lower is better."""
Found = Mapping["Unit", Sequence[Scored]]
"""What each model reached on each task."""


@dataclass(frozen=True)
class Unit:
    """One model of the experiment."""

    arm: str
    seed: int

    @property
    def name(self) -> str:
        """What it is known by."""
        return f"{self.arm}-{self.seed}"


def learnable(
    tokenizer: Any, rows: Sequence[Row], longest: int, whose: str, *, chat: bool
) -> list[TokenSequence]:
    """Rows as a model learns from them.

    Raises:
        MethodError: One cannot be learned from, so that arms would learn from different rows.
    """
    chosen = [dict(row) for row in rows]
    sequences, rejected = sort_out(tokenizer, chosen, longest, chat=chat)
    if rejected:
        raise MethodError(
            f"{len(rejected)} of {len(chosen)} rows of {whose} cannot be learned from",
            why=f"{rejected[0]['row_id']}: {rejected[0]['reason']}",
            mend="filter them out first, so that all arms learn from as many rows",
        )
    return sequences


def measured(folder: Path, unit: Unit, measure: Callable[[], list[Scored]]) -> list[Scored]:
    """One model's scores, from an earlier attempt where it came so far."""
    path = folder / f"{unit.name}.json"
    if path.is_file():
        return [Scored(**one) for one in json.loads(path.read_bytes())]
    scored = measure()
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps([one.to_row() for one in scored]).encode())
    return scored


def score_model(
    context: Context,
    files: Path,
    tasks: Sequence[Row],
    sampling: Sampling,
    batch_size: int,
    scratch: Path,
) -> list[Scored]:
    """Lets a model answer every task; answers lie in `scratch` until all are there."""
    model, tokenizer = load_model(files, prepare(context), "bfloat16")
    return score_tasks(
        context, model, tokenizer, tasks, sampling, batch_size=batch_size,
        folder=scratch / "answers", progress=lambda _done, _total: None,
    )  # fmt: skip


def table(found: Found, arm: str, metric: str) -> Array:
    """What an arm's models reached on each task, averaged over seeds."""
    runs = [scored for unit, scored in found.items() if unit.arm == arm]
    values = [[one.correct if metric == ACCURACY else one.nats for one in scored]
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


def by_seed(found: Found, arm: str, metric: str) -> list[float]:
    """An arm's figure for each of its seeds."""
    return [
        float(table({unit: scored}, arm, metric).mean())
        for unit, scored in found.items()
        if unit.arm == arm
    ]


def results_of(
    found: Found, tasks: Sequence[Row], part: str, draws: int, seed: int
) -> Iterator[Result]:
    """Each arm's figures, and how they differ from those of the first arm that learned.

    Args:
        found: What each model reached on each of the tasks.
        tasks: The tasks.
        part: What they are called.
        draws: Draws of new tasks, for the intervals.
        seed: The seed.
    """
    arms = list(dict.fromkeys(unit.arm for unit in found))
    compared = [arm for arm in arms if arm != BASE]
    drawn = redraw([row["task"] for row in tasks], draws, seed)
    for metric, lower in METRICS.items():
        values = {arm: table(found, arm, metric) for arm in arms}
        for arm in arms:
            value, low, high = interval(values[arm], drawn)
            beside = {other: float(values[other].mean()) for other in arms if other != arm}
            yield Result(
                about=arm, slice=part, metric=metric, lower_is_better=lower,
                value=value, low=low, high=high, items=len(tasks), beside=beside,
            )  # fmt: skip
        for arm in compared[1:]:
            value, low, high = interval(values[arm] - values[compared[0]], drawn)
            yield Result(
                about=arm, slice=part, metric=f"{metric}, minus {compared[0]}",
                lower_is_better=lower, value=value, low=low, high=high, items=len(tasks),
                beside={},
            )  # fmt: skip


def rows_of(found: Found) -> list[dict[str, object]]:
    """Every answer of every model."""
    return [
        {"arm": unit.arm, "seed": unit.seed, **one.to_row(), "parents": [one.row_id]}
        for unit, scored in found.items()
        for one in scored
    ]


def in_lines(found: Found, results: Sequence[Result]) -> list[str]:
    """The figures as lines of a Markdown table, with each seed's beside them."""
    lines = []
    for r in results:
        seeds = by_seed(found, r.about, r.metric) if r.metric in METRICS else []
        shown = " ".join(f"{value:.3f}" for value in seeds)
        lines.append(
            f"| {r.about} | {r.metric} | {r.value:.3f} | {r.low:.3f} to {r.high:.3f} | {shown} "
            f"| {r.items} |"
        )
    return lines


def draw(results: Sequence[Result]) -> bytes:
    """A picture: a panel for each metric, an arm a line, with its interval."""
    from io import BytesIO

    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3), layout="constrained")
    FigureCanvasAgg(figure)
    for axis, metric in zip(figure.subplots(1, 2), METRICS, strict=True):
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
