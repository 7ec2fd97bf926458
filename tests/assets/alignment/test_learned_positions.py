"""On a CPU only what is learned from is scored, and the loss and its gradient stay the same."""

from __future__ import annotations

import pytest
import torch
import trl.trainer.utils
from trl.trainer.utils import add_fused_lm_head

from assets.alignment.learned_positions import only_learned_positions
from assets.compute import load_weights

LABELS = [[-100, -100, 7, 9, -100], [-100, -100, -100, -100, 11]]


@pytest.fixture
def model(small_model):
    found, _ = load_weights(small_model, torch.device("cpu"), "float32")
    add_fused_lm_head(found, outputs=("log_probs", "entropy"))
    return found


@pytest.fixture
def scored(monkeypatch) -> list[int]:
    """How many positions were scored, each time."""
    counts: list[int] = []
    function = trl.trainer.utils._ChunkedLogProbFunction

    class Counting:
        @staticmethod
        def apply(hidden, *rest):
            counts.append(len(hidden))
            return function.apply(hidden, *rest)

    monkeypatch.setattr(trl.trainer.utils, "_ChunkedLogProbFunction", Counting)
    return counts


def learned(model, labels: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss and gradient of the output layer."""
    model.zero_grad()
    ids = torch.arange(10).reshape(2, 5) + 3
    found = model(input_ids=ids, labels=torch.tensor(labels), fused_lm_head=True)
    found.loss.backward()
    return found.loss.detach(), model.get_output_embeddings().weight.grad.clone()


def test_three_of_eight_positions_are_scored_with_the_same_loss_and_gradient(model, scored):
    loss, gradient = learned(model, LABELS)
    with only_learned_positions():
        same, also = learned(model, LABELS)
    assert scored == [8, 3]
    assert same == pytest.approx(loss.item(), abs=1e-6)
    assert torch.allclose(gradient, also, atol=1e-6)


def test_a_batch_from_which_nothing_is_learned_costs_nothing_and_moves_nothing(model):
    with only_learned_positions():
        loss, gradient = learned(model, [[-100] * 5] * 2)
    assert loss == 0
    assert not gradient.any()


def test_trl_is_left_as_it_was_also_after_an_error():
    before = trl.trainer.utils._use_triton

    def fail() -> None:
        with only_learned_positions():
            assert trl.trainer.utils._use_triton(torch.device("cpu"))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert trl.trainer.utils._use_triton is before
    assert not before(torch.device("cpu"))
