"""Each expectation counts exactly the rows that break it, as Great Expectations counts them.

Every count in `ROWS` and of compound uniqueness was compared with Great Expectations 1.24 on
pandas. It differs on purpose where pandas reads NaN as null, where sets are compared as text, where
bounds are floats that round a large integer, and for the lengths of lists.
"""

from __future__ import annotations

import datetime as dt
import math
import struct

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.errors import ContractError, ExitCode
from registry.expectation import Expectation
from registry.quality import EXAMPLES, Verdict, check, require

NAN, INF = math.nan, math.inf


def expectation(expect: str, **arguments: object) -> Expectation:
    given = {"table": "rows.parquet", "reason": "It matters to these tests.", **arguments}
    return Expectation.model_validate({"expect": f"expect_{expect}", **given})


@pytest.fixture
def verdict_on(tmp_path):
    """The verdict on one expectation about a table with the given columns."""

    def verdict(columns, expect, **arguments) -> Verdict:
        pl.DataFrame(columns, strict=False).write_parquet(tmp_path / "rows.parquet")
        (found,) = check(tmp_path, [expectation(expect, **arguments)])
        return found

    return verdict


A = {"column": "a"}

ROWS = [
    # what, values of column a, expectation, arguments, unexpected rows
    ("no nulls", [1, 2], "column_values_to_not_be_null", A, 0),
    ("nulls", [1, None, None], "column_values_to_not_be_null", A, 2),
    ("only nulls", [None, None], "column_values_to_not_be_null", A, 2),
    ("NaN is a value", [1.0, NAN], "column_values_to_not_be_null", A, 0),
    ("no rows", [], "column_values_to_not_be_null", A, 0),
    ("unique", ["x", "y"], "column_values_to_be_unique", A, 0),
    ("every row of a repeated value", ["x", "x", "x", "y"], "column_values_to_be_unique", A, 3),
    ("two repeated values", [1, 1, 2, 2, 3], "column_values_to_be_unique", A, 4),
    ("nulls repeat nothing", ["x", None, None], "column_values_to_be_unique", A, 0),
    ("repeated beside nulls", ["x", "x", None, None], "column_values_to_be_unique", A, 2),
    ("NaN repeats", [NAN, NAN, 1.0], "column_values_to_be_unique", A, 2),
    ("case differs", ["x", "X", "x "], "column_values_to_be_unique", A, 0),
    ("inside", [0.0, 1.0], "column_values_to_be_between", A | {"min_value": 0, "max_value": 1}, 0),
    ("below", [-0.1, 0.5], "column_values_to_be_between", A | {"min_value": 0}, 1),
    ("above", [1.1, 0.5, 7], "column_values_to_be_between", A | {"max_value": 1}, 2),
    ("nulls lie nowhere", [None, 2.0], "column_values_to_be_between", A | {"min_value": 0}, 0),
    ("NaN above a minimum", [NAN, 1.0], "column_values_to_be_between", A | {"min_value": 0}, 1),
    ("NaN below a maximum", [NAN, 1.0], "column_values_to_be_between", A | {"max_value": 1}, 1),
    ("infinities", [INF, -INF], "column_values_to_be_between", A | {"min_value": 0}, 1),
    ("integers", [1, 2, 3], "column_values_to_be_between", A | {"min_value": 2, "max_value": 2}, 2),
    ("large integers", [2**53 + 1], "column_values_to_be_between", A | {"max_value": 2**53}, 1),
    ("tiny bounds", [1e-9, 1e-5], "column_values_to_be_between", A | {"max_value": 1e-7}, 1),
    ("in the set", ["x", "y"], "column_values_to_be_in_set", A | {"value_set": ["x", "y"]}, 0),
    ("outside the set", ["x", "z", "X"], "column_values_to_be_in_set", A | {"value_set": ["x"]}, 2),
    ("nulls are in no set", ["x", None], "column_values_to_be_in_set", A | {"value_set": ["x"]}, 0),
    ("numbers as text", [1, 2], "column_values_to_be_in_set", A | {"value_set": ["1"]}, 1),
    ("truths", [True, False], "column_values_to_be_in_set", A | {"value_set": ["false"]}, 1),
    ("right lengths", ["abc", "ab"], "column_value_lengths_to_be_between", A | {"max_value": 3}, 0),
    ("wrong lengths", ["", "ab"], "column_value_lengths_to_be_between", A | {"min_value": 1}, 1),
    ("letters", ["éé", "日本"], "column_value_lengths_to_be_between", A | {"max_value": 2}, 0),
    ("no length", [None, "a"], "column_value_lengths_to_be_between", A | {"min_value": 1}, 0),
    ("lengths of lists", [[1], []], "column_value_lengths_to_be_between", A | {"min_value": 1}, 1),
    ("matching", ["a1", "b22"], "column_values_to_match_regex", A | {"regex": "^[ab][0-9]+$"}, 0),
    ("not matching", ["a1", "c"], "column_values_to_match_regex", A | {"regex": "[0-9]"}, 1),
    ("found anywhere", ["xax"], "column_values_to_match_regex", A | {"regex": "a"}, 0),
    ("null matches nothing", [None, "a"], "column_values_to_match_regex", A | {"regex": "a"}, 0),
]  # fmt: skip


