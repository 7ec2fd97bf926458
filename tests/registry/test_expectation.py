"""Each expectation takes its own arguments, needs those it cannot do without, and no others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from registry.declaration import Dataset
from registry.expectation import ARGUMENTS, Expectation, arguments
from registry.strict_yaml import read, typed
from registry.vocabulary import VOCABULARY

DOCS = Path(__file__).resolve().parents[2] / "docs/contracts.md"
SAMPLES: dict[str, Any] = {
    "column": "a", "column_list": ["a", "b"], "column_set": ["a"], "exact_match": False,
    "column_A": "a", "column_B": "b", "or_equal": True, "ignore_row_if": "neither",
    "value_set": ["x"], "value": 3, "min_value": 0, "max_value": 9, "strict_min": True,
    "strict_max": True, "regex": "^x", "type_": "BIGINT", "mostly": 0.9,
    "quantile_ranges": {"quantiles": [0.5], "value_ranges": [[0, None]]},
    "partition_object": {"values": ["x", "y"], "weights": [0.5, 0.5]}, "threshold": 0.1,
    "double_sided": True, "value_pairs_set": [["x", "y"]], "sum_total": 1, "other": "words",
    "other_table": "rows.parquet", "other_column": "b", "normalised": True, "languages": ["en"],
}  # fmt: skip
NEEDED = {
    expect: {choices[0]: SAMPLES[choices[0]] for choices in kind.needs}
    for expect, kind in VOCABULARY.items()
}
BOUNDS = ("min_value", "max_value")


def expectation(expect: str, **arguments: object) -> Expectation:
    given = {"table": "rows.parquet", "reason": "It matters to these tests.", **arguments}
    return Expectation.model_validate({"expect": expect, **given})


def taken(expect: str) -> set[str]:
    """Everything that an expectation takes."""
    kind = VOCABULARY[expect]
    return {name for choices in kind.needs for name in choices} | {*kind.takes}


def test_every_argument_is_taken_by_something():
    assert (
        set(SAMPLES) == set(ARGUMENTS) == {name for expect in VOCABULARY for name in taken(expect)}
    )


@pytest.mark.parametrize("expect", VOCABULARY)
class TestEach:
    def test_takes_its_arguments(self, expect):
        given = {name: SAMPLES[name] for name in taken(expect)}
        found = expectation(expect, **given)
        assert found.severity == "error"
        assert set(arguments(found)) == taken(expect)

    def test_needs_some_of_them(self, expect):
        for choices in VOCABULARY[expect].needs:
            given = {k: v for k, v in NEEDED[expect].items() if k not in choices}
            with pytest.raises(ValueError, match=f"{expect} needs {' or '.join(choices)}"):
                expectation(expect, **given)

    def test_takes_no_others(self, expect):
        for name in set(ARGUMENTS) - taken(expect):
            with pytest.raises(ValueError, match=f"{expect} takes no {name}"):
                expectation(expect, **NEEDED[expect], **{name: SAMPLES[name]})

    def test_is_explained_to_a_reader(self, expect):
        assert f"`{expect}`" in DOCS.read_text()


BETWEEN = "expect_column_values_to_be_between"


@pytest.mark.parametrize(
    ("expect", "argument", "said"),
    [
        ("expect_column_values_to_be_in_set", {"value_set": []}, "value_set"),
        ("expect_compound_columns_to_be_unique", {"column_list": ["a"]}, "column_list"),
        ("expect_table_columns_to_match_set", {"column_set": []}, "column_set"),
        (BETWEEN, {"min_value": float("inf")}, "min_value"),
        (BETWEEN, {"min_value": float("nan")}, "min_value"),
        (BETWEEN, {"min_value": 2, "max_value": 1}, "min_value 2 is greater than max_value 1"),
        (BETWEEN, {"min_value": 1, "max_value": 1, "strict_min": True}, "nothing lies between"),
        (BETWEEN, {"min_value": 0, "strict_max": True}, "strict_max needs max_value"),
        (BETWEEN, {"mostly": 0}, "mostly"),
        (BETWEEN, {"mostly": 1.1}, "mostly"),
        ("expect_column_values_to_match_regex", {"regex": "("}, "regex is not valid"),
        ("expect_table_row_count_to_equal", {"value": -1}, "value"),
        ("expect_column_pair_values_to_be_equal", {"ignore_row_if": "never"}, "ignore_row_if"),
        ("expect_column_kl_divergence_to_be_less_than",
         {"partition_object": {"values": ["x"], "weights": [0.4]}}, "add up to 0.4"),
        ("expect_column_kl_divergence_to_be_less_than",
         {"partition_object": {"values": ["x", "y"], "weights": [1]}}, "one of the weights"),
        ("expect_column_quantile_values_to_be_between",
         {"quantile_ranges": {"quantiles": [1.5], "value_ranges": [[0, 1]]}}, "between 0 and 1"),
        ("expect_column_quantile_values_to_be_between",
         {"quantile_ranges": {"quantiles": [0.5, 0.6], "value_ranges": [[0, 1]]}}, "one pair"),
        ("expect_column_values_to_be_in_other_table", {"other_table": "../rows.parquet"},
         "other_table"),
    ],
)  # fmt: skip
def test_arguments_that_check_nothing_are_refused(expect, argument, said):
    with pytest.raises(ValueError, match=said):
        expectation(expect, **{**NEEDED[expect], **argument})


@pytest.mark.parametrize(
    "table",
    ["../rows.parquet", "/rows.parquet", "rows.csv", "a//b.parquet", "rows.parquet\n", "",
     "a\\b.parquet", "*.parquet", "a/../b.parquet", ".parquet"],
)  # fmt: skip
def test_a_table_is_a_parquet_file_inside_the_artifact(table):
    with pytest.raises(ValueError, match="table"):
        expectation("expect_table_row_count_to_be_between", min_value=1, table=table)


def test_an_empty_reason_is_refused():
    with pytest.raises(ValueError, match="reason"):
        expectation("expect_table_row_count_to_be_between", min_value=1, reason="")


DECLARED = """\
name: questionnaire
description: A questionnaire, only for these tests.
method: questionnaire
inputs: {}
params: {}
licence: CC-BY-4.0
contract:
  - expect: %s
    table: items.parquet
    column: item
    reason: It matters to these tests.
"""


@pytest.mark.parametrize(
    ("expect", "place", "said"),
    [
        ("expect_column_values_to_be_uniqe", "8:5", "did you mean 'expect_column_values_to_be"),
        ("expect_column_values_to_be_in_set", "8:5", "needs value_set"),
        ("expect_column_values_to_be_unique\n    mostly: all", "9:5", "must be a number"),
        ("expect_column_values_to_be_unique\n    valueset: [a]", "9:5", "did you mean 'value_set'"),
        ("unexpected_rows_expectation", "8:5", "cannot be 'unexpected_rows_expectation'"),
    ],
)  # fmt: skip
def test_a_mistake_is_shown_with_its_place(tmp_path, expect, place, said):
    path = tmp_path / "file.yaml"
    path.write_text(DECLARED % expect)
    document, _ = read(path, "file.yaml")
    assert document is not None
    _, problems = typed(Dataset, document)
    shown = "\n".join(map(str, problems))
    assert f"file.yaml:{place}" in shown
    assert said in shown
