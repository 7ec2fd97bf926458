"""`chorus make`: makes nodes, inputs first."""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING, Annotated, Any

import typer

from registry.cli.output import say
from registry.cli.reading import load
from registry.errors import ChorusError, UsageError

if TYPE_CHECKING:
    from registry.graph import Graph, Node
    from registry.make import Report
    from registry.ran import Ran
    from registry.runs import RunFiles


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
    voice = _Voice()
    with voice:
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


class _Voice:
    """Says what happens: bars on a terminal, plain lines elsewhere."""

    def __init__(self) -> None:
        self._bars: Any = None
        self._tasks: dict[str, Any] = {}
        self._files: dict[str, RunFiles] = {}
        self._stop = threading.Event()
        self._watcher: threading.Thread | None = None

    def __enter__(self) -> None:
        if not sys.stderr.isatty():
            return
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=Console(stderr=True),
            transient=True,
        )
        self._bars.start()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._watcher is not None:
            self._watcher.join()
        if self._bars is not None:
            self._bars.stop()

    def listener(self) -> Any:
        """What is told to the voice while nodes are made."""
        from registry.make import Listener

        return Listener(waiting=self._waiting, started=self._started, ran=self._ran)

    def _say(self, message: str) -> None:
        if self._bars is not None:
            self._bars.console.print(message, markup=False, highlight=False, soft_wrap=True)
        else:
            say(message)

    def _waiting(self, node: str, holder: str) -> None:
        self._say(f"waiting  {node} is being made by process {holder}")

    def _started(self, node: str, files: RunFiles) -> None:
        self._files[node] = files
        if self._bars is None:
            self._say(f"making   {node}")
        else:
            self._tasks[node] = self._bars.add_task(node, total=None, note="")

    def _ran(self, node: str, ran: Ran) -> None:
        self._say(f"runs on  {ran} ({node})")

    def done(self, node: Node, result: Report | ChorusError) -> None:
        """Says how a node ended."""
        if node.id in self._tasks:
            self._bars.remove_task(self._tasks.pop(node.id))
        if isinstance(result, ChorusError):
            self._say(f"failed   {result}")
            return
        seconds = f" in {result.run.seconds:.1f} s" if result.run and result.run.seconds else ""
        self._say(f"{result.result:<8} {node.id}{seconds}")
        for warning in result.warnings:
            self._say(f"warning  {warning}")

    def _watch(self) -> None:
        from registry.runs import read_events

        while not self._stop.wait(0.5):
            for node, task in list(self._tasks.items()):
                last: dict[str, Any] = {}
                for event in read_events(self._files[node].events):
                    last = dict(event)
                if last and node in self._tasks:
                    loss = f"loss {last['loss']:.3f}" if "loss" in last else ""
                    self._bars.update(task, completed=last["done"], total=last["total"], note=loss)
