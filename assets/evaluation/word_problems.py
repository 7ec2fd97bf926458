"""Word problems with a number as the answer, in the manner of GSM8K.

The model writes a solution; its number is taken out by a fixed rule, and compared exactly. The rule
is half of what such a figure says, so that accuracy is given twice: by the form that was asked for
(`#### number`) alone, and by whatever number an answer ends with.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, model_validator

from assets.compute import LIBRARIES, Dtype, load_model, prepare
from assets.evaluation.intervals import wilson
from assets.rows import ROWS, read_rows, write_rows
from assets.sources.mathematics import number
from assets.sources.word_problems_file import MARK
from assets.synthesis.journal import ask_all
from assets.synthesis.sampling import Sampling, seed_of
from assets.synthesis.teachers import ModelTeacher, Request
from registry.errors import MethodError
from registry.method import Method, Role
from registry.results import Result, Results
from registry.typed import Frozen

if TYPE_CHECKING:
    from registry.context import Context

Row = Mapping[str, Any]
_COLUMNS = ("row_id", "prompt", "completion", "number")
_DIGITS = r"-?\$?-?(?:\d[\d,]{0,40}(?:\.\d{1,40})?|\.\d{1,40})(?:/\d{1,40})?"
_ASKED = re.compile(rf"{MARK}\s{{0,4}}({_DIGITS})")
_BOXED = re.compile(r"\\boxed\{\s{0,4}([^{}]{1,80}|\\d?frac\{-?\d{1,40}\}\{\d{1,40}\})\s{0,4}\}")
_ANY = re.compile(rf"(?<![\w.]){_DIGITS}(?!\w)")
ALL = "all problems"
ACCURACY = "verified accuracy"
IN_FORM = "verified accuracy, answers in the form asked for"


class Params(Frozen):
    """How problems are put."""

    prompt: str = (
        "{question}\n\nWork it out step by step. End with a line that holds '#### ' and the number."
    )
    """What the model reads; `{question}` stands for the problem."""
    shots: int = Field(default=0, ge=0, le=32)
    """Worked problems before each, from the input `examples`."""
    sampling: Sampling = Sampling(temperature=0, max_new_tokens=320)
    """How answers are drawn; a temperature of 0 takes the most likely one."""
    batch_size: int = Field(default=16, ge=1)
    """Problems at once."""
    dtype: Dtype = "bfloat16"
    """The number format of the model."""

    @model_validator(mode="after")
    def _slot_stands_once(self) -> Self:
        if self.prompt.count("{question}") != 1:
            raise ValueError("`prompt` must hold {question} once")
        return self


def in_asked_form(text: str) -> Fraction | None:
    """The number after the first `####` that has one; what follows is of another problem."""
    found = _ASKED.search(text)
    return _value(found[1]) if found else None


def last_number(text: str) -> Fraction | None:
    """The number in the form asked for; else the last boxed one; else the last one in the text."""
    asked = in_asked_form(text)
    if asked is not None:
        return asked
    boxed = [value for one in _BOXED.findall(text) if (value := _value(one)) is not None]
    if boxed:
        return boxed[-1]
    numbers = [value for one in _ANY.findall(text) if (value := _value(one)) is not None]
    return numbers[-1] if numbers else None


def _value(text: str) -> Fraction | None:
    return number(text.replace("$", "").rstrip(",."))


@dataclass(frozen=True)
class Solved:
    """How one problem went."""

    row_id: str
    parents: tuple[str, ...]
    text: str
    """What the model wrote."""
    expected: str
    found: str | None
    """The number that it ends with, by whatever form."""
    correct: bool
    in_form: bool
    """Whether the number stands after `####`."""
    correct_in_form: bool
    finish_reason: str


def solved(row: Row, text: str, finish_reason: str) -> Solved:
    """Checks one answer."""
    expected, asked, found = Fraction(row["number"]), in_asked_form(text), last_number(text)
    return Solved(
        row_id=f"{row['row_id']}-answer",
        parents=(row["row_id"],),
        text=text,
        expected=row["number"],
        found=None if found is None else str(found),
        correct=found == expected,
        in_form=asked is not None,
        correct_in_form=asked == expected,
        finish_reason=finish_reason,
    )


def read_problems(context: Context, role: str) -> list[dict[str, Any]]:
    """The problems of an input; raises MethodError where they are none."""
    given = context.input(role)
    table = read_rows(given.files / ROWS)
    if lacking := [name for name in _COLUMNS if name not in table.columns]:
        raise MethodError(
            f"has no column {lacking[0]!r}",
            where=given.label,
            why="there is no number to check an answer with",
            mend="give problems made by `word-problems-file`",
        )
    rows = table.to_dicts()
    if not rows:
        raise MethodError("holds no problems", where=given.label)
    return rows


def shots_of(context: Context, params: Params, rows: Sequence[Row]) -> str:
    """Worked problems to stand before each; raises where one of them is measured on as well."""
    if bool(params.shots) != bool(context.inputs("examples")):
        raise MethodError(
            f"`shots` is {params.shots}, and `examples` is "
            + ("not given" if params.shots else "given"),
            where=context.node,
            mend="give both, or neither",
        )
    if not params.shots:
        return ""
    examples = read_problems(context, "examples")[: params.shots]
    if len(examples) < params.shots:
        raise MethodError(
            f"has {len(examples)} problems, and `shots` is {params.shots}",
            where=context.input("examples").label,
            mend="lower `shots`, or give more",
        )
    asked = {_squeezed(row["prompt"]) for row in rows}
    if shared := next((row for row in examples if _squeezed(row["prompt"]) in asked), None):
        raise MethodError(
            f"the worked problem {shared['row_id']} is also measured on",
            where=context.input("examples").label,
            why="its answer would stand in the prompt",
            mend="give examples of the part to learn from",
        )
    shown = (f"{params.prompt.replace('{question}', row['prompt'])}\n{row['completion']}\n\n"
             for row in examples)  # fmt: skip
    return "".join(shown)


def _squeezed(text: str) -> str:
    return " ".join(text.casefold().split())


def results_of(found: Sequence[Solved], about: str) -> list[Result]:
    """Both accuracies, with Wilson's intervals; beside them what needs no reading."""
    commonest = max(Counter(one.expected for one in found).values()) / len(found)
    results = []
    for metric, right in (
        (ACCURACY, [one.correct for one in found]),
        (IN_FORM, [one.correct_in_form for one in found]),
    ):
        value = sum(right) / len(right)
        low, high = wilson(value, len(right))
        results.append(
            Result(
                about=about,
                slice=ALL,
                metric=metric,
                lower_is_better=False,
                value=value,
                low=low,
                high=high,
                items=len(right),
                beside={"always the commonest answer": commonest},
            )
        )
    return results


