"""How well a threshold on similarity tells a question's topic: python -m benchmarks.nearest_item.

Each wording of each item of the shipped questionnaire is taken for a question, and compared with
the other wordings of its own item, and with those of items of other batteries (other topics).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

from assets.sentences import embed
from assets.sources.questionnaire import Instrument, compose
from registry.nearest_item import NEAR
from registry.strict_yaml import read, typed

INSTRUMENT = Path(__file__).parents[1] / "registry/instruments/civic-2020.yaml"
THRESHOLDS = (0.5, 0.55, 0.6, NEAR, 0.7, 0.75, 0.8)


def figures() -> dict[str, list[float]]:
    """Similarities: of pairs, and of each wording to the nearest of its own item and of others."""
    document, _ = read(INSTRUMENT, INSTRUMENT.name)
    assert document is not None
    instrument, _ = typed(Instrument, document)
    assert instrument is not None
    rows = compose(instrument, 0)
    vectors = embed([row["question"] for row in rows])
    cosines = (vectors @ vectors.T).tolist()
    pairs = list(combinations(range(len(rows)), 2))
    same = [cosines[i][j] for i, j in pairs if rows[i]["item"] == rows[j]["item"]]
    other = [cosines[i][j] for i, j in pairs if rows[i]["item"] != rows[j]["item"]]
    own, sibling, foreign = [], [], []
    for i, row in enumerate(rows):
        by_kind: dict[str, list[float]] = {"own": [], "sibling": [], "foreign": []}
        for j, candidate in enumerate(rows):
            if i != j:
                by_kind[_kind(row, candidate)].append(cosines[i][j])
        own.append(max(by_kind["own"]))
        sibling.append(max(by_kind["sibling"], default=-1.0))
        foreign.append(max(by_kind["foreign"]))
    return {
        "pairs of one item": same,
        "pairs of two items": other,
        "nearest of its own item": own,
        "nearest of another item of its battery": sibling,
        "nearest of another battery": foreign,
    }


def _kind(row: dict[str, object], other: dict[str, object]) -> str:
    if row["item"] == other["item"]:
        return "own"
    return "sibling" if row["battery"] == other["battery"] else "foreign"


def share_at(values: list[float], threshold: float) -> float:
    """The share of similarities at or above a threshold."""
    return sum(value >= threshold for value in values) / len(values)


def lines() -> Iterator[str]:
    """The table that is printed."""
    found = figures()
    yield "share of similarities at or above a threshold" + "".join(
        f"{threshold:8.2f}" for threshold in THRESHOLDS
    )
    for name, values in found.items():
        shares = "".join(f"{share_at(values, threshold):8.1%}" for threshold in THRESHOLDS)
        yield f"{name:<38}{len(values):>7,}{shares}"


if __name__ == "__main__":
    for line in lines():
        print(line)
