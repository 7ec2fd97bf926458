"""Pictures of how alike models answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from assets.evaluation.likeness import WITHIN
from assets.plots import png

if TYPE_CHECKING:
    from collections.abc import Sequence

    from assets.diversity.homogeneity import Array
    from assets.evaluation.answer_pool import Pool
    from assets.evaluation.likeness import Likeness, Measure

_COLOURS = ("#30638e", "#d1495b", "#00798c", "#edae49")
_DARK = 0.6
_MOST = 12
"""Models that a picture shows apart; the table has all."""


def _figure(width: float, height: float) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def draw_within(pool: Pool, likeness: Likeness, measures: Sequence[Measure]) -> bytes:
    """For each arm the prompts by the likeness of its answers; a line marks random answers."""
    shown = list(enumerate(pool.arms))[:_MOST]
    chance = {(m.model, m.setting): m.chance for m in measures if m.measure == WITHIN}
    figure = _figure(6.4, 0.9 + 1.1 * len(shown))
    axes = figure.subplots(len(shown), 1, squeeze=False, sharex=True)[:, 0]
    for (place, arm), axis in zip(shown, axes, strict=True):
        values = likeness.within[:, place]
        axis.hist(values[~np.isnan(values)], bins=np.arange(-0.2, 1.01, 0.1).tolist(),
                  color=_COLOURS[place % len(_COLOURS)], rwidth=0.92)  # fmt: skip
        floor = chance[arm.model, arm.setting]
        if not np.isnan(floor):
            axis.axvline(floor, color="#333333", lw=1.2, ls="--")
        axis.set_title(arm.label, fontsize=8, loc="left")
        axis.tick_params(labelsize=7)
        axis.set_ylabel("prompts", fontsize=7)
    axes[-1].set_xlabel("mean cosine of answers to one prompt (dashed: random answers)", fontsize=8)
    return png(figure)


def draw_between(pool: Pool, means: Array) -> bytes:
    """The likeness of every two arms, a model's with itself on the diagonal."""
    labels = [arm.label for arm in pool.arms][:_MOST]
    shown = means[:_MOST, :_MOST]
    side = 2.6 + 0.7 * len(labels)
    figure = _figure(side + 1.0, side)
    axis = figure.subplots()
    image = axis.imshow(shown, vmin=0, vmax=1, cmap="viridis")
    for (row, column), value in np.ndenumerate(shown):
        if not np.isnan(value):
            colour = "white" if value < _DARK else "black"
            axis.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=8,
                      color=colour)  # fmt: skip
    places = range(len(labels))
    wrapped = [label.replace(" (", "\n(") for label in labels]
    axis.set_xticks(places, wrapped, fontsize=6, rotation=40, ha="right")
    axis.set_yticks(places, wrapped, fontsize=6)
    figure.colorbar(image, ax=axis, shrink=0.7).set_label("mean cosine", fontsize=8)
    return png(figure)
