"""The folder of a site: what a build before left there, and writing only what changed.

`.chorus-site.json` holds, for each page, the digest of everything it depends on and the stamp of
the file that was written. A name stands in it before its file is written, so that a build that was
killed leaves nothing of which the next one does not know. Files that no build of ours wrote are
never touched.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from registry.artifact import Hasher, canonical_json, digest_of, write_atomically
from registry.errors import IntegrityError, UsageError
from registry.hashing import sha256_file

STATE = ".chorus-site.json"
HASHES = ".chorus-hashes.json"
_VERSION = 1
_OURS = (STATE, HASHES, ".gitignore")


@dataclass
class Folder:
    """A folder that a site is built into."""

    path: Path
    program: str
    """Digest of the program: another one writes every page anew."""
    verdicts: dict[str, Any] = field(default_factory=dict)
    """What the build before found."""
    written: int = 0
    kept: int = 0
    _pages: dict[str, Any] = field(default_factory=dict)
    _now: dict[str, Any] = field(default_factory=dict)
    _waiting: list[tuple[str, str, Callable[[Path], None]]] = field(default_factory=list)

    def open(self, *, anew: bool) -> Hasher:
        """Reads what is there; returns the hasher that remembers what it hashed for this folder.

        Args:
            anew: Whether every byte is hashed and every verdict found again.

        Raises:
            UsageError: The folder holds something and no build made it.
        """
        self._require_ours()
        state = self._read()
        self._pages = state.get("pages", {})
        if anew:
            (self.path / HASHES).unlink(missing_ok=True)
        elif state.get("program") == self.program:
            self.verdicts = state.get("verdicts", {})
        return Hasher(self.path / HASHES)

    def _require_ours(self) -> None:
        if self.path.is_symlink() or (self.path.exists() and not self.path.is_dir()):
            raise UsageError("is no folder", where=str(self.path), mend="name a new folder")
        if self.path.is_dir() and any(self.path.iterdir()) and not (self.path / STATE).is_file():
            raise UsageError(
                "holds files that no build of a site wrote",
                where=str(self.path),
                why="they could be overwritten",
                mend="name a new folder, or an empty one",
            )

    def _read(self) -> dict[str, Any]:
        """The state; nothing where there is none or it is not whole."""
        try:
            state = json.loads((self.path / STATE).read_bytes())
        except (OSError, ValueError):
            return {}
        whole = isinstance(state, dict) and state.get("schema_version") == _VERSION
        parts = [state.get(name) for name in ("pages", "verdicts")] if whole else []
        return state if parts and all(isinstance(part, dict) for part in parts) else {}

    def page(self, path: str, causes: Any, content: Callable[[], bytes]) -> None:
        """Plans a file that is written where its causes changed."""

        def write(target: Path) -> None:
            write_quickly(target, content())

        self._plan(path, digest_of([self.program, causes]), write)

    def copy(self, path: str, source: Path, sha256: str) -> None:
        """Plans a copy of a file; raises IntegrityError where its bytes are others by then."""

        def write(target: Path) -> None:
            scratch = target.with_name(f".{target.name}.scratch")
            shutil.copyfile(source, scratch)
            if sha256_file(scratch) != sha256:
                scratch.unlink()
                raise IntegrityError(
                    "changed while the site was built", where=str(source),
                    mend="run the same command again",
                )  # fmt: skip
            scratch.replace(target)

        self._plan(path, sha256, write)

    def _plan(self, path: str, key: str, write: Callable[[Path], None]) -> None:
        known = self._pages.get(path)
        if isinstance(known, list) and known == [key, _stamp(self.path / path)]:
            self.kept += 1
            self._now[path] = known
        else:
            self._waiting.append((path, key, write))

    def close(self, verdicts: dict[str, Any], hasher: Hasher) -> None:
        """Writes what was planned, removes what is no longer part of the site, and remembers."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_quickly(self.path / ".gitignore", b"*\n")
        planned = {path: None for path, _, _ in self._waiting}
        self._save(self._pages | self._now | planned, {})
        for path, key, write in self._waiting:
            target = self.path / path
            self._clear(target)
            write(target)
            self._now[path] = [key, _stamp(target)]
            self.written += 1
        self._remove([path for path in self._pages if path not in self._now])
        hasher.save()
        self._save(self._now, verdicts)

    def _clear(self, target: Path) -> None:
        """Makes room for a file; nothing in the folder is followed out of it."""
        for folder in [*reversed(target.relative_to(self.path).parents)][1:]:
            place = self.path / folder
            if place.is_symlink() or (place.exists() and not place.is_dir()):
                place.unlink()
            place.mkdir(exist_ok=True)
        if target.is_symlink():
            target.unlink()

    def _remove(self, paths: list[str]) -> None:
        for path in paths:
            target = self.path / path
            inside = target.parent.resolve().is_relative_to(self.path.resolve())
            if not inside or ".." in Path(path).parts or Path(path).is_absolute():
                continue
            with suppress(OSError):
                target.unlink()
            for folder in target.relative_to(self.path).parents:
                with suppress(OSError):
                    if folder != Path():
                        (self.path / folder).rmdir()

    def _save(self, pages: dict[str, Any], verdicts: dict[str, Any]) -> None:
        state = {
            "schema_version": _VERSION,
            "program": self.program,
            "pages": pages,
            "verdicts": verdicts,
        }
        write_atomically(self.path / STATE, canonical_json(state))


def _stamp(path: Path) -> list[int]:
    try:
        stat = path.lstat()
    except OSError:
        return []
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]


def write_quickly(path: Path, content: bytes) -> None:
    """Writes a file that can be made again: a reader sees the old bytes or the new, never a part.

    Unlike `write_atomically` it does not wait for the disk: the state is written last.
    """
    scratch = path.with_name(f".{path.name}.scratch")
    scratch.write_bytes(content)
    scratch.replace(path)
