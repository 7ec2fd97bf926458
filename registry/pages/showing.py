"""What a page may show of an artifact: rows only where everybody on whom they rest allows it.

A page is published by whoever copies it, so the rule is that of `publish-data`, asked today. What
cannot be known is not shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from registry.artifact import Manifest
from registry.consent import today
from registry.graph import Graph
from registry.licences import conditions
from registry.profile_folder import Profile

_CONTROLS = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
"""Characters that a reader cannot see, or that turn the reading direction of what follows."""
_LONGEST = 300


def rows_withheld(graph: Graph, communities: Iterable[str], manifest: Manifest) -> str:
    """Why the rows of an artifact are not shown; nothing where they may be."""
    if forbidden := conditions(manifest.licence) & {"SA", "ND"}:
        held = " and ".join(sorted(forbidden))
        return (
            f"Its licence, {manifest.licence}, sets terms ({held}) on sharing what is made from it."
        )
    if manifest.licence.lower() in ("none-granted", "other", "unknown"):
        return "No licence allows sharing them."
    for community in sorted(set(communities)):
        profile = graph.project.profiles.get(community)
        if profile is None or not profile.active:
            return f"They rest on the profile {community}, which is not taken up today."
        if profile.profile.sensitive:
            return f"They rest on the profile {community}, whose people could be endangered."
        if profile.refusal("publish-data", today()) is not None:
            held = f"They rest on the {profile.profile.permission} of {community}"
            return f"{held}, which does not grant publishing data today."
    return ""


def figures_withheld(graph: Graph, communities: Iterable[str]) -> str:
    """Why figures and pictures of an artifact are not shown; nothing where they may be."""
    for community in sorted(set(communities)):
        profile = graph.project.profiles.get(community)
        if profile is None or profile.stage == "withdrawn":
            return f"They rest on the profile {community}, which is gone or was withdrawn."
        if profile.profile.sensitive:
            return f"They rest on the profile {community}, whose people could be endangered."
    return ""


def endangers(graph: Graph, communities: Iterable[str]) -> bool:
    """Whether people of one of these profiles are grouped by what can endanger them."""
    known = [graph.project.profiles.get(community) for community in communities]
    return any(profile is not None and profile.profile.sensitive for profile in known)


def steward_of(profile: Profile) -> str:
    """Who answers for a profile, as its people want to be named."""
    steward = profile.profile.steward
    if steward is None:
        return ""
    named = profile.profile.attribution == "named"
    return f"{steward.organisation} ({steward.role})" if named else steward.role


def text(value: Any, longest: int = _LONGEST) -> str:
    """A stranger's value as one run of visible text; what is hidden in it is spelt out."""
    shown = _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", str(value))
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"
