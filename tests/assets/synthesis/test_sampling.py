"""Drawing tokens: known distributions, filters like everybody's, and one number a token."""

from __future__ import annotations

import pytest
import torch

from assets.synthesis.sampling import Sampling, draw, log_probabilities, seed_of, uniforms

KNOWN = (0.5, 0.3, 0.15, 0.05)


def shares(sampling: Sampling, probabilities: tuple[float, ...] = KNOWN, draws: int = 1000):
    """How often each token comes when the numbers are spread evenly over [0, 1)."""
    logits = torch.tensor(probabilities).log().expand(draws, -1)
    numbers = (torch.arange(draws) + 0.5) / draws
    counted = torch.bincount(draw(logits, numbers, sampling), minlength=len(probabilities))
    return (counted / draws).tolist()


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        (Sampling(), KNOWN),
        (Sampling(temperature=0), (1, 0, 0, 0)),
        (Sampling(top_k=2), (0.625, 0.375, 0, 0)),
        (Sampling(top_k=99), KNOWN),
        (Sampling(top_p=0.79), (0.625, 0.375, 0, 0)),
        (Sampling(top_p=0.81), (0.5 / 0.95, 0.3 / 0.95, 0.15 / 0.95, 0)),
        (Sampling(top_p=0.01), (1, 0, 0, 0)),
        (Sampling(min_p=0.29), (0.5 / 0.95, 0.3 / 0.95, 0.15 / 0.95, 0)),
        (Sampling(min_p=0.31), (0.625, 0.375, 0, 0)),
        (Sampling(min_p=1), (1, 0, 0, 0)),
        # squares .25, .09, .0225, .0025 of .365
        (Sampling(temperature=0.5), (0.6849, 0.2466, 0.0616, 0.0068)),
        # top_p counts within what top_k left: .5/.8 alone reaches .6
        (Sampling(top_k=2, top_p=0.6), (1, 0, 0, 0)),
    ],
)
def test_tokens_come_as_often_as_they_should(
    sampling: Sampling, expected: tuple[float, ...]
) -> None:
    assert shares(sampling) == pytest.approx(expected, abs=0.002)


@pytest.mark.parametrize("size", [3, 255, 256, 257, 1000, 70_000])
@pytest.mark.parametrize("number", [0.0, 0.5, 1 - 2**-24])
def test_the_number_is_the_place_in_the_cumulated_distribution(size: int, number: float) -> None:
    logits = torch.randn(4, size, generator=torch.manual_seed(1))
    found = draw(logits, torch.full((4,), number), Sampling())
    reached = logits.double().softmax(-1).cumsum(-1)
    for row, token in enumerate(found.tolist()):
        before = reached[row, token - 1].item() if token else 0.0
        assert before - 1e-6 <= number <= reached[row, token].item() + 1e-6


@pytest.mark.parametrize("sampling", [Sampling(min_p=0.2), Sampling(top_p=0.5), Sampling(top_k=1)])
@pytest.mark.parametrize("number", [0.0, 1 - 2**-24])
def test_what_may_not_be_drawn_is_never_drawn(sampling: Sampling, number: float) -> None:
    logits = torch.full((1, 5000), -30.0)
    logits[0, 2500] = 0.0
    assert draw(logits, torch.tensor([number]), sampling).item() == 2500


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(temperature=1.7, top_p=0.97),
        Sampling(top_p=0.9, min_p=0.02),
        Sampling(top_k=40, top_p=0.8),
        Sampling(top_k=7, min_p=0.1),
        Sampling(temperature=2, min_p=0.1),
    ],
)
@pytest.mark.parametrize("width", [0.1, 3.0])
def test_the_filters_keep_what_those_of_transformers_keep(sampling: Sampling, width: float) -> None:
    from transformers.generation import logits_process as theirs

    logits = torch.randn(2, 1500, generator=torch.manual_seed(2)) * width
    steps = [theirs.TemperatureLogitsWarper(sampling.temperature)]
    steps += [theirs.TopKLogitsWarper(sampling.top_k)] if sampling.top_k else []
    steps += [theirs.TopPLogitsWarper(sampling.top_p)] if sampling.top_p < 1 else []
    steps += [theirs.MinPLogitsWarper(sampling.min_p)] if sampling.min_p else []
    expected = logits
    for step in steps:
        expected = step(None, expected)
    draws = 2000
    numbers = (torch.arange(draws) + 0.5) / draws
    for row in range(2):
        found = draw(logits[row].expand(draws, -1), numbers, sampling)
        counted = torch.bincount(found, minlength=1500) / draws
        kept = expected[row].softmax(-1)
        assert not counted[kept == 0].any()
        assert (counted - kept).abs().sum().item() < 2 * (kept > 0).sum().item() / draws + 1e-4


def test_a_row_draws_the_same_whoever_is_beside_it() -> None:
    logits = torch.randn(6, 5000, generator=torch.manual_seed(3))
    logits[1] *= 20  # this row needs few candidates, the flat ones many
    numbers = torch.rand(6, generator=torch.manual_seed(4))
    for sampling in (Sampling(), Sampling(top_p=0.95), Sampling(temperature=2, min_p=0.1)):
        whole = draw(logits, numbers, sampling).tolist()
        alone = [draw(logits[i : i + 1], numbers[i : i + 1], sampling).item() for i in range(6)]
        assert whole == alone


def test_log_probabilities_are_the_models_own() -> None:
    logits = torch.tensor([KNOWN, KNOWN]).log() + 3
    found = log_probabilities(logits, torch.tensor([0, 3])).exp().tolist()
    assert found == pytest.approx([0.5, 0.05])


def test_seeds_follow_from_what_is_asked() -> None:
    assert seed_of(0, "row-1") == seed_of(0, "row-1")
    assert len({seed_of(s, f"row-{i}") for s in range(3) for i in range(300)}) == 900
    assert all(0 <= seed_of(0, str(i)) < 2**31 for i in range(1000))
    stream = uniforms(7, 1000)
    assert torch.equal(stream[:10], uniforms(7, 10))
    assert stream.min() >= 0
    assert stream.max() < 1
    assert stream.mean().item() == pytest.approx(0.5, abs=0.05)
