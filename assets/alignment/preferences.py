"""Pairs of answers as token sequences: which can be learned from, and which tokens count.

A dataset of pairs has `prompt`, `rejected`, and the preferred answer as `chosen` or as
`completion`. `strength`, where it is known, is the share of people who preferred it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, model_validator

from assets.alignment.sequences import TokenSequence, has_template, mark_in, of_completion
from assets.alignment.training import TuningParams
from assets.rows import ROWS, read_rows, turned_away
from registry.errors import MethodError

if TYPE_CHECKING:
    from registry.context import Context

_CERTAIN = 0.995
"""A share beyond which log odds are not followed: they grow without end where all agree."""


class PairParams(TuningParams):
    """How a model is trained on pairs, and which pairs it learns from."""

    chat_template: bool = True
    """Whether rows are written as turns, by the model's own template."""
    least_strength: float = Field(default=0.6, ge=0.5, le=1)
    """Pairs that a smaller share of people preferred are near-ties and left out. Among forty people
    0.6 is a little more than one standard error above a coin flip. Pairs whose strength nobody
    counted stay."""

    @model_validator(mode="after")
    def _not_packed(self) -> Self:
        if self.packing:
            raise ValueError("pairs are compared one by one and not packed; leave `packing` out")
        return self


@dataclass(frozen=True)
class Pair:
    """Two answers to one prompt, the preferred one first."""

    row_id: str
    prompt: str
    chosen: str
    rejected: str
    strength: float | None
    """The share of people who preferred the first; None where nobody counted."""


@dataclass(frozen=True)
class TokenPair:
    """The same as tokens."""

    pair: Pair
    chosen: TokenSequence
    rejected: TokenSequence

    @property
    def longest(self) -> int:
        """Tokens of the longer of both, with the prompt."""
        return max(len(self.chosen.ids), len(self.rejected.ids))


def read_pairs(context: Context, role: str) -> list[Pair]:
    """The pairs of every dataset given; raises MethodError where one is none, or is held out."""
    found = []
    for given in context.inputs(role):
        rows = read_rows(given.files / ROWS).to_dicts()
        names = set(rows[0]) if rows else set()
        if rows and not ({"prompt", "rejected"} <= names and {"chosen", "completion"} & names):
            raise MethodError(
                f"holds no pairs of answers; its columns are {', '.join(sorted(names))}",
                where=given.label,
                mend="name a dataset with `prompt`, `chosen` and `rejected`, such as one that "
                "`community-preferences` made",
            )
        found += [_pair(row, given.label) for row in rows]
    if not found:
        labels = ", ".join(given.label for given in context.inputs(role))
        raise MethodError("there are no pairs", where=labels, mend="give a dataset that has some")
    return found


def require_learnable(context: Context, role: str) -> None:
    """Raises MethodError where a dataset holds rows that are kept for evaluation."""
    import polars

    for given in context.inputs(role):
        frame = read_rows(given.files / ROWS)
        if "held_out" in frame.columns and frame["held_out"].any():
            held = frame.filter(polars.col("held_out"))["row_id"][0]
            raise MethodError(
                f"the row {held} is held out",
                where=given.label,
                why="what a model is measured on must be what it has not learned from",
                mend="name the dataset of rows for learning instead",
            )


def _pair(row: Mapping[str, Any], where: str) -> Pair:
    strength = row.get("strength")
    if strength is not None and not 0 <= strength <= 1:
        raise MethodError(
            f"the strength of row {row['row_id']} is {strength}",
            where=where,
            why="it is the share of people who preferred the chosen answer",
            mend="give a number from 0.5 to 1, or none",
        )
    chosen = row["chosen"] if "chosen" in row else row["completion"]
    return Pair(row["row_id"], row["prompt"] or "", chosen or "", row["rejected"] or "", strength)


def readable(model: Any, params: PairParams) -> int:
    """Tokens that a pair may have: as told, and no more than the model can read."""
    window = getattr(model.config, "max_position_embeddings", None)
    return min(params.longest, window or params.longest)


def sort_pairs(
    tokenizer: Any, pairs: Sequence[Pair], params: PairParams, longest: int, label: str
) -> tuple[list[TokenPair], list[dict[str, Any]]]:
    """The pairs as tokens, and those that cannot be learned from, with the reason.

    Args:
        tokenizer: The model's.
        pairs: What is given.
        params: Which pairs are wanted.
        longest: Tokens that prompt and answer may have.
        label: The model's node.

    Raises:
        MethodError: Where the tokenizer cannot write turns, or no pair is left.
    """
    if params.chat_template and not has_template(tokenizer):
        raise MethodError(
            "the model's tokenizer has no chat template",
            where=label,
            why="prompts could not be written as turns",
            mend="set `chat_template: false`, or start from a model that has one",
        )
    taken: list[TokenPair] = []
    rejected = []
    for pair in pairs:
        reason, score = _unfit(tokenizer, pair, params.least_strength)
        if not reason:
            both = _tokens(tokenizer, pair, chat=params.chat_template)
            if both.longest <= longest:
                taken.append(both)
                continue
            reason, score = f"longer than {longest} tokens", float(both.longest)
        rejected.append(turned_away(pair.row_id, reason, score))
    if not taken:
        raise MethodError(
            f"none of {len(pairs)} pairs can be learned from",
            why=f"the first: {rejected[0]['reason']}",
            mend="give other pairs, or change params.least_strength or params.longest",
        )
    return taken, rejected


def _unfit(tokenizer: Any, pair: Pair, least: float) -> tuple[str, float]:
    if not pair.chosen.strip() or not pair.rejected.strip():
        return "one of its answers is empty", 0.0
    if pair.chosen == pair.rejected:
        return "both answers are the same", 0.0
    if pair.strength is not None and pair.strength < least:
        return f"a near-tie: less than {least:g} preferred it", pair.strength
    if mark := mark_in(tokenizer, (pair.prompt, pair.chosen, pair.rejected)):
        return f"it holds {mark}, which the model reads as a mark of its own", 0.0
    return "", 0.0


def _tokens(tokenizer: Any, pair: Pair, *, chat: bool) -> TokenPair:
    chosen, rejected = (
        of_completion(tokenizer, pair.prompt, answer, chat=chat)
        for answer in (pair.chosen, pair.rejected)
    )
    return TokenPair(pair, chosen, rejected)


def words_only(tokenizer: Any, sequence: TokenSequence) -> list[bool]:
    """Which tokens are words of the answer: learned, and no mark of the chat or end of turn."""
    marks = set(tokenizer.all_special_ids)
    return [
        on and token not in marks for token, on in zip(sequence.ids, sequence.learned, strict=True)
    ]


def log_odds(strength: float | None) -> float:
    """How far apart a Bradley-Terry model puts two answers of which this share prefers the first.

    Zero where nobody counted, since then nothing is known.
    """
    if strength is None:
        return 0.0
    share = min(max(strength, 1 - _CERTAIN), _CERTAIN)
    return math.log(share / (1 - share))
