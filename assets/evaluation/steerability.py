"""Steerable pluralism: the model of A on B's opinions, norms and preferences.

Arithmetic over what `option-probabilities`, `norm-answers` and `preference-answers` scored. The
page has the cross matrix of each kind, read down its columns; steerability with permutation tests;
and, where they are given, k-shot curves: what a person's next answer costs by how many are known.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from assets.evaluation.answerers import require_usable
from assets.evaluation.predictors import (
    gather,
    read_items,
    read_told,
    require_same_questionnaire,
)
from assets.evaluation.steering import (
    average_seeds,
    matrix_rows,
    results_of,
    steered,
    together,
)
from assets.evaluation.steering_page import KShot, page
from assets.evaluation.steering_scores import (
    METRICS,
    Column,
    People,
    norm_columns,
    opinion_columns,
    preference_columns,
)
from assets.opinion_tables import read_still_told
from assets.rows import LIBRARIES, read_rows, write_rows
from registry.errors import MethodError
from registry.method import Method, Role
from registry.profile_tables import HELD_OUT, OPINIONS
from registry.results import Results, read_results
from registry.typed import Frozen

if TYPE_CHECKING:
    from registry.context import Context, Input, ProfileView


class MatrixParams(Frozen):
    """How sure the figures are made."""

    draws: int = Field(default=20_000, ge=100)
    """Labellings tried in permutation tests; where there are no more, every one is."""
    seeds: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Models that differ only in their seed, by declaration, under one name; their scores are
    averaged before anything else."""


class Params(MatrixParams):
    """The same, and what respondents are redrawn with."""

    resamples: int = Field(default=400, ge=50)
    """Draws of new respondents, for the intervals on opinions."""
    item_correlation: float = Field(default=0.08, ge=0, le=1)
    """How alike the errors of two items move when other people are drawn; see docs/pluralism.md."""
    fewest_people: float = Field(default=20, ge=2)
    """An item that fewer were held out on (effective number), in any community, is left out."""


def _people(profile: ProfileView, options: dict[str, tuple[str, ...]]) -> People:
    learned, held = (
        read_still_told(path, options)
        for path in (profile.table(OPINIONS.file), profile.table(HELD_OUT.file))
    )
    return People(learned, held)


def _opinions(context: Context, params: Params) -> tuple[list[Column], dict[str, str]]:
    """The columns of opinions, and the items that are left out with the reason."""
    items = read_items(context.input("questionnaire").files)
    options = {item.id: item.options for item in items.values()}
    people = {
        profile.id: _people(profile, options)
        for profile in context.profiles
        if profile.table(OPINIONS.file).is_file()
    }
    if not people:
        raise MethodError(
            "no community to score on", mend="admit a profile with opinions, or widen `communities`"
        )
    models = gather([read_told(given.files) for given in context.inputs("answers")])
    require_same_questionnaire(models, items)
    if twice := sorted({m.label for m in models if sum(o.label == m.label for o in models) > 1}):
        raise MethodError(f"the answers of {twice[0]} are given twice", mend="name each model once")
    items = {
        i: item
        for i, item in items.items()
        if all(i in table for one in people.values() for table in (one.learned, one.held))
    }
    left_out = require_usable(
        items, {c: one.held for c, one in people.items()}, params.fewest_people
    )
    items = {i: item for i, item in items.items() if i not in left_out}
    source = np.random.default_rng(context.seed)
    columns = opinion_columns(
        models, items, people, params.resamples, params.item_correlation, source
    )
    return columns, left_out


def run(context: Context) -> None:
    """Compares models on opinions, and on norms and preferences where those are given."""
    params = context.typed(Params)
    columns, left_out = _opinions(context, params)
    _compare(context, params, columns, left_out)


def run_matrix(context: Context) -> None:
    """Compares models on norms and preferences alone."""
    params = context.typed(MatrixParams)
    if not any(context.inputs(role) for role in ("norms", "preferences")):
        raise MethodError(
            "neither norms nor preferences are given",
            where=context.node,
            mend="name `norm-answers` as `norms`, or `preference-answers` as `preferences`",
        )
    _compare(context, params, [], {})


