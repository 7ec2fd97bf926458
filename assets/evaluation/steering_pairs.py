"""Which of two answers a model finds likelier, on pairs of which a community prefers one.

The mean log-probability of an answer's tokens decides, its end of turn left out, so that length
alone decides nothing. A tie counts half; near ties are counted apart, since the last digits decide
them. Any model may be asked about any community's pairs; steerability compares them.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from assets.alignment.preferences import Pair, read_pairs
from assets.alignment.scoring import token_log_probs
from assets.alignment.sequences import TokenSequence, mark_in
from assets.compute import LIBRARIES, Dtype, load_model, prepare
from assets.evaluation.distances import Array
from assets.evaluation.intervals import wilson
from assets.evaluation.multiple_choice import option_sequence
from assets.evaluation.pair_agreement import right
from assets.rows import ROWS, read_rows, write_left_out, write_rows
from assets.synthesis.profile_rows import require_side
from registry.artifact import digest_of, write_atomically
from registry.errors import MethodError
from registry.method import Method, Role
from registry.results import Result, Results
from registry.typed import Frozen

if TYPE_CHECKING:
    from registry.context import Context, Input

SCORES = "scores.parquet"
HELD_OUT = "held-out pairs"
ACCURACY = "preference accuracy"
COIN, LONGER, SHORTER = "a coin flip", "always the longer answer", "always the shorter answer"
_PART = 64
"""Pairs that are kept together."""


class Params(Frozen):
    """How pairs are scored."""

    near_tie: float = Field(default=0.01, ge=0)
    """Nats a token: two answers that differ by less are a near tie, and counted as such beside."""
    longest: int = Field(default=2048, ge=16)
    """Tokens of prompt and answer; a longer pair is left out, and named."""
    batch_size: int = Field(default=8, ge=1)
    """Answers at once."""
    dtype: Dtype = "bfloat16"
    """The number format of the forward pass."""


@dataclass(frozen=True)
class Preferred:
    """One pair, and what a model finds of it."""

    community: str
    pair: str
    item: str | None
    strength: float | None
    chosen: float
    """Mean nats a token of the answer that people prefer."""
    rejected: float
    longer: bool | None
    """Whether the preferred answer has more characters; None where both have as many."""

    @property
    def difference(self) -> float:
        """How much likelier the preferred answer is, in nats a token."""
        return self.chosen - self.rejected

    @property
    def right(self) -> float:
        """1 where the preferred answer is likelier, 1/2 for a tie."""
        return float(right(np.array([self.difference]))[0])

    @property
    def cluster(self) -> str:
        """Pairs that came from one survey item or statement are judged alike."""
        return f"item {self.item}" if self.item else f"pair {self.pair}"


@dataclass(frozen=True)
class Asked:
    """One pair with whose it is."""

    pair: Pair
    community: str
    item: str | None


def read_asked(context: Context) -> list[Asked]:
    """The pairs of every dataset given.

    Raises:
        MethodError: One is not held out, says not whose it is, or comes twice.
    """
    found = []
    for given in context.inputs("pairs"):
        rows = {row["row_id"]: row for row in _require_held_out(given)}
        for pair in read_pairs(replace(context, roles={"pairs": (given,)}), "pairs"):
            row = rows[pair.row_id]
            community = row.get("community") or given.community
            if not community:
                raise MethodError(
                    f"the pair {pair.row_id} does not say which community prefers",
                    where=given.label,
                    why="it belongs to no column",
                    mend="give pairs made by `held-out-preferences`",
                )
            found.append(Asked(pair, community, row.get("item")))
    ids = [one.pair.row_id for one in found]
    if len(set(ids)) != len(ids):
        raise MethodError("the same pair is given twice", why="it would count double",
                          mend="name each dataset once")  # fmt: skip
    return found


def _require_held_out(given: Input) -> list[dict[str, Any]]:
    rows = read_rows(given.files / ROWS).to_dicts()
    require_side(rows, "held out", given.label)
    return rows


def sort_asked(
    tokenizer: Any, asked: Sequence[Asked], longest: int
) -> tuple[list[tuple[Asked, TokenSequence, TokenSequence]], list[dict[str, Any]]]:
    """Pairs as tokens, and those that cannot be compared, with the reason."""
    taken, left_out = [], []
    for one in asked:
        pair = one.pair
        reason = ""
        mark = mark_in(tokenizer, (pair.prompt, pair.chosen, pair.rejected))
        if mark:
            reason = f"it holds {mark}, which the model reads as a mark of its own"
        elif not pair.chosen.strip() or not pair.rejected.strip():
            reason = "one of its answers is empty"
        else:
            both = [
                option_sequence(tokenizer, pair.prompt, a) for a in (pair.chosen, pair.rejected)
            ]
            if max(len(s.ids) for s in both) > longest:
                reason = f"longer than {longest} tokens"
            elif both[0] == both[1]:
                reason = "both answers are the same to the model"
            else:
                taken.append((one, both[0], both[1]))
                continue
        left_out.append(
            {"row_id": pair.row_id, "reason": reason, "score": None, "caused_by": pair.row_id}
        )
    return taken, left_out


def mean_nats(
    model: Any, sequences: Sequence[TokenSequence], pad: int, batch_size: int
) -> list[float]:
    """The mean log-probability of each sequence's learned tokens."""
    import torch

    by_length = sorted(range(len(sequences)), key=lambda index: (len(sequences[index].ids), index))
    found: dict[int, float] = {}
    for start in range(0, len(by_length), batch_size):
        places = by_length[start : start + batch_size]
        chosen = [sequences[index] for index in places]
        first = min(one.learned.index(True) for one in chosen)
        with torch.inference_mode():
            logs = token_log_probs(model, [one.ids for one in chosen], first, pad).cpu()
        for index, row, one in zip(places, logs, chosen, strict=True):
            learned = torch.tensor(one.learned[first:])
            found[index] = float(row[: len(learned)][learned].double().mean())
    return [found[index] for index in range(len(sequences))]


