"""Counts words, and how many people a community's table rests on: stands in for a model."""

import csv
import json
import time

import duckdb

from registry.context import Context
from registry.method import Method, Role
from registry.typed import Frozen


class Params(Frozen):
    """What to count."""

    scale: int = 1
    """The counts are multiplied by it."""
    seconds: float = 0.0
    """How long to take."""


def run(context: Context) -> None:
    """Writes the counts as JSON."""
    params = context.typed(Params)
    time.sleep(params.seconds)
    words = {
        given.label: duckdb.execute(
            f"select sum(length(word)) from '{given.files / 'words.parquet'}'"
        ).fetchone()[0]
        * params.scale
        for given in context.inputs("words")
    }
    people = {}
    for profile in context.profiles:
        with profile.table("opinions.csv").open() as stream:
            people[profile.id] = next(csv.DictReader(stream))["n"]
    found = {"words": {k: int(v) for k, v in words.items()}, "people": people}
    (context.out / "counts.json").write_text(json.dumps(found, sort_keys=True) + "\n")


method = Method(
    name="toy-count",
    kind="model",
    description="Counts.",
    params=Params,
    run=run,
    inputs={"words": Role("dataset", "words to count", many=True)},
    reads=("opinions.csv",),
    profile_fields=("opinions",),
    use="train-sft",
)