def run(context: Context) -> None:
    """Puts every problem to the model, and checks the numbers."""
    params = context.typed(Params)
    rows = read_problems(context, "problems")
    lead = shots_of(context, params, rows)
    device = prepare(context)
    about = context.input("model")
    model, tokenizer = load_model(about.files, device, params.dtype)
    teacher = ModelTeacher(model, tokenizer, about.label, params.sampling, params.batch_size)
    requests = [
        Request(
            row["row_id"],
            lead + params.prompt.replace("{question}", row["prompt"]),
            seed_of(context.seed, row["row_id"]),
        )
        for row in rows
    ]
    answered = ask_all(
        teacher,
        requests,
        context.work / "answers",
        lambda done, total, _: context.progress(done, total),
    )
    if answered.refused:
        name, why = next(iter(answered.refused.items()))
        raise MethodError(f"problem {name} cannot be put to the model: {why}", where=context.node)
    found = [
        solved(row, answer.text, answer.finish_reason)
        for row in rows
        for answer in [answered.completions[row["row_id"]]]
    ]
    write_rows(context.out / "answers.parquet", [_as_row(one) for one in found], _schema())
    results = results_of(found, about.label)
    Results(results=tuple(results)).write(context.out)
    headline = {
        ACCURACY: results[0].value,
        IN_FORM: results[1].value,
        **results[0].beside,
        "answers in the form asked for": sum(one.in_form for one in found) / len(found),
        "answers with a number": sum(one.found is not None for one in found) / len(found),
        "answers that were cut": sum(one.finish_reason == "length" for one in found) / len(found),
    }
    (context.out / "headline.json").write_text(json.dumps(headline, indent=2) + "\n")


def _as_row(one: Solved) -> dict[str, Any]:
    return asdict(one) | {"parents": list(one.parents)}


def _schema() -> dict[str, Any]:
    import polars

    text, truth = polars.String, polars.Boolean
    return {
        "row_id": text,
        "parents": polars.List(text),
        "text": text,
        "expected": text,
        "found": text,
        "correct": truth,
        "in_form": truth,
        "correct_in_form": truth,
        "finish_reason": text,
    }


method = Method(
    name="word-problems",
    kind="evaluation",
    description="The share of word problems whose number a model gets right, by a fixed rule.",
    params=Params,
    run=run,
    inputs={
        "model": Role("model", "the model to measure", form="language model"),
        "problems": Role("dataset", "problems with a number as the answer"),
        "examples": Role("dataset", "worked problems to stand before each", optional=True),
    },
    libraries=(*LIBRARIES, "polars"),
)
