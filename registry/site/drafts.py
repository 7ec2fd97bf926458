"""Drafts: what a visitor has typed and uploaded so far, on disk until it is handed in or too old.

A draft's folder is named by a keyed hash of the visitor's cookie and the draft's token, so that no
word of the visitor's is ever part of a path, and that a token alone opens nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import secrets
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import Field

from registry.artifact import write_atomically
from registry.errors import UsageError
from registry.message import Message
from registry.profile_tables import MAX_BYTES
from registry.site.fields import FILES
from registry.typed import Frozen
from registry.unfinished import STATE

MAX_AGE = 7 * 24 * 3600
"""Seconds for which a draft is kept after its last change."""
MAX_DRAFTS = 200
MAX_TOTAL = 2 * 1024**3
"""Bytes that all drafts together may hold."""


class Finding(Frozen):
    """One thing to fix, and the field beside which it is shown."""

    field: str
    """The field, row or table; nothing where it concerns the whole."""
    what: Message
    """What is wrong, in the checker's words."""
    mend: Message = Message("")
    """What to do, in the checker's words."""
    line: int | None = None
    """The line of an uploaded file."""
    lead: str = ""
    """The key of a sentence in the visitor's language that says the same, where there is one."""


class Base(Frozen):
    """The accepted revision that a draft changes."""

    id: str
    """The profile's id."""
    revision: int
    """The revision that stands."""
    sha256: str
    """Digest of its `profile.yaml`."""
    opened: bool
    """Whether its content was opened with the steward's key, and may be shown."""


class State(Frozen):
    """What a draft holds besides its files."""

    base: Base | None = None
    """What it is a change of; None for a first profile."""

    fields: dict[str, tuple[str, ...]] = Field(default={})
    """What was typed, by field."""
    rows: dict[str, int] = Field(default={})
    """How many rows of each table the page shows."""
    carried: dict[str, Any] = Field(default={})
    """Keys of an uploaded `profile.yaml` that the form does not ask for; kept as they are."""
    shifted: tuple[str, ...] = ()
    """Tables whose lines lie one below those of the spreadsheet that they came from."""
    refused: tuple[Finding, ...] = ()
    """What was wrong with the last uploads, which were not taken."""
    checked: tuple[str, ...] = ()
    """What the visitor asked to have checked: tables by name, or `all`."""
    receipt: tuple[tuple[str, str], ...] = ()
    """The receipt, once it is handed in; nothing else is left then."""

    def one(self, name: str) -> str:
        """The text of a field that holds one."""
        return next(iter(self.fields.get(name, ())), "")


@dataclass(frozen=True)
class Draft:
    """A draft's folder and what it holds."""

    token: str
    folder: Path
    state: State = field(default_factory=State)

    def table(self, name: str) -> Path:
        """The path of an uploaded table, by the form's name for it."""
        if name not in FILES:
            raise KeyError(name)
        return self.folder / f"{name}.table"

    @property
    def files(self) -> tuple[str, ...]:
        """The tables that are kept as files."""
        return tuple(name for name in FILES if self.table(name).is_file())


@dataclass(frozen=True)
class Drafts:
    """All drafts of one project."""

    folder: Path
    secret: bytes = field(repr=False)

    def _home(self, visitor: str, token: str) -> Path:
        name = hmac.new(self.secret, f"draft\0{visitor}\0{token}".encode(), hashlib.sha256)
        return self.folder / name.hexdigest()

    def new(self, visitor: str) -> Draft:
        """A draft that is not on disk yet."""
        token = secrets.token_hex(16)
        return Draft(token, self._home(visitor, token))

    def find(self, visitor: str, token: str) -> Draft | None:
        """The visitor's draft, or None where there is none or it is another's."""
        path = self._home(visitor, token) / STATE
        try:
            if time.time() - path.stat().st_mtime > MAX_AGE:
                return None
            return Draft(token, path.parent, State.model_validate_json(path.read_bytes()))
        except FileNotFoundError:
            return None

    def save(self, draft: Draft) -> None:
        """Writes a draft's state; raises UsageError where there are too many drafts already."""
        if not draft.folder.exists():
            self.forget_old()
            self._require_room()
            draft.folder.mkdir(parents=True, mode=0o700)
        write_atomically(draft.folder / STATE, draft.state.model_dump_json().encode())

    def keep_receipt(self, draft: Draft, receipt: tuple[tuple[str, str], ...]) -> None:
        """Empties a draft that was handed in; only its receipt stays."""
        write_atomically(draft.folder / STATE, State(receipt=receipt).model_dump_json().encode())
        for name in FILES:
            draft.table(name).unlink(missing_ok=True)

    def remove(self, draft: Draft) -> None:
        """Removes a draft and everything in it."""
        shutil.rmtree(draft.folder, ignore_errors=True)

    def forget_old(self) -> None:
        """Removes every draft that is past its age."""
        for folder in self.folder.glob("*/"):
            state = folder / STATE
            with contextlib.suppress(FileNotFoundError):
                seen = state if state.exists() else folder
                if time.time() - seen.stat().st_mtime > MAX_AGE:
                    shutil.rmtree(folder, ignore_errors=True)

    def _require_room(self) -> None:
        folders = list(self.folder.glob("*/"))
        held = sum(path.stat().st_size for folder in folders for path in folder.iterdir())
        if len(folders) >= MAX_DRAFTS or held + MAX_BYTES > MAX_TOTAL:
            raise UsageError(
                Message("there are too many unfinished forms at the moment"),
                why="each takes room on this machine",
                mend=Message("try again later; the oldest are removed after seven days"),
            )
