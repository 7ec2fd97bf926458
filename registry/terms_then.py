"""The terms on which a profile was used, as they were when something relied on them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from registry import git
from registry.artifact import ProfileEntry, digest_of
from registry.consent import Consent, Use
from registry.ground import Ground
from registry.strict_yaml import parse


@dataclass(frozen=True)
class Terms:
    """What was granted, and the day on which it is asked."""

    consent: Consent
    day: dt.date

    def refusal(self, use: Use) -> str:
        """Why they did not grant a use on that day; empty where they did."""
        refused = self.consent.refusal(use, self.day)
        return refused[0] if refused else ""


def relied_on(root: Path, ground: Ground, entry: ProfileEntry) -> Terms | None:
    """The terms that an artifact names by their digest; None where nothing holds them any more.

    Those of the walk's own ground are asked on its day. Older ones are looked for in Git, and asked
    on the day of the commit that brought them. The use `publish-weights` is none that an artifact
    relies on.
    """
    data = ground.profile(entry.id)
    if data and _digest(data) == entry.consent:
        # A working tree is asked about now elsewhere; of then it says only what was granted.
        granted = _consent(data)
        day = ground.day if ground.revision else _first_day(granted)
        return Terms(granted, day) if granted else None
    path = f"value_profiles/{entry.id}/profile.yaml"
    listed = git.ask(
        root, "log", "--all", "--format=%H %as", "--", f":(top){git.prefix(root)}{path}"
    )
    commits = [line.split() for line in listed.splitlines()]
    raw = git.objects(root, [f"{commit}:{git.prefix(root)}{path}" for commit, _ in commits])
    for (_, added), one in zip(commits, raw, strict=True):
        document = parse(one, path)[0] if one is not None else None
        if document and _digest(document.data) == entry.consent:
            granted = _consent(document.data)
            return Terms(granted, dt.date.fromisoformat(added)) if granted else None
    return None


def _digest(data: dict[str, Any]) -> str:
    return digest_of([data.get("permission"), data.get("consent")])


def _consent(data: dict[str, Any]) -> Consent | None:
    try:
        return Consent.model_validate(data.get("consent"))
    except ValidationError:
        return None


def _first_day(consent: Consent | None) -> dt.date:
    return dt.date.fromisoformat(consent.granted_on) if consent else dt.date.min
