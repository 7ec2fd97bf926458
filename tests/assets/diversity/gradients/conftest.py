"""Tiny models with random weights large enough that every layer matters, and rows of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from assets.diversity.gradients import Encoded
from assets.diversity.gradients.causal import Causal

VOCABULARY = 97
SHAPE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}


class Whole:
    """Stands in for a sketch: keeps every number, so that inner products are exact."""

    def __init__(self) -> None:
        self.parts: dict[str, torch.Tensor] = {}

    def start(self, rows: int) -> Whole:
        self.parts = {}
        return self

    def add(self, name: str, values: torch.Tensor) -> None:
        self.parts[name] = self.parts.get(name, 0) + values.float()

    def result(self) -> torch.Tensor:
        return torch.cat([self.parts[name] for name in sorted(self.parts)], dim=1)


def enliven(model: Any) -> Any:
    """Larger weights, none of them at its starting value."""
    source = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(5 if weight.dim() > 1 else 1)
            weight.add_(torch.randn(weight.shape, generator=source) * 0.3)
    return model.eval()


def llama(**changes: Any) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    return enliven(LlamaForCausalLM(LlamaConfig(**SHAPE | changes)))


def qwen3(**changes: Any) -> Any:
    """Norms within attention heads."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(0)
    return enliven(Qwen3ForCausalLM(Qwen3Config(**SHAPE | {"head_dim": 8} | changes)))


def gpt2() -> Any:
    """Biases, layer norms, positions that are learned, and weights that lie the other way."""
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=4, n_positions=64, bos_token_id=1,
        eos_token_id=2,
    )  # fmt: skip
    return enliven(GPT2LMHeadModel(config))


def phi() -> Any:
    """An output layer with a bias."""
    from transformers import PhiConfig, PhiForCausalLM

    torch.manual_seed(0)
    return enliven(PhiForCausalLM(PhiConfig(**SHAPE)))


MODELS = {
    "tied": lambda: llama(tie_word_embeddings=True),
    "untied": lambda: llama(tie_word_embeddings=False),
    "biased": lambda: llama(attention_bias=True, mlp_bias=True),
    "qwen3": qwen3,
    "gpt2": gpt2,
    "phi": phi,
}


def draw_rows(lengths: Sequence[tuple[int, int]], seed: int = 0) -> list[Encoded]:
    """Rows of random tokens, each of a length with so many of them supervised."""
    source = torch.Generator().manual_seed(seed)
    return [
        Encoded(tuple(torch.randint(3, VOCABULARY, (n,), generator=source).tolist()), supervised)
        for n, supervised in lengths
    ]


@pytest.fixture(scope="session")
def rows() -> list[Encoded]:
    return draw_rows([(5, 2), (9, 4), (12, 11), (7, 1), (9, 3), (20, 6)])


@pytest.fixture(scope="session")
def causal() -> Causal:
    return Causal(llama(tie_word_embeddings=True))
