"""Builds the reviewer's site: reads a project, finds every verdict, writes what changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry.artifact import Hasher, one_at_a_time
from registry.errors import UsageError
from registry.graph import Graph
from registry.pages.artifact_page import artifact_page
from registry.pages.attachments import Attachment
from registry.pages.folder import Folder
from registry.pages.library import Library
from registry.pages.lists import (
    INDEX,
    front_page,
    list_pages,
    listings,
    search_index,
    source_of,
)
from registry.pages.profile_page import profile_page
from registry.pages.proof import Proof, program
from registry.pages.release_page import release_page
from registry.pages.rendering import ASSETS, HERE, Page
from registry.pages.shelf import Recorded, Standing
from registry.pages.verdicts import gravest

DATA_DOCS = "data-docs"


@dataclass(frozen=True)
class Built:
    """What a build did."""

    folder: Path
    artifacts: int
    releases: int
    written: int
    """Files that were written."""
    kept: int
    """Files that stood there already, unchanged."""
    walked: int
    """Verdicts that were found by walking; the others rest on what did not move."""
    verdict: str
    """The gravest verdict on any release; on any artifact where there is none."""


def build(
    graph: Graph,
    folder: Path,
    revision: str = "",
    *,
    verify: bool = False,
    data_docs: Path | None = None,
) -> Built:
    """Builds or renews a site.

    Args:
        graph: The project, as it stands.
        folder: Where the site goes: a new folder, an empty one, or one that was built before.
        revision: A Git revision to show instead of the working tree.
        verify: Whether every byte is hashed and every verdict found anew.
        data_docs: A folder of Data Docs to carry along.

    Raises:
        UsageError: The folder holds something else, or there is no such revision.
    """
    root = graph.project.root
    _require_apart(folder, root)
    with one_at_a_time(root, "site"):
        target = Folder(folder, program())
        hasher = target.open(anew=verify)
        shelf = Recorded(graph, revision) if revision else Standing(graph, hasher)
        library = Library(shelf, Proof(shelf, target.verdicts))
        docs = _plan_data_docs(target, data_docs)
        source = source_of(library, revision, docs)
        lists = listings(library)
        for page in _pages(library, docs, target):
            target.page(page.path, page.causes, _bytes(page))
        for page in [front_page(library, lists, source), *list_pages(library, lists)]:
            target.page(page.path, page.causes, _bytes(page))
        index = search_index(library, lists)
        target.page(INDEX, index.decode(), lambda: index)
        for name in ASSETS:
            target.page(name, name, (HERE / "static" / name).read_bytes)
        target.close(library.proof.found, hasher)
    states = [one.verdict.state for one in library.releases or library.items.values()]
    return Built(
        folder=folder,
        artifacts=len(library.items),
        releases=len(library.releases),
        written=target.written,
        kept=target.kept,
        walked=library.proof.walked,
        verdict=gravest(states),
    )


def _require_apart(folder: Path, root: Path) -> None:
    """Raises UsageError where a site would lie among what the project is made of."""
    place = folder.resolve()
    for name in ("registry", "data", "value_profiles", "releases", ".git", ".dvc", ".chorus"):
        if place == root or place.is_relative_to(root / name):
            raise UsageError(
                "belongs to the project", where=str(folder), mend="name a folder beside it: `site`"
            )


def _bytes(page: Page) -> Any:
    return lambda: page.render().encode("utf-8", errors="replace")


def _pages(library: Library, docs: str, target: Folder) -> Iterator[Page]:
    for node in library.items:
        page, carried = artifact_page(library, node, docs)
        _plan_copies(target, carried)
        yield page
    for one in library.releases:
        yield release_page(library, one)
    for community in library.profiles:
        yield profile_page(library, community)


def _plan_copies(target: Folder, carried: list[Attachment]) -> None:
    for one in carried:
        target.copy(one.target, one.source, one.sha256)


def _plan_data_docs(target: Folder, data_docs: Path | None) -> str:
    """Carries Data Docs along; returns the way to their first page, or nothing without them."""
    if data_docs is None:
        return ""
    if not (data_docs / "index.html").is_file():
        raise UsageError(
            "holds no Data Docs",
            where=str(data_docs),
            mend="make them with `chorus quality --docs FOLDER`",
        )
    hasher = Hasher(None)
    for entry in hasher.tree(data_docs):
        target.copy(f"{DATA_DOCS}/{entry.path}", data_docs / entry.path, entry.sha256)
    return f"{DATA_DOCS}/index.html"
