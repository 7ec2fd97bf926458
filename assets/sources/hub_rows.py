"""Prompts and completions from a dataset of a hub, at a pinned revision."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from assets.rows import LIBRARIES
from assets.sources.table_rows import TableParams, read_table, write_table_rows
from registry.errors import MethodError
from registry.method import Method

if TYPE_CHECKING:
    from registry.context import Context

RepositoryFile = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)*\.(jsonl|parquet)$")
]


class Params(TableParams):
    """Which dataset, at which revision, and how it is read."""

    repository: str = Field(pattern=r"^[\w.-]+/[\w.-]+$")
    """The dataset's repository on the hub, `owner/name`."""
    revision: str = Field(pattern=r"^[0-9a-f]{40}$")
    """The full commit; a branch or tag could move."""
    files: tuple[RepositoryFile, ...] = Field(min_length=1)
    """The JSON Lines or Parquet files of the repository to read, in this order."""


def download(params: Params, folder: Path) -> None:
    """Downloads the files of the revision into a folder, and nothing else of the repository."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        snapshot_download(
            params.repository,
            repo_type="dataset",
            revision=params.revision,
            allow_patterns=list(params.files),
            local_dir=folder,
        )
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise MethodError(
            f"{params.repository} at {params.revision[:12]} could not be downloaded: {error}",
            mend="check the name, the revision and the network, or use a file with `rows-file`",
        ) from error


def read_snapshot(params: Params, folder: Path, out: Path) -> None:
    """Reads the files of a downloaded snapshot."""
    named = f"{params.repository}@{params.revision[:12]}"
    tables = {}
    for name in params.files:
        shown = f"{named}/{name}"
        if not (folder / name).is_file():
            raise MethodError("the revision has no such file", where=shown, mend="correct `files`")
        tables[shown] = read_table(folder / name, shown, params)
    write_table_rows(tables, params, out)


def run(context: Context) -> None:
    """Downloads the files and reads them."""
    params = context.typed(Params)
    folder = context.work / "snapshot"
    download(params, folder)
    context.progress(1, 2)
    read_snapshot(params, folder, context.out)
    context.progress(2, 2)


method = Method(
    name="hub-rows",
    kind="dataset",
    description="Prompts and completions from a dataset of a hub at a pinned revision.",
    params=Params,
    run=run,
    libraries=(*LIBRARIES, "huggingface_hub"),
    network=True,
)
