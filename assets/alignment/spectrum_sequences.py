"""Sequences of exchangeable samples: a description, then inputs with their outputs.

What made the samples may be one person, one community, or one coin; in which order they stand
means nothing. The loss falls on outputs and the end of their turn. Without a description nobody
could know what is asked for before the first output, so that the whole first output is only read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from assets.alignment.sequences import TokenSequence
from assets.alignment.spectrum_turns import Family, Turns
from registry.typed import Frozen

if TYPE_CHECKING:
    from numpy.random import Generator

UNLABELLED = "nothing in it is learned: one output, and no description before it"
TOO_LONG = "its first output does not fit into the tokens that a sequence may have"


class SequenceShape(Frozen):
    """How samples are gathered into sequences."""

    mean_geometric: float = Field(default=24, ge=1)
    """Samples a sequence are a geometric number, at least 1, with this mean ..."""
    mean_poisson: float = Field(default=24, ge=0)
    """... plus a Poisson number with this mean. The paper's tasks take 32 to 64 in all."""
    drop_description: float = Field(default=0.2, ge=0, le=1)
    """The part of sequences that stand without a description. 0.2 as in the paper; its code drops
    0.4 where nothing is set."""
    shuffles: int = Field(default=1, ge=1)
    """How often all samples of a source are dealt out, each time in another order."""
    turns: Family | Literal["own"] = "own"
    """Whose marks stand around turns; `own` finds the model's own family, and `plain` takes
    headings and the end of text."""


@dataclass(frozen=True)
class Sample:
    """One input, which may be empty, and its output."""

    given: str
    output: str


@dataclass(frozen=True)
class Process:
    """Samples that one source made, in an order that means nothing."""

    id: str
    description: str
    samples: tuple[Sample, ...]


@dataclass(frozen=True)
class Drawn:
    """The samples of one sequence, in the order in which they stand."""

    process: str
    description: str
    """Empty where it was dropped."""
    samples: tuple[Sample, ...]


@dataclass(frozen=True)
class SpectrumSequence:
    """A sequence as tokens, and where its outputs stand."""

    tokens: TokenSequence
    outputs: tuple[range, ...]
    """The places of each output with the end of its turn."""


def written(variables: Mapping[str, str | Sequence[str]]) -> str:
    """One variable as its text, several as JSON; none as nothing."""
    if len(variables) == 1:
        (only,) = variables.values()
        if isinstance(only, str):
            return only
    return json.dumps(dict(variables), ensure_ascii=False) if variables else ""


def deal(processes: Sequence[Process], shape: SequenceShape, source: Generator) -> Iterator[Drawn]:
    """Deals the samples of each process into sequences, until none is left.

    A sequence never holds samples of two processes.
    """
    for _ in range(shape.shuffles):
        for process in processes:
            order = source.permutation(len(process.samples)).tolist()
            while order:
                size = length(shape, source)
                chosen, order = order[:size], order[size:]
                dropped = source.random() < shape.drop_description
                yield Drawn(
                    process.id,
                    "" if dropped else process.description,
                    tuple(process.samples[place] for place in chosen),
                )


def length(shape: SequenceShape, source: Generator) -> int:
    """A number of samples: geometric, from 1 on, plus Poisson."""
    return int(source.geometric(1 / shape.mean_geometric) + source.poisson(shape.mean_poisson))


def of_drawn(turns: Turns, drawn: Drawn, longest: int) -> SpectrumSequence | None:
    """A sequence as tokens, cut after the last output that fits; None where not even one does."""
    ids = list(turns.begins)
    if drawn.description:
        ids += [*turns.opens("description"), *turns.text(drawn.description), turns.closes]
        ids += turns.after
    learned = [False] * len(ids)
    outputs: list[range] = []
    for sample in drawn.samples:
        read: list[int] = []
        if sample.given:
            read = [*turns.opens("input"), *turns.text(sample.given), turns.closes, *turns.after]
        read += turns.opens("output")
        output = [*turns.text(sample.output), turns.closes]
        between = list(turns.after) if outputs else []
        if len(ids) + len(between) + len(read) + len(output) > longest:
            break
        ids += [*between, *read]
        learned += [False] * (len(between) + len(read))
        outputs.append(range(len(ids), len(ids) + len(output)))
        ids += output
        learned += [bool(drawn.description) or len(outputs) > 1] * len(output)
    if not outputs:
        return None
    return SpectrumSequence(TokenSequence(tuple(ids), tuple(learned)), tuple(outputs))


def sort_out(
    turns: Turns, drawn: Sequence[Drawn], longest: int
) -> tuple[list[SpectrumSequence], list[tuple[Drawn, str]]]:
    """The sequences that can be learned from, and the others with the reason."""
    taken: list[SpectrumSequence] = []
    left_out: list[tuple[Drawn, str]] = []
    for one in drawn:
        sequence = of_drawn(turns, one, longest)
        if sequence is None:
            left_out.append((one, TOO_LONG))
        elif not any(sequence.tokens.learned):
            left_out.append((one, UNLABELLED))
        else:
            taken.append(sequence)
    return taken, left_out
