"""A few reasoning tasks, drawn as a declaration would."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from assets.sources import reasoning_tasks
from assets.sources.reasoning_tasks import TaskGenerator


def drawn(build, side: str, seed: int = 0, **rows: int) -> Path:
    """The files of a dataset with so many rows of each generator."""
    generators = tuple(TaskGenerator(name=name, rows=count) for name, count in rows.items())
    context = replace(build(reasoning_tasks.Params(side=side, generators=generators)), seed=seed)
    reasoning_tasks.run(context)
    return context.out
