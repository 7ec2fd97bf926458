"""Scores at equal numbers of rows: known answers, honest intervals, the same for a seed."""

from __future__ import annotations

from typing import Any

import numpy
import pytest

from assets.diversity.equal_rows import estimates, growth, seed_of
from assets.diversity.vectors import blocks_of
from assets.diversity.vendi import vendi
from registry.errors import MethodError


def cloud(rows: int, seed: int = 0) -> Any:
    drawn = numpy.random.default_rng(seed).standard_normal((rows, 32))
    return (drawn * numpy.arange(1, 33) ** -0.7).astype(numpy.float32)


def at(vectors: Any, drawn: int, **given: Any) -> Any:
    return estimates(blocks_of(vectors), numpy.arange(len(vectors)), drawn, **given)


def test_all_rows_at_once_score_as_the_whole() -> None:
    vectors = cloud(60)
    for found in at(vectors, 60, orders=(1.0, 2.0, "inf")):
        assert found.score == pytest.approx(vendi(vectors, found.order), rel=1e-6)
        assert found.low < found.score < found.high
        assert (found.rows, found.drawn) == (60, 60)


def test_vectors_at_right_angles_score_the_number_drawn() -> None:
    (found,) = at(numpy.eye(40, 64), 10)
    assert found.score == pytest.approx(10)
    assert found.high == 10


def test_the_same_vector_scores_1_and_is_sure() -> None:
    (found,) = at(numpy.ones((30, 8)), 12)
    assert (found.score, found.low, found.high) == pytest.approx((1, 1, 1))


def test_lengths_change_nothing() -> None:
    vectors = cloud(50)
    scaled = vectors * numpy.random.default_rng(1).uniform(0.5, 2, (50, 1))
    (plain,) = at(vectors, 20)
    raw = blocks_of(scaled, unit=False)
    (other,) = estimates(raw, numpy.arange(50), 20)
    assert other.score == pytest.approx(plain.score, rel=1e-6)


def test_groups_of_one_kind_score_alike_at_equal_numbers_however_many_rows_they_have() -> None:
    (small,), (large,) = at(cloud(100, 1), 100), at(cloud(3000, 2), 100)
    assert vendi(cloud(3000, 2)) > 1.05 * vendi(cloud(100, 1))
    assert small.low < large.score < small.high


def test_the_interval_covers_what_it_should() -> None:
    """Of 60 samples of a known population, about 19 in 20 hold its mean score."""
    expected = numpy.mean([vendi(cloud(80, seed)) for seed in range(1000, 1300)])
    held = 0
    for seed in range(60):
        (found,) = at(cloud(80, seed), 80, resamples=60)
        held += found.low <= expected <= found.high
    assert held >= 51


def test_the_same_seed_gives_the_same_and_names_make_seeds_of_their_own() -> None:
    first, again = (at(cloud(90), 30, seed=seed_of(0, "a", "b"))[0] for _ in range(2))
    assert first == again
    assert at(cloud(90), 30, seed=seed_of(0, "a\0b"))[0] == first
    assert at(cloud(90), 30, seed=seed_of(0, "a", "c"))[0] != first
    assert at(cloud(90), 30, seed=seed_of(1, "a", "b"))[0] != first


def test_many_rows_are_read_draw_by_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    (held,) = at(cloud(300), 50)
    monkeypatch.setattr("assets.diversity.equal_rows._HELD", 10)
    (read,) = at(cloud(300), 50)
    assert read == held


def test_a_score_grows_with_the_rows_up_to_all_of_them() -> None:
    vectors = cloud(200)
    found = growth(blocks_of(vectors), numpy.arange(200), most=1000, draws=2)
    assert [rows for rows, _ in found] == [16, 32, 64, 128, 200]
    scores = [value for _, value in found]
    assert scores == sorted(scores)
    assert scores[-1] == pytest.approx(vendi(vectors), rel=1e-6)


@pytest.mark.parametrize("drawn", [0, 11])
def test_more_rows_than_there_are_cannot_be_drawn(drawn: int) -> None:
    with pytest.raises(MethodError, match=f"{drawn} different rows cannot be drawn from 10"):
        at(cloud(10), drawn)
