"""The pictures of the report.

Once as PNG for Markdown and Dagster, once as SVG that takes the colours of the page it lies in.
"""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO, StringIO
from typing import Any

from assets.evaluation.answerers import OWN_TABLE, UNIFORM
from assets.evaluation.report_document import clean
from assets.evaluation.report_estimates import Change, Difference, Estimate
from assets.evaluation.report_pages import SLICES, Material

_INK, _SOFT, _LINE = "#1e2427", "#555f63", "#d7d5cc"
_COLOURS = ("#30638e", "#c23b53", "#00798c", "#a8700a", "#8f5aa8")
_VARIABLES = {
    _INK: "ink", _SOFT: "soft", _LINE: "line",
    **dict(zip(_COLOURS, ("one", "two", "three", "four", "five"), strict=True)),
}  # fmt: skip
POOLED_TABLE = "pooled table"
_WIDTH, _LEFT, _RIGHT = 4.4, 2.0, 0.2
_LINE_HEIGHT, _TITLE, _AXIS, _BELOW = 0.23, 0.36, 0.3, 0.26
"""Inches. Narrow enough to be read on a telephone as it stands."""
_NAME, _TITLE_NAME = 27, 48
"""Characters of a name in a picture; wide ones count twice."""
_SIZE = 9.5


@dataclass(frozen=True)
class Drawn:
    """One picture in both forms."""

    png: bytes
    svg: str


@dataclass(frozen=True)
class _Line:
    label: str
    found: Estimate
    colour: str = _COLOURS[0]
    strong: bool = False
    beside: tuple[Estimate, ...] = ()
    """What stands on the same line in grey."""


def pictures(material: Material) -> dict[str, Drawn]:
    """Every picture of the report by name."""
    found = {"who-serves-whom": _who(material)}
    if differences := list(_differences(material)):
        below = "own model minus one model for all; left is nearer"
        found["own-minus-one-for-all"] = _panels(
            "own-minus-one-for-all", differences, below, zero=True
        )
    if changes := list(_changes(material)):
        found["cost"] = _panels("cost", changes, "", zero=False)
    for label in material.opinions.models:
        name = f"models/{material.slugs[label]}"
        found[name] = _model(material, label, name)
    return found


def _who(material: Material) -> Drawn:
    opinions = material.opinions
    panels = []
    shown = [*opinions.models, POOLED_TABLE, UNIFORM]
    for one in material.served:
        lines = [
            _Line(label, one.distances[label], _colour(material, one.community, label),
                  label == one.best)
            for label in shown
            if label in one.distances
        ]  # fmt: skip
        panels.append((one.name, sorted(lines, key=lambda line: line.found.value)))
    return _panels("who-serves-whom", panels, "distance to its people; left is nearer", zero=False)


def _colour(material: Material, community: str, label: str) -> str:
    if label not in material.opinions.models:
        return _SOFT
    return _COLOURS[0] if material.opinions.community_of(label) == community else _COLOURS[3]


def _differences(material: Material) -> Iterator[tuple[str, list[_Line]]]:
    for one in material.served:
        lines = [
            _Line(SLICES.get(part, part), found, strong=found.sure)
            for part, found in one.minus_pooled.items()
            if isinstance(found, Difference)
        ]
        if lines:
            yield one.name, lines


def _changes(material: Material) -> Iterator[tuple[str, list[_Line]]]:
    found: dict[tuple[str, str], list[_Line]] = {}
    for model in material.serving:
        for one in (*material.reasoning(model), *material.diversity(model)):
            if isinstance(one.change, Change):
                lines = found.setdefault(
                    (one.what, one.how),
                    [_Line(f"before: {one.change.difference.rival}", one.change.before, _SOFT)],
                )
                lines.append(_Line(model, one.change.after, strong=one.change.difference.sure))
    yield from ((what, lines) for (what, _), lines in found.items())


def _model(material: Material, label: str, name: str) -> Drawn:
    opinions = material.opinions
    panels = []
    for community, who in opinions.names.items():
        lines = []
        for part in opinions.slices:
            found = opinions.distance(part, community, label)
            grey = [opinions.distance(part, community, one) for one in (UNIFORM, OWN_TABLE)]
            beside = tuple(one for one in grey if isinstance(one, Estimate))
            if isinstance(found, Estimate):
                lines.append(_Line(SLICES.get(part, part), found, strong=True, beside=beside))
        if lines:
            panels.append((clean(who), lines))
    return _panels(name, panels, "distance to its people; left is nearer", zero=False)


