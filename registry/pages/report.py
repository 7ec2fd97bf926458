"""One walk through lineage as one HTML file: to be sent, printed or filed."""

from __future__ import annotations

from collections import Counter

from registry.artifact import Hasher
from registry.errors import UsageError
from registry.graph import Graph
from registry.lineage import Verification
from registry.pages.library import Library
from registry.pages.lineage_view import lineage_view, with_checks
from registry.pages.proof import Proof
from registry.pages.release_page import release_lineage
from registry.pages.rendering import NoLinks, render_alone
from registry.pages.results_view import result_tables
from registry.pages.shelf import Standing
from registry.pages.verdicts import verdict_of
from registry.release import Name, parse_name, read_statement


def report(graph: Graph, target: str) -> tuple[str, Verification]:
    """The report on a node or a release, every byte hashed anew, and what was found.

    Raises:
        UsageError: There is no such node or release, or the node was never made.
    """
    shelf = Standing(graph, Hasher(None))
    library = Library(shelf, Proof(shelf, {}))
    if name := parse_name(target):
        return _of_release(library, name)
    return _of_node(library, graph.node(target).id)


def _of_release(library: Library, name: Name) -> tuple[str, Verification]:
    read_statement(library.shelf.graph.project.root, name)
    one = library.released(name)
    found = library.proof.of_release(name)
    lineage = release_lineage(library, one, NoLinks())
    statement = one.statement
    node, content = (statement.node, statement.content) if statement else ("", "")
    html = render_alone(
        "report.html",
        name=str(name),
        target=name.tag,
        kind="release",
        day=statement.released_on if statement else "",
        content=content,
        commit=one.commit,
        verdict=one.verdict,
        lineage=lineage,
        counts=_counts(found),
        checks=with_checks(lineage.contracts),
        results=result_tables(list(library.measured(node, content)), NoLinks(), about=False),
    )
    return html, found


def _of_node(library: Library, node: str) -> tuple[str, Verification]:
    if node not in library.shelf.nodes:
        raise UsageError(
            "has not been made, so it has no lineage",
            where=node,
            mend=f"run `chorus make {node} --upstream`",
        )
    found = library.proof.of_node(node)
    manifest = library.shelf.manifest(node)
    project = library.shelf.graph.project
    lineage = lineage_view(node, found, library.shelf.manifest, NoLinks(), project)
    content = manifest.content if manifest else ""
    html = render_alone(
        "report.html",
        name=node,
        target=node,
        kind=manifest.kind if manifest else "artifact",
        day="",
        content=content,
        commit="",
        verdict=verdict_of(found),
        lineage=lineage,
        counts=_counts(found),
        checks=with_checks(lineage.contracts),
        results=[],
    )
    return html, found


def _counts(found: Verification) -> list[tuple[str, int]]:
    return sorted(Counter(hop.state for hop in found.hops).items())
