"""Declarations: the typed form of one YAML file in `registry/{datasets,models,evaluations}`."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from registry.expectation import Expectation
from registry.message import Message
from registry.typed import Frozen

Kind = Literal["dataset", "model", "evaluation"]
Form = Literal["language model", "reward model", "sentence encoder", "entailment model"]
"""What a model's weights are for: to write, to score an answer, to place a sentence, or to tell
whether one sentence follows from another."""

SLUG = re.compile(r"[a-z0-9][a-z0-9-]{1,46}[a-z0-9]")


def with_article(kind: Kind | Form) -> str:
    """`a dataset`, `a model` or `an evaluation`."""
    return f"an {kind}" if kind.startswith("e") else f"a {kind}"


def check_slug(value: str) -> str:
    """Returns `value` if it can be a name of a declaration or a community."""
    if not SLUG.fullmatch(value) or "--" in value:
        raise ValueError(
            Message("use 3 to 48 small letters, digits and single hyphens, like `my-dataset`")
        )
    return value


def check_memory(value: str) -> str:
    """Returns `value` if it is a size of memory such as `4GiB`."""
    if not re.fullmatch(r"[1-9][0-9]*(MiB|GiB)", value):
        raise ValueError("write memory as a whole number of MiB or GiB, like `4GiB`")
    return value


Slug = Annotated[str, AfterValidator(check_slug)]
Memory = Annotated[str, AfterValidator(check_memory)]


class Resources(Frozen):
    """What a node needs of a machine."""

    gpus: int = Field(default=0, ge=0, le=64)
    """GPUs that the method uses where the machine has them; without one it runs on the CPU."""
    memory: Memory = "4GiB"
    """Peak main memory, as `512MiB` or `4GiB`."""
    threads: int = Field(default=1, ge=1, le=256)
    """CPU threads; they belong to the result, since sums in another order round otherwise."""
    processes: int = Field(default=1, ge=1, le=64)
    """Processes that share the rows of each step, with `threads` each and a GPU each where `gpus`
    are asked for. They belong to the result, as threads do."""

    @model_validator(mode="after")
    def _a_gpu_each(self) -> Self:
        if self.processes > 1 and 0 < self.gpus != self.processes:
            raise ValueError(
                Message(
                    f"{self.processes} processes cannot share {self.gpus} GPUs evenly: each takes "
                    f"one, so write `gpus: {self.processes}`"
                )
            )
        return self


InputNames = str | tuple[str, ...]


class Declaration(Frozen):
    """What exists, from which inputs, by which method, with which parameters and contract."""

    kind: ClassVar[Kind]

    name: Slug
    """The declaration's name; the same as the file's."""
    description: str = Field(min_length=20, max_length=2000)
    """What it is, in a sentence or two for a reader."""
    method: Slug
    """The method that makes it, by its entry-point name."""
    inputs: dict[str, InputNames]
    """For each role of the method, a declaration's name, `name@community`, or a list of them."""
    params: dict[str, Any]
    """The method's parameters; those left out take the method's defaults."""
    each: Literal["community"] | None = None
    """`community`: one node per accepted or admitted community."""
    communities: tuple[Slug, ...] | None = None
    """Narrows the communities that it fans out to, or gathers."""
    contract: tuple[Expectation, ...]
    """What the artifact must meet; an empty list promises nothing."""
    licence: str = Field(min_length=2, max_length=100)
    """SPDX identifier of the licence of what is made."""
    resources: Resources = Resources()
    """What a node needs of a machine."""
    seed: int = Field(default=0, ge=0, le=2**32 - 1)
    """The seed of everything random in the method."""


class Dataset(Declaration):
    """A dataset: rows in Parquet files."""

    kind: ClassVar[Kind] = "dataset"


class Model(Declaration):
    """A model checkpoint: weights in safetensors, with tokenizer and configuration."""

    kind: ClassVar[Kind] = "model"


class Evaluation(Declaration):
    """An evaluation: results as Parquet rows and a JSON summary."""

    kind: ClassVar[Kind] = "evaluation"


FOLDERS: dict[str, type[Declaration]] = {
    "datasets": Dataset,
    "models": Model,
    "evaluations": Evaluation,
}
