"""Rows on disk, and filters that are run over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import polars as pl
import pytest

from assets.diversity.features import Description, write_description, write_shard
from assets.diversity.row_filter import Params, run
from assets.rows import ROWS, row_schema, write_rows
from registry.context import Context, Input, ProfileView
from tests.assets.conftest import Build


def row(number: int | str, prompt: str, completion: str = "", **more: Any) -> dict[str, Any]:
    """A row with the columns that every dataset has."""
    return {
        "row_id": f"row-{number}",
        "parents": [],
        "prompt": prompt,
        "completion": completion,
        "source": "test",
        "community": None,
        **more,
    }


def dataset(folder: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Writes rows as a dataset's files."""
    extra = {name: None for one in rows for name in one if name not in row_schema()}
    schema = {**row_schema(), **extra}
    folder.mkdir(parents=True, exist_ok=True)
    write_rows(folder / ROWS, rows, schema)
    return folder


def features(folder: Path, ids: Sequence[str], vectors: Any, encoder: str = "encoder") -> Path:
    """Writes vectors as an artifact of features, in two shards."""
    vectors = np.asarray(vectors, dtype=np.float32)
    folder.mkdir(parents=True, exist_ok=True)
    half = (len(ids) + 1) // 2
    lengths = [write_shard(folder, 0, vectors[:half]), write_shard(folder, 1, vectors[half:])]
    rows = pl.DataFrame({"row_id": ids, "length": np.concatenate(lengths)})
    rows.write_parquet(folder / ROWS)
    description = Description(
        of="sentences",
        made_with=encoder,
        dimensions=vectors.shape[1],
        shards=(half, len(ids) - half),
    )
    write_description(folder, description)
    return folder


class Filter(Protocol):
    """Runs a filter and returns its context; the artifact lies in `out`."""

    def __call__(
        self,
        rows: Sequence[Mapping[str, Any]] | Path,
        *steps: Mapping[str, Any],
        rank_by: Sequence[str] = (),
        profiles: Sequence[ProfileView] = (),
        community: str | None = None,
        **inputs: Path,
    ) -> Context: ...


@pytest.fixture
def run_filter(build: Build, tmp_path: Path) -> Filter:
    count = iter(range(100))

    def filtered(
        rows: Sequence[Mapping[str, Any]] | Path,
        *steps: Mapping[str, Any],
        rank_by: Sequence[str] = (),
        profiles: Sequence[ProfileView] = (),
        community: str | None = None,
        **inputs: Path,
    ) -> Context:
        files = rows if isinstance(rows, Path) else dataset(tmp_path / f"rows-{next(count)}", rows)
        params = Params.model_validate({"steps": steps, "rank_by": rank_by})
        context = build(params, inputs={"rows": files, **inputs}, profiles=profiles)
        if community:
            context = Context(**{**vars(context), "community": community})
        run(context)
        return context

    return filtered


def kept(context: Context) -> list[str]:
    """Ids of the rows that were kept."""
    return pl.read_parquet(context.out / ROWS)["row_id"].to_list()


def left_out(context: Context) -> dict[str, dict[str, Any]]:
    """Reason, score and cause of the rows that were left out."""
    rows = pl.read_parquet(context.out / "rejected.parquet").to_dicts()
    return {one["row_id"]: one for one in rows}


def given(name: str, files: Path) -> Input:
    """An input under a name of its own."""
    return Input(name, None, files)


def profile(name: str, folder: Path, **fields: Any) -> ProfileView:
    """What a filter sees of a value profile."""
    return ProfileView(name, name, folder, (), fields)
