"""How well a model foresees a person's next answer, the more of that person's answers it knows.

The people are those of the half kept for evaluation, and of each item both the learned and the held
out are looked at apart. Of single people nothing is written: figures are means over fifty or more.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from assets.alignment.scoring import token_log_probs
from assets.alignment.spectrum_sequences import Drawn, Process, SpectrumSequence, of_drawn
from assets.alignment.spectrum_turns import Family, Turns, turns_of
from assets.compute import LIBRARIES, Dtype, load_model, prepare
from assets.evaluation.intervals import mean
from assets.opinion_tables import OpinionTable, read_still_told
from assets.rows import read_rows, write_rows
from assets.synthesis.respondent_sequences import (
    Question,
    Respondent,
    RespondentFile,
    processes_of,
    questions_of,
    read_people,
    require_half,
    tells_group,
)
from assets.synthesis.sampling import seed_of
from registry.errors import MethodError
from registry.intake.estimates import FEWEST_ANSWERS
from registry.method import Method, Role
from registry.profile_tables import OPINIONS
from registry.results import Result, Results
from registry.typed import Frozen

if TYPE_CHECKING:
    from numpy.random import Generator

    from registry.context import Context, ProfileView

LEAST = 1e-4
"""The share that an option counts as where a table says that nobody chose it."""
METRIC = "nats per answer, at least one other answer known"


class Params(Frozen):
    """Whose answers, and how they are shown."""

    respondents: RespondentFile
    """The survey's file, its columns, and the permission to read its rows."""
    people: int = Field(default=200, ge=FEWEST_ANSWERS)
    """People of each group at most, drawn with the seed."""
    turns: Family | Literal["own"] = "own"
    """Whose marks stand around turns, as in training."""
    longest: int = Field(default=1024, ge=16)
    """Tokens of a sequence; it is cut after the last answer that fits."""
    batch_size: int = Field(default=4, ge=1)
    """Sequences at once."""
    dtype: Dtype = "bfloat16"
    """The number format of the forward pass."""


def nats_by_index(
    model: Any, sequences: Sequence[SpectrumSequence], pad: int, batch_size: int
) -> Iterator[list[float]]:
    """For each sequence the nats of each output, end of turn included, in the order shown."""
    import torch

    for start in range(0, len(sequences), batch_size):
        batch = sequences[start : start + batch_size]
        with torch.inference_mode():
            logs = token_log_probs(model, [one.tokens.ids for one in batch], 1, pad)
        for row, one in zip(logs, batch, strict=True):
            yield [-float(row[span.start - 1 : span.stop - 1].sum()) for span in one.outputs]


def by_index(nats: Sequence[Sequence[float]]) -> list[dict[str, float]]:
    """The mean nats at each index, as far as enough people have an answer there."""
    rows = []
    for index in range(max((len(one) for one in nats), default=0)):
        found = [one[index] for one in nats if len(one) > index]
        if len(found) < FEWEST_ANSWERS:
            break
        value, low, high = mean(found)
        rows.append({"known": index, "nats": value, "low": low, "high": high, "people": len(found)})
    return rows


def read_table(profile: ProfileView, questions: Sequence[Question]) -> dict[str, OpinionTable]:
    """The shares in which a group's half for learning answered."""
    options = {question.item: question.options for question in questions}
    path = profile.table(OPINIONS.file)
    return read_still_told(path, options)


def table_nats(
    person: Respondent, questions: Sequence[Question], table: Mapping[str, OpinionTable]
) -> float:
    """What a person's answers cost one who knows only the group's shares: nats an answer."""
    spent = []
    for question in questions:
        if question.item in person.chosen:
            place = question.options.index(person.chosen[question.item])
            spent.append(-math.log(max(table[question.item].shares[place], LEAST)))
    return sum(spent) / len(spent)


@dataclass(frozen=True)
class _Measured:
    """What a model says about the people of one group, on one side of the items."""

    nats: list[list[float]]
    table: list[float]
    """What the same people's answers cost one who knows only the group's shares."""
    items: int


