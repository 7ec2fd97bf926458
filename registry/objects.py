"""DVC's stored objects: which belong to which artifact, in the cache and in remotes."""

from __future__ import annotations

import configparser
import contextlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from registry import git
from registry.profile_folder import CONTENT
from registry.store import PIPELINES, YAML_LOADER

_DIRECTORY = ".dir"
_LAYOUT = Path("files") / "md5"
"""Where DVC keeps objects below a cache or a remote."""


@dataclass(frozen=True)
class Objects:
    """The objects of one project."""

    root: Path
    beside: tuple[Path, ...] = ()
    """More folders that hold objects: caches, or remotes."""

    @cached_property
    def _config(self) -> configparser.ConfigParser:
        config = configparser.ConfigParser(interpolation=None)
        with contextlib.suppress(configparser.Error):  # DVC itself says what is wrong with it
            config.read([self.root / ".dvc" / "config", self.root / ".dvc" / "config.local"])
        return config

    @cached_property
    def cache(self) -> Path:
        """The folder that holds them here."""
        chosen = self._config.get("cache", "dir", fallback="cache")
        return (self.root / ".dvc" / chosen) / _LAYOUT

    @cached_property
    def places(self) -> tuple[Path, ...]:
        """Every folder where objects may lie: the cache, remotes that are folders, and others."""
        urls = [
            self._config[section]["url"].removeprefix("file://")
            for section in self._config.sections()
            if section.strip("'").startswith("remote ") and "url" in self._config[section]
        ]
        local = [self.root / ".dvc" / url for url in urls if "://" not in url]
        others = [folder / _LAYOUT for folder in (*local, *self.beside)]
        return tuple(place for place in (self.cache, *others) if place.is_dir())

    def find(self, digest: str) -> Path | None:
        """Where an object lies, in the cache before a remote; None where it is not here."""
        found = (place / digest[:2] / digest[2:] for place in self.places)
        return next((path for path in found if path.is_file()), None)

    def path(self, digest: str) -> Path:
        """Where an object lies in the cache."""
        return self.cache / digest[:2] / digest[2:]

    def members(self, digest: str) -> dict[str, str]:
        """What a directory object lists: path to object; nothing where it is not here."""
        path = self.find(digest) if digest.endswith(_DIRECTORY) else None
        if path is None:
            return {}
        try:
            return {entry["relpath"]: entry["md5"] for entry in json.loads(path.read_bytes())}
        except (ValueError, KeyError, TypeError):
            return {}  # damaged: what it lists is not here

    def closure(self, digests: Iterable[str]) -> set[str]:
        """These objects and what their directories list."""
        found: set[str] = set()
        for digest in digests:
            found |= {digest, *self.members(digest).values()}
        return found

    def recorded(self, node: str) -> set[str]:
        """Every object that any commit or today's lock ever recorded for a node."""
        name, _, community = node.partition("@")
        lock = f"{PIPELINES}/{community}/dvc.lock" if community else "dvc.lock"
        found: set[str] = set()
        for raw in self._versions(lock):
            entry = _stages(raw).get(name) or {}
            found |= _outs(entry)
        return self.closure(found)

    def tracked(self, path: str) -> set[str]:
        """Every object that any commit or today's `.dvc` file ever tracked for a path."""
        found: set[str] = set()
        for raw in self._versions(f"{path}.dvc"):
            found |= _outs(yaml.load(raw, Loader=YAML_LOADER) or {})  # noqa: S506 - safe, in C
        return self.closure(found)

    def versions(self, path: str, inside: str) -> set[str]:
        """Every object that was ever tracked for one file of a folder that DVC tracks."""
        found: set[str] = set()
        for raw in self._versions(f"{path}.dvc"):
            for digest in _outs(yaml.load(raw, Loader=YAML_LOADER) or {}):  # noqa: S506 - safe, in C
                found |= {d for name, d in self.members(digest).items() if name == inside}
        return found

    def in_use(self, erased: Iterable[str]) -> dict[str, str]:
        """Objects that today's records name beside the erased ones, each with who names it.

        `erased` holds nodes, and folders that DVC tracks.
        """
        gone, found = set(erased), dict[str, str]()
        for tracked in self.root.glob(f"value_profiles/*/{CONTENT}.dvc"):
            folder = f"value_profiles/{tracked.parent.name}/{CONTENT}"
            if folder not in gone:
                entry = yaml.load(tracked.read_bytes(), Loader=YAML_LOADER) or {}  # noqa: S506
                found |= dict.fromkeys(self.closure(_outs(entry)), folder)
        for lock in [self.root / "dvc.lock", *(self.root / PIPELINES).glob("*/dvc.lock")]:
            community = "" if lock.parent == self.root else f"@{lock.parent.name}"
            for name, entry in _stages(lock.read_bytes() if lock.is_file() else b"").items():
                if f"{name}{community}" not in gone:
                    for digest in self.closure(_outs(entry)):
                        found[digest] = f"{name}{community}"
        return found

    def _versions(self, path: str) -> Iterator[bytes]:
        """A file as it lies here, and as every commit of every branch and tag holds it."""
        if (self.root / path).is_file():
            yield (self.root / path).read_bytes()
        seen = git.ask(self.root, "log", "--all", "--format=%H", "--", f"./{path}").split()
        for commit in seen:
            raw = git.content(self.root, commit, path)
            if raw is not None:
                yield raw

    def drop(self, digests: Iterable[str]) -> int:
        """Removes objects from the cache; returns how many were there."""
        count = 0
        for digest in digests:
            path = self.path(digest)
            if path.is_file():
                path.unlink()
                count += 1
        return count

    def drop_from_remotes(self, digests: Iterable[str]) -> dict[str, int]:
        """Removes objects from every remote that is configured; returns how many, by remote."""
        import logging

        from dvc.repo import Repo

        logging.getLogger("dvc").setLevel(logging.ERROR)
        wanted, found = sorted(digests), dict[str, int]()
        with contextlib.chdir(self.root), Repo(str(self.root)) as repo:
            for remote in sorted(repo.config["remote"]):
                odb: Any = repo.cloud.get_remote_odb(remote)
                there = [d for d in wanted if odb.fs.exists(odb.oid_to_path(d))]
                for digest in there:
                    odb.fs.remove(odb.oid_to_path(digest))
                found[remote] = len(there)
        return found


def _stages(raw: bytes) -> dict[str, Any]:
    lock = yaml.load(raw, Loader=YAML_LOADER) if raw else {}  # noqa: S506 - a safe loader, in C
    return (lock or {}).get("stages") or {}


def _outs(entry: dict[str, Any]) -> set[str]:
    return {str(out["md5"]) for out in entry.get("outs") or [] if "md5" in out}
