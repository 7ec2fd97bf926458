"""The curves of past attempts at a node, side by side: they outlive what was made.

    chorus runs community-sft@age-22-34

Attempts are aligned by step, so that one which went on from a checkpoint begins where the attempt
before it ended.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from registry.errors import UsageError
from registry.progress import Pace, Standing
from registry.runs import Run, RunFiles, figures_of, read_events, runs_of

GROUP = "chorus.plots"
_BARS = "▁▂▃▄▅▆▇█"


class Curve(NamedTuple):
    """Values at steps, in order."""

    steps: tuple[int, ...]
    values: tuple[float, ...]

    @property
    def finite(self) -> Curve:
        """The same without what is no number."""
        pairs = [pair for pair in zip(*self, strict=True) if math.isfinite(pair[1])]
        return Curve(tuple(step for step, _ in pairs), tuple(value for _, value in pairs))


@dataclass(frozen=True)
class Attempt:
    """One attempt with its curves."""

    number: int
    """Counted from 1, the oldest."""
    run: Run
    standing: Standing
    """How far it came, with the last value of each curve."""
    tokens_per_second: float | None
    """Over the whole attempt."""
    curves: Mapping[str, Curve]

    @property
    def label(self) -> str:
        """What pictures call it."""
        return f"{self.number}: {self.run.started[:16].replace('T', ' ')}, {self.run.outcome}"


Draw = Callable[[str, Mapping[str, Mapping[str, Curve]]], bytes]
"""Draws a picture from a title and, for each curve, its attempts by label."""


def attempts_of(state: Path, node: str, last: int = 0) -> list[Attempt]:
    """The attempts to make a node with their curves, oldest first; all, or only the `last`."""
    numbered = list(enumerate(runs_of(state, node), 1))
    return [read_attempt(state, run, number) for number, run in numbered[-last:]]


def read_attempt(state: Path, run: Run, number: int = 1) -> Attempt:
    """One attempt with what its method noted."""
    pace, points = Pace(), dict[str, dict[int, float]]()
    told: list[tuple[float, float]] = []
    for event in read_events(RunFiles(state / "runs" / run.node, run.id).events):
        pace.hear(event)
        if "tokens" in event:
            told.append((event["time"], event["tokens"]))
        for name, value in figures_of(event).items():
            points.setdefault(name, {})[int(event["done"])] = value
    curves = {
        name: Curve(tuple(sorted(found)), tuple(found[step] for step in sorted(found)))
        for name, found in points.items()
    }
    standing = pace.standing()
    speed = standing.tokens_per_second
    if len(told) > 1 and told[-1][0] > told[0][0]:
        # A method that trains several models counts anew with each.
        read = sum(max(0, after[1] - before[1]) for before, after in pairwise(told))
        speed = read / (told[-1][0] - told[0][0])
    return Attempt(number, run, standing, speed, curves)


def side_by_side(attempts: Sequence[Attempt]) -> dict[str, dict[int, Curve]]:
    """For each curve the attempts that have it, by number; only finite values."""
    names = dict.fromkeys(name for one in attempts for name in one.curves)
    found = {
        name: {
            one.number: one.curves[name].finite
            for one in attempts
            if name in one.curves and one.curves[name].finite.steps
        }
        for name in names
    }
    return {name: curves for name, curves in found.items() if curves}


def sparkline(curve: Curve, steps: tuple[int, int], values: tuple[float, float], width: int) -> str:
    """A curve in so many characters; where it has no step there is a space.

    Args:
        curve: The curve, finite.
        steps: The first and last step of the whole line.
        values: The lowest and highest value that a character can show.
        width: Characters. Each shows the mean of its steps.
    """
    (first, last), (low, high) = steps, values
    cells: list[list[float]] = [[] for _ in range(width)]
    for step, value in zip(*curve, strict=True):
        cells[min(width - 1, (step - first) * width // max(1, last - first + 1))].append(value)
    return "".join(_bar(cell, low, high) for cell in _bridged(cells))


def _bridged(cells: Sequence[list[float]]) -> list[list[float]]:
    """Cells between two points of one curve go on from the point before."""
    filled = [place for place, cell in enumerate(cells) if cell]
    found: list[list[float]] = []
    for place, cell in enumerate(cells):
        inside = bool(filled) and filled[0] < place < filled[-1]
        found.append(found[-1] if inside and not cell else cell)
    return found


def _bar(cell: Sequence[float], low: float, high: float) -> str:
    if not cell:
        return " "
    if high <= low:
        return _BARS[len(_BARS) // 2 - 1]
    part = (sum(cell) / len(cell) - low) / (high - low)
    return _BARS[min(len(_BARS) - 1, max(0, int(part * len(_BARS))))]


def draw(title: str, attempts: Sequence[Attempt]) -> bytes:
    """A PNG with the curves of attempts over each other.

    Raises UsageError where no package draws, or where there is nothing to draw.
    """
    labels = {one.number: one.label for one in attempts}
    found = {
        name: {labels[number]: curve for number, curve in curves.items()}
        for name, curves in side_by_side(attempts).items()
    }
    if not found:
        raise UsageError(
            "no attempt has noted a curve",
            where=title,
            why="its method tells no figures, or it never came to its first step",
            mend=f"see `chorus runs {title}`",
        )
    points = {point.name: point for point in entry_points(group=GROUP)}
    if "default" not in points:
        raise UsageError("no installed package draws pictures", where=GROUP)
    drawn: Draw = points["default"].load()
    return drawn(title, found)
