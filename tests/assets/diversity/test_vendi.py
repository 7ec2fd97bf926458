"""The score's known answers, its agreement with the public package, and what it cannot show."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy
import pytest
from vendi_score import vendi as public

from assets.diversity.features import shard_path
from assets.diversity.vendi import (
    Moments,
    Order,
    moments,
    noise_score,
    score,
    spectrum,
    vendi,
    vendi_of_kernel,
)
from registry.errors import MethodError
from tests.assets.diversity.conftest import Planted, Write

pytestmark = pytest.mark.filterwarnings("ignore:Please import `csr_matrix`:DeprecationWarning")
"""The public package still uses a name that scipy renamed."""

ORDERS: tuple[Order, ...] = (0, 0.1, 0.5, 1, 1.5, 2, 7, "inf")


def cloud(rows: int, dimensions: int, seed: int = 0, dtype: Any = numpy.float64) -> Any:
    drawn = numpy.random.default_rng(seed).standard_normal((rows, dimensions))
    return (drawn * numpy.arange(1, dimensions + 1) ** -0.5).astype(dtype)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("dtype", [numpy.float32, numpy.float64])
def test_vectors_at_right_angles_score_their_number(order: Order, dtype: Any) -> None:
    assert vendi(numpy.eye(12, 20, dtype=dtype), order) == pytest.approx(12, rel=1e-6)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("rows", [1, 5, 500])
def test_one_vector_over_and_over_scores_1(order: Order, rows: int) -> None:
    same = numpy.repeat(cloud(1, 40), rows, axis=0)
    assert vendi(same, order) == pytest.approx(1, abs=1e-9)
    streamed = vendi((same.astype(numpy.float32) for _ in range(3)), order)
    assert streamed == pytest.approx(1, abs=1e-4)


def test_two_vectors_at_cosine_one_half_score_1_7548() -> None:
    pair = numpy.array([[1, 0], [0.5, math.sqrt(0.75)]])
    assert vendi(pair) == pytest.approx(1.7548, abs=5e-5)
    assert vendi_of_kernel(numpy.array([[1, 0.5], [0.5, 1]])) == pytest.approx(1.7548, abs=5e-5)


def test_three_clusters_of_one_half_three_tenths_two_tenths_score_2_8001() -> None:
    exact = numpy.repeat(numpy.eye(3, 8), [5, 3, 2], axis=0)
    assert vendi(exact) == pytest.approx(2.8001, abs=5e-5)
    assert vendi(exact, 2) == pytest.approx(1 / (0.25 + 0.09 + 0.04))
    assert vendi(exact, "inf") == pytest.approx(2)


def test_the_packages_own_example_scores_2_1573() -> None:
    kernel = numpy.array([[1, 0.9, 0], [0.9, 1, 0], [0, 0, 1]])
    assert vendi_of_kernel(kernel) == pytest.approx(2.1573, abs=5e-5)
    assert vendi_of_kernel(kernel) == pytest.approx(public.score_K(kernel), rel=1e-12)
    assert vendi_of_kernel(kernel * 7) == pytest.approx(2.1573, abs=5e-5)


@pytest.mark.parametrize(("rows", "dimensions"), [(30, 80), (80, 30), (50, 50)])
@pytest.mark.parametrize("order", [0.5, 1, 2, 7, "inf"])
def test_the_public_package_agrees_to_1e_6(rows: int, dimensions: int, order: Order) -> None:
    """`score_X` ignores its order, so it is compared at order 1 alone."""
    vectors = cloud(rows, dimensions)
    unit = vectors / numpy.linalg.norm(vectors, axis=1, keepdims=True)
    ours = vendi(vectors, order)
    assert ours == pytest.approx(public.score_K(unit @ unit.T, q=order), rel=1e-6)
    assert ours == pytest.approx(vendi_of_kernel(vectors @ vectors.T, order), rel=1e-9)
    if rows > dimensions:
        assert ours == pytest.approx(public.score_dual(vectors, q=order), rel=1e-6)
    if order == 1:
        assert ours == pytest.approx(public.score_X(vectors), rel=1e-6)


def test_scikit_learns_cosines_and_components_agree_to_1e_6() -> None:
    from sklearn.decomposition import TruncatedSVD
    from sklearn.metrics.pairwise import cosine_similarity
    from sklearn.preprocessing import normalize

    vectors = cloud(60, 20)
    assert vendi_of_kernel(cosine_similarity(vectors)) == pytest.approx(vendi(vectors), rel=1e-6)
    parts = TruncatedSVD(19, algorithm="arpack", random_state=0).fit(normalize(vectors))
    largest = numpy.sort(spectrum(vectors))[::-1][:19]
    assert parts.singular_values_**2 / 60 == pytest.approx(largest, rel=1e-6)


@pytest.mark.parametrize("order", ORDERS)
def test_repeating_the_set_or_scaling_vectors_changes_nothing(order: Order) -> None:
    vectors = cloud(25, 30)
    expected = vendi(vectors, order)
    assert vendi(numpy.tile(vectors, (3, 1)), order) == pytest.approx(expected, rel=1e-9)
    lengths = numpy.random.default_rng(1).uniform(1e-3, 1e3, (25, 1))
    assert vendi(vectors * lengths, order) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("order", ORDERS)
def test_blocks_in_any_cut_score_as_the_matrix(order: Order) -> None:
    vectors = cloud(90, 40)
    cut = [vectors[:1], vectors[1:50], vectors[50:]]
    assert vendi(iter(cut), order) == pytest.approx(vendi(vectors, order), rel=1e-9)


def test_orders_fall_from_the_rank_to_the_largest_share() -> None:
    shares = spectrum(cloud(60, 20))
    found = [score(shares, order) for order in ORDERS]
    assert found[0] == 20
    assert found == sorted(found, reverse=True)
    assert score(shares, 1 + 1e-7) == pytest.approx(score(shares, 1), rel=1e-6)
    assert score(shares, 200) == pytest.approx(score(shares, "inf"), rel=0.02)
    assert score(shares, float("inf")) == score(shares, "inf")


def test_float32_in_great_number_agrees_with_float64_to_1e_6() -> None:
    vectors = cloud(20_000, 64, dtype=numpy.float32)
    assert not moments([vectors]).double
    for order in (0.5, 1.0, 2.0):
        ours = vendi(vectors, order)
        assert ours == pytest.approx(vendi(vectors.astype(numpy.float64), order), rel=1e-6)


@pytest.mark.parametrize("dtype", [numpy.float16, numpy.int64])
def test_other_numbers_are_widened_first(dtype: Any) -> None:
    signs = numpy.random.default_rng(0).choice([-1, 1], (17_000, 16))
    expected = vendi(signs.astype(numpy.float64))
    assert vendi(signs.astype(dtype)) == pytest.approx(expected, rel=1e-6)
    axes = numpy.tile(numpy.eye(16), (1100, 1))
    assert vendi(axes.astype(dtype)) == pytest.approx(16, rel=1e-6)


def test_features_are_read_shard_by_shard(write_features: Write, tmp_path: Path) -> None:
    for rows in (20, 200):
        features = write_features(tmp_path / str(rows), cloud(rows, 32), shard=64)
        assert vendi(features) == pytest.approx(vendi(features.matrix()), rel=1e-9)
    shard_path(features.files, 1).unlink()
    with pytest.raises(MethodError, match=r"00001\.npy"):
        vendi(features)


@pytest.mark.parametrize(("rows", "expected"), [(64, 62.1), (256, 226), (1024, 621), (4096, 904)])
def test_noise_in_1024_dimensions_scores_what_is_known(rows: int, expected: float) -> None:
    signs = numpy.random.default_rng(0).choice(
        numpy.array([-1, 1], dtype=numpy.float32), (rows, 1024)
    )
    found = vendi(signs)
    assert found == pytest.approx(expected, rel=0.005)
    assert noise_score(rows, 1024) == pytest.approx(found, rel=0.005)


def test_the_noise_score_is_below_both_bounds() -> None:
    for rows, dimensions in ((1, 10), (10, 10), (10, 1), (10**6, 1024)):
        assert noise_score(rows, dimensions) < min(rows, dimensions)
    assert noise_score(300, 20) == noise_score(20, 300)


def test_leaving_out_a_minority_can_raise_the_score(planted: Planted) -> None:
    """Diversity does not protect who writes much alike."""
    source = numpy.random.default_rng(0)
    many = source.standard_normal((190, 64))
    alike = numpy.repeat(source.standard_normal((1, 64)), 10, axis=0)
    assert vendi(many) > vendi(numpy.concatenate([many, alike]))


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (numpy.zeros((0, 4)), "no vectors"),
        (iter(()), "no vectors"),
        (numpy.ones(4), "no table"),
        (numpy.array([[1, 0], [0, 0], [1, 1.0]]), "vector 1 holds only zeros"),
        (numpy.array([[1, 0], [0, 1], [1, numpy.nan]]), "vector 2 holds a number that is not"),
        (iter([numpy.ones((3, 2)), numpy.zeros((1, 2))]), "vector 3 holds only zeros"),
    ],
)
def test_what_has_no_score_is_named(vectors: Any, message: str) -> None:
    with pytest.raises(MethodError, match=message):
        vendi(vectors)


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        (numpy.ones((2, 3)), "no kernel"),
        (numpy.ones((0, 0)), "no kernel"),
        (numpy.array([[1, 0.5], [0.2, 1]]), "whichever comes first"),
        (numpy.array([[1, 0.5], [0.5, 0]]), "above 0"),
        (numpy.array([[1, 2.0], [2.0, 1]]), "eigenvalue -0.5"),
    ],
)
def test_what_is_no_kernel_is_refused(kernel: Any, message: str) -> None:
    with pytest.raises(MethodError, match=message):
        vendi_of_kernel(kernel)


@pytest.mark.parametrize("order", [-1, math.nan])
def test_what_is_no_order_is_refused(order: float) -> None:
    with pytest.raises(MethodError, match="no order"):
        vendi(numpy.eye(3), order)


def test_moments_do_not_grow_with_the_number_of_vectors() -> None:
    found = Moments(numpy.zeros((8, 8)))
    for seed in range(50):
        found.add(cloud(100, 8, seed))
    assert (found.total.shape, found.rows) == ((8, 8), 5000)
    assert numpy.trace(found.total) == pytest.approx(5000)
