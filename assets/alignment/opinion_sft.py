"""Supervised training on opinion shares: a low-rank adapter, merged into weights that stand alone.

For each prompt the loss is the cross-entropy from the shares in which respondents answered to the
model's next-token distribution over the whole vocabulary. It is the sum of two parts: the
cross-entropy to the model's normalised option probabilities, and minus the log of the mass that it
gives to the options at all, so that no mass is left outside them.

Where only the top layers are trained, the layers below always give the same activations: they are
computed once per prompt and kept, which makes a step several times cheaper.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import Field

from assets.compute import LIBRARIES, load_model, prepare, save_model
from assets.option_prompt import encode, letter_ids, position_ids
from assets.rows import read_rows
from registry.errors import MethodError, UsageError
from registry.method import Method, Role
from registry.typed import Frozen

if TYPE_CHECKING:
    import random

    import torch

    from registry.context import Context


_TOLERANCE = 0.02
"""Difference in probability that bfloat16 alone can make between two ways of computing."""


class Params(Frozen):
    """Parameters of the training."""

    steps: int = Field(default=600, ge=1)
    """Optimiser steps; models that are compared take the same number."""
    batch_size: int = Field(default=5, ge=1)
    """Prompts a step."""
    learning_rate: float = Field(default=2e-3, gt=0)
    """Peak learning rate of AdamW; it warms up over 5 % of the steps, then falls to a tenth."""
    adapter_rank: int = Field(default=16, ge=1)
    """Rank of the low-rank adapter."""
    adapter_alpha: float = Field(default=32, gt=0)
    """Scale of the adapter; its updates are multiplied by alpha / rank."""
    trained_layers: int = Field(default=6, ge=0)
    """How many of the top layers are adapted; 0 adapts all of them."""
    weights: dict[str, float] = Field(default_factory=dict)
    """The weight of each community in a pooled model; communities not named weigh 1."""


@dataclass(frozen=True)
class Example:
    """One prompt with the shares of its options, in the order shown."""

    community: str
    prompt: str
    shares: tuple[float, ...]


def read_examples(context: Context) -> dict[str, list[Example]]:
    """The rows of every community given, in the datasets' own order."""
    found: dict[str, list[Example]] = {}
    for given in context.inputs("data"):
        for row in read_rows(given.files / "items.parquet").to_dicts():
            example = Example(row["community"], row["prompt"], tuple(row["shares"]))
            found.setdefault(example.community, []).append(example)
    return found


def community_weights(given: Mapping[str, float], communities: Sequence[str]) -> dict[str, float]:
    """The weight of each community; raises UsageError on a weight that cannot be."""
    for name, weight in given.items():
        if weight < 0:
            raise UsageError(f"params.weights.{name} is negative")
    weights = {community: given.get(community, 1.0) for community in communities}
    if sum(weights.values()) <= 0:
        raise UsageError("params.weights leave no community any weight")
    return weights


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


