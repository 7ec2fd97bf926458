"""What a method runs on, as it found it once it had started: told in one line, and recorded."""

from __future__ import annotations

from typing import Literal

from registry.typed import Frozen


class Ran(Frozen):
    """On what, by how many, and how a method runs. What it does not say is left empty."""

    device: str
    """`cpu`, or the name of the GPU."""
    processes: int = 1
    """Processes that work together."""
    arithmetic: str = ""
    """The number format of the arithmetic."""
    sharing: Literal["", "data parallel", "fsdp"] = ""
    """What several processes share: the rows of each step, or the weights too."""
    parts: int = 1
    """In how many parts a step is taken, to need less memory."""
    writer: str = ""
    """What writes answers while the method learns from them."""

    def __str__(self) -> str:
        processes = "1 process" if self.processes == 1 else f"{self.processes} processes"
        facts = [self.device, processes]
        facts += [f"{self.arithmetic} arithmetic"] if self.arithmetic else []
        facts += [self.sharing] if self.sharing else []
        facts += [f"each step in {self.parts} parts"] if self.parts > 1 else []
        facts += [f"answers written by {self.writer}"] if self.writer else []
        return ", ".join(facts)
