"""Releases: a version of a model, with its card, statement, commit and tag.

A release is an annotated Git tag made with GTO on a commit that holds the card, the statement and
the manifest of everything that the model was made from. The weights lie beside them in the release
folder, in the form that `from_pretrained` reads; Git keeps their digests, not their bytes.

Order matters where a process may die: the folder appears whole, then the commit, then the tag. A
release without a tag is none, and running the command again finishes it.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry import git
from registry.artifact import (
    FileEntry,
    Hasher,
    Manifest,
    canonical_json,
    one_at_a_time,
    parse_manifest,
    sync_tree,
    write_atomically,
)
from registry.card import Card, write_card
from registry.consent import today
from registry.errors import ChorusError, IntegrityError, RefusedError, UsageError
from registry.graph import Graph, Node
from registry.notices import is_retired
from registry.thresholds import Judged, SetAside
from registry.typed import Frozen

RELEASES = "releases"
STATEMENT = "release.json"
_IGNORED = """\
# Weights are copies of what DVC tracks. The record is the card, the statement and the manifests.
*
!.gitignore
!*/
!README.md
!release.json
!**/lineage/*.json
"""
_VERSION = re.compile(r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)")
_NAMED = re.compile(r"(?P<name>[a-z0-9/-]+)@v?(?P<version>[0-9]+\.[0-9]+\.[0-9]+)")


class Statement(Frozen):
    """What a release is: `release.json`."""

    schema_version: int = 2
    """The version of this schema; statements of version 1 judged no thresholds."""
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
    """Every other file of the release folder."""


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


@dataclass(frozen=True)
class Made:
    """What releasing did."""

    folder: Path
    commit: str | None
    """The commit that holds the record; None where an earlier attempt had made it."""
    committed: tuple[str, ...]
    tag: str


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


def release(
    graph: Graph,
    node: Node,
    name: Name,
    thresholds: Sequence[Judged] = (),
    override: SetAside | None = None,
) -> Made:
    """Writes the release folder, commits its record and tags it; the checklist must hold.

    Args:
        graph: The project.
        node: The model.
        name: Which version of it.
        thresholds: What its community demands, as the checklist found it.
        override: Whose word stands against those that are not reached.
    """
    if override is None and any(not one.reached for one in thresholds):
        raise RefusedError("does not reach what its community demands of it", where=node.id)
    root = graph.project.root
    git.require_identity(root)
    with one_at_a_time(root, "release"):
        if git.ask(root, "tag", "--list", name.tag):
            raise UsageError(f"{name.tag} was released a moment ago by another process")
        folder = root / name.folder
        _write_folder(graph, node, name, folder, tuple(thresholds), override)
        write_atomically(root / RELEASES / ".gitignore", _IGNORED.encode())
        tracked = [f"{RELEASES}/.gitignore", *(f"{name.folder}/{p}" for p in _tracked(folder))]
        commit = git.commit_files(root, tracked, f"Release {name}")
        _tag(root, name, node)
    return Made(folder, commit, tuple(tracked), name.tag)


def _write_folder(
    graph: Graph,
    node: Node,
    name: Name,
    folder: Path,
    thresholds: tuple[Judged, ...],
    override: SetAside | None,
) -> None:
    """Writes the whole folder beside its place, then moves it there."""
    scratch = folder.with_name(f".{folder.name}.scratch")
    shutil.rmtree(scratch, ignore_errors=True)
    artifact = graph.artifact(node)
    shutil.copytree(artifact.files, scratch, copy_function=shutil.copyfile)
    if (scratch / "README.md").exists():
        raise UsageError("the artifact has a README.md, where the card belongs", where=node.id)
    manifests = {n.id: graph.artifact(n).manifest.read_bytes() for n in graph.upstream([node])}
    parsed = {one: parse_manifest(raw, one) for one, raw in manifests.items()}
    (scratch / "lineage").mkdir()
    for one, raw in manifests.items():
        (scratch / "lineage" / f"{one}.json").write_bytes(raw)
    day = today().isoformat()
    card = Card(graph, node, name.name, name.version, day, parsed, thresholds, override)
    (scratch / "README.md").write_text(write_card(card), encoding="utf-8")
    statement = Statement(
        name=name.name,
        version=name.version,
        node=node.id,
        released_on=day,
        content=parsed[node.id].content,
        manifests={one: Hasher(None).file(scratch / "lineage" / f"{one}.json") for one in parsed},
        thresholds=thresholds,
        override=override,
        files=Hasher(None).tree(scratch),
    )
    _require_same(statement, parsed[node.id])
    content = canonical_json(statement.model_dump(mode="json"), indent=2) + b"\n"
    (scratch / STATEMENT).write_bytes(content)
    sync_tree(scratch)
    shutil.rmtree(folder, ignore_errors=True)
    scratch.rename(folder)


def _require_same(statement: Statement, manifest: Manifest) -> None:
    """Raises IntegrityError where what was copied is not what the manifest lists."""
    copied = {entry.path: entry.sha256 for entry in statement.files}
    for entry in manifest.files:
        if copied.get(entry.path) != entry.sha256:
            raise IntegrityError(
                f"{entry.path} changed while it was copied",
                where=statement.node,
                mend="run the same command again",
            )


def _tracked(folder: Path) -> list[str]:
    """The files of a release that Git keeps."""
    lineage = sorted(p.relative_to(folder).as_posix() for p in (folder / "lineage").iterdir())
    return ["README.md", STATEMENT, *lineage]


def _tag(root: Path, name: Name, node: Node) -> None:
    import logging

    from gto.api import register
    from gto.exceptions import GTOException

    logging.getLogger("gto").setLevel(logging.ERROR)
    statement = Hasher(None).file(root / name.folder / STATEMENT)
    message = f"Release {name} of {node.id}\n\n{name.folder}/{STATEMENT} sha256:{statement}"
    try:
        register(
            git.git(root, "rev-parse", "--show-toplevel"),
            name.name,
            "HEAD",
            version=f"v{name.version}",
            message=message,
            author=git.ask(root, "config", "user.name"),
            author_email=git.ask(root, "config", "user.email"),
        )
    except GTOException as error:
        raise ChorusError(
            f"GTO could not make the tag: {error}",
            where=name.tag,
            why="the release is committed, but without its tag it is none",
            mend="mend that, then run the same command again",
        ) from error


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
    try:
        statement = Statement.model_validate_json(raw)
    except ValueError as error:
        raise IntegrityError(f"is no statement of a release: {error}", where=path) from None
    return statement, commit


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
                "retired": is_retired(name.card(root)),
            }
        )
    return found
