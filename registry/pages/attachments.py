"""Files of an artifact that the site carries along: pictures, figures, pages of our own kind."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from registry.pages.addresses import node_page
from registry.pages.shelf import Shelf
from registry.results import FILE as RESULTS

_HEAD = re.compile(
    rb'<!doctype html>\s*<html lang="[a-z-]+">\s*<head>\s*<meta charset="utf-8">\s*'
    rb'(?:<meta name="viewport" content="[a-z0-9=, -]+">\s*)?'
    rb'<meta http-equiv="Content-Security-Policy" '
    rb"content=\"default-src 'none'; style-src 'unsafe-inline'\">",
    re.IGNORECASE,
)
"""How a page begins that forbids itself every script before anything else: only such come along."""
_PICTURE = b"\x89PNG\r\n\x1a\n"
_LARGEST = 20_000_000


@dataclass(frozen=True)
class Attachment:
    """A file that is copied into the site."""

    path: str
    """Its path in the artifact."""
    target: str
    """Its path in the site."""
    source: Path
    """Where its bytes are."""
    sha256: str
    """Their digest, as the manifest has it."""

    @property
    def name(self) -> str:
        """What a reader calls it."""
        return self.path.rpartition("/")[2].rpartition(".")[0].replace("-", " ")

    @property
    def is_picture(self) -> bool:
        """Whether it is a picture."""
        return self.path.endswith(".png")

    @property
    def is_page(self) -> bool:
        """Whether it is a page by itself."""
        return self.path.endswith(".html")


def attachments(shelf: Shelf, kind: str, node: str) -> Iterator[Attachment]:
    """What comes along of an artifact, by path."""
    home = node_page(kind, node).removesuffix(".html") + ".files"
    for entry in shelf.tree(node):
        suffix = entry.path.rpartition(".")[2]
        if suffix not in ("png", "html") and entry.path != RESULTS:
            continue
        source = shelf.file(node, entry.path)
        if source is None or entry.size > _LARGEST or not _plain(entry.path):
            continue
        if suffix == "png" and _start(source, len(_PICTURE)) != _PICTURE:
            continue
        if suffix == "html" and not _HEAD.match(_start(source, 1000)):
            continue
        yield Attachment(entry.path, f"{home}/{entry.path}", source, entry.sha256)


def _plain(path: str) -> bool:
    """Whether a path can be carried by any link as it is."""
    return (
        re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_@.-]*(?:/[A-Za-z0-9][A-Za-z0-9_@.-]*)*", path)
        is not None
    )


def _start(path: Path, count: int) -> bytes:
    with path.open("rb") as stream:
        return stream.read(count)
