"""Filters rows by a declared list of steps, and says of each row that goes why and because of what.

Two methods share everything here: `row-filter` reads no profile; `community-row-filter` also takes
the languages and the off-limits topics of the profiles that its declaration reads, so what it makes
rests on their permission.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from assets.diversity.filtering.steps import FilterStep, LinesStep
from assets.rows import LIBRARIES
from registry.method import Method, Role
from registry.typed import Frozen

if TYPE_CHECKING:
    from registry.context import Context


class Params(Frozen):
    """The steps, and which of several rows that are alike is kept."""

    steps: tuple[FilterStep, ...] = Field(min_length=1, max_length=50)
    """What is done, in this order; a row that one step leaves out is seen by no later one."""
    rank_by: tuple[str, ...] = ()
    """Columns whose product ranks rows, such as quality and difficulty; without any, and where
    ranks are equal, rows rank in the order given, the dataset named first before all others."""

    @model_validator(mode="after")
    def _lines_first(self) -> Self:
        if any(isinstance(step, LinesStep) for step in self.steps[1:]):
            raise ValueError("`lines` changes texts, so it stands first, and once")
        return self


def run(context: Context) -> None:
    """Reads the rows, applies the steps, and writes what was kept and what was left out."""
    from assets.diversity.filtering.judging import judge
    from assets.diversity.filtering.material import Material, require_material
    from assets.diversity.filtering.measures import Measures
    from assets.diversity.filtering.outcome import write_outcome
    from assets.diversity.filtering.rules import without_common_lines
    from assets.diversity.filtering.table import read_table

    params = context.typed(Params)
    require_material(context, params.steps)
    given = read_table(context.inputs("rows"))
    shortened, steps = None, params.steps
    if isinstance(steps[0], LinesStep):
        shortened, steps = without_common_lines(given, steps[0]), steps[1:]
    table = shortened.table if shortened else given
    material, measures = Material(context, table), Measures(context, table)
    first = len(params.steps) - len(steps) + 1
    verdicts = judge(table, material, measures, steps, params.rank_by, first)
    measures.write()
    write_outcome(context.out, given, shortened, verdicts, material.clusters)


_INPUTS = {
    "rows": Role("dataset", "the rows to filter; several datasets are filtered as one", many=True),
    "features": Role("dataset", "the vectors of these rows", optional=True),
    "clusters": Role("dataset", "the clusters of these rows", optional=True),
    "ratings": Role(
        "dataset", "tables with numbers of these rows by row_id", many=True, optional=True
    ),
    "against": Role(
        "dataset", "evaluations whose prompts no row may hold", many=True, optional=True
    ),
    "against_features": Role(
        "dataset", "the vectors of the evaluations' rows", many=True, optional=True
    ),
    "tokenizer": Role("model", "the model whose tokens are counted", optional=True),
    "scores": Role(
        "dataset", "an earlier filter of the same rows, whose scores are taken over", optional=True
    ),
}
_LIBRARIES = (*LIBRARIES, "numpy", "py3langid", "tokenizers")
_LIMITS = (
    "A machine judged what was left out; it can take an unfamiliar spelling for another language.",
)

method = Method(
    name="row-filter",
    kind="dataset",
    description="Rows that pass a list of steps; those left out are kept beside, with the reason.",
    params=Params,
    run=run,
    inputs=_INPUTS,
    libraries=_LIBRARIES,
    limits=_LIMITS,
)

community_method = Method(
    name="community-row-filter",
    kind="dataset",
    description="The same, with the languages and the off-limits topics of value profiles.",
    params=Params,
    run=run,
    inputs=_INPUTS,
    profile_fields=("languages", "off_limits"),
    may_lack=("off_limits",),
    use="train-sft",
    libraries=_LIBRARIES,
    limits=_LIMITS,
)
