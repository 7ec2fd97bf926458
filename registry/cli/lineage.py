"""`chorus lineage`: from weights back to survey figures and permissions, and the way down again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from registry.cli.output import Json, print_json, print_rows
from registry.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from rich.tree import Tree

    from registry.graph import Graph
    from registry.ground import Ground
    from registry.lineage import Branch, Verification

lineage_app = typer.Typer(help="Trace and verify what an artifact was made from, and what from it.")
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
    app.add_typer(lineage_app, name="lineage", rich_help_panel="Trace")


Target = Annotated[str, typer.Argument(help="A node, or a release such as name@v1.0.0.")]
Rev = Annotated[
    str | None, typer.Option("--rev", help="As this Git revision records it, not as it lies here.")
]
Objects = Annotated[
    list[Path] | None,
    typer.Option("--objects", help="Another folder with DVC's objects: a cache, or a remote."),
]


@contextlib.contextmanager
def standing(objects: list[Path] | None = None, target: str = "") -> Iterator[Graph]:
    """The project with its profiles alone, so that proof asks for no installed method.

    In a bare clone it is a temporary checkout of its `HEAD`, with the release that is asked about.
    """
    from registry.checkout import is_bare, restore_content, temporary_checkout, use_objects
    from registry.graph import Graph
    from registry.ground import Revision
    from registry.project import load_profiles
    from registry.release import parse_name
    from registry.remotes import restore_release

    places = [place.resolve() for place in objects or []]
    if not is_bare(Path.cwd()):
        yield Graph(load_profiles(), {})
        return
    with temporary_checkout(Path.cwd()) as root:
        use_objects(root, places)
        restore_content(root, Revision(root, "HEAD"))
        if name := parse_name(target):
            restore_release(root, name)
        yield Graph(load_profiles(root), {})


def ground_of(
    graph: Graph, target: str, rev: str | None = None, objects: list[Path] | None = None
) -> tuple[Ground, str]:
    """Where a walk from a node or a release reads, and the node that it starts from."""
    from registry import git
    from registry.artifact import Hasher
    from registry.ground import Revision, WorkingTree
    from registry.release import parse_name, read_statement

    root, beside = graph.project.root, tuple(objects or ())
    if name := parse_name(target):
        if rev is not None:
            raise UsageError("a release is a revision already", where=target, mend="drop --rev")
        statement, commit = read_statement(root, name)
        return Revision(root, commit, name.folder, beside), statement.node
    if rev is not None:
        return Revision(root, git.commit_of(root, rev), "", beside), target
    ground = WorkingTree(graph, Hasher(None))
    return ground, target if ground.manifest(target) else _declared(graph, target)


def _declared(graph: Graph, target: str) -> str:
    """A node that lies nowhere: one that was erased, is not made yet, or does not exist."""
    from registry.cli.reading import load
    from registry.tombstones import Tombstones

    if Tombstones(graph.project.root).manifest(target):
        return target
    return load().node(target).id


@lineage_app.command()
def show(target: Target, rev: Rev = None, objects: Objects = None, json: Json = False) -> None:
    """Print the tree from an artifact or a release to survey figures and permissions."""
    with standing(objects) as graph:
        branch = trace_target(graph, target, rev, objects)
    if json:
        print_json(lineage=branch.to_json())
    else:
        print_tree(branch)


def trace_target(
    graph: Graph, target: str, rev: str | None = None, objects: list[Path] | None = None
) -> Branch:
    """The tree below a node as it lies here or at a revision, or below a release."""
    from registry.lineage import trace

    return trace(*ground_of(graph, target, rev, objects))


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


@lineage_app.command()
def verify(target: Target, rev: Rev = None, objects: Objects = None, json: Json = False) -> None:
    """Hash everything on the way anew; exits 3 naming file and hop where a byte is changed."""
    with standing(objects, target) as graph:
        result = walk(graph, target, rev, objects)
    if not json:
        raise typer.Exit(print_verification(result))
    hops = [
        {"name": h.name, "state": h.state, "sha256": h.digest, "findings": list(h.findings)}
        for h in result.hops
    ]
    print_json(node=result.node, verdict=result.verdict, hops=hops)
    raise typer.Exit(_EXIT[result.verdict])


def walk(
    graph: Graph, target: str, rev: str | None = None, objects: list[Path] | None = None
) -> Verification:
    """Verifies a node as it lies here or at a revision, or a release as its tag records it."""
    from registry.lineage import verify
    from registry.release import parse_name
    from registry.release_proof import verify_release

    if name := parse_name(target):
        return verify_release(graph, name)
    ground, node = ground_of(graph, target, rev, objects)
    return verify(ground, graph, node)


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
