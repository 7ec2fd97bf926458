"""Runs: one attempt to make a node. They lie in `.chorus/runs/`, outside Git and DVC."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import secrets
import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from pydantic import ValidationError

from registry.artifact import canonical_json, write_atomically
from registry.ran import Ran
from registry.typed import Frozen

Outcome = Literal[
    "running", "made", "rechecked", "recorded", "failed", "refused", "interrupted", "died"
]

MOST_POINTS = 2000
"""Points of a curve that outlive the attempt."""
_NO_CURVES = frozenset({"time", "done", "total", "tokens"})
"""What an event may carry beside points of curves."""


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
    _shorten(files.events)
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
    with contextlib.closing(EventTail(path)) as tail:
        yield from tail.read()


class EventTail:
    """Reads on in a run's events while they are written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stream: IO[bytes] | None = None
        self._begun = b""

    def read(self) -> Iterator[Mapping[str, Any]]:
        """The events written since the last call; one that is half written waits for the next.

        A line that a dying machine left as something else is passed over.
        """
        if self._stream is None:
            if not self._path.is_file():
                return
            self._stream = self._path.open("rb")
        for line in self._stream:
            self._begun += line
            if not self._begun.endswith(b"\n"):
                return
            whole, self._begun = self._begun, b""
            if (event := _event_of(whole)) is not None:
                yield event

    def close(self) -> None:
        """Ends the reading."""
        if self._stream is not None:
            self._stream.close()


def _event_of(line: bytes) -> Mapping[str, Any] | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    if not isinstance(event, dict) or not {"time", "done", "total"} <= event.keys():
        return None
    return event if all(_is_number(value) for value in event.values()) else None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def figures_of(event: Mapping[str, Any]) -> dict[str, float]:
    """The values of an event that are points of curves."""
    return {name: float(value) for name, value in event.items() if name not in _NO_CURVES}


def _shorten(path: Path) -> None:
    """Keeps at most so many points of each curve, evenly chosen, the first and last among them."""
    events = list(read_events(path))
    if len(events) <= MOST_POINTS:
        return
    places: dict[str, list[int]] = {"": list(range(len(events)))}
    for place, event in enumerate(events):
        for name in figures_of(event):
            places.setdefault(name, []).append(place)
    kept = {place for found in places.values() for place in _evenly(found)}
    lines = [json.dumps(events[place]) + "\n" for place in sorted(kept)]
    write_atomically(path, "".join(lines).encode())


def _evenly(places: list[int]) -> Iterable[int]:
    if len(places) <= MOST_POINTS:
        return places
    last = len(places) - 1
    return {places[round(i * last / (MOST_POINTS - 1))] for i in range(MOST_POINTS)}
