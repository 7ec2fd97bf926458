"""Numbered words of one letter, as Parquet; can be slow, or fail, where a test asks for it."""

import os
import signal
import time

import duckdb
from pydantic import Field

from registry.context import Context
from registry.method import Method, SourcePath
from registry.typed import Frozen


class Params(Frozen):
    """What to write."""

    letter: str = "a"
    """The letter."""
    rows: int = Field(default=5, ge=0)
    """How many rows."""
    seconds: float = 0.0
    """How long to take."""
    fail: bool = False
    """Whether to fail at the end."""
    dies_after: int = 0
    """Rows after which a first attempt is killed."""
    source: SourcePath = ""
    """A text file to append."""


def run(context: Context) -> None:
    """Writes the words, a row at a time."""
    params = context.typed(Params)
    text = context.source(params.source).read_text() if params.source else ""
    checkpoint = context.work / "done"
    begun = int(checkpoint.read_text()) if checkpoint.exists() else 0
    for done in range(begun, params.rows):
        time.sleep(params.seconds / params.rows)
        context.progress(done + 1, params.rows, loss=1 / (done + 1))
        checkpoint.write_text(str(done + 1))
        if begun == 0 and done + 1 == params.dies_after:
            os.kill(os.getpid(), signal.SIGKILL)
    if params.fail:
        raise RuntimeError("asked to fail")
    duckdb.execute(
        f"copy (select range as id, repeat('{params.letter}', range::int + 1) as word"
        f" from range({params.rows})) to '{context.out / 'words.parquet'}' (format parquet)"
    )
    (context.out / "note.txt").write_text(f"{context.community} {context.seed} {text}\n")


method = Method(
    name="toy-words",
    kind="dataset",
    description="Words.",
    params=Params,
    run=run,
    libraries=("duckdb",),
)