def _compare(
    context: Context,
    params: MatrixParams,
    opinions: Sequence[Column],
    left_out: dict[str, str],
) -> None:
    from assets.evaluation.steering_plots import draw_matrix, draw_shots, draw_steerability

    columns = list(opinions)
    for role, read in (("norms", norm_columns), ("preferences", preference_columns)):
        if given := context.inputs(role):
            columns += read(given)
    columns = [average_seeds(column, params.seeds) for column in columns]
    matrix = list(matrix_rows(columns))
    rows = steered(columns, params.draws, context.seed)
    families = together(columns, params.draws, context.seed)
    shots = read_shots(context.inputs("k_shot"))
    write_rows(context.out / "matrix.parquet", matrix, matrix_schema())
    write_rows(
        context.out / "steerability.parquet", [one.to_row() for one in rows], steered_schema()
    )
    Results(results=tuple(results_of(rows))).write(context.out)
    names = {profile.id: profile.name for profile in context.profiles}
    notes = [f"Left out of all figures: {item}, since {why}." for item, why in left_out.items()]
    (context.out / "steering.md").write_text(page(matrix, rows, families, shots, names, notes))
    draw_matrix(matrix, names, context.out / "cross-matrix.png")
    if shown := [one for one in rows if not one.baseline]:
        draw_steerability(shown, names, context.out / "steerability.png")
    if shots:
        draw_shots(shots, names, context.out / "k-shot.png")
    summary = {
        "schema_version": 1,
        "metrics": METRICS,
        "steerability": [one.to_row() for one in rows],
        "families": [asdict(one) for one in families],
        "left_out": left_out,
        "k_shot": [asdict(one) for one in shots],
    }
    (context.out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    headline = {
        f"steerability on {one.kind}, {one.slice}: {one.family}": one.steerability
        for one in families
        if not one.baseline
    }
    (context.out / "headline.json").write_text(json.dumps(headline, indent=2) + "\n")
    context.progress(1, 1)


def read_shots(given: Sequence[Input]) -> list[KShot]:
    """The curves of `k-shot`, with the model that each is about."""
    found = []
    for one in given:
        about = {result.about for result in read_results(one.files)}
        path = one.files / "curves.parquet"
        if len(about) != 1 or not path.is_file():
            raise MethodError(
                "holds no curves of one model", where=one.label,
                mend="give what the method `k-shot` made",
            )  # fmt: skip
        (model,) = about
        found += [KShot(model=model, **row) for row in read_rows(path).to_dicts()]
    return found


def matrix_schema() -> dict[str, Any]:
    """The columns of `matrix.parquet`."""
    import polars

    text, number, whole, truth = polars.String, polars.Float64, polars.Int64, polars.Boolean
    return {
        "kind": text, "slice": text, "community": text, "answerer": text, "family": text,
        "own": truth, "baseline": truth, "metric": text, "value": number, "low": number,
        "high": number, "items": whole, "people": whole,
    }  # fmt: skip


def steered_schema() -> dict[str, Any]:
    """The columns of `steerability.parquet`."""
    import polars

    text, number, whole, truth = polars.String, polars.Float64, polars.Int64, polars.Boolean
    return {
        "kind": text, "slice": text, "family": text, "community": text, "node": text,
        "own": number, "others": number, "steerability": number, "low": number, "high": number,
        "p": number, "smallest_p": number, "exact": truth, "models": whole, "clusters": whole,
        "items": whole, "people": whole, "baseline": truth, "p_family": number, "tables": number,
    }  # fmt: skip


_FURTHER = {
    "norms": Role("evaluation", "`norm-answers` of the models", many=True, optional=True),
    "preferences": Role(
        "evaluation", "`preference-answers` of the models", many=True, optional=True
    ),
    "k_shot": Role("evaluation", "`k-shot` of the models, for the page", many=True, optional=True),
}
_LIBRARIES = (*LIBRARIES, "numpy", "scipy", "matplotlib")

method = Method(
    name="steerability",
    kind="evaluation",
    description="Whether each community's own model serves it better than the others' models do.",
    params=Params,
    run=run,
    inputs={
        "answers": Role("evaluation", "option probabilities of the models", many=True),
        "questionnaire": Role("dataset", "the items in every wording"),
        **_FURTHER,
    },
    reads=(OPINIONS.file, HELD_OUT.file),
    use="evaluate",
    libraries=_LIBRARIES,
)

matrix_method = Method(
    name="norm-matrix",
    kind="evaluation",
    description="The same on norms and preferences alone: the model of A on B's.",
    params=MatrixParams,
    run=run_matrix,
    inputs=_FURTHER,
    use="evaluate",
    libraries=_LIBRARIES,
)