def _panels(
    name: str, panels: Sequence[tuple[str, Sequence[_Line]]], below: str, *, zero: bool
) -> Drawn:
    """One panel under the other: a dot and its interval a line."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    heights = [_LINE_HEIGHT * (len(lines) + 0.4) for _, lines in panels]
    height = sum(heights) + len(panels) * (_TITLE + _AXIS) + _BELOW * bool(below)
    figure = Figure(figsize=(_WIDTH, height))
    FigureCanvasAgg(figure)
    top, first = height, None
    with _quiet():
        for (title, lines), tall in zip(panels, heights, strict=True):
            figure.text(
                0.01, (top - 0.2) / height, _short(title, _TITLE_NAME), fontsize=_SIZE + 1,
                color=_INK, fontweight="bold", parse_math=False,
            )  # fmt: skip
            top -= _TITLE + tall
            across, tall_share = _WIDTH - _LEFT - _RIGHT, tall / height
            axis = figure.add_axes(
                (_LEFT / _WIDTH, top / height, across / _WIDTH, tall_share),
                sharex=first if below else None,
            )
            first = first or axis
            _panel(axis, lines, zero=zero)
            top -= _AXIS
        if below:
            figure.text(0.99, 0.08 / height, below, fontsize=_SIZE, color=_SOFT, ha="right")
        return _save(figure, name)


def _panel(axis: Any, lines: Sequence[_Line], *, zero: bool) -> None:
    for place, line in enumerate(lines):
        for found, colour in (*((o, _SOFT) for o in line.beside), (line.found, line.colour)):
            low = found.value if found.low is None else found.low
            high = found.value if found.high is None else found.high
            large = line.strong and found is line.found
            axis.plot([low, high], [place, place], color=colour, lw=1.6, clip_on=False)
            axis.plot(
                [found.value], [place], "o", color=colour, clip_on=False, ms=7 if large else 5,
                mfc=colour if large or not zero else "none",
            )  # fmt: skip
    if zero:
        axis.axvline(0, color=_SOFT, lw=1)
    elif all(found.value >= 0 for line in lines for found in (line.found, *line.beside)):
        axis.set_xlim(left=0)
    axis.set_yticks(range(len(lines)), [_short(line.label) for line in lines])
    axis.set_ylim(len(lines) - 0.4, -0.6)
    axis.grid(axis="x", color=_LINE, lw=0.7)
    axis.set_axisbelow(True)
    axis.tick_params(labelsize=_SIZE, labelcolor=_INK, color=_LINE, length=0)
    axis.locator_params(axis="x", nbins=5)
    axis.spines[:].set_visible(False)
    axis.patch.set_visible(False)
    for text in axis.get_yticklabels():
        text.set_parse_math(False)


def _short(name: str, longest: int = _NAME) -> str:
    """A name as it fits beside a line. Marks that isolate directions are no glyphs."""
    shown = "".join(c for c in name if unicodedata.category(c) != "Cf")
    room = longest
    for place, character in enumerate(shown):
        room -= 2 if unicodedata.east_asian_width(character) in "WF" else 1
        if room < 0:
            return shown[: place - 1].rstrip() + "…"
    return shown


@contextmanager
def _quiet() -> Iterator[None]:
    """No warning for each letter that the packaged font lacks; a browser has other fonts."""
    from matplotlib import rc_context

    settings = {"svg.fonttype": "none", "svg.hashsalt": "chorus"}
    with warnings.catch_warnings(), rc_context(settings):
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
        yield


def _save(figure: Any, name: str) -> Drawn:
    png, svg = BytesIO(), StringIO()
    figure.savefig(png, format="png", dpi=150, facecolor="white", metadata={"Software": None})
    figure.savefig(svg, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return Drawn(png.getvalue(), in_page(svg.getvalue(), name))


def in_page(svg: str, name: str) -> str:
    """An SVG as part of a page: its colours are the page's, its ids its own.

    Args:
        svg: The file as matplotlib writes it.
        name: What tells its ids from those of the page's other pictures.
    """
    start = svg.index("<svg")
    found = re.sub(r"<metadata>.*?</metadata>", "", svg[start:], flags=re.DOTALL)
    for colour, variable in _VARIABLES.items():
        found = found.replace(colour, f"var(--{variable})")
    own = re.sub(r"[^a-z0-9]+", "-", name)
    found = re.sub(r'\bid="', f'id="{own}-', found)
    found = re.sub(r'(href="#|url\(#)', rf"\g<1>{own}-", found)
    found = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", found, count=1)
    found = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", found, count=1)
    return found.replace("<svg", '<svg aria-hidden="true" focusable="false"', 1).rstrip()


def by_name(drawn: Mapping[str, Drawn]) -> dict[str, str]:
    """Only what an HTML page takes in."""
    return {name: one.svg for name, one in drawn.items()}
