"""How many of its people an own model serves better or worse than one model for all.

Read from evaluations of the method `person-guesses`, which compare models on the same answers of
the same people; only one that met this very content counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from registry.graph import Graph, Node
from registry.measured import evaluations_of, met

METHOD = "person-guesses"
_TABLE = "comparisons.parquet"


@dataclass(frozen=True)
class Served:
    """One comparison with one model for all."""

    evaluation: str
    rival: str
    known: int
    """How many other answers of the same person each model knew."""
    better: float
    """The share of people whose next answer the own model expects more; ties count half."""
    low: float
    high: float
    people: int

    @property
    def worse(self) -> float:
        """The share of people whose next answer it expects less."""
        return 1 - self.better


def better_served(graph: Graph, node: Node, content: str) -> list[Served]:
    """What is measured of an own model beside models for all; nothing where nothing is.

    Args:
        graph: The project.
        node: The model.
        content: Its content digest.
    """
    if node.community is None:
        return []
    found: list[Served] = []
    for one in evaluations_of(graph, node):
        if one.declared.method.name == METHOD and met(graph, one, node, content):
            shared = {e.node for e in one.edges if e.role == "models" and "@" not in e.node}
            found += _read(graph.artifact(one).files, one.id, node, shared)
    return found


def _read(files: Path, evaluation: str, node: Node, shared: set[str]) -> Iterator[Served]:
    import duckdb

    path = files / _TABLE
    if not path.is_file():
        return
    with duckdb.connect() as connection:
        rows = connection.execute(
            "select answerer, rival, known, better, better_low, better_high, people "
            "from read_parquet($path) where community = $community "
            "and (answerer = $own or rival = $own) order by answerer, rival, known",
            {"path": str(path), "community": node.community, "own": node.name},
        ).fetchall()
    for answerer, rival, known, better, low, high, people in rows:
        if answerer == node.name and rival in shared:
            yield Served(evaluation, rival, known, better, low, high, people)
        elif rival == node.name and answerer in shared:
            yield Served(evaluation, answerer, known, 1 - better, 1 - high, 1 - low, people)
