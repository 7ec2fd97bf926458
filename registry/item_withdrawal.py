"""One member takes one row back: it leaves the profile, and what was made from it goes.

The profile stays taken up. The event names the digest of the profile before and after, so that
nobody needs to review again what is left, and `chorus profile status --verify` can follow. It names
the row by its id and holds nothing of its words.

The event comes first: from then on the profile on disk is another than the one that stands, so
nothing new is made from it until the row is gone. A withdrawal that was cut off is finished by the
same command.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from registry import git
from registry.artifact import MANIFEST, FileEntry, content_digest, one_at_a_time, write_atomically
from registry.consent import today
from registry.errors import ProblemsError, RefusedError, UsageError, relative
from registry.event_details import LeftItem
from registry.hashing import sha256_file
from registry.impact import Touched, releases_on
from registry.notices import add_notice
from registry.objects import Objects
from registry.profile_content import ACCEPTED, PROPOSALS, track_here
from registry.profile_desk import add_event
from registry.profile_folder import CONTENT, TABLES, Profile, read_profile, shape_of
from registry.profile_life import STEWARD, Happened
from registry.profile_tables import VALUES
from registry.release import Name, read_statement
from registry.rows_touched import Rows, item_behind, readers, reads, rows_of
from registry.signing import Signer
from registry.store import forget
from registry.strict_yaml import nearest
from registry.table_rows import without, without_reference
from registry.tombstones import bury
from registry.unfinished import left_with
from registry.unfinished import remove as remove_unfinished
from registry.withdrawal import CANNOT_REACH, Done, Fate, fate_of, remove, require_two

_PARTED = "evaluation/"
"""Opinions on an item stand in two tables, which leave together; the first names both."""


@dataclass(frozen=True)
class ItemPlan:
    """What taking one row back will do, before it does it."""

    profile: Profile
    table: str
    row: str
    tables: Mapping[str, bytes]
    """Each table that changes, as it will be."""
    after: str
    """Digest of the profile without the row."""
    struck: tuple[str, ...]
    """Tables in which other rows lose their reference to it."""
    retired_only: bool
    """Whether the content is licensed, so that nothing is erased."""
    fates: tuple[tuple[Touched, Fate], ...]
    rows: tuple[Rows, ...]
    releases: tuple[Name, ...]
    proposals: Mapping[str, bytes]
    """Tables of a proposal that hold it too, as they will be."""
    started: Happened | None
    """The event of an attempt that was cut off, or that was finished before."""
    unfinished: tuple[str, ...]
    """Folders that may hold it in something that was begun, from the project's root."""
    warnings: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The row as people name it."""
        return f"{self.table}:{self.row}"

    @property
    def removed(self) -> list[Touched]:
        """The artifacts that go."""
        return [touched for touched, fate in self.fates if fate == "removed"]

    @property
    def remake(self) -> list[str]:
        """The nodes to make again."""
        return [touched.node for touched, _ in self.fates]

    @property
    def retires(self) -> bool:
        """Whether its releases are retired, rather than marked with a notice."""
        agreed = self.profile.profile.withdrawal
        return not self.retired_only and (agreed is None or agreed.releases != "leave-with-notice")


@dataclass
class ItemDone(Done):
    """What taking one row back did."""

    proposals: list[str] = field(default_factory=list)
    """Tables of a proposal that lost the row too."""


def plan_item(root: Path, folder: Path, named: str) -> ItemPlan:
    """What taking a row back touches, and what becomes of each; changes nothing."""
    profile, problems = read_profile(folder, root)
    if profile is None or problems:
        raise ProblemsError(problems)
    if folder.parent != root / ACCEPTED:
        raise UsageError(
            "was never taken up",
            where=relative(folder, root),
            mend="take the row out of its table; nothing rests on it",
        )
    table, row = _find(root, profile, named)
    tables = _without(profile, table, row)
    started = next(
        (h for h in profile.life.events if h.event.item and _same(h.event.item, table, row)), None
    )
    after = _digest(profile, tables)
    _require_sound(profile, after, started, named)
    digests = {name: _sha256(profile, tables, name) for name in _twins(table)}
    touched = readers(root, profile.id, digests)
    retired_only = profile.profile.permission == "licence"
    agreed = profile.profile.withdrawal.releases if profile.profile.withdrawal else "retire"
    return ItemPlan(
        profile=profile,
        table=table,
        row=row,
        tables=tables,
        after=after,
        struck=tuple(name for name in tables if name not in _twins(table)),
        retired_only=retired_only,
        fates=tuple((one, fate_of(one, agreed, retired_only=retired_only)) for one in touched),
        rows=tuple(rows_of(root, touched, profile.id, row)),
        releases=tuple(
            n for n in releases_on(root, profile.id) if _rests(root, n, profile, digests)
        ),
        proposals=_proposed(root, profile, table, row),
        started=started,
        unfinished=() if retired_only else _unfinished(root, profile),
        warnings=tuple(_warnings(profile, table, row, tables)),
    )


def _unfinished(root: Path, profile: Profile) -> tuple[str, ...]:
    return tuple(relative(folder, root) for folder in left_with(root, profile.id))


def _twins(table: str) -> tuple[str, ...]:
    """The tables that hold the row under one name."""
    return (table, f"{_PARTED}{table}") if table == "opinions.csv" else (table,)


def _same(item: LeftItem, table: str, row: str) -> bool:
    return (item.table, item.row) == (table, row)


def _find(root: Path, profile: Profile, named: str) -> tuple[str, str]:
    """The table and id that a person means: an id, `table:id`, or the `row_id` of a dataset."""
    head, _, rest = named.partition(":")
    chosen, row = (head, rest) if head in TABLES and rest else ("", named)
    ids = {
        (name.removeprefix(_PARTED), shape_of(name).identity(one))
        for name, read in profile.tables().items()
        for one in read.rows
    }
    ids |= set(profile.life.left())
    found = sorted(t for t, one in ids if one == row and chosen in ("", t))
    if not found and not chosen:
        item = item_behind(root, readers(root, profile.id, dict.fromkeys(TABLES, "")), row)
        if item and ("opinions.csv", item) in ids:
            return "opinions.csv", item
    if len(found) > 1:
        raise UsageError(
            f"{row!r} stands in {' and '.join(found)}",
            where=profile.id,
            mend=f"say which: --item {found[0]}:{row}",
        )
    if not found:
        known = [one for _, one in sorted(ids)]
        raise UsageError(
            f"no row is called {named!r}",
            where=profile.id,
            mend=nearest(row, known) or "name a row by its id; of opinions, the item",
        )
    return found[0], row


def _without(profile: Profile, table: str, row: str) -> dict[str, bytes]:
    """Each table that changes, without the row and without references to it."""
    found: dict[str, bytes] = {}
    for name in TABLES:
        path = profile.table(name)
        if not path.is_file():
            continue
        raw, shape = path.read_bytes(), shape_of(name)
        kept = without(raw, shape, row) if name in _twins(table) else raw
        if table == VALUES.file:
            kept = without_reference(kept, shape, row)
        if kept != raw:
            found[name] = kept
    return found


def _digest(profile: Profile, tables: Mapping[str, bytes]) -> str:
    names = [name for name in TABLES if profile.table(name).is_file()]
    digests = {"profile.yaml": sha256_file(profile.folder / "profile.yaml")}
    digests |= {name: _sha256(profile, tables, name) for name in names}
    return content_digest(FileEntry(path=p, size=0, sha256=d) for p, d in digests.items())


def _sha256(profile: Profile, tables: Mapping[str, bytes], name: str) -> str:
    """Digest of a table as it will be; nothing where the profile has none."""
    if name in tables:
        return hashlib.sha256(tables[name]).hexdigest()
    path = profile.table(name)
    return sha256_file(path) if path.is_file() else ""


def _require_sound(profile: Profile, after: str, started: Happened | None, named: str) -> None:
    """Raises where the profile on disk is another than the one that stands."""
    wanted = profile.life.content_now()
    if wanted is None or wanted in (profile.digest, after if started else profile.digest):
        return
    last = next((h.event.item for h in reversed(profile.life.events) if h.event.item), None)
    mend = "restore the tables (`dvc checkout`), then run the same command again"
    if last is not None and not started:
        mend = f"finish what was cut off first: --item {last.table}:{last.row}; or {mend}"
    raise RefusedError(
        f"what lies here is not what was taken up, so {named!r} cannot be taken out of it",
        where=profile.id,
        why="the event would vouch for other changes that nobody reviewed",
        mend=mend,
    )


def _rests(root: Path, name: Name, profile: Profile, after: Mapping[str, str]) -> bool:
    return any(reads(json.loads(one), profile.id, after) for one in _bundle(root, name))


def _bundle(root: Path, name: Name) -> list[bytes]:
    """The manifests of everything that a release was made from, as its tag holds them."""
    statement, commit = read_statement(root, name)
    paths = [f"{name.folder}/lineage/{node}.json" for node in statement.manifests]
    raw = [git.content(root, commit, path) for path in paths]
    return [one for one in raw if one]


def _proposed(root: Path, profile: Profile, table: str, row: str) -> dict[str, bytes]:
    """The tables of a proposal for the same profile that hold the row, without it."""
    folder = root / PROPOSALS / profile.id
    waiting = read_profile(folder, root)[0] if folder.is_dir() else None
    if waiting is None:
        return {}
    found = _without(waiting, table, row)
    return {relative(waiting.table(name), root): raw for name, raw in found.items()}


def _warnings(profile: Profile, table: str, row: str, tables: Mapping[str, bytes]) -> list[str]:
    """What a person should know before going on."""
    found = []
    read = profile.tables()
    derived = [
        f"{name}:{one.id}"
        for name, rows in read.items()
        if table == "opinions.csv"
        for one in rows.rows
        if getattr(one, "item", None) == row and hasattr(one, "id")
    ]
    if derived:
        found.append(f"derived from this item, and staying: {', '.join(derived)}")
    left = len(read[table].rows) - 1 if table in read else 0
    if table in tables and left == 0:
        found.append(f"{table} is empty then")
    return found


def withdraw_item(
    root: Path, given: ItemPlan, by: Sequence[str], reason: str, signer: Signer | None = None
) -> ItemDone:
    """Takes the row out; the same call again finishes what was cut off."""
    _require_right(given.profile, by)
    with one_at_a_time(root, "leaving"):
        given = plan_item(root, given.profile.folder, given.name)
        done = ItemDone(receipt=None, remake=given.remake)
        if given.started is None:
            item = LeftItem(table=given.table, row=given.row, profile_after=given.after)
            done.receipt = add_event(
                root, given.profile.folder, "item-withdrawn", by, reason, signer, item=item
            )
        if given.retired_only:
            _rewrite(given)
        else:
            _erase(root, given, done)
        for path, raw in given.proposals.items():
            write_atomically(root / path, raw)
            done.proposals.append(path)
    said = given.started.event.reason if given.started else reason
    day = given.started.event.on if given.started else today().isoformat()
    name = given.profile.profile.name
    notice = (
        f"A member of {name} took back something that this model learned from, on {day}: {said}"
    )
    for release in given.releases:
        add_notice(release.card(root), notice, retired=given.retires)
        done.releases.append(release.tag)
    return done


def _require_right(profile: Profile, by: Sequence[str]) -> None:
    """Raises RefusedError unless the steward, or two maintainers, take the row out."""
    if f"{STEWARD}{profile.id}" not in by or not profile.profile.described_by_itself:
        require_two(profile, by)


def _rewrite(given: ItemPlan) -> None:
    for name, raw in given.tables.items():
        write_atomically(given.profile.table(name), raw)


def _erase(root: Path, given: ItemPlan, done: ItemDone) -> None:
    """Tombstones, then the tables, the stored objects, and what was made from them.

    What is to go is noted before anything is changed, since the records that name it change too.
    """
    profile, objects = given.profile, Objects(root)
    content = f"{ACCEPTED}/{profile.id}/{CONTENT}"
    nodes = [touched.node for touched in given.removed]
    old = {d for table in _twins(given.table) for d in objects.versions(content, table)}
    noted = root / ".chorus" / "leaving" / f"{profile.id}.json"
    doomed = old.union(*(objects.recorded(node) for node in nodes))
    if noted.is_file():
        doomed |= set(json.loads(noted.read_bytes()))
    write_atomically(noted, json.dumps(sorted(doomed)).encode())
    _bury(root, given, objects, old)
    _rewrite(given)
    track_here(root, profile)
    used = objects.in_use(nodes)
    done.kept_objects = {digest: used[digest] for digest in doomed & used.keys()}
    gone = doomed - used.keys()
    done.remotes = objects.drop_from_remotes(gone)
    done.cache = objects.drop(gone)
    done.removed += [remove(root, touched) for touched in given.removed]
    unfinished = _unfinished(root, profile)
    remove_unfinished([root / path for path in unfinished])
    done.removed += unfinished
    forget(root, nodes)
    noted.unlink()


def _bury(root: Path, given: ItemPlan, objects: Objects, old: set[str]) -> None:
    """Tombstones of the artifacts, here and in releases, and of what the table was."""
    profile, nodes = given.profile, {touched.node for touched in given.removed}
    manifests = [(root / touched.path / MANIFEST).read_bytes() for touched in given.removed]
    digests = {_sha256(profile, given.tables, table) for table in _twins(given.table)}
    past = {
        sha256_file(profile.table(t)) for t in _twins(given.table) if profile.table(t).is_file()
    }
    past |= {sha256_file(path) for d in old if (path := objects.path(d)).is_file()}
    for release in given.releases:
        for raw in _bundle(root, release):
            one = json.loads(raw)
            past |= {
                digest
                for entry in one["profiles"]
                if entry["id"] == profile.id
                for table, digest in entry["tables"].items()
                if table in _twins(given.table)
            }
            if one["node"] in nodes:
                manifests.append(raw)
    bury(root, profile.id, manifests, {}, past - digests)


def as_json(given: ItemPlan) -> dict[str, Any]:
    """A plan as JSON."""
    return {
        "profile": given.profile.id,
        "item": {"table": given.table, "row": given.row},
        "retired_only": given.retired_only,
        "tables": [relative(given.profile.table(n), given.profile.folder.parents[1])
                   for n in given.tables],
        "proposals": list(given.proposals),
        "rows": [rows.to_json() for rows in given.rows],
        "artifacts": [touched.to_json() | {"fate": fate} for touched, fate in given.fates],
        "releases": [name.tag for name in given.releases],
        "remake": given.remake,
        "unfinished": list(given.unfinished),
        "warnings": list(given.warnings),
        "cannot_reach": list(CANNOT_REACH),
    }  # fmt: skip
