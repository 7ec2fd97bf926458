"""One base error for the whole project, and the exit codes that the command line promises."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

_SHOWN = 160
"""Characters of a long line that a snippet shows, around its caret."""
_MACHINE = {
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM,
}  # fmt: skip
"""What a person can mend on the machine; any other failure of the system keeps its traceback."""


class ExitCode(IntEnum):
    """What the exit status of every command means."""

    OK = 0
    CHECKS_FAILED = 1
    """A contract, a method or a check failed; nothing that existed was changed."""
    USAGE = 2
    """A declaration, a profile or the command line is wrong."""
    INTEGRITY = 3
    """Bytes differ from what the record says."""
    REFUSED = 4
    """Consent, mandate or licence does not grant this use."""
    INTERRUPTED = 130


@dataclass(frozen=True)
class Place:
    """Where in a file something stands; lines and columns count from 1."""

    path: str
    line: int | None = None
    column: int | None = None
    text: str | None = None
    """The offending line, as it stands in the file."""

    def __str__(self) -> str:
        parts = [self.path, *(str(n) for n in (self.line, self.column) if n is not None)]
        return ":".join(parts)

    def snippet(self) -> str:
        """The offending line with a caret below it, or nothing where no line is known."""
        if not self.text or self.line is None:
            return ""
        gutter, column = f"  {self.line} | ", (self.column or 1) - 1
        start = max(0, column - _SHOWN // 2) if len(self.text) > _SHOWN else 0
        shown = self.text[start : start + _SHOWN]
        before = "".join("\t" if c == "\t" else " " for c in shown[: column - start])
        return f"{gutter}{shown}\n{' ' * len(gutter)}{before:<{column - start}}^"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in a file a person wrote."""

    place: Place
    what: str
    mend: str = ""

    def __str__(self) -> str:
        return self.told("mend")

    def told(self, mend: str) -> str:
        """The problem in lines of text; `mend` is the word for what to do."""
        lines = [f"{self.place}: {self.what}"]
        if snippet := self.place.snippet():
            lines.append(snippet)
        if self.mend:
            lines.append(f"  {mend}: {self.mend}")
        return "\n".join(lines)


class ChorusError(Exception):
    """A failure that a person can act on: what is wrong, where, why it matters, what to do."""

    exit_code = ExitCode.CHECKS_FAILED

    def __init__(self, what: str, *, where: str = "", why: str = "", mend: str = "") -> None:
        self.what, self.where, self.why, self.mend = what, where, why, mend
        head = f"{where}: {what}" if where else what
        super().__init__(
            "\n".join(
                [head, *([f"  why: {why}"] if why else []), *([f"  mend: {mend}"] if mend else [])]
            )
        )


class UsageError(ChorusError):
    """The request, a declaration or a profile is wrong."""

    exit_code = ExitCode.USAGE


class ProblemsError(UsageError):
    """Everything that is wrong in the files read, all at once."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(
            sorted(
                set(problems),
                key=lambda p: (p.place.path, p.place.line or 0, p.what, p.place.column or 0),
            )
        )
        count = len(self.problems)
        things = "1 thing to fix" if count == 1 else f"{count} things to fix"
        super().__init__("\n\n".join([*(str(p) for p in self.problems), things]))


class IntegrityError(ChorusError):
    """Bytes are missing or differ from what a manifest or a record says."""

    exit_code = ExitCode.INTEGRITY


class RefusedError(ChorusError):
    """The permission that this use rests on is missing, too narrow or has ended."""

    exit_code = ExitCode.REFUSED


class ContractError(ChorusError):
    """An artifact breaks an error-severity expectation of its contract."""

    results: tuple[Any, ...] = ()
    """The outcome of every expectation, in the contract's order."""


class MethodError(ChorusError):
    """A method failed while making an artifact."""


class AgainError(MethodError):
    """A method asks to be started again; what it needs for that lies in its work folder."""


class MovedError(ChorusError):
    """Inputs, code or consent changed while a node was being made."""


def refused_by_machine(error: OSError, where: str = "") -> ChorusError | None:
    """What to tell a person who can mend the machine; None where a failure is of another kind."""
    if error.errno not in _MACHINE:
        return None
    parts = (where, str(error.filename or ""))
    return ChorusError(
        f"the machine refused to write: {error.strerror}",
        where=": ".join(part for part in parts if part),
        why="what was whole before is untouched",
        mend="free some space or mend the permissions, then run the same command again",
    )


def relative(path: Path, root: Path) -> str:
    """`path` as people read it: relative to the project where it lies inside, with slashes."""
    try:
        return path.relative_to(root).as_posix()
    except ValueError:
        return str(path)
