"""Which expectations a contract may hold, which arguments each takes, and what checks it.

Names and arguments are Great Expectations' own, but for those that only Chorus has: they look
beyond their table, at what an artifact was made from. `docs/contracts.md` lists them all for a
reader, and a test holds the two together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Checker = Literal["both", "gate", "great expectations"]
"""`both`: the gate, and Great Expectations with the same verdict and counts. `gate`: DuckDB only,
since it needs what Great Expectations cannot see. `great expectations`: that alone, in a while."""

Choices = tuple[str, ...]


@dataclass(frozen=True)
class Kind:
    """One type of expectation."""

    about: str
    """What it asks, as a clause that follows the table's name."""
    needs: tuple[Choices, ...] = ()
    """Arguments that must be given; of several choices at least one."""
    takes: tuple[str, ...] = ()
    """Arguments that may be given beside them."""
    checker: Checker = "both"
    """What checks it."""


_BOUNDS: Choices = ("min_value", "max_value")
_STRICT = ("strict_min", "strict_max")
_EITHER, _ANY_ROW = ("mostly",), ("mostly", "ignore_row_if")
_PAIR = (("column_A",), ("column_B",))


def _values(about: str, *needs: Choices, takes: tuple[str, ...] = ()) -> Kind:
    """About each value of a column; a share of them may break it."""
    return Kind(about, (("column",), *needs), (*takes, *_EITHER))


def _figure(about: str) -> Kind:
    """About one figure of a whole column."""
    return Kind(about, (("column",), _BOUNDS), _STRICT)


def _only_there(about: str, *needs: Choices, takes: tuple[str, ...] = ()) -> Kind:
    """What only Great Expectations checks."""
    return Kind(about, needs, takes, checker="great expectations")


def _beyond(about: str, *needs: Choices, takes: tuple[str, ...] = ()) -> Kind:
    """What only the gate checks."""
    return Kind(about, needs, takes, checker="gate")


HELD_OUT = "expect_column_values_to_not_be_held_out"
PARENTS = "expect_column_values_to_be_rows_of_inputs"
IN_OTHER = "expect_column_values_to_be_in_other_table"
NOT_IN_OTHER = "expect_column_values_to_not_be_in_other_table"
SHARE_OF_OTHER = "expect_table_row_count_to_be_share_of_other_table"
LEAKS = "expect_column_values_to_not_leak_instructions"
OFF_LIMITS = "expect_column_values_to_not_be_off_limits"
LANGUAGE = "expect_column_values_to_be_in_languages"
OF_TYPE = "expect_column_values_to_be_of_type"

