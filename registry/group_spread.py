"""How much belonging to a group says about an answer, and how far apart answers are within it.

Both are read from the profiles' own tables, over the questions that every group of a questionnaire
answered. With the entropy H in nats, each group weighing as its people:

* explained: the mutual information of group and answer over the entropy of the answer,
  (H(answer) - H(answer | group)) / H(answer), summed over questions before dividing (Cover and
  Thomas, Elements of Information Theory, 2nd ed., section 2.3: the uncertainty coefficient);
* spread within a group: H(answer | this group) / log(options), the mean over questions: 0 where
  everybody answers alike, 1 where every option is chosen as often.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from registry.graph import Graph
from registry.profile_folder import Profile
from registry.profile_tables import OPINIONS, Opinion, read_table

_GROUPS = 2
"""Fewer groups than this cannot be compared."""

Table = Mapping[str, Mapping[str, float]]
"""Shares of each option, by question."""


@dataclass(frozen=True)
class Spread:
    """What a questionnaire says of one group among others."""

    community: str
    instrument: str
    groups: tuple[str, ...]
    """The names of the groups that were compared."""
    explained: float
    """The share of the uncertainty of an answer that the group explains."""
    within: float
    """How far apart answers are within this group."""
    questions: int


def entropy(shares: Iterable[float]) -> float:
    """Entropy in nats."""
    return -sum(share * math.log(share) for share in shares if share > 0)


def explained(tables: Sequence[Table], people: Sequence[Mapping[str, int]]) -> tuple[float, int]:
    """The share of the uncertainty of answers that the group explains, and over how many questions.

    Args:
        tables: Each group's shares.
        people: How many of each group answered each question.
    """
    common = set.intersection(*(set(table) for table in tables))
    told = whole = 0.0
    for item in common:
        total = sum(counts[item] for counts in people)
        weights = [counts[item] / total for counts in people]
        options = {option for table in tables for option in table[item]}
        mixed = [
            sum(w * table[item].get(option, 0.0) for w, table in zip(weights, tables, strict=True))
            for option in sorted(options)
        ]
        inside = (entropy(table[item].values()) for table in tables)
        whole += entropy(mixed)
        told += entropy(mixed) - sum(w * h for w, h in zip(weights, inside, strict=True))
    return (max(0.0, told / whole) if whole else 0.0), len(common)


def within(table: Table) -> float:
    """How far apart the answers of one group are; 0 for all alike, 1 for every option alike."""
    found = [entropy(one.values()) / math.log(len(one)) for one in table.values() if len(one) > 1]
    return sum(found) / len(found) if found else 0.0


def spread_of(graph: Graph, profile: Profile) -> Spread | None:
    """What the questionnaire of a profile says of it; None where no other group answered it."""
    opinions = profile.profile.opinions
    if opinions is None:
        return None
    peers = [
        other
        for other in graph.project.profiles.values()
        if other.active
        and other.profile.opinions is not None
        and other.profile.opinions.instrument == opinions.instrument
        and other.profile.kind == profile.profile.kind
    ]
    read = {other.id: _rows(other) for other in peers}
    if len(peers) < _GROUPS or profile.id not in read:
        return None
    tables = [_shares(rows) for rows in read.values()]
    share, questions = explained(tables, [{r.item: r.n for r in rows} for rows in read.values()])
    if not questions:
        return None
    return Spread(
        community=profile.id,
        instrument=opinions.instrument,
        groups=tuple(other.profile.name for other in peers),
        explained=share,
        within=within(_shares(read[profile.id])),
        questions=questions,
    )


def _rows(profile: Profile) -> tuple[Opinion, ...]:
    return read_table(profile.table(OPINIONS.file), profile.shown(OPINIONS.file), OPINIONS).rows


def _shares(rows: Iterable[Opinion]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for row in rows:
        found.setdefault(row.item, {})[row.option] = row.share
    return found
