"""Pictures of clusters, of scores at equal numbers of rows, and of who was kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

BLUE, RED, TEAL, GOLD, GREY = "#30638e", "#d1495b", "#00798c", "#edae49", "#8d99a6"
COLOURS = (BLUE, RED, TEAL, GOLD, "#6a4c93", "#3a7d44", "#b56576", "#577590")
_NAMED = 24
"""Groups that a picture names; more are in the table."""

Bar = tuple[str, float, float | None, float | None]
"""A name, a value, and the ends of its interval."""


def draw_clusters(sizes: Sequence[int], inertia: Sequence[float]) -> bytes:
    """The sizes of clusters, largest first, and the sum of squared distances by iteration."""
    figure, (left, right) = _panels(2)
    left.stairs(sorted(sizes, reverse=True), fill=True, color=BLUE)
    _label(left, f"{len(sizes):,} clusters, largest first", "cluster", "rows")
    right.plot(range(1, len(inertia) + 1), inertia, color=RED, marker="o", ms=3, lw=1.4)
    _label(right, "sum of squared distances", "iteration, and last the result", "")
    return _png(figure)


def draw_growth(
    axis: Any, lines: Mapping[str, Sequence[tuple[int, float]]], noise: Sequence[tuple[int, float]]
) -> None:
    """How scores grow with the number of rows, below what noise would score."""
    for index, (name, points) in enumerate(lines.items()):
        axis.plot(*zip(*points, strict=True), color=COLOURS[index % len(COLOURS)], marker="o", ms=3,
                  lw=1.4, label=plain(name))  # fmt: skip
    axis.plot(*zip(*noise, strict=True), color=GREY, ls="--", lw=1.2, label="pure noise")
    axis.set_xscale("log", base=2)
    axis.set_yscale("log", base=2)
    for scale in (axis.xaxis, axis.yaxis):
        scale.set_major_formatter("{x:,.0f}")
    axis.legend(fontsize=7, frameon=False)


def draw_bars(axis: Any, bars: Sequence[Bar], *, colours: Sequence[str] = (BLUE,)) -> None:
    """Values with their intervals, the first on top."""
    shown = list(bars)[:_NAMED]
    for place, (_, value, low, high) in enumerate(shown):
        colour = colours[place % len(colours)]
        axis.barh(place, value, color=colour, height=0.62, alpha=0.85)
        if low is not None and high is not None:
            axis.plot([low, high], [place, place], color="#22313f", lw=1.3)
        axis.annotate(f" {value:.3g}", (max(value, high or value), place), va="center", fontsize=7)
    axis.set_yticks(range(len(shown)), [plain(name) for name, *_ in shown], fontsize=7)
    axis.set_ylim(max(len(shown), 4) - 0.4, -0.6)
    axis.margins(x=0.16)
    if len(bars) > len(shown):
        axis.text(0.98, 0.02, f"and {len(bars) - len(shown)} more", transform=axis.transAxes,
                  ha="right", fontsize=7, color=GREY)  # fmt: skip


def draw_scores(
    name: str,
    lines: Mapping[str, Sequence[tuple[int, float]]],
    noise: Sequence[tuple[int, float]],
    panels: Mapping[str, Sequence[Bar]],
) -> bytes:
    """Growth on the left, then a panel of bars for each kind of group."""
    tallest = max([4, *(min(len(bars), _NAMED) for bars in panels.values())])
    figure, axes = _panels(1 + len(panels), height=max(2.8, 0.9 + 0.24 * tallest))
    draw_growth(axes[0], lines, noise)
    _label(axes[0], f"{name} by number of rows", "rows", "")
    for axis, (title, bars) in zip(axes[1:], panels.items(), strict=True):
        draw_bars(axis, bars)
        _label(axis, title, name, "")
    return _png(figure)


def draw_choice(name: str, scores: Sequence[Bar], kept: Sequence[Bar], least: float) -> bytes:
    """Scores of the chosen rows beside others, and how much of each community was kept."""
    tallest = max(4, min(len(kept), _NAMED))
    figure, axes = _panels(2 if kept else 1, height=max(2.4, 0.9 + 0.24 * tallest))
    draw_bars(axes[0], scores, colours=(RED, *(BLUE,) * max(1, len(scores) - 1)))
    _label(axes[0], f"{name} at the same number of rows", name, "")
    if kept:
        draw_bars(axes[1], kept, colours=[RED if b[1] < least else TEAL for b in kept])
        axes[1].axvline(least, color=GREY, ls="--", lw=1.2)
        _label(axes[1], "kept, relative to all rows", "1 = as often as all rows", "")
    return _png(figure)


def plain(name: str) -> str:
    """A name as text: strangers write names, and `$` would start a formula."""
    flat = " ".join(name.split()).replace("$", r"\$")
    return flat if len(flat) <= 28 else flat[:27] + "…"  # noqa: PLR2004


def _panels(count: int, height: float = 2.8) -> tuple[Any, Any]:
    """A figure with so many panels, two beside each other."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns, lines = min(count, 2), -(-count // 2)
    figure = Figure(figsize=(4.4 * columns, height * lines), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(lines, columns, squeeze=False).ravel()
    for axis in axes[count:]:
        axis.set_axis_off()
    return figure, axes[:count]


def _label(axis: Any, title: str, below: str, beside: str) -> None:
    axis.set_title(title, fontsize=9)
    axis.set_xlabel(below, fontsize=8)
    axis.set_ylabel(beside, fontsize=8)
    axis.tick_params(labelsize=7.5)
    axis.spines[["top", "right"]].set_visible(False)


def _png(figure: Any) -> bytes:
    out = BytesIO()
    figure.savefig(out, format="png", dpi=110, metadata={"Software": None})
    return out.getvalue()
