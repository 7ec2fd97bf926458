"""Making a release: its folder, its commit and its tag.

Order matters where a process may die: the folder appears whole, then the commit, then the tag. A
release without a tag is none, and running the command again finishes it.
"""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from registry import attestation, bill_of_materials, croissant, git, release_signature
from registry.artifact import (
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
from registry.dsse import seal
from registry.errors import IntegrityError, RefusedError, UsageError
from registry.graph import Graph, Node
from registry.machine_readable import data_of, materials_of
from registry.release import RELEASES, STATEMENT, Name, Statement
from registry.release_keys import ReleaseKey
from registry.release_tags import register_version
from registry.thresholds import Judged, SetAside

_LINEAGE = "lineage"
_KEPT = (
    "README.md",
    STATEMENT,
    attestation.FILE,
    bill_of_materials.FILE,
    croissant.FILE,
    release_signature.FILE,
)
"""What Git keeps of a release folder, besides the manifests."""
_IGNORED = "\n".join(
    [
        "# Weights are copies of what DVC tracks. Git keeps the record that is written about them.",
        "*",
        "!.gitignore",
        "!*/",
        *(f"!{name}" for name in _KEPT),
        f"!**/{_LINEAGE}/*.json",
        "",
    ]
)


@dataclass(frozen=True)
class Order:
    """What is to be released, and whose word stands behind it."""

    node: Node
    name: Name
    thresholds: tuple[Judged, ...] = ()
    """What its community demands, as the checklist found it."""
    override: SetAside | None = None
    """Whose word stands against those that are not reached."""
    key: ReleaseKey | None = None
    """The key that signs it."""
    keyless: bool = False
    """Whether an identity signs it by Sigstore, where there is no key."""

    @property
    def signed_by(self) -> str:
        """What the statement names as its signer."""
        if self.key is not None:
            return self.key.public.fingerprint
        return release_signature.SIGSTORE if self.keyless else ""


@dataclass(frozen=True)
class Made:
    """What releasing did."""

    folder: Path
    commit: str | None
    """The commit that holds the record; None where an earlier attempt had made it."""
    committed: tuple[str, ...]
    tag: str


def release(graph: Graph, order: Order) -> Made:
    """Writes the release folder, commits its record and tags it; the checklist must hold."""
    node, name = order.node, order.name
    if order.override is None and any(not one.reached for one in order.thresholds):
        raise RefusedError("does not reach what its community demands of it", where=node.id)
    root = graph.project.root
    git.require_identity(root)
    with one_at_a_time(root, "release"):
        if git.ask(root, "tag", "--list", name.tag):
            raise UsageError(f"{name.tag} was released a moment ago by another process")
        folder = root / name.folder
        _write_folder(graph, order, folder)
        write_atomically(root / RELEASES / ".gitignore", _IGNORED.encode())
        tracked = [f"{RELEASES}/.gitignore", *(f"{name.folder}/{p}" for p in _tracked(folder))]
        commit = git.commit_files(root, tracked, f"Release {name}")
        _tag(root, name, node)
    return Made(folder, commit, tuple(tracked), name.tag)


def _write_folder(graph: Graph, order: Order, folder: Path) -> None:
    """Writes the whole folder beside its place, then moves it there."""
    node, name = order.node, order.name
    outside = folder.with_name(f".{folder.name}.scratch")
    # The signature names the folder that it was made over.
    scratch = outside / f"{name.name.replace('/', '-')}-{name.version}"
    shutil.rmtree(outside, ignore_errors=True)
    shutil.copytree(graph.artifact(node).files, scratch, copy_function=shutil.copyfile)
    for own in (*_KEPT, _LINEAGE):
        if (scratch / own).exists():
            raise UsageError(f"the artifact has a {own}, where the release's own belongs",
                             where=node.id)  # fmt: skip
    raw = {n.id: graph.artifact(n).manifest.read_bytes() for n in graph.upstream([node])}
    manifests = {one: parse_manifest(content, one) for one, content in raw.items()}
    (scratch / _LINEAGE).mkdir()
    for one, content in raw.items():
        (scratch / _LINEAGE / f"{one}.json").write_bytes(content)
    digests = {one: Hasher(None).file(scratch / _LINEAGE / f"{one}.json") for one in manifests}
    day = today()
    _describe(graph, order, manifests, scratch, day)
    said = attestation.statement(node.id, manifests, digests)
    (scratch / attestation.FILE).write_bytes(seal(said, order.key))
    statement = Statement(
        name=name.name,
        version=name.version,
        node=node.id,
        released_on=day.isoformat(),
        content=manifests[node.id].content,
        manifests=digests,
        thresholds=order.thresholds,
        override=order.override,
        files=Hasher(None).tree(scratch),
        signed_by=order.signed_by,
    )
    _require_same(statement, manifests[node.id])
    content = canonical_json(statement.model_dump(mode="json"), indent=2) + b"\n"
    (scratch / STATEMENT).write_bytes(content)
    if order.signed_by:
        release_signature.sign_folder(scratch, order.key)
    sync_tree(scratch)
    shutil.rmtree(folder, ignore_errors=True)
    scratch.rename(folder)
    outside.rmdir()


def _describe(
    graph: Graph, order: Order, manifests: Mapping[str, Manifest], scratch: Path, day: dt.date
) -> None:
    """Writes the card for people, and the descriptions that other tools read."""
    node, name = order.node, order.name
    card = Card(
        graph,
        node,
        name.name,
        name.version,
        day.isoformat(),
        manifests,
        order.thresholds,
        order.override,
    )
    (scratch / "README.md").write_text(write_card(card), encoding="utf-8")
    (scratch / bill_of_materials.FILE).write_bytes(materials_of(card))
    if data := data_of(card, day):
        (scratch / croissant.FILE).write_bytes(data)


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


def _tracked(folder: Path) -> Sequence[str]:
    """The files of a release that Git keeps."""
    lineage = sorted(p.relative_to(folder).as_posix() for p in (folder / _LINEAGE).iterdir())
    return [*(name for name in _KEPT if (folder / name).is_file()), *lineage]


def _tag(root: Path, name: Name, node: Node) -> None:
    statement = Hasher(None).file(root / name.folder / STATEMENT)
    message = f"Release {name} of {node.id}\n\n{name.folder}/{STATEMENT} sha256:{statement}"
    register_version(root, name, message)
