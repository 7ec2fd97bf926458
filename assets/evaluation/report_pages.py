"""The page across all groups: who is served by which model, by how much, and at what cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from assets.evaluation.answerers import UNIFORM
from assets.evaluation.report_costs import (
    Asked,
    Covered,
    Named,
    Tested,
    diversity,
    reasoning,
)
from assets.evaluation.report_document import (
    Block,
    Cell,
    Document,
    Picture,
    Points,
    Section,
    Table,
    clean,
)
from assets.evaluation.report_estimates import Estimate, Missing, missing_cell
from assets.evaluation.report_opinions import Opinions, Roles
from assets.evaluation.report_served import Served, cost, how_much, sentence, serve, who
from assets.evaluation.report_tables import (
    cost_table,
    coverage_table,
    difference_cell,
    estimate_cell,
    made_from,
    words_for,
)

INDEX = "index"
_WHO = (
    "Blue: the group's own models. Ochre: other models. Grey: needs no model. The large dot is the "
    "nearest model; lines are 95 % intervals."
)
_OWN = "A full dot: the interval leaves 0 out. An open one: the two cannot be told apart."
_COST = "Grey: before alignment. A large dot: the change's interval leaves 0 out."
REASONING = "At what cost in reasoning?"
DIVERSITY = "At what cost in diversity?"
_ACROSS = (
    "Distance: the share of answers that would have to change (total variation). Lower is nearer."
)
SLICES = {
    "asked": "questions learned from",
    "unseen wording": "the same in words not seen",
    "unseen questions": "questions not seen",
}
"""What each slice is called for readers."""
REASONING_NOTE = (
    "The same tasks before and after, by the same checks; intervals over tasks. Change: after "
    "minus before."
)
DIVERSITY_NOTE = (
    "The same prompts, answers drawn in the same way; intervals over prompts. Likeness is the "
    "mean cosine of a model's answers to one open-ended prompt: 1 is always the same. Different "
    "right answers are counted among as many right ones before and after (equal validity), so "
    "that being right more often is no advantage."
)


@dataclass(frozen=True)
class Material:
    """Everything that the report is written from."""

    node: str
    opinions: Opinions
    roles: Roles
    tested: tuple[Tested, ...]
    asked: tuple[Asked, ...]
    covered: tuple[Covered, ...]
    notes: tuple[str, ...]
    """What the inputs left out or marked."""
    speaks: tuple[str, ...]
    """For whom the figures speak, or rather do not."""
    given: tuple[tuple[str, str, str], ...]
    """The role, node and digest of every input."""
    slugs: Mapping[str, str]
    """The name of each model's page."""

    @cached_property
    def served(self) -> list[Served]:
        """Every group and the models that matter to it."""
        return serve(self.opinions, self.roles)

    @cached_property
    def serving(self) -> list[str]:
        """The models whose cost matters: each group's own, and those for all beside them."""
        found = [m for one in self.served for m in (one.own or one.best,) if m]
        found += [m for one in self.served for m in (one.pooled, one.conditioned) if m]
        return [m for m in dict.fromkeys(found) if m != self.roles.base]

    def reasoning(self, model: str) -> list[Named]:
        """Right answers of one model, before and after."""
        return reasoning(self.tested, self.roles.base, node_of(model))

    def diversity(self, model: str) -> list[Named]:
        """Likeness and diversity of one model's answers, before and after."""
        return diversity(self.asked, self.roles.base, node_of(model))

    def links(self, folder: str = "") -> dict[str, str]:
        """The page of each model, seen from the page across groups."""
        return {label: f"{folder}{slug}" for label, slug in self.slugs.items()}


def node_of(label: str) -> str:
    """The node of a model by its label: one that is told the group is the same model."""
    return label.partition(", ")[0]


def across(material: Material) -> Document:
    """The page across all groups."""
    opinions, served = material.opinions, material.served
    reasons = {m: material.reasoning(m) for m in material.serving}
    diverse = {m: material.diversity(m) for m in material.serving}
    answers = (
        who(served),
        how_much(served, opinions.slices),
        cost(REASONING, reasons, words_for),
        cost(DIVERSITY, diverse, words_for),
    )
    first = (_by_group(material), Picture("who-serves-whom", _says(served), _WHO))
    return Document(
        name=INDEX,
        title="Which model serves whom",
        about=f"Pluralism report · {material.node}",
        speaks=material.speaks,
        answers=answers,
        first=first,
        sections=tuple(_sections(material, reasons, diverse)),
        others=tuple((clean(m), material.links("models/")[m]) for m in material.slugs),
    )


def _sections(
    material: Material,
    reasons: Mapping[str, Sequence[Named]],
    diverse: Mapping[str, Sequence[Named]],
) -> list[Section]:
    opinions = material.opinions
    links = material.links("models/")
    base = material.roles.base
    slices: list[Block] = [
        _minus(material, "Own model minus one model for all", conditioned=False),
    ]
    if material.roles.conditioned:
        slices.append(
            _minus(material, "Own model minus one that is told the group", conditioned=True)
        )
    if has_differences(material):
        says = "Own model minus one model for all, by group and kind of question, with intervals."
        slices.append(Picture("own-minus-one-for-all", says, _OWN))
    costs: list[Block] = [
        cost_table("Reasoning", reasons, links, REASONING_NOTE),
        cost_table("Diversity", diverse, links, DIVERSITY_NOTE),
        coverage_table(material.covered, base, "Intervals over situations."),
    ]
    if has_changes(material):
        says = "Right answers and likeness before and after alignment; the tables below say it all."
        costs.insert(0, Picture("cost", says, _COST))
    return [
        Section(
            "To know before quoting a figure", (Points(material.notes or (NOTHING_LEFT_OUT,)),)
        ),
        Section("In other words, and on new questions", tuple(slices)),
        Section(
            "Every model on every group",
            tuple(_cross(material, part) for part in opinions.slices),
        ),
        Section("What it costs", tuple(costs)),
        Section("How to read this", (Points(HOW_TO_READ),)),
        Section("Where it comes from", (made_from(material.given),)),
    ]


