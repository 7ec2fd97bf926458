"""Who serves each group best, beside one model for all, and in which words it is said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from assets.evaluation.report_costs import VALID, Named
from assets.evaluation.report_document import Answer, Tone, clean
from assets.evaluation.report_estimates import (
    APART,
    NOT_MEASURED,
    Change,
    Difference,
    Estimate,
    Missing,
)
from assets.evaluation.report_opinions import Opinions, Roles

Compared = Mapping[str, Difference | Missing]
NEARER, FARTHER = "nearer", "farther"


@dataclass(frozen=True)
class Served:
    """One group, and the models that matter to it."""

    community: str
    name: str
    ranked: tuple[str, ...]
    """All models, the nearest first; those that answer all questions alike stand nowhere."""
    distances: Mapping[str, Estimate]
    """The total variation of everyone who answers, on the slice shown first."""
    nearer_tables: tuple[str, ...]
    """What needs no model and is nearer than every model."""
    own: str | None
    pooled: str | None
    conditioned: str | None
    minus_pooled: Compared
    """Own model minus the nearest one for all, by slice."""
    minus_conditioned: Compared

    @property
    def best(self) -> str | None:
        """The nearest model."""
        return self.ranked[0] if self.ranked else None

    @property
    def served_by_own(self) -> bool:
        """Whether the nearest model is the group's own."""
        return self.best is not None and self.best == self.own


def serve(opinions: Opinions, roles: Roles) -> list[Served]:
    """For each group the nearest model, its own nearest one, and the nearest of each kind for all.

    They are chosen on the slice that is shown first and stay the same on all others.
    """
    return [_serve(opinions, roles, community) for community in opinions.names]


def _serve(opinions: Opinions, roles: Roles, community: str) -> Served:
    part = opinions.first
    open_to_all = [label for label in opinions.models if label not in opinions.constant]
    ranked = opinions.nearest(part, community, open_to_all)

    def first(labels: Sequence[str]) -> str | None:
        found = opinions.nearest(part, community, labels)
        return found[0] if found else None

    own = first(opinions.own_models(community))
    pooled, conditioned = first(roles.pooled), first(roles.conditioned)
    everyone = [*opinions.models, *opinions.of_kind("baseline"), *opinions.of_kind("mark")]
    distances = {
        label: found
        for label in everyone
        if isinstance(found := opinions.distance(part, community, label), Estimate)
    }
    tables = opinions.of_kind("baseline")
    best = distances[ranked[0]].value if ranked else float("inf")
    nearer = tuple(t for t in tables if t in distances and distances[t].value < best)

    def compare(rival: str | None, missing: str) -> Compared:
        if own is None:
            return {p: Missing("the group has no model of its own") for p in opinions.slices}
        if rival is None:
            return {p: Missing(missing) for p in opinions.slices}
        return {p: opinions.minus(p, community, own, rival) for p in opinions.slices}

    return Served(
        community=community,
        name=clean(opinions.names[community]),
        ranked=tuple(ranked),
        distances=distances,
        nearer_tables=nearer,
        own=own,
        pooled=pooled,
        conditioned=conditioned,
        minus_pooled=compare(pooled, "no pooled model was given"),
        minus_conditioned=compare(conditioned, "no model that is told the group was given"),
    )


def listed(parts: Iterable[str]) -> str:
    """Names in a sentence."""
    found = list(parts)
    return " and ".join([", ".join(found[:-1]), found[-1]] if len(found) > 1 else found)


def sentence(text: str) -> str:
    """The same with a capital letter; the rest stays as it is."""
    return text[:1].upper() + text[1:]


def who(served: Sequence[Served]) -> Answer:
    """Which model serves which group."""
    question = "Which model serves which group?"
    own = [one for one in served if one.served_by_own]
    others = [one for one in served if not one.served_by_own]
    if not own:
        text = ""
    elif others:
        names = listed(dict.fromkeys(str(one.own).partition("@")[0] for one in own))
        text = f"Its own ({names}) is nearest for {len(own)} of {len(served)} groups. "
    elif len(own) == 1:
        text = f"{own[0].name}: its own, {own[0].own}, is the nearest of all models. "
    else:
        names = listed(dict.fromkeys(str(one.own).partition("@")[0] for one in own))
        text = f"Each of the {len(own)} groups its own ({names}): it is the nearest of all models. "
    for one in others:
        if one.best is None:
            text += f"{one.name}: no model has a figure. "
        else:
            whose = ", not its own model" if one.own else ""
            text += f"{one.name}: {one.best} is nearest{whose}. "
    if tables := [one for one in served if one.nearer_tables]:
        groups = _of(len(tables), len(served))
        text += f"For {groups} a table that needs no model is nearer still. "
    tone: Tone = "good" if not others and not tables else "unsure" if own else "bad"
    return Answer(question, text.strip(), tone)


