"""Releases: a version of a model, its name, and its statement as Git holds it at its tag.

A release is an annotated Git tag made with GTO on a commit that holds the card, the statement and
the manifest of everything that the model was made from. The weights lie beside them in the release
folder, in the form that `from_pretrained` reads; Git keeps their digests, not their bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry import git
from registry.artifact import FileEntry
from registry.errors import IntegrityError, UsageError
from registry.graph import Node
from registry.notices import is_retired
from registry.thresholds import Judged, SetAside
from registry.typed import Frozen

RELEASES = "releases"
STATEMENT = "release.json"
_VERSION = re.compile(r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)")
_NAMED = re.compile(r"(?P<name>[a-z0-9/-]+)@v?(?P<version>[0-9]+\.[0-9]+\.[0-9]+)")


class Statement(Frozen):
    """What a release is: `release.json`."""

    schema_version: int = 3
    """The version of this schema; version 1 judged no thresholds, version 2 was never signed."""
    name: str
    """The model's name among releases: `community-sft/age-22-34`."""
    version: str
    """Its semantic version."""
    node: str
    """The node that made it."""
    released_on: str
    """The day."""
    content: str
    """Content digest of the node's artifact."""
    manifests: dict[str, str]
    """SHA-256 of the manifest of the node and of everything that it was made from."""
    thresholds: tuple[Judged, ...] = ()
    """What its community demands of it, and what was found on the day."""
    override: SetAside | None = None
    """Whose word released it although it does not reach that."""
    files: tuple[FileEntry, ...]
    """Every other file of the release folder, but for the signature."""
    signed_by: str = ""
    """Fingerprint of the key that signs it, `sigstore` for an identity, or nothing for nobody."""


@dataclass(frozen=True)
class Name:
    """Which version of which model."""

    name: str
    version: str

    @property
    def tag(self) -> str:
        """The Git tag, as GTO writes it."""
        return f"{self.name}@v{self.version}"

    @property
    def folder(self) -> str:
        """Where the release lies, from the project's root."""
        return f"{RELEASES}/{self.name}/{self.version}"

    def card(self, root: Path) -> Path:
        """Its card."""
        return root / self.folder / "README.md"

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


def name_of(node: Node, version: str) -> Name:
    """A node's name among releases; raises UsageError on what is no semantic version."""
    if not _VERSION.fullmatch(version):
        raise UsageError(
            f"{version!r} is no version", mend="write three numbers, like 1.0.0 (semver.org)"
        )
    return Name(node.id.replace("@", "/"), version)


def parse_name(text: str) -> Name | None:
    """The release that a person names, as `name@v1.0.0` or `name@1.0.0`; None for a node."""
    found = _NAMED.fullmatch(text)
    return Name(found["name"], found["version"]) if found else None


def versions(root: Path, name: str) -> list[str]:
    """The released versions of a model, oldest first."""
    listed = git.ask(root, "for-each-ref", "--format=%(refname:strip=2)", f"refs/tags/{name}@v*")
    found = [v for tag in listed.split() if _VERSION.fullmatch(v := tag.rpartition("@v")[2])]
    return sorted(found, key=lambda version: [int(part) for part in version.split(".")])


def read_statement(root: Path, name: Name) -> tuple[Statement, str]:
    """A release's statement as Git holds it at its tag, and the commit."""
    commit = git.ask(root, "rev-parse", "--verify", "--quiet", f"refs/tags/{name.tag}^{{commit}}")
    if not commit:
        known = versions(root, name.name)
        shown = f"versions of {name.name}: {', '.join(known)}" if known else "see `git tag`"
        raise UsageError(f"no release is called {name.tag}", mend=shown)
    path = f"{name.folder}/{STATEMENT}"
    raw = git.content(root, commit, path)
    if raw is None:
        raise IntegrityError(f"{path} is not in the commit of the tag", where=name.tag)
    return parse_statement(raw, path), commit


def parse_statement(raw: bytes, where: str) -> Statement:
    """A statement from its bytes; raises IntegrityError where they are none."""
    try:
        return Statement.model_validate_json(raw)
    except ValueError as error:
        first = str(error).splitlines()[0]
        raise IntegrityError(f"is no statement of a release: {first}", where=where) from None


def read_card(root: Path, name: Name) -> str:
    """A release's card: with what was added since where it lies here, else as its tag holds it."""
    _, commit = read_statement(root, name)
    if name.card(root).is_file():
        return name.card(root).read_text(encoding="utf-8")
    raw = git.content(root, commit, f"{name.folder}/README.md")
    if raw is None:
        raise IntegrityError("README.md is not in the commit of the tag", where=name.tag)
    return raw.decode()


def listing(root: Path) -> list[dict[str, Any]]:
    """Every release that is tagged here, by name and version."""
    tags = git.ask(root, "for-each-ref", "--format=%(refname:strip=2)", "refs/tags").split()
    names = [name for tag in tags if (name := parse_name(tag))]
    found = []
    for name in sorted(names, key=str):
        try:
            statement, commit = read_statement(root, name)
        except IntegrityError:
            continue
        found.append(
            {
                "release": name.tag,
                "node": statement.node,
                "released_on": statement.released_on,
                "commit": commit[:10],
                "content": statement.content,
                "signed_by": statement.signed_by,
                "retired": is_retired(name.card(root)),
            }
        )
    return found
