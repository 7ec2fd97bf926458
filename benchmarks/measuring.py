"""What the benchmarks of training share: a clock of steps, the model, and how a pair is printed."""

from __future__ import annotations

import contextlib
import io
import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from registry.context import Context, Input
from registry.typed import Frozen


class Moment(NamedTuple):
    """When a step was over."""

    wall: float
    processor: float
    tokens: float


def now(tokens: float = 0) -> Moment:
    """This moment."""
    return Moment(time.perf_counter(), time.process_time(), tokens)


class Clock(io.StringIO):
    """Notes when each event is written, as a run's file of events would receive it."""

    def __init__(self) -> None:
        super().__init__()
        self.moments: list[Moment] = []

    def write(self, text: str) -> int:
        """Takes one event."""
        self.moments.append(now(json.loads(text).get("tokens", 0)))
        return super().write(text)


@dataclass
class Steps:
    """What the steps of one way to train took."""

    wall: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    tokens: list[float] = field(default_factory=list)

    def add(self, moments: Sequence[Moment]) -> None:
        """Adds one turn; its first step also loads and warms up."""
        for before, after in pairwise(moments[1:]):
            self.wall.append(after.wall - before.wall)
            self.processor.append(after.processor - before.processor)
            self.tokens.append(after.tokens - before.tokens)

    @property
    def seconds(self) -> float:
        """Processor seconds of a step."""
        return statistics.median(self.processor)

    @property
    def shown(self) -> str:
        """Both kinds of seconds."""
        return f"{self.seconds:8.3f} ({statistics.median(self.wall):.3f})"

    @property
    def per_token(self) -> float:
        """Processor seconds a token."""
        return sum(self.processor) / max(1, sum(self.tokens))


class Size(NamedTuple):
    """How much is trained."""

    steps: int
    rounds: int
    batch: int
    group: int
    answer_tokens: int
    trained_layers: int
    """Of opinion training: its default for the packaged model."""
    attention: str = ""
    """What trl called bare computes attention with; empty for the default of transformers."""


SIZES = {"packaged": Size(5, 2, 4, 4, 16, 6), "tiny": Size(20, 5, 4, 4, 16, 1)}


def make_model(folder: Path, name: str) -> Path:
    """The packaged model as its declaration makes it, or a random one of its shape but small."""
    import yaml

    from assets.sources import local_model, random_model

    files = folder / name
    if name == "tiny":
        random_model.run(context(files, random_model.Params(hidden_size=64, layers=4)))
        return files
    declared = yaml.safe_load(Path("registry/models/smollm2-135m.yaml").read_text())
    with contextlib.redirect_stderr(io.StringIO()):  # a bar that has no switch
        local_model.run(context(files, local_model.Params.model_validate(declared["params"])))
    return files


def context(out: Path, params: Frozen, events: Any = None, **inputs: Path) -> Context:
    """What a method sees of an attempt."""
    work = out.with_name(f"{out.name}-work")
    for made in (out, work):
        made.mkdir(parents=True)
    roles = {role: (Input(role, None, files),) for role, files in inputs.items()}
    return Context(
        node=out.name, community=None, params=params, seed=0, device="cpu", threads=1, out=out,
        work=work, root=Path(), roles=roles, profiles=(), events=events,
    )  # fmt: skip


def in_turn(
    ways: Mapping[str, Callable[[Path], list[Moment]]], rounds: int, folder: Path
) -> Iterator[tuple[str, Steps]]:
    """What each way took, one after the other, round by round."""
    found = {name: Steps() for name in ways}
    for number in range(rounds):
        for name, way in ways.items():
            found[name].add(way(folder / f"{name}-{number}"))
    yield from found.items()


def line(name: str, ours: Steps, other: Steps, claim: str, beside: str) -> None:
    """Prints one pair."""
    ratio = ours.seconds / other.seconds
    print(f"{name:<16}{ours.shown:>18}{other.shown:>18}{ratio:>8.3f}  {claim:<22}{beside}",
          flush=True)  # fmt: skip
