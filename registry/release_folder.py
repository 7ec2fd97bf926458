"""Proof of a release folder by itself, wherever it lies: no project, no Git and no DVC.

Every byte is hashed and compared with the statement, the statement and all else with the signature,
and the manifests and the in-toto statement with each other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from registry import attestation
from registry.artifact import Hasher, Manifest, content_digest, parse_manifest
from registry.attestation import Material, materials
from registry.dsse import check, read_envelope
from registry.errors import IntegrityError, UsageError
from registry.lineage import Hop, HopState, Verification
from registry.notices import has_notice, said_since, without_notice
from registry.release import STATEMENT, Name, Statement, parse_statement
from registry.release_keys import PublicKey
from registry.release_signature import FILE as SIGNATURE
from registry.release_signature import SIGSTORE, Identity, Signed, check_keyless, check_signature

_OUTSIDE = (".git", ".gitattributes", ".gitignore", ".cache")
"""What Git and model hubs put beside a download; it is no part of a release."""


@dataclass(frozen=True)
class Found:
    """The files of a release folder."""

    folder: Path
    digests: Mapping[str, str]
    """SHA-256 of every file, the card's as it was released."""
    statement: bytes | None
    signature: bytes | None
    notes: tuple[str, ...] = ()
    """What is worth knowing and breaks nothing."""


@dataclass(frozen=True)
class Proof:
    """What was proved of a folder that somebody downloaded."""

    verification: Verification
    statement: Statement | None
    materials: Sequence[Material] = ()
    """Everything that it was made from, as its manifests name it."""


def read_folder(folder: Path) -> Found:
    """Hashes every file of a release folder; raises IntegrityError on links."""
    digests = {
        entry.path: entry.sha256
        for entry in Hasher(None).tree(folder)
        if entry.path.partition("/")[0] not in _OUTSIDE
    }
    notes = [f"{name} is no part of it" for name in _OUTSIDE if (folder / name).exists()]
    card = folder / "README.md"
    if has_notice(card):
        text = card.read_text(encoding="utf-8")
        digests["README.md"] = hashlib.sha256(without_notice(text).encode()).hexdigest()
        notes += said_since(card)
    held = {
        name: (folder / name).read_bytes() if (folder / name).is_file() else None
        for name in (STATEMENT, SIGNATURE)
    }
    return Found(folder, digests, held[STATEMENT], held[SIGNATURE], tuple(notes))


def verify_folder(
    folder: Path, keys: Sequence[PublicKey], identity: Identity | None = None
) -> Proof:
    """Proves a release folder with nothing but public keys.

    Args:
        folder: The folder, as it was downloaded.
        keys: Whose signature counts.
        identity: Whose keyless signature counts.
    """
    if not folder.is_dir():
        raise UsageError("no such folder", where=str(folder), mend="name a release folder")
    try:
        found = read_folder(folder)
    except IntegrityError as error:
        return _broken(str(folder), f"{error.where}: {error.what}")
    if found.statement is None:
        return _broken(str(folder), f"{STATEMENT} is missing, so nothing says what it is")
    try:
        statement = parse_statement(found.statement, STATEMENT)
    except IntegrityError as error:
        return _broken(str(folder), f"{error.where} {error.what}")
    name = Name(statement.name, statement.version)
    files = compared(found.digests, statement)
    digest = hashlib.sha256(found.statement).hexdigest()
    hops = [
        Hop(f"release {name}", "broken" if files else "verified", digest, (*files, *found.notes))
    ]
    signed = signature_of(found, statement, keys, identity)
    hops.append(signature_hop(signed))
    manifests, lineage = _read_lineage(found, statement)
    hops += lineage
    if all(hop.state != "broken" for hop in lineage):
        hops += provenance_hops(found, statement, manifests, keys, signed)
    listed = materials(manifests, statement.manifests) if manifests else []
    return Proof(Verification(str(name), hops), statement, listed)


def _broken(name: str, finding: str) -> Proof:
    return Proof(Verification(name, [Hop(f"release {name}", "broken", "", (finding,))]), None)


def compared(digests: Mapping[str, str], statement: Statement) -> list[str]:
    """Where the files of a folder are not those that the statement names."""
    wanted = {entry.path: entry.sha256 for entry in statement.files}
    found = {path: d for path, d in digests.items() if path not in (STATEMENT, SIGNATURE)}
    return [
        *(f"{path} is missing" for path in wanted if path not in found),
        *(f"{path} is not in the statement" for path in found if path not in wanted),
        *(
            f"{path} was altered"
            for path in wanted
            if found.get(path, wanted[path]) != wanted[path]
        ),
    ]


