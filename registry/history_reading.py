"""What a `dvc.lock` of any commit says, entry by entry.

Two versions of a lock share most of their entries. DVC writes each below a line of two spaces and a
name, so a lock is cut there, and an entry that was read before is not parsed again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from registry.artifact import FILES, MANIFEST, digest_of
from registry.store import CODE_FILE, PIPELINES, YAML_LOADER, lock_path

_STAGE = re.compile(rb"^  (?=[^\s#-])", re.MULTILINE)
_DATA = re.compile(rf"data/([^/]+)(?:/([^/]+))?/{FILES}")


@dataclass(frozen=True)
class LockEntry:
    """One entry of a lock; all but node and text are empty where it was read before."""

    node: str
    text: str
    """A digest of how it is written."""
    manifest: str = ""
    content: str = ""
    method: str = ""
    code: str = ""
    uses: tuple[tuple[str, str], ...] = ()
    """What it read: a path, or `FILE: FIELD`, and its digest."""


def where_locked(node: str) -> str:
    """The lock that holds a node's record."""
    return lock_path(node.partition("@")[2] or None)


def node_of(path: str) -> str | None:
    """The node whose artifact's files lie at a path."""
    found = _DATA.fullmatch(path)
    return "@".join(part for part in found.groups() if part) if found else None


def lock_entries(raw: bytes, path: str, known: Container[str]) -> Iterator[LockEntry]:
    """The entries of a lock.

    Args:
        raw: Its bytes.
        path: Where it lies; the folder names the community.
        known: Nodes with the digests of texts that were read before, as `NODE NUL TEXT`.
    """
    inside = path.partition(f"{PIPELINES}/")[2]
    suffix = f"@{inside.partition('/')[0]}" if inside else ""
    head, _, body = raw.partition(b"stages:\n")
    for cut in [*_STAGE.split(body)[1:]] if head is not raw else []:
        text = hashlib.sha256(cut).hexdigest()[:24]
        name = cut.partition(b":")[0].decode(errors="replace").strip("'\"")
        if f"{name}{suffix}\0{text}" in known:
            yield LockEntry(name + suffix, text)
        elif (entry := _parsed(cut, name)) is not None:
            yield _read(name + suffix, text, entry)


def _parsed(cut: bytes, name: str) -> dict[str, Any] | None:
    """An entry as YAML; None where it is damaged."""
    try:
        found = yaml.load(b"  " + cut, Loader=YAML_LOADER)  # noqa: S506 - a safe loader, in C
    except (yaml.YAMLError, ValueError):
        return None
    entry = found.get(name) if isinstance(found, dict) else None
    return entry if isinstance(entry, dict) else None


def _read(node: str, text: str, entry: dict[str, Any]) -> LockEntry:
    place = f"data/{node.replace('@', '/')}"
    outs = {str(o.get("path")): str(o.get("md5") or "") for o in _dicts(entry.get("outs"))}
    uses = [(str(d.get("path")), str(d.get("md5") or "")) for d in _dicts(entry.get("deps"))]
    method = code = ""
    params = entry.get("params")
    for file, values in params.items() if isinstance(params, dict) else ():
        for name, value in values.items() if isinstance(values, dict) else ():
            if file == CODE_FILE and str(name).startswith("methods."):
                method, code = str(name).removeprefix("methods."), str(value)
            elif str(file).startswith("value_profiles/"):
                uses.append((f"{file}: {name}", digest_of(value)))
    outs_of = (outs.get(f"{place}/{MANIFEST}", ""), outs.get(f"{place}/{FILES}", ""))
    return LockEntry(node, text, *outs_of, method, code, tuple(uses))


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    yield from (
        (one for one in value or () if isinstance(one, dict)) if isinstance(value, list) else ()
    )
