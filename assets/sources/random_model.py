"""A tiny model with random weights: for tests, and for trying a pipeline in seconds.

It knows no language. What it shows is that every step works, never that a result is good.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from assets.compute import LIBRARIES, Dtype, as_dtype, prepare, save_model
from registry.method import Method
from registry.typed import Frozen

if TYPE_CHECKING:
    from registry.context import Context

_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_SPECIAL = ["<|pad|>", "<|im_start|>", "<|im_end|>"]


class Params(Frozen):
    """The size of the model."""

    hidden_size: int = Field(default=64, ge=16, le=1024, multiple_of=16)
    """Width of the residual stream."""
    layers: int = Field(default=4, ge=1, le=64)
    """Number of layers."""
    dtype: Dtype = "float32"
    """The number format of the saved weights."""


def run(context: Context) -> None:
    """Builds a Llama-shaped model with random weights and a tokenizer of single bytes."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    prepare(context)
    params = context.typed(Params)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate([*_SPECIAL, *alphabet])}
    characters = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    characters.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    characters.decoder = decoders.ByteLevel()
    characters.add_special_tokens(_SPECIAL)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=characters,
        bos_token=_SPECIAL[1],
        eos_token=_SPECIAL[2],
        pad_token=_SPECIAL[0],
    )
    tokenizer.chat_template = _TEMPLATE
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=params.hidden_size,
        intermediate_size=params.hidden_size * 2,
        num_hidden_layers=params.layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = LlamaForCausalLM(config).to(as_dtype(params.dtype))
    save_model(model, tokenizer, context.out)
    context.progress(1, 1)


method = Method(
    name="random-model",
    kind="model",
    form="language model",
    description="A tiny model with random weights, for tests and quick tries.",
    params=Params,
    run=run,
    libraries=LIBRARIES,
)
