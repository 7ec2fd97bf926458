"""The outcome of one expectation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from registry.artifact import CheckResult
from registry.errors import ContractError
from registry.expectation import Expectation, arguments

EXAMPLES = 5
"""Failing rows that a message shows, and a manifest names."""
ONLY_GREAT_EXPECTATIONS = "checked by Great Expectations alone"


@dataclass(frozen=True)
class Verdict:
    """The outcome of one expectation, with examples of the rows that break it."""

    expectation: Expectation
    success: bool
    unexpected: int = 0
    """How many rows (or, of sets, values) break it; 1 where it is not about rows."""
    detail: str = ""
    """What was found, where a count does not say it."""
    rows: tuple[str, ...] = ()
    """Ids of the first rows that break it, where the table has row ids."""
    examples: tuple[str, ...] = ()
    """The first rows that break it, each on a line."""

    @property
    def stops(self) -> bool:
        """Whether it stops everything downstream."""
        return not self.success and self.expectation.severity == "error"

    def to_result(self) -> CheckResult:
        """The part that belongs into the manifest."""
        given = self.expectation
        return CheckResult(
            expect=given.expect,
            table=given.table,
            arguments=arguments(given),
            severity=given.severity,
            reason=given.reason,
            success=self.success,
            unexpected=self.unexpected,
            found=self.detail,
            rows=self.rows,
        )

    @property
    def counted(self) -> str:
        """How many rows break it."""
        one = self.unexpected == 1
        return "1 row breaks it" if one else f"{self.unexpected:,} rows break it"

    def __str__(self) -> str:
        given = self.expectation
        told = ", ".join(f"{name}={value}" for name, value in arguments(given).items())
        head = f"{given.severity}: {given.expect}({told}) in {given.table}"
        rows = "".join(f"\n      {row}" for row in self.examples)
        return f"{head}: {self.detail or self.counted}\n    why: {given.reason}{rows}"


def broken(expectation: Expectation, detail: str) -> Verdict:
    """The verdict on what is broken as a whole, or cannot be checked."""
    return Verdict(expectation, success=False, unexpected=1, detail=detail)


def enough(considered: int, unexpected: int, mostly: float | None) -> bool:
    """Whether enough rows meet an expectation, as Great Expectations reckons."""
    if mostly is None or not considered:
        return unexpected == 0
    return (float(considered) - float(unexpected)) / float(considered) >= mostly


def require(verdicts: Sequence[Verdict], node: str, kept: Path) -> None:
    """Raises ContractError if any verdict stops everything downstream."""
    stopping = [v for v in verdicts if v.stops]
    if stopping:
        lines = "".join(f"\n  - {verdict}" for verdict in stopping)
        error = ContractError(
            f"the contract is broken:{lines}",
            where=node,
            why="nothing downstream is made from rows that break their contract; "
            "the artifact that stood there before is untouched",
            mend=f"look at the rows in {kept}, then mend the method, its inputs or the contract",
        )
        error.results = tuple(verdict.to_result() for verdict in verdicts)
        raise error
