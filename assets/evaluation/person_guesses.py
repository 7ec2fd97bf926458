"""A better guess for a person: what their next answer costs models that know the group, or do not.

Every model is asked about the same people of the half kept for evaluation, with the same of their
own answers before, so that differences are taken person by person. A group's own model, one model
that is told the group, and one that is told nothing can then be told apart far below the spread
between people. Of single people nothing is written: figures are means over fifty or more.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from assets.alignment.spectrum_sequences import Drawn, Sample, of_drawn
from assets.alignment.spectrum_turns import Family, turns_of
from assets.compute import LIBRARIES, Dtype, load_model, prepare
from assets.evaluation.intervals import wilson
from assets.evaluation.k_shot import LEAST, nats_by_index, read_table
from assets.evaluation.person_pages import page, picture
from assets.evaluation.resampling import NORMAL, flip_clusters, holm
from assets.opinion_tables import OpinionTable
from assets.rows import read_rows, write_rows
from assets.synthesis.respondent_sequences import (
    Question,
    Respondent,
    RespondentFile,
    describe,
    questions_of,
    read_people,
    require_half,
    sample_of,
    tells_group,
)
from assets.synthesis.sampling import seed_of
from registry.errors import MethodError
from registry.intake.estimates import FEWEST_ANSWERS
from registry.method import Method, Role
from registry.profile_tables import OPINIONS
from registry.results import Result, Results
from registry.typed import Frozen

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.random import Generator

    from registry.context import Context, Input, ProfileView

Array = NDArray[np.float64]
ALL = ""
"""The mean over groups, each group counting alike."""
OWN_TABLE, POOLED_TABLE, UNIFORM = "own table", "pooled table", "uniform"


class Params(Frozen):
    """Whose answers, and after how many of their own."""

    respondents: RespondentFile
    """The survey's file, its columns, and the permission to read its rows."""
    known: tuple[int, ...] = Field(default=(0, 2, 8), min_length=1)
    """After how many of a person's own answers the next is guessed."""
    people: int = Field(default=400, ge=FEWEST_ANSWERS)
    """People of each group at most, drawn with the seed."""
    flips: int = Field(default=10_000, ge=100)
    """Draws of the permutation test, in which people change sides. With few of them no p can be
    small once it stands for a whole family of comparisons."""
    turns: Family | Literal["own"] = "own"
    """Whose marks stand around turns, as in training."""
    longest: int = Field(default=1024, ge=16)
    """Tokens that a sequence may have."""
    batch_size: int = Field(default=4, ge=1)
    """Sequences at once."""
    dtype: Dtype = "bfloat16"
    """The number format of the forward pass."""


@dataclass(frozen=True)
class Asked:
    """One person's answers, in the order in which every model meets them."""

    person: str
    samples: tuple[Sample, ...]
    answers: tuple[tuple[str, int], ...]
    """Item and option of each."""


@dataclass(frozen=True)
class Group:
    """The people of one group, and what its tables say."""

    profile: ProfileView
    asked: tuple[Asked, ...]
    table: Mapping[str, OpinionTable]


def draw_people(
    people: Sequence[Respondent],
    questions: Sequence[Question],
    most: int,
    answers: int,
    source: Generator,
) -> tuple[Asked, ...]:
    """At most `most` people who gave so many answers, each with so many in random order."""
    able = [one for one in people if sum(q.item in one.chosen for q in questions) >= answers]
    found = []
    for place in source.permutation(len(able))[:most].tolist():
        person = able[place]
        own = [question for question in questions if question.item in person.chosen]
        shown = [own[index] for index in source.permutation(len(own))[:answers].tolist()]
        found.append(
            Asked(
                person.id,
                tuple(sample_of(q, person.chosen[q.item], source) for q in shown),
                tuple((q.item, q.options.index(person.chosen[q.item])) for q in shown),
            )
        )
    return tuple(found)


def table_costs(asked: Sequence[Asked], table: Mapping[str, Sequence[float]]) -> Array:
    """What each answer costs one who knows the shares only, shape (people, answers)."""
    return np.array(
        [[-math.log(max(table[item][place], LEAST)) for item, place in one.answers]
         for one in asked]
    )  # fmt: skip


class Difference(Frozen):
    """One answerer's cost minus another's, person by person."""

    value: float
    low: float
    high: float
    p: float
    better: float
    """The share of people for whom it is lower; ties count half."""
    better_low: float
    better_high: float
    people: int


