"""Which evaluations measured a model: by their inputs, and by the very content that they met."""

from __future__ import annotations

from collections.abc import Iterator

from registry.artifact import Manifest
from registry.graph import Graph, Node


def evaluations_of(graph: Graph, model: Node) -> Iterator[Node]:
    """Every evaluation that is declared to measure a model, itself or through others."""
    for node in graph.nodes.values():
        if node.declaration.kind == "evaluation" and _rests_on(graph, node, model.id):
            yield node


def met(graph: Graph, evaluation: Node, model: Node, content: str) -> bool:
    """Whether an evaluation, as it lies there, was run on a model with this content."""
    manifest = graph.artifact(evaluation).read_manifest()
    return manifest is not None and content in _contents(graph, manifest, model.id)


def _rests_on(graph: Graph, node: Node, other: str) -> bool:
    return any(found.id == other for found in graph.upstream([node]))


def _contents(graph: Graph, manifest: Manifest, wanted: str) -> Iterator[str]:
    """The contents of a node on which an artifact really rests, by its manifests."""
    for entry in manifest.inputs:
        if entry.node == wanted:
            yield entry.content
        elif entry.node in graph.nodes:
            above = graph.artifact(entry.node).read_manifest()
            if above is not None and above.content == entry.content:
                yield from _contents(graph, above, wanted)
