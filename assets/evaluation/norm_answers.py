"""How a model judges what a community holds, beside the community's own judgement.

The probabilities of the judgements' letters are read in every wording and in both orders of the
scale, divided by their sum, and averaged. From them follow

- norm agreement: the probability of a judgement on the community's side (bad, all right, good);
- judgement distance: how many of the four steps of the scale it is off, E|x - j| / 4, which is
  1-Wasserstein to the one judgement j that the community gave.

Any model may be asked about any community's norms; steerability compares them (docs/steering.md).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from assets.compute import LIBRARIES, Dtype, load_model, prepare
from assets.evaluation.distances import Array
from assets.evaluation.intervals import mean
from assets.option_prompt import (
    ORDERS,
    Order,
    arrange,
    encode,
    letter_ids,
    next_token_probabilities,
    render,
)
from assets.rows import ROWS, read_rows, row_id, write_rows
from assets.sources.norm_questions import JUDGEMENTS, question_schema
from registry.errors import MethodError
from registry.method import Method, Role
from registry.results import Result, Results
from registry.typed import Frozen

if TYPE_CHECKING:
    from registry.context import Context, Input

PROBABILITIES = "probabilities.parquet"
HELD_OUT = "held-out norms"
AGREEMENT, DISTANCE = "norm agreement", "judgement distance"
UNIFORM, COMMONEST = "uniform", "always the commonest learned judgement"
_SCALE = np.array(JUDGEMENTS, dtype=np.float64)


class Params(Frozen):
    """How norms are put."""

    orders: tuple[Order, ...] = Field(default=ORDERS, min_length=1)
    """The orders in which the scale is shown."""
    batch_size: int = Field(default=16, ge=1)
    """Prompts at once."""
    dtype: Dtype = "bfloat16"
    """The number format of the forward pass."""


@dataclass(frozen=True)
class Judged:
    """One norm, and what a model says of it."""

    community: str
    norm: str
    item: str | None
    judgement: int
    commonest: int | None
    shares: Array
    """The probability of each judgement, averaged over wordings and orders; it sums to one."""
    outside: float
    """The mean probability of no judgement at all."""

    @property
    def cluster(self) -> str:
        """Norms that came from one survey item are judged alike."""
        return f"item {self.item}" if self.item else f"norm {self.norm}"


def agreement(shares: Array, judgement: int) -> float:
    """The probability of a judgement on the same side: below, at or above 0."""
    return float(shares[np.sign(_SCALE) == np.sign(judgement)].sum())


def distance(shares: Array, judgement: int) -> float:
    """The mean number of steps to a judgement, as a part of the four that the scale has."""
    return float(shares @ np.abs(_SCALE - judgement)) / (len(JUDGEMENTS) - 1)


METRICS: Mapping[str, tuple[Callable[[Array, int], float], bool]] = {
    AGREEMENT: (agreement, False),
    DISTANCE: (distance, True),
}
"""What is computed, and whether lower is better."""


def point(judgement: int) -> Array:
    """All probability on one judgement."""
    found: Array = (np.array(JUDGEMENTS) == judgement).astype(np.float64)
    return found


def uniform() -> Array:
    """Every judgement alike."""
    found: Array = np.full(len(JUDGEMENTS), 1 / len(JUDGEMENTS))
    return found


def read_questions(given: Sequence[Input]) -> list[dict[str, Any]]:
    """The norms of every dataset given; raises MethodError where one is none, or comes twice."""
    rows: list[dict[str, Any]] = []
    for one in given:
        table = read_rows(one.files / ROWS)
        if lacking := [name for name in question_schema() if name not in table.columns]:
            raise MethodError(
                f"has no column {lacking[0]!r}",
                where=one.label,
                why="without it nothing can be asked, or compared",
                mend="give norms made by `norm-questions`",
            )
        rows += table.to_dicts()
    ids = [row["row_id"] for row in rows]
    if len(set(ids)) != len(ids):
        raise MethodError(
            "the same norm is given twice",
            where=", ".join(one.label for one in given),
            why="it would count double",
            mend="name each dataset once",
        )
    if learned := next((row for row in rows if not row["held_out"]), None):
        raise MethodError(
            f"the norm {learned['norm']} is not held out",
            why="what a model is measured on must be what it has not learned from",
            mend="give norms made by `norm-questions`",
        )
    return rows


def read_judged(files: Any) -> list[Judged]:
    """What a model's `norm-answers` say of each norm."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in read_rows(files / PROBABILITIES).to_dicts():
        found.setdefault((row["community"], row["norm"]), []).append(row)
    return [_judged(*key, rows) for key, rows in found.items()]


