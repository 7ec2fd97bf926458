"""Several processes that meet, and then work, fail, die or ask to be started again."""

import json
import os
import signal
import time
from pathlib import Path

from registry.context import Context
from registry.errors import AgainError, MethodError
from registry.method import Method
from registry.ran import Ran
from registry.typed import Frozen


class Params(Frozen):
    """What befalls which of them."""

    fails: int = -1
    """The process that fails, once all have met."""
    dies: int = -1
    """The process that is killed, once all have met."""
    again: int = 0
    """How often they ask to be started again."""
    seconds: float = 0.0
    """How long the others work."""


def run(context: Context) -> None:
    """Meets the others, and does what is asked."""
    params = context.typed(Params)
    everybody = _meet(context)
    context.ran(Ran(device="cpu", processes=context.processes, sharing="data parallel"))
    if params.fails == context.process:
        raise MethodError("has had enough", where=f"process {context.process}")
    if params.dies == context.process:
        os.kill(os.getpid(), signal.SIGKILL)
    _ask_again(context, params.again)
    end = time.monotonic() + params.seconds
    while time.monotonic() < end:
        if not all(Path(f"/proc/{other}").exists() for other in everybody):
            raise RuntimeError("connection closed by peer")
        time.sleep(0.01)
    seat = {name: os.environ.get(name) for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE")}
    (context.out / "seat.json").write_text(json.dumps(seat))


def _meet(context: Context) -> list[int]:
    (context.work / f"{os.getppid()}-{context.process}").write_text(str(os.getpid()))
    while len(here := list(context.work.glob(f"{os.getppid()}-*"))) < context.processes:
        time.sleep(0.01)
    time.sleep(0.05)
    return [int(path.read_text()) for path in here]


def _ask_again(context: Context, often: int) -> None:
    tries = context.work / f"tries-{context.process}"
    begun = int(tries.read_text()) if tries.exists() else 0
    if begun < often:
        tries.write_text(str(begun + 1))
        (context.out / "left-over").write_text("from the try before")
        time.sleep(0.3)
        raise AgainError(f"try {begun + 2}")


method = Method(
    name="toy-crew",
    kind="model",
    description="Several processes.",
    params=Params,
    run=run,
    spreads=True,
)
