"""The cross matrix as a picture and as a table: model of A scored on B, read down columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Matrix = Mapping[str, Mapping[str, Mapping[str, float]]]
_SINGLE = "best single predictor"
_AFTER = (_SINGLE, "own table")
_MEAN = "mean"


def _ordered(lines: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Baselines, then models, then what no model for all can pass and the noise floor."""
    last = [label for label in lines if label.startswith(_AFTER)]
    return [label for label in lines if label not in last] + last


def _best(lines: Mapping[str, Mapping[str, float]], community: str) -> str:
    """The model or baseline that serves a community best, the oracles at the end left out."""
    open_to_all = [label for label in lines if not label.startswith(_AFTER)]
    return min(open_to_all, key=lambda label: lines[label][community])


def _values(lines: Mapping[str, Mapping[str, float]], label: str) -> list[float | None]:
    """One row: every community, then their mean.

    Of the best single predictor only the mean is shown: many predictors share the lowest mean, so
    how it is split between communities says nothing.
    """
    values = list(lines[label].values())
    shown: list[float | None] = [None] * len(values) if label.startswith(_SINGLE) else [*values]
    return [*shown, sum(values) / len(values)]


def cell(name: str) -> str:
    """A profile's name inside a table: strangers write names, and `|` would end the cell."""
    return name.replace("\\", "\\\\").replace("|", "\\|")


def label_of(name: str) -> str:
    """A profile's name under a column; `$` would start a formula, and a broken one an error."""
    return name.replace("$", r"\$").replace(", ", ",\n").replace(" aged ", "\naged ")


def markdown(
    matrix: Matrix, names: Mapping[str, str], comparisons: Sequence[Mapping[str, Any]]
) -> str:
    """The matrix of every slice as Markdown tables, the best of each column in bold."""
    parts = ["Mean total variation to respondents held out. Read down columns; lower is nearer.\n"]
    for part, lines in matrix.items():
        communities = list(next(iter(lines.values())))
        best = {_best(lines, c) + c for c in communities}
        header = ["", *(cell(names[c]) for c in communities), _MEAN]
        parts.append(f"\n## {part}\n")
        parts.append("| " + " | ".join(header) + " |")
        parts.append("|" + "---|" * len(header))
        for label in _ordered(lines):
            cells = ["" if v is None else f"{v:.3f}" for v in _values(lines, label)]
            for index, community in enumerate(communities):
                if label + community in best:
                    cells[index] = f"**{cells[index]}**"
            parts.append("| " + " | ".join([label, *cells]) + " |")
        parts += _differences([given for given in comparisons if given["slice"] == part])
    return "\n".join(parts) + "\n"


def _differences(comparisons: Sequence[Mapping[str, Any]]) -> list[str]:
    """Own model minus each rival, a line for each own model."""
    rivals = list(dict.fromkeys(given["other"].partition("@")[0] for given in comparisons))
    lines: dict[str, dict[str, str]] = {}
    for given in comparisons:
        value = f"{given['difference']:+.3f} ({given['low']:+.3f} to {given['high']:+.3f})"
        lines.setdefault(given["own"], {})[given["other"].partition("@")[0]] = value
    if not lines:
        return []
    return [
        "\n| own minus other, on its own people | " + " | ".join(rivals) + " |",
        "|" + "---|" * (len(rivals) + 1),
        *(
            "| " + " | ".join([own, *(line.get(rival, "") for rival in rivals)]) + " |"
            for own, line in lines.items()
        ),
    ]


def draw(matrix: Matrix, names: Mapping[str, str], path: Path) -> None:
    """One heat map a slice; the best of each column is framed."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    tallest = max(len(lines) for lines in matrix.values())
    columns = 1 + max(len(next(iter(lines.values()))) for lines in matrix.values())
    size = (3.6 + len(matrix) * (0.7 + 0.95 * columns), 1.7 + 0.38 * tallest)
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(matrix), sharey=True, squeeze=False)[0]
    top = max(v for lines in matrix.values() for line in lines.values() for v in line.values())
    for axis, (part, lines) in zip(axes, matrix.items(), strict=True):
        labels, communities = _ordered(lines), list(next(iter(lines.values())))
        values = [_values(lines, label) for label in labels]
        colours = [[float("nan") if v is None else v for v in row] for row in values]
        axis.imshow(colours, cmap="YlGnBu_r", vmin=0, vmax=top, aspect="auto")
        for row, label in enumerate(labels):
            for column, value in enumerate(values[row]):
                if value is None:
                    continue
                best = column < len(communities) and label == _best(lines, communities[column])
                axis.text(
                    column,
                    row,
                    f"{value:.3f}",
                    ha="center",
                    va="center",
                    fontsize=8.5,
                    fontweight="bold" if best else "normal",
                    color="white" if value < 0.5 * top else "black",
                )
                if best:
                    corner = (column - 0.48, row - 0.46)
                    frame = Rectangle(corner, 0.96, 0.92, fill=False, edgecolor="#d1495b", lw=2)
                    axis.add_patch(frame)
        axis.set_yticks(range(len(labels)), labels, fontsize=8.5)
        shown = [label_of(names[c]) for c in communities]
        axis.axvline(len(communities) - 0.5, color="white", lw=3)
        axis.set_xticks(range(len(communities) + 1), [*shown, _MEAN], fontsize=7.5)
        axis.set_title(part, fontsize=10)
        axis.tick_params(length=0)
    figure.suptitle(
        "Total variation to respondents held out: lower is nearer, read down each column\n"
        "framed: the nearest that learned without seeing the answers",
        fontsize=9.5,
    )
    figure.savefig(path, dpi=150, metadata={"Software": None})
