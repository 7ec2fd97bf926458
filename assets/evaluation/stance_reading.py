"""Which option an answer in a model's own words speaks for, if any.

An entailment model reads whether each option's statement follows from a sentence of the answer. It
is believed only after it has told planted answers apart: statements, their denials, truisms, text
about something else, and the options of one question from each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from assets.evaluation.overton_checks import (
    FEWEST,
    Check,
    Held,
    Planted,
    outcome,
    planted,
)
from assets.evaluation.overton_coverage import Pair, sentences
from registry.errors import MethodError

Premise = Literal["sentence", "question and sentence"]
Said = Literal["stance", "no stance", "torn"]
TOLD_APART = "an option told from the others"


@dataclass(frozen=True)
class Question:
    """One open question, and what its options mean."""

    prompt_id: str
    item: str
    wording: str
    text: str
    held_out: bool
    options: tuple[str, ...]
    statements: tuple[str, ...]
    opposites: tuple[str | None, ...]


@dataclass(frozen=True)
class Reader:
    """How a stance is read out of scores."""

    premise: Premise
    above: float
    """The score above which an option's statement counts as said."""
    lead: float
    """How far the best option must lead where several are said."""


@dataclass(frozen=True)
class Stance:
    """What one answer speaks for."""

    said: Said
    option: int | None
    """The place of the option."""
    scores: tuple[float, ...]
    """For each option the highest score over the sentences; 0 where there is no sentence."""


def pair(premise: Premise, question: str, sentence: str, statement: str) -> Pair:
    """What a scorer reads; with the question, answers such as `Very.` can be understood."""
    return (sentence if premise == "sentence" else f"{question} {sentence}", statement)


def pairs_of(reader: Reader, question: Question, answer: str) -> Iterator[Pair]:
    """Every pair whose score an answer needs."""
    for sentence in sentences(answer):
        for statement in question.statements:
            yield pair(reader.premise, question.text, sentence, statement)


def stance(reader: Reader, question: Question, answer: str, scores: Mapping[Pair, float]) -> Stance:
    """The option that an answer speaks for: said above the threshold, and clearly the most."""
    said = sentences(answer)
    best = tuple(
        max(
            (scores[pair(reader.premise, question.text, one, statement)] for one in said),
            default=0.0,
        )
        for statement in question.statements
    )
    return decide(reader, best)


def decide(reader: Reader, best: tuple[float, ...]) -> Stance:
    """The stance that the best score of each option makes."""
    ordered = sorted(range(len(best)), key=lambda place: -best[place])
    first, second = ordered[0], ordered[1]
    if best[first] <= reader.above:
        return Stance("no stance", None, best)
    if best[second] > reader.above and best[first] - best[second] < reader.lead:
        return Stance("torn", None, best)
    return Stance("stance", first, best)


def plants(reader: Reader, questions: Sequence[Question]) -> list[Planted]:
    """Planted answers to all questions, in the form in which answers are read."""
    held = [
        (question, Held(question.text, statement, None, opposite))
        for question in questions
        for statement, opposite in zip(question.statements, question.opposites, strict=True)
    ]
    by_view = {one.view: question for question, one in held}
    found = []
    for one in planted("covered", [view for _, view in held]):
        text = by_view[one.view].text
        found.append(replace(one, pair=pair(reader.premise, text, one.said, one.view)))
    return found


def try_scorer(
    reader: Reader, questions: Sequence[Question], scores: Mapping[Pair, float], must: float
) -> list[Check]:
    """How a scorer did on planted answers, and on options that are each spoken for in turn."""
    found = outcome(plants(reader, questions), scores, reader.above, must)
    tried = right = 0
    for question in questions:
        for place, statement in enumerate(question.statements):
            best = tuple(
                scores[pair(reader.premise, question.text, statement, other)]
                for other in question.statements
            )
            tried += 1
            right += decide(reader, best).option == place
    return [*found, Check(check=TOLD_APART, tried=tried, right=right, must=must)]


def wanted_checks(reader: Reader, questions: Sequence[Question]) -> list[Pair]:
    """Every pair whose score the checks need."""
    found = [one.pair for one in plants(reader, questions)]
    found += [
        pair(reader.premise, question.text, said, statement)
        for question in questions
        for said in question.statements
        for statement in question.statements
    ]
    return found


def require_statements_enough(questions: Sequence[Question], where: str) -> None:
    """Raises MethodError where a scorer cannot be tried on as few statements as there are."""
    count = sum(len(question.statements) for question in questions)
    if count < FEWEST:
        raise MethodError(
            f"only {count} statements, fewer than {FEWEST}",
            where=where,
            why="whether a scorer tells a statement from its denial cannot be told from so few",
            mend="ask more questions",
        )


def require_heard(checks: Sequence[Check], where: str) -> None:
    """Raises MethodError where a scorer cannot tell planted answers apart."""
    failed = [one for one in checks if not one.passed]
    if not failed:
        return
    told = "; ".join(
        f"{one.check}: {one.right} of {one.tried} told right, {one.must:.0%} needed"
        for one in failed
    )
    raise MethodError(
        f"does not pass the planted checks. {told}",
        where=where,
        why="an answer that denies an option, or says nothing, might be counted for it",
        mend="give a model trained on natural language inference, or write clearer statements",
    )


def read_questions(
    rows: Sequence[Mapping[str, Any]], stances: Sequence[Mapping[str, Any]]
) -> list[Question]:
    """Open questions with their options in order."""
    options: dict[str, list[Mapping[str, Any]]] = {}
    for one in sorted(stances, key=lambda one: int(one["position"])):
        options.setdefault(one["prompt_id"], []).append(one)
    return [
        Question(
            prompt_id=row["row_id"],
            item=row["item"],
            wording=row["wording"],
            text=row["question"],
            held_out=row["held_out"],
            options=tuple(one["option"] for one in options[row["row_id"]]),
            statements=tuple(one["statement"] for one in options[row["row_id"]]),
            opposites=tuple(one["opposite"] for one in options[row["row_id"]]),
        )
        for row in rows
    ]
