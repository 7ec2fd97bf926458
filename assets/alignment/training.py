"""What every training by trl shares: parameters, adapters, settings, curves, and the run itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from assets.alignment.checkpoints import train_on
from assets.alignment.spread import (
    Say,
    Sharding,
    gathered,
    kept_whole,
    more_parts,
    order_of,
    parts_of,
    sharding_settings,
    share_of,
    what_runs,
)
from assets.compute import Dtype, as_dtype, processes_here, save_model
from assets.plots import draw_curves
from assets.rows import write_rows
from registry.errors import MethodError
from registry.typed import Frozen

if TYPE_CHECKING:
    from registry.context import Context

LIBRARIES = ("accelerate", "datasets", "peft", "trl")
CURVES = {"loss": "loss", "gradient_norm": "grad_norm", "learning_rate": "learning_rate"}
"""Our name of each curve that every trainer has, and trl's."""
Tell = Callable[[int, Mapping[str, float]], None]
"""Told each step's number and figures."""


class AdapterChoice(Frozen):
    """Whether all weights are trained, or a low-rank adapter that is merged at the end."""

    adapter_rank: int = Field(default=16, ge=0)
    """Rank of the low-rank adapter; 0 trains all weights."""
    adapter_alpha: float = Field(default=32, gt=0)
    """Scale of the adapter; its updates are multiplied by alpha / rank."""
    weights_dtype: Dtype = "bfloat16"
    """The number format of the saved weights. What is trained is trained in float32."""
    arithmetic: Dtype = "bfloat16"
    """The number format of the arithmetic. In float32 it takes two to three times as long on a
    CPU, and several processes compute what one does to six digits; in bfloat16 to three or four."""

    @property
    def loads_as(self) -> Dtype:
        """The format in which weights are held while training: small steps need float32."""
        return self.arithmetic if self.adapter_rank else "float32"


class TuningParams(AdapterChoice):
    """How a model is trained on sequences."""

    steps: int = Field(default=200, ge=1)
    """Optimiser steps; models that are compared take the same number."""
    batch_size: int = Field(default=8, ge=1)
    """Sequences a step, on all processes together."""
    accumulate: int = Field(default=1, ge=1)
    """In how many parts a batch is taken; more parts need less memory and give the same step."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Peak learning rate of AdamW. Adapters take about 1e-3, all weights about 2e-5."""
    schedule: Literal["linear", "cosine", "constant_with_warmup"] = "linear"
    """How the learning rate falls after it has warmed up."""
    warmup: float = Field(default=0.05, ge=0, lt=1)
    """The part of the steps over which the learning rate rises."""
    weight_decay: float = Field(default=0.0, ge=0)
    """AdamW's weight decay."""
    longest: int = Field(default=512, ge=8)
    """Tokens that a sequence may have; longer ones are left out, with the reason."""
    checkpoint_every: int = Field(default=50, ge=0)
    """Steps between checkpoints, from which a killed run goes on; 0 keeps none."""
    packing: bool = False
    """Lays several sequences side by side into `longest` tokens, so that none is padded; a batch
    is then that many of these. Refused where attention does not keep them apart."""
    gradient_checkpointing: bool = False
    """Computes activations twice and keeps fewer: half the memory for a third more time."""
    fit_memory: bool = False
    """Where memory runs out, goes on from the last checkpoint with each step in at least twice as
    many parts. The step is the same but for rounding; the run says how many parts it took."""
    sharding: Sharding = "none"
    """What several GPUs share: only the rows of a step (`none`), or the weights too (`fsdp`), for
    models that do not fit into one. Adapters and weights are then held in float32."""

    @property
    def loads_as(self) -> Dtype:
        """As above; what is shared out has one format."""
        return "float32" if self.sharding == "fsdp" else super().loads_as


def merged(model: Any, params: AdapterChoice) -> Any:
    """The model without its adapter, as it is saved."""
    plain = model.merge_and_unload() if params.adapter_rank else model
    return plain.to(as_dtype(params.weights_dtype)).eval()


def low_rank(params: AdapterChoice, task: Literal["CAUSAL_LM", "SEQ_CLS"]) -> Any:
    """The adapter on every linear layer, beside which a head of scores is trained whole.

    None where all weights are trained.
    """
    from peft import LoraConfig

    if not params.adapter_rank:
        return None
    return LoraConfig(
        r=params.adapter_rank,
        lora_alpha=params.adapter_alpha,
        target_modules="all-linear",
        task_type=task,
    )


def with_adapter(model: Any, params: AdapterChoice) -> Any:
    """The model with a low-rank adapter on every linear layer; itself where all is trained."""
    from peft import get_peft_model

    config = low_rank(params, "CAUSAL_LM")
    return get_peft_model(model, config) if config else model


