"""Whether a model knows if a value, right or duty supports what somebody does, or opposes it.

Each question is put with the labels as options, in every rotation, and the probabilities of the
letters are averaged. Three ways, and again without `either`, on the rows that are labelled clearly.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from pydantic import Field, model_validator

from assets.compute import LIBRARIES, Dtype, load_model, prepare
from assets.evaluation.attribute_figures import (
    ALL,
    CLEAR,
    NAMES,
    Confusion,
    beside,
    confusion,
    draw_confusions,
    figures,
    intervals,
    page,
)
from assets.evaluation.multiple_choice import Chosen, by_letter, in_parts
from assets.rows import ROWS, read_rows, row_id, write_rows
from assets.sources.attribute_rows import LABELS, Label, attribute_schema
from registry.errors import MethodError
from registry.method import Method, Role
from registry.results import Result, Results
from registry.typed import Frozen

if TYPE_CHECKING:
    from registry.context import Context

_SLOTS = ("{situation}", "{statement}")
_FEWEST_LABELS = 2


class Params(Frozen):
    """How rows are put."""

    question: str = (
        "Somebody does this: {situation}\n"
        "Somebody holds this: {statement}\n"
        "Does what is held support or oppose what is done?"
    )
    """The question; `{situation}` and `{statement}` stand for a row's own."""
    options: dict[Label, str] = Field(
        default={
            "supports": "It supports it.",
            "opposes": "It opposes it.",
            "either": "It may support or oppose it.",
        }
    )
    """What the labels are called."""
    draws: int = Field(default=2000, ge=100)
    """Draws of new situations, for the intervals."""
    batch_size: int = Field(default=16, ge=1)
    """Prompts at once."""
    dtype: Dtype = "bfloat16"
    """The number format of the forward pass."""

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if wrong := next((slot for slot in _SLOTS if self.question.count(slot) != 1), None):
            raise ValueError(f"`question` must hold {wrong} once")
        if set(self.options) != set(LABELS):
            raise ValueError(f"`options` must name {', '.join(LABELS)}")
        if len({" ".join(one.casefold().split()) for one in self.options.values()}) < len(LABELS):
            raise ValueError("two labels are called the same; no answer could tell them apart")
        return self


def require_rows(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], where: str) -> None:
    """Raises MethodError unless rows are labelled statements with more than one label."""
    if lacking := [name for name in attribute_schema() if name not in columns]:
        raise MethodError(
            f"has no column {lacking[0]!r}",
            where=where,
            why="there is nothing to ask, or nothing to check an answer with",
            mend="give rows made by `attribute-rows`",
        )
    if wrong := next((row for row in rows if row["label"] not in LABELS), None):
        raise MethodError(f"the row {wrong['row_id']} has the label {wrong['label']!r}",
                          where=where, mend="give rows made by `attribute-rows`")  # fmt: skip
    if len({row["label"] for row in rows}) < _FEWEST_LABELS:
        raise MethodError(
            "all rows have one label",
            where=where,
            why="who always says that one would be right without reading",
            mend="give rows of two labels at least",
        )


def question_of(row: Mapping[str, Any], params: Params, labels: Sequence[Label]) -> dict[str, Any]:
    """A row as a question with the labels as options."""
    before, _, after = params.question.partition("{situation}")
    slot = "{statement}"
    prompt = before.replace(slot, row["statement"]) + row["prompt"]
    return {
        "row_id": row["row_id"],
        "prompt": prompt + after.replace(slot, row["statement"]),
        "options": [params.options[label] for label in labels],
        "source": row["source"],
        "line": row["line"],
    }


def _read(
    context: Context, params: Params, parts: Mapping[str, Sequence[Mapping[str, Any]]]
) -> dict[str, list[Chosen]]:
    model, tokenizer = load_model(context.input("model").files, prepare(context), params.dtype)
    total = sum(len(rows) for rows in parts.values())
    done, found = 0, {}
    for part, rows in parts.items():
        asked = [question_of(row, params, NAMES[part]) for row in rows]

        def progress(more: int, before: int = done) -> None:
            context.progress(before + more, total)

        found[part] = in_parts(
            asked,
            lambda given: by_letter(model, tokenizer, given, params.batch_size),
            context.work / part.replace(" ", "-"),
            progress,
        )
        done += len(rows)
    return found