NOTHING_LEFT_OUT = "Nothing was left out or marked."
HOW_TO_READ = (
    (
        "Read down a column: which model is nearest to this group? Along a row one mostly reads "
        "how near a group is to answering every option alike."
    ),
    (
        "Brackets hold 95 % intervals: how far a figure would move if other people had been held "
        "out. Where the interval of a difference holds 0, the two cannot be told apart."
    ),
    (
        "The group's own model and the model for all are the nearest of their kind on the "
        "questions learned from, chosen on the same people: this flatters both a little. The "
        "choice stays the same for all other kinds of question."
    ),
    (
        "Lines marked as no rival saw the answers, or show what noise alone makes of a perfect "
        "answerer."
    ),
    (
        "Near is not good: how people answered says nothing about whether an answer is right, kind "
        "or safe. The figures come from one survey and replace no poll."
    ),
)


def has_differences(material: Material) -> bool:
    """Whether there is any difference to draw."""
    return any(
        not isinstance(d, Missing) for one in material.served for d in one.minus_pooled.values()
    )


def has_changes(material: Material) -> bool:
    """Whether there is any change to draw."""
    return any(
        not isinstance(n.change, Missing)
        for m in material.serving
        for n in (*material.reasoning(m), *material.diversity(m))
    )


def _says(served: Sequence[Served]) -> str:
    found = [f"{o.name}: {o.best} {o.distances[o.best].value:.3f}" for o in served if o.best]
    return "Distance of every model to each group, with intervals. Nearest: " + "; ".join(found)


def _by_group(material: Material) -> Table:
    links = material.links("models/")
    told = bool(material.roles.conditioned)
    part = material.opinions.first
    rows = []
    for one in material.served:
        if one.best is None:
            cells = [Cell(one.name), missing_cell(Missing("no model has a figure"))]
            cells.append(missing_cell(Missing("")))
        else:
            found = one.distances[one.best]
            uniform = one.distances.get(UNIFORM)
            beside = f"; every option alike: {uniform.value:.3f}" if uniform else ""
            whose = "its own" if one.served_by_own else "not its own"
            if one.nearer_tables:
                whose += f"; nearer without any model: {one.nearer_tables[0]}"
            cells = [
                Cell(one.name),
                Cell(clean(one.best), whose, link=links.get(one.best, "")),
                Cell(found.shown, f"{found.size}{beside}"),
            ]
        cells.append(difference_cell(one.minus_pooled[part]))
        if told:
            cells.append(difference_cell(one.minus_conditioned[part]))
        rows.append(tuple(cells))
    header = ["group", "served best by", "distance to its people", "own model, beside one for all"]
    header += ["own model, beside one that is told the group"] if told else []
    caption = f"Group by group, on {SLICES.get(part, part)}"
    return Table(caption, tuple(header), tuple(rows), _ACROSS)


def _minus(material: Material, caption: str, *, conditioned: bool) -> Table:
    slices = material.opinions.slices
    rows = []
    for one in material.served:
        found = one.minus_conditioned if conditioned else one.minus_pooled
        name = Cell(one.name, one.own or "no model of its own")
        rows.append((name, *(difference_cell(found[part]) for part in slices)))
    header = ("group", *(SLICES.get(part, part) for part in slices))
    return Table(caption, header, tuple(rows), f"{_ACROSS} Below 0 the own model is nearer.")


def _cross(material: Material, part: str) -> Table:
    opinions, links = material.opinions, material.links("models/")
    marks = opinions.of_kind("mark")
    open_to_all = [*opinions.of_kind("baseline"), *opinions.models]
    ranked = {
        c: opinions.nearest(part, c, [m for m in open_to_all if m not in opinions.constant])
        for c in opinions.names
    }
    rows = []
    for label in (*open_to_all, *marks):
        found = [opinions.distance(part, c, label) for c in opinions.names]
        if all(isinstance(one, Missing) for one in found):
            continue
        cells = [Cell(clean(label), _kind(opinions, label, marks), link=links.get(label, ""))]
        for community, distance in zip(opinions.names, found, strict=True):
            cell = estimate_cell(distance)
            if ranked[community][:1] == [label]:
                cell = Cell(cell.text, "nearest", "good")
            cells.append(cell)
        rows.append(tuple(cells))
    names = tuple(clean(name) for name in opinions.names.values())
    sizes = [
        one.size
        for c in opinions.names
        for label in opinions.models[:1]
        if isinstance(one := opinions.distance(part, c, label), Estimate)
    ]
    size = "; ".join(dict.fromkeys(sizes))
    caption = SLICES.get(part, part)
    return Table(
        sentence(caption), ("", *names), tuple(rows),
        f"{_ACROSS} Read down columns. By group: {size}.",
    )  # fmt: skip


def _kind(opinions: Opinions, label: str, marks: Sequence[str]) -> str:
    if label in marks:
        return "no rival" if "sees the answers" in label else "no rival: shows the noise"
    if label in opinions.constant:
        return "answers all questions alike: no rival"
    return "needs no model" if label in opinions.of_kind("baseline") else ""
