"""What a model must reach before it is released as a community's own, and whether it does.

A profile sets thresholds in its `evaluation`. A community that holds opinions and names no rival
gets the rule: its model is nearer to its people than uniform answers and than every model for all
that learned from it too, and the 95 % interval of each difference excludes nought. Figures are
read from evaluations that are current, recorded, and ran on this very content.

A bound is on the figure itself; who must be beaten is judged by the interval of the difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from registry.consent import Date
from registry.declaration import Slug
from registry.graph import Graph, Node
from registry.measured import evaluations_of, met
from registry.profile import Reference, Rival, Threshold
from registry.profile_tables import check_text
from registry.results import read_results
from registry.status import Status
from registry.typed import Frozen

METHOD = "pluralism"
"""The method that compares models with rivals on the people of a community."""
COMPARISONS = "comparisons.parquet"
TOLD = ", told the group"
"""How the line of a model ends that is told whom to answer as."""
ASKED = "asked"
_TABLES: Mapping[str, Rival] = {
    "uniform": "uniform",
    "pooled table": "pooled-table",
    "table of battery means": "battery-means",
}
_NAMES: Mapping[Rival, str] = {
    "uniform": "uniform answers",
    "pooled": "every model for all that learned from it too",
    "conditioned": "every model that is told the group",
    "base": "every model that learned from nobody",
    "pooled-table": "the table of all groups together",
    "battery-means": "its own table of battery means",
}
_MEASURED_AS = {"community tests passed": "share of tests passed"}
"""What evaluations call a metric, where a profile calls it otherwise."""
_SLICED = ("total variation", "skill")
"""Metrics that are given for each slice of the questionnaire."""


class Judged(Frozen):
    """One demand of a community on one model, and what was found."""

    community: Slug
    """Whose demand it is."""
    demand: str
    """What must be so, as a sentence about the model."""
    reached: bool
    """Whether it is so."""
    found: str
    """The figures that say so, or what stands in the way of judging."""
    mend: str = ""
    """What to do where it is not so."""
    evaluations: dict[str, str] = Field(default_factory=dict)
    """The content digest of each evaluation that the figures come from, by its node."""

    @property
    def problem(self) -> str:
        """Why a model is not released; nothing where it may be."""
        return "" if self.reached else f"{self.found}; {self.mend}"


class SetAside(Frozen):
    """Somebody's word that a model is released although it does not reach what is demanded."""

    by: tuple[Reference, ...] = Field(min_length=1)
    """Who decided, as references such as `maintainer:7`."""
    reason: Annotated[str, Field(min_length=10, max_length=500), AfterValidator(check_text)]
    """Why."""
    on: Date
    """The day."""


@dataclass(frozen=True)
class _Difference:
    """A model's distance to a community's people minus a rival's."""

    rival: str
    value: float
    low: float
    high: float
    items: int
    people: int

    def __str__(self) -> str:
        return (
            f"{self.value:+.3f} ({self.low:+.3f} to {self.high:+.3f}) against {self.rival}, "
            f"{self.items} questions, {self.people} people"
        )


def community_of(graph: Graph, node: Node) -> str | None:
    """The community whose own language model a node is, if it is one's.

    That is the community that it was fanned out for, or the only one that it rests on.
    """
    if node.declaration.kind != "model":
        return None
    if node.declared.method.form not in (None, "language model"):
        return None
    rests = list(graph.permissions(node))
    own = node.community or (rests[0] if len(rests) == 1 else None)
    return own if own in graph.project.profiles else None


def judge(graph: Graph, node: Node, standing: Mapping[str, Status]) -> tuple[Judged, ...]:
    """What a model's community demands of it; nothing where it is no community's own model.

    Args:
        graph: The project.
        node: The model.
        standing: The status of every node.
    """
    community = community_of(graph, node)
    if community is None:
        return ()
    profile = graph.project.profiles[community].profile
    bench = _Bench(graph, node, community, standing)
    unheld = profile.opinions is not None and not profile.opinions.held_out
    found: list[Judged] = []
    for threshold in profile.demands:
        if threshold.beats:
            found += [bench.compared(threshold, rival, unheld=unheld) for rival in threshold.beats]
        else:
            found.append(bench.bounded(threshold))
    return tuple(found)


