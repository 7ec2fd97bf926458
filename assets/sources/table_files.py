"""A table by its path: a file, or chosen files of a folder as benchmarks are handed out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from registry.errors import UsageError

ENDINGS = (".jsonl", ".parquet")
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]*\.(jsonl|parquet)$")]


def table_files(root: Path, path: str, files: tuple[str, ...]) -> dict[str, Path]:
    """The tables to read, by the name that they are shown as.

    Raises:
        UsageError: Where a folder holds several tables and none is chosen (they are often a part to
            learn from and a part to be measured on), or a chosen one is not there.
    """
    found = root / path
    if not found.is_dir():
        if files:
            raise UsageError(
                "is no folder, so `files` names nothing", where=path, mend="leave `files` out"
            )
        return {path: found}
    tables = sorted(one.name for one in found.iterdir() if one.suffix in ENDINGS)
    if not tables:
        raise UsageError(f"holds no {' or '.join(ENDINGS)} file", where=path, mend="check the path")
    if lacking := [name for name in files if name not in tables]:
        raise UsageError(f"holds no {lacking[0]}", where=path, mend="it holds " + ", ".join(tables))
    if not files and len(tables) > 1:
        raise UsageError(
            f"holds {len(tables)} tables: {', '.join(tables)}",
            where=path,
            why="what is learned from and what is measured on must not be mixed",
            mend="name those to read, as `files`",
        )
    return {f"{path.rstrip('/')}/{name}": found / name for name in files or tables}