VOCABULARY: dict[str, Kind] = {
    "expect_column_to_exist": Kind("has the column", (("column",),)),
    "expect_table_columns_to_match_set": Kind(
        "has these columns, in any order; with `exact_match: false` it may have others",
        (("column_set",),), ("exact_match",),
    ),
    "expect_table_columns_to_match_ordered_list": Kind(
        "has exactly these columns, in this order", (("column_list",),)
    ),
    "expect_table_row_count_to_be_between": Kind(
        "has so many rows", (_BOUNDS,), _STRICT
    ),
    "expect_table_row_count_to_equal": Kind("has exactly so many rows", (("value",),)),
    "expect_column_values_to_not_be_null": _values("has a value in every row"),
    "expect_column_values_to_be_null": _values("has no value in any row"),
    "expect_column_values_to_be_unique": _values("has no value twice"),
    "expect_compound_columns_to_be_unique": Kind(
        "has no combination of these columns twice; rows without any of them do not count",
        (("column_list",),), _EITHER,
    ),
    "expect_column_values_to_be_in_set": _values("has only these values", ("value_set",)),
    "expect_column_values_to_not_be_in_set": _values("has none of these values", ("value_set",)),
    "expect_column_values_to_be_between": _values(
        "has values within bounds; NaN lies in none", _BOUNDS, takes=_STRICT
    ),
    "expect_column_value_lengths_to_be_between": _values(
        "has texts (or lists) of such a length", _BOUNDS, takes=_STRICT
    ),
    "expect_column_value_lengths_to_equal": _values("has texts of one length", ("value",)),
    "expect_column_values_to_match_regex": _values(
        "has texts in which the pattern is found", ("regex",)
    ),
    "expect_column_values_to_not_match_regex": _values(
        "has texts in which the pattern is not found", ("regex",)
    ),
    "expect_column_pair_values_a_to_be_greater_than_b": Kind(
        "has the greater value in the first column", _PAIR, ("or_equal", *_ANY_ROW)
    ),
    "expect_column_pair_values_to_be_equal": Kind(
        "has the same value in both columns", _PAIR, _ANY_ROW
    ),
    "expect_column_mean_to_be_between": _figure("has such a mean"),
    "expect_column_median_to_be_between": _figure("has such a median"),
    "expect_column_min_to_be_between": _figure("has such a smallest value"),
    "expect_column_max_to_be_between": _figure("has such a largest value"),
    "expect_column_sum_to_be_between": _figure("has such a sum"),
    "expect_column_stdev_to_be_between": _figure("has such a standard deviation (of a sample)"),
    "expect_column_unique_value_count_to_be_between": _figure("has so many different values"),
    "expect_column_proportion_of_unique_values_to_be_between": _figure(
        "has such a share of different values among those that are there"
    ),
    "expect_column_proportion_of_non_null_values_to_be_between": _figure(
        "has such a share of rows with a value"
    ),
    "expect_column_distinct_values_to_be_in_set": Kind(
        "has no other value than these", (("column",), ("value_set",))
    ),
    "expect_column_distinct_values_to_contain_set": Kind(
        "has each of these values somewhere", (("column",), ("value_set",))
    ),
    "expect_column_distinct_values_to_equal_set": Kind(
        "has each of these values somewhere, and no other", (("column",), ("value_set",))
    ),
    OF_TYPE: _beyond("has this type, by DuckDB's name", ("column",), ("type_",)),
    HELD_OUT: _beyond(
        "bears no id that is held out, and comes from none", ("column",), takes=_EITHER
    ),
    PARENTS: _beyond(
        "names only rows of artifacts and profiles that it was made from",
        ("column",), takes=_EITHER,
    ),
    IN_OTHER: _beyond(
        "has only values that stand in a column of another artifact",
        ("column",), ("other",), ("other_table",), ("other_column",), takes=_EITHER,
    ),
    NOT_IN_OTHER: _beyond(
        "has no value that stands in a column of another artifact; with `normalised: true` "
        "whatever their case and spaces",
        ("column",), ("other",), ("other_table",), ("other_column",),
        takes=("normalised", *_EITHER),
    ),
    SHARE_OF_OTHER: _beyond(
        "has so many rows for each row of another artifact",
        ("other",), ("other_table",), _BOUNDS, takes=_STRICT,
    ),
    LEAKS: _beyond(
        "has no text that gives orders to a model or holds marks of a prompt",
        ("column",), takes=_EITHER,
    ),
    OFF_LIMITS: _beyond(
        "has no text on a topic that the community puts off limits", ("column",), takes=_EITHER
    ),
    LANGUAGE: _beyond(
        "has no text that is surely in another language than these, or than the community's",
        ("column",), takes=("languages", *_EITHER),
    ),
    "expect_column_quantile_values_to_be_between": _only_there(
        "has quantiles within bounds", ("column",), ("quantile_ranges",)
    ),
    "expect_column_kl_divergence_to_be_less_than": _only_there(
        "is distributed nearly as given", ("column",), ("partition_object",), ("threshold",)
    ),
    "expect_column_most_common_value_to_be_in_set": _only_there(
        "has one of these as its most common value", ("column",), ("value_set",)
    ),
    "expect_column_value_z_scores_to_be_less_than": _only_there(
        "has no value that many standard deviations from the mean",
        ("column",), ("threshold",), ("double_sided",), takes=_EITHER,
    ),
    "expect_column_pair_values_to_be_in_set": _only_there(
        "has only these pairs of values", *_PAIR, ("value_pairs_set",), takes=_ANY_ROW
    ),
    "expect_multicolumn_sum_to_equal": _only_there(
        "has columns that add up in every row", ("column_list",), ("sum_total",), takes=_EITHER
    ),
    "expect_multicolumn_values_to_be_equal": _only_there(
        "has the same value in all these columns", ("column_list",), takes=_EITHER
    ),
    "expect_select_column_values_to_be_unique_within_record": _only_there(
        "has different values in these columns of each row", ("column_list",), takes=_EITHER
    ),
    "expect_table_column_count_to_be_between": _only_there("has so many columns", _BOUNDS),
    "expect_table_column_count_to_equal": _only_there("has exactly so many columns", ("value",)),
}  # fmt: skip
"""Every type of expectation, by its name."""
