"""Declarations: the typed form of one YAML file in `registry/{datasets,models,evaluations}`."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from registry.message import Message
from registry.typed import Frozen

Kind = Literal["dataset", "model", "evaluation"]
Severity = Literal["error", "warning"]
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


ExpectationType = Literal[
    "expect_column_values_to_not_be_null",
    "expect_column_values_to_be_unique",
    "expect_compound_columns_to_be_unique",
    "expect_column_values_to_be_between",
    "expect_column_values_to_be_in_set",
    "expect_column_value_lengths_to_be_between",
    "expect_column_values_to_match_regex",
    "expect_column_mean_to_be_between",
    "expect_table_row_count_to_be_between",
    "expect_table_columns_to_match_set",
    "expect_column_values_to_not_be_held_out",
]

_NEEDS: dict[str, tuple[tuple[str, ...], ...]] = {
    "expect_column_values_to_not_be_null": (("column",),),
    "expect_column_values_to_be_unique": (("column",),),
    "expect_compound_columns_to_be_unique": (("column_list",),),
    "expect_column_values_to_be_between": (("column",), ("min_value", "max_value")),
    "expect_column_values_to_be_in_set": (("column",), ("value_set",)),
    "expect_column_value_lengths_to_be_between": (("column",), ("min_value", "max_value")),
    "expect_column_values_to_match_regex": (("column",), ("regex",)),
    "expect_column_mean_to_be_between": (("column",), ("min_value", "max_value")),
    "expect_table_row_count_to_be_between": (("min_value", "max_value"),),
    "expect_table_columns_to_match_set": (("column_set",),),
    "expect_column_values_to_not_be_held_out": (("column",),),
}
HELD_OUT_EXPECTATION = "expect_column_values_to_not_be_held_out"
"""The one that looks beyond its own table: at what questionnaires and profiles hold out."""
ARGUMENTS = (
    "column", "column_list", "column_set", "value_set", "min_value", "max_value", "regex",
)  # fmt: skip


class Expectation(Frozen):
    """One expectation of a contract, in Great Expectations' own vocabulary."""

    expect: ExpectationType
    """The expectation's type, by Great Expectations' name."""
    table: str = Field(pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*\.parquet$")
    """The Parquet file of the artifact that it speaks about."""
    column: str | None = None
    """The column it speaks about."""
    column_list: tuple[str, ...] | None = Field(default=None, min_length=2)
    """Columns that are unique together."""
    column_set: tuple[str, ...] | None = Field(default=None, min_length=1)
    """Exactly the columns that the table has."""
    value_set: tuple[str, ...] | None = Field(default=None, min_length=1)
    """The allowed values, compared as text."""
    min_value: float | None = None
    """Smallest allowed value, inclusive."""
    max_value: float | None = None
    """Largest allowed value, inclusive."""
    regex: str | None = None
    """A regular expression that is found in the value."""
    severity: Severity = "error"
    """`error` stops everything downstream; `warning` is shown."""
    reason: str = Field(min_length=8)
    """Why the expectation matters, as a sentence for a reader."""

    @model_validator(mode="after")
    def _arguments_fit(self) -> Self:
        needs = _NEEDS[self.expect]
        for choices in needs:
            if all(getattr(self, name) is None for name in choices):
                raise ValueError(f"{self.expect} needs {' or '.join(choices)}")
        allowed = {name for choices in needs for name in choices}
        for name in ARGUMENTS:
            if name not in allowed and getattr(self, name) is not None:
                raise ValueError(f"{self.expect} takes no {name}")
        low, high = self.min_value, self.max_value
        if low is not None and high is not None and low > high:
            raise ValueError(f"min_value {low:g} is greater than max_value {high:g}")
        if self.regex is not None:
            try:
                re.compile(self.regex)
            except re.error as error:
                raise ValueError(f"regex is not valid: {error}") from None
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