def signature_of(
    found: Found,
    statement: Statement,
    keys: Sequence[PublicKey],
    identity: Identity | None = None,
) -> Signed:
    """What the signature in a folder proves."""
    if identity is not None and statement.signed_by == SIGSTORE and found.signature is not None:
        return check_keyless(found.folder, identity)
    others = {path: digest for path, digest in found.digests.items() if path != SIGNATURE}
    return check_signature(
        found.signature, others, keys, statement.signed_by, statement.released_on
    )


def signature_hop(signed: Signed) -> Hop:
    """The hop of a signature."""
    return Hop("signature", signed.state, signed.fingerprint, (signed.said, *signed.findings))


def provenance_hops(
    found: Found,
    statement: Statement,
    manifests: Mapping[str, Manifest],
    keys: Sequence[PublicKey],
    signed: Signed,
) -> Iterator[Hop]:
    """The in-toto statement against the manifests; releases of earlier schemas have none."""
    path = found.folder / attestation.FILE
    if statement.node not in manifests or not path.is_file():
        return
    envelope = read_envelope(path.read_bytes())
    sealed = check(envelope, _named(envelope), keys) if envelope else None
    if sealed is None or sealed.payload is None:
        yield Hop("in-toto statement", "broken", "", (f"{attestation.FILE} is no statement",))
        return
    findings = list(
        attestation.differences(sealed.payload, statement.node, manifests, statement.manifests)
    )
    by_key = statement.signed_by not in ("", SIGSTORE)
    if sealed.state == "broken" or (by_key and sealed.named != statement.signed_by):
        findings.append("its signature does not hold")
    count = len(materials(manifests, statement.manifests))
    state: HopState = "broken" if findings else signed.state
    said = findings or [f"names {count} materials, the same as the manifests"]
    yield Hop("in-toto statement", state, found.digests[attestation.FILE], tuple(said))


def _named(envelope: Mapping[str, object]) -> str:
    """The key that an envelope names, whatever a stranger wrote there."""
    signatures = envelope.get("signatures")
    first = signatures[0] if isinstance(signatures, list) and signatures else None
    return str(first.get("keyid")) if isinstance(first, dict) else ""


def _read_lineage(found: Found, statement: Statement) -> tuple[dict[str, Manifest], list[Hop]]:
    """The manifests of a folder, and whether they fit the statement and each other."""
    manifests: dict[str, Manifest] = {}
    hops = []
    for node, wanted in sorted(statement.manifests.items()):
        path = f"lineage/{node}.json"
        digest = found.digests.get(path, "")
        findings = [] if digest == wanted else [f"{path} is not the one that the statement names"]
        if not findings:
            try:
                manifests[node] = parse_manifest((found.folder / path).read_bytes(), path)
            except IntegrityError as error:
                findings.append(f"{error.where} {error.what}")
        hops.append(Hop(node, "broken" if findings else "verified", digest, tuple(findings)))
    if any(hop.state == "broken" for hop in hops):
        return manifests, hops
    return manifests, [
        Hop(hop.name, "broken" if odd else "verified", manifests[hop.name].content, tuple(odd))
        for hop in hops
        for odd in [list(_unfit(found, statement, manifests, hop.name))]
    ]


def _unfit(
    found: Found, statement: Statement, manifests: Mapping[str, Manifest], node: str
) -> Iterator[str]:
    """Where a manifest does not fit the statement, the files or the manifests around it."""
    manifest = manifests[node]
    if manifest.node != node:
        yield f"lineage/{node}.json speaks of {manifest.node}"
    if content_digest(manifest.files) != manifest.content:
        yield "its content digest is not that of its files"
    for entry in manifest.inputs:
        above = manifests.get(entry.node)
        if above is None:
            yield f"it was made from {entry.node}, whose manifest is missing"
        elif above.content != entry.content:
            yield f"it was made from another {entry.node} than the one that lies here"
    if node == statement.node:
        if manifest.content != statement.content:
            yield f"the statement names the content {statement.content[:12]}"
        for file in manifest.files:
            if found.digests.get(file.path) != file.sha256:
                yield f"{file.path} is not the one that it lists"
