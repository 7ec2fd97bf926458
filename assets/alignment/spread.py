"""How a training is spread over processes and fitted to memory, and what of that really runs.

A step is the same however it is spread: its rows are laid out beforehand in one order, and each
process takes its share of every step. What was asked for is compared with what the libraries set
up, since accelerate falls back without a word (to data parallel on CPUs, where FSDP is asked).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from assets.compute import Dtype, name_of, processes_here
from assets.synthesis.sampling import seed_of
from registry.errors import MethodError
from registry.ran import Ran

Sharding = Literal["none", "fsdp"]
Say = Callable[[Ran], None]
"""Told what a training runs on."""
_PARTS = "parts"
"""The file beside the checkpoints that says in how many parts a step fits into memory."""


def parts_of(folder: Path, declared: int) -> int:
    """In how many parts a step is taken: as declared, or more where memory has run out before."""
    try:
        return int(parts_file(folder).read_text())
    except FileNotFoundError:
        return declared


def parts_file(folder: Path) -> Path:
    """Where it is kept in how many parts a step fits into memory."""
    return folder / _PARTS


def more_parts(rows: int, parts: int) -> int | None:
    """The next number of parts to try: at least twice as many, and equal ones; None for none.

    Args:
        rows: Rows of a step that one process takes.
        parts: In how many parts they were taken.
    """
    return next((n for n in range(2 * parts, rows + 1) if rows % n == 0), None)


def share_of(batch: int, parts: int) -> int:
    """Rows of each part of a step that one process takes; raises where parts would be unequal."""
    processes = processes_here()
    if batch % (parts * processes):
        shared = f" by each of {processes} processes" if processes > 1 else ""
        raise MethodError(
            f"params.batch_size {batch} cannot be taken in {parts} parts{shared}",
            why="every row of a step counts alike, so parts are equal",
            mend="choose params.batch_size as a multiple of params.accumulate x the processes",
        )
    return batch // (parts * processes)


def order_of(rows: int, wanted: int, seed: int) -> list[int]:
    """The places of rows in the order in which they are taken: all of them, then all again.

    A trainer's own sampler deals rows otherwise to two processes than to one, and begins a pass
    anew when a run goes on; so it is given one pass over as many rows as there will be.
    """
    import numpy

    found: list[int] = []
    while len(found) < wanted:
        source = numpy.random.default_rng(seed_of(seed, f"order {len(found)}"))
        found += source.permutation(rows).tolist()
    return found[:wanted]


def sharding_settings(sharding: Sharding) -> dict[str, Any]:
    """What a trainer of transformers is told, so that weights are shared out too.

    Raises MethodError where there is nobody to share them with.
    """
    if sharding == "none":
        return {}
    if processes_here() == 1:
        raise _otherwise(sharding, "one process")
    return {
        "fsdp": True,
        "fsdp_config": {
            "version": 2,
            "auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
            "state_dict_type": "FULL_STATE_DICT",
            "reshard_after_forward": True,
        },
    }


def what_runs(
    accelerator: Any, sharding: Sharding, arithmetic: Dtype, parts: int = 1, writer: str = ""
) -> Ran:
    """What accelerate has set up.

    Raises:
        MethodError: It is not what was asked for.
    """
    kind = accelerator.distributed_type.value
    processes = accelerator.num_processes
    spread: Literal["", "data parallel", "fsdp"] = "data parallel" if processes > 1 else ""
    if kind == "FSDP":
        spread = "fsdp"
    if (spread == "fsdp") != (sharding == "fsdp"):
        raise _otherwise(sharding, f"{spread or 'one process'} on {accelerator.device.type}")
    if processes != processes_here():
        raise MethodError(
            f"{processes_here()} processes were started, and {processes} would work together"
        )
    wanted = {"bfloat16": "bf16", "float32": "no"}[arithmetic]
    if accelerator.mixed_precision != wanted:
        raise MethodError(
            f"`arithmetic: {arithmetic}` was asked for, and {accelerator.mixed_precision} "
            "would run instead"
        )
    return Ran(
        device=name_of(accelerator.device),
        processes=processes,
        arithmetic=arithmetic,
        sharing=spread,
        parts=parts,
        writer=writer,
    )


def _otherwise(sharding: Sharding, runs: str) -> MethodError:
    return MethodError(
        f"`sharding: {sharding}` was asked for, and {runs} would run instead",
        why="each process would hold all weights, which may not fit",
        mend="ask for several `resources.gpus` and as many `resources.processes` on a machine "
        "that has them, or leave out `sharding`",
    )


def say_nothing(_ran: Ran) -> None:
    """For trainings that are a part of another method's work."""


def gathered(trainer: Any, copy: Any) -> Any:
    """The whole model on every process: gathered into `copy`, where its weights are shared out.

    Args:
        trainer: A trainer of transformers, after its training.
        copy: The same model as it was before, kept where weights are shared out, else None.
    """
    if copy is None:
        return trainer.accelerator.unwrap_model(trainer.model)
    state = trainer.accelerator.get_state_dict(trainer.model)
    if trainer.accelerator.is_main_process:
        copy.load_state_dict(state)
    return copy


def kept_whole(model: Any, sharding: Sharding) -> Any:
    """A copy of the model in main memory, where its weights are about to be shared out."""
    import copy

    return copy.deepcopy(model).cpu() if sharding == "fsdp" else None
