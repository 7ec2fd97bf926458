"""Rows kept by community, source and cluster, and the line below which a community may not fall."""

from __future__ import annotations

from pathlib import Path

import polars
import pytest

from assets.diversity.kept import KEPT, LEAST_RATE, kept_by_group, write_kept
from registry.errors import MethodError
from registry.expectation import Expectation
from registry.quality import check

COMMUNITY_LINE = Expectation(
    expect="expect_column_values_to_be_between",
    table=KEPT,
    column="community_rate",
    min_value=LEAST_RATE,
    reason="A community kept at under 0.8 of the overall rate was thinned out.",
)


def table(sizes: dict[str | None, int]) -> polars.DataFrame:
    """Rows of communities, all from one source, `a0`, `a1` and so on."""
    named = [(f"{c}{i}", c, "survey") for c, size in sizes.items() for i in range(size)]
    return polars.DataFrame(named, schema=["row_id", "community", "source"], orient="row")


def test_rates_are_relative_to_all_rows() -> None:
    rows = table({"a": 90, "b": 10})
    kept = [f"a{i}" for i in range(45)] + ["b0", "b1", "b2"]
    found = kept_by_group(rows, kept).to_dicts()
    assert found[0] == {
        "group": "a", "kind": "community", "before": 90, "after": 45, "rate": 0.5,
        "relative_rate": pytest.approx(0.5 / 0.48), "community_rate": pytest.approx(0.5 / 0.48),
    }  # fmt: skip
    assert (found[1]["after"], found[1]["rate"]) == (3, 0.3)
    assert found[1]["relative_rate"] == pytest.approx(0.625)
    assert found[2]["group"] == "survey"
    assert found[2]["relative_rate"] == 1
    assert found[2]["community_rate"] is None


@pytest.mark.parametrize(("after", "holds"), [(8, True), (7, False), (0, False)])
def test_the_contract_stops_a_filter_that_thins_out_a_community(
    tmp_path: Path, after: int, holds: bool
) -> None:
    """100 of 100 rows of a, 8 of 10 of b: b is kept at 0.8148 of the overall rate."""
    rows = table({"a": 100, "b": 10})
    write_kept(tmp_path, rows, [f"a{i}" for i in range(100)] + [f"b{i}" for i in range(after)])
    (verdict,) = check(tmp_path, [COMMUNITY_LINE])
    assert verdict.success is holds
    assert verdict.stops is not holds


def test_a_filter_that_keeps_nothing_fails(tmp_path: Path) -> None:
    write_kept(tmp_path, table({"a": 3}), [])
    assert not check(tmp_path, [COMMUNITY_LINE])[0].success


def test_clusters_are_counted_in_their_order_and_may_be_thinned_out(tmp_path: Path) -> None:
    rows = table({"a": 40})
    clusters = polars.DataFrame(
        {"row_id": rows["row_id"], "cluster": [i // 2 for i in range(40)]},
        schema_overrides={"cluster": polars.Int32},
    )
    found = write_kept(tmp_path, rows, [f"a{i}" for i in range(20)], clusters)
    shown = found.filter(polars.col("kind") == "cluster")
    assert shown["group"].to_list() == [str(i) for i in range(20)]
    assert shown["after"].to_list() == [2] * 10 + [0] * 10
    assert shown["community_rate"].null_count() == 20
    assert check(tmp_path, [COMMUNITY_LINE])[0].success


def test_rows_of_no_community_count_only_in_the_whole() -> None:
    rows = table({"a": 10, None: 10})
    (line,) = kept_by_group(rows, [f"a{i}" for i in range(10)]).filter(
        polars.col("kind") == "community"
    ).to_dicts()  # fmt: skip
    assert (line["group"], line["relative_rate"]) == ("a", 2.0)


def test_no_rows_at_all_are_an_empty_table() -> None:
    found = kept_by_group(table({}), [])
    assert len(found) == 0
    assert found.columns == [
        "group", "kind", "before", "after", "rate", "relative_rate", "community_rate",
    ]  # fmt: skip


def test_a_row_that_was_not_there_is_refused() -> None:
    with pytest.raises(MethodError, match="x9 was kept"):
        kept_by_group(table({"a": 3}), ["x9"])


def test_a_row_that_stands_there_twice_is_refused() -> None:
    rows = polars.concat([table({"a": 3}), table({"a": 1})])
    with pytest.raises(MethodError, match="a0 stands in the table twice"):
        kept_by_group(rows, ["a0"])
