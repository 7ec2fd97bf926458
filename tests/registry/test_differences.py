"""By how much two files differ, with known answers."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import save_file

from registry.differences import difference

ONES = {"a": np.ones((2, 2), "f4"), "b": np.zeros(3, "i8")}


def tensors(folder: Path, before: dict[str, np.ndarray], after: dict[str, np.ndarray]) -> str:
    for name, one in (("before", before), ("after", after)):
        save_file(one, folder / f"{name}.safetensors")
    return difference(folder / "before.safetensors", folder / "after.safetensors")


def test_the_largest_difference_of_any_number_and_its_place(tmp_path: Path) -> None:
    moved = {"a": ONES["a"] + np.array([[0, 0.25], [0, -0.5]], "f4"), "b": ONES["b"] + 3}
    assert tensors(tmp_path, ONES, moved) == "2 of 2 tensors differ, by at most 3 (in b)"
    assert tensors(tmp_path, ONES, moved | {"b": ONES["b"]}) == (
        "1 of 2 tensors differ, by at most 0.5 (in a)"
    )


def test_a_number_that_became_none_is_infinitely_far(tmp_path: Path) -> None:
    lost = ONES | {"a": np.full((2, 2), np.nan, "f4")}
    assert "by at most inf (in a)" in tensors(tmp_path, ONES, lost)


def test_other_tensors_and_other_shapes_are_said(tmp_path: Path) -> None:
    assert "1 tensors are in one of the two only" in tensors(tmp_path, ONES, {"a": ONES["a"]})
    assert "a is F32 [2, 2] in the record, [4] here" in tensors(
        tmp_path, ONES, ONES | {"a": np.ones(4, "f4")}
    )


def bfloat16(path: Path, *values: float) -> Path:
    data = b"".join(struct.pack("<f", value)[2:] for value in values)
    head = f'{{"a":{{"dtype":"BF16","shape":[{len(values)}],"data_offsets":[0,{len(data)}]}}}}'
    path.write_bytes(struct.pack("<Q", len(head)) + head.encode() + data)
    return path


def test_bfloat16_is_widened(tmp_path: Path) -> None:
    paths = (
        bfloat16(tmp_path / "a.safetensors", 1.0, 2.0),
        bfloat16(tmp_path / "b.safetensors", 1.0, 4.0),
    )
    assert difference(*paths) == "1 of 1 tensors differ, by at most 2 (in a)"


def test_rows_that_only_one_table_holds_are_counted_with_repeats(tmp_path: Path) -> None:
    pl.DataFrame({"n": [1, 1, 2]}).write_parquet(tmp_path / "a.parquet")
    pl.DataFrame({"n": [1, 2, 3, 4]}).write_parquet(tmp_path / "b.parquet")
    found = difference(tmp_path / "a.parquet", tmp_path / "b.parquet")
    assert found == "1 rows of the record are not here, and 2 here are not in it"
    pl.DataFrame({"n": [2, 1, 1]}).write_parquet(tmp_path / "c.parquet")
    assert "the same rows" in difference(tmp_path / "a.parquet", tmp_path / "c.parquet")
    pl.DataFrame({"n": [1], "m": [2]}).write_parquet(tmp_path / "d.parquet")
    assert "columns" in difference(tmp_path / "a.parquet", tmp_path / "d.parquet")


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (b"abc", b"abd", "differs from byte 2 on"),
        (b"abc", b"ab", "differs from byte 2 on; 3 bytes in the record, 2 here"),
        (b"", b"x", "differs from byte 0 on; 0 bytes in the record, 1 here"),
        (b"x" * (1 << 20) + b"a", b"x" * (1 << 20) + b"b", "differs from byte 1,048,576 on"),
    ],
)
def test_anything_else_differs_from_a_byte_on(
    before: bytes, after: bytes, said: str, tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(before)
    (tmp_path / "b").write_bytes(after)
    assert difference(tmp_path / "a", tmp_path / "b") == said


@pytest.mark.parametrize("name", ["a.safetensors", "a.parquet"])
def test_what_is_damaged_is_said(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"x")
    (tmp_path / f"other-{name}").write_bytes(b"y")
    assert difference(tmp_path / name, tmp_path / f"other-{name}")
