"""Where a training stands is kept whole or not at all, and what it asks follows from its seed."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch

from assets.alignment.checkpoints import keep_state, kept_state
from assets.alignment.spread import order_of
from registry.errors import MethodError

CPU = torch.device("cpu")


def test_what_was_kept_comes_back(tmp_path: Path) -> None:
    parameter = torch.nn.Parameter(torch.arange(3.0))
    optimiser = torch.optim.AdamW([parameter], lr=0.1)
    parameter.grad = torch.ones(3)
    optimiser.step()
    path = tmp_path / "new folder" / "checkpoint.pt"
    keep_state(path, {"optimiser": optimiser.state_dict(), "curve": [{"step": 1, "loss": 0.5}]})
    state = kept_state(path, CPU)
    assert state is not None
    assert state["curve"] == [{"step": 1, "loss": 0.5}]
    again = torch.optim.AdamW([parameter], lr=0.1)
    again.load_state_dict(state["optimiser"])
    assert torch.equal(again.state[parameter]["exp_avg"], optimiser.state[parameter]["exp_avg"])


def test_nothing_kept_is_nothing(tmp_path: Path) -> None:
    assert kept_state(tmp_path / "checkpoint.pt", CPU) is None


def test_a_kill_while_it_is_written_leaves_the_state_before(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    keep_state(path, {"step": 1})
    code = f"""
import os, signal
from pathlib import Path
import torch
from assets.alignment.checkpoints import keep_state
def dies(state, stream):
    stream.write(b"half")
    stream.flush()
    os.kill(os.getpid(), signal.SIGKILL)
torch.save = dies
keep_state(Path({str(path)!r}), {{"step": 2}})
"""
    ended = subprocess.run([sys.executable, "-c", code], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert kept_state(path, CPU) == {"step": 1}
    keep_state(path, {"step": 3})
    assert kept_state(path, CPU) == {"step": 3}
    assert [one.name for one in tmp_path.iterdir()] == ["checkpoint.pt"]


@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04 half"])
def test_a_state_that_cannot_be_read_says_how_to_begin_anew(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(content)
    with pytest.raises(MethodError, match="cannot be read") as caught:
        kept_state(path, CPU)
    assert "--force" in caught.value.mend


def test_a_planted_pickle_runs_nothing(tmp_path: Path) -> None:
    """Only tensors, numbers and plain collections are taken from a checkpoint."""
    path = tmp_path / "checkpoint.pt"

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (tmp_path / "planted",)

    torch.save({"curve": Evil()}, path)
    with pytest.raises(MethodError, match="cannot be read"):
        kept_state(path, CPU)
    assert not (tmp_path / "planted").exists()


def test_rows_come_in_shuffled_rounds_of_the_seed() -> None:
    order = order_of(5, 12, seed=3)
    assert order == order_of(5, 12, seed=3) != order_of(5, 12, seed=4)
    assert sorted(order[:5]) == sorted(order[5:10]) == [0, 1, 2, 3, 4]
    assert order[:5] != order[5:10]
    assert max(Counter(order).values()) == 3
    assert order_of(5, 7, seed=3) == order[:7]
