"""What a run of GRPO is told: its parameters, the order of its prompts, and trl's settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator

from assets.alignment.groups import Scale
from assets.alignment.grpo_vllm import Writer
from assets.alignment.reward_functions import NamedReward
from assets.alignment.reward_values import Asked
from assets.alignment.spread import more_parts, order_of, parts_of
from assets.alignment.training import AdapterChoice
from assets.compute import processes_here
from assets.synthesis.sampling import Sampling
from registry.errors import MethodError

if TYPE_CHECKING:
    from trl import GRPOConfig


class GrpoTraining(AdapterChoice):
    """How a policy is drawn from, compared and updated."""

    steps: int = Field(default=100, ge=1)
    """Optimiser steps."""
    prompts: int = Field(default=8, ge=1)
    """Prompts asked at once, on all processes together. DeepSeek-R1 takes 32."""
    group_size: int = Field(default=8, ge=2)
    """Answers to each, which are compared with each other. DeepSeek-R1 takes 16; at 135 million
    weights half of the groups of 4 pay all members the same and teach nothing."""
    minibatches: int = Field(default=1, ge=1)
    """Optimiser steps that the answers of one draw are shared out to. DeepSeek-R1 takes 16; with 1
    every answer is compared with the very model that gave it, and nothing needs clipping."""
    iterations: int = Field(default=1, ge=1)
    """How often all answers of one draw are learned from, as in DeepSeek-R1."""
    accumulate: int = Field(default=1, ge=1)
    """In how many parts an optimiser step is taken; more parts need less memory."""
    answers_at_once: int = Field(default=64, ge=1)
    """Answers that are written side by side; fewer need less memory."""
    writer: Writer = "transformers"
    """Who writes answers. vLLM is quicker on a GPU, where it is installed."""
    writer_memory: float = Field(default=0.3, gt=0, lt=1)
    """The part of each GPU's memory that vLLM may take."""
    writer_cap: float = Field(default=3.0, gt=0)
    """vLLM gives a token another probability than training does; the token's loss is weighed by the
    ratio of the two, at most by this. 3 is trl's own value."""
    sampling: Sampling = Sampling(max_new_tokens=128)
    """How answers are drawn. A temperature of 1 draws from the model itself."""
    scale: Scale = "none"
    """What a group's rewards are divided by: nothing, the population's standard deviation (divisor
    G, as the paper's formula reads) or the sample's (divisor G - 1, as trl does). Dividing gives
    groups that nearly agree as much weight as those that differ, so the default is not to."""
    loss: Literal["grpo", "bnpo", "dr_grpo", "dapo"] = "dapo"
    """How token losses are averaged: within each answer first (grpo, which favours short right and
    long wrong answers), over the tokens of each part (bnpo), over the longest possible answer
    (dr_grpo), or over the tokens of the whole step (dapo, the same however it is parted)."""
    kl_weight: float = Field(default=0.0, ge=0)
    """Weight of the penalty for leaving the model that training starts from; 0 asks for none and
    saves a pass. DeepSeek-R1 takes 0.001."""
    clip_low: float = Field(default=0.2, gt=0, le=1)
    """How far a token's ratio may fall."""
    clip_high: float = Field(default=0.2, gt=0)
    """How far a token's ratio may rise; DAPO takes 0.28, so that rare tokens can become common."""
    mask_cut: bool = False
    """Whether answers that were cut teach nothing. They still count in their group's mean. At 32
    tokens half of a small model's answers are cut, so the default is to learn from them."""
    learning_rate: float = Field(default=1e-4, gt=0)
    """Peak learning rate of AdamW. Adapters take about 1e-4, all weights about 3e-6."""
    schedule: Literal["constant_with_warmup", "linear", "cosine"] = "constant_with_warmup"
    """How the learning rate goes on after it has warmed up."""
    warmup: float = Field(default=0.0, ge=0, lt=1)
    """The part of the steps over which the learning rate rises."""
    checkpoint_every: int = Field(default=25, ge=0)
    """Steps between checkpoints, from which a killed run goes on; rounded up to the next step at
    which all answers of a draw have been used. 0 keeps none."""
    samples_every: int = Field(default=10, ge=1)
    """Draws between those of which one group is kept to be read, with what each reward paid."""
    gradient_checkpointing: bool = False
    """Computes activations twice and keeps fewer: half the memory for a third more time."""
    fit_memory: bool = False
    """Where memory runs out, goes on from the last checkpoint with each step in at least twice as
    many parts, and as many fewer answers written side by side. Steps are the same but for rounding;
    the run says how many parts it took."""

    @model_validator(mode="after")
    def _can_be_drawn(self) -> Self:
        if self.fit_memory and self.loss == "bnpo":
            raise ValueError(
                "`loss: bnpo` averages over the tokens of each part, so that a step in more parts "
                "is another one; leave out `fit_memory`"
            )
        if self.sampling.temperature == 0:
            raise ValueError(
                "`sampling.temperature` is 0: all answers to a prompt would be the same"
            )
        if self.prompts * self.group_size % (self.minibatches * self.accumulate):
            raise ValueError(
                f"{self.prompts} prompts x {self.group_size} answers cannot be taken in "
                f"{self.minibatches} `minibatches` x {self.accumulate} parts (`accumulate`)"
            )
        return self

    @property
    def steps_per_draw(self) -> int:
        """Optimiser steps on the answers of one draw."""
        return self.minibatches * self.iterations

    @property
    def checkpoint_steps(self) -> int:
        """Steps between checkpoints, each at the end of a draw; 0 for none."""
        return -(-self.checkpoint_every // self.steps_per_draw) * self.steps_per_draw


@dataclass(frozen=True)
class Course:
    """What is trained on, and where what is on the way is kept."""

    asked: Sequence[Asked]
    rewards: Sequence[NamedReward]
    params: GrpoTraining
    seed: int
    device: str
    folder: Path
    """Where checkpoints and samples lie."""

    @property
    def names(self) -> list[str]:
        """The rewards by name."""
        return [reward.name for reward in self.rewards]

    @property
    def draws(self) -> int:
        """How often answers are drawn."""
        return -(-self.params.steps // self.params.steps_per_draw)

    @property
    def trainer(self) -> Path:
        """Where checkpoints lie."""
        return self.folder / "trainer"

    @property
    def parts(self) -> int:
        """In how many parts a step is taken: as declared, or more where memory ran out."""
        return parts_of(self.trainer, self.params.accumulate)

    @property
    def at_once(self) -> int:
        """How many answers are written side by side: fewer where memory ran out."""
        return max(1, self.params.answers_at_once * self.params.accumulate // self.parts)

    @property
    def more_parts(self) -> int | None:
        """In how many parts to take a step where memory runs out; None to give up."""
        if not self.params.fit_memory:
            return None
        answers = self.params.prompts * self.params.group_size
        return more_parts(answers // processes_here() // self.params.minibatches, self.parts)


def places_of(course: Course) -> list[int]:
    """The places of all prompts of a run, in the order asked.

    trl's sampler starts anew with each pass over its rows when a run goes on, so it is given one
    pass only.
    """
    return order_of(len(course.asked), course.draws * course.params.prompts, course.seed)


def settings(course: Course) -> GRPOConfig:
    """The settings of trl: everything that bears on the result is named here."""
    from trl import GRPOConfig

    params, processes = course.params, processes_here()
    batch, parts = params.prompts * params.group_size, params.minibatches * course.parts
    if params.prompts % processes or batch % (processes * parts):
        raise MethodError(
            f"{params.prompts} prompts x {params.group_size} answers cannot be shared by "
            f"{processes} processes in {parts} parts",
            why="answers to one prompt are compared where they were drawn",
            mend="choose params.prompts as a multiple of the number of processes",
        )
    return GRPOConfig(
        output_dir=str(course.trainer),
        use_cpu=course.device == "cpu",
        bf16=params.arithmetic == "bfloat16",
        seed=course.seed,
        data_seed=course.seed,
        max_steps=params.steps,
        per_device_train_batch_size=batch // (processes * parts),
        gradient_accumulation_steps=course.parts,
        steps_per_generation=parts,
        num_iterations=params.iterations,
        num_generations=params.group_size,
        max_completion_length=params.sampling.max_new_tokens,
        temperature=params.sampling.temperature,
        top_p=params.sampling.top_p,
        top_k=params.sampling.top_k,
        min_p=params.sampling.min_p,
        use_vllm=params.writer == "vllm",
        vllm_mode="colocate",
        vllm_gpu_memory_utilization=params.writer_memory,
        vllm_importance_sampling_correction=True,
        vllm_importance_sampling_mode="token_truncate",
        vllm_importance_sampling_clip_max=params.writer_cap,
        beta=params.kl_weight,
        loss_type=params.loss,
        scale_rewards="none",  # what is divided by is decided in `advantages`
        epsilon=params.clip_low,
        epsilon_high=params.clip_high,
        mask_truncated_completions=params.mask_cut,
        reward_weights=[reward.weight for reward in course.rewards],
        importance_sampling_level="token",
        shuffle_dataset=False,
        learning_rate=params.learning_rate,
        lr_scheduler_type=params.schedule,
        warmup_steps=round(params.warmup * params.steps),
        weight_decay=0.0,
        max_grad_norm=1.0,
        optim="adamw_torch",
        activation_checkpointing=params.gradient_checkpointing,
        remove_unused_columns=False,
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="steps" if params.checkpoint_steps else "no",
        save_steps=params.checkpoint_steps or params.steps,
        save_total_limit=2,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
        ddp_find_unused_parameters=False,
    )
