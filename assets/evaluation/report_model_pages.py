"""The page of one model: whom it serves, beside which rivals, and at what cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from assets.evaluation.answerers import OWN_TABLE, UNIFORM
from assets.evaluation.pluralism_figures import TV
from assets.evaluation.report_costs import Named
from assets.evaluation.report_document import (
    Answer,
    Block,
    Cell,
    Document,
    Picture,
    Points,
    Section,
    Table,
    Text,
    clean,
)
from assets.evaluation.report_estimates import Difference, Estimate, Missing, missing_cell
from assets.evaluation.report_pages import (
    DIVERSITY,
    DIVERSITY_NOTE,
    HOW_TO_READ,
    NOTHING_LEFT_OUT,
    REASONING,
    REASONING_NOTE,
    SLICES,
    Material,
    node_of,
)
from assets.evaluation.report_served import cost, listed, sentence
from assets.evaluation.report_tables import (
    cost_table,
    coverage_table,
    difference_cell,
    made_from,
    words_for,
)

_CAPTION = (
    "Blue: this model. Grey on the same line: to the right every option alike, to the left the "
    "group's own table, which is what is left between two halves of the same people. Lines are "
    "95 % intervals."
)
_BESIDE = (UNIFORM, "pooled table", OWN_TABLE)
NO_FIGURES = "Nothing is known of how near its answers are to anybody's: it was not scored."


def page_of(material: Material, label: str) -> Document:
    """The page of one model."""
    reasons = {label: material.reasoning(label)}
    diverse = {label: material.diversity(label)}
    scored = label in material.opinions.models
    answers = [_whom(material, label), _better(material, label)]
    if label != material.roles.base:
        answers += [cost(REASONING, reasons, words_for), cost(DIVERSITY, diverse, words_for)]
    return Document(
        name=f"models/{material.slugs[label]}",
        title=clean(label),
        about=f"Pluralism report · {material.node} · one model",
        speaks=material.speaks,
        answers=tuple(answers),
        first=(
            (
                _distances(material, label),
                Picture(f"models/{material.slugs[label]}", _says(label), _CAPTION),
            )
            if scored
            else (Text(NO_FIGURES),)
        ),
        sections=tuple(_sections(material, label, reasons[label], diverse[label])),
        others=(("All groups and models", "../index"),),
    )


def _says(label: str) -> str:
    return (
        f"Distance of {clean(label)} to each group by kind of question, with intervals, beside "
        "every option alike and the group's own table. The figures are in the table above."
    )


def _sections(
    material: Material, label: str, reasons: Sequence[Named], diverse: Sequence[Named]
) -> Iterator[Section]:
    opinions = material.opinions
    name = clean(label)
    notes = sorted(material.notes, key=lambda note: label not in note)
    known = Points(tuple(notes) or (NOTHING_LEFT_OUT,))
    yield Section("To know before quoting a figure", (known,))
    if label in opinions.models:
        blocks: list[Block] = [
            table for part in opinions.slices if (table := _rivals(material, label, part))
        ]
        lacking = Text("It was compared with no other: not measured.")
        yield Section("Beside its rivals", tuple(blocks) or (lacking,))
        yield Section("Every figure", tuple(_metrics(material, label)))
    if label == material.roles.base:
        words = "It is what was before alignment; the costs of the others are measured against it."
        costs: tuple[Block, ...] = (Text(words),)
    else:
        costs = (
            cost_table("Reasoning", {name: reasons}, {}, REASONING_NOTE),
            cost_table("Diversity", {name: diverse}, {}, DIVERSITY_NOTE),
        )
    covered = [one for one in material.covered if one.about == node_of(label)]
    base = material.roles.base
    costs = (*costs, coverage_table(covered, base, "Intervals over situations."))
    yield Section("What it costs", costs)
    yield Section("How to read this", (Points(HOW_TO_READ),))
    yield Section("Where it comes from", (made_from(material.given),))


def _whom(material: Material, label: str) -> Answer:
    question = "Whom does it serve?"
    opinions = material.opinions
    if label not in opinions.models:
        return Answer(
            question, "Not measured: the pluralism evaluation does not know it.", "missing"
        )
    if label in opinions.constant:
        text = "It answers all questions alike and does not read them; a good figure would be luck."
        return Answer(question, text, "bad")
    best = [one.name for one in material.served if one.best == label]
    community = opinions.community_of(label)
    text = f"Of all models it is the nearest to {listed(best)}." if best else ""
    for one in material.served:
        if one.community == community and label in one.ranked and one.best != label:
            place = one.ranked.index(label) + 1
            text += (
                f" It is one of the own models of {one.name}, and number {place} of "
                f"{len(one.ranked)} there; {one.best} is nearest."
            )
    if not text:
        text = "No group is nearest to it."
    return Answer(question, text.strip(), "good" if best else "unsure")


def _better(material: Material, label: str) -> Answer:
    question = "By how much better than one model for all?"
    opinions, part = material.opinions, material.opinions.first
    community = opinions.community_of(label)
    mine = [one for one in material.served if one.community == community]
    if not mine:
        kind = "a model for all" if label in material.roles.pooled else "no group's own model"
        return Answer(question, f"It is {kind} itself.", "unsure")
    pooled = mine[0].pooled
    if pooled is None:
        return Answer(question, "Not measured: no pooled model was given.", "missing")
    found = opinions.minus(part, mine[0].community, label, pooled)
    if isinstance(found, Missing):
        return Answer(question, f"{sentence(found.shown)}.", "missing")
    words = found.words("nearer than", "farther than")
    said = f"{words} {pooled}" if found.sure else f"{words} from {pooled}"
    text = f"To {mine[0].name} it is {said}: {found.shown}; {found.size}."
    if not found.sure:
        text = f"It {said}: {found.shown}; {found.size}."
    return Answer(question, text, found.tone)


def _distances(material: Material, label: str) -> Table:
    opinions = material.opinions
    rows = []
    for part in opinions.slices:
        for community, name in opinions.names.items():
            found = opinions.distance(part, community, label)
            mine = (
                Cell(found.shown, found.size)
                if isinstance(found, Estimate)
                else (missing_cell(found))
            )
            beside = []
            for other in _BESIDE:
                there = opinions.distance(part, community, other)
                beside.append(
                    Cell("not measured", tone="missing")
                    if isinstance(there, Missing)
                    else Cell(there.shown)
                )
            rows.append((Cell(clean(name), SLICES.get(part, part)), mine, *beside))
    note = (
        "Distance: the share of answers that would have to change (total variation). Lower is "
        "nearer. The own table is what is left between two halves of the same people: no rival."
    )
    return Table("Distance to every group", ("group", "this model", *_BESIDE), tuple(rows), note)


def _rivals(material: Material, label: str, part: str) -> Table | None:
    opinions = material.opinions
    found: dict[str, dict[str, Difference | Missing]] = {}
    for row in opinions.comparisons:
        if (row["slice"], row["model"]) == (part, label):
            minus = opinions.minus(part, row["community"], label, row["rival"])
            found.setdefault(row["rival"], {})[row["community"]] = minus
    if not found:
        return None
    communities = list(dict.fromkeys(c for one in found.values() for c in one))
    rows = tuple(
        (
            Cell(clean(rival)),
            *(difference_cell(one.get(c, Missing("not compared"))) for c in communities),
        )
        for rival, one in found.items()
    )
    header = ("minus", *(clean(opinions.names[c]) for c in communities))
    caption = SLICES.get(part, part)
    note = (
        "In total variation: below 0 this model is nearer. Beside the figure it says where a "
        "difference does not stand when all comparisons of this model count together (Holm)."
    )
    return Table(sentence(caption), header, rows, note)


def _metrics(material: Material, label: str) -> Iterator[Table]:
    opinions = material.opinions
    community = opinions.community_of(label)
    for part in opinions.slices:
        rows = []
        for metric in opinions.metrics():
            if metric == TV:
                continue
            for one, name in opinions.names.items():
                if community not in (None, one):
                    continue
                found = opinions.estimate(metric, part, one, label)
                if isinstance(found, Missing):
                    continue
                beside = [
                    f"{other} {there.value:.3f}"
                    for other in _BESIDE
                    if isinstance(there := opinions.estimate(metric, part, one, other), Estimate)
                ]
                rows.append(
                    (
                        Cell(metric, clean(name)),
                        Cell(found.shown, found.size),
                        Cell("; ".join(beside) or "none"),
                    )
                )
        if rows:
            caption = SLICES.get(part, part)
            header = ("figure", "this model", "beside it")
            note = "What each figure means stands in docs/pluralism.md."
            yield Table(sentence(caption), header, tuple(rows), note)
