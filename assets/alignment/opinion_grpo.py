"""Reinforcement of opinion shares: GRPO on one-letter answers, each member with its own reward.

A step asks a few questions. Each group of answers to a question is drawn from one forward pass,
since an answer is one token; the trainer is trl's, told how to draw and how to score them so. The
reward `match` pays an answer for being rarer than it is among people, `format` pays for keeping to
the options; the curve of each is kept apart in `curves.parquet`.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from assets.alignment import rewards
from assets.alignment.adapter import AdapterParams, Pupil, enrol
from assets.alignment.checkpoints import train_on
from assets.alignment.examples import LIMITS, Example, read_examples
from assets.alignment.spread import order_of
from assets.alignment.training import save_trained, tokens_in
from assets.compute import LIBRARIES
from assets.synthesis.sampling import seed_of
from registry.method import Method, Role

if TYPE_CHECKING:
    import torch
    from trl import GRPOConfig, GRPOTrainer

    from registry.context import Context

_CURVES = {
    "reward": "reward",
    "match": "rewards/match/mean",
    "format": "rewards/format/mean",
    "match_deviation": "rewards/match/std",
    "entropy": "entropy",
    "kl_to_start": "kl",
    "gradient_norm": "grad_norm",
    "learning_rate": "learning_rate",
}
"""Our name of each curve, and trl's."""


class Params(AdapterParams):
    """Parameters of the training."""

    steps: int = Field(default=150, ge=1)
    """Optimiser steps."""
    batch_size: int = Field(default=5, ge=1)
    """Questions a step."""
    group_size: int = Field(default=64, ge=2)
    """Answers drawn for each question; they cost one forward pass together."""
    learning_rate: float = Field(default=2e-3, gt=0)
    """Peak learning rate of AdamW; it warms up over 5 % of the steps, then falls to zero."""
    match_weight: float = Field(default=1.0, ge=0)
    """Weight of the reward for matching people's shares."""
    format_weight: float = Field(default=1.0, ge=0)
    """Weight of the reward for answering with one of the options."""
    outside_margin: float = Field(default=1.0, gt=0)
    """How far below the lowest possible match an answer outside the options is paid."""
    kl_weight: float = Field(default=0.0, ge=0)
    """Weight of the penalty for leaving the model that training starts from; 0 asks for none."""
    checkpoint_every: int = Field(default=25, ge=0)
    """Steps between checkpoints, from which a killed run goes on; 0 keeps none."""


def rows_of(examples: Mapping[str, Sequence[Example]]) -> list[dict[str, Any]]:
    """One row for each prompt of each community, with its smoothed target."""
    return [
        {"prompt": example.prompt, "target": rewards.smoothed(example.shares, example.n)}
        for community in sorted(examples)
        for example in examples[community]
    ]


