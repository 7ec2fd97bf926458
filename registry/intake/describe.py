"""The words around the figures: `profile.yaml`, the questionnaire, and the record of an import."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from registry.intake.codebook import About
from registry.intake.difference import Separation
from registry.intake.group import Group
from registry.profile import SCHEMA_VERSION, Kind, Sensitivity

NOBODY_ENDORSED = {
    "survey-population": "Estimates what survey respondents answered. Nobody who answered has "
    "endorsed this model; it speaks for no one.",
    "opinion-cluster": "Estimates how people voted who were put together because they voted alike. "
    "They never acted as a group, nobody who voted has endorsed this model, and it speaks for no "
    "one.",
}
_STEMS = {
    "survey-population": {
        "a": "{item}",
        "b": "Here is a question from a survey. {item}",
        "c": "How would you answer this question? {item}",
        "unseen": "Somebody is taking a survey and asks you: {item}",
    },
    "opinion-cluster": {
        "a": "Do you agree with this statement? {item}",
        "b": "Here is a statement that somebody made: {item} What do you say to it?",
        "c": "How would you vote on this: {item}",
        "unseen": "In a public discussion somebody says: {item} Where do you stand?",
    },
}


def profile_data(
    group: Group,
    about: About,
    kind: Kind,
    sha256: str,
    *,
    method: str,
    sensitive: Sequence[Sensitivity] = (),
    row_id: str | None = None,
    overridden: str | None = None,
) -> dict[str, Any]:
    """The content of a group's `profile.yaml`.

    Args:
        group: The group, with the items that are published.
        about: The source.
        kind: Who speaks.
        sha256: Digest of the file that the figures were computed from.
        method: How they were computed, in sentences.
        sensitive: Whether the people are grouped by something that can endanger them.
        row_id: The column that tells the file's rows apart.
        overridden: Why the profile is proposed although its set is not usable.
    """
    where = f"{about.title} ({about.fielded.start} to {about.fielded.end})"
    people, asked = "respondents", "answered"
    if kind == "opinion-cluster":
        people, asked = "participants", "voted"
    thresholds = (
        "An option that at least one but fewer than 5 people chose is published as 5 and marked "
        "rounded. Items that fewer than 50 people of the group answered are left out."
    )
    answered = f"How {group.total:,} {people} answered {len(group.learning)} items: {where}."
    parts = [answered, method, thresholds]
    if overridden:
        parts.append(
            "WARNING: on import this set did not differ beyond noise and was not usable; it was "
            f"proposed nevertheless: {overridden}"
        )
    source = {
        "title": about.title,
        "publisher": about.publisher,
        "citation": about.citation,
        "url": about.url,
        "licence": about.licence,
        "sha256": sha256,
    }
    if row_id:
        source["row_id"] = row_id
    licence = re.sub(r"^CC-(.*)-([0-9.]+)$", r"CC \1 \2", about.licence)
    return {
        "schema_version": SCHEMA_VERSION,
        "id": group.id,
        "revision": 1,
        "kind": kind,
        "name": group.named.name,
        "description": " ".join(parts),
        "scope": f"{about.population} {NOBODY_ENDORSED[kind]}",
        "languages": [about.language],
        "sensitive": list(sensitive),
        "sources": [source],
        "licence": about.licence,
        "attribution": "none",
        "permission": "licence",
        "consent": {
            "terms_version": licence,
            "uses": list(about.uses),
            "granted_on": about.granted_on or about.fielded.end,
            "expires_on": "never",
            "statement": f"used under {licence}; the people who {asked} were not asked about "
            "training models",
        },
        "modes": ["distributional", "steerable"],
        "opinions": {
            "instrument": about.instrument,
            "fielded": {"start": about.fielded.start, "end": about.fielded.end},
            "weighting": about.weighting,
            **({} if group.held_out is not None else {"held_out": False}),
            **({"override": overridden} if overridden else {}),
        },
    }


def instrument_data(
    about: About,
    kind: Kind,
    items: Mapping[str, tuple[str, Sequence[str]]],
    authors: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The questionnaire that the tables name, with four plain wordings of every item.

    Args:
        about: The source.
        kind: Decides whether items are questions or statements.
        items: For each its text and its options; items with the same options share a battery.
        authors: For each statement the group of its author, where it is known.
    """
    stems = _STEMS[kind]
    batteries: dict[tuple[str, ...], dict[str, dict[str, str]]] = {}
    for item, (text, options) in items.items():
        phrases = dict.fromkeys(stems, text)
        if authors and item in authors:
            phrases["author_group"] = authors[item]
        batteries.setdefault(tuple(options), {})[item] = phrases
    return {
        "schema_version": 1,
        "id": about.instrument,
        "title": about.title,
        "language": about.language,
        "licence": about.licence,
        "citation": about.citation,
        "fielded": {"start": about.fielded.start, "end": about.fielded.end},
        "batteries": {
            f"battery-{number}": {"options": list(options), "wordings": stems, "items": found}
            for number, (options, found) in enumerate(batteries.items(), 1)
        },
    }


def record_data(
    about: About,
    separation: Separation,
    groups: Sequence[Group],
    overridden: str | None,
    **more: Any,
) -> dict[str, Any]:
    """What an import found, for a reviewer: figures, what was left out and why, any override."""
    return {
        "schema_version": 1,
        "instrument": about.instrument,
        "separation": separation.to_json(),
        "overridden": overridden,
        **more,
        "groups": [
            {
                "id": group.id,
                "name": group.named.name,
                "people": list(group.people),
                "items": len(group.learning),
                "left_out": dict(group.left_out),
            }
            for group in groups
        ],
    }
