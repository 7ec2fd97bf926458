"""Reinforcement as a pretraining objective: a thought is paid by how much it helps the next token.

Before a token of plain text the model thinks, several times; each thought is worth the
log-probability that the text's own token has after it, less what a slow copy of the model gives it
without any thought. The gradient reaches the tokens of the thoughts and nothing else, so that what
is learned is to think, not to predict.

The reward is the sum of two parts, and only the first is the thoughts' own: what the thought adds
for the model as it is (`value`), and how far the model has moved from its slow copy (`drift`). As a
control, thoughts are shuffled between texts from time to time: `shuffled` is what they are worth
there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from assets.alignment import training
from assets.alignment.checkpoints import keep_state, kept_state, learner_state, put_back
from assets.alignment.groups import against_others, surrogate
from assets.alignment.reward_scoring import require_language_model
from assets.alignment.shadow import Shadow
from assets.alignment.spread import what_runs
from assets.alignment.thoughts import (
    Marks,
    Moment,
    Thought,
    moments,
    think,
    thought_log_probs,
    worth,
)
from assets.alignment.training import AdapterChoice, Tell, merged, save_trained, with_adapter
from assets.compute import LIBRARIES, load_weights, prepare
from assets.rows import ROWS, read_rows, turned_away, write_left_out
from assets.synthesis.sampling import Sampling, seed_of
from registry.errors import MethodError
from registry.method import Method, Role

if TYPE_CHECKING:
    import torch

    from registry.context import Context

_CONTROL = "shuffled"


class Params(AdapterChoice):
    """How thinking is learned. What the paper leaves open is said to be ours."""

    steps: int = Field(default=100, ge=1)
    """Times that thoughts are drawn."""
    prefixes: int = Field(default=8, ge=1)
    """Places in texts a step, on all processes together. The paper takes 512."""
    thoughts: int = Field(default=4, ge=2)
    """Thoughts before each place. The paper takes 16."""
    thought_tokens: int = Field(default=32, ge=1)
    """Tokens of a thought at most. The paper takes 2,048; short thoughts hurt at first."""
    target_tokens: int = Field(default=1, ge=1)
    """Tokens after the place that are predicted. The paper takes the next one."""
    updates: int = Field(default=1, ge=1)
    """Optimiser steps on the same thoughts."""
    learning_rate: float = Field(default=1e-4, gt=0)
    """AdamW's, constant. The paper takes 1e-6 for all weights; adapters need more."""
    temperature: float = Field(default=0.7, gt=0)
    """Of the thoughts, as in the paper."""
    clip_low: float = Field(default=0.2, gt=0, le=1)
    """How far a token's ratio may fall; the paper does not say, this is GRPO's."""
    clip_high: float = Field(default=0.2, gt=0)
    """How far a token's ratio may rise; the paper does not say, this is GRPO's."""
    keep: float = Field(default=0.999, gt=0, lt=1)
    """What the slow copy keeps of itself at each optimiser step, as in the paper."""
    least_context: int = Field(default=16, ge=1)
    """Tokens that a place must have before it; ours."""
    longest_context: int = Field(default=512, ge=1)
    """Tokens before a place that are read."""
    opens: str = "\n<think>"
    """What asks for a thought; the paper does not say, this is ours."""
    closes: str = "</think>\n"
    """What stands after a thought."""
    control_every: int = Field(default=10, ge=1)
    """Steps between controls with shuffled thoughts."""
    checkpoint_every: int = Field(default=25, ge=0)
    """Steps between checkpoints, from which a killed run goes on; 0 keeps none."""


@dataclass
class Learner:
    """A model that learns to think, and what is needed to go on with it."""

    model: Any
    """As the optimiser knows it: spread over processes where there are several."""
    plain: Any
    """The same without that."""
    accelerator: Any
    optimiser: Any
    slow: Shadow
    marks: Marks
    params: Params
    seed: int
    trained: Sequence[torch.Tensor]

    def own(self, everywhere: Sequence[Moment]) -> Sequence[Moment]:
        """This process's share of the moments of a step."""
        share = len(everywhere) // self.accelerator.num_processes
        first = self.accelerator.process_index * share
        return everywhere[first : first + share]

    def averaged(self, figures: dict[str, float], tokens: float) -> dict[str, float]:
        """A step's figures over all processes.

        Each has as many thoughts, so that means of means are right; the part of the tokens that
        were clipped is weighted with their number, and tokens learned from are added up.
        """
        import torch

        if self.accelerator.num_processes == 1:
            return figures
        weighted = figures | {"clipped": figures["clipped"] * tokens}
        own = torch.tensor(
            [*weighted.values(), tokens], dtype=torch.float64, device=self.accelerator.device
        )
        *means, count = self.accelerator.reduce(own, reduction="mean").tolist()
        found = dict(zip(weighted, means, strict=True))
        whole = found["tokens"] * self.accelerator.num_processes
        return found | {"clipped": found["clipped"] / max(count, 1.0), "tokens": whole}


