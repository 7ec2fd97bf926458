"""What training on pairs shares, whatever the loss: settings, checkpoints, curves and errors."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from assets.alignment.fine_tuning import AdapterChoice, TuningParams
from registry.errors import MethodError

Tell = Callable[[int, Mapping[str, float]], None]
"""Told each step's number and figures."""


def settings(params: TuningParams, seed: int, device: str, folder: Path) -> dict[str, Any]:
    """The arguments that every trainer of trl takes alike."""
    if params.batch_size % params.accumulate:
        raise MethodError(
            f"params.batch_size {params.batch_size} cannot be taken in {params.accumulate} parts",
            mend="choose params.accumulate so that it divides params.batch_size",
        )
    return {
        "output_dir": str(folder),
        "max_steps": params.steps,
        "per_device_train_batch_size": params.batch_size // params.accumulate,
        "gradient_accumulation_steps": params.accumulate,
        "learning_rate": params.learning_rate,
        "lr_scheduler_type": params.schedule,
        "warmup_steps": round(params.warmup * params.steps),
        "weight_decay": params.weight_decay,
        "max_grad_norm": 1.0,
        "use_cpu": device == "cpu",
        "bf16": True,
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
        "dataloader_drop_last": False,
        "remove_unused_columns": False,
    }


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


def train(
    trainer: Any, folder: Path, curves: Mapping[str, str], tell: Tell
) -> list[dict[str, float]]:
    """Runs a trainer from its last checkpoint on; returns a row for each step.

    Args:
        trainer: A trainer of trl.
        folder: Where its checkpoints lie.
        curves: What is kept of each step: our name, and the trainer's.
        tell: Told how far it is.

    Raises:
        MethodError: Where the loss is no finite number, or memory does not suffice.
    """
    from transformers import PrinterCallback, TrainerCallback
    from transformers.trainer_utils import get_last_checkpoint

    class Watch(TrainerCallback):  # type: ignore[misc]
        def on_log(
            self, _args: Any, state: Any, _control: Any, logs: dict[str, Any], **_: Any
        ) -> None:
            for row in curve_rows([{**logs, "step": state.global_step}], curves):
                require_finite(row)
                tell(state.global_step, {name: row[name] for name in ("loss", "accuracy")})

    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(Watch())
    begun = get_last_checkpoint(str(folder)) if folder.is_dir() else None
    try:
        trainer.train(resume_from_checkpoint=begun)
    except RuntimeError as error:
        if not _out_of_memory(error):
            raise
        raise MethodError(
            "the training needs more memory than the machine has",
            why=str(error).partition("\n")[0],
            mend="raise params.accumulate, lower params.longest, or set `gradient_checkpointing: "
            "true`; a run with the same parameters goes on from its last checkpoint",
        ) from error
    return curve_rows(trainer.state.log_history, curves)


def _out_of_memory(error: RuntimeError) -> bool:
    """Whether torch got no memory; on CPUs only the words of the error say so."""
    import torch

    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def curve_rows(
    logs: Sequence[Mapping[str, Any]], curves: Mapping[str, str]
) -> list[dict[str, float]]:
    """One row a step of what the trainer logged."""
    return [
        {"step": int(log["step"])} | {ours: float(log[theirs]) for ours, theirs in curves.items()}
        for log in logs
        if "loss" in log
    ]


def require_finite(row: Mapping[str, float]) -> None:
    """Raises MethodError where a step's loss is no number: the last checkpoint stays as it was."""
    if not math.isfinite(row["loss"]):
        raise MethodError(
            f"the loss is {row['loss']} at step {row['step']:.0f}",
            why="weights that follow from it mean nothing",
            mend="lower params.learning_rate",
        )
