"""A lineage as a drawing: layers from left to right, drawn as SVG that needs no script.

Layers are the longest way from a source. Within a layer, boxes are ordered by the mean place of
their neighbours, forth and back (the barycentre rule of Sugiyama, Tagawa and Toda, 1981).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from registry.pages.showing import text
from registry.pages.verdicts import TONE

MOST = 60
"""Boxes that a drawing holds; beyond it a reader is better served by the table."""
_WIDTH, _HEIGHT, _GAP, _LAYER = 228, 54, 18, 72
_LETTERS = 24
_SWEEPS = 8


@dataclass(frozen=True)
class Box:
    """One thing in a drawing."""

    id: str
    what: str
    """What it is: dataset, model, evaluation, profile, file or release."""
    state: str
    """Its verdict."""
    link: str = ""
    """Its page, if it has one."""
    here: bool = False
    """Whether the page that shows the drawing speaks of it."""


def draw(boxes: Sequence[Box], arrows: Iterable[tuple[str, str]], title: str) -> Markup:
    """A drawing of what was made from what; empty where there is too much for one.

    Args:
        boxes: Everything in it.
        arrows: From what, to what was made from it.
        title: What a screen reader says of it.
    """
    known = {box.id: box for box in boxes}
    pairs = sorted({(a, b) for a, b in arrows if a in known and b in known and a != b})
    if not boxes or len(known) > MOST:
        return Markup()
    layers = _ordered(_layers(known, pairs), pairs)
    places = _places(layers)
    width = len(layers) * (_WIDTH + _LAYER) - _LAYER + 4
    height = max(len(layer) for layer in layers) * (_HEIGHT + _GAP) - _GAP + 4
    parts = [
        f'<svg class="lineage" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="group" aria-label="{escape(title)}">',
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" '
        'markerHeight="8" orient="auto"><path class="head" d="M0 0 L8 4 L0 8 z"/></marker></defs>',
    ]
    parts += [_arrow(places[a], places[b]) for a, b in pairs]
    parts += [_box(known[name], places[name]) for layer in layers for name in layer]
    return Markup("".join([*parts, "</svg>"]))  # noqa: S704 - every text was escaped


def _layers(known: Mapping[str, Box], pairs: Sequence[tuple[str, str]]) -> list[list[str]]:
    """The boxes by the longest way from a source; those in a circle stand together at the end."""
    import networkx as nx

    graph = nx.DiGraph()
    graph.add_nodes_from(sorted(known))
    graph.add_edges_from(pairs)
    circle = {name for part in nx.strongly_connected_components(graph) if len(part) > 1
              for name in part}  # fmt: skip
    straight = graph.subgraph(name for name in graph if name not in circle)
    found = [sorted(layer) for layer in nx.topological_generations(straight)]
    # A source stands just before its first user, so that its arrow is short.
    place = {name: number for number, layer in enumerate(found) for name in layer}
    for name in [name for name in place if not graph.in_degree(name)]:
        after = [place[user] for user in graph.successors(name) if user in place]
        place[name] = max(0, min(after) - 1) if after else place[name]
    moved: list[list[str]] = [[] for _ in found]
    for name in sorted(place):
        moved[place[name]].append(name)
    return [layer for layer in [*moved, sorted(circle)] if layer]


def _ordered(layers: list[list[str]], pairs: Sequence[tuple[str, str]]) -> list[list[str]]:
    """The layers with few arrows crossing."""
    before: dict[str, list[str]] = {}
    after: dict[str, list[str]] = {}
    for start, end in pairs:
        after.setdefault(start, []).append(end)
        before.setdefault(end, []).append(start)
    best, fewest = [list(layer) for layer in layers], _crossings(layers, pairs)
    for sweep in range(_SWEEPS):
        forward = sweep % 2 == 0
        order = range(1, len(layers)) if forward else range(len(layers) - 2, -1, -1)
        place = {n: i / max(1, len(layer) - 1) for layer in layers for i, n in enumerate(layer)}
        for number in order:
            beside = before if forward else after
            means = {
                name: _mean([place[one] for one in beside.get(name, ())], place[name])
                for name in layers[number]
            }
            layers[number].sort(key=lambda name: (means[name], name))
            size = max(1, len(layers[number]) - 1)
            place |= {name: index / size for index, name in enumerate(layers[number])}
        if (found := _crossings(layers, pairs)) < fewest:
            best, fewest = [list(layer) for layer in layers], found
    return best


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _crossings(layers: Sequence[Sequence[str]], pairs: Sequence[tuple[str, str]]) -> int:
    """How many pairs of arrows between the same layers cross."""
    at = {n: (x, y) for x, layer in enumerate(layers) for y, n in enumerate(layer)}
    found = 0
    for index, (a, b) in enumerate(pairs):
        for c, d in pairs[index + 1 :]:
            same = at[a][0] == at[c][0] and at[b][0] == at[d][0]
            found += same and (at[a][1] - at[c][1]) * (at[b][1] - at[d][1]) < 0
    return found


def _places(layers: Sequence[Sequence[str]]) -> dict[str, tuple[float, float]]:
    """The upper left corner of each box; each layer stands in the middle."""
    tallest = max(len(layer) for layer in layers)
    found: dict[str, tuple[float, float]] = {}
    for x, layer in enumerate(layers):
        top = (tallest - len(layer)) * (_HEIGHT + _GAP) / 2 + 2
        for y, name in enumerate(layer):
            found[name] = (x * (_WIDTH + _LAYER) + 2, top + y * (_HEIGHT + _GAP))
    return found


def _arrow(start: tuple[float, float], end: tuple[float, float]) -> str:
    x1, y1 = start[0] + _WIDTH, start[1] + _HEIGHT / 2
    x2, y2 = end[0] - 2, end[1] + _HEIGHT / 2
    bend = max(30.0, min(_LAYER, (x2 - x1) / 2))
    way = f"M{x1:g} {y1:g} C{x1 + bend:g} {y1:g} {x2 - bend:g} {y2:g} {x2:g} {y2:g}"
    return f'<path class="arrow" d="{way}" marker-end="url(#arrow)"/>'


def _box(box: Box, place: tuple[float, float]) -> str:
    x, y = place
    whole = text(box.id)
    name = text(box.id, _LETTERS)
    here = " here" if box.here else ""
    drawn = (
        f'<g class="box {TONE.get(box.state, "unsure")}{here}">'
        f"<title>{escape(whole)}: {escape(box.what)}, {escape(box.state)}</title>"
        f'<rect x="{x:g}" y="{y:g}" width="{_WIDTH}" height="{_HEIGHT}" rx="8"/>'
        f'<path class="mark" d="M{x + 5:g} {y + 8:g} v{_HEIGHT - 16}"/>'
        f'<text class="name" x="{x + 14:g}" y="{y + 23:g}">{escape(name)}</text>'
        f'<text class="kind" x="{x + 14:g}" y="{y + 42:g}">'
        f"{escape(box.what)} · {escape(box.state)}</text></g>"
    )
    return f'<a href="{escape(box.link)}">{drawn}</a>' if box.link else drawn
