"""An index of everything that any commit ever recorded: `.chorus/history.sqlite`.

Locks say which artifact was made from which, release folders keep manifests. Both are read from
Git's objects, each version once: a commit adds what it changed, and a history that was rewritten
takes away what it lost. The index answers questions quickly and proves nothing: `verify` never
looks at it. Whatever is wrong with the file, it is made again from Git.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry import git
from registry.artifact import one_at_a_time
from registry.history_reading import LockEntry, lock_entries, node_of, where_locked

_VERSION = "1"
_AT_ONCE = 400
"""Blobs that are read and indexed together."""
_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT);
CREATE TABLE commits (sha TEXT PRIMARY KEY, day TEXT, time INTEGER);
CREATE TABLE changes (sha TEXT, path TEXT, blob TEXT, PRIMARY KEY (sha, path, blob)) WITHOUT ROWID;
CREATE INDEX changes_of ON changes (blob);
CREATE TABLE blobs (blob TEXT PRIMARY KEY);
CREATE TABLE records (id INTEGER PRIMARY KEY, node TEXT, text TEXT, manifest TEXT, content TEXT,
                      method TEXT, code TEXT, UNIQUE (node, text));
CREATE INDEX records_of ON records (node, content);
CREATE TABLE locks (blob TEXT, record INTEGER, PRIMARY KEY (blob, record)) WITHOUT ROWID;
CREATE INDEX locks_of ON locks (record);
CREATE TABLE uses (record INTEGER, path TEXT, digest TEXT);
CREATE INDEX uses_of ON uses (path, digest);
CREATE INDEX uses_by ON uses (record);
CREATE TABLE kept (blob TEXT PRIMARY KEY, node TEXT, manifest TEXT);
CREATE TABLE releases (tag TEXT PRIMARY KEY, sha TEXT, node TEXT);
CREATE TABLE bundles (tag TEXT, blob TEXT, PRIMARY KEY (tag, blob)) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Record:
    """One artifact as a lock recorded it."""

    node: str
    manifest: str
    """The MD5 of its manifest."""
    content: str
    """DVC's name for its files."""
    method: str
    code: str
    """The digest of that method's code."""
    day: str
    """The day of the first commit that records it."""
    commit: str

    def to_json(self) -> dict[str, Any]:
        """The record as JSON."""
        return vars(self)


