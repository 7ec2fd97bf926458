"""What communities hold, in their own words, as Parquet; and how many words those are."""

import csv
import json

import polars

from registry.context import Context
from registry.method import Method, Role
from registry.typed import Frozen


class Params(Frozen):
    """Nothing to choose."""


def run(context: Context) -> None:
    """Copies each value's statement."""
    (profile,) = context.profiles
    with profile.table("values.csv").open(encoding="utf-8") as stream:
        rows = [{"id": row["id"], "word": row["statement"]} for row in csv.DictReader(stream)]
    polars.DataFrame(rows).write_parquet(context.out / "words.parquet", compression="uncompressed")


def tally(context: Context) -> None:
    """Counts the words of everything given."""
    found = {
        given.label: sum(
            len(w.split()) for w in polars.read_parquet(given.files / "words.parquet")["word"]
        )
        for given in context.inputs("words")
    }
    (context.out / "tally.json").write_text(json.dumps(found, sort_keys=True) + "\n")


method = Method(
    name="toy-sayings",
    kind="dataset",
    description="Copies what a community holds.",
    params=Params,
    run=run,
    reads=("values.csv",),
    use="train-sft",
)
tallied = Method(
    name="toy-tally",
    kind="model",
    description="Counts words.",
    params=Params,
    run=tally,
    inputs={"words": Role("dataset", "words to count", many=True)},
)
