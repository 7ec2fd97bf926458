"""A tokenizer of whole words, with or without the marks of a model's family."""

from __future__ import annotations

from collections.abc import Sequence

from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

WORDS = ("description", "input", "output", "###", "Coin.", "Toss?", "heads", "tails")
CHATML = ("<|im_start|>", "<|im_end|>")
LLAMA = ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
GEMMA = ("<start_of_turn>", "<end_of_turn>")


def toy(
    *special: str, template: str | None = None, words: Sequence[str] = WORDS
) -> PreTrainedTokenizerFast:
    names = ["<pad>", *special, "<end>", "unknown", *words]
    inner = Tokenizer(models.WordLevel({w: i for i, w in enumerate(names)}, unk_token="unknown"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    found = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        eos_token="<end>",
        unk_token="unknown",
        pad_token="<pad>",
        additional_special_tokens=list(special),
    )
    found.chat_template = template
    return found
