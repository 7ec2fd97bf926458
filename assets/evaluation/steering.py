"""Steerability: how much better a community's own model serves it than the others' models do.

For one community and one kind of material, the own model's score minus the mean score of the other
communities' models, all on that community's own items: one column of the cross matrix. Along a row
one mostly reads how near a community is to a careless answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from assets.evaluation.distances import Array
from assets.evaluation.intervals import wilson
from assets.evaluation.resampling import (
    advantage,
    holm,
    interval,
    permute_labels,
    permute_owners,
)
from assets.evaluation.steering_scores import METRICS, TABLE, Answerer, Column, Kind, Scores
from registry.results import Result

FEWEST_MODELS = 2


@dataclass(frozen=True)
class Steered:
    """One community's own model beside the others' models of its family."""

    kind: Kind
    slice: str
    family: str
    community: str
    node: str
    own: float
    others: float
    """The mean score of the other communities' models."""
    steerability: float
    low: float
    high: float
    p: float
    """One-sided, for this community alone."""
    smallest_p: float
    """The smallest p that so few models and clusters can give."""
    exact: bool
    models: int
    clusters: int
    items: int
    people: int | None
    baseline: bool
    p_family: float = 1.0
    """The same for all communities of the family together (Holm)."""
    tables: float | None = None
    """What the learning tables reach in place of the models. No ceiling: a model can also be worse
    for the others than a table is."""

    def to_row(self) -> dict[str, Any]:
        """The same as a row of a table."""
        return asdict(self)


@dataclass(frozen=True)
class Together:
    """All communities of one family at once."""

    kind: Kind
    slice: str
    family: str
    communities: int
    steerability: float
    """The mean over communities."""
    p: float
    smallest_p: float
    exact: bool
    baseline: bool


def average_seeds(column: Column, seeds: Mapping[str, Sequence[str]]) -> Column:
    """Models that differ only in their seed become one, before anything else is computed."""
    named = {member: name for name, members in seeds.items() for member in members}
    groups: dict[Answerer, list[Scores]] = {}
    for who, scores in column.scores.items():
        family = named.get(who.family)
        if family is None:
            groups.setdefault(who, []).append(scores)
        else:
            label = f"{family}@{who.community}" if who.community else family
            groups.setdefault(replace(who, label=label, node=label, family=family), []).append(
                scores
            )
    return replace(column, scores={who: _mean(found) for who, found in groups.items()})


def _mean(found: Sequence[Scores]) -> Scores:
    again = [one.again for one in found if one.again is not None]
    return Scores(
        np.mean([one.items for one in found], axis=0),
        np.mean(again, axis=0) if again else None,
    )


def clustered(values: Array, clusters: Sequence[str]) -> tuple[float, float]:
    """A 95 % interval of a mean whose items come in clusters that go together.

    The cluster-robust standard error of a mean with Student's t for as many clusters; where each
    item is a cluster of its own it is the usual interval. Of one cluster nothing is known.
    """
    from scipy.stats import t

    names = sorted(set(clusters))
    middle, count = float(values.mean()), len(names)
    if count == 1:
        return float("-inf"), float("inf")
    member = np.array([[one == name for name in names] for one in clusters], dtype=float)
    sums = (values - middle) @ member
    error = float(np.sqrt((sums**2).sum() * count / (count - 1))) / len(values)
    margin = float(t.ppf(0.975, count - 1)) * error
    return middle - margin, middle + margin


def value_of(column: Column, scores: Scores) -> tuple[float, float, float]:
    """One cell of the cross matrix, with its interval."""
    value = float(scores.items.mean())
    if scores.again is not None:
        return value, *interval(value, scores.again, column.factor)
    if column.kind == "preferences" and len(set(column.clusters)) == column.items:
        return value, *wilson(value, column.items)
    low, high = clustered(scores.items, column.clusters)
    return value, max(0.0, low), min(1.0, high)


def matrix_rows(columns: Sequence[Column]) -> Iterator[dict[str, Any]]:
    """Every cell: what each answerer scores on each community's material."""
    for column in columns:
        for who, scores in column.scores.items():
            value, low, high = (round(one, 12) + 0.0 for one in value_of(column, scores))
            yield {
                "kind": column.kind,
                "slice": column.part,
                "community": column.community,
                "answerer": who.label,
                "family": who.family,
                "own": who.community == column.community,
                "baseline": who.baseline,
                "metric": METRICS[column.kind],
                "value": value,
                "low": low,
                "high": high,
                "items": column.items,
                "people": column.people,
            }


