"""The front page, the lists with their pages, and the search."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from registry import git
from registry.pages.addresses import list_page
from registry.pages.addresses import profile_page as profile_address
from registry.pages.library import Item, Library, Released
from registry.pages.profile_page import KINDS
from registry.pages.rendering import Page, render
from registry.pages.showing import text
from registry.pages.verdicts import gravest

PER_PAGE = 50
FIRST = 12
"""How many of a list the front page shows."""
SEARCH = "search.html"
INDEX = "search-index.js"
_TITLES = {
    "releases": "Releases",
    "models": "Models",
    "datasets": "Datasets",
    "evaluations": "Evaluations",
    "artifacts": "Other artifacts",
    "profiles": "Value profiles",
}


@dataclass(frozen=True)
class ShownProfile:
    """A profile in a list."""

    id: str
    name: str
    kind: str
    permission: str
    stage: str
    expires: str
    page: str


@dataclass(frozen=True)
class Listing:
    """One list of the site."""

    kind: str
    title: str
    entries: Sequence[Any]

    @property
    def pages(self) -> int:
        """How many pages it has."""
        return max(1, -(-len(self.entries) // PER_PAGE))

    def page(self, number: int) -> Sequence[Any]:
        """The entries of one page; the first is number 1."""
        return self.entries[(number - 1) * PER_PAGE : number * PER_PAGE]


@dataclass(frozen=True)
class Source:
    """Where the site was built from."""

    commit: str
    revision: str
    """The revision that was asked for; nothing where it was the working tree."""
    unclean: int
    """Files of the working tree that the commit does not hold."""
    data_docs: str


def listings(library: Library) -> list[Listing]:
    """Every list, in the order of the front page; empty ones of other artifacts are left out."""
    of: dict[str, list[Item]] = {"model": [], "dataset": [], "evaluation": [], "": []}
    for item in library.items.values():
        of[item.kind if item.kind in of else ""].append(item)
    found: dict[str, Sequence[Any]] = {
        "releases": library.releases,
        "models": of["model"],
        "datasets": of["dataset"],
        "evaluations": of["evaluation"],
        "artifacts": of[""],
        "profiles": list(_profiles(library)),
    }
    return [Listing(kind, _TITLES[kind], entries) for kind, entries in found.items()
            if entries or kind != "artifacts"]  # fmt: skip


def _profiles(library: Library) -> Iterator[ShownProfile]:
    for id_, profile in sorted(library.profiles.items()):
        about = profile.profile
        name = "" if about.sensitive else about.name
        yield ShownProfile(
            id_, name, KINDS[about.kind], about.permission, profile.stage,
            about.consent.expires_on, profile_address(id_),
        )  # fmt: skip


def source_of(library: Library, revision: str, data_docs: str) -> Source:
    """Where the site is built from."""
    root = library.shelf.graph.project.root
    commit = git.ask(root, "rev-parse", "--short=12", revision or "HEAD")
    unclean = 0 if revision or not commit else len(git.unclean(root))
    return Source(commit, revision, unclean, data_docs)


def list_pages(library: Library, found: Sequence[Listing]) -> Iterator[Page]:
    """Every page of every list."""
    for one in found:
        for number in range(1, one.pages + 1):
            entries = one.page(number)
            path = list_page(one.kind, number)
            causes = [[_plain(entry) for entry in entries], number, one.pages, len(one.entries)]
            yield Page(path, causes, _list_renderer(path, one, number))
    yield Page(SEARCH, [len(library.items)], lambda: render(SEARCH, SEARCH, lists=found))


def _list_renderer(path: str, one: Listing, number: int) -> Any:
    others = [(n, list_page(one.kind, n)) for n in range(1, one.pages + 1)]
    return lambda: render(
        "list.html", path, one=one, entries=one.page(number), number=number, others=others
    )


def front_page(library: Library, found: Sequence[Listing], source: Source) -> Page:
    """The first page."""
    releases = library.releases
    states = [one.verdict.state for one in releases]
    artifacts = [item.verdict.state for item in library.items.values()]
    made = set(library.items)
    waiting = sum(node not in made for node in library.shelf.graph.nodes)
    causes = [
        asdict(source),
        waiting,
        sorted(artifacts),
        [[one.kind, len(one.entries), [_plain(e) for e in one.entries[:FIRST]]] for one in found],
    ]
    return Page(
        "index.html",
        causes,
        lambda: render(
            "index.html",
            "index.html",
            lists=found,
            first=FIRST,
            source=source,
            releases=_counted(states),
            gravest_release=gravest(states) if states else "",
            artifacts=_counted(artifacts),
            gravest_artifact=gravest(artifacts) if artifacts else "",
            waiting=waiting,
            voices=_voices(library),
        ),
    )


def _counted(states: Sequence[str]) -> list[tuple[str, int]]:
    order = ("broken", "erased", "ended", "unrecorded", "unsigned", "verified")
    return [(state, states.count(state)) for state in order if state in states]


def _voices(library: Library) -> list[tuple[str, int]]:
    kinds = [profile.profile.kind for profile in library.profiles.values()]
    return [(KINDS[kind], kinds.count(kind)) for kind in KINDS if kind in kinds]


def _plain(entry: Any) -> Any:
    """An entry of a list as JSON."""
    if isinstance(entry, Released):
        day = entry.statement.released_on if entry.statement else ""
        return [str(entry.name), entry.page, day, entry.retired, entry.verdict]
    return entry if isinstance(entry, Item) else asdict(entry)


def search_index(library: Library, found: Sequence[Listing]) -> bytes:
    """Everything that can be searched, as a script that holds only data.

    A page on a disk may load a script that lies beside it, and no JSON.
    """
    entries = []
    for one in found:
        for entry in one.entries:
            if isinstance(entry, Released):
                words = [str(entry.name), "release", entry.verdict.state, entry.page]
                more = ", ".join(library.communities_of(entry))
            elif isinstance(entry, ShownProfile):
                words = [entry.id, "profile", entry.stage, entry.page]
                more = f"{entry.name} {entry.kind}"
            else:
                words = [entry.node, entry.kind or "artifact", entry.verdict.state, entry.page]
                more = f"{entry.method}. {entry.description}"
            entries.append([*map(text, words), text(more, 240)])
    data = json.dumps(entries, ensure_ascii=True, separators=(",", ":"))
    return f"window.chorusIndex={data.replace('<', chr(92) + 'u003c')};\n".encode()
