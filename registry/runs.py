"""Runs: one attempt to make a node. They lie in `.chorus/runs/`, outside Git and DVC."""

from __future__ import annotations

import datetime as dt
import json
import os
import secrets
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from registry.artifact import canonical_json, write_atomically
from registry.ran import Ran
from registry.typed import Frozen

Outcome = Literal[
    "running", "made", "rechecked", "recorded", "failed", "refused", "interrupted", "died"
]


@dataclass(frozen=True)
class Door:
    """How an attempt was asked for."""

    name: Literal["chorus make", "dvc repro", "dagster"] = "chorus make"
    dagster_run_id: str | None = None
    """Dagster's own id, where Dagster is the door."""


class Run(Frozen):
    """One attempt: when, where, through which door, and how it ended."""

    schema_version: int = 1
    """The version of this schema."""
    id: str
    """Sorts by time."""
    node: str
    """The node that was made."""
    door: str
    """How it was asked for: `chorus make`, `dvc repro` or `dagster`."""
    host: str
    """The machine."""
    pid: int
    """The process that watched over it."""
    started: str
    """When it began (UTC)."""
    ended: str | None = None
    """When it ended (UTC)."""
    seconds: float | None = None
    """How long it took."""
    method_seconds: float | None = None
    """How much of that the method's own process took."""
    outcome: Outcome = "running"
    """How it ended."""
    message: str = ""
    """What went wrong, if anything."""
    dagster_run_id: str | None = None
    """Dagster's own id, where Dagster was the door."""
    content: str | None = None
    """Content digest of what was made."""
    ran: Ran | None = None
    """What the method ran on, where it said so."""


@dataclass(frozen=True)
class RunFiles:
    """Where a run keeps its record, its log and its curves."""

    folder: Path
    id: str

    @property
    def record(self) -> Path:
        """The run itself."""
        return self.folder / f"{self.id}.json"

    @property
    def log(self) -> Path:
        """What the method printed."""
        return self.folder / f"{self.id}.log"

    def log_of(self, process: int) -> Path:
        """What one of several processes printed; the first one's is the run's."""
        return self.folder / f"{self.id}.{process}.log" if process else self.log

    @property
    def ran(self) -> Path:
        """What the method runs on, once it has said so."""
        return self.folder / f"{self.id}.ran"

    @property
    def events(self) -> Path:
        """Progress and curves, a JSON object a line."""
        return self.folder / f"{self.id}.events.jsonl"


def start_run(state: Path, node: str, door: Door) -> tuple[Run, RunFiles]:
    """Opens a run and writes its first record."""
    now = dt.datetime.now(dt.UTC)
    run_id = f"{now:%Y%m%dT%H%M%S.%f}-{secrets.token_hex(3)}"
    files = RunFiles(state / "runs" / node, run_id)
    run = Run(
        id=run_id,
        node=node,
        door=door.name,
        host=socket.gethostname(),
        pid=os.getpid(),
        started=now.isoformat(timespec="milliseconds"),
        dagster_run_id=door.dagster_run_id,
    )
    _write(run, files)
    return run, files


def end_run(run: Run, files: RunFiles, outcome: Outcome, **values: Any) -> Run:
    """Closes a run with its outcome."""
    now = dt.datetime.now(dt.UTC)
    seconds = (now - dt.datetime.fromisoformat(run.started)).total_seconds()
    ended = run.model_copy(
        update={
            "outcome": outcome,
            "ended": now.isoformat(timespec="milliseconds"),
            "seconds": round(seconds, 3),
            "ran": read_ran(files),
            **values,
        }
    )
    _write(ended, files)
    return ended


def _write(run: Run, files: RunFiles) -> None:
    content = canonical_json(run.model_dump(mode="json"), indent=2) + b"\n"
    write_atomically(files.record, content)


def runs_of(state: Path, node: str) -> list[Run]:
    """The attempts to make a node, oldest first; one whose process is gone has died."""
    found = []
    for path in sorted((state / "runs" / node).glob("*.json")):
        try:
            run = Run.model_validate_json(path.read_bytes())
        except (ValidationError, OSError):
            continue
        if run.outcome == "running" and run.host == socket.gethostname() and not _alive(run.pid):
            run = run.model_copy(update={"outcome": "died"})
        found.append(run)
    return found


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def read_ran(files: RunFiles) -> Ran | None:
    """What the method of a run said that it runs on; None where it said nothing."""
    try:
        return Ran.model_validate_json(files.ran.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def read_events(path: Path) -> Iterator[Mapping[str, Any]]:
    """The progress and curves of a run, as far as they are written."""
    if not path.exists():
        return
    with path.open() as stream:
        for line in stream:
            if line.endswith("\n"):
                yield json.loads(line)
