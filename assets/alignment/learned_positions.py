"""Only what is learned from is scored: on a CPU trl would score every position, then drop most.

Without Triton trl takes the log-probability of prompts and padding too, over the whole vocabulary,
so that shapes stay the same for devices that compile. A CPU compiles nothing, and most of a step
can go into it where answers are short. What remains is the same but for rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@contextmanager
def only_learned_positions() -> Iterator[None]:
    """While it lasts, trl's trainers score on a CPU what they score on a GPU."""
    import trl.trainer.utils as module

    before = module._use_triton  # noqa: SLF001 - trl offers no setting; a test holds it to its place

    def compact(device: torch.device) -> bool:
        return device.type == "cpu" or before(device)

    module._use_triton = compact  # noqa: SLF001
    try:
        yield
    finally:
        module._use_triton = before  # noqa: SLF001
