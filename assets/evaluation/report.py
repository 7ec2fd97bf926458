"""The pluralism report: one page across all groups and one for each model.

Every figure comes from the nodes that it names; it computes only what was before and after, task by
task. It writes `index.html` and `index.md`, the same for each model below `models/`, and pictures
beside them. `results.json` holds the differences that no other node states, for models' cards.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from assets.evaluation.report_costs import (
    Named,
    notes_of,
    read_coverage,
    read_diversity,
    read_reasoning,
)
from assets.evaluation.report_document import Document, clean
from assets.evaluation.report_estimates import Change, Difference
from assets.evaluation.report_html import html
from assets.evaluation.report_markdown import in_short, markdown
from assets.evaluation.report_model_pages import page_of
from assets.evaluation.report_opinions import Opinions, read_opinions_of, roles_of
from assets.evaluation.report_pages import Material, across, node_of
from assets.evaluation.report_plots import by_name, pictures
from assets.evaluation.report_served import FARTHER, NEARER
from assets.rows import LIBRARIES, write_rows
from registry.artifact import Hasher
from registry.method import Method, Role
from registry.profile_words import SPEAKS
from registry.results import Result, Results
from registry.typed import Frozen

if TYPE_CHECKING:
    from registry.context import Context

SERVED = "served.parquet"
IN_SHORT = "in-short.md"
"""What a materialisation shows as text."""
_ROLES = ("pluralism", "reasoning", "diversity", "coverage")


class Params(Frozen):
    """Which model is what; names as the pluralism evaluation has them."""

    base: str = ""
    """The model before alignment. Left out, no cost of alignment can be told."""
    pooled: tuple[str, ...] = ()
    """Models for all groups. Each group's own model is compared with the nearest of them."""
    conditioned: tuple[str, ...] = ()
    """Models for all groups that are told whom to answer as."""


def run(context: Context) -> None:
    """Reads what was measured, and writes pages, pictures and results."""
    material = gather(context)
    drawn = pictures(material)
    svg = by_name(drawn)
    documents = [across(material), *(page_of(material, label) for label in material.slugs)]
    (context.out / "models").mkdir()
    for name, one in drawn.items():
        (context.out / f"{name}.png").write_bytes(one.png)
    for document in documents:
        (context.out / f"{document.name}.html").write_text(html(document, svg), encoding="utf-8")
        (context.out / f"{document.name}.md").write_text(markdown(document), encoding="utf-8")
    (context.out / IN_SHORT).write_text(in_short(documents[0]), encoding="utf-8")
    Results(results=tuple(results_of(material))).write(context.out)
    write_rows(context.out / SERVED, list(rows_of(material)), _schema())
    headline = json.dumps(dict(headline_of(material)), indent=2)
    (context.out / "headline.json").write_text(headline + "\n")
    _write_summary(context, material, documents)
    context.progress(1, 1)


def gather(context: Context) -> Material:
    """Everything that the report is written from."""
    params = context.typed(Params)
    opinions = read_opinions_of(context.input("pluralism"))
    tested = read_reasoning(context.inputs("reasoning"))
    asked = read_diversity(context.inputs("diversity"))
    covered = read_coverage(context.inputs("coverage"))
    others = (*(t.about for t in tested), *(a.model for a in asked))
    hasher = Hasher(None)
    notes = [
        *opinions.notes,
        *notes_of(context.inputs("diversity")),
        *dict.fromkeys(note for one in covered for note in one.notes),
    ]
    return Material(
        node=context.node,
        opinions=opinions,
        roles=roles_of(opinions, params.base, params.pooled, params.conditioned),
        tested=tuple(tested),
        asked=tuple(asked),
        covered=tuple(covered),
        notes=tuple(notes),
        speaks=tuple(_speaks(context, opinions)),
        given=tuple(
            (role, given.label, hasher.source(given.files))
            for role in _ROLES
            for given in context.inputs(role)
        ),
        slugs=slugs_of(opinions.models, others),
    )


def _speaks(context: Context, opinions: Opinions) -> Iterator[str]:
    """For whom each group's figures speak, groups of one kind together."""
    found: dict[str, list[str]] = {}
    kinds = {profile.id: str(profile.fields.get("kind")) for profile in context.profiles}
    for community, name in opinions.names.items():
        said = SPEAKS.get(kinds.get(community, ""), "It speaks for no one.")
        found.setdefault(said, []).append(clean(name))
    for said, names in found.items():
        yield f"{'; '.join(names)}: {said}"


def slugs_of(labels: Iterable[str], others: Iterable[str]) -> dict[str, str]:
    """The name of each model's page; what differs only in signs gets a number.

    Args:
        labels: The models of the pluralism evaluation.
        others: Nodes that were measured elsewhere; some are the same models.
    """
    scored = list(labels)
    nodes = {node_of(label) for label in scored}
    found: dict[str, str] = {}
    for label in dict.fromkeys([*scored, *(o for o in others if o not in nodes)]):
        slug = re.sub(r"[^a-z0-9-]+", "-", label.lower().replace("@", "--")).strip("-")[:80]
        slug, taken, number = slug or "model", set(found.values()), 2
        unique = slug
        while unique in taken:
            unique, number = f"{slug}-{number}", number + 1
        found[label] = unique
    return found