def compare(groups: Sequence[Array], draws: int, source: Generator) -> Difference:
    """A paired difference, each group counting alike.

    Args:
        groups: For each group one side's cost minus the other's, shape (people,).
        draws: Flips of the permutation test.
        source: Where flips come from.
    """
    n = sum(len(one) for one in groups)
    even = np.concatenate([one * n / (len(groups) * len(one)) for one in groups])
    value, lowest, highest = mean_cost(groups)
    p = flip_clusters(even[None], [f"{place:09d}" for place in range(n)], draws, source)[0].p
    share = float(np.mean([np.mean((one < 0) + 0.5 * (one == 0)) for one in groups]))
    low, high = wilson(share, n)
    return Difference(
        value=value, low=lowest, high=highest, p=p,
        better=share, better_low=low, better_high=high, people=n,
    )  # fmt: skip


def mean_cost(groups: Sequence[Array]) -> tuple[float, float, float]:
    """The mean of group means, with its 95 % interval over people."""
    value = float(np.mean([one.mean() for one in groups]))
    variance = sum(float(np.var(one, ddof=1)) / len(one) for one in groups) / len(groups) ** 2
    margin = NORMAL * math.sqrt(variance)
    return value, value - margin, value + margin


class Costs:
    """What each answer of each person costs each answerer, in nats."""

    def __init__(self, groups: Sequence[Group]) -> None:
        self.groups = {group.profile.id: group for group in groups}
        self.found: dict[str, dict[str, Array]] = {}

    def add(self, answerer: str, community: str, costs: Array) -> None:
        """Takes one answerer's costs of one group's people."""
        self.found.setdefault(answerer, {})[community] = costs

    def add_tables(self, known: Sequence[int]) -> None:
        """Those of uniform answers, the pooled table and each group's own."""
        own = {name: {i: t.shares for i, t in g.table.items()} for name, g in self.groups.items()}
        pooled = {
            item: tuple(np.mean([table[item] for table in own.values()], axis=0))
            for item in set.intersection(*(set(table) for table in own.values()))
        }
        even = {item: (1 / len(shares),) * len(shares) for item, shares in pooled.items()}
        for name, group in self.groups.items():
            for label, table in ((UNIFORM, even), (POOLED_TABLE, pooled), (OWN_TABLE, own[name])):
                self.add(label, name, table_costs(group.asked, table)[:, list(known)])

    def of(self, answerer: str, community: str, place: int) -> list[Array]:
        """The costs of the answer at a place, a column for each group asked for."""
        names = list(self.groups) if community == ALL else [community]
        return [self.found[answerer][name][:, place] for name in names]


def figures(costs: Costs, known: Sequence[int]) -> Iterator[dict[str, Any]]:
    """The mean cost of every answerer, by group and by how many answers are known."""
    for answerer, found in costs.found.items():
        communities = [*found, *([ALL] if len(found) == len(costs.groups) > 1 else [])]
        for community in communities:
            for place, count in enumerate(known):
                columns = costs.of(answerer, community, place)
                value, low, high = mean_cost(columns)
                yield {
                    "community": community, "answerer": answerer, "known": count,
                    "nats": value, "low": low, "high": high,
                    "people": sum(len(one) for one in columns),
                    UNIFORM: mean_cost(costs.of(UNIFORM, community, place))[0],
                }  # fmt: skip


def comparisons(
    costs: Costs, models: Sequence[str], known: Sequence[int], draws: int, source: Generator
) -> list[dict[str, Any]]:
    """Every model minus every other and minus the tables, with p for the whole family (Holm)."""
    rows = []
    for one, model in enumerate(models):
        for rival in [*models[one + 1 :], POOLED_TABLE, OWN_TABLE]:
            both = [c for c in costs.groups if c in costs.found[model] and c in costs.found[rival]]
            for community in [*both, *([ALL] if len(both) == len(costs.groups) > 1 else [])]:
                for place, count in enumerate(known):
                    pairs = zip(
                        costs.of(model, community, place),
                        costs.of(rival, community, place),
                        strict=True,
                    )
                    found = compare([a - b for a, b in pairs], draws, source)
                    head = {"community": community, "answerer": model, "rival": rival}
                    rows.append({**head, "known": count, **found.model_dump()})
    adjusted = holm([row["p"] for row in rows])
    return [row | {"p_holm": float(p)} for row, p in zip(rows, adjusted, strict=True)]


