"""How far a node is, as lines of the Dagster run's own log."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from registry.make import Listener
from registry.progress import Follower, Standing

EVERY = 10.0
"""Seconds between two lines: Dagster keeps each one for ever."""


@contextlib.contextmanager
def logged(log: logging.Logger) -> Iterator[Listener]:
    """A listener that writes steps, loss or reward, speed and time left into a log."""
    said: dict[str, Standing] = {}

    def tell(node: str, standing: Standing) -> None:
        former = said.get(node, Standing())
        if (standing.done, standing.total) != (former.done, former.total):
            said[node] = standing
            log.info("%s: %s", node, standing)

    with Follower(tell, EVERY) as follower:
        yield Listener(started=follower.follow)
