"""The page of a release: verdict first, then its card, its figures, its lineage and its files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from registry.artifact import FileEntry, Manifest, parse_manifest
from registry.errors import IntegrityError
from registry.ground import Revision
from registry.pages.library import Library, Released
from registry.pages.lineage_view import LineageView, Pages, lineage_view, with_checks
from registry.pages.markdown import render as markdown
from registry.pages.rendering import Links, Page, render
from registry.pages.results_view import result_tables
from registry.pages.showing import endangers
from registry.release import STATEMENT

_HASHED = 5_000_000
"""Bytes of a file that the statement does not list, up to which a page gives its digest."""
_LARGEST_CARD = 400_000


@dataclass(frozen=True)
class ShownFile:
    """A file of the release folder."""

    path: str
    size: int | None
    """Its size; None where it is not here."""
    sha256: str
    listed: bool
    """Whether the statement lists it."""


def release_page(library: Library, one: Released) -> Page:
    """The page of a release."""
    content = one.statement.content if one.statement else ""
    node = one.statement.node if one.statement else ""
    communities = library.communities_of(one)
    causes = {
        "fingerprint": library.proof.found[one.name.tag]["fingerprint"],
        "verdict": one.verdict,
        "retired": one.retired,
        "node": library.items[node].page if node in library.items else "",
        "measured": [library.proof.fingerprint(e) for e in library.measuring(node, content)],
        "profiles": [[id_, library.proof.permission(id_)] for id_ in communities],
    }
    return Page(one.page, causes, lambda: _render(library, one))


def _render(library: Library, one: Released) -> str:
    links = Links(library, one.page)
    node = one.statement.node if one.statement else ""
    content = one.statement.content if one.statement else ""
    lineage = release_lineage(library, one, links)
    return render(
        "release.html",
        one.page,
        one=one,
        statement=one.statement,
        verdict=one.verdict,
        lineage=lineage,
        checks=with_checks(lineage.contracts),
        card=card_of(library, one),
        results=result_tables(list(library.measured(node, content)), links, about=False),
        files=list(_files(library, one)),
        others=[other for other in library.releases_of(node) if other.name != one.name],
        communities=library.communities_of(one),
        links=links,
    )


def release_lineage(library: Library, one: Released, pages: Pages) -> LineageView:
    """The walk that a release began."""
    project = library.shelf.graph.project
    revision = Revision(project.root, one.commit, one.name.folder)

    def manifest_of(node: str) -> Manifest | None:
        raw = revision.manifest(node) if one.commit else None
        try:
            return parse_manifest(raw, node) if raw else None
        except IntegrityError:
            return None

    start = one.statement.node if one.statement else ""
    found = library.proof.of_release(one.name)
    return lineage_view(start, found, manifest_of, pages, project, release=str(one.name))


def card_of(library: Library, one: Released) -> Markup | None:
    """The card as HTML; None where it is not here or is not one that the statement knows."""
    card = one.name.card(library.shelf.graph.project.root)
    if one.verdict.state == "broken" or not card.is_file() or card.is_symlink():
        return None
    if endangers(library.shelf.graph, library.communities_of(one)):
        return None
    if card.stat().st_size > _LARGEST_CARD:
        return None
    return markdown(card.read_text(encoding="utf-8", errors="replace"))


def _files(library: Library, one: Released) -> Iterator[ShownFile]:
    """Every file of the folder, and every file that the statement lists."""
    folder = library.shelf.graph.project.root / one.name.folder
    listed = {entry.path: entry for entry in one.statement.files} if one.statement else {}
    here = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")
            if path.is_file() and not path.is_symlink()}  # fmt: skip
    for path in sorted({*listed, *here}, key=lambda name: (name.count("/"), name)):
        yield _file(path, here.get(path), listed.get(path))


def _file(path: str, place: Path | None, entry: FileEntry | None) -> ShownFile:
    count = place.stat().st_size if place else None
    digest = entry.sha256 if entry else ""
    if not digest and place and count is not None and count <= _HASHED:
        digest = hashlib.sha256(place.read_bytes()).hexdigest()
    return ShownFile(path, count, digest, listed=entry is not None or path == STATEMENT)
