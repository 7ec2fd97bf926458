"""Notices on top of a release's card: what happened since, and whether it is retired by that."""

from __future__ import annotations

import re
from pathlib import Path

from registry.artifact import write_atomically
from registry.card import plain

_NOTICE = ("<!-- chorus:notice -->", "<!-- chorus:end of notice -->")
_RETIRED = "**Retired.**"
_SAID = re.compile(
    rf"{re.escape(_NOTICE[0])}\n((?:> \*\*(?:Retired|Notice)\.\*\*[^\n]*\n>?\n?)+)"
    rf"{re.escape(_NOTICE[1])}\n\n"
)


def add_notice(card: Path, notice: str, *, retired: bool = True) -> None:
    """Puts a notice on top of a release's card; nothing else of the release changes.

    Earlier notices stay. One that does not retire only says what has changed since.
    """
    if not card.is_file():
        return
    text = card.read_text(encoding="utf-8")
    found = _SAID.search(text)
    line = f"> {_RETIRED if retired else '**Notice.**'} {plain(notice)}"
    earlier = [one for one in found[1].splitlines() if len(one) > 1] if found else []
    lines = dict.fromkeys([*earlier, line])
    head, _, body = without_notice(text).partition("\n---\n\n")
    said = f"{_NOTICE[0]}\n" + "\n>\n".join(lines) + f"\n{_NOTICE[1]}\n\n"
    write_atomically(card, f"{head}\n---\n\n{said}{body}".encode())


def without_notice(text: str) -> str:
    """A card as it was released: notices that were added later are left out."""
    return _SAID.sub("", text)


def has_notice(card: Path) -> bool:
    """Whether something was added on top of a release's card."""
    return card.is_file() and _NOTICE[0] in card.read_text(encoding="utf-8")


def is_retired(card: Path) -> bool:
    """Whether a release carries a notice that retires it."""
    found = _SAID.search(card.read_text(encoding="utf-8")) if card.is_file() else None
    return found is not None and _RETIRED in found[1]


def said_since(card: Path) -> list[str]:
    """What was added on top of a release's card, a line each."""
    found = _SAID.search(card.read_text(encoding="utf-8")) if card.is_file() else None
    lines = found[1].splitlines() if found else []
    return [line.removeprefix("> ").replace("**", "") for line in lines if len(line) > 1]
