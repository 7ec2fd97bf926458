"""What each row would teach a model: the gradient of its completion loss, as a short vector.

Two rows are alike here when learning one would move the model's weights as learning the other
would. The gradient has as many numbers as the model has weights, so each engine gives a sketch of
it: inner products of sketches are, in the mean over seeds, those of the gradients.

* `full` computes every gradient in full, a row at a time, and folds it: the reference.
* `factored` never writes a gradient down. It projects what goes into each layer and what comes back
  to it, for many rows at once: the default.

    engine = GradientEngine(model, tokenizer, "factored", dimensions=1024, seed=0)
    vectors = engine.vectors([("What is 2 + 2?", "4")])
"""

from assets.diversity.gradients.encoding import Encoded, Encoder, Reason, Unusable
from assets.diversity.gradients.engine import EngineName, GradientEngine, Gradients

__all__ = ["Encoded", "Encoder", "EngineName", "GradientEngine", "Gradients", "Reason", "Unusable"]
