"""A model that comes out otherwise each time: stands in for code that nobody made repeatable."""

import secrets

import numpy
import polars
from safetensors.numpy import save_file

from registry.context import Context
from registry.method import Method, Role
from registry.typed import Frozen


class Params(Frozen):
    """Nothing to choose."""


def run(context: Context) -> None:
    """Writes a tensor with one number by chance, and a table with one row by chance."""
    chance = secrets.randbelow(2**20) + 1
    weights = {"same": numpy.ones(4, "f4"), "chance": numpy.array([0, chance / 2**20], "f4")}
    save_file(weights, context.out / "model.safetensors")
    polars.DataFrame({"n": [1, 2, chance + 2]}).write_parquet(context.out / "table.parquet")


method = Method(
    name="toy-dice",
    kind="model",
    description="Throws dice.",
    params=Params,
    run=run,
    inputs={"words": Role("dataset", "not read")},
)
