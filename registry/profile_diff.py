"""What changed between two revisions of a profile, in words, and what that makes stale."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from registry.message import Message
from registry.profile_folder import Profile

_SKIPPED = frozenset({"schema_version", "revision", "supersedes"})


@dataclass(frozen=True)
class Change:
    """One difference."""

    where: str
    """A field of the profile, or a table."""
    what: str
    """What happened: added, removed or changed, with both values where they are short."""
    row: str = ""
    """The row of a table."""

    def to_json(self) -> dict[str, str]:
        """The change as JSON."""
        return {"where": self.where, "what": self.what}


def differences(before: Profile, after: Profile) -> list[Change]:
    """Every change from one revision to the next."""
    found = field_differences(before, after)
    old, new = before.tables(), after.tables()
    for name in sorted(old.keys() | new.keys()):
        rows = [read.rows if read else () for read in (old.get(name), new.get(name))]
        found += _rows(name, *({_key(row): row for row in part} for part in rows))
    return found


def field_differences(before: Profile, after: Profile) -> list[Change]:
    """The changes in `profile.yaml`, which speak of no table."""
    return list(_fields("", _plain(before), _plain(after)))


def _plain(profile: Profile) -> dict[str, Any]:
    dumped = profile.profile.model_dump(mode="json")
    return {name: value for name, value in dumped.items() if name not in _SKIPPED}


def _fields(where: str, before: Any, after: Any) -> Iterator[Change]:
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for name in sorted(before.keys() | after.keys()):
            inner = f"{where}.{name}" if where else name
            yield from _fields(inner, before.get(name), after.get(name))
        return
    if isinstance(before, list) and isinstance(after, list):
        gone = [_short(v) for v in before if v not in after]
        new = [_short(v) for v in after if v not in before]
        said = Message("its order changed")
        if gone and new:
            said = Message("no longer {gone}; now also {new}",
                           gone=", ".join(gone), new=", ".join(new))  # fmt: skip
        elif gone or new:
            said = (
                Message("no longer {gone}", gone=", ".join(gone))
                if gone
                else Message("now also {new}", new=", ".join(new))
            )
        yield Change(where, said)
        return
    yield Change(where, _from_to(before, after))


def _from_to(before: Any, after: Any) -> Message:
    return Message("from {old} to {new}", old=_short(before), new=_short(after))


def _key(row: Any) -> str:
    return str(row.id) if hasattr(row, "id") else f"{row.item}: {row.option}"


def _rows(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key), after.get(key)
        if old is None:
            yield Change(name, Message("{row} is new", row=key), key)
        elif new is None:
            yield Change(name, Message("{row} is gone", row=key), key)
        elif old != new:
            was, now = old.model_dump(mode="json"), new.model_dump(mode="json")
            parts: Message | None = None
            for column in (column for column in was if was[column] != now[column]):
                one = Message("{column} {change}", column=column,
                              change=_from_to(was[column], now[column]))  # fmt: skip
                parts = Message("{first}, {then}", first=parts, then=one) if parts else one
            yield Change(name, Message("{row}: {what}", row=key, what=parts or ""), key)


def _short(value: Any, width: int = 60) -> str:
    if value is None:
        return Message("nothing")
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= width else text[: width - 1] + "\u2026"