@pytest.mark.parametrize(
    ("values", "expect", "arguments", "unexpected"),
    [row[1:] for row in ROWS],
    ids=[f"{row[2]}: {row[0]}" for row in ROWS],
)
def test_rows_that_break_it_are_counted(verdict_on, values, expect, arguments, unexpected):
    verdict = verdict_on({"a": values}, expect, **arguments)
    assert verdict.unexpected == unexpected, str(verdict)
    assert verdict.success is (unexpected == 0)
    assert verdict.detail == ""
    assert bool(verdict.examples) is (unexpected > 0)


class TestCompoundUniqueness:
    @pytest.mark.parametrize(
        ("a", "b", "unexpected"),
        [
            (["x", "x", "y"], [1, 2, 1], 0),
            (["x", "x", "x", "y"], [1, 1, 2, 1], 2),
            (["x", "x", "y", "y", "z"], [1, 1, 2, 2, 2], 4),
            ([None, None, "x"], [None, None, 1], 0),
            ([None, None, "x"], [1, 1, 1], 2),
            (["x", "x", None, None], [1, 1, 2, 3], 2),
            (["x", "x"], [None, None], 2),
            (["x|1", "x"], ["2", "1|2"], 0),
            ([], [], 0),
        ],
        ids=["apart", "one pair", "two pairs", "wholly null", "partly null", "hidden by nulls",
             "null in the second", "never joined as text", "no rows"],
    )  # fmt: skip
    def test_counts_every_row_of_a_repeated_pair(self, verdict_on, a, b, unexpected):
        columns = {"a": a, "b": b}
        verdict = verdict_on(columns, "compound_columns_to_be_unique", column_list=["a", "b"])
        assert verdict.unexpected == unexpected

    def test_shows_the_pairs_and_how_often_they_stand(self, verdict_on):
        columns = {"a": ["y", "x", "x", "y", "y"], "b": [1, 2, 2, 1, 1], "c": [1, 2, 3, 4, 5]}
        verdict = verdict_on(columns, "compound_columns_to_be_unique", column_list=["a", "b"])
        assert verdict.unexpected == 5
        assert verdict.examples == ("a=x, b=2, times=2", "a=y, b=1, times=3")

    def test_reads_a_column_called_like_its_own_count(self, verdict_on):
        columns = {"times": [7, 7, 8], "n": [1, 1, 1]}
        verdict = verdict_on(columns, "compound_columns_to_be_unique", column_list=["times", "n"])
        assert verdict.unexpected == 2
        assert verdict.examples[0].startswith("times=7, n=1")


@settings(max_examples=30, deadline=None)
@given(pairs=st.lists(st.tuples(st.sampled_from(["x", "y", None]), st.sampled_from([1, 2, None]))))
def test_uniqueness_agrees_with_counting_by_hand(tmp_path_factory, pairs):
    folder = tmp_path_factory.mktemp("rows", numbered=True)
    schema = {"a": pl.String, "b": pl.Int64}
    pl.DataFrame(pairs, schema=schema, orient="row").write_parquet(folder / "rows.parquet")
    single, compound = check(
        folder,
        [
            expectation("column_values_to_be_unique", column="a"),
            expectation("compound_columns_to_be_unique", column_list=["a", "b"]),
        ],
    )
    keys = [a for a, _ in pairs]
    assert single.unexpected == sum(a is not None and keys.count(a) > 1 for a in keys)
    assert compound.unexpected == sum(p != (None, None) and pairs.count(p) > 1 for p in pairs)