class History:
    """What every commit of a repository recorded; up to date when it is opened."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._path = root / ".chorus" / "history.sqlite"
        with one_at_a_time(root, "history"):
            self._base = self._opened()
            try:
                self._update()
            except sqlite3.DatabaseError:  # damaged, where opening it did not show
                self._base.close()
                self._path.unlink(missing_ok=True)
                self._base = self._opened()
                self._update()

    def close(self) -> None:
        """Closes the file."""
        self._base.close()

    # What it answers.

    def releases(self) -> dict[str, dict[str, dict[str, Any]]]:
        """The manifests that each release keeps, by tag and node."""
        parsed = {
            blob: json.loads(raw) for blob, raw in self._ask("SELECT blob, manifest FROM kept")
        }
        found: dict[str, dict[str, dict[str, Any]]] = {
            tag: {} for (tag,) in self._ask("SELECT tag FROM releases ORDER BY tag")
        }
        for tag, blob in self._ask(
            "SELECT tag, blob FROM bundles WHERE blob IN (SELECT blob FROM kept)"
        ):
            found[tag][parsed[blob]["node"]] = parsed[blob]
        return found

    def node_of_release(self, tag: str) -> tuple[str, str] | None:
        """The node that a release is of, and its commit."""
        found = self._ask("SELECT node, sha FROM releases WHERE tag = ?", tag)
        return (str(found[0][0]), str(found[0][1])) if found else None

    def at(self, commit: str, node: str) -> int | None:
        """The number of the record of a node in the locks of a commit."""
        blob = git.ask(self._root, "rev-parse", "--verify", "--quiet",
                       f"{commit}:{git.prefix(self._root)}{where_locked(node)}")  # fmt: skip
        query = "SELECT id FROM records JOIN locks ON record = id WHERE blob = ? AND node = ?"
        found = self._ask(query, blob, node)
        return int(found[0][0]) if found else None

    def made_from(self, record: int) -> list[Record]:
        """A record and all that it was made from, inputs last."""
        return self._walk(
            record,
            "SELECT records.id FROM walk JOIN uses ON uses.record = walk.id"
            " JOIN records ON records.node = node_of(uses.path) AND records.content = uses.digest",
        )

    def made_with(self, records: Iterable[int]) -> list[Record]:
        """These records and all that was ever made from them."""
        found: dict[int, None] = {}
        query = (
            "SELECT uses.record FROM walk JOIN records ON records.id = walk.id"
            " JOIN uses ON uses.path = files_of(records.node) AND uses.digest = records.content"
        )
        for record in records:
            if record not in found:
                found |= dict.fromkeys(self._reached(record, query))
        return self._records(found)

    def using(self, path: str) -> list[int]:
        """The records that read a file, a folder or a field (`FILE: FIELD`) themselves."""
        below = f"{path}/"
        query = (
            "SELECT DISTINCT record FROM uses WHERE path = ? OR (path >= ? AND path < ?)"
            " OR (path >= ? AND path < ?)"
        )
        fields = f"{path}: "
        ends = (below[:-1] + "0", fields[:-1] + "!")
        found = self._ask(query, path, below, ends[0], fields, ends[1])
        return [int(record) for (record,) in found]

    def by_method(self, method: str) -> list[int]:
        """The records that a method made."""
        found = self._ask("SELECT id FROM records WHERE method = ?", method)
        return [int(record) for (record,) in found]

    def of(self, node: str) -> list[Record]:
        """Every record of a node, the latest first."""
        found = self._ask("SELECT id FROM records WHERE node = ?", node)
        records = self._records(int(record) for (record,) in found)
        return sorted(records, key=lambda record: record.day, reverse=True)

    def count(self) -> int:
        """How many records there are."""
        return int(self._ask("SELECT count(*) FROM records")[0][0])

    def _walk(self, record: int, step: str) -> list[Record]:
        return self._records(self._reached(record, step))

    def _reached(self, record: int, step: str) -> list[int]:
        query = f"WITH RECURSIVE walk(id) AS (SELECT ? UNION {step}) SELECT id FROM walk"  # noqa: S608
        return [int(one) for (one,) in self._ask(query, record)]

    def _records(self, numbers: Iterable[int]) -> list[Record]:
        query = """
            SELECT node, manifest, content, method, code, day, commits.sha FROM records
            JOIN locks ON locks.record = records.id JOIN changes ON changes.blob = locks.blob
            JOIN commits ON commits.sha = changes.sha
            WHERE records.id = ? ORDER BY commits.time, commits.sha LIMIT 1
        """
        found = [self._ask(query, number) for number in numbers]
        return [Record(*rows[0]) for rows in found if rows]

    def _ask(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        try:
            return self._base.execute(query, values).fetchall()
        except sqlite3.DatabaseError:  # damaged: it is made again, and asked once more
            self._renew()
            return self._base.execute(query, values).fetchall()

    def _renew(self) -> None:
        """Makes it again from nothing."""
        with one_at_a_time(self._root, "history"):
            self._base.close()
            self._path.unlink(missing_ok=True)
            self._base = self._opened()
            self._update()

    # How it is kept.

    def _opened(self) -> sqlite3.Connection:
        """The index as it is, or an empty one where that is not of use."""
        base = self._connect()
        with contextlib.suppress(sqlite3.DatabaseError):
            found = base.execute("SELECT value FROM meta WHERE key = 'version'").fetchone()
            if found == (_VERSION,):
                return base
        base.close()
        self._path.unlink(missing_ok=True)
        base = self._connect()
        base.executescript(_TABLES)
        base.execute("INSERT INTO meta VALUES ('version', ?)", (_VERSION,))
        base.commit()
        return base

    def _connect(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        base = sqlite3.connect(self._path)
        base.create_function("node_of", 1, node_of, deterministic=True)
        base.create_function("files_of", 1, lambda node: f"data/{node.replace('@', '/')}/files",
                             deterministic=True)  # fmt: skip
        return base

    def _update(self) -> None:
        refs = git.ask(self._root, "for-each-ref", "--format=%(objectname) %(refname)")
        head = git.ask(self._root, "rev-parse", "--verify", "--quiet", "HEAD")
        mark = hashlib.sha256(f"{refs}\n{head}".encode()).hexdigest()
        if self._ask("SELECT value FROM meta WHERE key = 'refs'") == [(mark,)]:
            return
        with self._base:  # all of it, or nothing: a killed process leaves the old index
            self._follow(head)
            self._base.execute("INSERT OR REPLACE INTO meta VALUES ('refs', ?)", (mark,))

    def _follow(self, head: str) -> None:
        starts = ("--all", *([head] if head else []))
        logged = git.ask(self._root, "log", "--format=%H %as %ct", *starts) if head else ""
        now = {sha: (day, int(time)) for sha, day, time in map(str.split, logged.splitlines())}
        known = {sha for (sha,) in self._ask("SELECT sha FROM commits")}
        for table in ("commits", "changes"):
            gone = [(sha,) for sha in known - now.keys()]
            self._base.executemany(f"DELETE FROM {table} WHERE sha = ?", gone)  # noqa: S608
        new = [sha for sha in now if sha not in known]
        self._base.executemany("INSERT INTO commits VALUES (?, ?, ?)",
                               ((sha, *now[sha]) for sha in new))  # fmt: skip
        changed = list(git.changes(self._root, new, ("dvc.lock", "registry/pipelines", "releases")))
        wanted = [
            one for one in changed if one.path.endswith("/dvc.lock") or one.path == "dvc.lock"
        ]
        self._base.executemany("INSERT OR IGNORE INTO changes VALUES (?, ?, ?)", wanted)
        self._read_locks({one.blob: one.path for one in wanted})
        self._read_releases()

    def _read_locks(self, paths: Mapping[str, str]) -> None:
        known = {blob for (blob,) in self._ask("SELECT blob FROM blobs")}
        fresh = [blob for blob in paths if blob not in known]
        texts = dict(self._ask("SELECT node || char(0) || text, id FROM records"))
        for start in range(0, len(fresh), _AT_ONCE):
            some = fresh[start : start + _AT_ONCE]
            for blob, raw in zip(some, git.objects(self._root, some), strict=True):
                entries = lock_entries(raw or b"", paths[blob], texts)
                numbers = [self._number(entry, texts) for entry in entries]
                self._base.executemany("INSERT OR IGNORE INTO locks VALUES (?, ?)",
                                       ((blob, number) for number in numbers))  # fmt: skip
            self._base.executemany("INSERT INTO blobs VALUES (?)", ((blob,) for blob in some))

    def _number(self, entry: LockEntry, texts: dict[str, int]) -> int:
        key = f"{entry.node}\0{entry.text}"
        if key not in texts:
            values = (
                entry.node,
                entry.text,
                entry.manifest,
                entry.content,
                entry.method,
                entry.code,
            )
            cursor = self._base.execute(
                "INSERT INTO records (node, text, manifest, content, method, code)"
                " VALUES (?, ?, ?, ?, ?, ?)", values)  # fmt: skip
            texts[key] = int(cursor.lastrowid or 0)
            self._base.executemany("INSERT INTO uses VALUES (?, ?, ?)",
                                   ((texts[key], *use) for use in entry.uses))  # fmt: skip
        return texts[key]

    def _read_releases(self) -> None:
        """Every tag that is a release today, with the manifests in its folder."""
        found = dict(git.tags(self._root))
        known = dict(self._ask("SELECT tag, sha FROM releases"))
        for tag in [tag for tag in known if known[tag] != found.get(tag)]:
            for table in ("releases", "bundles"):
                self._base.execute(f"DELETE FROM {table} WHERE tag = ?", (tag,))  # noqa: S608
        for tag in [tag for tag in found if known.get(tag) != found[tag]]:
            self._read_release(tag, found[tag])

    def _read_release(self, tag: str, commit: str) -> None:
        name, _, version = tag.rpartition("@v")
        folder = f"releases/{name}/{version}"
        listed = git.listed(self._root, commit, f"{folder}/lineage/")
        raw = git.content(self._root, commit, f"{folder}/release.json") if listed else None
        if raw is None:
            return  # a tag of another kind
        statement = _json(raw)
        node = str(statement.get("node", ""))
        self._base.execute("INSERT INTO releases VALUES (?, ?, ?)", (tag, commit, node))
        known = {blob for (blob,) in self._ask("SELECT blob FROM kept")}
        fresh = [blob for blob in listed.values() if blob not in known]
        for blob, manifest in zip(fresh, git.objects(self._root, fresh), strict=True):
            if (read := _json(manifest or b"")).get("node"):
                self._base.execute("INSERT OR IGNORE INTO kept VALUES (?, ?, ?)",
                                   (blob, read["node"], json.dumps(read)))  # fmt: skip
        self._base.executemany("INSERT OR IGNORE INTO bundles VALUES (?, ?)",
                               ((tag, blob) for blob in listed.values()))  # fmt: skip


def _json(raw: bytes) -> dict[str, Any]:
    with contextlib.suppress(ValueError):
        found = json.loads(raw)
        return found if isinstance(found, dict) else {}
    return {}


@contextlib.contextmanager
def open_history(root: Path) -> Iterator[History]:
    """The index of a repository, brought up to date and closed afterwards."""
    history = History(root)
    try:
        yield history
    finally:
        history.close()