@dataclass(frozen=True)
class _Bench:
    """One model of one community, before everything that measured it."""

    graph: Graph
    node: Node
    community: str
    standing: Mapping[str, Status]

    def compared(self, threshold: Threshold, rival: Rival, *, unheld: bool) -> Judged:
        """Whether the model is nearer to its people than a rival."""
        part = threshold.slice or ASKED
        demand = f"it is nearer to the people of {self.community} than {_NAMES[rival]} ({part})"
        if unheld:
            found = "no other people were kept to measure it on"
            return self._not(demand, found, "take up a revision with evaluation/opinions.csv")
        current, lacking = self._evaluations(threshold.evaluation, METHOD)
        if lacking:
            return self._not(demand, *lacking)
        differences: list[_Difference] = []
        measured = False
        for one in current:
            rows = _read_differences(self.graph.artifact(one).files, self, part)
            measured |= bool(rows)
            differences += [d for d in rows if self._kind(d.rival, one) == rival]
        names = ", ".join(one.id for one in current)
        if not measured:
            return self._not(
                demand,
                f"{names} compares {self.node.id} with nobody on {part!r}",
                "score it in `answers` under its own name, as a single seed",
            )
        if not differences:
            return self._not(
                demand,
                f"{names} compares it with no such answerer",
                "add the option probabilities of one to its `answers`",
            )
        reached = all(d.high < 0 for d in differences)
        said = "; ".join(str(d) for d in differences if reached or d.high >= 0)
        return Judged(
            community=self.community,
            demand=demand,
            reached=reached,
            found=f"total variation {said}",
            mend="" if reached else _OVERRIDE,
            evaluations=self._digests(current),
        )

    def bounded(self, threshold: Threshold) -> Judged:
        """Whether a figure of the model lies within a bound."""
        metric = _MEASURED_AS.get(threshold.metric, threshold.metric)
        part = threshold.slice or (ASKED if threshold.metric in _SLICED else None)
        low, high = threshold.at_least, threshold.at_most
        bound = f"at least {low:g}" if low is not None else f"at most {high:g}"
        where = f" ({part})" if part else ""
        demand = f"its {threshold.metric} for {self.community} is {bound}{where}"
        method = METHOD if threshold.metric in _SLICED else None
        current, lacking = self._evaluations(threshold.evaluation, method)
        if lacking:
            return self._not(demand, *lacking)
        results = {
            one.id: [
                r
                for r in read_results(self.graph.artifact(one).files)
                if (r.about, r.community, r.metric) == (self.node.id, self.community, metric)
                and part in (None, r.slice)
            ]
            for one in current
        }
        given = [r for rows in results.values() for r in rows]
        if not given:
            found = f"none of {', '.join(results)} gives it"
            return self._not(demand, found, "declare an evaluation that does, then make it")
        broken = [
            r
            for r in given
            if (low is not None and r.value < low) or (high is not None and r.value > high)
        ]
        shown = [
            f"{r.value:.3f} ({r.low:.3f} to {r.high:.3f}) on {r.slice!r}, {r.items} questions"
            + (f", {r.people} people" if r.people else "")
            for r in broken or given
        ]
        return Judged(
            community=self.community,
            demand=demand,
            reached=not broken,
            found="; ".join(shown),
            mend=_OVERRIDE if broken else "",
            evaluations=self._digests([one for one in current if results[one.id]]),
        )

    def _evaluations(
        self, wanted: str | None, method: str | None
    ) -> tuple[list[Node], tuple[str, str] | None]:
        """The current evaluations of the model, or why there is none and what to do."""
        declared = [
            one
            for one in evaluations_of(self.graph, self.node)
            if one.community in (None, self.community)
            and (wanted is None or one.name == wanted)
            and (wanted is not None or method is None or one.declared.method.name == method)
        ]
        if not declared:
            named = wanted or (f"one of the method {method}" if method else "one that does")
            found = f"no evaluation called {wanted}" if wanted else "no evaluation"
            return [], (f"{found} here measures {self.node.id}", f"declare {named}, then make it")
        content = self.graph.artifact(self.node).read_manifest()
        current = [
            one
            for one in declared
            if self.standing[one.id].state == "current"
            and content is not None
            and met(self.graph, one, self.node, content.content)
        ]
        if current:
            return current, None
        first = min(declared, key=lambda one: (len(one.id), one.id))
        stands = self.standing[first.id]
        state = str(stands) if stands.state != "current" else "of another content of it"
        return [], (f"{first.id} is {state}", f"run `chorus make {first.id} --upstream`")

    def _kind(self, label: str, evaluation: Node) -> Rival | None:
        """What a line of the comparisons stands for; nothing for own models and other tables."""
        if label in _TABLES:
            return _TABLES[label]
        name = label.removesuffix(TOLD)
        seeds: Mapping[str, Sequence[str]] = getattr(evaluation.declared.params, "seeds", {})
        nodes = [self.graph.nodes.get(one) for one in seeds.get(name, (name,))]
        rests: list[str] = []
        for node in nodes:
            if node is None or node.community:
                return None
            rests += self.graph.permissions(node)
        if not rests:
            return None if label != name else "base"
        if self.community not in rests or len(set(rests)) == 1:
            return None
        return "conditioned" if label != name else "pooled"

    def _digests(self, evaluations: Sequence[Node]) -> dict[str, str]:
        found = {one.id: self.graph.artifact(one).read_manifest() for one in evaluations}
        return {name: manifest.content for name, manifest in found.items() if manifest}

    def _not(self, demand: str, found: str, mend: str) -> Judged:
        return Judged(
            community=self.community, demand=demand, reached=False, found=found, mend=mend
        )


_OVERRIDE = "make it better, or release it with --override REASON --by WHO, which is recorded"


def _read_differences(files: Path, bench: _Bench, part: str) -> list[_Difference]:
    """The model's lines of the comparisons of one evaluation, on one slice of its community."""
    import duckdb

    path = files / COMPARISONS
    if not path.is_file():
        return []
    with duckdb.connect() as connection:
        rows = connection.execute(
            "select rival, difference, low, high, items, people from read_parquet($path) "
            "where slice = $part and community = $community and model = $model order by rival",
            {
                "path": str(path),
                "part": part,
                "community": bench.community,
                "model": bench.node.id,
            },
        ).fetchall()
    return [_Difference(*row) for row in rows]
