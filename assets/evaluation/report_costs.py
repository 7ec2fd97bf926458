"""What alignment costs: right answers, and different ones, before and after it.

Everything is paired: the same tasks, the same prompts, answers drawn in the same way. Where that
does not hold there is no figure but a reason.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from assets.diversity.homogeneity import expected_distinct
from assets.evaluation.likeness import WITHIN
from assets.evaluation.report_estimates import Change, Difference, Missing, counted, paired
from assets.evaluation.validity import distinct_among
from assets.rows import read_rows
from registry.context import Input
from registry.errors import MethodError
from registry.results import Result, read_results

Row = Mapping[str, Any]
LIKENESS = "likeness of its answers to one prompt"
VALID = "share of right answers"
DIFFERENT = "different right answers among as many"
_EACH = {
    "verified accuracy": ("answers.parquet", "correct", ""),
    "verified accuracy, answers in the form asked for": ("answers.parquet", "correct_in_form", ""),
    "accuracy, by letter": ("choices.parquet", "right", "letter"),
    "accuracy, by mean log-probability a token": ("choices.parquet", "right", "text"),
}
"""Where each task stands: the table, the column, and of which reading."""
_TWO = 2
"""Of fewer right answers none can differ from another."""


@dataclass(frozen=True)
class Named:
    """One comparison of a model with itself before alignment."""

    what: str
    """What was measured."""
    how: str
    """On what, and how it was asked."""
    change: Change | Missing


@dataclass(frozen=True)
class Tested:
    """How one model did on the tasks of one evaluation."""

    about: str
    metric: str
    each: Mapping[str, float]
    """Each task, 1 where it is right."""
    beside: Mapping[str, float]


def read_reasoning(given: Sequence[Input]) -> list[Tested]:
    """Reads evaluations of right answers; raises MethodError where one is none."""
    found = []
    for one in given:
        first: dict[str, Result] = {}
        for result in read_results(one.files):
            if result.metric in _EACH and not result.community:
                first.setdefault(result.metric, result)
        if not first:
            raise MethodError(
                "measures no right answers",
                where=one.label,
                why="`reasoning` takes what verified-accuracy, multiple-choice or word-problems "
                "wrote",
                mend="name it under another role, or leave it out",
            )
        found += [_tested(one.files, result) for result in first.values()]
    if twice := [t for t in found if found.count(t) > 1]:
        raise MethodError(
            f"the {twice[0].metric} of {twice[0].about} is given twice", mend="name it once"
        )
    return found


def _tested(files: Path, result: Result) -> Tested:
    table, column, reading = _EACH[result.metric]
    rows = read_rows(files / table).to_dicts() if (files / table).is_file() else []
    each = {
        row["parents"][0]: float(row[column])
        for row in rows
        if not reading or row["reading"] == reading
    }
    return Tested(result.about, result.metric, each, result.beside)


def reasoning(tested: Sequence[Tested], base: str | None, model: str) -> list[Named]:
    """Every test that a model and its base both took."""
    if not tested:
        return [Named("right answers", "", Missing("no evaluation of reasoning was given"))]
    if base is None:
        return [Named("right answers", "", Missing("`base` does not say what was before"))]
    mine = [one for one in tested if one.about == model]
    if not mine:
        return [Named("right answers", "", Missing("no evaluation of this model was given"))]
    return [_reasoning(one, [b for b in tested if b.about == base], base) for one in mine]


def _reasoning(one: Tested, before: Sequence[Tested], base: str) -> Named:
    alike = [b for b in before if b.metric == one.metric]
    how = counted(len(one.each), "task")
    if not alike:
        return Named(one.metric, how, Missing(f"no evaluation of {base} was given"))
    same = [b for b in alike if set(b.each) == set(one.each)]
    if not same or not one.each:
        return Named(one.metric, how, Missing(f"{base} was given other tasks"))
    change = paired(
        same[0].each,
        one.each,
        "task",
        lower_is_better=False,
        rival=base,
        beside=one.beside,
        right_or_wrong=set(one.each.values()) | set(same[0].each.values()) <= {0.0, 1.0},
    )
    return Named(one.metric, how, change)


@dataclass(frozen=True)
class Asked:
    """One model's answers, drawn in one way."""

    model: str
    chat_template: bool
    sampling: str
    setting: str
    likeness: Mapping[str, float]
    """Of each open-ended prompt: those whose right answers can be told are counted instead."""
    floor: float | None
    """The likeness of answers to different prompts."""
    yields: Mapping[str, Row]
    """Of each prompt whose answers can be judged."""

    @cached_property
    def drawn(self) -> tuple[bool, str]:
        """How it was asked. Settings that change nothing still tell two ways apart."""
        return self.chat_template, self.sampling


