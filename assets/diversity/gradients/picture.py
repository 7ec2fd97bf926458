"""Gradients of a dataset at a glance: how far each row is from what the proxy expects."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars

_NAMED = 10
"""Sources with a colour of their own; the rest share one."""


def draw_gradients(rows: polars.DataFrame) -> bytes:
    """A PNG: each row's loss and gradient length, coloured by where it comes from."""
    import matplotlib as mpl
    import polars
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    by = "source" if "source" in rows.columns else "row_id"
    sources = rows[by].fill_null("unknown").value_counts(sort=True)[by].to_list()
    named = sorted(sources[:_NAMED] if len(sources) <= _NAMED else sources[: _NAMED - 1])
    groups = [(name, rows.filter(polars.col(by).fill_null("unknown") == name)) for name in named]
    rest = rows.filter(~polars.col(by).fill_null("unknown").is_in(named))
    if not rest.is_empty():
        groups.append(("all others", rest))
    colours = mpl.colormaps["tab10"].colors  # type: ignore[attr-defined]
    for colour, (name, group) in zip(colours, groups, strict=False):
        axis.scatter(group["loss"], group["length"], s=9, alpha=0.7, color=colour, label=name)
    axis.set_xlabel("loss of the completion (nats a token)", fontsize=8)
    axis.set_ylabel("length of the gradient", fontsize=8)
    if (rows["length"] > 0).any():
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_minor_formatter("{x:g}")
    axis.tick_params(which="both", labelsize=8)
    figure.legend(fontsize=7, loc="outside right upper", frameon=False)
    out = BytesIO()
    figure.savefig(out, format="png", dpi=110, metadata={"Software": None})
    return out.getvalue()
