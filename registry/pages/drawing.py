"""A lineage as a drawing: layers from left to right, drawn as SVG that needs no script.

Layers are the longest way from a source. Within a layer, boxes are ordered by the mean place of
their neighbours, forth and back (the barycentre rule of Sugiyama, Tagawa and Toda, 1981).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

from markupsafe import Markup, escape

from registry.pages.showing import text
from registry.pages.verdicts import TONE

MOST = 60
"""Boxes that a drawing holds; beyond it a reader is better served by the table."""
_WIDTH, _HEIGHT, _GAP, _LAYER = 228, 54, 18, 72
_LETTERS = 23
_STONE = 6
"""The height that an arrow takes in a layer that it passes."""
_SWEEPS = 8


_START = (
    '<svg class="lineage" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
    'role="group" aria-label="{title}">'
)
_HEAD = (
    '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" '
    'markerHeight="8" orient="auto"><path class="head" d="M0 0 L8 4 L0 8 z"/></marker></defs>'
)


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
    layers = _layers(known, pairs)
    ways, steps = _stepping_stones(layers, pairs)
    layers = _ordered(layers, steps)
    places = _places(layers, known)
    width = len(layers) * (_WIDTH + _LAYER) - _LAYER + 4
    height = max(y + _tall(name, known) for name, (_, y) in places.items()) + 2
    parts = [
        _START.format(width=width, height=f"{height:g}", title=escape(title)),
        _HEAD,
    ]
    parts += [_arrow([(*places[name], _tall(name, known)) for name in way]) for way in ways]
    parts += [_box(known[n], places[n]) for layer in layers for n in layer if n in known]
    return Markup("".join([*parts, "</svg>"]))  # noqa: S704 - every text was escaped


def _stepping_stones(
    layers: list[list[str]], pairs: Sequence[tuple[str, str]]
) -> tuple[list[list[str]], list[tuple[str, str]]]:
    """Gives the arrows of a box a place in each layer that they pass, so that they cross no other.

    Returns:
        For each arrow the names on its way, and all steps from one layer to the next.
    """
    at = {name: number for number, layer in enumerate(layers) for name in layer}
    ways = []
    for start, end in pairs:
        stones = [f"{start}\n{n}" for n in range(at[start] + 1, at[end])]
        for number, stone in enumerate(stones, at[start] + 1):
            if stone not in layers[number]:
                layers[number].append(stone)
        ways.append([start, *stones, end])
    return ways, sorted({step for way in ways for step in pairwise(way)})


def _layers(known: Mapping[str, Box], pairs: Sequence[tuple[str, str]]) -> list[list[str]]:
    """The boxes by the longest way from a source; what a circle holds up stands at the end."""
    users: dict[str, list[str]] = {name: [] for name in known}
    sorter: TopologicalSorter[str] = TopologicalSorter({name: [] for name in sorted(known)})
    for start, end in pairs:
        users[start].append(end)
        sorter.add(end, start)
    with suppress(CycleError):
        sorter.prepare()
    place: dict[str, int] = {}
    number = 0
    while ready := sorter.get_ready():
        place |= dict.fromkeys(ready, number)
        sorter.done(*ready)
        number += 1
    # A source stands just before its first user, so that its arrow is short.
    for name in known.keys() & place.keys() - {end for _, end in pairs}:
        after = [place[user] for user in users[name] if user in place]
        place[name] = max(0, min(after) - 1) if after else place[name]
    layers: list[list[str]] = [[] for _ in range(number + 1)]
    for name in sorted(known):
        layers[place.get(name, number)].append(name)
    return [layer for layer in layers if layer]


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


def _tall(name: str, known: Mapping[str, Box]) -> float:
    return _HEIGHT if name in known else _STONE


def _places(
    layers: Sequence[Sequence[str]], known: Mapping[str, Box]
) -> dict[str, tuple[float, float]]:
    """The upper left corner of everything; each layer stands in the middle."""
    heights = [sum(_tall(n, known) + _GAP for n in layer) - _GAP for layer in layers]
    found: dict[str, tuple[float, float]] = {}
    for x, layer in enumerate(layers):
        y = (max(heights) - heights[x]) / 2 + 2
        for name in layer:
            found[name] = (x * (_WIDTH + _LAYER) + 2, y)
            y += _tall(name, known) + _GAP
    return found


def _arrow(way: Sequence[tuple[float, float, float]]) -> str:
    """An arrow through places, each with its left edge, its top and its height."""
    x, y, tall = way[0]
    parts = [f"M{x + _WIDTH:g} {y + tall / 2:g}"]
    for before, (x, y, tall) in pairwise(way):
        x1, y1 = before[0] + _WIDTH, before[1] + before[2] / 2
        last = (x, y, tall) == way[-1]
        x2, y2 = x - 2 if last else x, y + tall / 2
        bend = max(30.0, (x2 - x1) / 2)
        parts.append(f"C{x1 + bend:g} {y1:g} {x2 - bend:g} {y2:g} {x2:g} {y2:g}")
        if not last:
            parts.append(f"H{x + _WIDTH:g}")
    return f'<path class="arrow" d="{" ".join(parts)}" marker-end="url(#arrow)"/>'


def _short(name: str) -> str:
    """A name that fits its box: its middle goes, since names differ at their ends."""
    if len(name) <= _LETTERS:
        return name
    return f"{name[: _LETTERS // 3]}…{name[-(_LETTERS - _LETTERS // 3 - 1) :]}"


def _box(box: Box, place: tuple[float, float]) -> str:
    x, y = place
    whole = text(box.id)
    name = _short(whole)
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