def _measure(
    scorer: _Scorer,
    profile: ProfileView,
    held: Sequence[Respondent],
    questions: Sequence[Question],
    table: Mapping[str, OpinionTable],
    source: Generator,
) -> _Measured:
    params = scorer.params
    asked = [question for question in questions if question.item in table]
    several = [one for one in held if sum(q.item in one.chosen for q in asked) > 1]
    order = source.permutation(len(several))[: params.people].tolist()
    people = [several[place] for place in order]
    sequences = [
        of_drawn(scorer.turns, _shuffled(one, source), params.longest)
        for one in processes_of(profile.name if scorer.told else None, people, asked, source)
    ]
    found = [s for s in sequences if s and len(s.outputs) > 1]
    if len(found) < FEWEST_ANSWERS:
        raise MethodError(
            f"fewer than {FEWEST_ANSWERS} people of {profile.id} gave two answers that fit",
            why="a figure over few people could point at one of them",
            mend="raise params.longest, or leave the group out of `communities`",
        )
    nats = nats_by_index(scorer.model, found, scorer.pad, params.batch_size)
    return _Measured(list(nats), [table_nats(one, asked, table) for one in people], len(asked))


def _shuffled(process: Process, source: Generator) -> Drawn:
    """All samples of a source in one sequence."""
    order = source.permutation(len(process.samples)).tolist()
    samples = tuple(process.samples[place] for place in order)
    return Drawn(process.id, process.description, samples)


@dataclass(frozen=True)
class _Scorer:
    model: Any
    turns: Turns
    pad: int
    told: bool
    """Whether it learned with the group in the description, and is asked so."""
    params: Params


def run(context: Context) -> None:
    """Scores the answers of people whom no model has learned from."""
    import numpy as np

    params = context.typed(Params)
    rows = read_rows(context.input("questionnaire").files / "items.parquet").to_dicts()
    sides = {"asked": questions_of(rows), "unseen questions": questions_of(rows, held_out=True)}
    sides = {part: questions for part, questions in sides.items() if questions}
    every = [question for questions in sides.values() for question in questions]
    groups = read_people(context, params.respondents, every, str(rows[0]["instrument"]))
    device = prepare(context)
    about = context.input("model")
    model, tokenizer = load_model(about.files, device, params.dtype)
    turns, pad = turns_of(tokenizer, params.turns), tokenizer.pad_token_id or 0
    scorer = _Scorer(model, turns, pad, tells_group(about.files), params)
    curves: list[dict[str, Any]] = []
    results: list[Result] = []
    plans = [(profile, *side) for profile in context.profiles for side in sides.items()]
    for done, (profile, part, questions) in enumerate(plans, 1):
        learning, held = groups.get(profile.id, ([], []))
        require_half(profile, learning)
        source = np.random.default_rng(seed_of(context.seed, f"{profile.id} {part}"))
        found = _measure(scorer, profile, held, questions, read_table(profile, every), source)
        curves += [{"community": profile.id, "slice": part, **row} for row in by_index(found.nats)]
        value, low, high = mean([sum(one[1:]) / len(one[1:]) for one in found.nats])
        results.append(
            Result(
                about=about.label,
                community=profile.id,
                slice=part,
                metric=METRIC,
                lower_is_better=True,
                value=value,
                low=low,
                high=high,
                items=found.items,
                people=len(found.nats),
                beside={"own table": float(np.mean(found.table))},
            )
        )
        context.progress(done, len(plans))
    write_rows(context.out / "curves.parquet", curves)
    Results(results=tuple(results)).write(context.out)
    headline = {f"{r.community}, {r.slice}": r.value for r in results}
    (context.out / "headline.json").write_text(json.dumps(headline, indent=2) + "\n")


method = Method(
    name="k-shot",
    kind="evaluation",
    description="How well a model foresees a person's next answer, by how many it knows.",
    params=Params,
    run=run,
    inputs={
        "model": Role("model", "the model to measure"),
        "questionnaire": Role("dataset", "the items in every wording"),
    },
    reads=(OPINIONS.file,),
    profile_fields=("name", "opinions"),
    use="evaluate",
    libraries=(*LIBRARIES, "duckdb", "numpy", "polars", "scipy"),
)
