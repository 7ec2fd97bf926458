"""What every model scores on every community's opinions, norms and preferences: the cross matrix.

All scores are such that higher is better, one an item, so that means, differences and permutations
are the same arithmetic for all three kinds:

- opinions: skill, 1 - TV(model) / TV(uniform), which alone may be averaged over communities. An
  item's is 1 - TV(model, item) / mean TV(uniform), whose mean over items is the skill;
- norms: the probability of a judgement on the community's side;
- preferences: 1 where the preferred answer is likelier, 1/2 for a tie.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from assets.evaluation.distances import Array, total_variation
from assets.evaluation.norm_answers import AGREEMENT, HELD_OUT, agreement, read_judged
from assets.evaluation.norm_answers import COMMONEST as COMMONEST_NORM
from assets.evaluation.norm_answers import UNIFORM as UNIFORM_NORM
from assets.evaluation.norm_answers import point as point_norm
from assets.evaluation.norm_answers import uniform as uniform_norm
from assets.evaluation.predictors import (
    SLICES,
    Answers,
    Item,
    Slice,
    battery_mean,
    items_of,
    uniform_answer,
)
from assets.evaluation.resampling import resample, shares_of, widening
from assets.evaluation.steering_pairs import ACCURACY, COIN, LONGER, SHORTER, read_preferred
from assets.evaluation.steering_pairs import HELD_OUT as HELD_OUT_PAIRS
from assets.opinion_tables import OpinionTable
from registry.errors import MethodError

if TYPE_CHECKING:
    from registry.context import Input

Kind = Literal["opinions", "norms", "preferences"]
METRICS: Mapping[Kind, str] = {"opinions": "skill", "norms": AGREEMENT, "preferences": ACCURACY}
UNIFORM, TABLE = "uniform", "tables of what was learned from"
"""Beside models of opinions: what knows nothing, and each community's own learning table."""


@dataclass(frozen=True)
class Answerer:
    """One model, as it answers for one community or for all."""

    label: str
    """What a reader sees."""
    node: str
    family: str
    """Models that were made alike, each for another community."""
    community: str | None
    """Whose model it is; None of one for all."""
    baseline: bool = False
    """Whether it is no model."""


@dataclass(frozen=True)
class Scores:
    """What one answerer scores on one column."""

    items: Array
    """One an item; higher is better."""
    again: Array | None = None
    """The mean for each redrawn set of respondents, where the people are known."""


@dataclass(frozen=True)
class Column:
    """One community's material of one kind, and what everybody scores on it."""

    kind: Kind
    part: str
    community: str
    clusters: tuple[str, ...]
    """For each item what is answered alike: its battery, its survey item, or itself."""
    scores: Mapping[Answerer, Scores]
    people: int | None = None
    """The fewest people that any item rests on."""
    factor: float = 1.0
    """How much wider an interval over respondents is, since the same people answered all items."""

    @property
    def items(self) -> int:
        """How many items."""
        return len(self.clusters)


@dataclass(frozen=True)
class People:
    """What respondents said, of one community."""

    learned: Mapping[str, OpinionTable]
    held: Mapping[str, OpinionTable]


def answerers_of(model: Answers) -> Iterator[tuple[Answerer, Answers]]:
    """A model as an answerer; one that is told whom to answer as is one for each community."""
    if not model.told:
        yield Answerer(model.label, model.node, model.name, model.community), model
        return
    for community, answers in sorted(model.told.items()):
        label = f"{model.name}, told {community}"
        yield Answerer(label, model.node, model.label, community), answers


def opinion_columns(
    models: Sequence[Answers],
    items: Mapping[str, Item],
    people: Mapping[str, People],
    draws: int,
    correlation: float,
    source: np.random.Generator,
) -> list[Column]:
    """The columns of opinions: every slice of every community.

    Raises:
        MethodError: A community answers as uniform answers do, so that there is no skill.
    """
    held = {c: shares_of(one.held) for c, one in people.items()}
    learned = {c: shares_of(one.learned) for c, one in people.items()}
    redrawn = {c: resample(one.held, draws, source) for c, one in people.items()}
    lines = [pair for model in models for pair in answerers_of(model)]
    columns = []
    for part in SLICES:
        chosen = items_of(part, items)
        for community in people if chosen else ():
            goals = [held[community][item.id] for item in chosen]
            again = [redrawn[community][item.id] for item in chosen]
            answers = {who: [one.mean(part, i.id) for i in chosen] for who, one in lines}
            answers |= _tables(part, chosen, items, learned)
            flat = [uniform_answer(item) for item in chosen]
            answers[Answerer(UNIFORM, UNIFORM, UNIFORM, None, baseline=True)] = flat
            columns.append(
                Column(
                    kind="opinions",
                    part=part,
                    community=community,
                    clusters=tuple(item.battery for item in chosen),
                    scores=_skills(answers, flat, goals, again, community),
                    people=min(people[community].held[item.id].n for item in chosen),
                    factor=widening(len(chosen), correlation),
                )
            )
    return columns


