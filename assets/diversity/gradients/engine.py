"""One interface to both engines: rows of text in, a matrix of gradients out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from assets.diversity.gradients.encoding import (
    Encoded,
    Encoder,
    Reason,
    Unusable,
    batches,
    context_length,
)
from registry.errors import MethodError

if TYPE_CHECKING:
    import numpy
    import torch
    from numpy.typing import NDArray

EngineName = Literal["factored", "full"]
DIMENSIONS, WIDTH, BATCH_TOKENS = 1024, 64, 1024
"""What figures were measured with: see docs/gradients.md."""


class Engine(Protocol):
    """What makes sketches of gradients."""

    def gradients(self, rows: Sequence[Encoded]) -> tuple[torch.Tensor, torch.Tensor]:
        """The sketches of the rows' gradients, (rows, dimensions), and their losses."""


@dataclass(frozen=True)
class Gradients:
    """The gradients of rows, in their order."""

    vectors: NDArray[numpy.float32]
    """A sketch of each gradient, (rows, dimensions), as long as the gradient is on average."""
    losses: NDArray[numpy.float32]
    """The mean loss over each completion's tokens, in nats."""

    @property
    def finite(self) -> NDArray[Any]:
        """Which rows have a gradient and a loss that are numbers."""
        import numpy

        together = numpy.column_stack([self.vectors, self.losses])
        whole: NDArray[Any] = numpy.asarray(numpy.isfinite(together).all(axis=1))
        return whole


class GradientEngine:
    """Gradients of the mean completion loss, prompts masked, as sketches.

    The model is set to evaluation and its weights are frozen or freed as the engine needs: it
    belongs to the engine from here on. Vectors are comparable only where model, engine,
    dimensions, width and seed are the same.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        engine: EngineName = "factored",
        dimensions: int = DIMENSIONS,
        seed: int = 0,
        *,
        width: int = WIDTH,
        chat_template: bool = True,
        max_tokens: int | None = None,
        batch_tokens: int = BATCH_TOKENS,
    ) -> None:
        from assets.diversity.gradients.causal import Causal
        from assets.diversity.gradients.factored import FactoredEngine
        from assets.diversity.gradients.full import FullEngine
        from assets.diversity.gradients.projection import Sketch

        context = min(max_tokens or context_length(model), context_length(model))
        self.encode = Encoder(tokenizer, context, chat_template)
        self.dimensions, self._batch_tokens = dimensions, batch_tokens
        causal = Causal(model)
        sketch = Sketch(dimensions, seed, causal.device)
        self._engine: Engine = (
            FullEngine(causal, sketch)
            if engine == "full"
            else FactoredEngine(causal, sketch, width, seed)
        )

    def vectors(self, rows: Sequence[tuple[str, str]]) -> NDArray[numpy.float32]:
        """The gradient of each (prompt, completion), a line each, not scaled to length 1.

        Raises MethodError where a row has none; `encode` and `gradients` tell which and why.
        """
        encoded = [self.encode(prompt, completion) for prompt, completion in rows]
        for index, row in enumerate(encoded):
            if isinstance(row, Unusable):
                raise _no_gradient(index, row.reason)
        found = self.gradients([row for row in encoded if isinstance(row, Encoded)])
        if not found.finite.all():
            raise _no_gradient(int(found.finite.argmin()), "gradient not finite")
        return found.vectors

    def gradients(
        self, rows: Sequence[Encoded], note: Callable[[int], None] | None = None
    ) -> Gradients:
        """The gradients of encoded rows, in batches of rows that are alike in length.

        After each batch `note` is told how many rows are done.
        """
        import numpy

        vectors = numpy.empty((len(rows), self.dimensions), dtype=numpy.float32)
        losses = numpy.empty(len(rows), dtype=numpy.float32)
        done = 0
        for chosen in batches(rows, self._batch_tokens):
            made, loss = self._engine.gradients([rows[index] for index in chosen])
            vectors[chosen], losses[chosen] = made.cpu().numpy(), loss.cpu().numpy()
            done += len(chosen)
            if note is not None:
                note(done)
        return Gradients(vectors, losses)


def _no_gradient(index: int, reason: Reason) -> MethodError:
    return MethodError(
        f"row {index} has no gradient: {reason}",
        mend="leave such rows out; the method gradient-features does, with the reason",
    )
