"""Thoughts before the next token: where they are asked for, how drawn, and what they are worth.

A thought stands between a text so far and the token that follows, in marks of its own. One that
ends at once is empty, and leaves no marks: the text goes on as if nothing had been thought.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from assets.alignment.scoring import token_log_probs
from assets.synthesis.generation import write_answers
from assets.synthesis.sampling import Sampling, seed_of

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Moment:
    """A place in a text: what came before it, and what follows."""

    name: str
    """What it is known by; its thoughts are seeded from it."""
    before: tuple[int, ...]
    after: tuple[int, ...]


@dataclass(frozen=True)
class Marks:
    """The tokens around a thought, and those that end it."""

    opens: tuple[int, ...]
    closes: tuple[int, ...]
    ends: frozenset[int]
    pad: int


@dataclass(frozen=True)
class Thought:
    """One thought before one moment."""

    moment: Moment
    tokens: tuple[int, ...]
    """What was drawn, with the token that ended it, if one did."""
    marks: Marks

    @property
    def words(self) -> tuple[int, ...]:
        """The tokens without the one that ended it."""
        ended = self.tokens and self.tokens[-1] in self.marks.ends
        return self.tokens[:-1] if ended else self.tokens

    @property
    def context(self) -> tuple[int, ...]:
        """What the model has read when it comes to what follows."""
        if not self.words:
            return self.moment.before
        return (*self.moment.before, *self.marks.opens, *self.words, *self.marks.closes)

    @property
    def drawn_after(self) -> tuple[int, ...]:
        """What the model had read when it began to think."""
        return (*self.moment.before, *self.marks.opens)


def moments(
    texts: Sequence[Sequence[int]], count: int, least: int, longest: int, after: int, seed: int
) -> list[Moment]:
    """So many places in the texts, drawn evenly: a text first, then a place in it.

    Args:
        texts: Token ids of each text.
        count: How many to draw.
        least: Tokens that a place must have before it.
        longest: Tokens before a place that are kept.
        after: Tokens that follow.
        seed: The seed.
    """
    import numpy

    source = numpy.random.default_rng(seed)
    found = []
    for slot in range(count):
        text = texts[int(source.integers(len(texts)))]
        place = int(source.integers(least, len(text) - after + 1))
        before = tuple(text[max(0, place - longest) : place])
        found.append(Moment(f"{seed}-{slot}", before, tuple(text[place : place + after])))
    return found


def think(
    model: Any, asked: Sequence[Moment], members: int, marks: Marks, sampling: Sampling, seed: int
) -> list[Thought]:
    """So many thoughts before each moment, those of one moment beside each other."""
    order = [(moment, member) for moment in asked for member in range(members)]
    written = write_answers(
        model,
        [(*moment.before, *marks.opens) for moment, _ in order],
        [seed_of(seed, f"{moment.name}-{member}") for moment, member in order],
        sampling,
        marks.ends,
        marks.pad,
    )
    return [
        Thought(moment, tuple(one.tokens), marks)
        for (moment, _), one in zip(order, written, strict=True)
    ]


def worth(model: Any, contexts: Sequence[tuple[Sequence[int], Sequence[int]]], pad: int) -> Any:
    """Log-probability of what follows each context, summed over its tokens; no gradient."""
    import torch

    rows = [(*before, *after) for before, after in contexts]
    first = min(len(before) for before, _ in contexts)
    with torch.no_grad():
        logs = token_log_probs(model, rows, first, pad)
    found = [
        logs[place, len(before) - first : len(before) - first + len(after)].sum()
        for place, (before, after) in enumerate(contexts)
    ]
    return torch.stack(found)


def thought_log_probs(
    model: Any, thoughts: Sequence[Thought], pad: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The log-probability of each token of each thought, with gradient, and which places count."""
    import torch

    rows = [(*one.drawn_after, *one.tokens) for one in thoughts]
    first = min(len(one.drawn_after) for one in thoughts)
    logs = token_log_probs(model, rows, first, pad)
    width = max(len(one.tokens) for one in thoughts)
    mask = torch.zeros((len(thoughts), width), device=logs.device)
    parts = []
    for place, one in enumerate(thoughts):
        start = len(one.drawn_after) - first
        part = logs[place, start : start + len(one.tokens)]
        parts.append(torch.nn.functional.pad(part, (0, width - len(one.tokens))))
        mask[place, : len(one.tokens)] = 1
    return torch.stack(parts), mask
