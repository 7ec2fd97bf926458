"""A picture of what a dataset holds: lengths of its texts, rows of each community, what moved."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from assets.plots import png
from registry.quality.description import Table
from registry.quality.drift import Moved
from registry.quality.sql import name, parquet

_COLOURS = {"lengths": "#30638e", "communities": "#00798c", "moved": "#d1495b"}
_BINS, _BARS = 30, 12


def draw_table(path: Path, table: Table, moved: Sequence[Moved] = ()) -> bytes | None:
    """A PNG with a panel for the lengths of each column of text, for communities, and for drift.

    Args:
        path: The Parquet file.
        table: What it holds.
        moved: How far its columns moved from the version before.

    Returns:
        Nothing where there is nothing to draw.
    """
    panels: list[Callable[[Any], None]] = [
        _lengths(text.column, _read_lengths(path, text.column)) for text in table.texts[:2]
    ]
    if len(table.communities) > 1:
        panels.append(_bars("rows of each community", table.communities, _COLOURS["communities"]))
    if far := {one.column: one.distance for one in moved[:_BARS] if one.distance > 0}:
        panels.append(_bars("moved since the version before", far, _COLOURS["moved"], 1))
    if not panels:
        return None
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2 * len(panels), 2.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axis, panel in zip(axes, panels, strict=True):
        panel(axis)
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(b=False)
    return png(figure)


def _read_lengths(path: Path, column: str) -> dict[str, Any]:
    import duckdb

    query = f"select length({name(column)}) as length from {parquet(path)}"  # noqa: S608
    return duckdb.execute(f"{query} where {name(column)} is not null").fetchnumpy()


def _lengths(column: str, read: Mapping[str, Any]) -> Callable[[Any], None]:
    def panel(axis: Any) -> None:
        axis.hist(read["length"], bins=_BINS, color=_COLOURS["lengths"])
        axis.set_title(f"{column}: characters", fontsize=9)
        axis.set_ylabel("rows", fontsize=8)

    return panel


def _bars(
    title: str, values: Mapping[str, float], colour: str, highest: float | None = None
) -> Callable[[Any], None]:
    def panel(axis: Any) -> None:
        shown = dict(list(values.items())[:_BARS])
        axis.barh([*shown][::-1], [*shown.values()][::-1], color=colour)
        axis.set_title(title, fontsize=9)
        axis.set_xlim(0, highest)

    return panel