def results_of(material: Material) -> Iterator[Result]:
    """What the report adds to the models' cards: differences that no other node states."""
    opinions = material.opinions
    for one in material.served:
        for label in opinions.own_models(one.community):
            if label not in opinions.cards:
                continue
            for rival in (one.pooled, one.conditioned):
                for part in opinions.slices if rival else ():
                    minus = opinions.minus(part, one.community, label, rival or "")
                    if isinstance(minus, Difference):
                        yield _result(label, "total variation", minus, part, one.community)
    for label in opinions.models:
        if label in opinions.cards and label != material.roles.base:
            for found in (*material.reasoning(label), *material.diversity(label)):
                yield from _of_change(label, found)


def _of_change(label: str, found: Named) -> Iterator[Result]:
    if isinstance(found.change, Change):
        yield _result(label, found.what, found.change.difference, found.how or "all", "")


def _result(about: str, what: str, found: Difference, part: str, community: str) -> Result:
    known = found.low is not None and found.high is not None
    return Result(
        about=about,
        community=community,
        slice=part,
        metric=f"{what}, minus {found.rival}",
        lower_is_better=found.lower_is_better,
        value=found.value,
        low=found.low if known and found.low is not None else found.value,
        high=found.high if known and found.high is not None else found.value,
        items=found.items,
        people=found.people,
        beside={},
    )


def headline_of(material: Material) -> Iterator[tuple[str, float]]:
    """The figures to see first."""
    served = material.served
    yield "groups", len(served)
    yield "groups whose own model is the nearest", sum(one.served_by_own for one in served)
    first = [one.minus_pooled[material.opinions.first] for one in served]
    known = [one for one in first if isinstance(one, Difference)]
    if known:
        yield (
            "groups whose own model is nearer than one for all",
            sum(one.tone == "good" for one in known),
        )
        yield (
            "own minus one for all, mean total variation",
            sum(o.value for o in known) / len(known),
        )
    for kind, measure in (("reasoning", material.reasoning), ("diversity", material.diversity)):
        changes: dict[str, list[float]] = {}
        for model in material.serving:
            for one in measure(model):
                if isinstance(one.change, Change):
                    changes.setdefault(one.what, []).append(one.change.difference.value)
        for what, values in changes.items():
            yield f"{kind}: {what}, mean change", sum(values) / len(values)


def _write_summary(context: Context, material: Material, documents: Sequence[Document]) -> None:
    rows = list(rows_of(material))
    summary = {
        "schema_version": 1,
        "pages": {one.title: f"{one.name}.html" for one in documents},
        "groups": [
            {
                "community": one.community,
                "name": material.opinions.names[one.community],
                "served_best_by": one.best,
                "own": one.own,
                "pooled": one.pooled,
                "conditioned": one.conditioned,
                "comparisons": [r for r in rows if r["community"] == one.community],
            }
            for one in material.served
        ],
        "notes": list(material.notes),
        "made_from": [
            {"role": role, "node": node, "content": digest} for role, node, digest in material.given
        ],
    }
    text = json.dumps(summary, indent=2, ensure_ascii=False)
    (context.out / "summary.json").write_text(text + "\n", encoding="utf-8")


def rows_of(material: Material) -> Iterator[dict[str, Any]]:
    """A row for each group, kind of question and kind of rival, measured or not."""
    for one in material.served:
        kinds = (
            ("pooled", one.pooled, one.minus_pooled),
            ("conditioned", one.conditioned, one.minus_conditioned),
        )
        for kind, rival, minus in kinds:
            for part, found in minus.items():
                measured = found if isinstance(found, Difference) else None
                yield {
                    "community": one.community,
                    "slice": part,
                    "served_best_by": one.best,
                    "own": one.own,
                    "kind": kind,
                    "rival": rival,
                    "difference": measured.value if measured else None,
                    "low": measured.low if measured else None,
                    "high": measured.high if measured else None,
                    "items": measured.items if measured else None,
                    "people": measured.people if measured else None,
                    "says": measured.words(NEARER, FARTHER) if measured else found.shown,
                }


def _schema() -> dict[str, Any]:
    """The columns of the rows."""
    import polars

    text, whole, figure = polars.String, polars.Int64, polars.Float64
    return {
        **dict.fromkeys(("community", "slice", "served_best_by", "own", "kind", "rival"), text),
        **dict.fromkeys(("difference", "low", "high"), figure),
        **dict.fromkeys(("items", "people"), whole),
        "says": text,
    }


method = Method(
    name="pluralism-report",
    kind="evaluation",
    description="Which model serves which group, by how much, and at what cost: pages to read.",
    params=Params,
    run=run,
    inputs={
        "pluralism": Role("evaluation", "the pluralism evaluation of the models"),
        "reasoning": Role(
            "evaluation", "right answers of the same models: verified-accuracy, multiple-choice "
            "or word-problems", many=True, optional=True,
        ),
        "diversity": Role(
            "evaluation", "likeness of the same models' answers: hivemind", many=True, optional=True
        ),
        "coverage": Role(
            "evaluation", "views that the same models name: overton", many=True, optional=True
        ),
    },
    profile_fields=("kind",),
    use="evaluate",
    libraries=(*LIBRARIES, "matplotlib", "jinja2"),
)  # fmt: skip