def score(
    context: Context,
    model: Any,
    pad: int,
    pairs: Sequence[tuple[Asked, TokenSequence, TokenSequence]],
    batch_size: int,
) -> Array:
    """Both scores of every pair; parts that an earlier attempt left are not read again.

    Returns:
        Nats a token, shape (pairs, 2).
    """
    parts = []
    for start in range(0, len(pairs), _PART):
        chosen = pairs[start : start + _PART]
        name = digest_of([one.pair.row_id for one, _, _ in chosen])[:16]
        path: Path = context.work / f"{start:08d}-{name}.npy"
        if not path.is_file():
            sequences = [s for _, *both in chosen for s in both]
            stream = io.BytesIO()
            values = np.array(mean_nats(model, sequences, pad, batch_size)).reshape(-1, 2)
            np.save(stream, values, allow_pickle=False)
            write_atomically(path, stream.getvalue())
        parts.append(np.load(path, allow_pickle=False))
        context.progress(min(start + _PART, len(pairs)), len(pairs))
    found: Array = np.concatenate(parts)
    if not np.isfinite(found).all():
        raise MethodError(
            "the model gives an answer a probability that is no number",
            where=context.input("model").label,
            mend="make the model again; its weights are broken",
        )
    return found


def _preferred(one: Asked, scores: Array) -> Preferred:
    lengths = len(one.pair.chosen), len(one.pair.rejected)
    return Preferred(
        community=one.community,
        pair=one.pair.row_id,
        item=one.item,
        strength=one.pair.strength,
        chosen=float(scores[0]),
        rejected=float(scores[1]),
        longer=None if lengths[0] == lengths[1] else lengths[0] > lengths[1],
    )


