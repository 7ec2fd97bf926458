"""`chorus lineage`: from weights back to survey figures and the permission they rest on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from registry.cli.output import Json, print_json, print_rows
from registry.cli.reading import load
from registry.errors import ExitCode

if TYPE_CHECKING:
    from rich.tree import Tree

    from registry.explain import Standing
    from registry.graph import Graph
    from registry.lineage import Branch, Verification

_lineage = typer.Typer(help="Trace and verify what an artifact was made from.")
_WIDE = 400
"""Columns where no terminal sets them: a line is never broken for a program that reads it."""
_MEANING = {
    "verified": "every byte on the way is what the records say",
    "unsigned": "every byte is what the records say, but no trusted key vouches for it",
    "unrecorded": "whole, but not covered by a record; `chorus make` records it",
    "erased": "what is still here is what the records say; some of it was erased by a withdrawal",
    "ended": "every byte is what the records say, but a permission has ended",
    "broken": "bytes differ from what the records say",
}
_EXIT = {
    "verified": ExitCode.OK,
    "unsigned": ExitCode.CHECKS_FAILED,
    "unrecorded": ExitCode.CHECKS_FAILED,
    "erased": ExitCode.REFUSED,
    "ended": ExitCode.REFUSED,
    "broken": ExitCode.INTEGRITY,
}


def register(app: typer.Typer) -> None:
    """Adds this module's commands."""
    app.add_typer(_lineage, name="lineage", rich_help_panel="Trace")


Target = Annotated[str, typer.Argument(help="A node, or a release such as name@v1.0.0.")]


@_lineage.command()
def show(target: Target, json: Json = False) -> None:
    """Print the tree from an artifact or a release to survey figures and permissions."""
    branch = trace_target(load(), target)
    if json:
        print_json(lineage=branch.to_json())
    else:
        print_tree(branch)


def trace_target(graph: Graph, target: str) -> Branch:
    """The tree below a node as it lies here, or below a release as its tag records it."""
    from registry.artifact import Hasher
    from registry.ground import Revision, WorkingTree
    from registry.lineage import trace
    from registry.release import parse_name, read_statement

    if name := parse_name(target):
        statement, commit = read_statement(graph.project.root, name)
        return trace(Revision(graph.project.root, commit, name.folder), statement.node)
    return trace(WorkingTree(graph, Hasher(None)), graph.node(target).id)


def print_tree(branch: Branch) -> None:
    """Prints a tree."""
    from rich.console import Console

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
def verify(target: Target, json: Json = False) -> None:
    """Hash everything on the way anew; exits 3 naming file and hop where a byte is changed."""
    result = walk(load(), target)
    if not json:
        raise typer.Exit(print_verification(result))
    hops = [
        {"name": h.name, "state": h.state, "sha256": h.digest, "findings": list(h.findings)}
        for h in result.hops
    ]
    print_json(node=result.node, verdict=result.verdict, hops=hops)
    raise typer.Exit(_EXIT[result.verdict])


@_lineage.command()
def explain(
    row: Annotated[str, typer.Argument(help="A row's id, as in a column `row_id`.")],
    json: Json = False,
) -> None:
    """Say where a row stands, why it was left out, and what was made from it."""
    from registry.explain import explain

    found = explain(load(), row)
    if json:
        print_json(row=row, standings=[one.to_json() for one in found])
    else:
        print_rows([_standing(one, row) for one in found])


def _standing(one: Standing, row: str) -> tuple[str, ...]:
    place = f"{one.node}: {one.table}"
    if one.row != row:
        return "made from it", place, one.row
    if not one.reason:
        return "in", place, f"made from {', '.join(one.parents)}" if one.parents else ""
    score = "" if one.score is None else f", score {one.score:.3g}"
    cause = f", because of {one.caused_by}" if one.caused_by not in ("", row) else ""
    return "left out", place, f"{one.reason}{score}{cause}"


def walk(graph: Graph, target: str) -> Verification:
    """Verifies a node as it lies here, or a release as its tag records it."""
    from registry.artifact import Hasher
    from registry.ground import WorkingTree
    from registry.lineage import verify
    from registry.release import parse_name
    from registry.release_proof import verify_release

    if name := parse_name(target):
        return verify_release(graph, name)
    return verify(WorkingTree(graph, Hasher(None)), graph, graph.node(target).id)


def print_verification(result: Verification) -> ExitCode:
    """Prints the verdict first, then every hop; returns the exit code."""
    print_rows([(f"{result.verdict}: {_MEANING[result.verdict]}",)])
    rows = [
        (
            f"  {h.state}",
            h.name,
            f"sha256:{h.digest[:12]}" if h.digest else "",
            "; ".join(h.findings),
        )
        for h in result.hops
    ]
    print_rows(rows)
    return exit_of(result)


def exit_of(result: Verification) -> ExitCode:
    """What a command ends with after a verification."""
    return _EXIT[result.verdict]