def read_diversity(given: Sequence[Input]) -> list[Asked]:
    """Reads evaluations of likeness; raises MethodError where one is none."""
    found = []
    for one in given:
        path = one.files / "prompts.parquet"
        if not path.is_file():
            raise MethodError(
                "measures no likeness of answers",
                where=one.label,
                why="`diversity` takes what the method `hivemind` wrote",
                mend="name it under another role, or leave it out",
            )
        found += list(_asked(one.files, read_rows(path).to_dicts()))
    drawn = [(one.model, one.drawn) for one in found]
    if twice := [model for model, how in drawn if drawn.count((model, how)) > 1]:
        raise MethodError(f"the answers of {twice[0]} are measured twice", mend="name them once")
    return found


def _asked(files: Path, rows: Sequence[Row]) -> Iterator[Asked]:
    judged = files / "yield.parquet"
    yields = read_rows(judged).to_dicts() if judged.is_file() else []
    countable = {row["prompt_id"] for row in yields}
    measures = read_rows(files / "measures.parquet").to_dicts()
    for model, template, sampling, setting in dict.fromkeys(
        (r["model"], r["chat_template"], r["sampling"], r["setting"]) for r in rows
    ):
        mine = [
            r for r in rows
            if (r["model"], r["chat_template"], r["sampling"]) == (model, template, sampling)
        ]  # fmt: skip
        floors = [
            m["chance"] for m in measures
            if (m["measure"], m["model"], m["setting"]) == (WITHIN, model, setting)
        ]  # fmt: skip
        yield Asked(
            model=model,
            chat_template=template,
            sampling=sampling,
            setting=setting,
            likeness={
                r["prompt_id"]: r["likeness"] for r in mine
                if r["likeness"] is not None and r["prompt_id"] not in countable
            },
            floor=floors[0] if len(floors) == 1 else None,
            yields={
                r["prompt_id"]: r for r in yields
                if (r["model"], r["chat_template"], r["setting"]) == (model, template, setting)
            },
        )  # fmt: skip


def diversity(asked: Sequence[Asked], base: str | None, model: str) -> list[Named]:
    """How alike a model's answers are, and how many right ones are different, beside its base."""
    if not asked:
        return [Named(LIKENESS, "", Missing("no evaluation of diversity was given"))]
    if base is None:
        return [Named(LIKENESS, "", Missing("`base` does not say what was before"))]
    mine = [one for one in asked if one.model == model]
    if not mine:
        return [Named(LIKENESS, "", Missing("no answers of this model were given"))]
    before = {one.drawn: one for one in asked if one.model == base}
    pairs = [(before[one.drawn], one) for one in mine if one.drawn in before]
    if not pairs:
        why = f"answers of {base} were drawn in another way, or not at all"
        return [Named(LIKENESS, mine[0].setting, Missing(why))]
    found = [one for first, then in pairs for one in _compared(first, then)]
    if not any(one.what == DIFFERENT for one in found):
        lacking = Missing("no answers to prompts with known right answers")
        found.append(Named(DIFFERENT, mine[0].setting, lacking))
    return found


