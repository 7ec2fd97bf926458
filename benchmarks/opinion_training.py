"""A step of opinion training beside the naive loss; `benchmarks.training` prints it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.measuring import SIZES, Size, Steps, context, line, now

if TYPE_CHECKING:
    import torch

    from assets.alignment.adapter import Pupil

FASTER, SAME = 2.0, 1e-5
"""What is claimed: so many times as fast, gradients as near as that."""


def teach(model: Path, out: Path, batch: int) -> Pupil:
    """A model with an adapter that has moved a little, and prompts of a survey."""
    import torch

    from assets.alignment.adapter import enrol
    from assets.alignment.opinion_sft import Params
    from assets.option_prompt import render

    options = ("Very likely", "Somewhat likely", "Not likely", "Not at all likely")
    asked = [f"How likely are you to vote{' again' * number}?" for number in range(batch)]
    params = Params(trained_layers=SIZES[model.name].trained_layers)
    prompts = [render(question, options) for question in asked]
    pupil = enrol(context(out, params, base=model), params, prompts, len(options), 1)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in trained(pupil):
            parameter.add_(torch.randn_like(parameter) * 0.02)
    pupil.model.train()
    return pupil


def trained(pupil: Pupil) -> list[Any]:
    """What is trained of a model."""
    return [parameter for parameter in pupil.model.parameters() if parameter.requires_grad]


def naive_loss(pupil: Pupil, shares: torch.Tensor) -> torch.Tensor:
    """Whole prompts through the whole model, the whole vocabulary after every token of them."""
    from assets.option_prompt import pad_left, position_ids

    ids, mask = pad_left(list(pupil.ids.values()), 0)
    output = pupil.model(
        input_ids=ids, attention_mask=mask, position_ids=position_ids(mask), use_cache=False
    )
    targets = output.logits.new_zeros(output.logits.shape[:2] + shares.shape[1:]).float()
    targets[:, -1] = shares
    logs = output.logits.float().log_softmax(dim=-1)[:, :, pupil.letters]
    return -(targets * logs).sum() / len(shares)


def last_loss(pupil: Pupil, shares: torch.Tensor) -> torch.Tensor:
    """The loss of the method: what lies above the trunk, after the last token."""
    from assets.alignment.opinion_sft import option_loss

    return option_loss(pupil.logits(pupil.model, list(pupil.ids.values())), shares, pupil.letters)


Loss = Callable[["Pupil", "torch.Tensor"], "torch.Tensor"]


def gradients(pupil: Pupil, loss: Loss) -> list[torch.Tensor]:
    """The gradient in every trained weight."""
    import torch

    shares = torch.tensor([[0.4, 0.3, 0.2, 0.1]]).expand(len(pupil.ids), -1)
    return list(torch.autograd.grad(loss(pupil, shares), trained(pupil)))


def opinion_steps(pupil: Pupil, rounds: int) -> dict[str, Steps]:
    """Both ways in turn, in the arithmetic of the method."""
    import torch

    found = {"last": Steps(), "naive": Steps()}
    for _ in range(rounds):
        for name, loss in (("last", last_loss), ("naive", naive_loss)):
            moments = [now()]
            for _ in range(4):
                with torch.autocast("cpu", dtype=torch.bfloat16):
                    gradients(pupil, loss)
                moments.append(now())
            found[name].add(moments)
    return found


def gradient_difference(pupil: Pupil) -> float:
    """The largest difference of any weight's gradient in float32."""
    from dataclasses import replace

    pupil.model.float()
    hidden = {ids: pupil.trunk.hidden(ids) for ids in pupil.ids.values()}
    exact = replace(pupil, hidden=hidden)
    pairs = zip(gradients(exact, last_loss), gradients(exact, naive_loss), strict=True)
    return max(float((one - other).abs().max()) for one, other in pairs)


def measure_opinion(model: Path, size: Size, rounds: int, folder: Path) -> None:
    """Opinion training beside the naive loss."""
    pupil = teach(model, folder / "pupil", size.batch + 1)
    found = opinion_steps(pupil, max(3, rounds))
    difference = gradient_difference(pupil)
    claim = f"(claim: under {1 / FASTER:.2f})"
    same = f"the loss over all tokens; gradients differ by {difference:.0e} (claim: {SAME:.0e})"
    line("opinion", found["last"], found["naive"], claim, same)
