"""Teachers and embedders that say what a test tells them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy

from assets.sources.reasoning_tasks import TaskGenerator, draw
from assets.synthesis.teachers import Completion, Request


class Scripted:
    """Answers with a function of the request; counts what it was asked."""

    name, batch, whole_batches = "scripted", 4, False

    def __init__(self, reply: Callable[[Request], str], reason: str = "stop") -> None:
        self.reply, self.reason = reply, reason
        self.asked: list[Request] = []

    def size(self, request: Request) -> int:
        return len(request.prompt)

    def refuse(self, request: Request) -> str | None:
        return "the prompt is empty" if not request.prompt else None

    def complete(self, requests: Sequence[Request]):
        for request in requests:
            self.asked.append(request)
            text = self.reply(request)
            yield request, Completion(text, self.reason, len(text), None)  # type: ignore[arg-type]

    def describe(self) -> dict[str, Any]:
        return {"kind": "scripted"}


def good_line(request: Request) -> str:
    """A whole proposal with settings that differ from request to request."""
    source = random.Random(request.seed)
    start = request.prompt.rpartition("\n")[2]
    name = start.rpartition('"')[0].rpartition('"')[2]
    values = {"min_value": source.randint(1, 9), "max_value": source.randint(100, 900)}
    rest = {key: value for key, value in values.items() if key != name}
    first = values.get(name, 2)
    tail = f", {json.dumps(rest)[1:]}" if '"gcd"' in start else "}"
    return f' {first}{tail}, "opening": "Here is one for you."}}'


def task_rows(*tasks: str, rows: int = 4) -> list[dict[str, Any]]:
    """Rows of generators, as the method reasoning-tasks makes them."""
    seen: dict[str, str] = {}
    return [
        row
        for task in tasks
        for row, reason in draw(TaskGenerator(name=task, rows=rows), 1, 0, 1500, seen)
        if not reason
    ]


class Directions:
    """Gives each row the direction that a function names, in so many dimensions."""

    def __init__(self, place: Callable[[dict[str, Any]], int], dimensions: int = 8) -> None:
        self.place, self.dimensions = place, dimensions
        self.embedded = 0

    def refuse(self, row: Any) -> str | None:
        return "empty completion" if row["completion"] == "" else None

    def embed(self, rows: Sequence[Any]) -> Any:
        """Directions a little apart, so that rows of one place are no copies."""
        self.embedded += len(rows)
        found = numpy.zeros((len(rows), self.dimensions), dtype=numpy.float32)
        for index, row in enumerate(rows):
            found[index, self.place(row)] = 3
            found[index, -1] = (hash(row["row_id"]) % 97) / 970
        return found
