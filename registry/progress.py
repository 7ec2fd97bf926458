"""How far an attempt is, from what its method notes: step, figure, tokens a second, time left."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from registry.runs import EventTail, RunFiles, figures_of

WINDOW = 30.0
"""Seconds over which speed is measured: a method has slow and fast parts."""
_FEWEST = 5
"""Notes over which speed is measured where steps are slower than that."""
_MOST = 4096
_SPEED = "tokens_per_second"
"""The curve of methods that measure their speed themselves."""
_HOUR, _MINUTE, _LARGE = 3600, 60, 1000


@dataclass(frozen=True)
class Standing:
    """How far an attempt is."""

    done: int = 0
    total: int | None = None
    """None as long as the method has noted nothing."""
    figures: Mapping[str, float] = field(default_factory=dict)
    """The last value of each curve."""
    tokens_per_second: float | None = None
    seconds_left: float | None = None

    @property
    def figure(self) -> str:
        """The figure that says most, with its name: the loss, else the reward, else the first."""
        names = [name for name in self.figures if name != _SPEED]
        ranked = [name for word in ("loss", "reward") for name in names if name.startswith(word)]
        exact = [name for name in ("loss", "reward") if name in names]
        chosen = next(iter([*exact, *ranked, *names]), None)
        return f"{chosen} {as_figure(self.figures[chosen])}" if chosen else ""

    @property
    def speed(self) -> str:
        """Tokens a second in words, or nothing."""
        found = self.tokens_per_second
        if found is None:
            return ""
        return f"{found:,.0f} tokens/s" if found >= 1 else f"{found:.2g} tokens/s"

    @property
    def left(self) -> str:
        """The time that is left in words, or nothing."""
        return "" if self.seconds_left is None else f"{clock(self.seconds_left)} left"

    def __str__(self) -> str:
        steps = f"{self.done} of {self.total}" if self.total is not None else "started"
        return ", ".join(part for part in (steps, self.figure, self.speed, self.left) if part)


def as_figure(value: float) -> str:
    """A figure in few characters."""
    return f"{value:,.0f}" if abs(value) >= _LARGE else f"{value:.3f}"


def clock(seconds: float) -> str:
    """Minutes and seconds, with hours where there are some."""
    whole = round(seconds)
    hours, minutes = whole // _HOUR, whole % _HOUR // _MINUTE
    shown = f"{minutes:02d}" if hours else f"{minutes}"
    return f"{hours}:{shown}:{whole % _MINUTE:02d}" if hours else f"{shown}:{whole % _MINUTE:02d}"


class Pace:
    """Hears the events of one attempt, and says how far it is and how fast it goes."""

    def __init__(self) -> None:
        self._heard: deque[tuple[float, float, float | None]] = deque(maxlen=_MOST)
        self._total: float | None = None
        self._figures: dict[str, float] = {}

    def hear(self, event: Mapping[str, Any]) -> None:
        """Takes in the next event."""
        if self._total != event["total"] or (self._heard and event["done"] < self._heard[-1][1]):
            self._heard.clear()
        self._total = event["total"]
        self._heard.append((event["time"], event["done"], event.get("tokens")))
        while len(self._heard) > _FEWEST and self._heard[0][0] < event["time"] - WINDOW:
            self._heard.popleft()
        self._figures |= figures_of(event)

    def standing(self, now: float | None = None) -> Standing:
        """How far it is; between two notes time goes on."""
        if not self._heard or self._total is None:
            return Standing()
        last, done, _ = self._heard[-1]
        now = time.time() if now is None else now
        first, before, _ = self._heard[0]
        left = None
        if done > before and last > first:
            each = (last - first) / (done - before)
            left = max(0.0, each * (self._total - done) - max(0.0, now - last))
        return Standing(
            int(done), int(self._total), dict(self._figures), self._tokens_per_second(), left
        )

    def _tokens_per_second(self) -> float | None:
        told = [(when, tokens) for when, _, tokens in self._heard if tokens is not None]
        if len(told) > 1 and told[-1][0] > told[0][0] and told[-1][1] >= told[0][1]:
            return (told[-1][1] - told[0][1]) / (told[-1][0] - told[0][0])
        return self._figures.get(_SPEED)


class Follower:
    """Follows nodes that are being made, in a thread of its own, and tells how far each is."""

    def __init__(self, tell: Callable[[str, Standing], None], every: float) -> None:
        self._tell = tell
        self._every = every
        self._followed: dict[str, tuple[EventTail, Pace]] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        for tail, _pace in self._followed.values():
            tail.close()

    def follow(self, node: str, files: RunFiles) -> None:
        """Begins to tell of a node."""
        with self._lock:
            self._followed[node] = EventTail(files.events), Pace()

    def leave(self, node: str) -> None:
        """Ends it: when this returns, nothing more is told of the node."""
        with self._lock:
            if node in self._followed:
                self._followed.pop(node)[0].close()

    def _run(self) -> None:
        while not self._stop.wait(self._every):
            with self._lock:
                for node, (tail, pace) in self._followed.items():
                    for event in tail.read():
                        pace.hear(event)
                    self._tell(node, pace.standing())
