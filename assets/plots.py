"""Curves of a run as small pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from registry.curves import Curve

_COLOURS = ("#30638e", "#d1495b", "#00798c", "#edae49", "#8f5aa8", "#6b6b6b")


def smooth(values: Sequence[float]) -> list[float]:
    """The mean of each value and those shortly before it, over a fortieth of the curve."""
    window = max(1, len(values) // 40)
    parts = [values[max(0, i - window) : i + 1] for i in range(len(values))]
    return [sum(part) / len(part) for part in parts]


_COLUMNS = 3


def draw_attempts(title: str, curves: Mapping[str, Mapping[str, Curve]]) -> bytes:
    """A PNG with one panel for each curve, in which attempts lie over each other, by step.

    Args:
        title: What was attempted.
        curves: For each curve its attempts by label, each with its steps and values.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(_COLUMNS, len(curves))
    rows = -(-len(curves) // columns)
    labels = list(dict.fromkeys(label for found in curves.values() for label in found))
    figure = Figure(figsize=(4.2 * columns, 2.6 * rows + 0.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False).flat
    handles: dict[str, Any] = {}
    for (name, found), axis in zip(curves.items(), axes, strict=False):
        for label, (steps, values) in found.items():
            colour = _COLOURS[labels.index(label) % len(_COLOURS)]
            if len(values) > 1:
                axis.plot(steps, values, color=colour, lw=0.7, alpha=0.3)
            point = "o" if len(values) == 1 else None
            (handles[label],) = axis.plot(steps, smooth(values), color=colour, lw=1.5, marker=point)
        axis.set_title(name.replace("_", " "), fontsize=9)
        axis.set_xlabel("step", fontsize=8)
        axis.tick_params(labelsize=8)
    for axis in axes:
        axis.set_axis_off()
    ordered = [label for label in labels if label in handles]
    figure.suptitle(title, fontsize=10)
    figure.legend(
        [handles[label] for label in ordered], ordered, fontsize=8, frameon=False,
        loc="outside lower center", ncols=min(2, len(ordered)),
    )  # fmt: skip
    return png(figure)


def png(figure: Any) -> bytes:
    """A figure as a PNG, the same bytes each time."""
    out = BytesIO()
    figure.savefig(out, format="png", dpi=110, metadata={"Software": None})
    return out.getvalue()


def draw_curves(series: Mapping[str, Sequence[float]]) -> bytes:
    """A PNG with one panel for each curve, its label above; the smoothed curve lies on top."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2 * len(series), 2.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(series), squeeze=False)[0]
    for index, (axis, (label, values)) in enumerate(zip(axes, series.items(), strict=True)):
        axis.plot(values, color="#c9d6df", lw=0.8)
        axis.plot(smooth(values), color=_COLOURS[index % len(_COLOURS)], lw=1.6)
        axis.set_title(label, fontsize=9)
        axis.set_xlabel("step", fontsize=8)
        axis.tick_params(labelsize=8)
    return png(figure)
