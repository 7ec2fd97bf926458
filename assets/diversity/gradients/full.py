"""The reference: the gradient of every weight, a row at a time, folded into a sketch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from assets.diversity.gradients.causal import Causal, collate
from assets.diversity.gradients.encoding import Encoded

if TYPE_CHECKING:
    import torch

    from assets.diversity.gradients.projection import Sketch


class FullEngine:
    """Folds whole gradients; needs memory for one gradient and a byte a weight for its signs."""

    def __init__(self, causal: Causal, sketch: Sketch) -> None:
        self._causal, self._sketch = causal, sketch
        self._weights = dict(causal.model.named_parameters())

    def gradients(self, rows: Sequence[Encoded]) -> tuple[torch.Tensor, torch.Tensor]:
        """The sketches of the rows' gradients, (rows, dimensions), and their losses."""
        import torch

        found = [self._one(row) for row in rows]
        return torch.cat([vector for vector, _ in found]), torch.stack([loss for _, loss in found])

    def _one(self, row: Encoded) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        batch = collate([row], self._causal.device)
        self._causal.model.requires_grad_(True)
        hidden = self._causal.hidden(batch.ids)[batch.row, batch.position]
        loss = torch.nn.functional.cross_entropy(self._causal.logits(hidden), batch.target)
        loss.backward()  # type: ignore[no-untyped-call]
        fold = self._sketch.start(1)
        for name, weight in self._weights.items():
            if weight.grad is not None:
                fold.add(name, weight.grad.reshape(1, -1))
                weight.grad = None
        return fold.result(), loss.detach()
