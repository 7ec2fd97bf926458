"""Pictures of steerable pluralism: the cross matrix, own minus others, and k-shot curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from assets.evaluation.cross_matrix import label_of
from assets.evaluation.pluralism_plots import COLOURS
from assets.evaluation.steering import Steered
from assets.evaluation.steering_page import KShot

Rows = Sequence[Mapping[str, Any]]
_DARK = 0.7
"""From here on black figures could not be read."""


def _figure(width: float, height: float) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, dpi=150, metadata={"Software": None})


def _named(names: Mapping[str, str], community: str) -> str:
    return label_of(names.get(community, community))


def draw_matrix(rows: Rows, names: Mapping[str, str], path: Path) -> None:
    """One heat map for each kind and slice; each community's own model is framed.

    Colours are set column by column, from the worst to the best model, since only columns compare.
    """
    from matplotlib.patches import Rectangle

    parts = list(dict.fromkeys((row["kind"], row["slice"]) for row in rows))
    cells = {part: [r for r in rows if (r["kind"], r["slice"]) == part] for part in parts}
    shown = {part: _grid(found) for part, found in cells.items()}
    height = sum(1.1 + 0.3 * len(labels) for labels, _, _ in shown.values())
    widest = max(len(communities) for _, communities, _ in shown.values())
    figure = _figure(3.4 + 1.3 * widest, height)
    sizes = [1.1 + 0.3 * len(labels) for labels, _, _ in shown.values()]
    axes = figure.subplots(len(parts), 1, squeeze=False, height_ratios=sizes)[:, 0]
    for axis, (part, (labels, communities, found)) in zip(axes, shown.items(), strict=True):
        colours = _colours(found, labels, communities)
        axis.imshow(colours, cmap="YlGnBu", vmin=0, vmax=1.25, aspect="auto")
        for (label, community), row in found.items():
            place = communities.index(community), labels.index(label)
            dark = colours[place[1]][place[0]] > _DARK
            axis.text(*place, f"{row['value']:.3f}", ha="center", va="center", fontsize=8,
                      color="white" if dark else "black")  # fmt: skip
            if row["own"] and not row["baseline"]:
                corner = (place[0] - 0.48, place[1] - 0.45)
                axis.add_patch(
                    Rectangle(corner, 0.96, 0.9, fill=False, edgecolor="#d1495b", lw=1.8)
                )
        axis.set_yticks(range(len(labels)), [label_of(one) for one in labels], fontsize=8)
        ticks = [_named(names, community) for community in communities]
        axis.set_xticks(range(len(communities)), ticks, fontsize=7.5)
        axis.set_title(f"{part[0]}: {part[1]} ({next(iter(found.values()))['metric']})", fontsize=9)
        axis.tick_params(length=0)
    figure.suptitle(
        "Model of the row on the column's people: higher is better, read down\n"
        "framed: the community's own model",
        fontsize=9.5,
    )
    _save(figure, path)


Cells = Mapping[tuple[str, str], Mapping[str, Any]]


def _grid(rows: Rows) -> tuple[list[str], list[str], Cells]:
    """Answerers, models last; communities; and the row of each cell."""
    ordered = sorted(rows, key=lambda row: not row["baseline"])
    labels = list(dict.fromkeys(row["answerer"] for row in ordered))
    communities = list(dict.fromkeys(row["community"] for row in rows))
    return labels, communities, {(row["answerer"], row["community"]): row for row in rows}


def _colours(found: Cells, labels: Sequence[str], communities: Sequence[str]) -> list[list[float]]:
    """Each cell's place between the worst and the best of its column; NaN where there is none."""
    colours = [[float("nan")] * len(communities) for _ in labels]
    for column, community in enumerate(communities):
        values = [row["value"] for (_, one), row in found.items() if one == community]
        low, spread = min(values), (max(values) - min(values)) or 1.0
        for line, label in enumerate(labels):
            if (label, community) in found:
                colours[line][column] = (found[label, community]["value"] - low) / spread
    return colours


