"""`chorus card`: what a model or a dataset is, written from its records."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from registry.cli.reading import load
from registry.errors import UsageError

if TYPE_CHECKING:
    from registry.graph import Graph


def register(app: typer.Typer) -> None:
    """Adds this module's command."""
    app.command("card", rich_help_panel="Look")(card)


def card(
    what: Annotated[str, typer.Argument(help="A model, a dataset, or a release name@v1.0.0.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write it to this file.")
    ] = None,
) -> None:
    """Print the card of a model or dataset as it lies here, or of a release as it was made."""
    from registry.artifact import write_atomically

    text = _text(load(), what)
    if output is None:
        sys.stdout.write(text)
    else:
        write_atomically(output, text.encode())


def _text(graph: Graph, what: str) -> str:
    from registry.card import Card, write_card
    from registry.dataset_card import DatasetCard, made, write_dataset_card
    from registry.release import parse_name, read_card
    from registry.status import status
    from registry.thresholds import judge

    if name := parse_name(what):
        return read_card(graph.project.root, name)
    node = graph.node(what)
    if node.declaration.kind == "dataset":
        return write_dataset_card(DatasetCard(graph, node))
    if node.declaration.kind == "evaluation":
        raise UsageError(
            f"{node.id} is an evaluation; cards are of models and datasets",
            mend="name the model that it measures",
        )
    manifests = {one.id: made(graph, one) for one in graph.upstream([node])}
    return write_card(
        Card(graph, node, node.id, "", "", manifests, judge(graph, node, status(graph)))
    )