def test_rows_are_believed_and_not_the_statistics_beside_them(tmp_path):
    path = tmp_path / "rows.parquet"
    large, small = (struct.pack("<q", number) for number in (1_000_003, 7))
    pl.DataFrame({"a": [1, 1_000_003, 7]}).write_parquet(path, compression="uncompressed")
    raw = path.read_bytes()
    end = raw.index(large) + len(large)
    path.write_bytes(raw[:end] + raw[end:].replace(large, small))
    assert pl.read_parquet(path)["a"].to_list() == [1, 1_000_003, 7]
    (verdict,) = check(
        tmp_path, [expectation("column_values_to_be_between", column="a", max_value=100)]
    )
    assert verdict.unexpected == 1
    assert verdict.examples == ("a=1000003",)


class TestMean:
    @pytest.mark.parametrize(
        ("values", "bounds", "success", "detail"),
        [
            ([1.0, 2.0], {"max_value": 1.5}, True, "found 1.5 (the mean)"),
            ([1.0, 2.0], {"min_value": 1.6}, False, "found 1.5 (the mean)"),
            ([1.0, None, 2.0], {"min_value": 1.5, "max_value": 1.5}, True, "found 1.5 (the mean)"),
            ([1, 2, 2], {"max_value": 2}, True, "found 1.66667 (the mean)"),
            ([1.0, NAN], {"min_value": 0}, False, "found nan (the mean)"),
            ([1.0, NAN], {"max_value": 9}, False, "found nan (the mean)"),
            ([None, None], {"min_value": 0}, False, "found no values"),
            ([], {"min_value": 0}, False, "found no values"),
        ],
    )
    def test_lies_between_its_bounds(self, verdict_on, values, bounds, success, detail):
        columns = {"a": pl.Series(values, dtype=pl.Float64 if 1 not in values else None)}
        verdict = verdict_on(columns, "column_mean_to_be_between", column="a", **bounds)
        assert (verdict.success, verdict.detail) == (success, detail)
        assert verdict.unexpected == int(not success)


class TestTable:
    @pytest.mark.parametrize(
        ("rows", "bounds", "success"),
        [
            (3, {"min_value": 3, "max_value": 3}, True),
            (3, {"min_value": 4}, False),
            (3, {"max_value": 2}, False),
            (0, {"min_value": 1}, False),
            (0, {"max_value": 1}, True),
        ],
    )
    def test_row_count_lies_between_its_bounds(self, verdict_on, rows, bounds, success):
        columns = {"a": list(range(rows))}
        verdict = verdict_on(columns, "table_row_count_to_be_between", **bounds)
        assert (verdict.success, verdict.detail) == (success, f"found {rows} (rows)")
        assert verdict.unexpected == int(not success)

    @pytest.mark.parametrize(
        ("wanted", "unexpected", "detail"),
        [
            (["a", "b"], 0, ""),
            (["b", "a"], 0, ""),
            (["a"], 1, "the table has the extra column b"),
            (["a", "b", "c"], 1, "the table lacks c"),
            (["a", "c"], 2, "the table has the extra column b, lacks c"),
        ],
    )
    def test_columns_are_exactly_those_named(self, verdict_on, wanted, unexpected, detail):
        columns = {"a": [1], "b": [2]}
        verdict = verdict_on(columns, "table_columns_to_match_set", column_set=wanted)
        assert (verdict.unexpected, verdict.detail) == (unexpected, detail)

    def test_columns_do_not_come_from_the_path(self, tmp_path):
        folder = tmp_path / "user=someone" / "it's [here] *"
        folder.mkdir(parents=True)
        pl.DataFrame({"a": [1]}).write_parquet(folder / "rows.parquet")
        assert check(folder, [expectation("table_columns_to_match_set", column_set=["a"])])[
            0
        ].success


