"""Artifact directories: digests, the manifest, and the atomic swap. Knows paths, never nodes.

An artifact is a directory with `files/` and `manifest.json`. The manifest is a pure function of
content and causes: it names no time, host, user, door, run or absolute path.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from registry.consent import Permission, Use
from registry.errors import IntegrityError
from registry.hashing import sha256_file, sha256_files
from registry.typed import Frozen

MANIFEST = "manifest.json"
FILES = "files"


class FileEntry(Frozen):
    """One file of an artifact."""

    path: str
    """Its path below `files/`, with slashes."""
    size: int
    """Its size in bytes."""
    sha256: str
    """The digest of its bytes."""


class InputEntry(Frozen):
    """One artifact that the method read."""

    role: str
    """The method's name for it."""
    node: str
    """The node that made it."""
    content: str
    """The content digest that it had."""


class ProfileEntry(Frozen):
    """One value profile that the artifact rests on, directly or through its inputs."""

    id: str
    """The community's id."""
    use: Use
    """The use that was granted."""
    permission: Permission
    """Consent, mandate or licence."""
    consent: str
    """Digest of the permission's terms as they were."""
    tables: dict[str, str]
    """Digests of the tables that the method read itself."""
    fields: dict[str, str]
    """Digests of the profile fields that the method read itself."""


class SourceEntry(Frozen):
    """One file or folder of the project that the method read."""

    path: str
    """Its path below the project's root."""
    sha256: str
    """Its digest: of the bytes, or of a folder's content."""


class MethodEntry(Frozen):
    """The code that made the artifact."""

    name: str
    """The method's name."""
    code: str
    """Digest of its syntax, without comments and docstrings."""
    distribution: str
    """The distribution that offered it."""
    version: str
    """That distribution's version."""


class CheckResult(Frozen):
    """The outcome of one expectation."""

    expect: str
    """The expectation's type."""
    table: str
    """The table that it speaks about."""
    arguments: dict[str, Any]
    """Its arguments."""
    severity: str
    """`error` or `warning`."""
    reason: str
    """Why it matters."""
    success: bool
    """Whether the artifact met it."""
    unexpected: int
    """How many rows broke it; 1 where it is not about rows."""
    found: str = ""
    """What was found, where a count does not say it."""
    rows: tuple[str, ...] = ()
    """Ids of the first rows that broke it, where the table has row ids."""


class Manifest(Frozen):
    """What an artifact is, and what it was made from."""

    schema_version: int = 1
    """The version of this schema."""
    node: str
    """The node that it belongs to."""
    kind: str
    """Dataset, model or evaluation."""
    licence: str
    """SPDX identifier of its licence."""
    method: MethodEntry
    """The code that made it."""
    params: dict[str, Any]
    """The method's parameters, defaults included."""
    seed: int
    """The seed of everything random."""
    threads: int
    """CPU threads that it was made with."""
    processes: int = 1
    """Processes that made it together."""
    device: str
    """`cpu` or `cuda`."""
    dtype: str | None
    """The number format that the method names, if any."""
    libraries: dict[str, str]
    """Versions of the libraries that belong to the result."""
    inputs: tuple[InputEntry, ...]
    """The artifacts that the method read."""
    profiles: tuple[ProfileEntry, ...]
    """The value profiles that it rests on."""
    sources: tuple[SourceEntry, ...]
    """Files of the project that the method read."""
    checks: tuple[CheckResult, ...]
    """The outcome of its contract."""
    rows: dict[str, int]
    """Rows of each Parquet file."""
    files: tuple[FileEntry, ...] = Field(min_length=1)
    """Every file of the artifact."""
    content: str
    """SHA-256 over the sorted (path, SHA-256) pairs of the files."""

    def to_bytes(self) -> bytes:
        """The manifest as it is written: stable, indented JSON."""
        return canonical_json(self.model_dump(mode="json"), indent=2) + b"\n"


def parse_manifest(raw: bytes, where: str) -> Manifest:
    """A manifest from its bytes; raises IntegrityError where they are none."""
    try:
        return Manifest.model_validate_json(raw)
    except ValidationError as error:
        raise IntegrityError(
            f"is not a manifest: {error.errors()[0]['msg']}",
            where=where,
            why="without it nothing says what the artifact is",
            mend="make the node again with --force, or restore the file with `dvc checkout`",
        ) from None


def canonical_json(value: Any, indent: int | None = None) -> bytes:
    """JSON with sorted keys, the same bytes for the same value."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, indent=indent, allow_nan=False)
    return text.encode()


def digest_of(value: Any) -> str:
    """SHA-256 of a JSON value in canonical form."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


