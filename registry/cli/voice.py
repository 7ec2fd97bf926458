"""What `chorus make` says while it works: live bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

from registry.cli.output import say
from registry.errors import ChorusError

if TYPE_CHECKING:
    from registry.graph import Node
    from registry.make import Listener, Report
    from registry.progress import Standing
    from registry.ran import Ran
    from registry.runs import RunFiles

PLAIN_SECONDS = 30.0
"""How often a plain line says how far a node is."""
_BAR_SECONDS = 0.5
_NAME = 26
"""Characters of a node's name beside its bar, so that all fits into 80 columns."""
_OTHER_BARS = ("dvc.progress", "dvc_data.callbacks")
"""Loggers whose level says whether DVC draws bars of its own."""
_FIELDS = {"steps": 0, "figure": 62, "speed": 78, "left": 50}
"""What stands behind a bar, and from how many columns on."""


class Voice:
    """Says what happens. Its methods may be called from any thread."""

    def __init__(self, every: float | None = None) -> None:
        from registry.progress import Follower

        self._bars = _Bars() if _can_draw() else None
        self._said: dict[str, str] = {}
        tell = self._bars.move if self._bars else self._tell
        self._follower = Follower(tell, every or (_BAR_SECONDS if self._bars else PLAIN_SECONDS))

    def __enter__(self) -> Self:
        if self._bars is not None:
            self._bars.start()
        self._follower.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._follower.__exit__()
        if self._bars is not None:
            self._bars.stop()

    def listener(self) -> Listener:
        """What is told to the voice while nodes are made."""
        from registry.make import Listener

        return Listener(waiting=self._waiting, started=self._started, ran=self._ran)

    def done(self, node: Node, result: Report | ChorusError) -> None:
        """Says how a node ended."""
        self._follower.leave(node.id)
        if self._bars is not None:
            self._bars.remove(node.id)
        if isinstance(result, ChorusError):
            self._say(f"failed   {result}")
            return
        seconds = f" in {result.run.seconds:.1f} s" if result.run and result.run.seconds else ""
        self._say(f"{result.result:<8} {node.id}{seconds}")
        for warning in result.warnings:
            self._say(f"warning  {warning}")

    def _waiting(self, node: str, holder: str) -> None:
        self._say(f"waiting  {node} is being made by process {holder}")

    def _started(self, node: str, files: RunFiles) -> None:
        if self._bars is None:
            self._say(f"making   {node}")
        else:
            self._bars.add(node)
        self._follower.follow(node, files)

    def _ran(self, node: str, ran: Ran) -> None:
        self._say(f"runs on  {ran} ({node})")

    def _tell(self, node: str, standing: Standing) -> None:
        """A plain line, where something has happened since the last."""
        steps = f"{standing.done}/{standing.total}"
        if standing.total is not None and self._said.get(node) != steps:
            self._said[node] = steps
            self._say(f"making   {node}: {standing}")

    def _say(self, message: str) -> None:
        (self._bars.say if self._bars else say)(message)


def _can_draw() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown")


class _Bars:
    """Live bars, which vanish when their nodes are done."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn
        from rich.table import Column

        console = Console(stderr=True)

        def text(field: str, justify: Any = "right") -> TextColumn:
            column = Column(no_wrap=True, overflow="ellipsis")
            return TextColumn(f"{{task.fields[{field}]}}", "default", justify, False, None, column)

        self._progress = Progress(
            text("name", "left"),
            BarColumn(bar_width=None, table_column=Column(min_width=4, ratio=1)),
            *(text(field) for field, least in _FIELDS.items() if console.width >= least),
            console=console,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            expand=True,
        )
        self._tasks: dict[str, Any] = {}
        self._began: dict[str, float] = {}
        self._former: Callable[..., Any] | int | None = None

    def start(self) -> None:
        """Draws. A request to end is taken as an interrupt, so that the cursor comes back."""
        if threading.current_thread() is threading.main_thread():
            self._former = signal.signal(signal.SIGTERM, signal.default_int_handler)
        for name in _OTHER_BARS:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._progress.start()

    def stop(self) -> None:
        """Leaves the terminal as it was."""
        self._progress.stop()
        if self._former is not None:
            signal.signal(signal.SIGTERM, self._former)

    def say(self, message: str) -> None:
        """Prints above the bars."""
        self._progress.console.print(message, markup=False, highlight=False, soft_wrap=True)

    def add(self, node: str) -> None:
        """Begins a bar."""
        short = node if len(node) <= _NAME else f"{node[: _NAME - 1]}…"
        self._began[node] = time.monotonic()
        self._tasks[node] = self._progress.add_task(
            "", total=None, name=short, steps="", figure="", speed="", left=""
        )

    def move(self, node: str, standing: Standing) -> None:
        """Draws how far a node is; before its first note, how long it has run."""
        from registry.progress import clock

        steps = "" if standing.total is None else f"{standing.done}/{standing.total}"
        gone = clock(time.monotonic() - self._began[node])
        self._progress.update(
            self._tasks[node],
            completed=standing.done,
            total=standing.total,
            steps=steps,
            figure=standing.figure,
            speed=standing.speed,
            left=standing.left or gone,
        )

    def remove(self, node: str) -> None:
        """Ends a bar."""
        if node in self._tasks:
            self._progress.remove_task(self._tasks.pop(node))
