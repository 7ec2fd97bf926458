"""Supervised training of a model on token sequences, by trl's trainer; a killed run goes on."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from assets.alignment.sequences import TokenSequence
from assets.compute import Dtype, as_dtype
from registry.errors import MethodError
from registry.typed import Frozen

LIBRARIES = ("accelerate", "datasets", "peft", "trl")


class AdapterChoice(Frozen):
    """Whether all weights are trained, or a low-rank adapter that is merged at the end."""

    adapter_rank: int = Field(default=16, ge=0)
    """Rank of the low-rank adapter; 0 trains all weights."""
    adapter_alpha: float = Field(default=32, gt=0)
    """Scale of the adapter; its updates are multiplied by alpha / rank."""
    weights_dtype: Dtype = "bfloat16"
    """The number format of the saved weights. What is trained is trained in float32."""

    @property
    def loads_as(self) -> Dtype:
        """The format in which weights are held while training: small steps need float32."""
        return "bfloat16" if self.adapter_rank else "float32"


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


def merged(model: Any, params: AdapterChoice) -> Any:
    """The model without its adapter, as it is saved."""
    plain = model.merge_and_unload() if params.adapter_rank else model
    return plain.to(as_dtype(params.weights_dtype)).eval()


def with_adapter(model: Any, params: AdapterChoice) -> Any:
    """The model with a low-rank adapter on every linear layer; itself where all is trained."""
    if not params.adapter_rank:
        return model
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=params.adapter_rank,
        lora_alpha=params.adapter_alpha,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, config)


def tune(
    model: Any,
    tokenizer: Any,
    sequences: Sequence[TokenSequence],
    params: TuningParams,
    *,
    seed: int,
    device: str,
    folder: Path,
    progress: Callable[[int, float], None],
) -> tuple[Any, list[dict[str, float]]]:
    """Trains a model; returns it, the adapter merged, and a row for each step.

    Checkpoints go to `folder`; what an attempt left there is taken up. `progress` is told each
    step's number and loss.
    """
    from datasets import Dataset
    from transformers import PrinterCallback, set_seed
    from transformers.trainer_utils import get_last_checkpoint
    from trl import SFTTrainer, pack_dataset

    set_seed(seed)
    if device == "cpu":
        model.set_attn_implementation("eager")  # a fifth faster on rows this short
    model = with_adapter(model, params).train()
    rows = Dataset.from_list([{"input_ids": list(s.ids), "labels": s.labels} for s in sequences])
    if params.packing:
        rows = pack_dataset(rows, params.longest, "bfd")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = SFTTrainer(
            model=model,
            args=_settings(params, seed, device, folder),
            train_dataset=rows,
            processing_class=tokenizer,
        )
    if params.packing:
        require_apart(trainer.model, trainer.data_collator, sequences)
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(_progress(progress))
    begun = get_last_checkpoint(str(folder)) if folder.is_dir() else None
    trainer.train(resume_from_checkpoint=begun)
    curve = curve_rows(trainer.state.log_history)
    if lost := next((row for row in curve if not _finite(row["loss"])), None):
        raise MethodError(
            f"the loss is {lost['loss']} at step {lost['step']:.0f}",
            why="weights that follow from it mean nothing",
            mend="lower params.learning_rate",
        )
    return merged(trainer.accelerator.unwrap_model(trainer.model), params), curve


_SEEN = 64
"""Tokens of a sequence that are looked at to see whether attention keeps sequences apart."""
_LEAST_APART = 0.25
"""What two ways of computing one thing may differ, as a part of what a neighbour changes."""


def require_apart(model: Any, collate: Callable[[Any], Any], rows: Sequence[TokenSequence]) -> None:
    """Raises MethodError unless packed sequences are read as if each stood alone.

    It is measured: a sequence's logits beside another one, packed, must be those that it has alone,
    and not those that it has as the other's continuation. Which attention does so depends on the
    model, the library and the machine.
    """
    import torch

    first, second = ([*row.ids[:_SEEN]] for row in (rows[0], rows[-1]))
    start, device = len(first), next(model.parameters()).device
    lengths = [len(first), len(second)]
    packed = collate([{"input_ids": first + second, "seq_lengths": lengths}])
    packed.pop("labels")

    def logits(**given: Any) -> torch.Tensor:
        moved = {k: v.to(device) if hasattr(v, "to") else v for k, v in given.items()}
        found: torch.Tensor = model(**moved, use_cache=False).logits[0, -len(second) :].float()
        return found

    training = model.training
    model.eval()
    with torch.no_grad():
        alone = logits(input_ids=torch.tensor([second]))
        continued = logits(input_ids=torch.tensor([first + second]))
        beside = logits(**packed)
    model.train(training)
    leak, change = ((one - alone).abs().mean().item() for one in (beside, continued))
    if leak > _LEAST_APART * change:
        raise MethodError(
            f"sequences packed beside each other are not read apart after {start} tokens",
            why=f"a packed neighbour moves logits by {leak:.4f}, reading on from it by "
            f"{change:.4f}: answers would be learned from other people's questions",
            mend="leave out `packing: true`, or use a model and a machine with flash attention",
        )


def _settings(params: TuningParams, seed: int, device: str, folder: Path) -> Any:
    from trl import SFTConfig

    if params.batch_size % params.accumulate:
        raise MethodError(
            f"params.batch_size {params.batch_size} cannot be taken in {params.accumulate} parts",
            mend="choose params.accumulate so that it divides params.batch_size",
        )
    return SFTConfig(
        output_dir=str(folder),
        max_steps=params.steps,
        per_device_train_batch_size=params.batch_size // params.accumulate,
        gradient_accumulation_steps=params.accumulate,
        learning_rate=params.learning_rate,
        lr_scheduler_type=params.schedule,
        warmup_steps=round(params.warmup * params.steps),
        weight_decay=params.weight_decay,
        max_grad_norm=1.0,
        use_cpu=device == "cpu",
        bf16=True,
        gradient_checkpointing=params.gradient_checkpointing,
        save_strategy="steps" if params.checkpoint_every else "no",
        save_steps=params.checkpoint_every or params.steps,
        save_total_limit=2,
        dataset_kwargs={"skip_prepare_dataset": True},
        packing=params.packing,
        max_length=None,
        seed=seed,
        data_seed=seed,
        logging_steps=1,
        logging_nan_inf_filter=False,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )


def curve_rows(logs: Sequence[dict[str, Any]]) -> list[dict[str, float]]:
    """One row a step of what the trainer logged."""
    return [
        {
            "step": int(log["step"]),
            "loss": float(log["loss"]),
            "gradient_norm": float(log["grad_norm"]),
            "learning_rate": float(log["learning_rate"]),
        }
        for log in logs
        if "loss" in log
    ]


def _finite(value: float) -> bool:
    from math import isfinite

    return isfinite(value)


def _progress(tell: Callable[[int, float], None]) -> Any:
    """Tells how far the trainer is."""
    from transformers import TrainerCallback

    class Progress(TrainerCallback):  # type: ignore[misc]
        def on_log(
            self, _args: Any, state: Any, _control: Any, logs: dict[str, float], **_: Any
        ) -> None:
            if "loss" in logs:
                tell(state.global_step, float(logs["loss"]))

    return Progress()