class Hasher:
    """Digests of files, remembered by (size, times, inode) in a cache file.

    Reading commands use it so that gigabytes are not re-read at every call. Proof never does:
    `chorus lineage verify` hashes with a `Hasher(None)` of its own, whatever a file's mode or age.
    That one remembers for its own life only, so that a file reached twice is read once.
    """

    def __init__(self, cache: Path | None) -> None:
        self._cache = cache
        self._known: dict[str, list[Any]] = {}
        self._dirty = False
        self._lock = threading.Lock()
        if cache is not None and cache.exists():
            try:
                loaded = json.loads(cache.read_bytes())
                self._known = loaded if isinstance(loaded, dict) else {}
            except ValueError:
                self._known = {}

    def file(self, path: Path) -> str:
        """SHA-256 of one file."""
        key, stamp = self._stamp(path)
        known = self._known.get(key)
        if known is not None and known[:-1] == stamp:
            return str(known[-1])
        digest = sha256_file(path)
        self._remember(key, stamp, digest)
        return digest

    def ahead(self, paths: Iterable[Path]) -> None:
        """Hashes files that will be asked for, several at a time; what cannot be read is left."""
        stamps: dict[Path, tuple[str, list[int]]] = {}
        for path in paths:
            with contextlib.suppress(OSError):
                stamps[path] = self._stamp(path)
        fresh = {key: path for path, (key, stamp) in stamps.items()
                 if self._known.get(key, [])[:-1] != stamp}  # fmt: skip
        for path, digest in sha256_files(fresh.values()).items():
            self._remember(*stamps[path], digest)

    def _stamp(self, path: Path) -> tuple[str, list[int]]:
        stat = path.stat()
        key = str(path) if self._cache else f"{stat.st_dev}:{stat.st_ino}"
        return key, [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]

    def _remember(self, key: str, stamp: list[int], digest: str) -> None:
        with self._lock:
            self._known[key] = [*stamp, digest]
            self._dirty = True

    def tree(self, folder: Path) -> tuple[FileEntry, ...]:
        """Every file below `folder`, sorted by path; links are refused."""
        files = []
        for path in sorted(folder.rglob("*")):
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                what = "is a link or a device; artifacts hold plain files"
                raise IntegrityError(what, where=str(path))
            files += [path] if path.is_file() else []
        self.ahead(files)
        entries = (
            FileEntry(
                path=path.relative_to(folder).as_posix(),
                size=path.stat().st_size,
                sha256=self.file(path),
            )
            for path in files
        )
        return tuple(sorted(entries, key=lambda entry: entry.path))

    def source(self, path: Path) -> str:
        """Digest of a source: a file's bytes, or a folder's content."""
        return content_digest(self.tree(path)) if path.is_dir() else self.file(path)

    def save(self) -> None:
        """Writes the cache, if anything new was hashed."""
        with self._lock:
            if self._cache is None or not self._dirty:
                return
            alive = {key: known for key, known in self._known.items() if Path(key).exists()}
            write_atomically(self._cache, json.dumps(alive).encode())
            self._dirty = False


def content_digest(files: Iterable[FileEntry]) -> str:
    """SHA-256 over the sorted (path, SHA-256) pairs; names are bound in, so a rename shows."""
    return digest_of(sorted([entry.path, entry.sha256] for entry in files))


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file so that a reader sees the old bytes or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with scratch.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


@dataclass(frozen=True)
class ArtifactPath:
    """Where one artifact lies: `data/<name>[/<community>]/`, and its scratch beside it."""

    directory: Path

    @property
    def files(self) -> Path:
        """The artifact's content."""
        return self.directory / FILES

    @property
    def manifest(self) -> Path:
        """What the artifact is."""
        return self.directory / MANIFEST

    @property
    def scratch(self) -> Path:
        """Where a method works before its result is swapped in."""
        return self.directory.with_name(f".{self.directory.name}.scratch")

    @property
    def old(self) -> Path:
        """Where the previous artifact waits while two renames stand in for an exchange."""
        return self.directory.with_name(f".{self.directory.name}.old")

    def read_manifest(self) -> Manifest | None:
        """The manifest, or None where there is no whole artifact; raises on a broken one."""
        try:
            raw = self.manifest.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return parse_manifest(raw, str(self.manifest))

    def recover(self) -> None:
        """Puts the old artifact back where a swap by two renames was cut off between them."""
        if self.old.exists() and not self.directory.exists():
            self.old.rename(self.directory)

    def swap_in(self) -> None:
        """Replaces the artifact with what lies in scratch, in one step, then drops the old."""
        swap_folder(self.scratch, self.directory, self.old)

    def clear_scratch(self) -> None:
        """Removes what an earlier attempt left."""
        for folder in (self.scratch, self.old):
            if folder.exists():
                shutil.rmtree(folder)


def swap_folder(new: Path, target: Path, old: Path) -> None:
    """Puts `new` in the place of `target`, in one step where the system can; drops what was there.

    Where it cannot, what was there waits in `old` between two renames.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        new.rename(target)
    elif exchange(new, target):
        shutil.rmtree(new)
    else:
        shutil.rmtree(old, ignore_errors=True)
        target.rename(old)
        new.rename(target)
        shutil.rmtree(old)
    sync_directory(target.parent)


@contextlib.contextmanager
def one_at_a_time(root: Path, what: str) -> Iterator[None]:
    """Holds a project's lock on one kind of work; another process waits."""
    folder = root / ".chorus" / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{what}.lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def exchange(first: Path, second: Path) -> bool:
    """Swaps two directories in one step; False where the system cannot."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return False
    at_cwd, rename_exchange = -100, 2
    done = renameat2(at_cwd, os.fsencode(first), at_cwd, os.fsencode(second), rename_exchange)
    if done == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM):
        return False
    raise OSError(code, os.strerror(code), str(second))


def sync_directory(folder: Path) -> None:
    """Makes the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_tree(folder: Path) -> None:
    """Makes every file and name below a folder durable."""
    for path in sorted(folder.rglob("*")):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    sync_directory(folder)
