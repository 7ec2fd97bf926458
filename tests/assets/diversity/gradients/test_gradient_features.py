"""Features of gradients: every row has a vector or a reason, whatever happened on the way."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy
import polars
import pytest
import torch

from assets.compute import load_model, save_model
from assets.diversity import gradient_features
from assets.diversity.features import read_features
from assets.diversity.gradient_features import Params
from assets.diversity.gradients import GradientEngine
from assets.rows import read_rows, row_id, row_schema, write_rows
from registry.errors import MethodError, UsageError
from registry.hashing import sha256_file

if TYPE_CHECKING:
    from tests.assets.conftest import Build

SMALL: dict[str, Any] = {"dimensions": 64, "width": 8, "dtype": "float32", "shard_rows": 4}


def make_row(number: int, completion: str, community: str | None = None) -> dict[str, Any]:
    prompt = f"What is {number} + {number}?"
    return {
        "row_id": row_id("test", [prompt, completion]),
        "parents": [f"p{number}"],
        "prompt": prompt,
        "completion": completion,
        "source": "odd" if number % 2 else "even",
        "community": community,
    }


ROWS = [make_row(n, str(2 * n), "north" if n < 3 else None) for n in range(11)]
ROWS[2] = make_row(2, " ")
ROWS[5] = make_row(5, "x" * 150)


@pytest.fixture(scope="module")
def dataset(build: Build) -> Path:
    folder = build(Params()).out
    write_rows(folder / "rows.parquet", ROWS, row_schema())
    return folder


def make(build: Build, dataset: Path, proxy: Path, seed: int = 0, **params: Any) -> Path:
    settings = SMALL | {"max_tokens": 120} | params
    context = build(Params(**settings), inputs={"rows": dataset, "proxy": proxy}, seed=seed)
    gradient_features.run(context)
    return context.out


@pytest.fixture(scope="module")
def made(build: Build, dataset: Path, lively_model: Path) -> Path:
    return make(build, dataset, lively_model)


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): sha256_file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_every_row_has_a_vector_or_a_reason(made: Path) -> None:
    features = read_features(made)
    rejected = read_rows(made / "rejected.parquet")
    assert features.ids == [row["row_id"] for i, row in enumerate(ROWS) if i not in (2, 5)]
    assert rejected["row_id"].to_list() == [ROWS[2]["row_id"], ROWS[5]["row_id"]]
    assert rejected["reason"].to_list() == ["empty completion", "longer than the context"]
    assert rejected["score"].to_list()[0] is None
    assert rejected["score"].to_list()[1] > 150
    assert rejected["caused_by"].to_list() == rejected["row_id"].to_list()
    assert {"prompt", "completion", "source"} <= set(rejected.columns)
    assert features.description.shards == (3, 3, 3)


def test_vectors_are_the_engines_own_at_length_one(made: Path, lively_model: Path) -> None:
    engine = GradientEngine(
        *load_model(lively_model, torch.device("cpu"), "float32"), dimensions=64, width=8
    )
    usable = [row for i, row in enumerate(ROWS) if i not in (2, 5)]
    expected = engine.vectors([(row["prompt"], row["completion"]) for row in usable])
    lengths = numpy.linalg.norm(expected, axis=1)
    features = read_features(made)
    assert numpy.abs(features.matrix() - expected / lengths[:, None]).max() < 2e-3
    assert features.rows["length"].to_list() == pytest.approx(lengths.tolist(), rel=1e-3)


def test_what_a_reader_needs_comes_along(made: Path) -> None:
    rows = read_features(made).rows
    assert rows.columns == [
        "row_id", "parents", "source", "community", "length", "loss", "tokens", "supervised",
    ]  # fmt: skip
    assert rows["community"].to_list()[:3] == ["north", "north", None]
    assert rows["supervised"].to_list()[0] == 2
    assert (rows["loss"] > 0).all()
    headline = json.loads((made / "headline.json").read_text())
    assert headline["rows"] == 9
    assert headline["rows left out"] == 2
    assert (made / "gradients.png").read_bytes().startswith(b"\x89PNG")


def test_what_the_vectors_were_made_with_is_recorded(build, dataset, lively_model, made) -> None:
    said = read_features(made).description.made_with
    assert said == "proxy: factored, width 8, float32, chat template, seed 0"
    other = make(build, dataset, lively_model, engine="full", chat_template=False, seed=3)
    said = read_features(other).description.made_with
    assert said == "proxy: full, float32, plain text, seed 3"


class KilledError(Exception):
    """Stands for the end of the process."""


def test_a_killed_run_goes_on_and_gives_the_same_bytes(
    build: Build, dataset: Path, lively_model: Path, made: Path, monkeypatch
) -> None:
    events = io.StringIO()
    context = build(
        Params(**SMALL | {"max_tokens": 120}),
        inputs={"rows": dataset, "proxy": lively_model},
        events=events,
    )
    real = GradientEngine.gradients
    calls = []

    def dies(self, rows, note=None):
        calls.append(len(rows))
        if len(calls) == 2:
            raise KilledError
        return real(self, rows, note)

    monkeypatch.setattr(GradientEngine, "gradients", dies)
    with pytest.raises(KilledError):
        gradient_features.run(context)
    assert not list(context.out.iterdir())
    gradient_features.run(context)
    assert calls == [3, 3, 3, 3]  # the first part was not made again
    assert digests(context.out) == digests(made)
    noted = [json.loads(line) for line in events.getvalue().splitlines()]
    assert noted[-1]["done"] == noted[-1]["total"] == len(ROWS)
    assert noted[-1]["examples_per_second"] > 0


def test_a_part_without_its_table_is_made_again(
    build: Build, dataset: Path, lively_model: Path, made: Path
) -> None:
    inputs = {"rows": dataset, "proxy": lively_model}
    context = build(Params(**SMALL | {"max_tokens": 120}), inputs=inputs)
    shard = context.work / "features" / "00001.npy"
    shard.parent.mkdir()
    shard.write_bytes(b"half a sha")
    gradient_features.run(context)
    assert digests(context.out) == digests(made)


def test_the_size_of_parts_and_batches_changes_no_vector(
    build: Build, dataset: Path, lively_model: Path, made: Path
) -> None:
    other = read_features(make(build, dataset, lively_model, shard_rows=100, batch_tokens=60))
    first = read_features(made)
    assert other.description.shards == (9,)
    assert numpy.abs(other.matrix() - first.matrix()).max() < 2e-3


def test_a_gradient_that_is_not_finite_is_left_out_with_that_reason(
    build: Build, dataset: Path, lively_model: Path, monkeypatch
) -> None:
    real = GradientEngine.gradients

    def spoils(self, rows, note=None):
        found = real(self, rows, note)
        found.vectors[0, 3] = numpy.inf
        return found

    monkeypatch.setattr(GradientEngine, "gradients", spoils)
    out = make(build, dataset, lively_model)
    rejected = read_rows(out / "rejected.parquet")
    wanted = [ROWS[n]["row_id"] for n in (0, 4, 8)]
    bad = rejected.filter(polars.col("reason") == "gradient not finite")
    assert bad["row_id"].to_list() == wanted
    assert len(read_features(out)) + len(rejected) == len(ROWS)


def test_a_part_of_which_nothing_is_usable_leaves_no_empty_shard(
    build: Build, lively_model: Path
) -> None:
    rows = [make_row(n, "" if n < 4 else "four") for n in range(6)]
    folder = build(Params()).out
    write_rows(folder / "rows.parquet", rows, row_schema())
    out = make(build, folder, lively_model)
    assert read_features(out).description.shards == (2,)
    assert read_features(out).matrix().shape == (2, 64)


def test_no_usable_row_is_an_error_that_counts_the_reasons(build, lively_model) -> None:
    folder = build(Params()).out
    rows = [make_row(1, ""), make_row(2, ""), make_row(3, "x" * 200)]
    write_rows(folder / "rows.parquet", rows, row_schema())
    with pytest.raises(MethodError, match="2 empty completion, 1 longer than the context"):
        make(build, folder, lively_model)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([], "no rows"),
        ([ROWS[0], ROWS[1], ROWS[0]], "stands twice"),
    ],
)
def test_rows_that_cannot_be_told_apart_are_refused(build, lively_model, rows, says) -> None:
    folder = build(Params()).out
    write_rows(folder / "rows.parquet", rows, row_schema())
    with pytest.raises(MethodError, match=says):
        make(build, folder, lively_model)


def test_a_dataset_of_another_kind_is_refused(build, lively_model) -> None:
    folder = build(Params()).out
    write_rows(folder / "rows.parquet", [{"row_id": "a", "prompt": "b"}])
    with pytest.raises(MethodError, match="no column 'completion'"):
        make(build, folder, lively_model)


def test_a_proxy_without_a_template_is_refused_unless_plain_text_is_asked_for(
    build, dataset, lively_model
) -> None:
    model, tokenizer = load_model(lively_model, torch.device("cpu"), "float32")
    tokenizer.chat_template = None
    plain = build(Params()).out
    save_model(model, tokenizer, plain)
    with pytest.raises(UsageError, match="no chat template"):
        make(build, dataset, plain)
    assert len(read_features(make(build, dataset, plain, chat_template=False))) == 9