def results_of(about: str, found: Mapping[str, Confusion], draws: int, seed: int) -> list[Result]:
    """Every figure of every part, with its interval and what stands beside it."""
    results = []
    for part, one in found.items():
        ends = intervals(one, draws, np.random.default_rng(seed))
        easy = {name: figures(table) for name, table in beside(one).items()}
        for metric, value in figures(one.total).items():
            results.append(
                Result(
                    about=about,
                    slice=part,
                    metric=metric,
                    lower_is_better=False,
                    value=value,
                    low=ends[metric][0],
                    high=ends[metric][1],
                    items=one.rows,
                    beside={name: values[metric] for name, values in easy.items()},
                )
            )
    return results


def _answer_rows(
    part: str, rows: Sequence[Mapping[str, Any]], found: Sequence[Chosen]
) -> list[dict[str, Any]]:
    return [
        {
            "row_id": row_id("attribute-answer", [row["row_id"], part]),
            "parents": [row["row_id"]],
            "part": part,
            "label": row["label"],
            "said": NAMES[part][one.best[0]],
            "right": one.correct(NAMES[part].index(row["label"])),
            **{label: one.scores[place] if place < len(one.scores) else None
               for place, label in enumerate(LABELS)},
            "outside": one.outside,
        }
        for row, one in zip(rows, found, strict=True)
    ]  # fmt: skip


def answer_schema() -> dict[str, Any]:
    """The columns of `answers.parquet`."""
    import polars

    text, number = polars.String, polars.Float64
    return {
        "row_id": text, "parents": polars.List(text), "part": text, "label": text, "said": text,
        "right": number, **dict.fromkeys(LABELS, number), "outside": number,
    }  # fmt: skip


def run(context: Context) -> None:
    """Puts every row three ways, and the clear ones two ways."""
    params = context.typed(Params)
    given = context.input("rows")
    table = read_rows(given.files / ROWS)
    rows = table.to_dicts()
    require_rows(rows, table.columns, given.label)
    parts = {ALL: rows, CLEAR: [row for row in rows if row["label"] in NAMES[CLEAR]]}
    if len({row["label"] for row in parts[CLEAR]}) < _FEWEST_LABELS:
        del parts[CLEAR]
    chosen = _read(context, params, parts)
    found = {
        part: confusion(
            [row["label"] for row in parts[part]], [row["prompt"] for row in parts[part]],
            chosen[part], NAMES[part],
        )
        for part in parts
    }  # fmt: skip
    answers = [row for part in parts for row in _answer_rows(part, parts[part], chosen[part])]
    write_rows(context.out / "answers.parquet", answers, answer_schema())
    about = context.input("model").label
    results = results_of(about, found, params.draws, context.seed)
    Results(results=tuple(results)).write(context.out)
    outside = float(np.mean([one.outside or 0.0 for one in chosen[ALL]]))
    (context.out / "attributes.md").write_text(page(about, found, results, outside))
    (context.out / "confusion.png").write_bytes(draw_confusions(found))
    headline = {f"{one.metric}, {one.slice}": one.value for one in results}
    headline["mean probability outside the letters"] = outside
    (context.out / "headline.json").write_text(json.dumps(headline, indent=2) + "\n")


method = Method(
    name="attribute-accuracy",
    kind="evaluation",
    description="Whether a model knows which statements support what is done, and which oppose it.",
    params=Params,
    run=run,
    inputs={
        "model": Role("model", "the model to measure", form="language model"),
        "rows": Role("dataset", "situations and statements with labels"),
    },
    limits=("Whether a value supports an act is the judgement of whoever labelled the rows.",),
    libraries=(*LIBRARIES, "matplotlib", "numpy", "polars"),
)
