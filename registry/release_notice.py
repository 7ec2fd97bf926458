"""Telling the stewards of a release to come, and their word to hold it or let it go."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from registry.errors import RefusedError, UsageError
from registry.event_details import ReleaseMatter
from registry.graph import Graph, Node
from registry.profile_desk import Receipt, add_event, whole
from registry.profile_life import Happening
from registry.release import Name, parse_name
from registry.release_terms import exempt, notice_days, noticed
from registry.signing import Signer


def notify(graph: Graph, node: Node, name: Name, by: Sequence[str]) -> list[Receipt]:
    """Records for each steward that they were told of a release; nothing twice for one content.

    Raises:
        UsageError: The model was not made yet: nobody can be told of what is not there.
    """
    manifest = graph.artifact(node).read_manifest()
    if manifest is None:
        raise UsageError(
            "has not been made, so there is no release to tell of",
            where=node.id,
            mend=f"run `chorus make {node.id} --upstream`",
        )
    about = ReleaseMatter(name=name.name, version=name.version, content=manifest.content)
    receipts = []
    for community in graph.permissions(node):
        profile = graph.project.profiles[community]
        told = noticed(profile, name.name, name.version, manifest.content)
        if exempt(profile) or told:
            continue
        said = f"{name} is to be released; the steward can hold it for {notice_days(profile)} days."
        receipts.append(
            add_event(
                graph.project.root, profile.folder, "release-noticed", by, said, release=about
            )
        )
    return receipts


def hold(
    root: Path,
    folder: Path,
    release: str,
    by: Sequence[str],
    reason: str,
    signer: Signer | None = None,
    *,
    lift: bool = False,
) -> Receipt:
    """The steward's word to hold a release, or to let it go again."""
    name = parse_name(release.replace("@v", "@"))
    if name is None:
        raise UsageError(
            f"{release!r} names no release", mend="write it as its tag would be: voice/id@v1.0.0"
        )
    profile = whole(folder, root)
    if why := exempt(profile):
        raise RefusedError(
            f"nobody holds a release for it: {why}",
            where=profile.id,
            mend="suspend the profile, or object: chorus profile object",
        )
    if f"steward:{profile.id}" not in by:
        raise RefusedError(
            "only its steward holds a release, and lets it go",
            where=profile.id,
            mend=f"name --by steward:{profile.id}; anybody may object: chorus profile object",
        )
    about = ReleaseMatter(name=name.name, version=name.version)
    act: Happening = "release-freed" if lift else "release-held"
    return add_event(root, folder, act, by, reason, signer, release=about)