class TestWhatCannotBeChecked:
    def test_a_missing_table_breaks_everything_about_it(self, tmp_path):
        contract = [
            expectation("table_row_count_to_be_between", min_value=0),
            expectation("column_values_to_be_unique", column="a"),
        ]
        for verdict in check(tmp_path, contract):
            assert (verdict.unexpected, verdict.detail) == (1, "the artifact has no such table")
            assert verdict.stops

    @pytest.mark.parametrize("raw", [b"", b"garbage", b"PAR1" + b"\0" * 64 + b"PAR1"])
    def test_a_file_that_is_no_parquet_breaks_it(self, tmp_path, raw):
        (tmp_path / "rows.parquet").write_bytes(raw)
        (verdict,) = check(tmp_path, [expectation("table_row_count_to_be_between", min_value=0)])
        assert verdict.detail == "the table is not a Parquet file that can be read"
        assert str(tmp_path) not in str(verdict)

    @pytest.mark.parametrize(
        ("expect", "arguments"),
        [
            ("column_values_to_not_be_null", {"column": "absent"}),
            ("column_mean_to_be_between", {"column": "absent", "min_value": 0}),
            ("compound_columns_to_be_unique", {"column_list": ["a", "absent"]}),
        ],
    )
    def test_a_missing_column_breaks_it(self, verdict_on, expect, arguments):
        verdict = verdict_on({"a": [1], "b": [2]}, expect, **arguments)
        assert verdict.detail == "the table has no column absent; it has a, b"
        assert verdict.stops

    @pytest.mark.parametrize(
        ("values", "expect", "arguments", "detail"),
        [
            (["1"], "column_values_to_be_between", {"min_value": 0}, "a is VARCHAR"),
            ([True], "column_values_to_be_between", {"min_value": 0}, "a is BOOLEAN"),
            (["1"], "column_mean_to_be_between", {"min_value": 0}, "a is VARCHAR"),
            ([1], "column_value_lengths_to_be_between", {"min_value": 0}, "a is BIGINT"),
            ([1], "column_values_to_match_regex", {"regex": "1"}, "a is BIGINT"),
            (
                ["a"],
                "column_values_to_match_regex",
                {"regex": "(?=a)"},
                "must be one that RE2 reads",
            ),
        ],
    )
    def test_values_of_another_type_break_it(self, verdict_on, values, expect, arguments, detail):
        verdict = verdict_on({"a": values}, expect, column="a", **arguments)
        assert verdict.stops
        assert verdict.detail.startswith("cannot be checked: ")
        assert detail in verdict.detail

    def test_the_mean_of_dates_is_no_number(self, verdict_on):
        columns = {"a": [dt.date(2026, 11, 23)]}
        verdict = verdict_on(columns, "column_mean_to_be_between", column="a", min_value=0)
        assert verdict.stops
        assert "no number" in verdict.detail

    def test_one_that_cannot_be_checked_hides_no_other(self, tmp_path):
        pl.DataFrame({"a": ["x", "x"], "b": [1, 5]}).write_parquet(tmp_path / "rows.parquet")
        contract = [
            expectation("column_values_to_be_unique", column="a"),
            expectation("column_values_to_be_between", column="a", min_value=0),
            expectation("column_values_to_be_between", column="b", max_value=3),
            expectation("table_row_count_to_be_between", min_value=1),
        ]
        assert [verdict.unexpected for verdict in check(tmp_path, contract)] == [2, 1, 1, 0]


class TestExamples:
    def test_show_whole_rows(self, verdict_on):
        columns = {"id": ["r1", "r2"], "a": [0.5, 1.5]}
        verdict = verdict_on(columns, "column_values_to_be_between", column="a", max_value=1)
        assert verdict.examples == ("a=1.5, id=r2",)

    def test_put_the_rows_id_and_the_column_in_question_first(self, verdict_on):
        columns = {"b": [1, 2], "a": [0.5, 1.5], "row_id": ["r1", "r2"]}
        verdict = verdict_on(columns, "column_values_to_be_between", column="a", max_value=1)
        assert verdict.examples == ("row_id=r2, a=1.5, b=2",)
        assert verdict.rows == ("r2",)

    def test_are_the_first_few_only(self, verdict_on):
        columns = {"a": list(range(100))}
        verdict = verdict_on(columns, "column_values_to_be_between", column="a", max_value=9)
        assert verdict.unexpected == 90
        assert verdict.examples == tuple(f"a={n}" for n in range(10, 10 + EXAMPLES))

    def test_of_repeated_values_say_how_often(self, verdict_on):
        columns = {"a": ["x", "y", "x", "x", "z", "z"]}
        verdict = verdict_on(columns, "column_values_to_be_unique", column="a")
        assert verdict.examples == ("a=x, times=3", "a=z, times=2")

    def test_are_cut_where_a_value_is_long(self, verdict_on):
        columns = {"a": ["f" * 64]}
        verdict = verdict_on(columns, "column_value_lengths_to_be_between", column="a", max_value=9)
        assert verdict.examples == ("a=" + "f" * 59 + "…",)

    def test_hold_nothing_that_a_terminal_obeys(self, verdict_on):
        columns = {"a": ["\x1b[31mred\r\nnext\u202e"]}
        verdict = verdict_on(columns, "column_values_to_be_in_set", column="a", value_set=["x"])
        assert verdict.examples == ("a=\ufffd[31mred next\ufffd",)


