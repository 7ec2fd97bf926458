"""Rules of thumb from a file of Social Chemistry 101 (Forbes et al., EMNLP 2020).

The collection describes what some crowd workers in the United States wrote and judged. Nobody
holds these norms as a body, so they are material for a community that makes its own profile: what
it keeps becomes its norms. The agreement is one worker's guess at how many people agree, not a
count of them.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from registry.errors import UsageError
from registry.intake.tables import opened
from registry.profile_tables import MAX_ROWS, Norm

_COLUMNS = {
    "situation": "situation",
    "rule": "rot",
    "identity": "rot-id",
    "judgement": "action-moral-judgment",
    "agreement": "rot-agree",
    "foundations": "rot-moral-foundations",
    "bad": "rot-bad",
    "area": "area",
    "split": "split",
}
_BUCKETS = "a judgement is -2 to 2, an agreement 0 to 4, as the collection's README says"
_FIND = """
SELECT count(*) FILTER (bad NOT IN ('0', '0.0')),
       count(*) FILTER (bad IN ('0', '0.0') AND (judgement IS NULL OR agreement IS NULL)),
       count(*) FILTER (try_cast(coalesce(judgement, '0') AS DOUBLE) NOT IN (-2, -1, 0, 1, 2)
                        OR try_cast(coalesce(judgement, '0') AS DOUBLE) IS NULL
                        OR try_cast(coalesce(agreement, '0') AS DOUBLE) NOT IN (0, 1, 2, 3, 4)
                        OR try_cast(coalesce(agreement, '0') AS DOUBLE) IS NULL),
       count(*)
FROM raw WHERE ($area IS NULL OR area = $area) AND ($split IS NULL OR split = $split)
"""
_RULES = """
SELECT identity, min(situation), min(rule),
       quantile_disc(CAST(judgement AS DOUBLE), 0.5), quantile_disc(CAST(agreement AS DOUBLE), 0.5),
       string_agg(DISTINCT foundations, '|' ORDER BY foundations)
FROM raw
WHERE bad IN ('0', '0.0') AND judgement IS NOT NULL AND agreement IS NOT NULL
      AND ($area IS NULL OR area = $area) AND ($split IS NULL OR split = $split)
GROUP BY identity
ORDER BY sha256(identity)
LIMIT $most
"""


@dataclass(frozen=True)
class Norms:
    """The rules of a file, and why others were left out."""

    rows: tuple[Norm, ...]
    left_out: dict[str, int]
    """For each reason how many rows."""


def read_norms(
    path: Path, *, area: str | None = None, split: str | None = None, at_most: int | None = None
) -> Norms:
    """Reads the rules of a file; several judgements of one rule become their median.

    Args:
        path: The TSV of Social Chemistry 101, plain or gzipped.
        area: Only rules from this source, such as `dearabby`.
        split: Only rules of this part, such as `train`.
        at_most: As many rules, chosen by a hash of their ids.

    Raises:
        UsageError: The file is another, or holds more rules than a table may.
    """
    with opened(path, _COLUMNS, delimiter="\t") as connection:
        chosen = {"area": area, "split": split}
        row = connection.execute(_FIND, chosen).fetchone()
        bad, unanswered, outside, total = row if row is not None else (0, 0, 0, 0)
        if not total:
            raise UsageError(
                "has no rule of this area and split",
                where=str(path),
                mend="leave out --area and --split",
            )
        if outside:
            raise UsageError(
                f"holds {outside:,} rows outside the buckets",
                where=str(path),
                why=_BUCKETS,
                mend="give the collection's own file",
            )
        found = connection.execute(_RULES, {**chosen, "most": (at_most or MAX_ROWS) + 1}).fetchall()
    if at_most is None and len(found) > MAX_ROWS:
        raise UsageError(
            f"holds more than {MAX_ROWS:,} rules",
            where=str(path),
            why="a community can look through a part only",
            mend="choose with --area, --split or --at-most",
        )
    left_out = Counter({"marked as bad by the worker": bad, "without an answer": unanswered})
    rows = _typed(found[:at_most], left_out)
    return Norms(tuple(rows), {reason: n for reason, n in left_out.items() if n})


def _typed(found: Sequence[tuple[Any, ...]], left_out: Counter[str]) -> list[Norm]:
    rows: dict[str, Norm] = {}
    for identity, situation, rule, judgement, agreement, foundations in found:
        digest = hashlib.sha256((identity or "").encode()).hexdigest()
        known = dict.fromkeys(filter(None, (foundations or "").split("|")))
        try:
            norm = Norm(
                id=f"sc-{digest[:16]}",
                situation=" ".join((situation or "").split()),
                rule=" ".join((rule or "").split()),
                judgement=int(judgement),
                agreement=int(agreement),
                foundations=" ".join(known),
            )
        except ValidationError as error:
            column = error.errors()[0]["loc"][0]
            left_out[f"{column}: too long, too short, or no plain text"] += 1
            continue
        rows[norm.id] = norm
    return sorted(rows.values(), key=lambda norm: norm.id)