def _of(count: int, total: int) -> str:
    return "the group" if total == 1 else f"{count} of {total} groups"


def how_much(served: Sequence[Served], slices: Sequence[str]) -> Answer:
    """By how much own models are nearer than one model for all, and than one that is told."""
    question = "By how much better than one model for all?"
    first = [one.minus_pooled[slices[0]] for one in served]
    known = [one for one in first if isinstance(one, Difference)]
    if not known:
        return Answer(question, f"{sentence(first[0].shown)}.", "missing")
    rivals = listed(dict.fromkeys(one.rival for one in known))
    if sure := [-one.value for one in known if one.tone == "good"]:
        text = (
            f"On questions {_part(slices[0])} own models are nearer than {rivals} for "
            f"{_of(len(sure), len(served))}, by {_range(sure)} of all answers."
        )
        rest = [one for one in known if one.tone != "good"]
        text += f" For the rest: {_counts(rest)}." if rest else ""
    else:
        text = f"On questions {_part(slices[0])}, own models against {rivals}: {_counts(known)}."
    for part in slices[1:]:
        more = [d for one in served if isinstance(d := one.minus_pooled[part], Difference)]
        if more:
            text += f" {sentence(_part(part))}: {_counts(more)}."
    told = [d for one in served if isinstance(d := one.minus_conditioned[slices[0]], Difference)]
    if told:
        names = listed(dict.fromkeys(one.rival for one in told))
        text += f" Against one model that is told the group ({names}): {_counts(told)}."
    tones = {one.tone for one in known}
    return Answer(question, text, "good" if tones == {"good"} else "unsure")


def _part(part: str) -> str:
    return {
        "asked": "learned from",
        "unseen wording": "in words not seen",
        "unseen questions": "on questions not seen",
    }.get(part, part)


def _range(values: Sequence[float]) -> str:
    low, high = f"{min(values):.1%}", f"{max(values):.1%}"
    return low if low == high else f"{low} to {high}"


def _counts(
    found: Sequence[Difference], better: str = NEARER, worse: str = FARTHER, of: str = "groups"
) -> str:
    """How many are better, worse and neither."""
    counts = Counter(one.words(better, worse) for one in found)
    ordered = [word for word in (better, APART, worse) if counts[word]]
    if len(found) == 1:
        return ordered[0]
    return ", ".join(f"{word} for {counts[word]} of {len(found)} {of}" for word in ordered)


def cost(
    question: str,
    found: Mapping[str, Sequence[Named]],
    better: Callable[[str], tuple[str, str]],
) -> Answer:
    """What a kind of cost comes to, over the models that serve: a line for each measure.

    Args:
        question: What is asked.
        found: For each model, its changes.
        better: The words for better and worse of a measure.
    """
    measures: dict[str, list[Named]] = {}
    for changes in found.values():
        for one in changes:
            if one.what != VALID:
                measures.setdefault(one.what, []).append(one)
    known = {
        what: [one.change for one in group if isinstance(one.change, Change)]
        for what, group in measures.items()
    }
    if not any(known.values()):
        every = [one.change for group in measures.values() for one in group]
        reasons = dict.fromkeys(one.why for one in every if isinstance(one, Missing))
        why = listed(reasons) if reasons else "no model is compared with its base"
        return Answer(question, f"{sentence(NOT_MEASURED)}: {why}.", "missing")
    text, tones = [], set()
    for what, measured in known.items():
        if measured:
            tones |= {one.difference.tone for one in measured}
            text.append(sentence(f"{what}: {_change(measured, *better(what))}."))
    lacking = sum(not any(isinstance(o.change, Change) for o in c) for c in found.values())
    if lacking:
        text.append(sentence(f"{NOT_MEASURED} for {lacking} of {len(found)} models."))
    tone: Tone = "bad" if "bad" in tones else "unsure" if "unsure" in tones else "good"
    return Answer(question, "\n".join(text), tone)


def _change(changes: Sequence[Change], better: str, worse: str) -> str:
    """How many changed, from what to what, and the largest change with its interval."""
    differences = [one.difference for one in changes]
    before = listed(dict.fromkeys(f"{one.before.value:.2f}" for one in changes))
    after = [one.after.value for one in changes]
    spread = " to ".join(dict.fromkeys((f"{min(after):.2f}", f"{max(after):.2f}")))
    largest = max(differences, key=lambda one: abs(one.value))
    which = "change" if len(differences) == 1 else "largest change"
    return (
        f"{_counts(differences, better, worse, 'models')}; {before} before, {spread} after, "
        f"{which} {largest.shown}"
    )