def _tables(
    part: Slice,
    chosen: Sequence[Item],
    items: Mapping[str, Item],
    learned: Mapping[str, Mapping[str, Array]],
) -> dict[Answerer, list[Array]]:
    """Each community's learning table as if it were its model.

    Of unseen questions a learner knows no table; the means of their batteries stand in.
    """
    found = {}
    for community, table in learned.items():
        who = Answerer(f"table@{community}", TABLE, TABLE, community, baseline=True)
        unseen = part == "unseen questions"
        found[who] = [battery_mean(i, items, table) if unseen else table[i.id] for i in chosen]
    return found


def _skills(
    answers: Mapping[Answerer, Sequence[Array]],
    flat: Sequence[Array],
    goals: Sequence[Array],
    again: Sequence[Array],
    community: str,
) -> dict[Answerer, Scores]:
    far, far_again = _distances(flat, goals, again)
    scale, scale_again = far.mean(), far_again
    if scale <= 0 or (scale_again <= 0).any():
        raise MethodError(
            f"{community} answers as uniform answers do",
            why="skill is measured from there, so there is none to be had",
            mend="leave that community out of `communities`",
        )
    found = {}
    for who, said in answers.items():
        one, one_again = _distances(said, goals, again)
        found[who] = Scores(1 - one / scale, 1 - one_again / scale_again)
    return found


def _distances(
    said: Sequence[Array], goals: Sequence[Array], again: Sequence[Array]
) -> tuple[Array, Array]:
    """Total variation of each item, and its mean for every redrawn set of respondents."""
    now = [float(total_variation(p, q)) for p, q in zip(said, goals, strict=True)]
    drawn = [total_variation(p[None], q) for p, q in zip(said, again, strict=True)]
    return np.array(now), np.mean(drawn, axis=0)


@dataclass
class _Material:
    """The items of one column, which every model has to have answered."""

    clusters: dict[str, str] = field(default_factory=dict)
    scores: dict[Answerer, dict[str, float]] = field(default_factory=dict)


def _columns(kind: Kind, part: str, found: Mapping[str, _Material]) -> list[Column]:
    """Raises MethodError where models were asked about different items."""
    columns = []
    for community, material in sorted(found.items()):
        order = sorted(material.clusters)
        for who, scores in material.scores.items():
            if differing := set(order) ^ set(scores):
                raise MethodError(
                    f"{who.label} was not asked the same {kind} of {community} as the others",
                    why=f"{min(differing)} differs",
                    mend="score every model on the same dataset",
                )
        columns.append(
            Column(
                kind=kind,
                part=part,
                community=community,
                clusters=tuple(material.clusters[one] for one in order),
                scores={
                    who: Scores(np.array([scores[one] for one in order]))
                    for who, scores in material.scores.items()
                },
            )
        )
    return columns


def _named(files: Path) -> Answerer:
    named = json.loads((files / "model.json").read_text())
    community = named["community"]
    node = f"{named['model']}@{community}" if community else named["model"]
    return Answerer(node, node, named["model"], community)


def _no_model(label: str) -> Answerer:
    return Answerer(label, label, label, None, baseline=True)


def norm_columns(given: Sequence[Input]) -> list[Column]:
    """The columns of norms, from `norm-answers` of the models."""
    found: dict[str, _Material] = {}
    for who, files in _each_once(given):
        for judged in read_judged(files):
            material = found.setdefault(judged.community, _Material())
            material.clusters[judged.norm] = judged.cluster
            lines = {who: judged.shares, _no_model(UNIFORM_NORM): uniform_norm()}
            if judged.commonest is not None:
                lines[_no_model(COMMONEST_NORM)] = point_norm(judged.commonest)
            for answerer, shares in lines.items():
                value = agreement(shares, judged.judgement)
                material.scores.setdefault(answerer, {})[judged.norm] = value
    return _columns("norms", HELD_OUT, found)


def preference_columns(given: Sequence[Input]) -> list[Column]:
    """The columns of preferences, from `preference-answers` of the models.

    A pair that is too long for one model is left out for all of them.
    """
    read = [(who, read_preferred(files)) for who, files in _each_once(given)]
    common = set.intersection(*({(p.community, p.pair) for p in said} for _, said in read))
    if not common:
        raise MethodError(
            "no pair was put to all models",
            where=", ".join(one.label for one in given),
            mend="score every model on the same dataset",
        )
    found: dict[str, _Material] = {}
    for who, said in read:
        for pair in said:
            if (pair.community, pair.pair) not in common:
                continue
            material = found.setdefault(pair.community, _Material())
            material.clusters[pair.pair] = pair.cluster
            longer = 0.5 if pair.longer is None else float(pair.longer)
            values = {who: pair.right, _no_model(COIN): 0.5, _no_model(LONGER): longer}
            for answerer, value in (values | {_no_model(SHORTER): 1 - longer}).items():
                material.scores.setdefault(answerer, {})[pair.pair] = value
    return _columns("preferences", HELD_OUT_PAIRS, found)


def _each_once(given: Sequence[Input]) -> list[tuple[Answerer, Path]]:
    found = [(_named(one.files), one.files) for one in given]
    labels = [who.label for who, _ in found]
    if twice := next((label for label in labels if labels.count(label) > 1), None):
        raise MethodError(f"the answers of {twice} are given twice", mend="name each model once")
    return found