HOSTILE = [
    'a"b',
    "a'b",
    "a;b",
    'drop table "x"; --',
    "a b",
    "select",
    "1",
    "日本",
    "a\\b",
    "%s",
    "{x}",
]


class TestHostileNames:
    @pytest.mark.parametrize("name", HOSTILE)
    def test_of_columns_are_only_names(self, verdict_on, name):
        columns = {name: ["x", "x", "y"]}
        assert verdict_on(columns, "column_values_to_be_unique", column=name).unexpected == 2
        assert verdict_on(columns, "column_values_to_not_be_null", column=name).unexpected == 0
        assert verdict_on(columns, "column_values_to_be_in_set", column=name,
                          value_set=["x"]).unexpected == 1  # fmt: skip
        assert verdict_on(columns, "column_value_lengths_to_be_between", column=name,
                          max_value=0).unexpected == 3  # fmt: skip

    @pytest.mark.parametrize("value", [*HOSTILE, "'", "''", "') or true --", "\\'", "\n"])
    def test_of_values_are_only_values(self, verdict_on, value):
        columns = {"a": [value, "another"]}
        verdict = verdict_on(columns, "column_values_to_be_in_set", column="a", value_set=[value])
        assert verdict.examples == ("a=another",)

    def test_in_a_regex_are_only_letters(self, verdict_on):
        verdict = verdict_on(
            {"a": ["it's", "x"]}, "column_values_to_match_regex", column="a", regex="^it's$"
        )
        assert verdict.unexpected == 1


CONTRACT = [
    expectation("column_values_to_be_unique", column="a"),
    expectation("column_mean_to_be_between", column="b", max_value=1, severity="warning"),
    expectation("table_row_count_to_be_between", table="deep/more.parquet", min_value=1),
]


class TestContract:
    @pytest.fixture
    def files(self, tmp_path):
        (tmp_path / "deep").mkdir()
        pl.DataFrame({"a": [1, 1], "b": [5.0, 6.0]}).write_parquet(tmp_path / "rows.parquet")
        pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "deep" / "more.parquet")
        return tmp_path

    def test_that_is_empty_promises_nothing(self, tmp_path):
        assert check(tmp_path / "absent", []) == ()

    def test_has_one_verdict_for_each_expectation_in_its_order(self, files):
        verdicts = check(files, CONTRACT)
        assert [v.expectation for v in verdicts] == CONTRACT
        assert [v.success for v in verdicts] == [False, False, True]

    def test_stops_on_errors_and_not_on_warnings(self, files):
        assert [verdict.stops for verdict in check(files, CONTRACT)] == [True, False, False]
        require(check(files, CONTRACT[1:]), "rows", files)

    def test_that_is_broken_says_what_why_and_where_to_look(self, files):
        with pytest.raises(ContractError) as caught:
            require(check(files, CONTRACT), "rows@age-22-34", files)
        assert caught.value.exit_code == ExitCode.CHECKS_FAILED == 1
        assert str(caught.value) == (
            "rows@age-22-34: the contract is broken:\n"
            "  - error: expect_column_values_to_be_unique(column=a) in rows.parquet: "
            "2 rows break it\n"
            "    why: It matters to these tests.\n"
            "      a=1, times=2\n"
            "  why: nothing downstream is made from rows that break their contract; "
            "the artifact that stood there before is untouched\n"
            f"  mend: look at the rows in {files}, then mend the method, its inputs or the contract"
        )

    def test_leaves_its_verdicts_in_the_manifest(self, files):
        unique, mean, _ = (verdict.to_result() for verdict in check(files, CONTRACT))
        assert unique.model_dump() == {
            "expect": "expect_column_values_to_be_unique",
            "table": "rows.parquet",
            "arguments": {"column": "a"},
            "severity": "error",
            "reason": "It matters to these tests.",
            "success": False,
            "unexpected": 2,
            "found": "",
            "rows": (),
        }
        assert mean.arguments == {"column": "b", "max_value": 1.0}
        assert (mean.severity, mean.found) == ("warning", "found 5.5 (the mean)")
