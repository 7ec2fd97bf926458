"""`chorus lineage`: from weights back to survey figures and the permission they rest on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from registry.cli.output import Json, print_json, print_rows
from registry.cli.reading import load
from registry.errors import ExitCode

if TYPE_CHECKING:
    from rich.tree import Tree

    from registry.graph import Graph
    from registry.lineage import Branch

_lineage = typer.Typer(help="Trace and verify what an artifact was made from.")
_WIDE = 400
"""Columns where no terminal sets them: a line is never broken for a program that reads it."""
_MEANING = {
    "verified": "every byte on the way is what the records say",
    "unrecorded": "whole, but not covered by a record; `chorus make` records it",
    "ended": "every byte is what the records say, but a permission has ended",
    "broken": "bytes differ from what the records say",
}
_EXIT = {
    "verified": ExitCode.OK,
    "unrecorded": ExitCode.CHECKS_FAILED,
    "ended": ExitCode.REFUSED,
    "broken": ExitCode.INTEGRITY,
}


def register(app: typer.Typer) -> None:
    """Adds this module's commands."""
    app.add_typer(_lineage, name="lineage", rich_help_panel="Trace")


@_lineage.command()
def show(node: str, json: Json = False) -> None:
    """Print the tree from an artifact to survey figures and permissions, with digests."""
    from registry.lineage import trace

    graph = load()
    if json:
        print_json(lineage=trace(graph, graph.node(node)).to_json())
    else:
        print_tree(graph, node)


def print_tree(graph: Graph, node: str) -> None:
    """Prints the tree below a node."""
    from rich.console import Console

    from registry.lineage import trace

    branch = trace(graph, graph.node(node))
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDE)
    console.print(_tree(branch, set()))


def _tree(branch: Branch, seen: set[str], into: Tree | None = None) -> Tree:
    from rich.markup import escape
    from rich.tree import Tree

    words = "" if branch.what == "node" else f"{branch.what} "
    label = f"{words}[bold]{escape(branch.name)}[/]  sha256:{branch.digest[:12]}"
    again = branch.what == "node" and branch.name in seen and bool(branch.made_from)
    if again:
        label += "  (shown above)"
    elif branch.detail:
        label += f"  [dim]{escape(branch.detail)}[/]"
    tree = into.add(label) if into is not None else Tree(label)
    if not again:
        seen.add(branch.name)
        for below in branch.made_from:
            _tree(below, seen, tree)
    return tree


@_lineage.command()
def verify(node: str, json: Json = False) -> None:
    """Hash everything on the way anew; exits 3 naming file and hop where a byte is changed."""
    graph = load()
    if not json:
        raise typer.Exit(print_verification(graph, node))
    from registry.lineage import verify as walk

    result = walk(graph, graph.node(node))
    hops = [
        {"name": h.name, "state": h.state, "sha256": h.digest, "findings": list(h.findings)}
        for h in result.hops
    ]
    print_json(node=result.node, verdict=result.verdict, hops=hops)
    raise typer.Exit(_EXIT[result.verdict])


def print_verification(graph: Graph, node: str) -> ExitCode:
    """Prints the verdict first, then every hop; returns the exit code."""
    from registry.lineage import verify as walk

    result = walk(graph, graph.node(node))
    print_rows([(f"{result.verdict}: {_MEANING[result.verdict]}",)])
    rows = [
        (f"  {h.state}", h.name, f"sha256:{h.digest[:12]}", "; ".join(h.findings))
        for h in result.hops
    ]
    print_rows(rows)
    return _EXIT[result.verdict]
