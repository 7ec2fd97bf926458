"""Root-mean-square norms whose backward pass also gives each row's gradient of their weights.

In small models a third of a gradient's squared length is that of norm weights, and a third of the
time between matrix products goes into norms. Both come out of one short backward pass here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

Take = Callable[["torch.Tensor"], None]
_TOLERANCE = 1e-5
"""How far a module may be from the formula, in float32, to count as one of these norms."""


def epsilon_of(module: Any) -> float | None:
    """The number that a module adds before the root; None where it is no such norm.

    Whether it is one is tried on random numbers: some norms of that name scale by 1 + weight.
    """
    import torch

    names = [name for name, _ in module.named_parameters(recurse=False)]
    epsilon = getattr(module, "variance_epsilon", getattr(module, "eps", None))
    if names != ["weight"] or not isinstance(epsilon, float):
        return None
    weight = module.weight
    source = torch.Generator().manual_seed(0)
    given = torch.randn(1, 4, len(weight), generator=source).to(weight.device, weight.dtype)
    with torch.no_grad():
        made, expected = module(given), _norm().apply(given, weight, epsilon, None)
    scale = expected.abs().max() * max(1.0, torch.finfo(weight.dtype).eps / _TOLERANCE)
    return epsilon if (made - expected).abs().max() <= _TOLERANCE * scale else None


def apply_norm(given: torch.Tensor, weight: torch.Tensor, epsilon: float, take: Take) -> Any:
    """The norm of `given`; `take` is handed each row's gradient of the weight on the way back."""
    return _norm().apply(given, weight, epsilon, take)


@cache
def _norm() -> Any:
    import torch

    class Norm(torch.autograd.Function):
        """x / rms(x) * weight (B. Zhang and R. Sennrich, 2019), as Llama rounds it."""

        @staticmethod
        def forward(
            ctx: Any, given: torch.Tensor, weight: torch.Tensor, epsilon: float, take: Take
        ) -> torch.Tensor:
            wide = given.float()
            scale = wide.square().mean(-1, keepdim=True).add_(epsilon).rsqrt_()
            unit = (wide * scale).to(given.dtype)
            ctx.save_for_backward(unit, scale.to(given.dtype), weight)
            ctx.take = take
            return unit * weight

        @staticmethod
        def backward(ctx: Any, back: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
            unit, scale, weight = ctx.saved_tensors
            product = back * unit
            ctx.take(product.flatten(1, -2).sum(1, dtype=torch.float32))
            mean = (product @ weight).div_(len(weight))[..., None]
            return (back * weight).addcmul_(unit, mean, value=-1).mul_(scale), None, None, None

    return Norm
