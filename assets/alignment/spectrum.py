"""Spectrum Tuning: a model learns to answer as whoever gave the answers that it is shown.

Each training sequence holds samples of one source in a random order: one person's answers, or what
one community holds. The loss falls on outputs and the end of their turn. After a description, or a
few samples, such a model spreads its answers as that source does.

`spectrum-sft` learns from datasets of samples. `spectrum-respondents` learns from the answers of
single people, which it reads where they lie and which leave it only as weights and curves.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import Field

from assets.alignment import training
from assets.alignment.fine_tuning import tune
from assets.alignment.reward_scoring import require_language_model
from assets.alignment.spectrum_sequences import (
    Drawn,
    Process,
    Sample,
    SequenceShape,
    SpectrumSequence,
    deal,
    sort_out,
)
from assets.alignment.spectrum_turns import Turns, take_marks, turns_of
from assets.alignment.training import TuningParams, save_trained, told
from assets.compute import LIBRARIES, load_weights, prepare
from assets.rows import REJECTED, ROWS, read_rows, write_rows
from assets.synthesis.respondent_sequences import (
    SUMMARY,
    RespondentFile,
    processes_of,
    questions_of,
    read_people,
    require_enough,
    require_half,
)
from assets.synthesis.sampling import seed_of
from registry.errors import MethodError
from registry.method import Method, Role
from registry.profile_tables import OPINIONS

if TYPE_CHECKING:
    from numpy.random import Generator

    from registry.context import Context

_FEW = 5
"""Fewer than this many are not told of single people."""


class Params(TuningParams, SequenceShape):
    """How sequences are made and learned.

    The paper makes one pass over them: a model that has seen each answer once is calibrated better
    than one that knows them by heart. `sequences.json` says how many passes were made.
    """

    adapter_alpha: float = Field(default=80, gt=0)
    """Scale of the adapter; its updates are multiplied by alpha / rank. 80 as in the paper."""
    learning_rate: float = Field(default=2e-4, gt=0)
    """Peak learning rate of AdamW. The paper takes 3e-6 for all weights; adapters need more."""
    longest: int = Field(default=1024, ge=16)
    """Tokens of a sequence, as in the paper; it is cut after the last output that fits."""


class RespondentParams(Params):
    """The same from single people's answers."""

    respondents: RespondentFile
    """The survey's file, its columns, and the permission to learn from its rows."""
    tells_group: bool = True
    """Whether the description of a person's answers names the person's group. A pooled model is
    told of none, neither here nor when it is measured."""


@dataclass(frozen=True)
class _Pupil:
    model: Any
    tokenizer: Any
    turns: Turns


def _enrol(context: Context, params: Params) -> _Pupil:
    device = prepare(context)
    require_language_model(context.input("base"))
    model, tokenizer = load_weights(context.input("base").files, device, params.loads_as)
    turns = turns_of(tokenizer, params.turns)
    if context.inputs("marks"):
        sibling, _ = load_weights(context.input("marks").files, device, params.loads_as)
        take_marks(model, sibling, turns)
    return _Pupil(model, tokenizer, turns)


def _sources(context: Context) -> tuple[Generator, Generator]:
    """Two sources of chance: what samples are shown, and how they are dealt."""
    import numpy as np

    parts = ("samples", "sequences")
    first, second = (np.random.default_rng(seed_of(context.seed, part)) for part in parts)
    return first, second


def processes_from(rows: Sequence[dict[str, Any]], where: str) -> list[Process]:
    """The sources of a dataset of samples, in the order in which they first come.

    Raises:
        MethodError: The rows do not say which of them belong together.
    """
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        if not row.get("process"):
            raise MethodError(
                "the rows do not say which of them belong together",
                where=where,
                why="samples of two sources in one sequence teach that both answer alike",
                mend="give a dataset of `community-sequences`, or add the columns `process` and "
                "`description`",
            )
        found.setdefault((row["community"] or "", row["process"]), []).append(row)
    return [
        Process(
            f"{community}/{name}",
            own[0].get("description") or "",
            tuple(Sample(row["prompt"] or "", row["completion"]) for row in own),
        )
        for (community, name), own in found.items()
    ]


def _train(
    context: Context, params: Params, pupil: _Pupil, sequences: Sequence[SpectrumSequence]
) -> None:
    trained, curve = tune(
        pupil.model,
        pupil.tokenizer,
        [one.tokens for one in sequences],
        params,
        seed=context.seed,
        device=context.device,
        folder=context.work / "trainer",
        tell=told(context, params.steps),
        say=context.ran,
    )
    panels = {"loss (nats)": [row["loss"] for row in curve]}
    save_trained(context, trained, pupil.tokenizer, curve, panels, "loss.png")


