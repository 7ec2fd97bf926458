"""Which teacher writes, and how: what the methods of synthesis share."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from assets.compute import Dtype
from assets.synthesis.candidates import Writer
from assets.synthesis.endpoint import Endpoint, EndpointTeacher
from assets.synthesis.free_form import FreeFormParams, FreeFormWriter
from assets.synthesis.journal import Progress
from assets.synthesis.proposals import ProposalParams, ProposalWriter
from assets.synthesis.sampling import Sampling
from assets.synthesis.teachers import Teacher, load_teacher
from registry.method import Role
from registry.typed import Frozen

if TYPE_CHECKING:
    from registry.context import Context

LIMITS = (
    "A model wrote it and a program or votes checked it; neither sees whether it is sensible.",
)
INPUTS = {
    "rows": Role("dataset", "rows that the teacher is shown as examples"),
    "teacher": Role("model", "who writes"),
    "solver": Role("model", "who solves, where another than the teacher should", optional=True),
}
ENDPOINT_INPUTS = {"rows": INPUTS["rows"]}


class WritingParams(Frozen):
    """How rows are written."""

    write: Literal["proposals", "free-form"] = "proposals"
    """`proposals`: settings and wording for generators, for small teachers; `free-form`: whole
    problems, for large ones."""
    examples: int = Field(default=5, ge=1, le=50)
    """Rows that the teacher is shown in each request."""
    proposals: ProposalParams = ProposalParams()
    """How settings and wording are proposed."""
    free_form: FreeFormParams = FreeFormParams()
    """How problems are written and solved."""


class LocalParams(Frozen):
    """How a model of the registry is run as a teacher."""

    batch_size: int = Field(default=32, ge=1)
    """Answers that are written at once."""
    dtype: Dtype = "bfloat16"
    """The number format of the teacher."""


class EndpointTeachers(Frozen):
    """Which servers write and solve."""

    endpoint: Endpoint
    """The server that writes, and how it is asked."""
    solver: Endpoint | None = None
    """The server that solves, where another should."""


def open_writer(context: Context, params: WritingParams) -> Writer:
    """The writer that a node's parameters and inputs name."""
    free = params.write == "free-form"
    sampling = params.free_form.writing if free else params.proposals.sampling
    writer = _teacher(context, params, sampling, "teacher")
    if not free:
        return ProposalWriter(writer, params.proposals)
    solver = _teacher(context, params, params.free_form.solving, "solver")
    return FreeFormWriter(writer, solver, params.free_form)


def _teacher(context: Context, params: Any, sampling: Sampling, role: str) -> Teacher:
    if isinstance(params, EndpointTeachers):
        other = params.solver if role == "solver" else None
        return EndpointTeacher(other or params.endpoint, sampling)
    given = context.inputs(role) or context.inputs("teacher")
    return load_teacher(context, given[0], sampling, params.batch_size, params.dtype)


def tell(context: Context, start: int, part: int, whole: int) -> Progress:
    """Passes progress of one stage on, as `part` of `whole` steps from `start`."""
    clock = [time.monotonic()]

    def told(done: int, total: int, tokens: int) -> None:
        now = time.monotonic()
        speed = {"tokens_per_second": tokens / max(now - clock[0], 1e-9)} if tokens else {}
        clock[0] = now
        context.progress(start + part * done // max(total, 1), whole, **speed)

    return told
