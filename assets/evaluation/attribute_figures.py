"""Accuracy, balanced accuracy and macro-F1 of labels, with intervals over situations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np

from assets.evaluation.cross_matrix import cell
from assets.evaluation.distances import Array
from assets.evaluation.multiple_choice import Chosen
from assets.sources.attribute_rows import LABELS, Label
from registry.results import Result

ALL, CLEAR = "three ways", "two ways, without either"
NAMES: Mapping[str, tuple[Label, ...]] = {ALL: LABELS, CLEAR: LABELS[:2]}
"""The labels of each way of asking."""
ACCURACY, BALANCED, MACRO = "attribute accuracy", "balanced accuracy", "macro-F1"
CHANCE, COMMONEST = "chance", "always the commonest label"


@dataclass(frozen=True)
class Confusion:
    """How often each label was answered with each, situation by situation."""

    labels: tuple[Label, ...]
    each: Array
    """Shape (situations, labels, labels): the true label, then the answered one. Of labels that are
    equally likely each counts its part."""

    @property
    def total(self) -> Array:
        """The same over all situations."""
        summed: Array = self.each.sum(axis=0)
        return summed

    @property
    def rows(self) -> int:
        """How many rows were asked."""
        return round(float(self.each.sum()))


def confusion(
    labels: Sequence[Label],
    situations: Sequence[str],
    chosen: Sequence[Chosen],
    names: tuple[Label, ...],
) -> Confusion:
    """The confusion of each situation."""
    places = {one: place for place, one in enumerate(dict.fromkeys(situations))}
    each = np.zeros((len(places), len(names), len(names)))
    for label, situation, one in zip(labels, situations, chosen, strict=True):
        for place in one.best:
            each[places[situation], names.index(label), place] += 1 / len(one.best)
    return Confusion(names, each)


def figures(table: Array) -> dict[str, float]:
    """Every figure of one confusion matrix."""
    found = _figures(table[None])
    return {name: float(values[0]) for name, values in found.items()}


def _figures(tables: Array) -> dict[str, Array]:
    """The figures of many matrices at once, shape (matrices, labels, labels).

    Balanced accuracy and macro-F1 are means over the labels that occur in truth; a label that was
    never answered rightly has an F1 of 0.
    """
    right = np.diagonal(tables, axis1=1, axis2=2)
    true, said = tables.sum(axis=2), tables.sum(axis=1)
    occurs = true > 0
    recall = np.divide(right, true, out=np.zeros_like(right), where=occurs)
    both = true + said
    harmonic = np.divide(2 * right, both, out=np.zeros_like(right), where=both > 0)
    count = occurs.sum(axis=1)
    return {
        ACCURACY: right.sum(axis=1) / true.sum(axis=1),
        BALANCED: recall.sum(axis=1) / count,
        MACRO: (harmonic * occurs).sum(axis=1) / count,
    }


def beside(one: Confusion) -> dict[str, Array]:
    """The confusion matrices of who reads nothing: a guess, and the commonest label."""
    true = one.total.sum(axis=1)
    size = len(one.labels)
    always = np.zeros((size, size))
    always[:, int(true.argmax())] = true
    return {CHANCE: np.tile(true[:, None] / size, (1, size)), COMMONEST: always}


def intervals(
    one: Confusion, draws: int, source: np.random.Generator
) -> dict[str, tuple[float, float]]:
    """The middle 95 % of each figure over situations drawn again, with all of their rows."""
    count = len(one.each)
    weights = source.multinomial(count, np.full(count, 1 / count), draws)
    tables = np.einsum("ds,sij->dij", weights, one.each)
    return {
        name: (float(np.quantile(values, 0.025)), float(np.quantile(values, 0.975)))
        for name, values in _figures(tables).items()
    }


def page(
    about: str, found: Mapping[str, Confusion], results: Sequence[Result], outside: float
) -> str:
    """The figures as Markdown."""
    lines = [
        f"# What {cell(about)} takes statements to support or oppose",
        "",
        (
            "Brackets hold 95 % intervals over situations. The model gave "
            f"{outside:.0%} of its probability to no option at all; that part is left out."
        ),
        "",
    ]
    for part, one in found.items():
        shown = [result for result in results if result.slice == part]
        columns = list(shown[0].beside)
        lines += [
            f"## {part[0].upper()}{part[1:]}",
            "",
            f"{one.rows} rows of {len(one.each)} situations.",
            "",
            "| | model | " + " | ".join(columns) + " |",
            "|" + "---|" * (len(columns) + 2),
        ]
        lines += [
            f"| {r.metric} | {r.value:.3f} ({r.low:.3f} to {r.high:.3f}) | "
            + " | ".join(f"{r.beside[name]:.3f}" for name in columns)
            + " |"
            for r in shown
        ]
        lines += ["", "| labelled \\\\ answered | " + " | ".join(one.labels) + " |"]
        lines += ["|" + "---|" * (len(one.labels) + 1)]
        lines += [
            f"| {label} | " + " | ".join(f"{value:g}" for value in np.round(row, 2)) + " |"
            for label, row in zip(one.labels, one.total, strict=True)
        ]
        lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n"


def draw_confusions(found: Mapping[str, Confusion]) -> bytes:
    """A PNG: each label's answers as parts of its rows."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.2 + 2.9 * len(found), 3.1), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(found), squeeze=False)[0]
    for axis, (part, one) in zip(axes, found.items(), strict=True):
        true = one.total.sum(axis=1, keepdims=True)
        parts = np.divide(one.total, true, out=np.zeros_like(one.total), where=true > 0)
        axis.imshow(parts, cmap="YlGnBu", vmin=0, vmax=1.2)
        for (row, column), value in np.ndenumerate(parts):
            axis.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=8.5)
        axis.set_xticks(range(len(one.labels)), one.labels, fontsize=8)
        axis.set_yticks(range(len(one.labels)), one.labels, fontsize=8)
        axis.set_xlabel("answered", fontsize=8)
        axis.set_ylabel("labelled", fontsize=8)
        axis.set_title(f"{part}, {one.rows} rows", fontsize=9)
        axis.tick_params(length=0)
    out = BytesIO()
    figure.savefig(out, format="png", dpi=130, metadata={"Software": None})
    return out.getvalue()
