"""How a model's next token is drawn: filters of its distribution, and one number that decides.

Every row draws by its own stream of numbers, seeded by what is asked and never by the batch that it
happens to be in: that a run was stopped, or goes on with other rows beside it, changes no draw.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from registry.artifact import digest_of
from registry.typed import Frozen

if TYPE_CHECKING:
    import torch

_BLOCK = 256
"""Neighbouring tokens whose probabilities are summed before the draw looks inside."""
_CANDIDATES = 256
"""Most likely tokens that are sorted at first; only where they hold too little are more."""
_SEEDS = 2**31
"""Servers read a seed as a signed number of 32 bits."""


class Sampling(Frozen):
    """How answers are drawn. Filters apply in the order of their fields."""

    temperature: float = Field(default=1.0, ge=0, le=10)
    """What log-probabilities are divided by; 0 takes the most likely token."""
    top_k: int = Field(default=0, ge=0)
    """How many of the most likely tokens may be drawn; 0 allows all."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """The fewest most likely tokens that together reach this probability may be drawn."""
    min_p: float = Field(default=0.0, ge=0, le=1)
    """Tokens less likely than this part of the most likely one may not be drawn."""
    max_new_tokens: int = Field(default=256, ge=1, le=65_536)
    """Tokens after which an answer is cut."""
    until: Literal["end of turn", "end of line"] = "end of turn"
    """What ends an answer before that."""
    chat_template: bool = True
    """Whether the prompt is put as a chat; without it the model continues the bare text."""


def seed_of(seed: int, identity: str) -> int:
    """The seed of everything random in one answer, from the node's seed and what is asked."""
    return int(digest_of([seed, identity])[:16], 16) % _SEEDS


def uniforms(seed: int, count: int) -> torch.Tensor:
    """The numbers in [0, 1) that decide the tokens of one answer, one a token."""
    import numpy
    import torch

    source = numpy.random.Generator(numpy.random.Philox(seed))
    return torch.from_numpy(source.random(count, dtype=numpy.float32))


def draw(logits: torch.Tensor, numbers: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """One token for each row.

    Args:
        logits: The model's own, float32, shape (rows, vocabulary).
        numbers: A number in [0, 1) for each row.
        sampling: What may be drawn.

    Returns:
        Token ids, shape (rows,).
    """
    if sampling.temperature == 0:
        return logits.argmax(dim=-1)
    scaled = logits / sampling.temperature
    if sampling.top_k == 0 and sampling.top_p == 1:
        return _draw_from_all(scaled, numbers, sampling.min_p)
    return _draw_from_first(scaled, numbers, sampling, _CANDIDATES)


def log_probabilities(logits: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """What the model itself gives each drawn token, before any temperature or filter."""
    chosen = logits.gather(-1, tokens[:, None]).squeeze(-1)
    return chosen - logits.logsumexp(dim=-1)


def _draw_from_all(scaled: torch.Tensor, numbers: torch.Tensor, min_p: float) -> torch.Tensor:
    """Draws by the inverse of the cumulated distribution, first of blocks and then inside one.

    A sum over the whole vocabulary in one go is slow, loses digits, and has no deterministic form
    on GPUs; sums of blocks have.
    """
    import torch

    weights = (scaled - scaled.amax(dim=-1, keepdim=True)).exp()
    if min_p:
        weights = weights.where(weights >= min_p, 0)
    spare = -weights.shape[-1] % _BLOCK
    blocks = torch.nn.functional.pad(weights, (0, spare)).reshape(len(weights), -1, _BLOCK)
    reached = _cumulate(blocks.sum(dim=-1))
    aim = _aim(reached, numbers)
    block = _first_beyond(reached, aim)
    before = torch.nn.functional.pad(reached, (1, 0)).gather(-1, block[:, None]).squeeze(-1)
    inside = _cumulate(blocks[torch.arange(len(blocks), device=blocks.device), block])
    return block * _BLOCK + _first_beyond(inside, _below_all(inside, aim - before))


def _draw_from_first(
    scaled: torch.Tensor, numbers: torch.Tensor, sampling: Sampling, count: int
) -> torch.Tensor:
    """Draws among the most likely tokens; rows whose candidates hold too little look at more."""
    import torch

    vocabulary = scaled.shape[-1]
    limit = sampling.top_k if 0 < sampling.top_k < vocabulary else 0
    count = min(limit or count, vocabulary)
    values, places = scaled.topk(count, dim=-1)
    whole = values if limit else scaled
    weights = (values - whole.logsumexp(dim=-1, keepdim=True)).exp()
    reached = _cumulate(weights)
    allowed = reached - weights < sampling.top_p
    allowed &= weights >= sampling.min_p * weights[:, :1]
    allowed[:, 0] = True
    kept = _cumulate(weights.where(allowed, 0))
    tokens = places.gather(-1, _first_beyond(kept, _aim(kept, numbers))[:, None]).squeeze(-1)
    short = allowed[:, -1]
    if not limit and count < vocabulary and bool(short.any()):
        tokens[short] = _draw_from_first(scaled[short], numbers[short], sampling, count * 16)
    return tokens.to(torch.long)


def _cumulate(weights: torch.Tensor) -> torch.Tensor:
    """Sums of all weights up to each place, in double precision.

    Made of products with a triangle of ones, since on GPUs torch has no deterministic `cumsum`.
    """
    import torch

    rows, size = weights.shape[:-1], weights.shape[-1]
    doubled = weights.double()
    if size <= _BLOCK:
        return doubled @ torch.ones(size, size, dtype=torch.double, device=weights.device).triu()
    spare = -size % _BLOCK
    blocks = torch.nn.functional.pad(doubled, (0, spare)).reshape(*rows, -1, _BLOCK)
    inside = _cumulate(blocks)
    whole = inside[..., -1]
    before = _cumulate(whole) - whole
    return (inside + before[..., None]).flatten(-2)[..., :size]


def _aim(reached: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """The point that each number stands for, always below the row's whole weight."""
    return _below_all(reached, numbers.to(reached.dtype) * reached[:, -1])


def _below_all(reached: torch.Tensor, aim: torch.Tensor) -> torch.Tensor:
    """The aim, moved below the row's whole weight where rounding put it there."""
    whole = reached[:, -1]
    return aim.clamp(min=0).minimum(whole.nextafter(whole.new_zeros(())))


def _first_beyond(reached: torch.Tensor, aim: torch.Tensor) -> torch.Tensor:
    """The first place of each row at which the sum passes the aim."""
    import torch

    return torch.searchsorted(reached.contiguous(), aim[:, None].contiguous(), right=True)[:, 0]


def recorded(sampling: Sampling) -> str:
    """The settings as the text that stands beside each row."""
    return json.dumps(sampling.model_dump(), sort_keys=True)
