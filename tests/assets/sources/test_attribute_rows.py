"""Labelled statements from files, hostile ones among them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import polars
import pytest
from pydantic import ValidationError

from assets.rows import REJECTED, ROWS, read_rows
from assets.sources import attribute_rows
from assets.sources.attribute_rows import AttributeColumns, Params
from registry.errors import MethodError, UsageError

COLUMNS = ("situation", "statement", "label")


def line(
    situation="lending a boat", statement="Sharing, among neighbours", label="supports", **more
):
    return {"situation": situation, "statement": statement, "label": label, **more}


def make(build, folder: Path, lines, name="rows.csv", **params):
    path = folder / name
    if path.suffix == ".parquet":
        polars.DataFrame(lines).write_parquet(path)
    elif path.suffix == ".jsonl":
        path.write_text("\n".join(json.dumps(one) for one in lines))
    else:
        with path.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, list(lines[0]) if lines else COLUMNS)
            writer.writeheader()
            writer.writerows(lines)
    context = build(Params(path=name, **params), root=folder)
    attribute_rows.run(context)
    return context.out


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl", "rows.parquet"])
def test_every_format_gives_the_same_rows(build, tmp_path, name):
    lines = [line(), line(statement="Thrift", label="Opposes"), line("fishing", label="either")]
    rows = read_rows(make(build, tmp_path, lines, name) / ROWS).to_dicts()
    assert [(r["prompt"], r["statement"], r["label"]) for r in rows] == [
        ("lending a boat", "Sharing, among neighbours", "supports"),
        ("lending a boat", "Thrift", "opposes"),
        ("fishing", "Sharing, among neighbours", "either"),
    ]
    again = make(build, tmp_path, lines, "other.jsonl")
    assert [r["row_id"] for r in rows] == read_rows(again / ROWS)["row_id"].to_list()


def test_columns_and_labels_of_other_names(build, tmp_path):
    lines = [
        {"act": "lending", "vrd": "Care", "valence": "1"},
        {"act": "lending", "vrd": "Fear", "valence": "0"},
    ]
    columns = AttributeColumns(situation="act", statement="vrd", label="valence")
    out = make(build, tmp_path, lines, columns=columns, labels={"1": "supports", "0": "opposes"})
    assert read_rows(out / ROWS)["label"].to_list() == ["supports", "opposes"]


def test_repeated_and_contradicted_rows_and_other_licences_are_left_out(build, tmp_path):
    lines = [
        line(licence="CC0-1.0"), line("Lending  a Boat", licence="cc0-1.0"),
        line(statement="Thrift", licence="CC0-1.0"),
        line(statement="Thrift", label="opposes", licence="CC0-1.0"),
        line("fishing", licence="proprietary"),
    ]  # fmt: skip
    out = make(build, tmp_path, lines, licences={"column": "licence", "allowed": ["CC0-1.0"]})
    assert read_rows(out / ROWS)["line"].to_list() == [2]
    left = {r["line"]: r["reason"] for r in read_rows(out / REJECTED).to_dicts()}
    assert left == {
        3: "the same statement of the situation came before",
        4: "line 5 gives it another label", 5: "line 4 gives it another label",
        6: "its licence is not one of those that are taken",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("lines", "name", "said"),
    [
        ([line(label="maybe")], "rows.csv", "rows.csv:2: has the label 'maybe'"),
        ([line(), line("  ")], "rows.csv", "rows.csv:3: 'situation' is empty"),
        ([line(statement=3)], "rows.jsonl", "'statement' is int, not text"),
        ([line(label=1)], "rows.jsonl", "'label' is int, not text"),
        ([{"situation": "s", "statement": "t"}], "rows.jsonl", "has no 'label'"),
    ],
)
def test_wrong_lines_are_named(build, tmp_path, lines, name, said):
    with pytest.raises(UsageError) as caught:
        make(build, tmp_path, lines, name)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"situation;statement;label\na;b;supports\n", "not semicolons"),
        (b"situation,statement\na,b\n", "has no column 'label'"),
        (b"situation,statement,label,label\na,b,c,d\n", "'label' twice"),
        (b"situation,statement,label\na,b\n", "rows.csv:2: has 2 cells"),
        (b'situation,statement,label\n"a\nb",c\n', "rows.csv:2: has 2 cells"),
        (b'situation,statement,label\n"a,b,c\n', "is no CSV"),
        (b"situation,statement,label\na,\xff,supports\n", "not UTF-8"),
        (b"", "has no column 'situation'"),
    ],
)
def test_what_is_no_table_is_named(build, tmp_path, raw, said):
    (tmp_path / "rows.csv").write_bytes(raw)
    with pytest.raises(UsageError) as caught:
        attribute_rows.run(build(Params(path="rows.csv"), root=tmp_path))
    assert said in str(caught.value)


def test_files_that_are_missing_empty_too_long_or_of_another_kind(build, tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        attribute_rows.run(build(Params(path="none.csv"), root=tmp_path))
    (tmp_path / "rows.xlsx").write_bytes(b"PK")
    with pytest.raises(UsageError, match=r"cannot read \.xlsx"):
        attribute_rows.run(build(Params(path="rows.xlsx"), root=tmp_path))
    with pytest.raises(MethodError, match="no row can be used"):
        make(build, tmp_path, [])
    with pytest.raises(UsageError, match="more than 1 rows"):
        make(build, tmp_path, [line(), line("x")], limits={"rows": 1})


def test_params_that_contradict_themselves_are_refused():
    with pytest.raises(ValidationError, match="named for two things"):
        Params(path="x.csv", columns={"situation": "a", "statement": "a"})
    with pytest.raises(ValidationError, match="differ in their case"):
        Params(path="x.csv", labels={"Yes": "supports", "yes": "opposes"})
