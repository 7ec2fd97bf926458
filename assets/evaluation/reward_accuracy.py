"""Whether a reward model prefers what people preferred, how surely, and where they disagreed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from assets.alignment.preferences import Pair, read_pairs
from assets.alignment.reward_scoring import Scorer, load_scorer, require_reward_model
from assets.compute import LIBRARIES, Dtype, prepare
from assets.evaluation.intervals import wilson
from assets.rows import write_rows
from registry.errors import MethodError
from registry.method import Method, Role
from registry.results import Result, Results
from registry.typed import Frozen

if TYPE_CHECKING:
    from assets.evaluation.pair_agreement import Array
    from registry.context import Context

ALL, DISPUTED = "all pairs", "most disputed pairs"
_LEAST_DISPUTED = 5
"""Fewer disputed pairs are not compared: one pair more or less would turn the result."""


class Params(Frozen):
    """How pairs are scored and compared."""

    disputed_share: float = Field(default=0.5, gt=0, lt=1)
    """The share of pairs of known strength that count as disputed, the least agreed ones; half, so
    that few pairs still give two sets of some size."""
    bins: int = Field(default=10, ge=1, le=100)
    """Bins of the calibration error, at most; each holds five pairs or more."""
    draws: int = Field(default=2000, ge=100)
    """How often pairs are drawn again for intervals."""
    batch_size: int = Field(default=16, ge=1)
    """Answers at once."""
    dtype: Dtype = "bfloat16"
    """The number format of the model."""


def score_pairs(
    scorer: Scorer, pairs: Sequence[Pair], context: Context
) -> tuple[list[Pair], list[tuple[float, float]], list[Pair]]:
    """The pairs that the model can read with both scores, and those that are too long for it."""
    asked = [(p.prompt, answer) for p in pairs for answer in (p.chosen, p.rejected)]
    found = scorer.scores(asked, context.progress)
    read, scores, unread = [], [], []
    for pair, chosen, rejected in zip(pairs, found[::2], found[1::2], strict=True):
        if chosen is None or rejected is None:
            unread.append(pair)
        else:
            read.append(pair)
            scores.append((chosen, rejected))
    return read, scores, unread


def results_of(
    pairs: Sequence[Pair], differences: Array, params: Params, seed: int, about: str
) -> list[Result]:
    """The figures of one model on one community's pairs."""
    import numpy as np

    from assets.evaluation.pair_agreement import (
        against_random,
        by_length,
        calibrated_error,
        calibration_error,
        certainty,
        disputed,
        interval,
        right,
    )

    source = np.random.default_rng(seed)
    sure, hits = certainty(differences), right(differences)
    strengths = [pair.strength for pair in pairs]
    known = np.array([i for i, one in enumerate(strengths) if one is not None], dtype=np.int64)
    people = [strengths[i] or 0.0 for i in known]
    longer = np.array([float(np.sign(len(p.chosen) - len(p.rejected)) + 1) / 2 for p in pairs])
    beside = {"a coin flip": 0.5, "the length of answers alone": by_length(longer)}
    ends = wilson(float(hits.mean()), len(hits))

    def result(metric: str, value: float, ends: tuple[float, float], **rest: Any) -> Result:
        whole = {"about": about, "slice": ALL, "items": len(pairs), "lower_is_better": False}
        return Result(
            metric=metric, value=value, low=ends[0], high=ends[1], **(whole | {"beside": {}} | rest)
        )

    found = [
        result("preference accuracy", float(hits.mean()), ends, beside=beside),
        result(
            "calibration error", calibration_error(sure, hits, params.bins),
            _calibration_interval(sure, hits, params, source), lower_is_better=True,
            beside={
                "one that is calibrated": calibrated_error(sure, params.bins, params.draws, source)
            },
        ),
    ]  # fmt: skip
    if people:
        agreed = hits[known] * people + (1 - hits[known]) * (1 - np.asarray(people))
        found.append(
            result(
                "chance that one person agrees", float(agreed.mean()),
                interval(agreed, params.draws, source), items=len(people),
                beside={"always the majority": float(np.mean(people))},
            )
        )  # fmt: skip
    chosen = disputed(people, params.disputed_share) if people else known
    if len(chosen) >= _LEAST_DISPUTED:
        one = against_random(hits[known], chosen, params.draws, source)
        rest = {"slice": DISPUTED, "items": one.size}
        found += [
            result(
                "preference accuracy", one.disputed, (one.disputed_low, one.disputed_high),
                beside={"as many pairs at random": one.random}, **rest,
            ),
            result(
                "accuracy less that of as many pairs at random", one.difference,
                (one.low, one.high), **rest,
            ),
        ]  # fmt: skip
    return found


