"""Synthetic rows: a teacher writes from examples, and only what passes a check is kept."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pydantic import Field

from assets.compute import LIBRARIES as TORCH_LIBRARIES
from assets.rows import LIBRARIES, ROWS, read_rows, write_rows
from assets.sources.verifiers import LIBRARIES as GENERATOR_LIBRARIES
from assets.synthesis.candidates import (
    candidate_schema,
    leave_out_repeats,
    normal,
    question_of,
    read_pool,
    write_rejected,
)
from assets.synthesis.few_shots import Selector, plans_from
from assets.synthesis.outcomes import write_outcomes
from assets.synthesis.writers import (
    ENDPOINT_INPUTS,
    INPUTS,
    LIMITS,
    EndpointTeachers,
    LocalParams,
    WritingParams,
    open_writer,
    tell,
)
from registry.method import Method

if TYPE_CHECKING:
    from registry.context import Context


class SynthesisParams(WritingParams):
    """How much is written."""

    requests: int = Field(default=100, ge=1)
    """Requests to the teacher."""
    selector: Selector = "even"
    """Which rows are shown: each as likely, or as likely as it is difficult."""


class Params(SynthesisParams, LocalParams):
    """Rows by a model of the registry."""


class EndpointParams(SynthesisParams, EndpointTeachers):
    """Rows by a model behind a server."""


def run(context: Context) -> None:
    """Lets the teacher write, checks, and writes what is kept and what is not."""
    params = context.typed(SynthesisParams)
    given = context.input("rows")
    pool = read_pool(read_rows(given.files / ROWS).to_dicts(), given.label)
    writer = open_writer(context, params)
    plans = plans_from(
        pool, params.requests, params.examples, params.selector, context.seed, "single"
    )
    candidates = writer.write(plans, context.work, tell(context, 0, len(plans), len(plans)))
    seen = {normal(question_of(row)): row["row_id"] for row in pool}
    candidates = leave_out_repeats(candidates, seen)
    rows = [candidate.row for candidate in candidates if candidate.reason is None]
    write_rows(context.out / ROWS, rows, candidate_schema())
    write_rejected(context.out, candidates)
    write_outcomes(context.out, candidates, requests=len(plans))
    (context.out / "teacher.json").write_text(
        json.dumps({"schema_version": 1, **writer.describe()}, sort_keys=True, indent=2) + "\n"
    )


method = Method(
    name="synthesis",
    kind="dataset",
    description="Rows that a model of the registry writes from examples, each checked.",
    params=Params,
    run=run,
    inputs=INPUTS,
    limits=LIMITS,
    libraries=(*TORCH_LIBRARIES, *LIBRARIES, *GENERATOR_LIBRARIES),
)

endpoint_method = Method(
    name="synthesis-endpoint",
    kind="dataset",
    description="Rows that a model behind a server writes from examples, each checked.",
    params=EndpointParams,
    run=run,
    inputs=ENDPOINT_INPUTS,
    limits=(*LIMITS, "A server may change what it serves under one name: not repeatable."),
    libraries=("openai", *LIBRARIES, *GENERATOR_LIBRARIES),
    network=True,
)
