"""Why a row is in, or out."""

from __future__ import annotations

import polars as pl
import pytest

from tests.conftest import Folder


@pytest.fixture
def rows(toy: Folder) -> Folder:
    """A made artifact with a row, a row left out because of it, and a row made from it."""
    files = toy.root / "data" / "words" / "files"
    files.mkdir(parents=True, exist_ok=True)
    pl.DataFrame({"row_id": ["a", "c"], "parents": [[], ["a"]]}).write_parquet(
        files / "rows.parquet"
    )
    left = {"row_id": ["b"], "reason": ["repeats another row"], "score": [1.0], "caused_by": ["a"]}
    pl.DataFrame(left).write_parquet(files / "rejected.parquet")
    pl.DataFrame({"row_id": ["a", "b"], "exact_1": [0, 1]}).write_parquet(files / "scores.parquet")
    return toy


def test_a_row_leads_to_where_it_stands_and_what_was_made_from_it(rows: Folder) -> None:
    first, child = rows.chorus("lineage", "explain", "a", "--json").json["standings"]
    assert (first["node"], first["table"], first["reason"]) == ("words", "rows.parquet", "")
    assert (child["row"], child["parents"]) == ("c", ["a"])


def test_a_row_that_was_left_out_says_why(rows: Folder) -> None:
    done = rows.chorus("lineage", "explain", "b")
    assert " ".join(done.out.split()) == (
        "left out words: rejected.parquet repeats another row, score 1, because of a"
    )


@pytest.mark.parametrize("row", ["nowhere", "' or 1=1 --", ""])
def test_a_row_that_stands_nowhere_is_an_error(row: str, rows: Folder) -> None:
    done = rows.chorus("lineage", "explain", "--", row, expect=2)
    assert "no table of a made artifact names the row" in done.err


def test_a_damaged_table_is_an_error(rows: Folder) -> None:
    (rows.root / "data" / "words" / "files" / "rows.parquet").write_bytes(b"PAR1")
    done = rows.chorus("lineage", "explain", "a", expect=2)
    assert "words: rows.parquet: is not a Parquet file" in done.err
