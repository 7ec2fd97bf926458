"""Mermaid: a flowchart that Git hosts draw. Large graphs are cut, and say so."""

from __future__ import annotations

from collections.abc import Iterator

from registry.export.walked import Walked

MOST = 50
"""Boxes that a reader can still follow."""
_SHAPES = {"dataset": ("[(", ")]"), "model": ("[", "]"), "evaluation": ("{{", "}}")}


def as_mermaid(walk: Walked) -> str:
    """The nodes nearest to where the walk began, their profiles and sources, and the edges."""
    return "\n".join(["flowchart TD", *_lines(walk)]) + "\n"


def _lines(walk: Walked) -> Iterator[str]:
    near = _nearest(walk)
    numbers = {node: f"n{number}" for number, node in enumerate(near)}
    for node in near:
        manifest = walk.manifests[node]
        left, right = _SHAPES.get(manifest.kind, ("[", "]"))
        yield f'  {numbers[node]}{left}"{_label(node, manifest.content[:12])}"{right}'
    grounds: dict[str, str] = {}
    for node in near:
        manifest = walk.manifests[node]
        rests = [(s.path, "source") for s in manifest.sources]
        rests += [(p.id, p.permission) for p in manifest.profiles if p.tables or p.fields]
        for name, what in rests:
            if name not in grounds and len(near) + len(grounds) < MOST:
                grounds[name] = f"g{len(grounds)}"
                yield f'  {grounds[name]}(["{_label(name, what)}"])'
            if name in grounds:
                yield f"  {grounds[name]} --> {numbers[node]}"
        for above in dict.fromkeys(entry.node for entry in manifest.inputs):
            if above in numbers:
                yield f"  {numbers[above]} --> {numbers[node]}"
    if hidden := len(walk.manifests) - len(near):
        yield f'  more["and {hidden} more artifacts further up"]'


def _nearest(walk: Walked) -> list[str]:
    """The nodes by their distance from where the walk began, as many as can be followed."""
    found, at = [walk.node], 0
    while at < len(found):
        found += [
            node
            for node in dict.fromkeys(e.node for e in walk.manifests[found[at]].inputs)
            if node not in found
        ]
        at += 1
    return found[:MOST]


def _label(name: str, below: str) -> str:
    """Two lines of text; whatever Mermaid or HTML would read as more than text is escaped."""
    return "<br/>".join(_escaped(part) for part in (name, below))


def _escaped(text: str) -> str:
    safe = "".join(c if c.isalnum() or c in " -_./@:," else f"#{ord(c)};" for c in text)
    return safe[:120]
