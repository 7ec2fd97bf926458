"""The pictures of the report: once as PNG for Markdown and Dagster, once as SVG that follows the
colours of the page it lies in.
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

from assets.evaluation.report_document import clean
from assets.evaluation.report_estimates import Change, Difference, Estimate
from assets.evaluation.report_pages import SLICES, Material

_INK, _SOFT, _LINE = "#1e2427", "#555f63", "#d7d5cc"
_COLOURS = ("#30638e", "#c23b53", "#00798c", "#a8700a", "#8f5aa8")
_VARIABLES = {
    _INK: "ink", _SOFT: "soft", _LINE: "line",
    **dict(zip(_COLOURS, ("one", "two", "three", "four", "five"), strict=True)),
}  # fmt: skip
_WIDTH = 5.6
_NAME = 34
"""Characters of a name in a picture."""
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


def pictures(material: Material) -> dict[str, Drawn]:
    """Every picture of the report by name."""
    found = {"who-serves-whom": _who(material)}
    if differences := list(_differences(material)):
        found["own-minus-one-for-all"] = _panels(
            "own-minus-one-for-all", differences, "own model minus one model for all; left is nearer",
            zero=True,
        )  # fmt: skip
    if changes := list(_changes(material)):
        found["cost"] = _panels("cost", changes, "", zero=False)
    for label in material.opinions.models:
        name = f"models/{material.slugs[label]}"
        found[name] = _model(material, label, name)
    return found


def _who(material: Material) -> Drawn:
    opinions = material.opinions
    panels = []
    shown = [*opinions.models, "pooled table", "uniform"]
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
    found: dict[str, list[_Line]] = {}
    for model in material.serving:
        for one in (*material.reasoning(model), *material.diversity(model)):
            if isinstance(one.change, Change):
                title = f"{one.what} ({one.how})"
                lines = found.setdefault(
                    title, [_Line(f"before: {one.change.difference.rival}", one.change.before, _SOFT)]
                )
                lines.append(_Line(model, one.change.after, strong=one.change.difference.sure))
    yield from found.items()


def _model(material: Material, label: str, name: str) -> Drawn:
    opinions = material.opinions
    beside = ("uniform", "own table (noise floor)")
    panels = []
    for part in opinions.slices:
        lines = []
        for community, who in opinions.names.items():
            found = opinions.distance(part, community, label)
            if isinstance(found, Estimate):
                lines.append(_Line(clean(who), found, strong=True))
            for other in beside:
                there = opinions.distance(part, community, other)
                if isinstance(there, Estimate):
                    lines.append(_Line(other, there, _SOFT))
        if lines:
            panels.append((SLICES.get(part, part), lines))
    return _panels(name, panels, "distance to its people; left is nearer", zero=False)


def _panels(
    name: str, panels: Sequence[tuple[str, Sequence[_Line]]], below: str, *, zero: bool
) -> Drawn:
    """One panel under the other: a dot and its interval a line."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    heights = [0.9 + len(lines) for _, lines in panels]
    figure = Figure(figsize=(_WIDTH, 0.4 + 0.235 * sum(h + 1.1 for h in heights)),
                    layout="constrained")  # fmt: skip
    FigureCanvasAgg(figure)
    with _quiet():
        shared = len({title for title, _ in panels}) > 0 and bool(below)
        grid = figure.subplots(len(panels), 1, squeeze=False, sharex=shared, height_ratios=heights)
        for axis, (title, lines) in zip(grid[:, 0], panels, strict=True):
            _panel(axis, title, lines, zero=zero)
        if below:
            grid[-1, 0].set_xlabel(below, fontsize=_SIZE, color=_SOFT)
        return _save(figure, name)


def _panel(axis: Any, title: str, lines: Sequence[_Line], *, zero: bool) -> None:
    for place, line in enumerate(lines):
        found = line.found
        low = found.value if found.low is None else found.low
        high = found.value if found.high is None else found.high
        axis.plot([low, high], [place, place], color=line.colour, lw=1.6)
        axis.plot(
            [found.value], [place], "o", color=line.colour, ms=7 if line.strong else 5,
            mfc=line.colour if line.strong or not zero else "none",
        )  # fmt: skip
    if zero:
        axis.axvline(0, color=_SOFT, lw=1)
    axis.set_yticks(range(len(lines)), [_short(line.label) for line in lines])
    axis.set_ylim(len(lines) - 0.4, -0.6)
    axis.grid(axis="x", color=_LINE, lw=0.7)
    axis.set_axisbelow(True)
    axis.tick_params(labelsize=_SIZE, labelcolor=_INK, color=_LINE, length=0)
    axis.locator_params(axis="x", nbins=5)
    axis.spines[:].set_visible(False)
    axis.patch.set_visible(False)
    axis.set_title(_short(title, 56), fontsize=_SIZE + 1, color=_INK, loc="left", fontweight="bold")
    for text in (axis.title, *axis.get_yticklabels()):
        text.set_parse_math(False)


def _short(name: str, longest: int = _NAME) -> str:
    """A name as it fits beside a line. Marks that isolate directions are no glyphs."""
    shown = "".join(c for c in name if unicodedata.category(c) != "Cf")
    return shown if len(shown) <= longest else shown[: longest - 1].rstrip() + "…"


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
