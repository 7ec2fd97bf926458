"""Contracts: what an artifact must meet, checked before it is swapped in.

`check` is the gate: one pass of DuckDB SQL over each table, with the rows that break something.
`suites` puts the same contract to Great Expectations, whose verdicts and counts are proved equal,
and publishes its pages. `registry.vocabulary` lists every expectation.
"""

from registry.expectation import arguments
from registry.quality.gate import check
from registry.quality.surroundings import Surroundings, surroundings
from registry.quality.verdict import EXAMPLES, Verdict, require

__all__ = [
    "EXAMPLES", "Surroundings", "Verdict", "arguments", "check", "require", "surroundings",
]  # fmt: skip