def settings(params: TuningParams, seed: int, device: str, folder: Path) -> dict[str, Any]:
    """The arguments that every trainer of trl takes alike."""
    parts = parts_of(folder, params.accumulate)
    return {
        "output_dir": str(folder),
        "max_steps": params.steps,
        "per_device_train_batch_size": share_of(params.batch_size, parts),
        "gradient_accumulation_steps": parts,
        "train_sampling_strategy": "sequential",
        "learning_rate": params.learning_rate,
        "lr_scheduler_type": params.schedule,
        "warmup_steps": round(params.warmup * params.steps),
        "weight_decay": params.weight_decay,
        "max_grad_norm": 1.0,
        "use_cpu": device == "cpu",
        "bf16": params.arithmetic == "bfloat16",
        "ddp_find_unused_parameters": False,
        "gradient_checkpointing": params.gradient_checkpointing,
        "save_strategy": "steps" if params.checkpoint_every else "no",
        "save_steps": params.checkpoint_every or params.steps,
        "save_total_limit": 2,
        "max_length": None,
        "seed": seed,
        "data_seed": seed,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
        **sharding_settings(params.sharding),
    }


def laid_out(rows: Any, params: TuningParams, seed: int) -> Any:
    """A dataset's rows in the order of the training, as many as all of its steps take."""
    return rows.select(order_of(len(rows), params.steps * params.batch_size, seed))


def train(
    trainer: Any,
    params: TuningParams,
    folder: Path,
    curves: Mapping[str, str],
    tell: Tell,
    say: Say,
) -> tuple[Any, list[dict[str, float]]]:
    """Runs a trainer from its last checkpoint on.

    Args:
        trainer: A trainer of trl.
        params: How it trains.
        folder: Where its checkpoints lie.
        curves: What is kept of each step: our name, and the trainer's.
        tell: Told how far it is.
        say: Told what it runs on.

    Returns:
        The model as it is saved, and a row for each step.

    Raises:
        MethodError: Where what was asked for cannot run here, the loss is no finite number, or
            memory does not suffice.
    """
    from transformers import PrinterCallback, TrainerCallback

    class Watch(TrainerCallback):  # type: ignore[misc]
        def on_log(
            self, _args: Any, state: Any, _control: Any, logs: dict[str, Any], **_: Any
        ) -> None:
            for row in curve_rows([{**logs, "step": state.global_step}], curves):
                require_finite(row)
                shown = ("loss", "accuracy")
                told = {name: row[name] for name in shown if name in row}
                tell(state.global_step, told | tokens_in(logs))

    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(Watch())
    parts = parts_of(folder, params.accumulate)
    say(what_runs(trainer.accelerator, params.sharding, params.arithmetic, parts))
    whole = kept_whole(trainer.model, params.sharding)
    rows = params.batch_size // processes_here()
    train_on(trainer, folder, more_parts(rows, parts) if params.fit_memory else None)
    model = merged(gathered(trainer, whole), params)
    return model, curve_rows(trainer.state.log_history, curves)


def curve_rows(
    logs: Sequence[Mapping[str, Any]], curves: Mapping[str, str]
) -> list[dict[str, float]]:
    """One row a step of what the trainer logged."""
    return [
        {"step": int(log["step"])} | {ours: float(log[theirs]) for ours, theirs in curves.items()}
        for log in logs
        if "loss" in log
    ]


def tokens_in(logs: Mapping[str, Any]) -> dict[str, float]:
    """How many tokens the trainer has read and written so far, for the speed."""
    return {"tokens": logs["num_tokens"]} if "num_tokens" in logs else {}


def require_finite(row: Mapping[str, float]) -> None:
    """Raises MethodError where a step's loss is no number: the last checkpoint stays as it was."""
    if not math.isfinite(row["loss"]):
        raise MethodError(
            f"the loss is {row['loss']} at step {row['step']:.0f}",
            why="weights that follow from it mean nothing",
            mend="lower params.learning_rate",
        )


def told(context: Context, steps: int) -> Tell:
    """Tells the run of each step."""
    return lambda step, figures: context.progress(step, steps, **figures)


def save_trained(
    context: Context,
    model: Any,
    tokenizer: Any,
    curve: Sequence[Mapping[str, Any]],
    panels: Mapping[str, Sequence[float]],
    picture: str = "training.png",
) -> None:
    """Writes a model with its curves, all of them as rows and those in `panels` as a picture.

    Of several processes only the first writes.
    """
    if context.process:
        return
    save_model(model, tokenizer, context.out)
    write_rows(context.out / "curves.parquet", curve)
    (context.out / picture).write_bytes(draw_curves(panels))
