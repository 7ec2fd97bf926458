"""Languages and near repetitions of texts, and the picture of what a dataset holds."""

from __future__ import annotations

import polars as pl
import pytest

from assets.quality.plots import draw_table
from assets.quality.texts import texts
from registry.quality.description import describe
from registry.quality.drift import Moved

ENGLISH = "The council met on Tuesday evening and talked about the river and the new school."
GERMAN = "Der Rat traf sich am Dienstagabend und sprach \u00fcber den Fluss und die neue Schule."


def test_languages_are_counted_the_most_frequent_first():
    found = texts.languages([ENGLISH, GERMAN, ENGLISH, "1 + 1", "", "\u2014"])
    assert dict(found) == {"und": 3, "en": 2, "de": 1}
    assert next(iter(found)) == "und"


def test_foreign_texts_are_those_long_enough_to_tell():
    assert texts.foreign([ENGLISH * 2, GERMAN * 2, "nein"], ["en"]) == [False, True, False]
    assert texts.foreign([GERMAN * 2], ["xx"]) == [False]
    assert texts.foreign([], ["en"]) == []


@pytest.mark.parametrize(
    ("given", "causes"),
    [
        ([ENGLISH, GERMAN, ENGLISH], [None, None, 0]),
        ([ENGLISH, ENGLISH.upper() + "  ", GERMAN], [None, 0, None]),
        (["", "", ENGLISH], [None, None, None]),
        ([], []),
    ],
    ids=["the same", "case and spaces", "nothing repeats nothing", "no texts"],
)
def test_near_repetitions_name_the_earlier_text(given, causes):
    assert texts.repeated(given) == causes


def test_a_table_is_described_and_drawn(tmp_path):
    path = tmp_path / "rows.parquet"
    pl.DataFrame({
        "row_id": [f"r{n}" for n in range(20)], "prompt": [f"{ENGLISH} {n}" for n in range(20)],
        "community": ["a", "b"] * 10, "score": [float(n) for n in range(19)] + [float("nan")],
        "held_out": [True] * 5 + [False] * 14 + [None], "parents": [["x", "y"]] * 20,
    }).write_parquet(path)  # fmt: skip
    (table,) = describe(tmp_path)
    columns = {column.name: column for column in table.columns}
    assert (table.rows, table.communities) == (20, {"a": 10, "b": 10})
    assert columns["held_out"].counts == {"false": 14, "true": 5}
    assert columns["held_out"].nulls == 1
    assert (columns["score"].low, columns["score"].high) == (0, 18)
    assert (columns["parents"].low, columns["parents"].high) == (2, 2)
    (text,) = table.texts
    assert (text.column, text.judged, text.languages) == ("prompt", 20, {"en": 20})
    assert text.repeated > 0
    drawn = draw_table(path, table, [Moved(column="score", distance=0.5)])
    assert drawn is not None
    assert drawn.startswith(b"\x89PNG")
    assert drawn == draw_table(path, table, [Moved(column="score", distance=0.5)])


def test_a_table_without_texts_is_described_and_not_drawn(tmp_path):
    path = tmp_path / "rows.parquet"
    pl.DataFrame({"a": []}, schema={"a": pl.Float64}).write_parquet(path)
    (table,) = describe(tmp_path)
    assert (table.rows, table.texts) == (0, ())
    assert draw_table(path, table) is None
