"""One expectation of a contract: its typed form, and what its arguments must be."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, model_validator

from registry.typed import Frozen
from registry.vocabulary import VOCABULARY, Checker

Severity = Literal["error", "warning"]

if TYPE_CHECKING:
    ExpectationType = str
else:
    ExpectationType = Literal[tuple(VOCABULARY)]


class Quantiles(Frozen):
    """Bounds of quantiles."""

    quantiles: tuple[float, ...] = Field(min_length=1)
    """Which quantiles, each between 0 and 1."""
    value_ranges: tuple[tuple[float | None, float | None], ...] = Field(min_length=1)
    """For each of them the smallest and the largest value; null for no bound."""

    @model_validator(mode="after")
    def _one_for_each(self) -> Self:
        if len(self.quantiles) != len(self.value_ranges):
            raise ValueError("give one pair in value_ranges for each of the quantiles")
        if not all(0 <= one <= 1 for one in self.quantiles):
            raise ValueError("a quantile lies between 0 and 1")
        return self


class Partition(Frozen):
    """A distribution over values."""

    values: tuple[str, ...] = Field(min_length=1)
    """The values."""
    weights: tuple[float, ...] = Field(min_length=1)
    """For each of them its share; they add up to 1."""

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if len(self.values) != len(self.weights):
            raise ValueError("give one of the weights for each of the values")
        if abs(sum(self.weights) - 1) > 1e-6:  # noqa: PLR2004
            raise ValueError(f"the weights add up to {sum(self.weights):g}, and must to 1")
        return self


class Expectation(Frozen):
    """One expectation of a contract, in Great Expectations' own vocabulary."""

    expect: ExpectationType
    """The expectation's type, by Great Expectations' name."""
    table: str = Field(pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*\.parquet$")
    """The Parquet file of the artifact that it speaks about."""
    column: str | None = None
    """The column it speaks about."""
    column_list: tuple[str, ...] | None = Field(default=None, min_length=2)
    """Columns that it speaks about together, or in this order."""
    column_set: tuple[str, ...] | None = Field(default=None, min_length=1)
    """The columns that the table has."""
    exact_match: bool | None = None
    """Whether it may have no others; so it is unless this says `false`."""
    column_A: str | None = None  # noqa: N815 - Great Expectations' name
    """The first of two columns."""
    column_B: str | None = None  # noqa: N815
    """The second of two columns."""
    or_equal: bool | None = None
    """Whether equal values will do."""
    ignore_row_if: (
        Literal["both_values_are_missing", "either_value_is_missing", "neither"] | None
    ) = None
    """Rows that do not count; those where both values are missing unless this says otherwise."""
    value_set: tuple[str, ...] | None = Field(default=None, min_length=1)
    """Values, written as the table's type writes them: `1.0` for a number with decimals."""
    value: int | None = Field(default=None, ge=0)
    """The number of rows or columns, or the length."""
    min_value: float | None = None
    """Smallest allowed value, inclusive."""
    max_value: float | None = None
    """Largest allowed value, inclusive."""
    strict_min: bool | None = None
    """Whether the smallest allowed value is itself too small."""
    strict_max: bool | None = None
    """Whether the largest allowed value is itself too large."""
    regex: str | None = None
    """A regular expression that is looked for anywhere in the value, as RE2 reads it."""
    type_: str | None = Field(default=None, min_length=1)
    """The column's type, by DuckDB's name, as `VARCHAR`, `BIGINT`, `DOUBLE` or `VARCHAR[]`."""
    mostly: float | None = Field(default=None, gt=0, le=1)
    """The share of values that must meet it; all of them unless given."""
    quantile_ranges: Quantiles | None = None
    """Bounds of quantiles."""
    partition_object: Partition | None = None
    """The distribution that it is compared with."""
    threshold: float | None = Field(default=None, gt=0)
    """The divergence, or the standard deviations, that must not be reached."""
    double_sided: bool | None = None
    """Whether values far below the mean count too."""
    value_pairs_set: tuple[tuple[str, str], ...] | None = Field(default=None, min_length=1)
    """The allowed pairs."""
    sum_total: float | None = None
    """What the columns of a row add up to."""
    other: str | None = None
    """A declaration that this one is made from, however far back."""
    other_table: str | None = Field(
        default=None, pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*\.parquet$"
    )
    """The Parquet file of that artifact."""
    other_column: str | None = None
    """The column of that table."""
    normalised: bool | None = None
    """Whether texts are compared without regard to case and spaces."""
    languages: tuple[str, ...] | None = Field(default=None, min_length=1)
    """Language tags, as `en`; those of the profiles that it rests on unless given."""
    severity: Severity = "error"
    """`error` stops everything downstream; `warning` is shown."""
    reason: str = Field(min_length=8)
    """Why the expectation matters, as a sentence for a reader."""

    @property
    def checker(self) -> Checker:
        """What checks it."""
        return VOCABULARY[self.expect].checker

    @model_validator(mode="after")
    def _arguments_fit(self) -> Self:
        kind = VOCABULARY[self.expect]
        for choices in kind.needs:
            if all(getattr(self, name) is None for name in choices):
                raise ValueError(f"{self.expect} needs {' or '.join(choices)}")
        allowed = {name for choices in kind.needs for name in choices} | {*kind.takes}
        for name in ARGUMENTS:
            if name not in allowed and getattr(self, name) is not None:
                raise ValueError(f"{self.expect} takes no {name}")
        return self

    @model_validator(mode="after")
    def _bounds_fit(self) -> Self:
        low, high = self.min_value, self.max_value
        if low is not None and high is not None:
            if low > high:
                raise ValueError(f"min_value {low:g} is greater than max_value {high:g}")
            if low == high and (self.strict_min or self.strict_max):
                raise ValueError(f"min_value and max_value are both {low:g}: nothing lies between")
        for strict, bound in (("strict_min", low), ("strict_max", high)):
            if getattr(self, strict) and bound is None:
                raise ValueError(f"{strict} needs {strict.removeprefix('strict_')}_value")
        return self

    @model_validator(mode="after")
    def _regex_reads(self) -> Self:
        if self.regex is not None:
            try:
                re.compile(self.regex)
            except re.error as error:
                raise ValueError(f"regex is not valid: {error}") from None
        return self


_AROUND = {"expect", "table", "severity", "reason"}
ARGUMENTS = tuple(name for name in Expectation.model_fields if name not in _AROUND)
"""Everything that one type of expectation or another takes."""


def arguments(expectation: Expectation) -> dict[str, Any]:
    """The arguments that an expectation gives."""
    return expectation.model_dump(mode="json", include=set(ARGUMENTS), exclude_none=True)
