"""Supervised training on opinion shares: a low-rank adapter, merged into weights that stand alone.

For each prompt the loss is the cross-entropy from the shares in which respondents answered to the
model's next-token distribution over the whole vocabulary. It is the sum of two parts: the
cross-entropy to the model's normalised option probabilities, and minus the log of the mass that it
gives to the options at all, so that no mass is left outside them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from assets.alignment.adapter import AdapterParams, enrol
from assets.alignment.examples import LIMITS, Example, community_weights, read_examples
from assets.compute import LIBRARIES, save_model
from registry.method import Method, Role

if TYPE_CHECKING:
    import random

    import torch

    from registry.context import Context


class Params(AdapterParams):
    """Parameters of the training."""

    steps: int = Field(default=600, ge=1)
    """Optimiser steps; models that are compared take the same number."""
    batch_size: int = Field(default=5, ge=1)
    """Prompts a step."""
    learning_rate: float = Field(default=2e-3, gt=0)
    """Peak learning rate of AdamW; it warms up over 5 % of the steps, then falls to a tenth."""
    weights: dict[str, float] = Field(default_factory=dict)
    """The weight of each community in a pooled model; communities not named weigh 1."""


def batches(
    examples: Mapping[str, Sequence[Example]],
    weights: Mapping[str, float],
    size: int,
    source: random.Random,
) -> Iterator[list[Example]]:
    """Batches for ever: communities in proportion to their weights, each in shuffled rounds.

    Which community comes next is the one furthest behind its weight, so that no batch is far from
    the declared proportions.
    """
    total = sum(weights.values())
    owed = dict.fromkeys(weights, 0.0)
    queues: dict[str, list[Example]] = {community: [] for community in weights}
    while True:
        batch = []
        for _ in range(size):
            for community in owed:
                owed[community] += weights[community] / total
            chosen = max(sorted(owed), key=lambda community: owed[community])
            owed[chosen] -= 1
            if not queues[chosen]:
                queues[chosen] = source.sample(examples[chosen], len(examples[chosen]))
            batch.append(queues[chosen].pop())
        yield batch


def option_loss(logits: torch.Tensor, targets: torch.Tensor, letters: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy in nats from option shares to next-token distributions.

    Args:
        logits: Next-token logits, shape (prompts, vocabulary).
        targets: Option shares, shape (prompts, options), zero where a prompt has fewer options.
        letters: The token of each option's letter, shape (options,).
    """
    log_probabilities = logits.float().log_softmax(dim=-1)[:, letters]
    return -(targets * log_probabilities).sum(dim=-1).mean()


def rate(step: int, steps: int) -> float:
    """The learning rate of a step as a part of its peak: warm-up, then linear to a tenth."""
    warm = max(1, steps // 20)
    if step < warm:
        return (step + 1) / warm
    return 1 - 0.9 * (step - warm) / max(1, steps - warm)


def run(context: Context) -> None:
    """Trains the adapter, merges it and saves the model."""
    import random

    import torch

    params = context.typed(Params)
    examples = read_examples(context)
    weights = community_weights(params.weights, sorted(examples))
    prompts = sorted({e.prompt for rows in examples.values() for e in rows})
    longest = max(len(e.shares) for rows in examples.values() for e in rows)
    pupil = enrol(context, params, prompts, longest, params.steps)
    model = pupil.model.train()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=params.learning_rate, weight_decay=0.0)
    source = batches(examples, weights, params.batch_size, random.Random(context.seed))  # noqa: S311
    total = len(prompts) + params.steps
    for step in range(params.steps):
        batch = next(source)
        targets = torch.zeros((len(batch), longest), device=pupil.device)
        for index, example in enumerate(batch):
            targets[index, : len(example.shares)] = torch.tensor(example.shares)
        for group in optimiser.param_groups:
            group["lr"] = params.learning_rate * rate(step, params.steps)
        with torch.autocast(pupil.device.type, dtype=torch.bfloat16):
            logits = pupil.logits(model, [pupil.ids[example.prompt] for example in batch])
        loss = option_loss(logits, targets, pupil.letters)
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        context.progress(len(prompts) + step + 1, total, loss=float(loss.detach()))
    save_model(model.merge_and_unload(), pupil.tokenizer, context.out)


method = Method(
    name="opinion-sft",
    kind="model",
    description="Supervised training on opinion shares with a low-rank adapter, merged.",
    params=Params,
    run=run,
    inputs={
        "base": Role("model", "the model to start from"),
        "data": Role("dataset", "prompts with shares, of one or more communities", many=True),
    },
    limits=LIMITS,
    use="train-sft",
    libraries=(*LIBRARIES, "peft", "polars"),
)
