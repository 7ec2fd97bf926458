"""One artifact's quality: its contract checked anew, what it holds, and what moved since before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from registry.dataset_diff import Version, here, previous
from registry.graph import Graph, Node
from registry.quality import Verdict, check, surroundings
from registry.quality.description import Table, describe
from registry.quality.drift import Moved, drift
from registry.quality.suites import suite_digest


@dataclass(frozen=True)
class Drift:
    """How far one table has moved from the version before."""

    since: str
    """The commit that records the version before."""
    rows: int
    """Its rows."""
    columns: tuple[Moved, ...]
    """How far each column has moved, the farthest first."""


@dataclass(frozen=True)
class Contents:
    """What an artifact holds, and how far it has moved."""

    tables: tuple[Table, ...]
    drifts: dict[str, Drift]
    """By table; empty where no other version is recorded, or its bytes are not here."""


@dataclass(frozen=True)
class QualityReport:
    """What `chorus quality` says of a node."""

    node: str
    suite: str
    """SHA-256 of the contract."""
    verdicts: tuple[Verdict, ...]
    contents: Contents

    @property
    def broken(self) -> bool:
        """Whether something is broken that stops what comes after."""
        return any(verdict.stops for verdict in self.verdicts)

    def to_json(self) -> dict[str, Any]:
        """The report as JSON."""
        return {
            "node": self.node,
            "suite": self.suite,
            "contract": [
                {
                    **verdict.to_result().model_dump(mode="json"),
                    "checker": verdict.expectation.checker,
                    "examples": list(verdict.examples),
                }
                for verdict in self.verdicts
            ],
            "tables": [table.model_dump(mode="json") for table in self.contents.tables],
            "drift": {
                table: {
                    "since": found.since,
                    "rows": found.rows,
                    "columns": {one.column: one.distance for one in found.columns},
                }
                for table, found in self.contents.drifts.items()
            },
        }


def contents(graph: Graph, node: Node) -> Contents:
    """Describes what stands in the working tree; raises UsageError where that is empty."""
    now = here(graph, node)
    drifts = _drifts(previous(graph, node), now)
    return Contents(describe(graph.artifact(node).files), drifts)


def quality_report(graph: Graph, node: Node) -> QualityReport:
    """Checks and describes what stands in the working tree; raises UsageError where nothing is."""
    found, contract = contents(graph, node), node.declaration.contract
    verdicts = check(graph.artifact(node).files, contract, surroundings(graph, node))
    return QualityReport(node.id, suite_digest(contract), verdicts, found)


def _drifts(before: Version | None, now: Version) -> dict[str, Drift]:
    if before is None:
        return {}
    return {
        table: Drift(before.label, _rows(before, table), drift(before.files[table], path))
        for table, path in now.files.items()
        if table in before.files
    }


def _rows(version: Version, table: str) -> int:
    """The rows of one table of a version."""
    import duckdb

    given = [str(version.files[table])]
    found = duckdb.execute("select count(*) from read_parquet(?)", given).fetchone()
    return int(found[0]) if found else 0
