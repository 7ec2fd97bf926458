"""Where each page lies in the site: paths that any file system and any link can carry."""

from __future__ import annotations

import hashlib
import re

FOLDERS = {"dataset": "datasets", "model": "models", "evaluation": "evaluations"}
OTHERS = "artifacts"
"""Where pages of artifacts lie whose manifest does not say what they are."""
_PLAIN = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}")


def node_page(kind: str, node_id: str) -> str:
    """The page of a node's artifact."""
    return f"{FOLDERS.get(kind, OTHERS)}/{'/'.join(map(_part, node_id.split('@')))}.html"


def release_page(name: str, version: str) -> str:
    """The page of a release."""
    return f"releases/{'/'.join(map(_part, name.split('/')))}/{_part(version)}.html"


def profile_page(community: str) -> str:
    """The page of a value profile."""
    return f"profiles/{_part(community)}.html"


def list_page(kind: str, number: int = 1) -> str:
    """One page of a list; the first has no number."""
    return f"{kind}.html" if number == 1 else f"{kind}-{number}.html"


def back(page: str) -> str:
    """The way from a page to the site's first folder."""
    return "../" * page.count("/")


def _part(name: str) -> str:
    """A name as a part of a path; one that is not plain by its digest."""
    if _PLAIN.fullmatch(name) and not name.endswith("."):
        return name
    return f"x-{hashlib.sha256(name.encode(errors='surrogateescape')).hexdigest()[:16]}"
