"""The page and the picture of what people's next answers cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from assets.plots import png

_NOTE = """\
Nats that a person's next answer costs, after some of the person's own answers; lower is a better
guess. The same people and answers for all, from the half kept for evaluation. Of single people
nothing is written.
"""
_READ = """\
Differences are taken person by person. *better served* is the share of people whose next answer the
first guesses better, by however little; 50 % is chance. p is for the whole family of comparisons
(Holm), from people who change sides. Where an interval holds 0, the two cannot be told apart.
"""


def page(
    figures: Sequence[Mapping[str, Any]],
    compared: Sequence[Mapping[str, Any]],
    names: Mapping[str, str],
) -> str:
    """Markdown: a table for each group and for all, then every comparison over all groups."""
    lines = ["# A better guess for a person", "", _NOTE]
    known = sorted({row["known"] for row in figures})
    for community in [*dict.fromkeys(row["community"] for row in figures)]:
        lines += ["", f"## {names.get(community, 'mean over groups')}", ""]
        rows = [row for row in figures if row["community"] == community]
        people = max(row["people"] for row in rows)
        lines += [f"{people} people.", ""]
        lines += ["| | " + " | ".join(f"{count} known" for count in known) + " |"]
        lines += ["|---" * (len(known) + 1) + "|"]
        for answerer in dict.fromkeys(row["answerer"] for row in rows):
            cells = [
                f"{row['nats']:.3f} ({row['low']:.3f} to {row['high']:.3f})"
                for count in known
                for row in rows
                if row["answerer"] == answerer and row["known"] == count
            ]
            lines += ["| " + " | ".join([answerer, *cells]) + " |"]
    lines += ["", "## Who guesses better", "", _READ, ""]
    lines += ["| | minus | group | known | difference | p | better served |", "|---" * 7 + "|"]
    lines += [
        "| " + " | ".join([
            row["answerer"],
            row["rival"],
            names.get(row["community"], "mean over groups"),
            str(row["known"]),
            f"{row['value']:+.3f} ({row['low']:+.3f} to {row['high']:+.3f})",
            f"{row['p_holm']:.3f}",
            f"{row['better']:.1%} ({row['better_low']:.1%} to {row['better_high']:.1%})",
        ]) + " |"
        for row in compared
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def picture(figures: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> bytes:
    """A PNG with a panel for each group: cost by how many answers are known."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    communities = list(dict.fromkeys(row["community"] for row in figures))
    columns = min(3, len(communities))
    rows = -(-len(communities) // columns)
    figure = Figure(figsize=(4.2 * columns, 3.2 * rows + 0.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    answerers = list(dict.fromkeys(row["answerer"] for row in figures))
    handles: dict[str, Any] = {}
    for axis, community in zip(axes, communities, strict=False):
        for place, answerer in enumerate(answerers):
            found = [
                row
                for row in figures
                if row["community"] == community and row["answerer"] == answerer
            ]
            if found:
                handles[answerer] = axis.errorbar(
                    [row["known"] + 0.08 * place for row in found],
                    [row["nats"] for row in found],
                    yerr=[(row["high"] - row["low"]) / 2 for row in found],
                    marker="o", ms=3, lw=1.2, capsize=2,
                )  # fmt: skip
        axis.set_title(names.get(community, "mean over groups"), fontsize=9)
        axis.set_xlabel("own answers known", fontsize=8)
        axis.set_ylabel("nats an answer", fontsize=8)
        axis.tick_params(labelsize=8)
    for axis in axes[len(communities) :]:
        axis.set_axis_off()
    figure.legend(
        list(handles.values()), list(handles), fontsize=8, frameon=False,
        loc="outside lower center", ncols=min(4, len(handles)),
    )  # fmt: skip
    return png(figure)
