"""SHA-256 of files, several at a time: `hashlib` lets other threads run while it works."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_CHUNK = 1 << 20
_WORTH_IT = 1 << 20
"""Bytes from which on starting threads costs less than it saves."""


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, always read anew."""
    digest, buffer = hashlib.sha256(), bytearray(_CHUNK)
    view = memoryview(buffer)
    with path.open("rb", buffering=0) as stream:
        while count := stream.readinto(buffer):
            digest.update(view[:count])
    return digest.hexdigest()


def sha256_files(paths: Iterable[Path]) -> dict[Path, str]:
    """SHA-256 of each file; of one that cannot be read there is none."""
    sized = {path: size for path in paths if (size := _size(path)) is not None}
    largest_first = sorted(sized, key=sized.__getitem__, reverse=True)
    if sum(sized.values()) < _WORTH_IT:
        return {path: d for path in sized if (d := _sha256_or_none(path)) is not None}
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
        found = threads.map(_sha256_or_none, largest_first)
        return {path: d for path, d in zip(largest_first, found, strict=True) if d is not None}


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _sha256_or_none(path: Path) -> str | None:
    try:
        return sha256_file(path)
    except OSError:
        return None
