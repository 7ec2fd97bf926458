"""The page of a value profile: who it is, what it allows until when, and what rests on it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_args

from registry.consent import Use, today
from registry.pages.addresses import profile_page as address
from registry.pages.library import Library
from registry.pages.rendering import Links, Page, render
from registry.pages.showing import steward_of
from registry.profile_folder import TABLES, Profile
from registry.profile_words import SPEAKS

_MOST = 60
KINDS = {
    "self-described": "A community that described itself",
    "survey-population": "People who were asked in a survey",
    "opinion-cluster": "People grouped by how they voted",
}
USES = {
    "train-sft": "teaching a model by example",
    "train-rl": "teaching a model by reward",
    "evaluate": "measuring models",
    "publish-data": "publishing data made from it",
    "publish-weights": "publishing models made from it",
    "commercial": "commercial use",
}


@dataclass(frozen=True)
class Granted:
    """One use, and whether it is granted today."""

    use: str
    words: str
    granted: bool
    why: str


@dataclass(frozen=True)
class Objection:
    """Somebody whom the profile speaks about objected, and what was answered."""

    on: str
    reason: str
    answered: str
    outcome: str


def profile_page(library: Library, community: str) -> Page:
    """The page of a profile."""
    profile = library.profiles[community]
    resting = [item for item in library.items.values() if community in item.communities]
    releases = library.releases_on(community)
    causes = {
        "profile": profile.document.data,
        "standing": library.proof.permission(community),
        "events": profile.life.last,
        "tables": [[name, _digest(library, profile, name)] for name in TABLES],
        "items": resting[:_MOST],
        "count": len(resting),
        "releases": [[one.name.tag, one.verdict, one.retired] for one in releases],
        "ended": _ended(profile),
    }
    return Page(address(community), causes, lambda: _render(library, profile))


def _ended(profile: Profile) -> bool:
    expires = profile.profile.consent.expires_on
    return expires != "never" and dt.date.fromisoformat(expires) < today()


def _digest(library: Library, profile: Profile, table: str) -> str:
    return (
        library.shelf.ground.source(profile.shown(table)) if profile.table(table).is_file() else ""
    )


def _render(library: Library, profile: Profile) -> str:
    about, links = profile.profile, Links(library, address(profile.id))
    resting = [item for item in library.items.values() if profile.id in item.communities]
    return render(
        "profile.html",
        address(profile.id),
        profile=profile,
        about=about,
        kind=KINDS[about.kind],
        speaks=SPEAKS[about.kind],
        endangered=bool(about.sensitive),
        steward=steward_of(profile),
        uses=list(_uses(profile)),
        ended=_ended(profile),
        off_limits=[topic.topic for topic in about.off_limits if not topic.steward_only],
        tables=[(name, _digest(library, profile, name)) for name in TABLES
                if _digest(library, profile, name)],
        objections=list(_objections(profile)),
        events=[happened.event for happened in profile.life.events],
        releases=library.releases_on(profile.id),
        items=resting[:_MOST],
        beyond=max(0, len(resting) - _MOST),
        links=links,
    )  # fmt: skip


def _uses(profile: Profile) -> Iterator[Granted]:
    day = today()
    for use in get_args(Use):
        refused = profile.refusal(use, day)
        yield Granted(use, USES[use], refused is None, refused[0] if refused else "")


def _objections(profile: Profile) -> Iterator[Objection]:
    for happened in profile.life.objections():
        said = profile.life.answer_to(happened)
        answer = said.answer if said else None
        yield Objection(
            happened.event.on,
            happened.event.reason,
            said.reason if said else "",
            answer.outcome if answer else "",
        )
