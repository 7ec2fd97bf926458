"""Stances in free answers against option probabilities, and both against people held out.

Alignment on options is worth little if a model's own words do not follow. Answers come from the
method `answers`, over `open-questions`; option probabilities from `option-probabilities`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from assets.compute import LIBRARIES as TORCH_LIBRARIES
from assets.compute import prepare
from assets.evaluation.answer_pool import ANSWERS, Arm
from assets.evaluation.distances import Array
from assets.evaluation.overton_checks import Check
from assets.evaluation.overton_scorers import Scorer, load_scorer, score_in_parts
from assets.evaluation.predictors import slice_of
from assets.evaluation.stance_figures import Figure, Settings, Told, figures_of, results_of
from assets.evaluation.stance_page import draw, page
from assets.evaluation.stance_reading import (
    Premise,
    Question,
    Reader,
    Stance,
    pairs_of,
    read_questions,
    require_heard,
    require_statements_enough,
    stance,
    try_scorer,
    wanted_checks,
)
from assets.opinion_tables import read_still_told
from assets.rows import LIBRARIES, ROWS, read_rows, row_id, write_rows
from assets.sources.open_questions import STANCES
from registry.errors import MethodError
from registry.method import Method, Role
from registry.profile_tables import HELD_OUT
from registry.results import Results
from registry.typed import Frozen

if TYPE_CHECKING:
    from registry.context import Context, Input

_NEEDED = ("row_id", "prompt_id", "text", "model", "chat_template", "sampling")


class Params(Frozen):
    """What counts as a stance, and how sure the figures are made."""

    premise: Premise = "sentence"
    """What an option's statement must follow from: a sentence of the answer, or the question and
    the sentence together, where answers are as short as `Very.`"""
    above: float = Field(default=0.5, ge=0, lt=1)
    """The entailment probability above which an answer speaks for an option."""
    lead: float = Field(default=0.1, ge=0, lt=1)
    """How far the best option must lead where an answer speaks for several."""
    must_tell: float = Field(default=0.9, gt=0.5, le=1)
    """The share of each kind of planted answer that must be told right."""
    fewest_stances: int = Field(default=5, ge=1)
    """A question to which fewer answers have a stance makes no shares."""
    resamples: int = Field(default=400, ge=50)
    """Draws of new answers and new respondents, for intervals and the noise null."""
    item_correlation: float = Field(default=0.08, ge=0, le=1)
    """How alike the errors of two items move when other people are drawn; see docs/pluralism.md."""
    batch_size: int = Field(default=32, ge=1)
    """Pairs that the entailment model reads at once."""


@dataclass(frozen=True)
class Said:
    """One answer of one model."""

    row_id: str
    model: str
    question: Question
    text: str


def read_said(given: Sequence[Input], questions: Sequence[Question]) -> list[Said]:
    """The answers of all models; raises MethodError where they do not fit the questions."""
    by_id = {question.prompt_id: question for question in questions}
    found: list[Said] = []
    seen: set[str] = set()
    arms: dict[str, Arm] = {}
    for one in given:
        path = one.files / ANSWERS
        if not path.is_file():
            raise MethodError(f"has no {ANSWERS}", where=one.label,
                              mend="give what the method `answers` made")  # fmt: skip
        table = read_rows(path)
        if lacking := [name for name in _NEEDED if name not in table.columns]:
            raise MethodError(f"has no column {lacking[0]!r}", where=one.label,
                              mend="make the answers again")  # fmt: skip
        for row in table.to_dicts():
            arm = Arm(row["model"], bool(row["chat_template"]), row["sampling"] or "")
            if row["row_id"] in seen:
                raise MethodError(f"the answer {row['row_id']} is given twice", where=one.label,
                                  mend="name each artifact of answers once")  # fmt: skip
            if arms.setdefault(arm.model, arm) != arm:
                raise MethodError(
                    f"{arm.model} was asked in two ways",
                    where=one.label,
                    why="shares of both together would be those of neither",
                    mend="compare one way of asking at a time",
                )
            if row["prompt_id"] not in by_id:
                raise MethodError(
                    f"answers {row['prompt_id']}, which is none of the questions",
                    where=one.label,
                    mend="let the models answer the same `open-questions`",
                )
            seen.add(row["row_id"])
            question = by_id[row["prompt_id"]]
            found.append(Said(row["row_id"], row["model"], question, row["text"] or ""))
    if not found:
        raise MethodError("there are no answers", mend="look at the answers' own node")
    return found


def read_options(
    given: Sequence[Input], questions: Sequence[Question]
) -> dict[str, tuple[str | None, dict[str, Array]]]:
    """Each model's community and option probabilities, in the wording that was asked openly."""
    asked = {question.item: question for question in questions}
    found: dict[str, tuple[str | None, dict[str, Array]]] = {}
    for one in given:
        named = json.loads((one.files / "model.json").read_text())
        if named.get("told"):
            raise MethodError(
                "is of a model that was told whom to answer as",
                where=one.label,
                why="its free answers were not",
                mend="give `option-probabilities` of the same model, asked plainly",
            )
        community = named["community"]
        node = f"{named['model']}@{community}" if community else named["model"]
        readings: dict[str, dict[str, dict[str, float]]] = {}
        for row in read_rows(one.files / "probabilities.parquet").to_dicts():
            question = asked.get(row["item"])
            if question is not None and row["wording"] == question.wording:
                orders = readings.setdefault(row["item"], {})
                orders.setdefault(row["order"], {})[row["option"]] = row["probability"]
        found[node] = (
            community,
            {
                item: _averaged(node, asked[item], list(orders.values()))
                for item, orders in readings.items()
            },
        )
    return found


