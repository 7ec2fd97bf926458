"""Vectors are stored at length 1, read in order, and never taken for another row's."""

from __future__ import annotations

import numpy
import polars
import pytest

from assets.diversity.features import (
    Description,
    Features,
    read_features,
    shard_path,
    write_description,
    write_shard,
)
from registry.errors import MethodError


@pytest.fixture
def folder(tmp_path):
    """Seven vectors in three shards, each pointing its own way, of length 1 to 7."""
    vectors = numpy.eye(7, dtype=numpy.float32) * numpy.arange(1, 8, dtype=numpy.float32)[:, None]
    sizes, start, lengths = (3, 3, 1), 0, []
    for index, size in enumerate(sizes):
        lengths += list(write_shard(tmp_path, index, vectors[start : start + size]))
        start += size
    rows = {"row_id": [f"r{i}" for i in range(7)], "length": lengths}
    polars.DataFrame(rows).write_parquet(tmp_path / "rows.parquet")
    description = Description(of="gradients", made_with="toy", dimensions=7, shards=sizes)
    write_description(tmp_path, description)
    return tmp_path


def test_vectors_have_length_one_and_lengths_are_kept(folder):
    features = read_features(folder)
    assert numpy.array_equal(features.matrix(), numpy.eye(7, dtype=numpy.float32))
    assert list(features.rows["length"]) == [1, 2, 3, 4, 5, 6, 7]
    assert len(features) == 7


def test_some_are_taken_across_shards_in_the_order_asked(folder):
    taken = read_features(folder).take([6, 0, 4, 0])
    assert taken.argmax(axis=1).tolist() == [6, 0, 4, 0]


def test_a_long_vector_fits_float16(tmp_path):
    assert write_shard(tmp_path, 0, numpy.full((1, 4), 1e6, dtype=numpy.float32)) == [2e6]
    assert numpy.load(shard_path(tmp_path, 0)).tolist() == [[0.5] * 4]


def test_zeros_stay_zeros(tmp_path):
    assert write_shard(tmp_path, 0, numpy.zeros((1, 4), dtype=numpy.float32)) == [0]
    assert numpy.load(shard_path(tmp_path, 0)).tolist() == [[0.0] * 4]


def test_no_rows_are_an_empty_matrix(tmp_path):
    description = Description(of="sentences", made_with="toy", dimensions=4, shards=())
    features = Features(tmp_path, description, polars.DataFrame({"row_id": []}))
    assert features.matrix().shape == (0, 4)


@pytest.mark.parametrize("bad", [numpy.nan, numpy.inf])
def test_a_number_that_is_not_finite_is_refused(tmp_path, bad):
    vectors = numpy.ones((3, 4), dtype=numpy.float32)
    vectors[1, 2] = bad
    with pytest.raises(MethodError, match="vector 1 of shard 0"):
        write_shard(tmp_path, 0, vectors)
    assert not shard_path(tmp_path, 0).exists()


def _cut(folder):
    path = shard_path(folder, 1)
    path.write_bytes(path.read_bytes()[:-3])


def _drop(folder):
    shard_path(folder, 2).unlink()


def _swap(folder):
    shard_path(folder, 0).write_bytes(shard_path(folder, 2).read_bytes())


def _pickle(folder):
    numpy.save(shard_path(folder, 0), numpy.array([{}] * 3), allow_pickle=True)


@pytest.mark.parametrize("spoil", [_cut, _drop, _swap, _pickle])
def test_a_shard_that_is_not_whole_is_named(folder, spoil):
    spoil(folder)
    with pytest.raises(MethodError, match="features/0000"):
        read_features(folder).matrix()


def test_rows_that_do_not_fit_the_vectors_are_refused(folder):
    polars.DataFrame({"row_id": ["r0"]}).write_parquet(folder / "rows.parquet")
    with pytest.raises(MethodError, match="describes 7 vectors"):
        read_features(folder)
