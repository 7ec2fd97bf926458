"""Supervised training of a model on token sequences, by trl's trainer; a killed run goes on."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from assets.alignment.sequences import TokenSequence
from assets.alignment.spread import Say, say_nothing
from assets.alignment.training import (
    CURVES,
    Tell,
    TuningParams,
    laid_out,
    settings,
    train,
    with_adapter,
)
from registry.errors import MethodError


def tune(
    model: Any,
    tokenizer: Any,
    sequences: Sequence[TokenSequence],
    params: TuningParams,
    *,
    seed: int,
    device: str,
    folder: Path,
    tell: Tell,
    say: Say = say_nothing,
) -> tuple[Any, list[dict[str, float]]]:
    """Trains a model; returns it, the adapter merged, and a row for each step.

    Checkpoints go to `folder`; what an attempt left there is taken up.
    """
    from datasets import Dataset
    from peft.helpers import disable_input_dtype_casting
    from transformers import set_seed
    from trl import SFTConfig, SFTTrainer, pack_dataset

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
            args=SFTConfig(
                dataset_kwargs={"skip_prepare_dataset": True},
                packing=params.packing,
                **settings(params, seed, device, folder),
            ),
            train_dataset=laid_out(rows, params, seed),
            processing_class=tokenizer,
        )
    if params.packing:
        require_apart(trainer.model, trainer.data_collator, sequences)
    with disable_input_dtype_casting(trainer.model):  # autocast sees to formats, once
        return train(trainer, params, folder, CURVES, tell, say)


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