def _averaged(node: str, question: Question, readings: Sequence[Mapping[str, float]]) -> Array:
    """The mean over option orders, each divided by its sum."""
    if any(set(one) != set(question.options) for one in readings):
        raise MethodError(
            f"{node} was asked item {question.item} with other options",
            mend="score the model on the questionnaire that the open questions came from",
        )
    seen = np.array([[one[option] for option in question.options] for one in readings])
    sums = seen.sum(axis=1, keepdims=True)
    if not (np.isfinite(seen).all() and (seen >= 0).all() and (sums > 0).all()):
        raise MethodError(
            f"the answers of {node} to item {question.item} are no probabilities",
            mend="score the model again; if it stays so, its weights hold infinite numbers",
        )
    found: Array = (seen / sums).mean(axis=0)
    return found


def told_of(
    said: Sequence[Said],
    stances: Sequence[Stance],
    options: Mapping[str, tuple[str | None, Mapping[str, Array]]],
) -> dict[str, list[Told]]:
    """What each model answered to each question, counted."""
    groups: dict[str, dict[str, list[tuple[Question, Stance]]]] = {}
    for one, read in zip(said, stances, strict=True):
        group = groups.setdefault(one.model, {}).setdefault(one.question.item, [])
        group.append((one.question, read))
    found = {}
    for model, items in groups.items():
        if model not in options:
            raise MethodError(
                f"there are no option probabilities of {model}",
                why="its words have nothing to be compared with",
                mend="name its `option-probabilities` among `probabilities`",
            )
        _, probabilities = options[model]
        if lacking := next((item for item in items if item not in probabilities), None):
            raise MethodError(f"{model} has no option probabilities of item {lacking}",
                              mend="score it on the same questionnaire")  # fmt: skip
        found[model] = [_told(group, probabilities[item]) for item, group in items.items()]
    return found


def _told(group: Sequence[tuple[Question, Stance]], options: Array) -> Told:
    question = group[0][0]
    counts = np.zeros(len(question.options))
    for _, read in group:
        if read.option is not None:
            counts[read.option] += 1
    said = [read.said for _, read in group]
    return Told(
        item=question.item,
        held_out=question.held_out,
        counts=counts,
        silent=said.count("no stance"),
        torn=said.count("torn"),
        options=options,
    )


def _heard(
    context: Context, scorer: Scorer, reader: Reader, questions: Sequence[Question], must: float
) -> list[Check]:
    """Tries the scorer; raises MethodError where it may not be believed."""
    label = context.input("scorer").label
    if scorer.kind != "entailment":
        raise MethodError(
            "is a sentence encoder, which knows only what a sentence is about",
            where=label,
            why="it places a statement and its denial side by side: every stance would be chance",
            mend="give a model made by `entailment-model` or `hub-entailment-model`",
        )
    require_statements_enough(questions, context.input("questions").label)
    pairs = wanted_checks(reader, questions)
    scores = score_in_parts(scorer, pairs, context.work / "checks", lambda *_: None)
    checks = try_scorer(reader, questions, scores, must)
    require_heard(checks, label)
    return checks


def _figures(
    context: Context,
    params: Params,
    told: Mapping[str, Sequence[Told]],
    owners: Mapping[str, str | None],
    questions: Sequence[Question],
) -> Iterator[Figure]:
    """Each model beside its own community's people; one for all beside everybody's."""
    options = {question.item: question.options for question in questions}
    wording = questions[0].wording
    settings = Settings(
        params.resamples, params.item_correlation, params.fewest_stances, context.seed
    )
    for profile in context.profiles:
        path = profile.table(HELD_OUT.file)
        table = read_still_told(path, options)
        asked = {item: options[item] for item in table}
        held = {item: table[item] for item in asked}
        for model, items in told.items():
            if owners[model] not in (None, profile.id):
                continue
            for part in dict.fromkeys(slice_of(one.held_out, wording) for one in items):
                chosen = [one for one in items if slice_of(one.held_out, wording) == part]
                yield from figures_of(model, profile.id, part, chosen, held, settings)


