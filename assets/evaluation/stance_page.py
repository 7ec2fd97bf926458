"""Whether alignment carries into words, as a page and a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from assets.evaluation.cross_matrix import cell, label_of
from assets.evaluation.overton_checks import Check
from assets.evaluation.pluralism_plots import COLOURS
from assets.evaluation.stance_figures import (
    CARRIED,
    MEANING,
    OPTIONS_PEOPLE,
    SILENT,
    WORDS_OPTIONS,
    WORDS_PEOPLE,
    Figure,
)

_DISTANCES = (WORDS_OPTIONS, WORDS_PEOPLE, OPTIONS_PEOPLE)


def page(
    figures: Sequence[Figure],
    checks: Sequence[Check],
    names: Mapping[str, str],
    notes: Sequence[str],
) -> str:
    """The page, as Markdown."""
    lines = [
        "# Does it carry into words?",
        "",
        (
            "A model is asked survey questions openly, many times. An entailment model reads which "
            "option each answer speaks for. Brackets hold 95 % intervals; lower is nearer. Noise "
            "is what as many answers drawn exactly from the other side would show: a distance no "
            "larger than that is none."
        ),
        "",
    ]
    if notes:
        lines += ["## To know first", "", *(f"- {cell(note)}" for note in notes), ""]
    for part in dict.fromkeys(one.slice for one in figures):
        lines += [f"## {part[0].upper()}{part[1:]}", ""]
        for community in dict.fromkeys(one.community for one in figures if one.slice == part):
            chosen = [o for o in figures if (o.slice, o.community) == (part, community)]
            lines += [f"### {cell(names.get(community, community))}", "", *_table(chosen), ""]
    lines += ["## What the figures mean", ""]
    lines += [f"- **{name}**: {meaning}." for name, meaning in MEANING.items()]
    lines += ["", "## The reader was tried on planted answers", ""]
    lines += ["| planted | told right | needed |", "|---|---|---|"]
    lines += [
        f"| {one.check} | {one.right} of {one.tried} | "
        f"{'shown only' if one.must is None else f'{one.must:.0%}'} |"
        for one in checks
    ]
    return "\n".join(lines).rstrip("\n") + "\n"


def _table(figures: Sequence[Figure]) -> list[str]:
    lines = [
        "| model | figure | value | noise | p | uniform | no stance counted | items, answers |",
        "|" + "---|" * 8,
    ]
    for one in figures:
        sign = "+" if one.figure == CARRIED else ""
        shown = [f"{value:{sign}.3f}" for value in (one.value, one.low, one.high)]
        lines.append(
            f"| {cell(one.model)} | {one.figure} | {shown[0]} ({shown[1]} to {shown[2]}) | "
            f"{_shown(one.null)} | {'' if one.p is None else f'{one.p:.2g}'} | "
            f"{_shown(one.uniform)} | {_shown(one.silent_counted)} | {one.items}, {one.answers} |"
        )
    return lines


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def draw(figures: Sequence[Figure], names: Mapping[str, str], path: Path) -> None:
    """For each model and community the three distances, with the noise, and the silent share."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    lines = list(dict.fromkeys((o.slice, o.community, o.model) for o in figures))
    found: dict[Any, Figure] = {(o.slice, o.community, o.model, o.figure): o for o in figures}
    figure = Canvas(figsize=(9.4, 1.6 + 0.46 * len(lines)), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1))
    for index, name in enumerate(_DISTANCES):
        known = [(place, found[*line, name]) for place, line in enumerate(lines)
                 if (*line, name) in found]  # fmt: skip
        if not known:
            continue
        places = [place + (index - 1) * 0.22 for place, _ in known]
        values = [one.value for _, one in known]
        spreads = [
            [max(0.0, one.value - one.low) for _, one in known],
            [max(0.0, one.high - one.value) for _, one in known],
        ]
        left.errorbar(values, places, xerr=spreads, fmt="o", ms=4, lw=1, capsize=2,
                      color=COLOURS[index], label=name)  # fmt: skip
        noisy = [(one.null, place) for (_, one), place in zip(known, places, strict=True)
                 if one.null is not None]  # fmt: skip
        if noisy:
            across, down = zip(*noisy, strict=True)
            left.scatter(across, down, marker="|", s=60, color="#333333", zorder=3,
                         label="same-n noise" if index == 0 else None)  # fmt: skip
    silent = [found[*line, SILENT] for line in lines]
    right.barh(range(len(lines)), [one.value for one in silent], height=0.5, color="#6b6b6b")
    right.set_xlim(0, 1)
    right.set_xlabel("share with no stance", fontsize=8)
    left.set_xlim(left=0)
    left.set_xlabel("total variation, mean over items", fontsize=8)
    labels = [f"{model}\n{label_of(names.get(c, c)).replace(chr(10), ' ')}, {part}"
              for part, c, model in lines]  # fmt: skip
    left.set_yticks(range(len(lines)), labels, fontsize=7)
    left.invert_yaxis()
    for axis in (left, right):
        axis.tick_params(axis="x", labelsize=8)
        axis.grid(axis="x", alpha=0.3)
    if left.get_legend_handles_labels()[0]:
        figure.legend(loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    figure.savefig(path, dpi=150, metadata={"Software": None})
