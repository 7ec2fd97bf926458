"""A slow copy of the weights that are trained: their exponential moving average."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


class Shadow:
    """The moving average of a model's trained weights, kept in float32.

    In bfloat16 a step of a thousandth would round away.
    """

    def __init__(self, model: Any, keep: float) -> None:
        self._keep = keep
        self._trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
        self.values = {n: p.detach().float().clone() for n, p in self._trained.items()}

    def follow(self) -> None:
        """Moves a small step towards the weights as they are."""
        import torch

        with torch.no_grad():
            for name, value in self.values.items():
                value.lerp_(self._trained[name].detach().float(), 1 - self._keep)

    @contextlib.contextmanager
    def worn(self) -> Iterator[None]:
        """The model has the slow weights inside the block, and its own again after it."""
        import torch

        own = {name: parameter.data for name, parameter in self._trained.items()}
        with torch.no_grad():
            for name, parameter in self._trained.items():
                parameter.data = self.values[name].to(parameter.dtype)
        try:
            yield
        finally:
            for name, parameter in self._trained.items():
                parameter.data = own[name]

    def state(self) -> dict[str, torch.Tensor]:
        """What `restore` needs."""
        return dict(self.values)

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Takes up an earlier state."""
        for name, value in state.items():
            self.values[name].copy_(value)
