"""How far GRPO is: its curves, and word of them to the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from assets.alignment.training import tokens_in
from registry.errors import MethodError

_CURVES = {
    "reward": "reward",
    "reward_deviation": "reward_std",
    "equal_groups": "frac_reward_zero_std",
    "answer_tokens": "completions/mean_length",
    "cut_answers": "completions/clipped_ratio",
    "entropy": "entropy",
    "kl_to_start": "kl",
    "clipped_low": "clip_ratio/low_mean",
    "clipped_high": "clip_ratio/high_mean",
    "loss": "loss",
    "gradient_norm": "grad_norm",
    "learning_rate": "learning_rate",
}
"""Our name of each curve, and trl's."""


def curve_rows(
    logs: Sequence[Mapping[str, Any]], names: Sequence[str]
) -> list[dict[str, float | None]]:
    """One row a step: each reward's mean and spread, and how training went.

    Steps on the same answers repeat what these were paid. Where a reward applied to none of them,
    its cells are empty.
    """
    apart = {f"reward_{name}": f"rewards/{name}/mean" for name in names}
    apart |= {f"deviation_{name}": f"rewards/{name}/std" for name in names}
    steps = [log for log in logs if "loss" in log]
    known = {theirs for log in steps for theirs in log}
    curves = {ours: theirs for ours, theirs in (_CURVES | apart).items() if theirs in known}
    found: list[dict[str, float | None]] = []
    drawn: Mapping[str, Any] = {}
    for log in steps:
        drawn = log if "reward" in log else drawn
        row: dict[str, float | None] = {"step": int(log["step"])}
        for ours, theirs in curves.items():
            value = log.get(theirs, drawn.get(theirs))
            row[ours] = None if value is None else float(value)
        found.append(row)
    return found


def progress(names: Sequence[str], tell: Callable[[int, dict[str, float]], None]) -> Any:
    """Tells how far trl is, and stops where a loss is no number."""
    from math import isfinite

    from transformers import TrainerCallback

    class Progress(TrainerCallback):  # type: ignore[misc]
        def on_log(
            self, _args: Any, state: Any, _control: Any, logs: dict[str, Any], **_: Any
        ) -> None:
            if "loss" not in logs:
                return
            wrong = [logs[one] for one in ("loss", "grad_norm") if not isfinite(logs.get(one) or 0)]
            if wrong:
                raise MethodError(
                    f"the loss or its gradient is {wrong[0]} at step {state.global_step}",
                    why="weights that follow from it mean nothing",
                    mend="lower params.learning_rate",
                )
            for row in curve_rows([{**logs, "step": state.global_step}], names):
                shown = ("reward", *(f"reward_{name}" for name in names))
                told = {name: value for name in shown if (value := row.get(name)) is not None}
                tell(state.global_step, told | tokens_in(logs))

    return Progress()
