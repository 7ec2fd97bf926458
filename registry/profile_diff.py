"""What changed between two revisions of a profile, in words, and what that makes stale."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from registry.profile_folder import Profile

_SKIPPED = frozenset({"schema_version", "revision", "supersedes"})


@dataclass(frozen=True)
class Change:
    """One difference."""

    where: str
    """A field of the profile, or a table."""
    what: str
    """What happened: added, removed or changed, with both values where they are short."""

    def to_json(self) -> dict[str, str]:
        """The change as JSON."""
        return {"where": self.where, "what": self.what}


def differences(before: Profile, after: Profile) -> list[Change]:
    """Every change from one revision to the next."""
    found = list(_fields("", _plain(before), _plain(after)))
    old, new = before.tables(), after.tables()
    for name in sorted(old.keys() | new.keys()):
        rows = [read.rows if read else () for read in (old.get(name), new.get(name))]
        found += _rows(name, *({_key(row): row for row in part} for part in rows))
    return found


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
        parts = [f"no longer {', '.join(gone)}"] if gone else []
        parts += [f"now also {', '.join(new)}"] if new else []
        yield Change(where, "; ".join(parts) or "its order changed")
        return
    yield Change(where, f"from {_short(before)} to {_short(after)}")


def _key(row: Any) -> str:
    return str(row.id) if hasattr(row, "id") else f"{row.item}: {row.option}"


def _rows(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key), after.get(key)
        if old is None:
            yield Change(name, f"{key} is new")
        elif new is None:
            yield Change(name, f"{key} is gone")
        elif old != new:
            was, now = old.model_dump(mode="json"), new.model_dump(mode="json")
            parts = [
                f"{c} from {_short(was[c])} to {_short(now[c])}" for c in was if was[c] != now[c]
            ]
            yield Change(name, f"{key}: {', '.join(parts)}")


def _short(value: Any, width: int = 60) -> str:
    text = "nothing" if value is None else repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= width else text[: width - 1] + "\u2026"
