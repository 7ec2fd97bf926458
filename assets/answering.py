"""How a model's answer to a person's question is read: shares of options, or its own words.

What `chorus ask` shows and what a community's tests look at is the same, so that an answer that was
marked wrong is met again in the form in which it was seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from assets.option_prompt import (
    ORDERS,
    arrange,
    encode,
    letter_ids,
    next_token_probabilities,
    render,
)

LONGEST = 160
"""Tokens that a free answer may have."""


def option_shares(
    model: Any, tokenizer: Any, question: str, options: Sequence[str]
) -> tuple[list[float], float]:
    """The probability of each option, averaged over option orders, and what lay outside them."""
    prompts = [encode(tokenizer, render(question, arrange(options, order))) for order in ORDERS]
    letters = letter_ids(tokenizer, len(options))
    shown = next_token_probabilities(model, tokenizer, prompts)[:, letters].tolist()
    inside = [sum(row) for row in shown]
    rows = [
        [probability / mass for probability in arrange(row, order)]
        for row, order, mass in zip(shown, ORDERS, inside, strict=True)
    ]
    shares = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
    return shares, max(0.0, 1 - sum(inside) / len(inside))


def greedy_answer(model: Any, tokenizer: Any, question: str) -> str:
    """The model's own words, each token the likeliest."""
    import torch

    ids = torch.tensor([encode(tokenizer, question)], device=next(model.parameters()).device)
    with torch.inference_mode():
        generated = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=LONGEST,
            do_sample=False,
            pad_token_id=tokenizer.pad_token_id,
        )
    text = tokenizer.decode(generated[0, ids.shape[1] :], skip_special_tokens=True)
    return str(text).strip()


def mean_log_probability(model: Any, tokenizer: Any, question: str, answer: str) -> float:
    """The mean of ln p(token | question, tokens before it) over the tokens of an answer.

    A mean, so that a longer answer is not less likely merely for its length.
    """
    import torch

    prompt = encode(tokenizer, question)
    words = tokenizer.encode(answer, add_special_tokens=False)
    ids = torch.tensor([[*prompt, *words]], device=next(model.parameters()).device)
    with torch.inference_mode():
        logits = model(input_ids=ids, logits_to_keep=len(words) + 1, use_cache=False).logits
    logs = logits[0, :-1].float().log_softmax(dim=-1)
    chosen = logs.gather(1, ids[0, len(prompt) :].unsqueeze(1))
    return float(chosen.mean())
