"""What an artifact is compared with beyond its own tables: what it was made from, and for whom."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from registry.artifact import FILES
from registry.expectation import Expectation
from registry.graph import Graph, Node
from registry.held_out import HeldOut, held_out_for
from registry.profile_folder import Profile
from registry.vocabulary import HELD_OUT, LANGUAGE, OFF_LIMITS, PARENTS

BEYOND = (HELD_OUT, PARENTS, OFF_LIMITS, LANGUAGE)
"""Expectations that look at what an artifact was made from without naming it."""


@dataclass(frozen=True)
class Surroundings:
    """What contracts may ask of everything that an artifact was made from."""

    held_out: HeldOut | None = None
    """What no row may bear or come from."""
    folders: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    """The files of everything that it was made from, by the declaration's name."""
    own: frozenset[str] = frozenset()
    """Ids of rows of the profiles that it rests on."""
    topics: Mapping[str, str] = field(default_factory=dict)
    """By community, the pattern of what it puts off limits."""
    languages: tuple[str, ...] = ()
    """The languages of the profiles that it rests on."""


def surroundings(graph: Graph, node: Node) -> Surroundings:
    """What the contract of a node asks of its surroundings; nothing where it does not ask."""
    contract = node.declaration.contract
    asked = {given.expect for given in contract}
    if not asks(contract):
        return Surroundings()
    profiles = [graph.project.profiles[one] for one in graph.permissions(node)]
    patterns = ((profile.id, off_limits(profile)) for profile in profiles)
    return Surroundings(
        held_out=held_out_for(graph, node) if HELD_OUT in asked else None,
        folders=_folders(graph, node),
        own=frozenset(_ids(profiles)) if PARENTS in asked else frozenset(),
        topics={community: pattern for community, pattern in patterns if pattern},
        languages=tuple(
            dict.fromkeys(tag for p in profiles for tag in p.profile.languages)
        ),
    )  # fmt: skip


def asks(contract: tuple[Expectation, ...]) -> bool:
    """Whether a contract can be checked only by somebody who knows the surroundings."""
    return any(given.expect in BEYOND or given.other is not None for given in contract)


def _folders(graph: Graph, node: Node) -> dict[str, tuple[Path, ...]]:
    found: dict[str, tuple[Path, ...]] = {}
    for above in graph.upstream([node]):
        if above.id != node.id:
            folder = graph.artifact(above).directory / FILES
            found[above.name] = (*found.get(above.name, ()), folder)
    return found


def _ids(profiles: list[Profile]) -> Iterator[str]:
    for profile in profiles:
        for read in profile.tables().values():
            for row in read.rows:
                yield str(getattr(row, "id", None) or row.item)


def off_limits(profile: Profile) -> str:
    """The pattern, as RE2 reads it, of what a profile puts off limits; nothing where nothing is.

    A term is a whole word, whatever its case.
    """
    terms = [term for topic in profile.profile.off_limits for term in topic.terms if term.strip()]
    spelt = dict.fromkeys(
        way for term in terms for way in (_plain(term).lower(), _plain(term).casefold())
    )
    either = "|".join(re.escape(term) for term in spelt)
    return rf"(?:^|[^\pL\pN_])(?:{either})(?:$|[^\pL\pN_])" if spelt else ""


def _plain(term: str) -> str:
    return unicodedata.normalize("NFC", term)
