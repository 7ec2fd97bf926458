"""`chorus make`: makes nodes, inputs first."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from registry.cli.output import say
from registry.cli.reading import load
from registry.cli.voice import Voice
from registry.errors import UsageError

if TYPE_CHECKING:
    from registry.graph import Graph, Node


def register(app: typer.Typer) -> None:
    """Adds this module's command."""
    app.command("make", rich_help_panel="Make")(make)


def make(
    nodes: Annotated[list[str] | None, typer.Argument(help="Nodes, or whole declarations.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every node of the project.")] = False,
    upstream: Annotated[bool, typer.Option(help="Whatever they are made from, too.")] = False,
    force: Annotated[bool, typer.Option(help="Run the methods even where all is current.")] = False,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=0, help="Nodes at once; 0: fits.")] = 0,
) -> None:
    """Make nodes: run their methods, check their contracts, record them."""
    if bool(nodes) == everything:
        raise UsageError("name the nodes to make, or give --all")
    graph = load()
    chosen = list(graph.nodes.values()) if everything else graph.select(nodes or [])
    if upstream:
        chosen = graph.upstream(chosen)
    if not everything and not upstream:
        _warn_of_stale_inputs(graph, chosen)
    raise typer.Exit(make_and_say(graph, chosen, force=force, jobs=jobs))


def make_and_say(graph: Graph, chosen: list[Node], *, force: bool, jobs: int) -> int:
    """Syncs, makes the nodes and says what happens; returns the exit code."""
    from registry.runs import Door
    from registry.schedule import default_jobs, make_many
    from registry.store import require_synced, sync

    inside_dvc = "DVC_STAGE" in os.environ
    if inside_dvc:
        require_synced(graph)
    else:
        for path in sync(graph):
            say(f"synced {path}")
    with Voice() as voice:
        outcome = make_many(
            graph,
            chosen,
            jobs=jobs or default_jobs(chosen),
            force=force,
            door=Door("dvc repro" if inside_dvc else "chorus make"),
            listener=voice.listener(),
            done=voice.done,
        )
    for node_id, cause in outcome.skipped.items():
        say(f"skipped  {node_id} (it needs {cause})")
    if not outcome.failures and all(r.result == "current" for r in outcome.reports):
        say(f"everything is up to date ({len(outcome.reports)} nodes)")
    return int(outcome.exit_code)


def _warn_of_stale_inputs(graph: Graph, chosen: list[Node]) -> None:
    from registry.status import status

    found, names = status(graph), {node.id for node in chosen}
    for node in chosen:
        for edge in node.edges:
            if edge.node not in names and found[edge.node].state == "stale":
                say(f"note: the input {found[edge.node].node} is {found[edge.node]}")
                say("      --upstream makes it anew first")
