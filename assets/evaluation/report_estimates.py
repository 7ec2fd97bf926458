"""Figures with their intervals, and the words for differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from assets.evaluation.intervals import mean, wilson
from assets.evaluation.report_document import Cell, Tone
from assets.evaluation.resampling import NORMAL

NOT_MEASURED = "not measured"
APART = "cannot be told apart"


@dataclass(frozen=True)
class Estimate:
    """A figure, its 95 % interval and what it rests on."""

    value: float
    low: float | None
    high: float | None
    size: str
    """How many questions, tasks, prompts and people, in words."""
    items: int
    people: int | None = None

    @property
    def shown(self) -> str:
        """The figure with its interval."""
        return bracketed(self.value, self.low, self.high)


@dataclass(frozen=True)
class Difference(Estimate):
    """One thing minus another."""

    lower_is_better: bool = True
    rival: str = ""
    """What was taken away."""
    p: float | None = None
    """Where it was one of many comparisons: its p for all of them together."""

    @property
    def shown(self) -> str:
        """The difference with its interval, always with a sign."""
        return bracketed(self.value, self.low, self.high, sign="+")

    @property
    def sure(self) -> bool:
        """Whether the interval leaves nought out."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high

    @property
    def tone(self) -> Tone:
        """Better, worse, or neither."""
        if not self.sure:
            return "unsure"
        return "good" if (self.value < 0) == self.lower_is_better else "bad"

    def words(self, better: str, worse: str) -> str:
        """What the difference says."""
        return {"good": better, "bad": worse}.get(self.tone, APART)


@dataclass(frozen=True)
class Missing:
    """A figure that is not there, and why."""

    why: str

    @property
    def shown(self) -> str:
        """The words that stand in its place."""
        return f"{NOT_MEASURED}: {self.why}" if self.why else NOT_MEASURED


def bracketed(value: float, low: float | None, high: float | None, sign: str = "") -> str:
    """A figure and its interval; what is rounded to nought has no sign."""

    def number(given: float) -> str:
        text = f"{given:{sign}.3f}"
        return text.lstrip("+-") if float(text) == 0 else text

    if low is None or high is None:
        return f"{number(value)} (no interval)"
    return f"{number(value)} ({number(low)} to {number(high)})"


def counted(count: int, one: str) -> str:
    """A number of things."""
    return f"{count:,} {one}{'' if count == 1 else 's'}"


@dataclass(frozen=True)
class Change:
    """A figure before and after alignment, on the same tasks or prompts."""

    before: Estimate
    after: Estimate
    difference: Difference
    beside: Mapping[str, float]
    """What is easy, or what chance gives."""


def matched_shares(before: Sequence[float], after: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval of the change of a share, task by task.

    Half a task is added to each of the four cells (Agresti and Min, 2005, section 3), so that the
    interval is no point where nothing changed.
    """
    lost = sum(a > b for a, b in zip(before, after, strict=True)) + 0.5
    won = sum(b > a for a, b in zip(before, after, strict=True)) + 0.5
    n = len(before) + 2
    middle = (won - lost) / n
    margin = NORMAL * (won + lost - (won - lost) ** 2 / n) ** 0.5 / n
    return middle - margin, middle + margin


def paired(
    before: Mapping[str, float],
    after: Mapping[str, float],
    thing: str,
    *,
    lower_is_better: bool,
    rival: str,
    beside: Mapping[str, float],
    right_or_wrong: bool = False,
) -> Change | Missing:
    """Before and after on the same things, with intervals over them.

    A share of right answers has Wilson's interval, a mean Student's.

    Args:
        before: The figure of each task or prompt.
        after: The same; both are compared on those that both have.
        thing: What they are over, such as `task`.
        lower_is_better: Which way is better.
        rival: What stood before.
        beside: Baselines.
        right_or_wrong: Whether each is wholly right or wholly wrong.
    """
    shared = sorted(set(before) & set(after))
    if not shared:
        return Missing(f"no {thing} was put both before and after")
    size = counted(len(shared), thing)

    def over(values: Sequence[float]) -> tuple[float, float | None, float | None]:
        value, low, high = mean(values)
        if right_or_wrong:
            low, high = wilson(value, len(values))
        return (value, low, high) if len(values) > 1 else (value, None, None)

    one, other = [before[key] for key in shared], [after[key] for key in shared]
    changes = [b - a for a, b in zip(one, other, strict=True)]
    value, low, high = mean(changes)
    change: tuple[float, float | None, float | None] = (value, low, high)
    if right_or_wrong:
        change = (value, *matched_shares(one, other))
    elif len(shared) == 1:
        change = (value, None, None)
    return Change(
        before=Estimate(*over(one), size, len(shared)),
        after=Estimate(*over(other), size, len(shared)),
        difference=Difference(
            *change, size, len(shared), lower_is_better=lower_is_better, rival=rival
        ),
        beside=beside,
    )


def missing_cell(found: Missing) -> Cell:
    """A cell that says that there is no figure, and why."""
    return Cell(NOT_MEASURED, found.why, "missing")
