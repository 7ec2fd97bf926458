"""A model writes many answers at once: one pass over the prompts, then a token a row at a time.

Prompts are padded on the left. A prompt that is asked for several answers passes through the model
once, and rows that have ended leave the batch, so that none is computed for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from assets.option_prompt import pad_left, position_ids
from assets.synthesis.sampling import Sampling, draw, log_probabilities, uniforms

if TYPE_CHECKING:
    import torch

_LEAVE = 0.125
"""Rows leave a batch once they are this part of it; each time the memory of the rest is copied."""


@dataclass
class Written:
    """The tokens of one answer."""

    tokens: list[int] = field(default_factory=list)
    """With the token that ended it, if one did."""
    logprobs: list[float] = field(default_factory=list)
    """What the model itself gave each token, in nats."""
    ended: bool = False
    """Whether it ended by itself, rather than being cut."""


def write_answers(
    model: Any,
    prompts: Sequence[Sequence[int]],
    seeds: Sequence[int],
    sampling: Sampling,
    ends: frozenset[int],
    pad: int,
) -> list[Written]:
    """One answer to each prompt, in their order.

    Args:
        model: A causal language model with a key-value cache.
        prompts: The token ids of each prompt; equal ones that follow each other are read once.
        seeds: The seed of each answer.
        sampling: How tokens are drawn.
        ends: The tokens that end an answer.
        pad: The token that fills up prompts; it is masked.
    """
    import torch

    device = next(model.parameters()).device
    found = [Written() for _ in prompts]
    numbers = torch.stack([uniforms(seed, sampling.max_new_tokens) for seed in seeds]).to(device)
    enders = torch.tensor(sorted(ends), device=device)
    with torch.inference_mode():
        logits, mask, cache = _read(model, prompts, pad)
        rows = list(range(len(prompts)))
        running = torch.ones(len(rows), dtype=torch.bool, device=device)
        for step in range(sampling.max_new_tokens):
            tokens = draw(logits, numbers[rows, step], sampling)
            _note(found, rows, running, tokens, log_probabilities(logits, tokens), ends)
            running &= ~torch.isin(tokens, enders)
            left = int(running.sum())
            if left == 0 or step + 1 == sampling.max_new_tokens:
                break
            if left <= (1 - _LEAVE) * len(rows):
                stay = running.nonzero().squeeze(-1)
                cache.batch_select_indices(stay)
                tokens, mask, running = tokens[stay], mask[stay], running[stay]
                rows = [rows[place] for place in stay.tolist()]
            mask = torch.nn.functional.pad(mask, (0, 1), value=1)
            logits = (
                model(
                    input_ids=tokens[:, None],
                    attention_mask=mask,
                    position_ids=position_ids(mask)[:, -1:],
                    past_key_values=cache,
                    use_cache=True,
                    logits_to_keep=1,
                )
                .logits[:, -1]
                .float()
            )
    return found


def _read(
    model: Any, prompts: Sequence[Sequence[int]], pad: int
) -> tuple[torch.Tensor, torch.Tensor, Any]:
    """The logits after each prompt, the mask and the cache, each different prompt read once."""
    import torch
    from transformers import DynamicCache

    device = next(model.parameters()).device
    unique: list[Sequence[int]] = []
    place = []
    for prompt in prompts:
        if not unique or list(prompt) != list(unique[-1]):
            unique.append(prompt)
        place.append(len(unique) - 1)
    ids, mask = (tensor.to(device) for tensor in pad_left(unique, pad))
    cache = DynamicCache(config=model.config)
    output = model(
        input_ids=ids,
        attention_mask=mask,
        position_ids=position_ids(mask),
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
    )
    logits = output.logits[:, -1].float()
    if len(unique) == len(prompts):
        return logits, mask, cache
    chosen = torch.tensor(place, device=device)
    cache.batch_select_indices(chosen)
    return logits[chosen], mask[chosen], cache


def _note(
    found: list[Written],
    rows: Sequence[int],
    running: torch.Tensor,
    tokens: torch.Tensor,
    logprobs: torch.Tensor,
    ends: frozenset[int],
) -> None:
    told = zip(rows, running.tolist(), tokens.tolist(), logprobs.tolist(), strict=True)
    for row, runs, token, logprob in told:
        if runs:
            found[row].tokens.append(token)
            found[row].logprobs.append(logprob)
            found[row].ended = token in ends