def _summary(
    params: Params,
    turns: Turns,
    processes: int,
    drawn: Sequence[Drawn],
    sequences: Sequence[SpectrumSequence],
) -> dict[str, Any]:
    """What was learned from, in numbers."""
    outputs = sum(len(one.outputs) for one in sequences)
    return {
        "schema_version": 1,
        "turns": turns.family,
        "sources": processes,
        "sequences": len(sequences),
        "outputs": outputs,
        "outputs_that_did_not_fit": sum(len(one.samples) for one in drawn) - outputs,
        "tokens": sum(len(one.tokens.ids) for one in sequences),
        "learned_tokens": sum(sum(one.tokens.learned) for one in sequences),
        "passes": params.steps * params.batch_size / len(sequences),
    }


def _write_summary(context: Context, summary: dict[str, Any]) -> None:
    text = json.dumps(summary, indent=2, sort_keys=True, ensure_ascii=False)
    (context.out / SUMMARY).write_text(text + "\n", encoding="utf-8")


def _require_sequences(
    sequences: Sequence[SpectrumSequence], left_out: Sequence[tuple[Drawn, str]], params: Params
) -> None:
    if not sequences:
        reasons = Counter(reason for _, reason in left_out)
        raise MethodError(
            f"none of {len(left_out)} sequences can be learned from",
            why=reasons.most_common(1)[0][0] if reasons else "there are no samples",
            mend=f"raise params.longest ({params.longest}) or the means of the numbers of samples, "
            "or lower params.drop_description",
        )


def run(context: Context) -> None:
    """Learns from datasets of samples."""
    import polars

    params = context.typed(Params)
    processes = [
        process
        for given in context.inputs("data")
        for process in processes_from(read_rows(given.files / ROWS).to_dicts(), given.label)
    ]
    pupil = _enrol(context, params)
    drawn = list(deal(processes, params, _sources(context)[1]))
    sequences, left_out = sort_out(pupil.turns, drawn, params.longest)
    _require_sequences(sequences, left_out, params)
    _train(context, params, pupil, sequences)
    _write_summary(context, _summary(params, pupil.turns, len(processes), drawn, sequences))
    rejected = [
        {"process": one.process, "samples": len(one.samples), "reason": reason}
        for one, reason in left_out
    ]
    text, whole = polars.String, polars.Int64
    schema = {"process": text, "samples": whole, "reason": text}
    write_rows(context.out / REJECTED, rejected, schema)


def run_respondents(context: Context) -> None:
    """Learns from the answers of single people, and writes nothing of them but weights."""
    params = context.typed(RespondentParams)
    rows = read_rows(context.input("questionnaire").files / "items.parquet").to_dicts()
    questions = questions_of(rows)
    instrument = str(rows[0]["instrument"])
    groups = read_people(context, params.respondents, questions, instrument)
    wordings, dealing = _sources(context)
    processes: list[Process] = []
    for profile in context.profiles:
        learning, _ = groups.get(profile.id, ([], []))
        require_half(profile, learning)
        require_enough(profile, learning)
        name = profile.name if params.tells_group else None
        processes += processes_of(name, learning, questions, wordings)
    pupil = _enrol(context, params)
    drawn = list(deal(processes, params, dealing))
    sequences, left_out = sort_out(pupil.turns, drawn, params.longest)
    _require_sequences(sequences, left_out, params)
    _train(context, params, pupil, sequences)
    reasons = Counter(reason for _, reason in left_out)
    summary = _summary(params, pupil.turns, len(processes), drawn, sequences)
    told = {r: n if n >= _FEW else f"fewer than {_FEW}" for r, n in sorted(reasons.items())}
    permission = params.respondents.permission
    summary |= {"left_out": told, "tells_group": params.tells_group}
    summary["permission"] = permission.model_dump() if permission else None
    _write_summary(context, summary)


_BASE = {
    "base": Role(
        "model", "the model to start from; an untuned base is best", form="language model"
    ),
    "marks": Role(
        "model", "the instruct sibling whose marks of turns a base model takes over", optional=True
    ),
}
_LIBRARIES = (*LIBRARIES, *training.LIBRARIES, "matplotlib", "numpy", "polars")
_LIMITS = (
    "It answers as a source whose samples it is shown; without them it speaks for nobody.",
    "What it says after a description alone has been learned least; show it samples.",
)

_LIMIT_OF_ROWS = (
    "It learned from single people's answers and can repeat what it has seen: share it only as far "
    "as their permission reaches."
)

method = Method(
    name="spectrum-sft",
    kind="model",
    form="language model",
    description="Spectrum Tuning on a community's norms and examples, in sequences of any order.",
    params=Params,
    run=run,
    inputs=_BASE | {"data": Role("dataset", "samples, each with its source", many=True)},
    limits=_LIMITS,
    use="train-sft",
    spreads=True,
    libraries=_LIBRARIES,
)

respondents_method = Method(
    name="spectrum-respondents",
    kind="model",
    form="language model",
    description="Spectrum Tuning on single respondents' answers, of which only weights are kept.",
    params=RespondentParams,
    run=run_respondents,
    inputs=_BASE | {"questionnaire": Role("dataset", "the items in every wording")},
    reads=(OPINIONS.file,),
    profile_fields=("name", "opinions"),
    limits=(*_LIMITS, _LIMIT_OF_ROWS),
    use="train-sft",
    spreads=True,
    libraries=(*_LIBRARIES, "duckdb"),
)
