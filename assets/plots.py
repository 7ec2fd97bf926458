"""Curves of a run as small pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO

_COLOURS = ("#30638e", "#d1495b", "#00798c", "#edae49")


def smooth(values: Sequence[float]) -> list[float]:
    """The mean of each value and those shortly before it, over a fortieth of the curve."""
    window = max(1, len(values) // 40)
    parts = [values[max(0, i - window) : i + 1] for i in range(len(values))]
    return [sum(part) / len(part) for part in parts]


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
    out = BytesIO()
    figure.savefig(out, format="png", dpi=110, metadata={"Software": None})
    return out.getvalue()
