"""Datasets are joined without losing a row, a column or a reason."""

from __future__ import annotations

import polars
import pytest

from assets.rows import REJECTED, ROWS, row_schema, write_rows
from assets.synthesis import joined_rows
from registry.context import Input
from registry.errors import MethodError


def rows(folder, *texts, **more):
    folder.mkdir()
    found = [
        {"row_id": f"{folder.name}-{text}", "parents": [], "prompt": text, "completion": "x",
         "source": folder.name, "community": None, **more}
        for text in texts
    ]  # fmt: skip
    schema = row_schema() | dict.fromkeys(more, polars.String)
    write_rows(folder / ROWS, found, schema)
    return Input(folder.name, None, folder)


def test_columns_of_all_are_kept_and_texts_stand_once(build, tmp_path):
    given = [rows(tmp_path / "first", "a", "b"), rows(tmp_path / "second", "b", "c", task="gcd")]
    context = build(joined_rows.Params(), inputs={"rows": given})
    joined_rows.run(context)
    kept = polars.read_parquet(context.out / ROWS)
    assert kept.select("row_id", "task").rows() == [
        ("first-a", None), ("first-b", None), ("second-c", "gcd"),
    ]  # fmt: skip
    (left,) = polars.read_parquet(context.out / REJECTED).to_dicts()
    assert (left["row_id"], left["caused_by"]) == ("second-b", "first-b")
    assert left["reason"] == "the same text came before"


def test_datasets_that_do_not_fit_are_refused(build, tmp_path):
    given = [rows(tmp_path / "first", "a"), rows(tmp_path / "second", "b")]
    whole = polars.read_parquet(tmp_path / "second" / ROWS)
    whole.with_columns(parents=polars.lit(3)).write_parquet(tmp_path / "second" / ROWS)
    with pytest.raises(MethodError, match="do not fit together"):
        joined_rows.run(build(joined_rows.Params(), inputs={"rows": given}))


def test_one_id_for_two_texts_is_refused(build, tmp_path):
    given = [rows(tmp_path / "first", "a"), rows(tmp_path / "second", "b")]
    whole = polars.read_parquet(tmp_path / "second" / ROWS)
    whole.with_columns(row_id=polars.lit("first-a")).write_parquet(tmp_path / "second" / ROWS)
    with pytest.raises(MethodError, match="the same row_id"):
        joined_rows.run(build(joined_rows.Params(), inputs={"rows": given}))
