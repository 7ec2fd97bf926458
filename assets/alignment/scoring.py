"""How likely a model finds tokens that are given, computed only where it is asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def token_log_probs(
    model: Any, rows: Sequence[Sequence[int]], first: int, pad: int
) -> torch.Tensor:
    """The log-probability of each token of each row from the place `first` on.

    Rows are padded on the right; beyond a row's end stands 0. Gradients flow where they are wanted.

    Returns:
        Nats, shape (rows, longest - first).
    """
    import torch

    device = next(model.parameters()).device
    width = max(len(row) for row in rows)
    ids = torch.full((len(rows), width), pad)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for place, row in enumerate(rows):
        ids[place, : len(row)] = torch.tensor(list(row))
        mask[place, : len(row)] = 1
    ids, mask = ids.to(device), mask.to(device)
    logits = model(
        input_ids=ids, attention_mask=mask, logits_to_keep=width - first + 1, use_cache=False
    ).logits[:, :-1]
    logs: torch.Tensor = (
        logits.float().log_softmax(dim=-1).gather(-1, ids[:, first:, None]).squeeze(-1)
    )
    return logs * mask[:, first:]