class Trunk:
    """The layers below the adapter: fixed, so each prompt passes through them only once."""

    def __init__(self, model: Any, trained_layers: int) -> None:
        decoder = getattr(model, "model", None)
        if decoder is None or not hasattr(decoder, "layers") or not hasattr(decoder, "norm"):
            raise MethodError(
                f"{type(model).__name__} has no stack of decoder layers",
                mend="train all layers with `trained_layers: 0`, or choose a Llama-like model",
            )
        self._decoder = decoder
        self._all = decoder.layers
        self._norm = decoder.norm
        self.depth = len(self._all) - trained_layers if trained_layers else 0
        if self.depth < 0:
            raise UsageError(
                f"params.trained_layers is {trained_layers}; the model has {len(self._all)} layers"
            )

    def hidden(self, ids: Sequence[int]) -> torch.Tensor:
        """Activations of one prompt below the trained layers, shape (tokens, width)."""
        import torch

        decoder = self._decoder
        tokens = torch.tensor([list(ids)], device=decoder.embed_tokens.weight.device)
        decoder.layers, decoder.norm = self._all[: self.depth], torch.nn.Identity()
        try:
            with torch.no_grad():
                output = decoder(input_ids=tokens, use_cache=False)
        finally:
            decoder.layers, decoder.norm = self._all, self._norm
        hidden: torch.Tensor = output.last_hidden_state[0]
        return hidden

    def lift(self, model: Any, hidden: Sequence[torch.Tensor]) -> torch.Tensor:
        """Next-token logits of prompts from their activations, shape (prompts, vocabulary)."""
        import torch

        width = max(len(rows) for rows in hidden)
        padded = hidden[0].new_zeros((len(hidden), width, hidden[0].shape[-1]))
        mask = torch.zeros((len(hidden), width), dtype=torch.long, device=padded.device)
        for index, rows in enumerate(hidden):
            padded[index, width - len(rows) :] = rows
            mask[index, width - len(rows) :] = 1
        self._decoder.layers = self._all[self.depth :]
        try:
            output = model(
                inputs_embeds=padded,
                attention_mask=mask,
                position_ids=position_ids(mask),
                logits_to_keep=1,
                use_cache=False,
            )
        finally:
            self._decoder.layers = self._all
        logits: torch.Tensor = output.logits[:, -1]
        return logits

    def check(self, model: Any, ids: Sequence[int]) -> None:
        """Raises MethodError unless both parts together are the model itself."""
        import torch

        with torch.no_grad():
            tokens = torch.tensor([list(ids)], device=self._decoder.embed_tokens.weight.device)
            whole = model(input_ids=tokens, logits_to_keep=1, use_cache=False).logits[:, -1]
            parts = self.lift(model, [self.hidden(ids)])
        difference = (whole.float().softmax(-1) - parts.float().softmax(-1)).abs().max().item()
        if difference > _TOLERANCE:
            raise MethodError(
                f"{type(model).__name__} cannot be split below its top layers",
                why=f"the two parts differ from the whole by {difference:.3f} in probability",
                mend="train all layers with `trained_layers: 0`",
            )


def _adapted(model: Any, params: Params, layers: int) -> Any:
    import torch
    from peft import LoraConfig, get_peft_model

    linear = {
        name.rpartition(".")[2]
        for name, module in model.model.layers.named_modules()
        if isinstance(module, torch.nn.Linear)
    }
    first = layers - params.trained_layers if params.trained_layers else 0
    config = LoraConfig(
        r=params.adapter_rank,
        lora_alpha=params.adapter_alpha,
        target_modules=sorted(linear),
        layers_to_transform=list(range(first, layers)),
        layers_pattern="layers",
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, config)


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
    device = prepare(context)
    examples = read_examples(context)
    weights = community_weights(params.weights, sorted(examples))
    model, tokenizer = load_model(context.input("base").files, device, "bfloat16")
    if device.type == "cpu":
        model.set_attn_implementation("eager")  # a fifth faster on prompts this short
    prompts = sorted({e.prompt for rows in examples.values() for e in rows})
    ids = {prompt: encode(tokenizer, prompt) for prompt in prompts}
    longest = max(len(e.shares) for rows in examples.values() for e in rows)
    letters = torch.tensor(letter_ids(tokenizer, longest), device=device)
    layers = len(model.model.layers)
    trunk = Trunk(model, params.trained_layers)
    trunk.check(model, ids[prompts[0]])
    total = len(prompts) + params.steps
    hidden: dict[str, torch.Tensor] = {}
    for done, prompt in enumerate(prompts, 1):
        hidden[prompt] = trunk.hidden(ids[prompt])
        if done % 20 == 0:
            context.progress(done, total)
    adapted = _adapted(model, params, layers)
    adapted.train()
    trained = [p for p in adapted.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=params.learning_rate, weight_decay=0.0)
    source = batches(examples, weights, params.batch_size, random.Random(context.seed))  # noqa: S311
    for step in range(params.steps):
        batch = next(source)
        targets = torch.zeros((len(batch), longest), device=device)
        for index, example in enumerate(batch):
            targets[index, : len(example.shares)] = torch.tensor(example.shares)
        for group in optimiser.param_groups:
            group["lr"] = params.learning_rate * rate(step, params.steps)
        with torch.autocast(device.type, dtype=torch.bfloat16):
            logits = trunk.lift(adapted, [hidden[example.prompt] for example in batch])
        loss = option_loss(logits, targets, letters)
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        context.progress(len(prompts) + step + 1, total, loss=float(loss.detach()))
    save_model(adapted.merge_and_unload(), tokenizer, context.out)


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
    use="train-sft",
    libraries=(*LIBRARIES, "peft", "polars"),
)