def _groups(context: Context, params: Params) -> list[Group]:
    rows = read_rows(context.input("questionnaire").files / "items.parquet").to_dicts()
    questions = questions_of(rows)
    every = [*questions, *questions_of(rows, held_out=True)]
    people = read_people(context, params.respondents, questions, str(rows[0]["instrument"]))
    answers = max(params.known) + 1
    found = []
    for profile in context.profiles:
        learning, held = people.get(profile.id, ([], []))
        require_half(profile, learning)
        table = read_table(profile, every)
        told = [question for question in questions if question.item in table]
        source = np.random.default_rng(seed_of(context.seed, profile.id))
        asked = draw_people(held, told, params.people, answers, source)
        if len(asked) < FEWEST_ANSWERS:
            raise MethodError(
                f"{len(asked)} people of {profile.id} gave {answers} answers; "
                f"at least {FEWEST_ANSWERS} are needed",
                why="a figure over few people could point at one of them",
                mend="lower params.known, or leave the group out of `communities`",
            )
        found.append(Group(profile, asked, table))
    return found


def _score(
    given: Input, groups: Sequence[Group], params: Params, context: Context
) -> Iterator[tuple[str, Array]]:
    """What a model says of each group that it answers as; a community's own only of that one."""
    device = prepare(context)
    model, tokenizer = load_model(given.files, device, params.dtype)
    turns = turns_of(tokenizer, params.turns)
    told = tells_group(given.files)
    for group in groups:
        if given.community not in (None, group.profile.id):
            continue
        description = describe(group.profile.name if told else None)
        sequences = [
            of_drawn(turns, Drawn(one.person, description, one.samples), params.longest)
            for one in group.asked
        ]
        whole = [s for s in sequences if s and len(s.outputs) == max(params.known) + 1]
        if len(whole) < len(sequences):
            raise MethodError(
                f"{len(sequences) - len(whole)} of {len(sequences)} sequences of "
                f"{max(params.known) + 1} answers do not fit into {params.longest} tokens",
                where=given.label,
                why="models are compared on the same answers of the same people",
                mend="raise params.longest, or lower params.known",
            )
        pad = tokenizer.pad_token_id or 0
        costs = np.array(list(nats_by_index(model, whole, pad, params.batch_size)))
        yield group.profile.id, costs[:, list(params.known)]


def _write(
    folder: Path,
    costs: Costs,
    params: Params,
    models: Mapping[str, Sequence[Input]],
    source: Generator,
) -> None:
    found = list(figures(costs, params.known))
    compared = comparisons(costs, list(models), params.known, params.flips, source)
    write_rows(folder / "figures.parquet", found)
    write_rows(folder / "comparisons.parquet", compared)
    names = {name: group.profile.name for name, group in costs.groups.items()}
    (folder / "guesses.md").write_text(page(found, compared, names), encoding="utf-8")
    (folder / "guesses.png").write_bytes(picture(found, names))
    beside = {(row["community"], row["known"], row["answerer"]): row["nats"] for row in found}
    results = [
        Result(
            about=given.label,
            community=row["community"],
            slice="people held out",
            metric=f"nats an answer, {row['known']} known",
            lower_is_better=True,
            value=row["nats"],
            low=row["low"],
            high=row["high"],
            items=1,
            people=row["people"],
            beside={
                label: beside[row["community"], row["known"], label]
                for label in (UNIFORM, POOLED_TABLE, OWN_TABLE)
            },
        )
        for row in found
        for given in models.get(row["answerer"], ())
        if row["community"] and given.community in (None, row["community"])
    ]
    Results(results=tuple(results)).write(folder)
    headline = {
        f"{row['answerer']} - {row['rival']}, {row['known']} known": row["value"]
        for row in compared
        if row["community"] == ALL
    }
    (folder / "headline.json").write_text(json.dumps(headline, indent=2) + "\n")


def run(context: Context) -> None:
    """Scores the same answers of the same people by every model."""
    params = context.typed(Params)
    groups = _groups(context, params)
    costs = Costs(groups)
    costs.add_tables(params.known)
    models: dict[str, list[Input]] = {}
    given = context.inputs("models")
    for done, one in enumerate(given, 1):
        models.setdefault(one.name, []).append(one)
        for community, found in _score(one, groups, params, context):
            costs.add(one.name, community, found)
        context.progress(done, len(given))
    source = np.random.default_rng(seed_of(context.seed, "flips"))
    _write(context.out, costs, params, models, source)


method = Method(
    name="person-guesses",
    kind="evaluation",
    description="What people's next answers cost models that know their group, or do not.",
    params=Params,
    run=run,
    inputs={
        "models": Role("model", "the models to compare", many=True, form="language model"),
        "questionnaire": Role("dataset", "the items in every wording"),
    },
    reads=(OPINIONS.file,),
    profile_fields=("name", "opinions"),
    use="evaluate",
    libraries=(*LIBRARIES, "duckdb", "matplotlib", "numpy", "polars", "scipy"),
)
