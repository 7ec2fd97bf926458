"""A pretrained model from a model hub, at a pinned revision."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from assets.compute import LIBRARIES, Dtype, as_dtype, prepare, save_model
from registry.errors import MethodError
from registry.method import Method
from registry.typed import Frozen

if TYPE_CHECKING:
    from registry.context import Context

_FILES = ["*.safetensors", "*.safetensors.index.json", "*.json", "*.txt", "*.model", "*.jinja"]


class Params(Frozen):
    """Which model, at which revision."""

    repository: str = Field(pattern=r"^[\w.-]+/[\w.-]+$")
    """The repository on the hub, `owner/name`."""
    revision: str = Field(pattern=r"^[0-9a-f]{40}$")
    """The full commit; a branch or tag could move."""
    dtype: Dtype = "bfloat16"
    """The number format of the saved weights."""


def downloaded(
    context: Context, repository: str, revision: str, patterns: Sequence[str], named: str
) -> Path:
    """The files of a repository at a revision; `named` is what an error calls it."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        folder = snapshot_download(
            repository,
            revision=revision,
            allow_patterns=list(patterns),
            local_dir=context.work / "snapshot",
        )
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise MethodError(
            f"{named} could not be downloaded: {error}",
            mend="check the name, the revision and the network, or use a local folder",
        ) from error
    return Path(folder)


def run(context: Context) -> None:
    """Downloads the repository's safetensors at the revision and saves them anew."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    prepare(context)
    params = context.typed(Params)
    context.progress(0, 3)
    named = f"{params.repository} at {params.revision[:12]}"
    folder = downloaded(context, params.repository, params.revision, _FILES, named)
    context.progress(1, 3)
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=as_dtype(params.dtype), trust_remote_code=False, use_safetensors=True
    )
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    context.progress(2, 3)
    save_model(model, tokenizer, context.out)
    context.progress(3, 3)


method = Method(
    name="hub-model",
    kind="model",
    description="A pretrained model from a model hub at a pinned revision.",
    params=Params,
    run=run,
    libraries=(*LIBRARIES, "huggingface_hub"),
    network=True,
)