def families_of(columns: Sequence[Column]) -> dict[str, bool]:
    """The families of which two communities have a model, and whether each is a baseline."""
    owners: dict[str, set[str]] = {}
    kinds: dict[str, bool] = {}
    for column in columns:
        for who in column.scores:
            if who.community is not None:
                owners.setdefault(who.family, set()).add(who.community)
                kinds[who.family] = who.baseline
    return {name: kinds[name] for name, found in owners.items() if len(found) >= FEWEST_MODELS}


def _members(column: Column, family: str) -> dict[str, Answerer]:
    """The models of a family by whose they are."""
    return {who.community or "": who for who in column.scores if who.family == family}


def steered(columns: Sequence[Column], draws: int, seed: int) -> list[Steered]:
    """Every community's own model against the others', with p-values for the whole family."""
    found: list[Steered] = []
    for family, baseline in families_of(columns).items():
        for kind, part in dict.fromkeys((c.kind, c.part) for c in columns):
            chosen = [c for c in columns if (c.kind, c.part) == (kind, part)]
            rows = [
                _steered(column, family, baseline, draws, seed)
                for column in chosen
                if column.community in (members := _members(column, family))
                and len(members) >= FEWEST_MODELS
            ]
            adjusted = holm([row.p for row in rows])
            found += [
                replace(row, p_family=float(p)) for row, p in zip(rows, adjusted, strict=True)
            ]
    return _with_tables(found)


def _steered(column: Column, family: str, baseline: bool, draws: int, seed: int) -> Steered:
    members = _members(column, family)
    names = sorted(members)
    own = names.index(column.community)
    scores = np.stack([column.scores[members[name]].items for name in names])
    tested = permute_labels(
        scores, own, column.clusters, draws, np.random.default_rng([seed, len(names)])
    )
    again = [column.scores[members[name]].again for name in names]
    ahead = advantage(scores)[own]
    if drawn := [one for one in again if one is not None]:
        low, high = interval(float(ahead.mean()), advantage(np.stack(drawn))[own], column.factor)
    else:
        low, high = clustered(ahead, column.clusters)
        low, high = max(-1.0, low), min(1.0, high)
    mine = float(scores[own].mean())
    return Steered(
        kind=column.kind,
        slice=column.part,
        family=family,
        community=column.community,
        node=members[column.community].node,
        own=mine,
        others=mine - tested.difference,
        steerability=tested.difference,
        low=low,
        high=high,
        p=tested.p,
        smallest_p=tested.smallest,
        exact=tested.exact,
        models=len(names),
        clusters=len(set(column.clusters)),
        items=column.items,
        people=column.people,
        baseline=baseline,
    )


def _with_tables(rows: Sequence[Steered]) -> list[Steered]:
    """Puts beside each model what its community's learning table reaches."""
    tables = {(r.kind, r.slice, r.community): r.steerability for r in rows if r.family == TABLE}
    return [replace(r, tables=tables.get((r.kind, r.slice, r.community))) for r in rows]


def together(columns: Sequence[Column], draws: int, seed: int) -> list[Together]:
    """Each family at once: which model is whose is permuted among all communities."""
    found = []
    for family, baseline in families_of(columns).items():
        for kind, part in dict.fromkeys((c.kind, c.part) for c in columns):
            chosen = {
                c.community: c
                for c in columns
                if (c.kind, c.part) == (kind, part) and c.community in _members(c, family)
            }
            if len(chosen) < FEWEST_MODELS:
                continue
            scores = np.array(
                [
                    [
                        float(c.scores[_members(c, family)[who]].items.mean())
                        for c in chosen.values()
                    ]
                    for who in chosen
                ]
            )
            tested = permute_owners(scores, draws, np.random.default_rng([seed, len(chosen)]))
            found.append(
                Together(
                    kind=kind,
                    slice=part,
                    family=family,
                    communities=len(chosen),
                    steerability=tested.difference,
                    p=tested.p,
                    smallest_p=tested.smallest,
                    exact=tested.exact,
                    baseline=baseline,
                )
            )
    return found


def results_of(rows: Sequence[Steered]) -> Iterator[Result]:
    """What belongs on the card of each model."""
    for row in rows:
        if row.baseline:
            continue
        yield Result(
            about=row.node,
            community=row.community,
            slice=row.slice,
            metric=f"steerability on {row.kind}: {METRICS[row.kind]}, own minus others",
            lower_is_better=False,
            value=row.steerability,
            low=row.low,
            high=row.high,
            items=row.items,
            people=row.people,
            beside={"one model for all": 0.0}
            | ({TABLE: row.tables} if row.tables is not None else {}),
        )