def step_rewards(
    learner: Learner, asked: Sequence[Moment], thoughts: Sequence[Thought]
) -> dict[str, torch.Tensor]:
    """What each thought is worth, and its parts, each of shape (moments, thoughts)."""
    size, pad = learner.params.thoughts, learner.marks.pad
    bare = [(moment.before, moment.after) for moment in asked]
    with learner.accelerator.autocast():
        after_thought = worth(
            learner.plain, [(one.context, one.moment.after) for one in thoughts], pad
        )
        without = worth(learner.plain, bare, pad)
        with learner.slow.worn():
            slow = worth(learner.plain, bare, pad)
    shaped = after_thought.reshape(len(asked), size)
    return {
        "reward": shaped - slow[:, None],
        "value": shaped - without[:, None],
        "drift": (without - slow)[:, None].expand(-1, size),
    }


def shuffled_value(
    learner: Learner, owners: Sequence[Moment], thoughts: Sequence[Thought]
) -> float:
    """What thoughts are worth before other texts than theirs.

    Args:
        learner: Who thought.
        owners: For the thoughts before each moment, the moment that they are put before now.
        thoughts: The thoughts, those of one moment beside each other.
    """
    size, pad = learner.params.thoughts, learner.marks.pad
    moved = [
        Thought(owners[place // size], one.tokens, one.marks) for place, one in enumerate(thoughts)
    ]
    with learner.accelerator.autocast():
        there = worth(learner.plain, [(one.context, one.moment.after) for one in moved], pad)
        without = worth(learner.plain, [(m.before, m.after) for m in owners], pad)
    return float((there.reshape(len(owners), size) - without[:, None]).mean())


def step(learner: Learner, everywhere: Sequence[Moment], number: int) -> dict[str, float]:
    """Thinks before each moment, pays each thought, and learns; returns the step's figures.

    Args:
        learner: Who thinks.
        everywhere: The moments of the step; each of several processes takes its share of them.
        number: The step's, from 0.
    """
    import torch

    params, asked = learner.params, learner.own(everywhere)
    sampling = Sampling(temperature=params.temperature, max_new_tokens=params.thought_tokens)
    learner.plain.eval()
    with learner.accelerator.autocast():
        thoughts = think(
            learner.plain, asked, params.thoughts, learner.marks, sampling, learner.seed
        )
    rewards = step_rewards(learner, asked, thoughts)
    if not bool(torch.isfinite(rewards["reward"]).all()):
        raise MethodError(
            f"the reward of step {number + 1} is not finite",
            why="weights that follow from it mean nothing",
            mend="lower params.learning_rate",
        )
    figures = {name: float(values.mean()) for name, values in rewards.items()}
    if number % params.control_every == 0 and len(everywhere) > 1:
        owners = learner.own([*everywhere[1:], everywhere[0]])
        figures[_CONTROL] = shuffled_value(learner, owners, thoughts)
    gains = against_others(rewards["reward"]).reshape(-1)
    learner.model.train()
    old: torch.Tensor | None = None
    for _ in range(params.updates):
        with learner.accelerator.autocast():
            logs, mask = thought_log_probs(learner.model, thoughts, learner.marks.pad)
        old = logs.detach() if old is None else old
        loss, clipped = surrogate(
            (logs - old).exp(), gains, mask, params.clip_low, params.clip_high
        )
        learner.optimiser.zero_grad(set_to_none=True)
        learner.accelerator.backward(loss)
        norm = learner.accelerator.clip_grad_norm_(learner.trained, 1.0)
        learner.optimiser.step()
        learner.slow.follow()
    lengths = [len(one.words) for one in thoughts]
    figures |= {
        "loss": float(loss.detach()),
        "deviation": float(rewards["reward"].std(dim=1, correction=0).mean()),
        "clipped": float(clipped),
        "gradient_norm": float(norm),
        "thought_tokens": sum(lengths) / len(lengths),
        "tokens": sum(len(one.drawn_after) + len(one.tokens) for one in thoughts),
    }
    return learner.averaged(figures, float(mask.sum()))


def build(params: Params, model: Any, tokenizer: Any, seed: int, device: str) -> Learner:
    """Puts a model to school."""
    import torch
    from accelerate import Accelerator

    precision = "bf16" if params.arithmetic == "bfloat16" else "no"
    accelerator = Accelerator(cpu=device == "cpu", mixed_precision=precision)
    if params.prefixes % accelerator.num_processes:
        raise MethodError(
            f"params.prefixes {params.prefixes} cannot be shared by {accelerator.num_processes} "
            "processes evenly",
            mend="choose a multiple of the number of processes",
        )
    plain = with_adapter(model, params)
    trained = [p for p in plain.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=params.learning_rate, weight_decay=0.0)
    slow = Shadow(plain, params.keep)
    wrapped, prepared = accelerator.prepare(plain, optimiser)
    return Learner(
        wrapped, plain, accelerator, prepared, slow, marks_of(tokenizer, params), params, seed,
        trained,
    )  # fmt: skip


def marks_of(tokenizer: Any, params: Params) -> Marks:
    """The marks as tokens; a thought ends with its turn or with its line."""
    words = tokenizer.batch_decode([[token] for token in range(len(tokenizer))])
    lines = {token for token, word in enumerate(words) if "\n" in word}
    return Marks(
        opens=tuple(tokenizer.encode(params.opens, add_special_tokens=False)),
        closes=tuple(tokenizer.encode(params.closes, add_special_tokens=False)),
        ends=frozenset(lines | {tokenizer.eos_token_id}),
        pad=tokenizer.pad_token_id or 0,
    )


def train(
    learner: Learner,
    texts: Sequence[Sequence[int]],
    checkpoint: Path,
    tell: Tell,
    budget: float = math.inf,
) -> list[dict[str, float]]:
    """All steps, from the last checkpoint on; returns a row for each.

    Args:
        learner: Who learns.
        texts: What is read, as tokens.
        checkpoint: The file from which a killed run goes on.
        tell: Told how far it is.
        budget: Tokens to learn from, after which no step is begun.
    """
    params = learner.params
    curve = _restore(learner, checkpoint)
    for number in range(len(curve), params.steps):
        if sum(row["tokens"] for row in curve) >= budget:
            break
        asked = moments(
            texts, params.prefixes, params.least_context, params.longest_context,
            params.target_tokens, seed_of(learner.seed, f"step {number}"),
        )  # fmt: skip
        figures = step(learner, asked, number)
        curve.append({"step": number + 1, **figures})
        tell(number + 1, figures)
        if params.checkpoint_every and (number + 1) % params.checkpoint_every == 0:
            _save(learner, curve, checkpoint)
    return curve


def _save(learner: Learner, curve: Sequence[dict[str, float]], checkpoint: Path) -> None:
    if learner.accelerator.is_main_process:
        own = learner_state(learner.trained, learner.optimiser, curve)
        keep_state(checkpoint, own | {"slow": learner.slow.state()})


def _restore(learner: Learner, checkpoint: Path) -> list[dict[str, float]]:
    state = kept_state(checkpoint, "cpu")
    if state is None:
        return []
    learner.slow.restore(state["slow"])
    return put_back(state, learner.trained, learner.optimiser)


def texts_of(
    tokenizer: Any, rows: Sequence[dict[str, Any]], least: int
) -> tuple[list[list[int]], list[dict[str, Any]]]:
    """The rows as plain text, and those that are too short to think about."""
    texts, rejected = [], []
    for row in rows:
        parts = [part for part in (row["prompt"], row["completion"]) if part]
        ids = tokenizer.encode("\n".join(parts), add_special_tokens=False)
        if len(ids) < least:
            why = f"shorter than {least} tokens"
            rejected.append(turned_away(row["row_id"], why, len(ids)))
        else:
            texts.append(ids)
    return texts, rejected


def run(context: Context) -> None:
    """Teaches a model to think before it goes on."""
    params = context.typed(Params)
    require_language_model(context.input("base"))
    device = prepare(context)
    model, tokenizer = load_weights(context.input("base").files, device, params.loads_as)
    rows = list(_rows(context))
    texts, rejected = texts_of(tokenizer, rows, params.least_context + params.target_tokens)
    if not texts:
        raise MethodError(
            f"none of {len(rows)} texts is long enough",
            why=f"a place needs {params.least_context} tokens before it",
            mend="give longer texts, or lower params.least_context",
        )
    learner = build(params, model, tokenizer, context.seed, context.device)

    context.ran(what_runs(learner.accelerator, "none", params.arithmetic, writer="transformers"))

    seen: list[float] = []

    def tell(done: int, figures: Mapping[str, float]) -> None:
        shown = {name: figures[name] for name in ("loss", "reward", "value")}
        seen.append(figures["tokens"])
        context.progress(done, params.steps, tokens=round(sum(seen)), **shown)

    curve = train(learner, texts, context.work / "checkpoint.pt", tell)
    write_left_out(context.out, rejected)
    panels = {
        "reward (nats)": [row["reward"] for row in curve],
        "value of thoughts (nats)": [row["value"] for row in curve],
        "the same, shuffled": [row[_CONTROL] for row in curve if row.get(_CONTROL) is not None],
    }
    drawn = {label: values for label, values in panels.items() if values}
    trained = merged(learner.plain, params)
    save_trained(context, trained, tokenizer, curve, drawn, "rewards.png")


def _rows(context: Context) -> Iterator[dict[str, Any]]:
    for given in context.inputs("data"):
        yield from read_rows(given.files / ROWS).to_dicts()


method = Method(
    name="rlp",
    kind="model",
    form="language model",
    description="Reinforcement as a pretraining objective: thoughts paid by the token they help.",
    params=Params,
    run=run,
    inputs={
        "base": Role("model", "the model to start from", form="language model"),
        "data": Role("dataset", "rows that are read as plain text", many=True),
    },
    use="train-rl",
    spreads=True,
    libraries=(*LIBRARIES, *training.LIBRARIES, "matplotlib", "polars"),
)
