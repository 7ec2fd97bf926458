"""The best of several samples: which are kept, and what more samples would have brought."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from math import comb
from typing import Any

_TICKS = 12
"""Numbers of samples that are all written below the picture."""


@dataclass
class Candidate:
    """One sample of a prompt, and what became of it."""

    prompt_id: str
    row_id: str
    sample: int
    text: str
    reason: str = ""
    """Why it is not kept; empty where it is."""
    score: float | None = None
    """What the judge gave it; None where it was not judged."""
    caused_by: str = ""
    """The candidate that was kept instead; itself where it fell by itself."""
    hidden: bool = False
    """Whether its text is not written down anywhere."""


def keep_best(candidates: Sequence[Candidate], keep: int) -> list[Candidate]:
    """The best of one prompt's candidates that no reason rules out, at most `keep` of them.

    Of two with one score the one that was drawn first is kept, and of one text only the first. The
    others are given the reason.
    """
    open_ = [one for one in candidates if not one.reason]
    open_.sort(key=lambda one: (-(one.score or 0.0), one.sample))
    kept: list[Candidate] = []
    for one in open_:
        same = next((other for other in kept if other.text == one.text), None)
        if same is not None:
            one.reason, one.caused_by = "the same text is kept already", same.row_id
        elif len(kept) == keep:
            one.reason, one.caused_by = "another answer was better", kept[-1].row_id
        else:
            kept.append(one)
    return kept


def expected_best(values: Sequence[float], k: int) -> float:
    """The mean, over all ways of taking k of these values, of the largest one taken.

    Without bias for any k up to their number: the i-th smallest of n is the largest of k in
    C(i - 1, k - 1) of C(n, k) ways. For values of 0 and 1 it is pass@k (Chen et al., 2021).
    """
    ordered = sorted(values)
    whole = comb(len(ordered), k)
    return sum(value * (comb(i, k - 1) / whole) for i, value in enumerate(ordered))


def best_of_curve(groups: Sequence[Sequence[float]]) -> list[dict[str, Any]]:
    """For each number of samples the expected best of them, as a mean over prompts."""
    most = min((len(group) for group in groups), default=0)
    return [
        {"samples": k, "expected_best": sum(expected_best(g, k) for g in groups) / len(groups)}
        for k in range(1, most + 1)
    ]


def draw_best_of(curve: Sequence[dict[str, Any]], label: str) -> bytes:
    """A PNG of the expected best against the number of samples."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2, 2.6), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    samples = [row["samples"] for row in curve]
    axis.plot(samples, [row["expected_best"] for row in curve], color="#30638e", marker="o", ms=3)
    axis.set_xlabel("samples of each prompt", fontsize=8)
    axis.set_title(label, fontsize=9)
    axis.set_xticks([k for k in samples if len(samples) <= _TICKS or k in (1, samples[-1])])
    axis.tick_params(labelsize=8)
    out = BytesIO()
    figure.savefig(out, format="png", dpi=110, metadata={"Software": None})
    return out.getvalue()