def draw_steerability(rows: Sequence[Steered], names: Mapping[str, str], path: Path) -> None:
    """A dot for each community's own model minus the others', with its interval."""
    parts = list(dict.fromkeys((row.kind, row.slice) for row in rows))
    families = list(dict.fromkeys(row.family for row in rows))
    communities = list(dict.fromkeys(row.community for row in rows))
    figure = _figure(2.6 + 2.9 * len(parts), 1.7 + (0.25 + 0.16 * len(families)) * len(communities))
    axes = figure.subplots(1, len(parts), sharey=True, squeeze=False)[0]
    for axis, part in zip(axes, parts, strict=True):
        for index, family in enumerate(families):
            chosen = [r for r in rows if (r.kind, r.slice) == part and r.family == family]
            shift = (index - (len(families) - 1) / 2) * 0.6 / len(families)
            places = [communities.index(row.community) + shift for row in chosen]
            values = [row.steerability for row in chosen]
            spreads = [
                [max(0.0, row.steerability - row.low) for row in chosen],
                [max(0.0, row.high - row.steerability) for row in chosen],
            ]
            axis.errorbar(values, places, xerr=spreads, fmt="o", ms=4, lw=1, capsize=2,
                          color=COLOURS[index % len(COLOURS)], label=label_of(family))  # fmt: skip
            known = [(row.tables, place) for row, place in zip(chosen, places, strict=True)
                     if row.tables is not None]  # fmt: skip
            if known:
                across, down = zip(*known, strict=True)
                axis.scatter(across, down, marker="|", s=70, color="#333333", zorder=3,
                             label="learning tables in their place")  # fmt: skip
        axis.axvline(0, color="#999999", lw=1)
        axis.set_title(f"{part[0]}: {part[1]}", fontsize=9)
        axis.set_xlabel("own minus mean of others", fontsize=8)
        axis.tick_params(labelsize=8)
    axes[0].set_yticks(range(len(communities)), [_named(names, c) for c in communities], fontsize=8)
    axes[0].invert_yaxis()
    handles = {
        text: handle
        for axis in figure.axes
        for handle, text in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=3,
                  fontsize=8, frameon=False)  # fmt: skip
    _save(figure, path)


def draw_shots(shots: Sequence[KShot], names: Mapping[str, str], path: Path) -> None:
    """Nats of the next answer by how many are known: one panel a community and slice."""
    panels = list(dict.fromkeys((one.community, one.slice) for one in shots))
    models = list(dict.fromkeys(one.model for one in shots))
    columns = min(4, len(panels))
    lines = -(-len(panels) // columns)
    figure = _figure(0.6 + 2.9 * columns, 1.0 + 2.4 * lines)
    axes = list(figure.subplots(lines, columns, squeeze=False, sharey=True).flat)
    for (community, part), axis in zip(panels, axes, strict=False):
        for index, model in enumerate(models):
            curve = [
                s for s in shots if (s.community, s.slice, s.model) == (community, part, model)
            ]
            if curve:
                known = [one.known for one in curve]
                colour = COLOURS[index % len(COLOURS)]
                axis.plot(known, [one.nats for one in curve], color=colour, lw=1.2, label=model)
                axis.fill_between(known, [one.low for one in curve], [one.high for one in curve],
                                  color=colour, alpha=0.15, lw=0)  # fmt: skip
        axis.set_title(f"{_named(names, community)}\n{part}", fontsize=8)
        axis.set_xlabel("known answers", fontsize=8)
        axis.tick_params(labelsize=7)
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    axes[0].set_ylabel("nats", fontsize=8)
    handles = {
        text: handle
        for axis in figure.axes
        for handle, text in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=2,
                  fontsize=8, frameon=False)  # fmt: skip
    _save(figure, path)
