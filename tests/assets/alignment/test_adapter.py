"""The split forward pass: both parts together are the model, and only the top learns."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from assets.alignment.adapter import Trunk
from registry.errors import MethodError, UsageError


@pytest.fixture(scope="module")
def llama() -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=97,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        initializer_range=0.3,
    )
    return LlamaForCausalLM(config).eval()


@pytest.mark.parametrize("trained_layers", [0, 1, 3, 4])
def test_both_parts_together_are_the_whole(llama: LlamaForCausalLM, trained_layers: int) -> None:
    prompts = [[5, 6, 7, 8, 9, 10], [11, 12], [13, 14, 15, 16]]
    trunk = Trunk(llama, trained_layers)
    assert trunk.depth == (4 - trained_layers if trained_layers else 0)
    with torch.no_grad():
        parts = trunk.lift(llama, [trunk.hidden(ids) for ids in prompts])
        whole = [llama(input_ids=torch.tensor([ids])).logits[0, -1] for ids in prompts]
    assert torch.allclose(parts, torch.stack(whole), atol=1e-5, rtol=0)
    assert len(llama.model.layers) == 4
    trunk.check(llama, prompts[0])


def test_only_the_layers_above_have_gradients(llama: LlamaForCausalLM) -> None:
    trunk = Trunk(llama, 1)
    loss = trunk.lift(llama, [trunk.hidden([5, 6, 7])]).sum()
    weights = [layer.self_attn.q_proj.weight for layer in llama.model.layers]
    gradients = torch.autograd.grad(loss, weights, allow_unused=True)
    assert [gradient is not None for gradient in gradients] == [False, False, False, True]


def test_more_trained_layers_than_the_model_has_are_refused(llama: LlamaForCausalLM) -> None:
    with pytest.raises(UsageError, match=r"params\.trained_layers is 5; the model has 4 layers"):
        Trunk(llama, 5)


def test_a_model_without_a_stack_of_layers_is_refused() -> None:
    with pytest.raises(MethodError, match="Linear has no stack of decoder layers"):
        Trunk(torch.nn.Linear(2, 2), 1)


def test_a_model_that_cannot_be_split_is_refused(llama: LlamaForCausalLM) -> None:
    class Tilted(LlamaForCausalLM):
        """Adds to its own embeddings, so that lower layers know more than they hand on."""

        def forward(self, input_ids: Any = None, **given: Any) -> Any:
            if input_ids is None:
                return super().forward(**given)
            embedded = self.model.embed_tokens(input_ids) + 3
            return super().forward(inputs_embeds=embedded, **given)

    torch.manual_seed(0)
    model = Tilted(llama.config).eval()
    with pytest.raises(MethodError, match="Tilted cannot be split below its top layers"):
        Trunk(model, 2).check(model, [5, 6, 7, 8])
