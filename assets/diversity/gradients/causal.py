"""A causal language model in two parts: its body, and the output layer.

Logits are computed at supervised positions only: with a large vocabulary the rest would cost more
than the body.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from assets.diversity.gradients.encoding import Encoded
from registry.errors import MethodError

if TYPE_CHECKING:
    import torch

_PROBE = 8
_TOLERANCE = 0.02
"""How far logits may differ, of the largest: bfloat16 alone gives a few thousandths."""


@dataclass(frozen=True)
class Batch:
    """Rows side by side, padded on the right."""

    ids: torch.Tensor
    """Token ids, (rows, width). Padding repeats a row's last token; nothing looks back at it."""
    row: torch.Tensor
    """The row of each supervised token, one after the other."""
    position: torch.Tensor
    """Where the model stands when it has to write that token."""
    target: torch.Tensor
    """The token to write."""
    weight: torch.Tensor
    """What each token counts: 1 by the number of supervised tokens in its row."""

    @property
    def size(self) -> int:
        """How many rows there are."""
        return len(self.ids)


def collate(rows: Sequence[Encoded], device: torch.device) -> Batch:
    """Puts rows into one batch."""
    import torch

    width = max(len(row.ids) for row in rows)
    padded = [[*row.ids, *[row.ids[-1]] * (width - len(row.ids))] for row in rows]
    marks = [
        (index, position - 1, row.ids[position], 1 / row.supervised)
        for index, row in enumerate(rows)
        for position in range(row.prompt, len(row.ids))
    ]
    row, position, target, weight = zip(*marks, strict=True)
    return Batch(
        torch.tensor(padded, device=device),
        torch.tensor(row, device=device),
        torch.tensor(position, device=device),
        torch.tensor(target, device=device),
        torch.tensor(weight, dtype=torch.float32, device=device),
    )


class Causal:
    """Body and output layer of a model, with weights frozen or free as an engine needs them."""

    def __init__(self, model: Any) -> None:
        self.model = model.eval()
        self.body, self.head = model.base_model, model.get_output_embeddings()
        self.device, self.dtype = self.head.weight.device, self.head.weight.dtype
        if self.device.type == "cpu":
            # torch's fused attention, bfloat16 on a CPU, goes back up to 28 times as slowly.
            model.set_attn_implementation("eager")
        self._check()

    def hidden(self, ids: torch.Tensor) -> torch.Tensor:
        """What the output layer reads, (rows, width, size).

        No mask is given: padding stands behind everything that is read.
        """
        found: torch.Tensor = self.body(input_ids=ids, use_cache=False).last_hidden_state
        return found

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """The output layer in the model's own number format, read out in float32."""
        import torch

        return torch.nn.functional.linear(hidden, self.head.weight, self.head.bias).float()

    def _check(self) -> None:
        import torch

        ids = torch.arange(_PROBE, device=self.device)[None] % self.head.weight.shape[0]
        with torch.no_grad():
            whole = self.model(input_ids=ids, use_cache=False).logits.float()
            split = self.logits(self.hidden(ids))
        if not (whole - split).abs().max() <= _TOLERANCE * whole.abs().max():
            raise MethodError(
                "the proxy model does more with its logits than its output layer does",
                why="gradients taken through the output layer alone would be another model's",
                mend="choose a proxy model without a cap or scale on its logits",
            )
