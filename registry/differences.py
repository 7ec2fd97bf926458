"""By how much two files differ that should be the same: tensors, tables, and anything else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

_NUMBERS = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?",
}  # fmt: skip
_CHUNK = 1 << 20


def difference(recorded: Path, made: Path) -> str:
    """What differs between two files, in a few words; a stored one has no name of its own."""
    if made.suffix == ".safetensors":
        return _of_tensors(recorded, made)
    if made.suffix == ".parquet":
        return _of_tables(recorded, made)
    return _of_bytes(recorded, made)


def _of_tensors(recorded: Path, made: Path) -> str:
    """The largest absolute difference of any number, and where it stands."""
    import safetensors

    try:
        read: Any = safetensors.deserialize
        before, after = (dict(read(path.read_bytes())) for path in (recorded, made))
    except safetensors.SafetensorError as error:
        return f"cannot be read as tensors: {error}"
    if before.keys() != after.keys():
        return f"{len(before.keys() ^ after.keys())} tensors are in one of the two only"
    largest, where, count = 0.0, "", 0
    for name in sorted(before):
        one, other = before[name], after[name]
        if (one["dtype"], one["shape"]) != (other["dtype"], other["shape"]):
            return f"{name} is {one['dtype']} {one['shape']} in the record, {other['shape']} here"
        if bytes(one["data"]) == bytes(other["data"]):
            continue
        count += 1
        found = _largest(_array(one), _array(other))
        if not where or found > largest:
            largest, where = found, name
    if not count:
        return "every tensor is the same; names or notes in the header differ"
    return f"{count} of {len(before)} tensors differ, by at most {largest:.3g} (in {where})"


def _array(tensor: dict[str, Any]) -> np.ndarray[Any, Any]:
    """The numbers of a tensor; bfloat16, which numpy does not know, is widened."""
    import numpy as np

    data = bytes(tensor["data"])
    if tensor["dtype"] == "BF16":
        return (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4")
    return np.frombuffer(data, _NUMBERS.get(tensor["dtype"], "u1"))


def _largest(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> float:
    """The largest absolute difference; infinite where one of the two is no number."""
    import numpy as np

    apart = np.abs(one.astype("f8") - other.astype("f8"))
    both_nan = np.isnan(one.astype("f8")) & np.isnan(other.astype("f8"))
    return float(np.nan_to_num(np.where(both_nan, 0.0, apart), nan=np.inf).max(initial=0.0))


def _of_tables(recorded: Path, made: Path) -> str:
    """How many rows are in one of the two only."""
    import duckdb

    with duckdb.connect() as connection:
        connection.execute("set enable_progress_bar = false")
        query = """
            select count(*) from (select * from read_parquet(?) except all
                                  select * from read_parquet(?))
        """
        try:
            counts = [
                connection.execute(query, [str(one), str(other)]).fetchall()[0][0]
                for one, other in ((recorded, made), (made, recorded))
            ]
        except duckdb.Error:
            return "the columns of the two tables differ"
    if not any(counts):
        return "the same rows, written in another order or another way"
    return f"{counts[0]:,} rows of the record are not here, and {counts[1]:,} here are not in it"


def _of_bytes(recorded: Path, made: Path) -> str:
    """The first byte that differs, and both sizes where those do."""
    at, sizes = 0, (recorded.stat().st_size, made.stat().st_size)
    with recorded.open("rb") as one, made.open("rb") as other:
        while (first := one.read(_CHUNK)) == (second := other.read(_CHUNK)) and first:
            at += len(first)
    place = next((i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b),
                 min(len(first), len(second)))  # fmt: skip
    size = "" if sizes[0] == sizes[1] else f"; {sizes[0]:,} bytes in the record, {sizes[1]:,} here"
    return f"differs from byte {at + place:,} on{size}"
