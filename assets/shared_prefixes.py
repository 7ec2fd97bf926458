"""Next-token probabilities of prompts that begin alike: what they share is read once.

The orders of one question differ only after its text. Each group of prompts passes the model once,
up to where its members part, and each member goes on from there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from assets.option_prompt import pad_left, position_ids

if TYPE_CHECKING:
    import torch

Tokens = Sequence[int]


def shared_length(prompts: Sequence[Tokens]) -> int:
    """How many first tokens all prompts have in common; each keeps one of its own at least."""
    first, *others = prompts
    most = min(len(prompt) for prompt in prompts) - 1
    for place in range(most):
        if any(other[place] != first[place] for other in others):
            return place
    return most


def in_batches(groups: Sequence[Sequence[Tokens]], size: int) -> Iterator[list[int]]:
    """The places of groups, those of one length beside each other, at most `size` prompts at once.

    A group is never divided; one that is larger stands alone.
    """
    lengths = [(shared_length(group), max(len(prompt) for prompt in group)) for group in groups]
    batch: list[int] = []
    prompts = 0
    for place in sorted(range(len(groups)), key=lambda index: (lengths[index], index)):
        if batch and prompts + len(groups[place]) > size:
            yield batch
            batch, prompts = [], 0
        batch.append(place)
        prompts += len(groups[place])
    if batch:
        yield batch


def probabilities_after(
    model: Any, groups: Sequence[Sequence[Tokens]], wanted: torch.Tensor, pad: int
) -> list[torch.Tensor]:
    """The probability of each wanted token after each prompt.

    Args:
        model: A causal language model with a key-value cache.
        groups: Prompts as token ids; those of one group share what they begin with.
        wanted: Token ids, shape (tokens,).
        pad: The token that fills up; it is masked.

    Returns:
        For each group a tensor of shape (prompts, tokens), on the CPU.
    """
    import torch
    from transformers import DynamicCache

    device = next(model.parameters()).device
    lengths = [shared_length(group) for group in groups]
    starts = [group[0][:length] for group, length in zip(groups, lengths, strict=True)]
    place = [index for index, group in enumerate(groups) for _ in group]
    ends = [
        prompt[length:] for group, length in zip(groups, lengths, strict=True) for prompt in group
    ]
    with torch.inference_mode():
        cache: Any = DynamicCache(config=model.config)
        whole = torch.zeros((len(ends), 0), dtype=torch.long, device=device)
        before = torch.zeros((len(ends), 1), dtype=torch.long, device=device)
        if any(starts):
            ids, mask = (tensor.to(device) for tensor in pad_left(starts, pad))
            model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=position_ids(mask),
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
            chosen = torch.tensor(place, device=device)
            if len(groups) < len(ends):
                cache.batch_select_indices(chosen)
            whole = mask[chosen]
            before = whole.sum(dim=1, keepdim=True)
        ids, mask = (tensor.to(device) for tensor in pad_left(ends, pad))
        output = model(
            input_ids=ids,
            attention_mask=torch.cat([whole, mask], dim=1),
            position_ids=position_ids(mask) + before,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits = output.logits[:, -1].float()
        found = (logits[:, wanted.to(device)] - logits.logsumexp(dim=-1, keepdim=True)).exp().cpu()
    return list(found.split([len(group) for group in groups]))


def all_probabilities(
    model: Any,
    groups: Sequence[Sequence[Tokens]],
    wanted: torch.Tensor,
    pad: int,
    size: int,
) -> Iterator[Mapping[int, torch.Tensor]]:
    """The same of any number of groups, batch by batch, each by its group's place."""
    for batch in in_batches(groups, size):
        found = probabilities_after(model, [groups[place] for place in batch], wanted, pad)
        yield dict(zip(batch, found, strict=True))
