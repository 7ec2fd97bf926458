"""Random maps keep inner products in the mean, and no map stands where none is needed."""

from __future__ import annotations

import pytest
import torch

from assets.diversity.gradients.projection import Sketch, generator, orthonormal, signs

SEEDS = 300
CPU = torch.device("cpu")


def _fold(sketch: Sketch, values: torch.Tensor, name: str = "a") -> torch.Tensor:
    fold = sketch.start(len(values))
    fold.add(name, values)
    return fold.result()


@pytest.fixture(scope="module")
def pair() -> torch.Tensor:
    """Two unit vectors with cosine 0.5."""
    source = torch.Generator().manual_seed(1)
    first, second = torch.randn(2, 400, generator=source).double()
    first = first / first.norm()
    second = second - (second @ first) * first
    return torch.stack([first, 0.5 * first + 0.75**0.5 * second / second.norm()]).float()


@pytest.mark.parametrize("draw", [orthonormal, signs])
def test_inner_products_are_right_in_the_mean(draw, pair):
    found = []
    for seed in range(SEEDS):
        shorter = pair @ draw(400, 32, generator(seed, "a"))
        found.append(shorter @ shorter.T)
    mean = torch.stack(found).mean(0)
    # the spread of one seed is at most sqrt(2 / 32), that of the mean over seeds is in reach of it
    assert mean == pytest.approx(
        torch.tensor([[1, 0.5], [0.5, 1]]), abs=4 * (2 / 32 / SEEDS) ** 0.5
    )


@pytest.mark.parametrize("dimensions", [16, 64])
def test_sketches_are_unbiased_with_no_more_spread_than_two_by_d(pair, dimensions):
    found = []
    for seed in range(SEEDS):
        shorter = _fold(Sketch(dimensions, seed, CPU), pair)
        found.append(shorter[0] @ shorter[1])
    found = torch.stack(found)
    assert found.mean() == pytest.approx(0.5, abs=4 * (2 / dimensions / SEEDS) ** 0.5)
    assert found.std() < 1.15 * (2 / dimensions) ** 0.5


def test_a_column_of_outliers_is_spread_over_all_buckets():
    """The trap: 576 x o mod 1024 takes 16 values, so position modulo d would keep 16 buckets."""
    weight = torch.zeros(1536, 576)
    weight[:, 7] = 1
    found = _fold(Sketch(1024, 0, CPU), weight.reshape(1, -1))
    assert (found != 0).sum() > 500


def test_many_blocks_fold_as_few_do():
    """A single row of many blocks goes through a table; with a second row it goes one by one."""
    values = torch.randn(1, 200 * 16 + 5, generator=torch.Generator().manual_seed(0))
    sketch = Sketch(16, 0, CPU)
    one_by_one = _fold(sketch, torch.cat([values, values]))[:1]
    assert torch.allclose(_fold(sketch, values), one_by_one, atol=1e-4)


def test_parts_add_up_and_order_does_not_matter(pair):
    sketch = Sketch(32, 0, CPU)
    fold = sketch.start(2)
    fold.add("b", pair * 2)
    fold.add("a", pair)
    fold.add("a", pair)
    both = 2 * _fold(sketch, pair) + _fold(sketch, pair * 2, "b")
    assert torch.allclose(fold.result(), both, atol=1e-5)


def test_names_and_seeds_draw_apart(pair):
    first = _fold(Sketch(32, 0, CPU), pair)
    assert torch.equal(first, _fold(Sketch(32, 0, CPU), pair))
    assert not torch.equal(first, _fold(Sketch(32, 1, CPU), pair))
    assert not torch.equal(first, _fold(Sketch(32, 0, CPU), pair, "b"))


@pytest.mark.parametrize("draw", [orthonormal, signs])
def test_nothing_is_projected_where_the_width_suffices(draw):
    assert draw(8, 8, generator(0, "a")) is None
    assert draw(8, 9, generator(0, "a")) is None


def test_half_precision_is_folded_in_float32():
    found = _fold(Sketch(4, 0, CPU), torch.ones(1, 4096, dtype=torch.bfloat16))
    assert found.dtype == torch.float32
    assert found.abs().sum() % 1 == 0
