"""A picture of coverage: each model with its interval, between the floor and the most to be had."""

from __future__ import annotations

from collections.abc import Sequence

from assets.evaluation.overton_figures import ALL_VIEWS, ELSEWHERE, ONE_VIEW
from assets.plots import png
from registry.results import Result

_MARKS = {ELSEWHERE: ("x", "#333333"), ONE_VIEW: ("|", "#d1495b"), ALL_VIEWS: ("|", "#00798c")}
_MOST = 16
"""Models that a picture shows; the table has all."""


def draw_coverage(results: Sequence[Result], name: str) -> bytes:
    """A bar for each model, best first, with the marks that stand beside it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = sorted(results, key=lambda one: -one.value)[:_MOST]
    figure = Figure(figsize=(7.2, 1.5 + 0.42 * len(shown)), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    places = range(len(shown))
    values = [one.value for one in shown]
    below = [max(0.0, one.value - one.low) for one in shown]
    over = [max(0.0, one.high - one.value) for one in shown]
    axis.barh(places, values, xerr=[below, over], color="#30638e", height=0.6,
              error_kw={"lw": 1, "capsize": 2})  # fmt: skip
    for label, (mark, colour) in _MARKS.items():
        found = [(one.beside.get(label), place) for place, one in enumerate(shown)]
        known = [(value, place) for value, place in found if value is not None]
        if known:
            across, down = zip(*known, strict=True)
            axis.scatter(across, down, marker=mark, color=colour, s=90, zorder=3, label=label)
    axis.set_yticks(places, [one.about for one in shown], fontsize=7)
    axis.invert_yaxis()
    axis.set_xlim(0, 1.02)
    axis.tick_params(axis="x", labelsize=7)
    axis.set_xlabel(f"{name}: share of views, mean over situations", fontsize=8)
    figure.legend(loc="outside lower center", fontsize=7, ncols=3, frameon=False)
    return png(figure)