def _answer_rows(said: Sequence[Said], stances: Sequence[Stance]) -> Iterator[dict[str, Any]]:
    for one, read in zip(said, stances, strict=True):
        yield {
            "row_id": row_id("stance-in-words", one.row_id),
            "parents": [one.row_id],
            "model": one.model,
            "item": one.question.item,
            "said": read.said,
            "option": None if read.option is None else one.question.options[read.option],
            "scores": list(read.scores),
        }


def _share_rows(
    told: Mapping[str, Sequence[Told]], questions: Sequence[Question]
) -> Iterator[dict[str, Any]]:
    names = {question.item: question.options for question in questions}
    for model, items in told.items():
        for one in items:
            for place, option in enumerate(names[one.item]):
                yield {
                    "model": model, "item": one.item, "option": option, "position": place + 1,
                    "count": int(one.counts[place]), "stances": one.stances,
                    "no_stance": one.silent, "torn": one.torn,
                    "share": float(one.shares[place]) if one.stances else None,
                    "probability": float(one.options[place]),
                }  # fmt: skip


def _schemas() -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The columns of stances, shares and figures."""
    import polars

    text, number, whole = polars.String, polars.Float64, polars.Int64
    stances = {
        "row_id": text, "parents": polars.List(text), "model": text, "item": text, "said": text,
        "option": text, "scores": polars.List(number),
    }  # fmt: skip
    shares = {
        "model": text, "item": text, "option": text, "position": whole, "count": whole,
        "stances": whole, "no_stance": whole, "torn": whole, "share": number,
        "probability": number,
    }  # fmt: skip
    figures = {
        "model": text, "community": text, "slice": text, "figure": text, "value": number,
        "low": number, "high": number, "items": whole, "answers": whole, "people": whole,
        "null": number, "p": number, "uniform": number, "silent_counted": number,
    }  # fmt: skip
    return stances, shares, figures


def run(context: Context) -> None:
    """Tries the scorer, reads every answer's stance, and compares."""
    params = context.typed(Params)
    given = context.input("questions").files
    questions = read_questions(
        read_rows(given / ROWS).to_dicts(), read_rows(given / STANCES).to_dicts()
    )
    said = read_said(context.inputs("answers"), questions)
    options = read_options(context.inputs("probabilities"), questions)
    reader = Reader(params.premise, params.above, params.lead)
    scorer = load_scorer(context.input("scorer"), prepare(context), params.batch_size)
    checks = _heard(context, scorer, reader, questions, params.must_tell)
    pairs = [pair for one in said for pair in pairs_of(reader, one.question, one.text)]
    scores = score_in_parts(scorer, pairs, context.work / "scores", context.progress)
    stances = [stance(reader, one.question, one.text, scores) for one in said]
    told = told_of(said, stances, options)
    owners = {model: community for model, (community, _) in options.items()}
    figures = list(_figures(context, params, told, owners, questions))
    if not figures:
        raise MethodError(
            "no model's own people are among the communities",
            where=context.node,
            mend="widen `communities`, or give a model for all",
        )
    for name, rows, schema in zip(
        ("stances", "shares", "figures"),
        (
            list(_answer_rows(said, stances)),
            list(_share_rows(told, questions)),
            [asdict(one) for one in figures],
        ),
        _schemas(),
        strict=True,
    ):
        write_rows(context.out / f"{name}.parquet", rows, schema)
    Results(results=tuple(results_of(figures))).write(context.out)
    names = {profile.id: profile.name for profile in context.profiles}
    notes = [
        f"{model} has fewer than {params.fewest_stances} stances on {few} of {len(items)} "
        "questions; those are left out of all distances."
        for model, items in told.items()
        if (few := sum(one.stances < params.fewest_stances for one in items))
    ]
    (context.out / "stances.md").write_text(page(figures, checks, names, notes))
    draw(figures, names, context.out / "stances.png")
    summary = {
        "schema_version": 1,
        "scorer": context.input("scorer").label,
        "planted": [one.model_dump() | {"share": one.share} for one in checks],
        "figures": [asdict(one) for one in figures],
    }
    (context.out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    headline = {f"{o.figure}: {o.model} ({o.community}, {o.slice})": o.value for o in figures}
    (context.out / "headline.json").write_text(json.dumps(headline, indent=2) + "\n")


method = Method(
    name="stance-in-words",
    kind="evaluation",
    description="Stances in free answers against option probabilities, and both against people.",
    params=Params,
    run=run,
    inputs={
        "questions": Role("dataset", "survey items as open questions"),
        "answers": Role("dataset", "what models answer to them, many times", many=True),
        "probabilities": Role("evaluation", "option probabilities of those models", many=True),
        "scorer": Role("model", "an entailment model", form="entailment model"),
    },
    reads=(HELD_OUT.file,),
    use="evaluate",
    limits=("A stance is what an entailment model reads in an answer; look at `stances.parquet`.",),
    libraries=(*dict.fromkeys((*TORCH_LIBRARIES, *LIBRARIES)), "numpy", "scipy", "matplotlib"),
)
