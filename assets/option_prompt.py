"""How a question with options is put to a model, and how its answer is read.

Options are lettered, and the model's next-token probabilities of the letters are read at one
position. Small models lean on position, so options are shown in several orders.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from registry.errors import MethodError

if TYPE_CHECKING:
    import torch

Order = Literal["forward", "reversed", "halves", "halves-reversed"]
ORDERS: tuple[Order, ...] = ("forward", "reversed")
"""Those that keep a scale in its order, from one end or from the other."""
Element = TypeVar("Element")


def arrange(values: Sequence[Element], order: Order) -> tuple[Element, ...]:
    """Values in an option order; applied twice it gives them back.

    `halves` changes the first half for the last, so that over all four orders each of four options
    stands once in each place.
    """
    half = len(values) // 2
    found = tuple(values)
    if order.startswith("halves"):
        found = found[len(found) - half :] + found[half : len(found) - half] + found[:half]
    return found[::-1] if order.endswith("reversed") else found


def render(question: str, options: Sequence[str]) -> str:
    """The user's message: the question, its lettered options, and what to answer."""
    lines = [f"{letter}. {o}" for letter, o in zip(string.ascii_uppercase, options, strict=False)]
    return "\n".join([question, *lines, "Answer with one letter."])


def encode(tokenizer: Any, prompt: str) -> list[int]:
    """The token ids of a prompt as a chat, up to where the answer begins.

    Raises MethodError where the prompt holds a mark that parts the turns of the chat: its text
    would leave the place of a user's words and speak as somebody else.
    """
    if mark := next((mark for mark in tokenizer.all_special_tokens if mark in prompt), None):
        raise MethodError(
            f"a prompt holds {mark!r}, which parts the turns of a chat",
            why="its text could speak as the system or as the model",
            mend="take the mark out of the question, its options, or the profile it came from",
        )
    encoded = tokenizer.apply_chat_template(
        [{"role": "user", "content": prompt}],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
    )
    ids: list[int] = encoded["input_ids"]
    return ids


def letter_ids(tokenizer: Any, count: int) -> list[int]:
    """The tokens of the first `count` letters; raises where a letter is no single token."""
    ids = []
    for letter in string.ascii_uppercase[:count]:
        tokens = tokenizer.encode(letter, add_special_tokens=False)
        if len(tokens) != 1:
            raise MethodError(f"the tokenizer writes the letter {letter} as {len(tokens)} tokens")
        ids.append(tokens[0])
    if len(set(ids)) < count:
        raise MethodError(
            "the tokenizer writes two letters as the same token",
            why="answers with one could not be told from answers with the other",
            mend="choose a model whose tokenizer keeps capital letters apart",
        )
    return ids


def pad_left(rows: Sequence[Sequence[int]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and attention mask, padded so that every row ends at the last column."""
    import torch

    width = max(len(row) for row in rows)
    ids = torch.full((len(rows), width), pad)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for index, row in enumerate(rows):
        ids[index, width - len(row) :] = torch.tensor(row)
        mask[index, width - len(row) :] = 1
    return ids, mask


def position_ids(mask: torch.Tensor) -> torch.Tensor:
    """Positions that count from the first real token of each row."""
    return (mask.cumsum(dim=1) - 1).clamp(min=0)


def next_token_probabilities(
    model: Any, tokenizer: Any, prompts: Sequence[Sequence[int]]
) -> torch.Tensor:
    """The distribution of the next token after each prompt, shape (prompts, vocabulary)."""
    import torch

    device = next(model.parameters()).device
    pad = tokenizer.pad_token_id or 0  # where a tokenizer has none: padding is masked anyway
    ids, mask = (t.to(device) for t in pad_left(prompts, pad))
    with torch.inference_mode():
        output = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=position_ids(mask),
            logits_to_keep=1,
            use_cache=False,
        )
    probabilities: torch.Tensor = output.logits[:, -1].float().softmax(dim=-1).cpu()
    return probabilities
