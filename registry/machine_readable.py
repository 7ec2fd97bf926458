"""What a model is made of, and what it learned from, in the forms that other tools read.

A release carries both files; `chorus lineage export` writes them of what lies here as well.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping

from registry import bill_of_materials, croissant, git
from registry.card import Card
from registry.dataset_card import described, made
from registry.errors import UsageError
from registry.graph import Graph, Node
from registry.release import Name, read_statement


def materials_of(card: Card) -> bytes:
    """The bill of materials of a model, as CycloneDX."""
    subject = bill_of_materials.Subject(
        node=card.node.id,
        name=card.name,
        version=card.version,
        descriptions={one.id: one.declaration.description for one in card.chain},
        limits=card.limits,
        results=card.results,
    )
    profiles = [profile.profile for profile in card.profiles]
    return bill_of_materials.bill_of_materials(subject, card.manifests, profiles)


def data_of(card: Card, day: dt.date | None = None) -> bytes:
    """The datasets on the way, as Croissant; nothing where there are none.

    Args:
        card: Of the model that learned from them, or of a dataset.
        day: The day of the release.
    """
    datasets = [
        described(card.graph, one) for one in card.chain if one.declaration.kind == "dataset"
    ]
    if not datasets:
        return b""
    title = f"{card.name} {card.version}".strip()
    return croissant.croissant(
        f"{card.name.replace('/', '-').replace('@', '-')}-data",
        f"What {title} learned from." if card.node.declaration.kind == "model" else title,
        card.version or "0.0.0",
        datasets,
        [profile.profile for profile in card.profiles],
        day,
    )


FORMS: Mapping[str, tuple[str, Callable[[Card], bytes]]] = {
    "croissant": (croissant.FILE, data_of),
    "cyclonedx": (bill_of_materials.FILE, materials_of),
}
"""For each form its file in a release, and what writes it."""


def of_release(graph: Graph, name: Name, form: str) -> bytes:
    """What a release carries in a form."""
    _, commit = read_statement(graph.project.root, name)
    path = f"{name.folder}/{FORMS[form][0]}"
    raw = git.content(graph.project.root, commit, path)
    if raw is None:
        raise UsageError(
            f"carries no {FORMS[form][0]}",
            where=name.tag,
            why="it learned from no data, or was released before releases carried one",
            mend="export its node as it lies here",
        )
    return raw


def of_node(graph: Graph, node: Node, form: str) -> bytes:
    """An artifact as it lies here, in a form."""
    if form == "cyclonedx" and node.declaration.kind != "model":
        raise UsageError("a bill of materials is of a model", where=node.id, mend="name a model")
    manifests = {one.id: made(graph, one) for one in graph.upstream([node])}
    written = FORMS[form][1](Card(graph, node, node.id, "", "", manifests))
    if not written:
        raise UsageError("no dataset is on the way to it", where=node.id, mend="name a dataset")
    return written
