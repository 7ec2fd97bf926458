"""Rows out of tables that strangers wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars
import pytest
from pydantic import ValidationError

from assets.rows import read_rows, row_schema
from assets.sources import hub_rows, rows_file
from assets.sources.rows_file import Params
from assets.sources.table_rows import LINE_BYTES
from registry.errors import MethodError, UsageError

if TYPE_CHECKING:
    from tests.assets.conftest import Build

ROWS = [
    {"prompt": "Why is the sky blue?", "completion": "Light scatters.", "year": 2020},
    {"prompt": "¿Qué hora es?", "completion": "Las tres.", "year": None},
]


def jsonl(path: Path, rows: list[Any]) -> str:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return path.name


def made(build: Build, root: Path, **given: Any) -> tuple[polars.DataFrame, polars.DataFrame]:
    context = build(Params.model_validate(given), root=root)
    rows_file.run(context)
    return read_rows(context.out / "rows.parquet"), read_rows(context.out / "rejected.parquet")


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_both_formats_give_the_same_rows(build: Build, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"rows.{ending}"
    if ending == "jsonl":
        jsonl(path, ROWS)
    else:
        polars.DataFrame(ROWS).write_parquet(path)
    columns = {"completion": "completion", "keep": ["year"]}
    rows, rejected = made(build, tmp_path, path=path.name, columns=columns)
    assert list(rows["prompt"]) == [row["prompt"] for row in ROWS]
    assert list(rows["completion"]) == [row["completion"] for row in ROWS]
    assert list(rows["year"]) == [2020.0, None]
    assert list(rows["line"]) == [1, 2]
    assert set(row_schema()) <= set(rows.columns)
    assert len(rejected) == 0
    assert rows["row_id"].n_unique() == 2


def test_columns_may_have_other_names_and_a_file_may_be_prompts_alone(
    build: Build, tmp_path: Path
) -> None:
    name = jsonl(tmp_path / "x.jsonl", [{"instruction": "Sing.", "output": "La.", "junk": [[1]]}])
    rows, _ = made(build, tmp_path, path=name, columns={"prompt": "instruction"})
    assert rows.row(0, named=True)["prompt"] == "Sing."
    assert rows.row(0, named=True)["completion"] is None


def test_ids_come_from_what_a_row_holds_and_not_from_its_place(
    build: Build, tmp_path: Path
) -> None:
    one = jsonl(tmp_path / "one.jsonl", ROWS)
    other = jsonl(tmp_path / "other.jsonl", ROWS[::-1])
    first, second = (made(build, tmp_path, path=name)[0] for name in (one, other))
    assert set(first["row_id"]) == set(second["row_id"])
    assert set(first["source"]) == {"one.jsonl"}


def test_what_cannot_be_used_is_left_out_with_the_reason(build: Build, tmp_path: Path) -> None:
    rows = [
        {"prompt": "A", "completion": "B", "licence": "CC0-1.0"},
        {"prompt": " ", "completion": "B", "licence": "CC0-1.0"},
        {"prompt": "C", "completion": None, "licence": "CC0-1.0"},
        {"prompt": "A", "completion": "B", "licence": "CC0-1.0"},
        {"prompt": "D", "completion": "E", "licence": "unknown"},
        {"prompt": "F" * 50, "completion": "E", "licence": "cc0-1.0 "},
    ]
    name = jsonl(tmp_path / "rows.jsonl", rows)
    kept, rejected = made(
        build,
        tmp_path,
        path=name,
        columns={"completion": "completion"},
        licences={"column": "licence", "allowed": ["CC0-1.0"]},
        limits={"characters": 40},
    )
    assert list(kept["prompt"]) == ["A"]
    assert dict(zip(rejected["line"], rejected["reason"], strict=True)) == {
        2: "the prompt is empty",
        3: "the completion is empty",
        4: "the same row came before",
        5: "its licence is not one of those that are taken",
        6: "it is longer than 40 characters",
    }
    assert rejected.filter(line=4)["caused_by"][0] == kept["row_id"][0]


def test_empty_lines_and_a_byte_order_mark_do_no_harm(build: Build, tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(b'\xef\xbb\xbf{"prompt": "A"}\r\n\r\n  \n{"prompt": "B"}')
    rows, _ = made(build, tmp_path, path="x.jsonl")
    assert list(rows["line"]) == [1, 4]


GOOD = b'{"prompt": "A"}\n'


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"prompt": "A"', "x.jsonl:2: is not JSON"),
        (b'{"prompt": "caf\xe9"}', "x.jsonl:2: byte 16 is not UTF-8"),
        (GOOD.decode().encode("utf-16"), "x.jsonl:2: byte 1 is not UTF-8"),
        (b"[1, 2]", "x.jsonl:2: is not an object with columns"),
        (b'{"prompts": "A"}', "x.jsonl:2: has no 'prompt'"),
        (b'{"prompt": "A", "prompt": "B"}', "x.jsonl:2: has 'prompt' twice"),
        (b'{"prompt": NaN}', "x.jsonl:2: holds NaN"),
        (b'{"prompt": 7}', "x.jsonl:2: 'prompt' is int, not text"),
        (b'{"prompt": "A\\ud800"}', "x.jsonl:2: 'prompt' holds half a character"),
        (b'{"prompt": ' + b"[" * 50_000 + b"}", "x.jsonl:2: is nested deeper than 32 levels"),
        (b'{"prompt": "' + b"A" * LINE_BYTES + b'"}', "x.jsonl:2: is longer than 4,194,304 bytes"),
        (b"\x00\x01\x02", "x.jsonl:2: is not JSON"),
    ],
    ids=["cut", "latin-1", "utf-16", "list", "column", "twice", "nan", "number", "surrogate",
         "deep", "long", "binary"],
)  # fmt: skip
def test_a_broken_line_is_named(build: Build, tmp_path: Path, line: bytes, message: str) -> None:
    (tmp_path / "x.jsonl").write_bytes(GOOD + line + b"\n" + GOOD)
    with pytest.raises(UsageError) as caught:
        made(build, tmp_path, path="x.jsonl")
    assert message in str(caught.value)


def test_all_broken_lines_are_named_at_once(build: Build, tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(b"{\n" + GOOD + b"}\n" * 100)
    with pytest.raises(UsageError) as caught:
        made(build, tmp_path, path="x.jsonl")
    lines = str(caught.value).split("\n\n")
    assert lines[0].startswith("x.jsonl:1: is not JSON")
    assert lines[1].startswith("x.jsonl:3: is not JSON")
    assert lines[-1] == "20 things to fix"


def test_brackets_inside_text_are_not_depth(build: Build, tmp_path: Path) -> None:
    text = '[[[{{{"\\' * 20
    rows, _ = made(build, tmp_path, path=jsonl(tmp_path / "x.jsonl", [{"prompt": text}]))
    assert rows["prompt"][0] == text


def test_a_kept_column_is_of_one_kind(build: Build, tmp_path: Path) -> None:
    name = jsonl(tmp_path / "x.jsonl", [{"prompt": "A", "k": 1}, {"prompt": "B", "k": "two"}])
    with pytest.raises(UsageError, match="'k' is str, and float in an earlier row"):
        made(build, tmp_path, path=name, columns={"keep": ["k"]})
    name = jsonl(tmp_path / "y.jsonl", [{"prompt": "A", "k": {"deep": 1}}])
    with pytest.raises(UsageError, match="'k' is dict"):
        made(build, tmp_path, path=name, columns={"keep": ["k"]})


@pytest.mark.parametrize("column", ["entry", "task", "row_id", "community", "reason"])
def test_columns_with_a_meaning_cannot_come_from_a_file(column: str) -> None:
    with pytest.raises(ValidationError, match="has a meaning here"):
        Params.model_validate({"path": "x.jsonl", "columns": {"keep": [column]}})


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.jsonl", None, "no such file"),
        ("x.csv", b"prompt\nA\n", "cannot read .csv"),
        ("x.parquet", b"PAR1 not really", "is no Parquet file"),
        ("x.parquet", b"", "is no Parquet file"),
        ("x.jsonl", b"", "no row can be used"),
        ("x.jsonl", b'{"prompt": ""}\n', "since the prompt is empty"),
    ],
)
def test_a_file_that_cannot_be_used_is_an_error(
    build: Build, tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises((UsageError, MethodError), match=message):
        made(build, tmp_path, path=name)


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_too_many_rows_are_refused(build: Build, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"x.{ending}"
    rows = [{"prompt": str(n)} for n in range(5)]
    if ending == "jsonl":
        jsonl(path, rows)
    else:
        polars.DataFrame(rows).write_parquet(path)
    assert len(made(build, tmp_path, path=path.name, limits={"rows": 5})[0]) == 5
    with pytest.raises(UsageError, match="more than 4 rows"):
        made(build, tmp_path, path=path.name, limits={"rows": 4})


def test_a_parquet_column_that_is_not_there_is_named(build: Build, tmp_path: Path) -> None:
    polars.DataFrame({"prompts": ["A"]}).write_parquet(tmp_path / "x.parquet")
    with pytest.raises(UsageError) as caught:
        made(build, tmp_path, path="x.parquet")
    assert "no column 'prompt'" in caught.value.what
    assert "prompts" in caught.value.mend


REVISION = "0123456789abcdef0123456789abcdef01234567"


def hub(**given: Any) -> hub_rows.Params:
    return hub_rows.Params.model_validate(
        {"repository": "some/rows", "revision": REVISION, "files": ["data/x.jsonl"], **given}
    )


def test_a_snapshot_is_read_like_a_file_and_says_where_it_is_from(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    jsonl(tmp_path / "data" / "x.jsonl", ROWS)
    out = tmp_path / "out"
    hub_rows.read_snapshot(hub(), tmp_path, out)
    rows = read_rows(out / "rows.parquet")
    assert set(rows["source"]) == {"some/rows@0123456789ab/data/x.jsonl"}
    assert len(rows) == 2


def test_a_repetition_across_files_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for name in ("x", "y"):
        jsonl(tmp_path / "data" / f"{name}.jsonl", ROWS)
    out = tmp_path / "out"
    hub_rows.read_snapshot(hub(files=["data/x.jsonl", "data/y.jsonl"]), tmp_path, out)
    assert len(read_rows(out / "rows.parquet")) == 2
    assert set(read_rows(out / "rejected.parquet")["reason"]) == {"the same row came before"}


def test_a_file_that_the_revision_lacks_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MethodError, match="no such file"):
        hub_rows.read_snapshot(hub(), tmp_path, tmp_path / "out")


@pytest.mark.parametrize(
    "given",
    [
        {"revision": "main"},
        {"revision": REVISION.upper()},
        {"repository": "rows"},
        {"files": []},
        {"files": ["../x.jsonl"]},
        {"files": ["data/../../x.jsonl"]},
        {"files": ["/x.jsonl"]},
        {"files": ["data/*.jsonl"]},
        {"files": ["data/x.py"]},
    ],
)
def test_what_could_move_or_lead_elsewhere_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        hub(**given)


def test_only_hub_rows_may_reach_the_network() -> None:
    assert hub_rows.method.network
    assert not rows_file.method.network
