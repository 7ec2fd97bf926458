"""Sentence vectors of rows: in the form of features, with what has no text left out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from assets.diversity import sentence_features
from assets.diversity.features import read_features, shard_path
from assets.diversity.sentence_features import Params
from assets.rows import read_rows, row_id, row_schema, write_rows
from registry.errors import MethodError
from tests.assets.encoders import write_tiny_encoder

if TYPE_CHECKING:
    from registry.context import Context
    from tests.assets.conftest import Build


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_encoder(tmp_path_factory.mktemp("encoders") / "tiny")


def rows(folder: Path, *texts: tuple[str | None, str | None]) -> Path:
    table = [
        {"row_id": row_id("test", [n, p, c]), "parents": [], "prompt": p, "completion": c,
         "source": f"s{n}", "community": None}
        for n, (p, c) in enumerate(texts)
    ]  # fmt: skip
    write_rows(folder / "rows.parquet", table, row_schema())
    return folder


def context(build: Build, encoder: Path, given: Path, **params: Any) -> Context:
    return build(Params(**params), inputs={"rows": given, "encoder": encoder})


TEXTS = [(f"prompt {n}", f"completion {n * n}") for n in range(7)]


def test_every_row_has_its_vector_in_order(build: Build, encoder: Path, tmp_path: Path) -> None:
    made = context(build, encoder, rows(tmp_path, *TEXTS), shard_rows=3)
    sentence_features.run(made)
    found = read_features(made.out)
    assert found.description.shards == (3, 3, 1)
    assert found.description.of == "sentences"
    assert found.description.made_with == "encoder: both"
    assert found.ids == list(read_rows(tmp_path / "rows.parquet")["row_id"])
    assert list(found.rows["source"]) == [f"s{n}" for n in range(7)]
    assert np.linalg.norm(found.matrix(), axis=1) == pytest.approx(1, abs=2e-3)
    assert len(read_rows(made.out / "rejected.parquet")) == 0


def test_the_text_that_is_asked_for_decides(build: Build, encoder: Path, tmp_path: Path) -> None:
    given = rows(tmp_path, ("same", "one"), ("same", "two"))
    for text, alike in (("prompt", True), ("completion", False), ("both", False)):
        made = context(build, encoder, given, text=text)
        sentence_features.run(made)
        vectors = read_features(made.out).matrix()
        assert (vectors[0] == vectors[1]).all() == alike


def test_rows_without_text_are_left_out_with_the_reason(
    build: Build, encoder: Path, tmp_path: Path
) -> None:
    given = rows(tmp_path, ("a", None), ("b", "  "), ("c", "d"), (None, None))
    made = context(build, encoder, given, text="completion")
    sentence_features.run(made)
    assert len(read_features(made.out)) == 1
    rejected = read_rows(made.out / "rejected.parquet")
    assert set(rejected["reason"]) == {"no completion"}
    assert list(rejected["row_id"]) == list(rejected["caused_by"])
    both = context(build, encoder, given)
    sentence_features.run(both)
    assert len(read_features(both.out)) == 3


def test_no_rows_at_all_give_no_vectors(build: Build, encoder: Path, tmp_path: Path) -> None:
    made = context(build, encoder, rows(tmp_path))
    sentence_features.run(made)
    assert len(read_features(made.out)) == 0
    assert read_features(made.out).matrix().shape == (0, 32)


def test_a_text_that_is_cut_is_marked(build: Build, encoder: Path, tmp_path: Path) -> None:
    made = context(build, encoder, rows(tmp_path, ("short", None), ("word " * 200, None)))
    sentence_features.run(made)
    assert list(read_features(made.out).rows["cut"]) == [False, True]


def test_a_killed_run_goes_on_and_gives_the_same(
    build: Build, encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = rows(tmp_path, *TEXTS)
    whole = context(build, encoder, given, shard_rows=3)
    sentence_features.run(whole)
    killed = context(build, encoder, given, shard_rows=3)
    original, asked = sentence_features.encode, []

    def dies(*arguments: Any) -> Any:
        asked.append(arguments[1])
        if len(asked) == 2:
            raise KeyboardInterrupt
        return original(*arguments)

    monkeypatch.setattr(sentence_features, "encode", dies)
    with pytest.raises(KeyboardInterrupt):
        sentence_features.run(killed)
    shard_path(killed.work, 1).write_bytes(b"half a shard")
    sentence_features.run(killed)
    assert len(asked) == 4  # the first shard is not made again
    assert (read_features(killed.out).matrix() == read_features(whole.out).matrix()).all()


def test_rows_of_another_form_are_refused(build: Build, encoder: Path, tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.parquet", [{"row_id": "1", "question": "?"}])
    with pytest.raises(MethodError, match="no column 'prompt'; they have row_id, question"):
        sentence_features.run(context(build, encoder, tmp_path))