def settings(context: Context, params: Params) -> GRPOConfig:
    """The settings of trl: everything that bears on the result is named here."""
    from trl import GRPOConfig

    return GRPOConfig(
        output_dir=str(context.work / "trainer"),
        use_cpu=context.device == "cpu",
        bf16=True,
        seed=context.seed,
        data_seed=context.seed,
        shuffle_dataset=False,
        max_steps=params.steps,
        per_device_train_batch_size=params.batch_size * params.group_size,
        num_generations=params.group_size,
        num_iterations=1,
        max_completion_length=1,
        temperature=1.0,
        beta=params.kl_weight,
        loss_type="grpo",
        scale_rewards="none",  # dividing by the deviation would bend the gradient away from the KL
        reward_weights=[params.match_weight, params.format_weight],
        learning_rate=params.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=max(1, params.steps // 20),
        weight_decay=0.0,
        max_grad_norm=1.0,
        optim="adamw_torch",
        activation_checkpointing=False,
        remove_unused_columns=False,
        logging_steps=1,
        save_strategy="steps" if params.checkpoint_every else "no",
        save_steps=params.checkpoint_every or params.steps,
        save_total_limit=2,
        report_to="none",
        disable_tqdm=True,
    )


def draw(pupil: Pupil, prompts: Sequence[str], options: Sequence[int], size: int) -> dict[str, Any]:
    """Answers to each prompt, `size` of them from one forward pass, with what rewards need."""
    import torch

    asked = [pupil.ids[prompt] for prompt in prompts]
    with torch.no_grad():
        logits = pupil.logits(pupil.model, asked).float()
    tokens = torch.multinomial(logits.softmax(dim=-1), size, replacement=True)
    answers, own = [], []
    for row, count, drawn in zip(logits, options, tokens, strict=True):
        letters = pupil.letters[:count]
        shown = row[letters].log_softmax(dim=-1).tolist()
        place = {int(letter): index for index, letter in enumerate(letters)}
        chosen = [place.get(token, rewards.OUTSIDE) for token in drawn.tolist()]
        answers += chosen
        own += [shown[c] if c != rewards.OUTSIDE else 0.0 for c in chosen]
    return {
        "prompt_ids": [list(one) for one in asked for _ in range(size)],
        "completion_ids": tokens.reshape(-1, 1).tolist(),
        "logprobs": None,
        "answer": answers,
        "own": own,
    }


def build_trainer(
    pupil: Pupil, rows: Sequence[dict[str, Any]], params: Params, config: GRPOConfig
) -> GRPOTrainer:
    """The trainer of trl on one-token answers: a forward pass a question, not one an answer.

    What a step asks and draws follows from the seed and the step's number alone, so that a run that
    was killed goes on as if nothing had been.
    """
    import torch
    from datasets import Dataset
    from trl import GRPOTrainer

    options = {row["prompt"]: len(row["target"]) for row in rows}
    order = order_of(len(rows), params.steps * params.batch_size, config.seed)
    outside = rewards.floor([row["target"] for row in rows], params.outside_margin)

    def rollout(prompts: list[str], trainer: GRPOTrainer) -> dict[str, Any]:
        asked = prompts[:: trainer.num_generations]
        torch.manual_seed(seed_of(config.seed, f"step {trainer.state.global_step}"))
        return draw(pupil, asked, [options[one] for one in asked], trainer.num_generations)

    def match(
        target: list[list[float]], answer: list[int], own: list[float], **_: object
    ) -> list[float]:
        given = zip(target, answer, own, strict=True)
        return [rewards.match(t, a, log_q, outside) for t, a, log_q in given]

    def format(answer: list[int], **_: object) -> list[float]:  # noqa: A001 - the curve's name
        return [rewards.format_kept(a) for a in answer]

    class OneTokenTrainer(GRPOTrainer):  # type: ignore[misc]
        def _get_per_token_logps_and_entropies(
            self,
            model: Any,
            input_ids: torch.Tensor,
            attention_mask: torch.Tensor,
            logits_to_keep: int,
            **_: Any,
        ) -> tuple[torch.Tensor, torch.Tensor, None]:
            assert logits_to_keep == 1  # noqa: S101
            asked = [
                tuple(row[mask.bool()].tolist())
                for row, mask in zip(input_ids[:, :-1], attention_mask[:, :-1], strict=True)
            ]
            unique = sorted(set(asked))
            index = torch.tensor([unique.index(one) for one in asked], device=input_ids.device)
            with self.accelerator.autocast():
                logits = pupil.logits(model, unique)
            logs = logits.float().log_softmax(dim=-1)
            entropies = -(logs.exp() * logs).sum(dim=-1, keepdim=True)
            return logs[index].gather(1, input_ids[:, -1:]), entropies[index].detach(), None

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "You are using 'rollout_func'", UserWarning)
        return OneTokenTrainer(
            model=pupil.model,
            args=config,
            reward_funcs=[match, format],
            train_dataset=Dataset.from_list([rows[place] for place in order]),
            processing_class=pupil.tokenizer,
            rollout_func=rollout,
        )


def curve_rows(logs: Sequence[Mapping[str, float]]) -> list[dict[str, Any]]:
    """One row a step: each reward's mean over the answers drawn, and how training went."""
    return [
        {"step": int(log["step"])}
        | {ours: float(log[theirs]) for ours, theirs in _CURVES.items() if theirs in log}
        for log in logs
        if "reward" in log
    ]


def run(context: Context) -> None:
    """Trains the adapter, merges it and saves the model beside the curves of its rewards."""
    from transformers import PrinterCallback

    params = context.typed(Params)
    config = settings(context, params)
    rows = rows_of(read_examples(context))
    prompts = sorted({row["prompt"] for row in rows})
    longest = max(len(row["target"]) for row in rows)
    pupil = enrol(context, params, prompts, longest, params.steps)
    trainer = build_trainer(pupil, rows, params, config)
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(_progress(context, len(prompts), params.steps))
    train_on(trainer, Path(config.output_dir))
    curves = curve_rows(trainer.state.log_history)
    panels = {f"reward: {name}": [row[name] for row in curves] for name in ("match", "format")}
    merged = pupil.model.merge_and_unload()
    save_trained(context, merged, pupil.tokenizer, curves, panels, "rewards.png")


def _progress(context: Context, before: int, steps: int) -> Any:
    """Tells the run how far trl is, and the reward of each step."""
    from transformers import TrainerCallback

    class Progress(TrainerCallback):  # type: ignore[misc]
        def on_log(
            self, _args: Any, state: Any, _control: Any, logs: dict[str, float], **_: Any
        ) -> None:
            for row in curve_rows([{**logs, "step": state.global_step}]):
                shown = {"reward": row["reward"]}
                shown |= {f"reward_{name}": row[name] for name in ("match", "format")}
                shown |= tokens_in(logs)
                context.progress(before + state.global_step, before + steps, **shown)

    return Progress()


method = Method(
    name="opinion-grpo",
    kind="model",
    form="language model",
    description="GRPO on one-letter answers, rewarded for matching people's shares.",
    params=Params,
    run=run,
    inputs={
        "base": Role("model", "the model to start from", form="language model"),
        "data": Role("dataset", "prompts with shares, of one or more communities", many=True),
    },
    limits=LIMITS,
    use="train-rl",
    libraries=(*LIBRARIES, "datasets", "matplotlib", "peft", "polars", "trl"),
)
