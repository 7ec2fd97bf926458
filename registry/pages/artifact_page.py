"""The page of an artifact: its verdict, what it holds, what was measured, and its lineage."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from markupsafe import Markup

from registry.artifact import Manifest
from registry.pages.attachments import Attachment, attachments
from registry.pages.library import Item, Library
from registry.pages.lineage_view import lineage_view, with_checks
from registry.pages.markdown import render as markdown
from registry.pages.rendering import Links, Page, render
from registry.pages.results_view import result_tables
from registry.pages.samples import Sample, sample
from registry.pages.showing import figures_withheld, rows_withheld

_MOST_USERS = 60
_MOST_FILES = 200
_LARGEST_TEXT = 40_000
_TAMPERED = "The bytes that lie here are not those that the records name."
_TEXTS = ("in-short.md", "cross-matrix.md")
"""Texts of an evaluation that are short enough to stand on its page."""


def artifact_page(library: Library, node: str, data_docs: str) -> tuple[Page, list[Attachment]]:
    """The page of an artifact, and the files that it takes along."""
    item, shelf = library.items[node], library.shelf
    manifest = shelf.manifest(node)
    withheld = _withheld(library, item)
    carried = list(attachments(shelf, item.kind, node)) if not withheld else []
    measuring = library.measuring(node, manifest.content) if manifest else []
    users = library.users.get(node, [])
    causes = {
        "fingerprint": library.proof.fingerprint(node),
        "item": item,
        "measured": [library.proof.fingerprint(one) for one in measuring],
        "users": [[one, library.items[one].verdict.state] for one in users],
        "releases": [[one.name.tag, one.verdict.state, one.retired]
                     for one in library.releases_of(node)],
        "profiles": [[one, library.proof.permission(one)] for one in item.communities],
        "data docs": data_docs,
    }  # fmt: skip
    page = Page(
        item.page, causes, lambda: _render(library, item, manifest, carried, withheld, data_docs)
    )
    return page, carried


def _withheld(library: Library, item: Item) -> str:
    """Why neither figures nor rows are shown; nothing where figures may be."""
    own = {hop.state for hop in library.proof.of_node(item.node).hops if hop.name == item.node}
    if "broken" in own:
        return _TAMPERED
    return figures_withheld(library.shelf.graph, item.communities)


def _render(
    library: Library,
    item: Item,
    manifest: Manifest | None,
    carried: list[Attachment],
    withheld: str,
    data_docs: str,
) -> str:
    graph, links = library.shelf.graph, Links(library, item.page)
    found = library.proof.of_node(item.node)
    lineage = lineage_view(item.node, found, library.shelf.manifest, links, graph.project)
    hidden = withheld or (rows_withheld(graph, item.communities, manifest) if manifest else "")
    files = library.shelf.tree(item.node)
    measured = list(library.measured(item.node, manifest.content)) if manifest else []
    users = library.users.get(item.node, [])
    return render(
        "artifact.html",
        item.page,
        item=item,
        manifest=manifest,
        verdict=item.verdict,
        lineage=lineage,
        checks=with_checks([one for one in lineage.contracts if one.node == item.node]),
        samples=list(_samples(library, item, manifest, rows=not hidden)) if manifest else [],
        hidden=hidden,
        withheld=withheld,
        carried={one.path: one.target for one in carried},
        pictures=[one for one in carried if one.is_picture and "/" not in one.path],
        reports=[one for one in carried if one.is_page and "/" not in one.path],
        texts=list(_texts(library, item)) if not withheld else [],
        files=files[:_MOST_FILES],
        files_beyond=max(0, len(files) - _MOST_FILES),
        results=result_tables(measured, links, about=False),
        figures=_figures(library, item, links) if not withheld else [],
        users=[library.items[one] for one in users[:_MOST_USERS]],
        users_beyond=max(0, len(users) - _MOST_USERS),
        releases=library.releases_of(item.node),
        data_docs=data_docs if item.kind == "dataset" else "",
        links=links,
    )


def _samples(library: Library, item: Item, manifest: Manifest, *, rows: bool) -> Iterator[Sample]:
    """Tables of a dataset; of other artifacts only what was left out, and why."""
    tables = [entry.path for entry in library.shelf.tree(item.node)]
    for path in tables:
        wanted = item.kind == "dataset" or path.endswith("rejected.parquet")
        place = library.shelf.file(item.node, path) if path.endswith(".parquet") else None
        if wanted and place is not None and path in {entry.path for entry in manifest.files}:
            yield sample(path, place, rows=rows)


def _texts(library: Library, item: Item) -> Iterator[tuple[str, Markup]]:
    if item.kind != "evaluation":
        return
    known: Iterable[str] = [entry.path for entry in library.shelf.tree(item.node)]
    for name in _TEXTS:
        place = library.shelf.file(item.node, name) if name in known else None
        if place is not None and place.stat().st_size <= _LARGEST_TEXT:
            yield name, markdown(place.read_text(encoding="utf-8", errors="replace"))


def _figures(library: Library, item: Item, links: Links) -> list[Any]:
    results = [(item.node, result) for result in library.results(item.node)]
    return result_tables(results, links, about=True) if item.kind == "evaluation" else []