def _calibration_interval(
    sure: Array, hits: Array, params: Params, source: Any
) -> tuple[float, float]:
    import numpy as np

    from assets.evaluation.pair_agreement import calibration_error

    drawn = source.integers(len(sure), size=(params.draws, len(sure)))
    again = [calibration_error(sure[at], hits[at], params.bins) for at in drawn]
    low, high = np.percentile(again, [2.5, 97.5])
    return float(low), float(high)


def draw_calibration(differences: Array, bins: int) -> bytes:
    """A PNG: each bin's share of right favourites against the model's certainty."""
    from io import BytesIO

    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from assets.evaluation.pair_agreement import bins_of, certainty, right

    found = bins_of(certainty(differences), right(differences), bins)
    figure = Figure(figsize=(3.4, 3), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    axis.plot([0.5, 1], [0.5, 1], color="#888888", lw=0.8, ls="--")
    axis.plot([x for x, _, _ in found], [y for _, y, _ in found], color="#30638e", marker="o", ms=4)
    axis.set_xlabel("how sure the model is of its favourite", fontsize=8)
    axis.set_ylabel("share that people preferred too", fontsize=8)
    axis.set_xlim(0.48, 1.02)
    axis.set_ylim(-0.05, 1.05)
    axis.tick_params(labelsize=8)
    out = BytesIO()
    figure.savefig(out, format="png", dpi=110, metadata={"Software": None})
    return out.getvalue()


def run(context: Context) -> None:
    """Scores both answers of every pair."""
    import numpy as np
    import polars

    params = context.typed(Params)
    given = context.input("model")
    require_reward_model(given)
    pairs = read_pairs(context, "pairs")
    device = prepare(context)
    scorer = load_scorer(given, device, params.dtype, params.batch_size)
    read, scores, unread = score_pairs(scorer, pairs, context)
    if not read:
        raise MethodError(
            f"none of {len(pairs)} pairs can be read by {given.label}",
            where=context.node,
            why=f"it reads {scorer.settings.longest} tokens",
            mend="give shorter pairs, or train it with a larger params.longest",
        )
    differences = np.array([chosen - rejected for chosen, rejected in scores])
    results = results_of(read, differences, params, context.seed, given.label)
    community = context.community or given.community or ""
    results = [one.model_copy(update={"community": community}) for one in results]
    Results(results=tuple(results)).write(context.out)
    rows = [
        {"row_id": pair.row_id, "parents": [pair.row_id], "strength": pair.strength,
         "chosen_score": one, "rejected_score": other, "difference": one - other}
        for pair, (one, other) in zip(read, scores, strict=True)
    ]  # fmt: skip
    text, number = polars.String, polars.Float64
    schema = {
        "row_id": text, "parents": polars.List(text), "strength": number, "chosen_score": number,
        "rejected_score": number, "difference": number,
    }  # fmt: skip
    write_rows(context.out / "scores.parquet", rows, schema)
    left = [
        {"row_id": pair.row_id, "reason": "too long for the reward model",
         "caused_by": pair.row_id}
        for pair in unread
    ]  # fmt: skip
    names = ("row_id", "reason", "caused_by")
    write_rows(context.out / "rejected.parquet", left, dict.fromkeys(names, text))
    (context.out / "calibration.png").write_bytes(draw_calibration(differences, params.bins))
    headline = {f"{one.metric}, {one.slice}": one.value for one in results}
    (context.out / "headline.json").write_text(json.dumps(headline, indent=2) + "\n")


method = Method(
    name="reward-accuracy",
    kind="evaluation",
    description="How well a reward model's scores agree with what people preferred.",
    params=Params,
    run=run,
    inputs={
        "model": Role("model", "the reward model to measure", form="reward model"),
        "pairs": Role("dataset", "pairs of answers that it did not learn from", many=True),
    },
    libraries=(*LIBRARIES, "matplotlib", "numpy", "polars"),
)
