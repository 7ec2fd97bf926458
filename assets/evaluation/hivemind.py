"""How alike models answer: each with itself, all with each other, and beside pure chance.

The measures stand in `assets/diversity/homogeneity.py`; docs/hivemind.md says how to read them.
Every cosine has its own floor beside it, from answers of the same models to different prompts;
whether the chat template was used is part of what is measured, never left open.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from assets.compute import LIBRARIES as TORCH_LIBRARIES
from assets.compute import prepare
from assets.diversity.encoder import LIBRARIES as ENCODER_LIBRARIES
from assets.diversity.encoder import encode_in_parts, load_encoder
from assets.diversity.homogeneity import bin_shares
from assets.evaluation.answer_pool import Pool, read_pool
from assets.evaluation.likeness import (
    Likeness,
    headline_of,
    known,
    liken,
    mean_of_known,
    measure_schema,
    measures_of,
    results_of,
)
from assets.evaluation.validity import as_row, judges_of, yield_of, yield_schema
from assets.rows import LIBRARIES, REJECTED, ROWS, read_rows, write_rows
from registry.errors import MethodError
from registry.method import Method, Role
from registry.results import Results
from registry.typed import Frozen

if TYPE_CHECKING:
    from registry.context import Context


_LIBRARIES = tuple(dict.fromkeys((*TORCH_LIBRARIES, *ENCODER_LIBRARIES, *LIBRARIES)))


class Params(Frozen):
    """How sure the figures are made."""

    neighbours: int | None = Field(default=None, ge=1)
    """Nearest answers whose models are counted; else as many as a model gave to a prompt."""
    resamples: int = Field(default=1000, ge=50)
    """Draws of other prompts, for the intervals."""


def run(context: Context) -> None:
    """Encodes all answers, measures them, and writes tables, figures and pictures."""
    from assets.evaluation.hivemind_plots import draw_between, draw_within

    params = context.typed(Params)
    device = prepare(context)
    pool = read_pool(context.inputs("answers"))
    encoder = load_encoder(context.input("encoder").files, device)
    vectors = encode_in_parts(encoder, pool.texts, context.work / "vectors", context.progress)
    likeness = liken(pool, vectors, params.neighbours)
    if np.isnan(likeness.between).all():
        raise MethodError(
            "no prompt has two answers to compare",
            mend="make more samples of each prompt",
        )
    measures = list(measures_of(pool, vectors, likeness, params.resamples, context.seed))
    write_rows(
        context.out / "measures.parquet", [known(asdict(m)) for m in measures], measure_schema()
    )
    write_rows(context.out / "prompts.parquet", list(_prompt_rows(pool, likeness)), _schema())
    yields = _write_yields(context, pool)
    _write_rejected(context, pool)
    Results(results=tuple(results_of(measures))).write(context.out)
    headline = headline_of(pool, measures) | yields
    (context.out / "headline.json").write_text(json.dumps(headline, indent=2) + "\n")
    summary = {
        "schema_version": 1,
        "encoder": context.input("encoder").label,
        "arms": [asdict(arm) | {"setting": arm.setting} for arm in pool.arms],
        "prompts": len(pool.prompts),
        "answers": len(pool.rows),
        "left_out": len(pool.rejected),
        "share_of_prompts_by_likeness": {
            arm.label: bin_shares(likeness.within[:, place]) for place, arm in enumerate(pool.arms)
        },
        "measures": [known(asdict(m)) for m in measures],
    }
    (context.out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    (context.out / "within-models.png").write_bytes(draw_within(pool, likeness, measures))
    if len(pool.arms) > 1:
        picture = draw_between(pool, mean_of_known(likeness.between))
        (context.out / "between-models.png").write_bytes(picture)


def _schema() -> dict[str, Any]:
    """The columns of `prompts.parquet`."""
    import polars

    text, figure = polars.String, polars.Float64
    names = ("likeness", "different", "sources", "sources_if_one")
    about = {"prompt_id": text, "prompt": text, "model": text, "setting": text}
    asked = {"chat_template": polars.Boolean, "sampling": text, "answers": polars.Int64}
    return about | asked | dict.fromkeys(names, figure)


def _prompt_rows(pool: Pool, likeness: Likeness) -> Iterator[dict[str, Any]]:
    """One row for each prompt and arm."""
    prompts = {row["prompt_id"]: row["prompt"] for row in pool.rows}
    for place, prompt in enumerate(pool.prompts):
        for number, arm in enumerate(pool.arms):
            answers = int(((pool.prompt_of == place) & (pool.arm_of == number)).sum())
            if answers:
                yield known(
                    {
                        "prompt_id": prompt,
                        "prompt": prompts[prompt],
                        "model": arm.model,
                        "setting": arm.setting,
                        "chat_template": arm.chat_template,
                        "sampling": arm.sampling,
                        "answers": answers,
                        "likeness": float(likeness.within[place, number]),
                        "different": float(likeness.distinct[place, number]),
                        "sources": float(likeness.sources[place]),
                        "sources_if_one": float(likeness.one_model[place]),
                    }
                )


def _write_yields(context: Context, pool: Pool) -> dict[str, float]:
    """Validity, diversity and yield of the prompts that can be judged; returns what comes first."""
    given = context.inputs("prompts")
    judges = {k: v for one in given for k, v in judges_of(read_rows(one.files / ROWS)).items()}
    rows: list[dict[str, Any]] = []
    headline: dict[str, float] = {}
    for number, arm in enumerate(pool.arms):
        found = []
        for place, prompt in enumerate(pool.prompts):
            chosen = np.flatnonzero((pool.prompt_of == place) & (pool.arm_of == number))
            if prompt in judges and len(chosen):
                judge, most = judges[prompt]
                found.append(yield_of([pool.rows[i]["text"] for i in chosen], judge, most))
                named = {"prompt_id": prompt, "model": arm.model, "setting": arm.setting}
                rows.append({**named, "chat_template": arm.chat_template, **as_row(found[-1])})
        if found:
            headline[f"valid answers: {arm.label}"] = sum(f.valid for f in found) / sum(
                f.answers for f in found
            )
            headline[f"different valid answers to a prompt: {arm.label}"] = sum(
                f.distinct for f in found
            ) / len(found)
    if given and not rows:
        raise MethodError(
            "no answer is to a prompt that can be judged",
            mend="give the prompts that were answered, or leave `prompts` out",
        )
    if rows:
        write_rows(context.out / "yield.parquet", rows, yield_schema())
    return headline


def _write_rejected(context: Context, pool: Pool) -> None:
    import polars

    text = polars.String
    schema = {"row_id": text, "prompt_id": text, "model": text, "chat_template": polars.Boolean}
    write_rows(context.out / REJECTED, pool.rejected, schema | {"reason": text, "caused_by": text})


method = Method(
    name="hivemind",
    kind="evaluation",
    description="How alike models answer: with themselves, with each other, and beside chance.",
    params=Params,
    run=run,
    inputs={
        "answers": Role("dataset", "several answers of each model to each prompt", many=True),
        "encoder": Role("model", "the sentence encoder that tells how near answers are"),
        "prompts": Role(
            "dataset", "the prompts, where some can be judged", many=True, optional=True
        ),
    },
    libraries=(*_LIBRARIES, "numpy", "scipy", "matplotlib"),
)
