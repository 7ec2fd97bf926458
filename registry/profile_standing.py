"""Where a profile stands: its stage, who reviewed it, what is missing, and what rests on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

from registry.consent import Use, today
from registry.errors import ProblemsError, relative
from registry.impact import artifacts_on, releases_on
from registry.profile_desk import settling
from registry.profile_folder import Profile, read_profile
from registry.profile_life import chain_problems, refusal
from registry.stewardship import broken_words, unattested


def standing(root: Path, folder: Path, *, verify: bool) -> dict[str, Any]:
    """Everything that `chorus profile status` shows of one profile."""
    profile, problems = read_profile(folder, root)
    if profile is None:
        raise ProblemsError(problems)
    community, revision = profile.profile, profile.profile.revision
    reviewers = profile.life.reviewers(revision, profile.digest)
    granted = [use for use in get_args(Use) if profile.refusal(use, today()) is None]
    return {
        "profile": profile.id,
        "name": community.name,
        "kind": community.kind + (" (made up)" if community.fictional else ""),
        "folder": relative(folder, root),
        "revision": revision,
        "stage": profile.stage,
        "next": _next(profile),
        "reviewers": [name + (" (for the community)" if own else "") for name, own in reviewers],
        "permission": community.permission,
        "grants today": granted,
        "expires": community.consent.expires_on,
        "events": [h.file.removesuffix(".yaml") for h in profile.life.events],
        "unchained": [h.file for h in profile.life.events if not h.chained] if verify else [],
        "tests": len(profile.tests.standing) or None,
        "tests retired": [*profile.tests.retired],
        "chain": _chain(profile) if verify else [],
        "unattested": list(unattested(community, profile.life)) if verify else [],
        "steward's key": community.steward.key if community.steward else None,
        "objections": [h.file.removesuffix(".yaml") for h in profile.life.unanswered()],
        "taken back": [f"{table}:{row}" for table, row in profile.life.left()],
        "artifacts": [touched.node for touched in artifacts_on(root, profile.id)],
        "releases": [name.tag for name in releases_on(root, profile.id)],
        "digest": profile.digest,
    }


def _chain(profile: Profile) -> list[str]:
    """What is wrong with its events: their chain, the steward's word, and what they lead to.

    With it, what is wrong with the community's own tests; a withdrawal took their words away.
    """
    tests = [] if profile.stage == "withdrawn" else profile.doubts_of_tests()
    words = broken_words(profile.profile, profile.life)
    return [*chain_problems(profile.life), *words, *tests]


def _next(profile: Profile) -> str | None:
    """What stands between a profile and models made from it."""
    life, kind = profile.life, profile.profile.kind
    revision, digest = profile.profile.revision, profile.digest
    if profile.active:
        changed = profile.refusal("evaluate", today())
        return f"its permission {changed[0]}; {changed[1]}" if changed else None
    if profile.stage == "draft":
        return f"submit it: chorus profile submit {profile.id}"
    if profile.stage in ("suspended", "withdrawn"):
        return None
    happening = settling(profile)
    why = refusal(life, happening, kind, revision, digest)
    verb = "accept" if happening == "accepted" else "admit"
    return why or f"take it up: chorus profile {verb} {profile.id}"
