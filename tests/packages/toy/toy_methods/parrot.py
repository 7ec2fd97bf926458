"""Copies a model for one community: stands in for training."""

import shutil

from registry.context import Context
from registry.method import Method, Role
from registry.typed import Frozen


class Params(Frozen):
    """Nothing to choose."""


def run(context: Context) -> None:
    """Copies the model's files."""
    shutil.copytree(context.input("base").files, context.out, dirs_exist_ok=True)


method = Method(
    name="toy-parrot",
    kind="model",
    description="Copies a model.",
    params=Params,
    run=run,
    inputs={"base": Role("model", "the model to copy")},
    profile_fields=("name",),
    use="train-sft",
)
