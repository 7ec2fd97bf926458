"""A walk through lineage as a page shows it: the drawing, the hops, permissions and contracts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from markupsafe import Markup

from registry.artifact import CheckResult, Manifest
from registry.lineage import Hop, Verification
from registry.pages.drawing import MOST, Box, draw
from registry.pages.verdicts import TONE, gravest, gravest_by_name
from registry.project import Project

_OF = re.compile(r"(?:consent|mandate|licence|permission) of ([a-z0-9-]+) for ")
_IN = re.compile(r"value_profiles/([a-z0-9-]+)(?:/|$)")


class Pages(Protocol):
    """What knows the page of a node or a profile."""

    def node(self, node_id: str) -> str:
        """The way to a node's page; nothing where it has none."""

    def profile(self, community: str) -> str:
        """The way to a profile's page."""


@dataclass(frozen=True)
class ShownHop:
    """One hop in the table."""

    name: str
    state: str
    tone: str
    digest: str
    findings: tuple[str, ...]
    link: str


@dataclass(frozen=True)
class Grant:
    """A permission that something rests on."""

    community: str
    permission: str
    use: str
    digest: str
    state: str
    tone: str
    finding: str
    expires: str
    link: str


@dataclass(frozen=True)
class Contract:
    """What an artifact had to meet."""

    node: str
    link: str
    checks: tuple[CheckResult, ...]


@dataclass(frozen=True)
class LineageView:
    """A whole walk."""

    hops: tuple[ShownHop, ...]
    grants: tuple[Grant, ...]
    contracts: tuple[Contract, ...]
    picture: Markup
    most: int
    """How many boxes a drawing holds at most."""


def lineage_view(
    start: str,
    found: Verification,
    manifests: Callable[[str], Manifest | None],
    pages: Pages,
    project: Project,
    release: str = "",
) -> LineageView:
    """A walk as a page shows it.

    Args:
        start: The node that it began at.
        found: The verdicts of the walk.
        manifests: What gives the manifest of a node, as it was walked.
        pages: What knows where pages are.
        project: For the terms of permissions today.
        release: The release that the walk began at, if it began at one.
    """
    known = _upstream(start, manifests)
    states = gravest_by_name(found.hops)
    return LineageView(
        hops=tuple(_shown(hop, pages) for hop in found.hops),
        grants=tuple(_grants(known, found.hops, pages, project)),
        contracts=tuple(Contract(n, pages.node(n), m.checks) for n, m in known.items() if m.checks),
        picture=_picture(start, known, states, pages, release),
        most=MOST,
    )


def _upstream(start: str, manifests: Callable[[str], Manifest | None]) -> dict[str, Manifest]:
    """The manifests of a node and of everything that it was made from, nearest first."""
    found: dict[str, Manifest] = {}
    waiting = [start]
    while waiting:
        current = waiting.pop(0)
        if current in found:
            continue
        manifest = manifests(current)
        if manifest is not None:
            found[current] = manifest
            waiting += [entry.node for entry in manifest.inputs]
    return found


def _profile_of(name: str) -> str:
    """The profile that a hop speaks of; nothing where it speaks of none."""
    found = _OF.match(name) or _IN.match(name)
    return found[1] if found else ""


def _shown(hop: Hop, pages: Pages) -> ShownHop:
    community = _profile_of(hop.name)
    link = pages.profile(community) if community else pages.node(hop.name)
    tone = TONE.get(hop.state, "unsure")
    return ShownHop(hop.name, hop.state, tone, hop.digest, tuple(hop.findings), link)


def _grants(
    known: dict[str, Manifest], hops: Iterable[Hop], pages: Pages, project: Project
) -> Iterator[Grant]:
    by_name = {hop.name: hop for hop in hops}
    seen = set()
    for manifest in known.values():
        for entry in manifest.profiles:
            name = f"{entry.permission} of {entry.id} for {entry.use}"
            if (name, entry.consent) in seen:
                continue
            seen.add((name, entry.consent))
            hop, profile = by_name.get(name), project.profiles.get(entry.id)
            state = hop.state if hop else "unknown"
            yield Grant(
                community=entry.id,
                permission=entry.permission,
                use=entry.use,
                digest=entry.consent,
                state="holds today" if state == "verified" else state,
                tone=TONE.get(state, "unsure"),
                finding="; ".join(hop.findings) if hop else "",
                expires=profile.profile.consent.expires_on if profile else "",
                link=pages.profile(entry.id),
            )


def _picture(
    start: str, known: dict[str, Manifest], states: dict[str, str], pages: Pages, release: str
) -> Markup:
    boxes: dict[str, Box] = {}
    arrows: list[tuple[str, str]] = []
    for node, manifest in known.items():
        state = states.get(node, "broken")
        boxes[node] = Box(node, manifest.kind, state, pages.node(node), here=node == start)
        for entry in manifest.inputs:
            arrows.append((entry.node, node))
            if entry.node not in known:
                boxes[entry.node] = Box(entry.node, "artifact", states.get(entry.node, "broken"))
        for source in manifest.sources:
            boxes[source.path] = Box(source.path, "file", states.get(source.path, "broken"))
            arrows.append((source.path, node))
        for profile in manifest.profiles:
            if profile.tables or profile.fields:
                name = f"profile {profile.id}"
                state = _standing(profile.id, states)
                boxes[name] = Box(name, profile.permission, state, pages.profile(profile.id))
                arrows.append((name, node))
    if release:
        name = f"release {release}"
        boxes[name] = Box(name, "release", states.get(name, "verified"), here=True)
        if start in boxes:
            boxes[start] = replace(boxes[start], here=False)
        arrows.append((start, name))
    return draw(list(boxes.values()), arrows, f"What {release or start} was made from")


def _standing(community: str, states: dict[str, str]) -> str:
    """The gravest state of everything that a walk met of a profile."""
    return gravest(state for name, state in states.items() if _profile_of(name) == community)


def with_checks(contracts: Sequence[Contract]) -> tuple[int, int]:
    """How many expectations there are, and how many were not met."""
    checks = [check for contract in contracts for check in contract.checks]
    return len(checks), sum(not check.success for check in checks)
