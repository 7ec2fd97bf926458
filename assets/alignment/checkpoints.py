"""Training goes on from the last checkpoint that is whole, whatever ended the attempt before."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from assets.alignment.learned_positions import only_learned_positions
from assets.alignment.spread import parts_file
from registry.artifact import write_atomically
from registry.errors import AgainError, MethodError

_WHOLE = "whole"
"""The file that a checkpoint gets once all of it is written."""


def last_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that is whole; those that a kill left half-written are removed."""
    if not folder.is_dir():
        return None
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    for path in found:
        if not (path / _WHOLE).is_file():
            shutil.rmtree(path)
    return next((path for path in reversed(found) if path.is_dir()), None)


def train_on(trainer: Any, folder: Path, more_parts: int | None = None) -> None:
    """Lets a trainer of transformers go on from what an attempt left in `folder`.

    Args:
        trainer: The trainer; of several processes each has its own, and one folder.
        folder: Where checkpoints lie.
        more_parts: In how many parts to take a step where memory runs out; None to give up.

    Raises:
        AgainError: Memory ran out, and the next start takes a step in more parts.
        MethodError: Memory ran out. Checkpoints stay.
    """
    with trainer.accelerator.main_process_first():
        begun = last_checkpoint(folder)
    trainer.add_callback(_marker(trainer.accelerator))
    try:
        with only_learned_positions():
            trainer.train(resume_from_checkpoint=str(begun) if begun else None)
    except (MemoryError, RuntimeError) as error:
        if not _is_lack_of_memory(error):
            raise
        if more_parts is not None:
            write_atomically(parts_file(folder), str(more_parts).encode())
            raise AgainError(
                f"memory ran out; the training goes on with each step in {more_parts} parts"
            ) from error
        raise MethodError(
            "the training needs more memory than the machine has",
            why=str(error).partition("\n")[0] or "the machine gave none",
            mend="free some and run it again: it goes on from its last checkpoint; or begin anew "
            "with `fit_memory: true`, smaller parts (a larger params.accumulate), or shorter rows",
        ) from error


def keep_state(path: Path, state: Mapping[str, Any]) -> None:
    """Keeps where a training of our own stands; a kill leaves the state before, or this one.

    Args:
        path: Where, in the node's work folder.
        state: Tensors, numbers, and lists and mappings of them.
    """
    import torch

    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".new")
    with scratch.open("wb") as stream:
        torch.save(dict(state), stream)
        stream.flush()
        os.fsync(stream.fileno())
    scratch.replace(path)


def kept_state(path: Path, device: Any) -> dict[str, Any] | None:
    """What `keep_state` kept, on that device; None where nothing was.

    Raises MethodError where it cannot be read.
    """
    import torch

    if not path.is_file():
        return None
    try:
        return dict(torch.load(path, weights_only=True, map_location=device))
    except (RuntimeError, EOFError, UnpicklingError, TypeError, ValueError) as error:
        raise MethodError(
            "the checkpoint of an earlier attempt cannot be read",
            where=str(path),
            why=str(error).partition("\n")[0] or type(error).__name__,
            mend="begin anew with `chorus make NODE --force`",
        ) from error


def learner_state(trained: Sequence[Any], optimiser: Any, curve: Sequence[Any]) -> dict[str, Any]:
    """Where whoever learns stands: weights, optimiser and curve."""
    return {
        "trained": [parameter.detach() for parameter in trained],
        "optimiser": optimiser.state_dict(),
        "curve": list(curve),
    }


def put_back(
    state: Mapping[str, Any], trained: Sequence[Any], optimiser: Any
) -> list[dict[str, float]]:
    """Gives weights and optimiser what `learner_state` took from them; returns the curve."""
    import torch

    with torch.no_grad():
        for parameter, value in zip(trained, state["trained"], strict=True):
            parameter.copy_(value)
    optimiser.load_state_dict(state["optimiser"])
    return list(state["curve"])


def _marker(accelerator: Any) -> Any:
    from transformers import TrainerCallback

    class Marker(TrainerCallback):  # type: ignore[misc]
        def on_save(self, args: Any, state: Any, _control: Any, **_: Any) -> None:
            accelerator.wait_for_everyone()  # each process writes a part of it
            if state.is_world_process_zero:
                folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
                write_atomically(folder / _WHOLE, b"")

    return Marker()


def _is_lack_of_memory(error: BaseException) -> bool:
    said = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in said or "can't allocate" in said
