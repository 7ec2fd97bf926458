"""Pictures of the pluralism evaluation: skill, calibration, and who loses under which weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from assets.evaluation.cross_matrix import label_of
from assets.evaluation.distances import Array

COLOURS = ("#30638e", "#d1495b", "#00798c", "#edae49", "#8f5aa8", "#6b6b6b")
Rows = Sequence[Mapping[str, Any]]


def _figure(width: float, height: float) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, dpi=150, metadata={"Software": None})


def draw_skill(rows: Rows, names: Mapping[str, str], path: Path) -> None:
    """A dot for each answerer and group with its interval; one panel a slice.

    Args:
        rows: The figures of skill.
        names: The groups' names.
        path: The picture.
    """
    parts = list(dict.fromkeys(row["slice"] for row in rows))
    labels = list(dict.fromkeys(row["predictor"] for row in rows))
    communities = list(dict.fromkeys(row["community"] for row in rows))
    figure = _figure(3.2 + 3.4 * len(parts), 1.5 + (0.1 + 0.09 * len(communities)) * len(labels))
    axes = figure.subplots(1, len(parts), sharey=True, sharex=True, squeeze=False)[0]
    lowest = min(row["value"] for row in rows)
    for axis, part in zip(axes, parts, strict=True):
        for index, community in enumerate(communities):
            found = {
                r["predictor"]: r for r in rows if (r["slice"], r["community"]) == (part, community)
            }
            shift = (index - (len(communities) - 1) / 2) * 0.7 / len(communities)
            places = [labels.index(label) + shift for label in found]
            values = [row["value"] for row in found.values()]
            spreads = [
                [r["value"] - r["low"] for r in found.values()],
                [max(0.0, r["high"] - r["value"]) for r in found.values()],
            ]
            axis.errorbar(
                values, places, xerr=spreads, fmt="o", ms=3.5, lw=1,
                color=COLOURS[index % len(COLOURS)],
                label=label_of(names[community]).replace("\n", " "),
            )  # fmt: skip
        for place in range(1, len(labels)):
            axis.axhline(place - 0.5, color="#eeeeee", lw=0.7)
        axis.axvline(0, color="#999999", lw=1)
        axis.axvline(1, color="#999999", lw=1, ls=":")
        axis.set_title(part, fontsize=10)
        axis.set_xlabel("skill: 0 as uniform answers, 1 exact", fontsize=8)
        axis.tick_params(labelsize=8)
        axis.set_xlim(left=max(-1.5, lowest - 0.1), right=1.05)
    axes[0].set_yticks(range(len(labels)), [label_of(label) for label in labels], fontsize=8)
    axes[0].invert_yaxis()
    handles, shown = axes[0].get_legend_handles_labels()
    figure.legend(handles, shown, loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    _save(figure, path)


def draw_calibration(
    curves: Mapping[str, Mapping[str, tuple[Array, Array]]], names: Mapping[str, str], path: Path
) -> None:
    """Mean probability against mean share by bin: one panel a model, one line a group."""
    columns = min(4, len(curves))
    rows = -(-len(curves) // columns)
    figure = _figure(0.6 + 2.9 * columns, 0.6 + 2.9 * rows)
    axes = list(figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).flat)
    communities = list(dict.fromkeys(c for found in curves.values() for c in found))
    for (label, found), axis in zip(curves.items(), axes, strict=False):
        axis.plot([0, 1], [0, 1], color="#999999", lw=1, ls=":")
        for community, (predicted, observed) in found.items():
            axis.plot(
                predicted, observed, "o-", ms=3, lw=1,
                color=COLOURS[communities.index(community) % len(COLOURS)],
                label=label_of(names[community]).replace("\n", " "),
            )  # fmt: skip
        axis.set_title(label_of(label), fontsize=9)
        axis.tick_params(labelsize=8, labelbottom=True)
        axis.set_xlabel("mean probability in a bin", fontsize=8)
    for axis in axes[len(curves) :]:
        axis.set_axis_off()
    figure.supylabel("share of people who chose it", fontsize=8)
    handles = {
        text: handle
        for axis in figure.axes
        for handle, text in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        list(handles.values()), list(handles), loc="outside lower center", ncols=2, fontsize=8,
        frameon=False,
    )  # fmt: skip
    _save(figure, path)


def draw_weights(rows: Rows, names: Mapping[str, str], path: Path) -> None:
    """Each group's skill under each weighting, and with its own table."""
    weightings = list(dict.fromkeys(row["weighting"] for row in rows))
    communities = list(dict.fromkeys(row["community"] for row in rows))
    figure = _figure(1.6 + 1.5 * len(communities), 3.4)
    axis = figure.subplots()
    width = 0.8 / len(weightings)
    for index, weighting in enumerate(weightings):
        found = {r["community"]: r for r in rows if r["weighting"] == weighting}
        values = [found[c]["skill"] for c in communities]
        spreads = [
            [found[c]["skill"] - found[c]["low"] for c in communities],
            [max(0.0, found[c]["high"] - found[c]["skill"]) for c in communities],
        ]
        places = [i + (index - (len(weightings) - 1) / 2) * width for i in range(len(communities))]
        axis.bar(places, values, width, yerr=spreads, color=COLOURS[index % len(COLOURS)],
                 label=weighting, error_kw={"lw": 0.8})  # fmt: skip
    for place, community in enumerate(communities):
        ceiling = next(r["own_table"] for r in rows if r["community"] == community)
        axis.hlines(ceiling, place - 0.45, place + 0.45, color="black", lw=1, ls=":",
                    label="its own table" if place == 0 else None)  # fmt: skip
    axis.set_xticks(range(len(communities)), [label_of(names[c]) for c in communities], fontsize=8)
    axis.set_ylabel("skill on asked questions", fontsize=8)
    axis.tick_params(labelsize=8)
    figure.suptitle("One table for all: who loses under which weights", fontsize=9.5)
    figure.legend(loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    _save(figure, path)