def _compared(before: Asked, after: Asked) -> Iterator[Named]:
    how = after.setting
    if before.likeness or after.likeness:
        beside = {} if after.floor is None else {"answers to different prompts": after.floor}
        change = paired(
            before.likeness, after.likeness, "prompt",
            lower_is_better=True, rival=before.model, beside=beside,
        )  # fmt: skip
        yield Named(LIKENESS, how, change)
    if before.yields and after.yields:
        first, then = ({p: r["validity"] for p, r in o.yields.items()} for o in (before, after))
        change = paired(first, then, "prompt", lower_is_better=False, rival=before.model, beside={})
        yield Named(VALID, how, change)
        yield Named(DIFFERENT, how, _different(before, after))


def _different(before: Asked, after: Asked) -> Change | Missing:
    """Different right answers among as many right ones of both, prompt by prompt."""
    one: dict[str, float] = {}
    other: dict[str, float] = {}
    even: list[float] = []
    for prompt in set(before.yields) & set(after.yields):
        first, then = before.yields[prompt], after.yields[prompt]
        if "counts" not in first or "counts" not in then:
            return Missing("the hivemind evaluation was made by older code; make it again")
        equal = min(first["valid"], then["valid"])
        if equal >= _TWO:
            one[prompt] = distinct_among(first["counts"], equal)
            other[prompt] = distinct_among(then["counts"], equal)
            if then["right_answers"]:
                even.append(expected_distinct(then["right_answers"], equal))
    if not one:
        return Missing("no prompt has two right answers both before and after")
    beside = {"an even draw": sum(even) / len(even)} if len(even) == len(one) else {}
    return paired(one, other, "prompt", lower_is_better=False, rival=before.model, beside=beside)


@dataclass(frozen=True)
class Covered:
    """How many views the answers of one model name, as an Overton evaluation has it."""

    about: str
    result: Result
    minus: Mapping[str, Difference]
    """Beside other models, paired by situation."""
    notes: tuple[str, ...]


def read_coverage(given: Sequence[Input]) -> list[Covered]:
    """Reads evaluations of coverage; raises MethodError where one is none."""
    found = []
    for one in given:
        path = one.files / "summary.json"
        summary = json.loads(path.read_text()) if path.is_file() else {}
        if "may_be_called_overton" not in summary:
            raise MethodError(
                "measures no coverage of views",
                where=one.label,
                why="`coverage` takes what the method `overton` wrote",
                mend="name it under another role, or leave it out",
            )
        notes = []
        if not summary["may_be_called_overton"]:
            notes.append(
                f"{one.label} names topics, not views: its scorer cannot tell a view from its "
                "opposite."
            )
        if left_out := summary["situations_left_out"]:
            notes.append(f"{one.label} left out {counted(left_out, 'situation')}.")
        first: dict[str, Result] = {}
        for result in read_results(one.files):
            if not result.community and result.metric.endswith("(share of views)"):
                first.setdefault(result.about, result)
        found += [
            Covered(about, result, _differences(summary, about), tuple(notes))
            for about, result in first.items()
        ]
    return found


def _differences(summary: Mapping[str, Any], about: str) -> dict[str, Difference]:
    form = next(iter(summary["differences"]), None)
    found = {}
    for row in summary["differences"][form] if form else ():
        sign = {row["model"]: 1, row["other"]: -1}.get(about)
        if sign is None:
            continue
        rival = row["other"] if sign == 1 else row["model"]
        low, high = sorted((sign * row["low"], sign * row["high"]))
        found[rival] = Difference(
            sign * row["difference"], low, high, counted(row["situations"], "situation"),
            row["situations"], lower_is_better=False, rival=rival,
        )  # fmt: skip
    return found


def notes_of(given: Sequence[Input]) -> list[str]:
    """What the evaluations of diversity left out."""
    found = []
    for one in given:
        path = one.files / "summary.json"
        left_out = json.loads(path.read_text()).get("left_out", 0) if path.is_file() else 0
        if left_out:
            found.append(f"{one.label} left out {counted(left_out, 'empty answer')}.")
    return found
