"""Supervised training on opinion shares: a low-rank adapter, merged into weights that stand alone.

For each prompt the loss is the cross-entropy from the shares in which respondents answered to the
model's next-token distribution over the whole vocabulary. It is the sum of two parts: the
cross-entropy to the model's normalised option probabilities, and minus the log of the mass that it
gives to the options at all, so that no mass is left outside them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from assets.alignment.adapter import AdapterParams, Pupil, enrol
from assets.alignment.checkpoints import keep_state, kept_state, learner_state, put_back
from assets.alignment.examples import LIMITS, Example, community_weights, read_examples
from assets.alignment.training import require_finite, save_trained
from assets.compute import LIBRARIES
from assets.shared_prefixes import shared_length
from assets.synthesis.sampling import seed_of
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
    checkpoint_every: int = Field(default=50, ge=0)
    """Steps between checkpoints, from which a killed run goes on; 0 keeps none."""
    weights: dict[str, float] = Field(default_factory=dict)
    """The weight of each community in a pooled model; communities not named weigh 1."""
    hide_tokens: float = Field(default=0.0, ge=0, le=0.5)
    """The mean part of a prompt's own tokens that the trained layers do not see in a step, drawn
    anew each time, so that a question is not known by one word. What all prompts begin or end with
    is always seen. `opinion-cross-validation` over wordings shows what it is worth."""
    adapter_dropout: float = Field(default=0.0, ge=0, lt=1)
    """The part of the adapter's inputs that is left out in a step, drawn anew each time."""


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


def train(
    pupil: Pupil,
    source: Iterator[list[Example]],
    params: Params,
    seed: int,
    checkpoint: Path,
    tell: Callable[[int, Mapping[str, float]], None],
) -> list[dict[str, float]]:
    """All steps, from the last checkpoint on; returns a row for each.

    Args:
        pupil: The model and its prompts.
        source: The batches of every step, from the first on.
        params: How it learns.
        seed: Where the draws of each step come from.
        checkpoint: Where it is kept how far it came.
        tell: Told each step's number and figures.

    Raises:
        MethodError: Where the loss is no finite number.
    """
    import torch
    from peft.helpers import disable_input_dtype_casting

    model = pupil.model.train()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=params.learning_rate, weight_decay=0.0)
    curve = _restore(trained, optimiser, checkpoint)
    ends = shared_ends(list(pupil.ids.values()))
    tokens = 0
    with disable_input_dtype_casting(model):  # autocast sees to formats, once
        for number, batch in enumerate(islice(source, params.steps)):
            if number < len(curve):
                continue  # drawn all the same: later batches follow from earlier ones
            learning_rate = params.learning_rate * rate(number, params.steps)
            for group in optimiser.param_groups:
                group["lr"] = learning_rate
            torch.manual_seed(seed_of(seed, f"step {number}"))  # the same in a run that goes on
            loss = batch_loss(pupil, batch, ends, params.hide_tokens)
            optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            norm = torch.nn.utils.clip_grad_norm_(trained, 1.0)
            row = {
                "step": number + 1,
                "loss": float(loss.detach()),
                "gradient_norm": float(norm),
                "learning_rate": learning_rate,
            }
            require_finite(row)
            optimiser.step()
            curve.append(row)
            if params.checkpoint_every and (number + 1) % params.checkpoint_every == 0:
                _keep(trained, optimiser, curve, checkpoint)
            tokens += sum(len(pupil.ids[example.prompt]) for example in batch)
            tell(number + 1, {"loss": row["loss"], "tokens": tokens})
    return curve


def batch_loss(
    pupil: Pupil, batch: Sequence[Example], ends: tuple[int, int] = (0, 0), hide: float = 0.0
) -> torch.Tensor:
    """The loss of one batch. Logits are computed after the last token of each prompt only.

    Args:
        pupil: The model and its prompts.
        batch: What is learned.
        ends: How many first and last tokens of a prompt are never hidden.
        hide: The mean part of the others that is.
    """
    import torch

    longest = max(len(example.shares) for example in batch)
    targets = torch.zeros((len(batch), longest), device=pupil.device)
    for index, example in enumerate(batch):
        targets[index, : len(example.shares)] = torch.tensor(example.shares)
    prompts = [pupil.ids[example.prompt] for example in batch]
    seen = seen_tokens([len(ids) for ids in prompts], ends, hide) if hide else None
    with torch.autocast(pupil.device.type, dtype=torch.bfloat16):
        logits = pupil.logits(pupil.model, prompts, seen)
    return option_loss(logits, targets, pupil.letters[:longest])


def shared_ends(prompts: Sequence[Sequence[int]]) -> tuple[int, int]:
    """How many first and last tokens all prompts have in common."""
    first = shared_length(prompts)
    return first, shared_length([ids[first:][::-1] for ids in prompts])


def seen_tokens(lengths: Sequence[int], ends: tuple[int, int], part: float) -> list[torch.Tensor]:
    """For each prompt which tokens are seen: 0 for those that are hidden.

    How large a part is hidden is drawn for each prompt between 0 and twice `part`.
    """
    import torch

    first, last = ends
    found = []
    for length in lengths:
        seen = torch.ones(length, dtype=torch.long)
        own = seen[first : length - last]
        own[torch.rand(len(own)) < 2 * part * torch.rand(1)] = 0
        found.append(seen)
    return found


def _keep(trained: Sequence[Any], optimiser: Any, curve: Sequence[Any], checkpoint: Path) -> None:
    keep_state(checkpoint, learner_state(trained, optimiser, curve))


def _restore(trained: Sequence[Any], optimiser: Any, checkpoint: Path) -> list[dict[str, float]]:
    state = kept_state(checkpoint, trained[0].device)
    return [] if state is None else put_back(state, trained, optimiser)


def run(context: Context) -> None:
    """Trains the adapter, merges it and saves the model beside its curve."""
    import random

    params = context.typed(Params)
    examples = read_examples(context)
    weights = community_weights(params.weights, sorted(examples))
    prompts = sorted({e.prompt for rows in examples.values() for e in rows})
    longest = max(len(e.shares) for rows in examples.values() for e in rows)
    pupil = enrol(context, params, prompts, longest, params.steps, params.adapter_dropout)
    source = batches(examples, weights, params.batch_size, random.Random(context.seed))  # noqa: S311

    def tell(step: int, figures: Mapping[str, float]) -> None:
        context.progress(len(prompts) + step, len(prompts) + params.steps, **figures)

    curve = train(pupil, source, params, context.seed, context.work / "checkpoint.pt", tell)
    panels = {"loss (nats)": [row["loss"] for row in curve]}
    merged = pupil.model.merge_and_unload()
    save_trained(context, merged, pupil.tokenizer, curve, panels, "loss.png")


method = Method(
    name="opinion-sft",
    kind="model",
    form="language model",
    description="Supervised training on opinion shares with a low-rank adapter, merged.",
    params=Params,
    run=run,
    inputs={
        "base": Role("model", "the model to start from", form="language model"),
        "data": Role("dataset", "prompts with shares, of one or more communities", many=True),
    },
    limits=LIMITS,
    use="train-sft",
    libraries=(*LIBRARIES, "matplotlib", "peft", "polars"),
)