def _judged(community: str, norm: str, rows: Sequence[Mapping[str, Any]]) -> Judged:
    readings: dict[tuple[str, str], Array] = {}
    for row in rows:
        one = readings.setdefault((row["wording"], row["order"]), np.zeros(len(JUDGEMENTS)))
        one[JUDGEMENTS.index(row["option"])] = row["probability"]
    seen = np.stack(list(readings.values()))
    sums = seen.sum(axis=1, keepdims=True)
    if not (np.isfinite(seen).all() and (seen >= 0).all() and (sums > 0).all()):
        raise MethodError(
            f"the answers to the norm {norm} of {community} are no probabilities",
            why="each must be a number of at least 0, and not all of a reading may be 0",
            mend="score the model again; if it stays so, its weights hold infinite numbers",
        )
    first = rows[0]
    return Judged(
        community=community,
        norm=norm,
        item=first["item"],
        judgement=first["judgement"],
        commonest=first["commonest"],
        shares=(seen / sums).mean(axis=0),
        outside=float(np.mean([row["outside"] for row in rows])),
    )


def results_of(about: str, community: str | None, judged: Sequence[Judged]) -> Iterator[Result]:
    """A model's figures on its own community's norms; on everybody's, if it is for all."""
    for theirs in sorted({one.community for one in judged}):
        if community not in (None, theirs):
            continue
        chosen = [one for one in judged if one.community == theirs]
        for metric, (figure, lower) in METRICS.items():
            value, low, high = mean([figure(one.shares, one.judgement) for one in chosen])
            yield Result(
                about=about,
                community=theirs,
                slice=HELD_OUT,
                metric=metric,
                lower_is_better=lower,
                value=value,
                low=max(0.0, low),
                high=min(1.0, high),
                items=len(chosen),
                beside=beside(chosen, figure),
            )


def beside(judged: Sequence[Judged], figure: Callable[[Array, int], float]) -> dict[str, float]:
    """The same figure of what needs no model."""
    found = {UNIFORM: float(np.mean([figure(uniform(), one.judgement) for one in judged]))}
    usual = judged[0].commonest
    if usual is not None:
        found[COMMONEST] = float(np.mean([figure(point(usual), one.judgement) for one in judged]))
    return found


def _answer_rows(
    question: Mapping[str, Any], order: Order, letters: Sequence[float]
) -> Iterator[dict[str, Any]]:
    """A row for each judgement, from very bad to very good whatever was shown first."""
    outside = max(0.0, 1.0 - sum(letters))
    for option, probability in zip(JUDGEMENTS, arrange(letters, order), strict=True):
        yield {
            "row_id": row_id("norm-answer", [question["row_id"], order, option]),
            "parents": [question["row_id"]],
            **{name: question[name] for name in ("community", "norm", "item", "wording")},
            **{name: question[name] for name in ("judgement", "agreement", "commonest")},
            "order": order,
            "option": option,
            "probability": probability,
            "outside": outside,
        }


def answer_schema() -> dict[str, Any]:
    """The columns of `probabilities.parquet`."""
    import polars

    text, whole, share = polars.String, polars.Int64, polars.Float64
    named = ("community", "norm", "item", "wording")
    counted = ("judgement", "agreement", "commonest")
    return {
        "row_id": text,
        "parents": polars.List(text),
        **dict.fromkeys(named, text),
        **dict.fromkeys(counted, whole),
        "order": text,
        "option": whole,
        "probability": share,
        "outside": share,
    }


def run(context: Context) -> None:
    """Scores every judgement of every norm, wording and order."""
    params = context.typed(Params)
    questions = read_questions(context.inputs("norms"))
    given = context.input("model")
    model, tokenizer = load_model(given.files, prepare(context), params.dtype)
    asked = [(question, order) for question in questions for order in params.orders]
    encoded = [
        encode(tokenizer, render(q["question"], arrange(q["options"], order))) for q, order in asked
    ]
    letters = letter_ids(tokenizer, len(JUDGEMENTS))
    by_length = sorted(range(len(asked)), key=lambda index: (len(encoded[index]), index))
    found: dict[int, list[float]] = {}
    for start in range(0, len(by_length), params.batch_size):
        chosen = by_length[start : start + params.batch_size]
        shown = next_token_probabilities(model, tokenizer, [encoded[i] for i in chosen])
        found |= dict(zip(chosen, shown[:, letters].tolist(), strict=True))
        context.progress(len(found), len(asked))
    rows = [
        row
        for index, (question, order) in enumerate(asked)
        for row in _answer_rows(question, order, found[index])
    ]
    write_rows(context.out / PROBABILITIES, rows, answer_schema())
    named = {"schema_version": 1, "model": given.name, "community": given.community}
    (context.out / "model.json").write_text(json.dumps(named, sort_keys=True, indent=2) + "\n")
    judged = read_judged(context.out)
    results = list(results_of(given.label, given.community, judged))
    Results(results=tuple(results)).write(context.out)
    headline = {f"{one.metric}, {one.community}": one.value for one in results}
    headline["probability outside the scale"] = float(np.mean([one.outside for one in judged]))
    (context.out / "headline.json").write_text(json.dumps(headline, indent=2) + "\n")


method = Method(
    name="norm-answers",
    kind="evaluation",
    description="How a model judges what communities hold, beside their own judgement.",
    params=Params,
    run=run,
    inputs={
        "model": Role("model", "the model to ask", form="language model"),
        "norms": Role("dataset", "norms that no model learned from, as questions", many=True),
    },
    use="evaluate",
    libraries=(*LIBRARIES, "numpy", "polars", "scipy"),
)
