"""What a method sees while it makes an artifact, and how it says how far it is."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

from registry.artifact import write_atomically
from registry.errors import UsageError
from registry.ran import Ran
from registry.typed import Frozen

Params = TypeVar("Params", bound=Frozen)


@dataclass(frozen=True)
class Input:
    """One artifact that a method reads."""

    name: str
    """The name of its declaration."""
    community: str | None
    """The community that it was made for, if any."""
    files: Path
    """The folder with its content."""

    @property
    def label(self) -> str:
        """Its node: `name` or `name@community`."""
        return f"{self.name}@{self.community}" if self.community else self.name


@dataclass(frozen=True)
class ProfileView:
    """What a method sees of a value profile: the tables and fields that it declared."""

    id: str
    name: str
    folder: Path
    tables: tuple[str, ...]
    fields: Mapping[str, Any]

    def table(self, name: str) -> Path:
        """The path of a table that the method declared that it reads."""
        if name not in self.tables:
            raise UsageError(f"the method did not declare that it reads {name}")
        return self.folder / name


@dataclass(frozen=True)
class Context:
    """One attempt to make one node, from the method's side."""

    node: str
    community: str | None
    params: Any
    """The method's typed parameters."""
    seed: int
    device: str
    """`cpu` or `cuda`."""
    threads: int
    out: Path
    """The folder to write the artifact's files into."""
    work: Path
    """A folder for checkpoints. It goes when the artifact is whole; an attempt that was killed
    finds what it left here again, as long as nothing that it is made from has changed."""
    root: Path
    """The project's root, for source paths."""
    roles: Mapping[str, tuple[Input, ...]]
    profiles: tuple[ProfileView, ...]
    events: IO[str] | None = None
    """Where progress and curves are written, a JSON object a line."""
    process: int = 0
    """Which of several processes this is. The first writes the artifact; what others write into
    `out` is thrown away, and `work` belongs to all of them."""
    processes: int = 1
    """How many processes share the work."""
    meeting: Path | None = None
    """A file through which they find each other, where there are several."""
    said: Path | None = None
    """Where it is kept what the method runs on."""

    def typed(self, params: type[Params]) -> Params:
        """The parameters as the method's own type."""
        if not isinstance(self.params, params):
            raise UsageError(f"parameters are no {params.__name__}", where=self.node)
        return self.params

    def inputs(self, role: str) -> tuple[Input, ...]:
        """All artifacts given for a role, in the declaration's order, communities by id."""
        return self.roles.get(role, ())

    def input(self, role: str) -> Input:
        """The one artifact given for a role."""
        found = self.inputs(role)
        if len(found) != 1:
            raise UsageError(f"{len(found)} artifacts for the role {role!r}", where=self.node)
        return found[0]

    def source(self, path: str) -> Path:
        """A source of the project by its relative path."""
        return self.root / path

    def ran(self, ran: Ran) -> None:
        """Says what the method runs on: in the log, on the terminal and in the run's record."""
        sys.stdout.write(f"runs on {ran}\n")
        sys.stdout.flush()
        if self.said is not None and self.process == 0:
            write_atomically(self.said, ran.model_dump_json().encode())

    def progress(self, done: int, total: int, **values: float) -> None:
        """Notes that `done` of `total` steps are over; `values` become curves of the run.

        `tokens` among them is no curve: how many the attempt has read and written so far, from
        which follows how many a second.
        """
        if self.events is not None:
            event = {"time": time.time(), "done": done, "total": total, **values}
            self.events.write(json.dumps(event) + "\n")
            self.events.flush()
