"""The fast engine: gradients as products of what goes into a layer and what comes back to it.

The gradient of a linear layer's weight is the sum over tokens of (what came back) x (what went in).
Both are projected before they are multiplied, so that neither the gradient nor the step that would
compute it is ever needed, and one backward pass serves a whole batch: rows do not mix in it. The
products of all layers are then folded into one sketch. With a `width` as large as the layers
themselves nothing is projected, and inner products are those of the full gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from assets.diversity.gradients.causal import Batch, Causal, collate
from assets.diversity.gradients.encoding import Encoded
from assets.diversity.gradients.norms import apply_norm, epsilon_of
from assets.diversity.gradients.projection import generator, orthonormal, signs
from registry.errors import MethodError

if TYPE_CHECKING:
    import torch

    from assets.diversity.gradients.projection import Fold, Sketch

    Tap = Callable[[str, Any, torch.Tensor, torch.Tensor], torch.Tensor | None]

_POSITIONS = 256
"""Supervised positions whose logits are held at once."""


class FactoredEngine:
    """Projects both sides of every layer, for a batch of rows at once."""

    def __init__(self, causal: Causal, sketch: Sketch, width: int, seed: int) -> None:
        self._causal, self._sketch, self._width, self._seed = causal, sketch, width, seed
        self._maps: dict[str, torch.Tensor | None] = {}
        self._norms: dict[str, float] = {}
        self._taps = dict(self._find_taps())
        self._batch: Batch
        self._fold: Fold
        self._last: tuple[torch.Tensor, torch.Tensor] | None = None
        self._replaying = False

    def gradients(self, rows: Sequence[Encoded]) -> tuple[torch.Tensor, torch.Tensor]:
        """The sketches of the rows' gradients, (rows, dimensions), and their losses."""
        import torch

        self._causal.model.requires_grad_(False)
        self._batch = batch = collate(rows, self._causal.device)
        self._fold = self._sketch.start(batch.size)
        with self._tapped(), torch.enable_grad():
            read = self._causal.hidden(batch.ids)[batch.row, batch.position]
            loss, back = self._head(read.detach())
            read.backward(back)  # type: ignore[no-untyped-call]
        self._last = None
        return self._fold.result(), loss

    def _find_taps(self) -> Iterator[tuple[str, Tap]]:
        """Each module with weights of its own, and how its gradients are taken."""
        from torch import nn
        from transformers.pytorch_utils import Conv1D

        for name, module in self._causal.model.named_modules():
            own = dict(module.named_parameters(recurse=False))
            if module is self._causal.head or not own:
                continue
            if type(module) in (nn.Linear, Conv1D):
                yield name, self._tap_linear
            elif type(module) is nn.Embedding:
                yield name, self._tap_embedding
            elif (epsilon := epsilon_of(module)) is not None:
                self._norms[name] = epsilon
            elif all(weight.dim() == 1 for weight in own.values()):
                yield name, self._tap_scale
            else:
                raise MethodError(
                    f"the fast engine has no rule for a {type(module).__name__}, as {name} is",
                    why="its part of the gradient would be missing",
                    mend="set `engine: full`, which takes any model, or choose another proxy",
                )

    @contextmanager
    def _tapped(self) -> Iterator[None]:
        with ExitStack() as stack:
            for name, tap in self._taps.items():
                module = self._causal.model.get_submodule(name)
                handle = module.register_forward_hook(self._hook(name, tap), with_kwargs=True)
                stack.callback(handle.remove)
            for name, epsilon in self._norms.items():
                module = self._causal.model.get_submodule(name)
                module.forward = partial(self._norm, name, module.weight, epsilon)
                stack.callback(delattr, module, "forward")
            yield

    def _norm(
        self, name: str, weight: torch.Tensor, epsilon: float, given: torch.Tensor
    ) -> torch.Tensor:
        self._check_rows(name, given)
        made: torch.Tensor = apply_norm(
            given, weight, epsilon, partial(self._add, f"{name}.weight")
        )
        return made

    def _tap_linear(self, name: str, module: Any, given: torch.Tensor, made: torch.Tensor) -> None:
        self._check_rows(name, given, dimensions=3)
        if self._last is None or self._last[0] is not given:
            self._last = (given, self._project(f"{name}/in", given.detach()))
        went_in = self._last[1]

        def take(back: torch.Tensor) -> None:
            came_back = self._project(f"{name}/out", back)
            self._add(f"{name}.weight", came_back.transpose(1, 2) @ went_in)
            if module.bias is not None:
                self._add(f"{name}.bias", back.float().sum(1))

        _on_gradient(made, take)

    def _tap_embedding(
        self, name: str, module: Any, given: torch.Tensor, made: torch.Tensor
    ) -> torch.Tensor:
        # All weights are frozen, so this is the first thing in the graph. Positions are looked up
        # once for all rows: spread here, what comes back to them stays apart.
        made = made.requires_grad_(True).expand(self._batch.size, -1, -1)
        ids = given.expand(self._batch.size, -1)
        self._check_rows(name, ids)
        weight = self._name_of(name, module)

        def take(back: torch.Tensor) -> None:
            went_in = self._project(f"{weight}/size", back)
            chosen = self._choose(f"{weight}/vocabulary", ids, len(module.weight), back.dtype)
            self._add(weight, chosen.transpose(1, 2) @ went_in)

        _on_gradient(made, take)
        return made

    def _tap_scale(self, name: str, module: Any, given: torch.Tensor, made: torch.Tensor) -> None:
        """Weights of one dimension, as norms have: their gradients are small, and kept exactly."""
        import torch

        self._check_rows(name, given)
        given = given.detach()
        weights = dict(module.named_parameters(recurse=False))

        def one(row: torch.Tensor, back: torch.Tensor) -> dict[str, torch.Tensor]:
            def again(values: dict[str, torch.Tensor]) -> Any:
                return torch.func.functional_call(module, values, (row,))

            pull: Any = torch.func.vjp(again, weights)[1]
            found: dict[str, torch.Tensor] = pull(back)[0]
            return found

        def take(back: torch.Tensor) -> None:
            self._replaying = True
            for key, value in torch.func.vmap(one)(given, back).items():
                self._add(f"{name}.{key}", value)
            self._replaying = False

        _on_gradient(made, take)

    def _head(self, read: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Each row's loss, and what comes back to what the output layer read."""
        import torch

        batch, head = self._batch, self._causal.head
        weight = self._name_of("head", head)
        loss = torch.zeros(batch.size, device=read.device)
        bias = None if head.bias is None else loss.new_zeros(batch.size, len(head.bias))
        backs, projected = [], []
        for start in range(0, len(read), _POSITIONS):
            part = slice(start, start + _POSITIONS)
            shares = self._causal.logits(read[part]).log_softmax(-1)
            at = (torch.arange(len(shares), device=read.device), batch.target[part])
            loss.index_add_(0, batch.row[part], -shares[at] * batch.weight[part])
            error = shares.exp_()
            error[at] -= 1
            error *= batch.weight[part, None]
            if bias is not None:
                bias.index_add_(0, batch.row[part], error)
            narrow = error.to(read.dtype)
            backs.append(narrow @ head.weight)
            projected.append(self._project(f"{weight}/vocabulary", narrow, signs))
        came_back = self._by_row(torch.cat(projected))
        went_in = self._by_row(self._project(f"{weight}/size", read))
        self._add(weight, came_back.transpose(1, 2) @ went_in)
        if bias is not None:
            self._add("head.bias", bias)
        return loss, torch.cat(backs)

    def _by_row(self, values: torch.Tensor) -> torch.Tensor:
        """Supervised positions as (rows, width, ...), zero elsewhere."""
        spread = values.new_zeros((*self._batch.ids.shape, values.shape[1]))
        spread[self._batch.row, self._batch.position] = values
        return spread

    def _name_of(self, name: str, module: Any) -> str:
        """The name of a weight; an embedding that the output layer shares has one for both."""
        return "tied" if module.weight is self._tied else f"{name}.weight"

    @property
    def _tied(self) -> Any:
        return self._causal.head.weight

    def _map(
        self, name: str, size: int, dtype: torch.dtype, draw: Any = orthonormal
    ) -> torch.Tensor | None:
        if name not in self._maps:
            drawn = draw(size, self._width, generator(self._seed, name))
            self._maps[name] = None if drawn is None else drawn.to(self._causal.device, dtype)
        return self._maps[name]

    def _project(self, name: str, values: torch.Tensor, draw: Any = orthonormal) -> torch.Tensor:
        chosen = self._map(name, values.shape[-1], values.dtype, draw)
        return values if chosen is None else values @ chosen

    def _choose(self, name: str, ids: torch.Tensor, size: int, dtype: torch.dtype) -> torch.Tensor:
        """The projection of one-hot vectors."""
        import torch

        chosen = self._map(name, size, dtype, signs)
        if chosen is None:
            return torch.nn.functional.one_hot(ids, size).to(dtype)
        return chosen[ids]

    def _add(self, name: str, values: torch.Tensor) -> None:
        self._fold.add(name, values.flatten(1))

    def _check_rows(self, name: str, given: torch.Tensor, dimensions: int | None = None) -> None:
        fits = dimensions is None or given.dim() == dimensions
        if not fits or given.shape[:2] != self._batch.ids.shape:
            raise MethodError(
                f"{name} sees {tuple(given.shape)}, not a row for each of {self._batch.size} rows",
                why="the gradients of several rows would be mixed",
                mend="set `engine: full`, which takes any model, or choose another proxy",
            )

    def _hook(self, name: str, tap: Tap) -> Callable[..., torch.Tensor | None]:
        def hook(module: Any, args: Any, kwargs: Any, made: torch.Tensor) -> torch.Tensor | None:
            if self._replaying:
                return None
            return tap(name, module, (*args, *kwargs.values())[0], made)

        return hook


def _on_gradient(made: Any, take: Callable[[torch.Tensor], None]) -> None:
    made.register_hook(take)