def read_preferred(files: Path) -> list[Preferred]:
    """What a model's `preference-answers` say of each pair."""
    rows = read_rows(files / SCORES).to_dicts()
    names = Preferred.__dataclass_fields__
    return [Preferred(**{name: row[name] for name in names}) for row in rows]


def beside(found: Sequence[Preferred]) -> dict[str, float]:
    """What somebody gets right who reads no answer."""
    longer = sum(0.5 if one.longer is None else float(one.longer) for one in found) / len(found)
    return {COIN: 0.5, LONGER: longer, SHORTER: 1 - longer}


def results_of(about: str, community: str | None, found: Sequence[Preferred]) -> Iterator[Result]:
    """A model's figures on its own community's pairs; on everybody's, if it is for all."""
    for theirs in sorted({one.community for one in found}):
        if community not in (None, theirs):
            continue
        chosen = [one for one in found if one.community == theirs]
        value = sum(one.right for one in chosen) / len(chosen)
        low, high = wilson(value, len(chosen))
        yield Result(
            about=about,
            community=theirs,
            slice=HELD_OUT,
            metric=ACCURACY,
            lower_is_better=False,
            value=value,
            low=low,
            high=high,
            items=len(chosen),
            beside=beside(chosen),
        )


def _rows(found: Sequence[Preferred], near_tie: float) -> Iterator[dict[str, Any]]:
    for one in found:
        yield {
            "row_id": one.pair,
            "parents": [one.pair],
            **vars(one),
            "right": one.right,
            "near_tie": abs(one.difference) < near_tie,
        }


def score_schema() -> dict[str, Any]:
    """The columns of `scores.parquet`."""
    import polars

    text, number, truth = polars.String, polars.Float64, polars.Boolean
    return {
        "row_id": text, "parents": polars.List(text), "community": text, "pair": text,
        "item": text, "strength": number, "chosen": number, "rejected": number, "longer": truth,
        "right": number, "near_tie": truth,
    }  # fmt: skip


def run(context: Context) -> None:
    """Scores both answers of every pair."""
    params = context.typed(Params)
    given = context.input("model")
    asked = read_asked(context)
    model, tokenizer = load_model(given.files, prepare(context), params.dtype)
    window = getattr(model.config, "max_position_embeddings", None) or params.longest
    taken, left_out = sort_asked(tokenizer, asked, min(params.longest, window))
    if not taken:
        raise MethodError(
            f"none of {len(asked)} pairs can be compared by {given.label}",
            where=context.node,
            why=f"the first: {left_out[0]['reason']}",
            mend="give other pairs, or raise params.longest",
        )
    scores = score(context, model, tokenizer.pad_token_id or 0, taken, params.batch_size)
    found = [_preferred(one, two) for (one, _, _), two in zip(taken, scores, strict=True)]
    write_rows(context.out / SCORES, list(_rows(found, params.near_tie)), score_schema())
    write_left_out(context.out, left_out)
    named: Mapping[str, Any] = {"model": given.name, "community": given.community}
    text = json.dumps({"schema_version": 1, **named}, sort_keys=True, indent=2)
    (context.out / "model.json").write_text(text + "\n")
    results = list(results_of(given.label, given.community, found))
    Results(results=tuple(results)).write(context.out)
    headline = {f"{one.metric}, {one.community}": one.value for one in results}
    headline["near ties"] = sum(abs(one.difference) < params.near_tie for one in found) / len(found)
    headline["ties"] = sum(one.difference == 0 for one in found)
    (context.out / "headline.json").write_text(json.dumps(headline, indent=2) + "\n")


method = Method(
    name="preference-answers",
    kind="evaluation",
    description="Which of two answers a model finds likelier, on pairs that communities judged.",
    params=Params,
    run=run,
    inputs={
        "model": Role("model", "the model to ask", form="language model"),
        "pairs": Role("dataset", "pairs of answers that no model learned from", many=True),
    },
    use="evaluate",
    libraries=(*LIBRARIES, "numpy", "polars"),
)
