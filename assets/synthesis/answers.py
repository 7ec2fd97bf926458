"""What a model answers to prompts: several samples of each, with how each was drawn.

`answers.parquet` has a row for each sample. Prompts that cannot be put to the model stand in
`rejected.parquet` with the reason.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from assets.compute import LIBRARIES as TORCH_LIBRARIES
from assets.compute import Dtype
from assets.rows import LIBRARIES, REJECTED, ROWS, read_rows, row_id, write_rows
from assets.synthesis.endpoint import Endpoint, EndpointTeacher
from assets.synthesis.journal import Answered, ask_all
from assets.synthesis.sampling import Sampling, recorded, seed_of
from assets.synthesis.teachers import Request, Teacher, load_teacher
from registry.errors import MethodError
from registry.method import Method, Role
from registry.typed import Frozen

if TYPE_CHECKING:
    from registry.context import Context

ANSWERS = "answers.parquet"
_PROMPTS = Role("dataset", "rows whose prompts are put")


class AnswerParams(Frozen):
    """Which prompts are put, and how often."""

    samples: int = Field(default=10, ge=1, le=10_000)
    """Answers to each prompt, each drawn anew."""
    prompts: int | None = Field(default=None, ge=1)
    """Put only so many prompts, spread evenly over the input; without it, all."""
    sampling: Sampling = Sampling()
    """How answers are drawn."""


class Params(AnswerParams):
    """Answers of a model of the registry."""

    batch_size: int = Field(default=32, ge=1)
    """Answers that are written at once."""
    dtype: Dtype = "bfloat16"
    """The number format of the model."""


class EndpointParams(AnswerParams):
    """Answers of a server."""

    endpoint: Endpoint
    """The server, and how it is asked."""


def spread(rows: Sequence[Mapping[str, Any]], limit: int | None) -> list[Mapping[str, Any]]:
    """At most `limit` rows, at even distances, in their order."""
    if limit is None or limit >= len(rows):
        return list(rows)
    return [rows[place * len(rows) // limit] for place in range(limit)]


def requests_of(rows: Sequence[Mapping[str, Any]], samples: int, seed: int) -> list[Request]:
    """A request for each sample of each prompt."""
    return [
        Request(name, row["prompt"], seed_of(seed, name))
        for row in rows
        for sample in range(samples)
        for name in [_name(row, sample)]
    ]


def _name(row: Mapping[str, Any], sample: int) -> str:
    return f"{row['row_id']}-{sample}"


def answer_schema() -> dict[str, Any]:
    """The columns of `answers.parquet`."""
    import polars

    text, whole = polars.String, polars.Int64
    return {
        "row_id": text,
        "parents": polars.List(text),
        "prompt_id": text,
        "prompt": text,
        "sample": polars.Int32,
        "text": text,
        "finish_reason": text,
        "tokens": polars.Int32,
        "logprob": polars.Float64,
        "model": text,
        "chat_template": polars.Boolean,
        "sampling": text,
        "seed": whole,
        "served_by": text,
        "community": text,
    }


def _answer_rows(
    rows: Sequence[Mapping[str, Any]],
    answered: Answered,
    params: AnswerParams,
    teacher: Teacher,
    seed: int,
) -> list[dict[str, Any]]:
    settings = recorded(params.sampling)
    found = []
    for row in rows:
        for sample in range(params.samples):
            name = _name(row, sample)
            if name not in answered.completions:
                continue
            answer = answered.completions[name]
            content = {
                "prompt_id": row["row_id"],
                "sample": sample,
                "text": answer.text,
                "sampling": settings,
                "seed": seed_of(seed, name),
            }
            found.append(
                {
                    "row_id": row_id(f"answers:{teacher.name}", content),
                    "parents": [row["row_id"]],
                    "prompt": row["prompt"],
                    "finish_reason": answer.finish_reason,
                    "tokens": answer.tokens,
                    "logprob": answer.logprob,
                    "model": teacher.name,
                    "chat_template": params.sampling.chat_template,
                    "served_by": answer.served_by,
                    "community": row.get("community"),
                    **content,
                }
            )
    return found


def _rejected(rows: Sequence[Mapping[str, Any]], answered: Answered) -> list[dict[str, Any]]:
    return [
        {"row_id": row["row_id"], "prompt": row["prompt"], "reason": why,
         "caused_by": row["row_id"]}
        for row in rows
        if (why := answered.refused.get(_name(row, 0))) is not None
    ]  # fmt: skip


def _read_prompts(context: Context, limit: int | None) -> list[Mapping[str, Any]]:
    given = context.input("prompts")
    rows = read_rows(given.files / ROWS).to_dicts()
    if not rows:
        raise MethodError("has no prompts", where=given.label)
    if len({row["row_id"] for row in rows}) != len(rows):
        raise MethodError("two rows have the same row_id", where=given.label)
    return spread(rows, limit)


def _answer(context: Context, params: AnswerParams, teacher: Teacher) -> None:
    import time

    import polars

    rows = _read_prompts(context, params.prompts)
    requests = requests_of(rows, params.samples, context.seed)
    started = [time.monotonic()]

    def progress(done: int, total: int, tokens: int) -> None:
        now = time.monotonic()
        speed = {"tokens_per_second": tokens / max(now - started[0], 1e-9)} if tokens else {}
        started[0] = now
        context.progress(done, total, **speed)

    answered = ask_all(teacher, requests, context.work / "answers", progress)
    if not answered.completions:
        first = next(iter(answered.refused.values()))
        raise MethodError(f"none of {len(rows)} prompts can be put: {first}", where=context.node)
    found = _answer_rows(rows, answered, params, teacher, context.seed)
    write_rows(context.out / ANSWERS, found, answer_schema())
    names = dict.fromkeys(("row_id", "prompt", "reason", "caused_by"), polars.String)
    write_rows(context.out / REJECTED, _rejected(rows, answered), names)
    (context.out / "teacher.json").write_text(
        json.dumps({"schema_version": 1, **teacher.describe()}, sort_keys=True, indent=2) + "\n"
    )
    whole = sum(row["finish_reason"] == "stop" for row in found) / len(found)
    headline = {"answers": len(found), "answers that ended by themselves": whole}
    (context.out / "headline.json").write_text(json.dumps(headline, indent=2) + "\n")


def run(context: Context) -> None:
    """Lets a model of the registry answer."""
    params = context.typed(Params)
    teacher = load_teacher(
        context, context.input("model"), params.sampling, params.batch_size, params.dtype
    )
    _answer(context, params, teacher)


def run_endpoint(context: Context) -> None:
    """Lets a server answer."""
    params = context.typed(EndpointParams)
    _answer(context, params, EndpointTeacher(params.endpoint, params.sampling))


method = Method(
    name="answers",
    kind="dataset",
    description="Several sampled answers of a model to each prompt.",
    params=Params,
    run=run,
    inputs={"prompts": _PROMPTS, "model": Role("model", "who answers", form="language model")},
    libraries=(*TORCH_LIBRARIES, *LIBRARIES),
)

endpoint_method = Method(
    name="answers-endpoint",
    kind="dataset",
    description="Several sampled answers of a model behind a server to each prompt.",
    params=EndpointParams,
    run=run_endpoint,
    inputs={"prompts": _PROMPTS},
    limits=("A server may change what it serves under one name; answers are not repeatable.",),
    libraries=("openai", *LIBRARIES),
    network=True,
)
