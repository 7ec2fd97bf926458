"""Prompts with the shares in which a community's respondents answered, as training reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from assets.rows import read_rows
from registry.errors import UsageError

if TYPE_CHECKING:
    from registry.context import Context

LIMITS = (
    "It was taught to choose one lettered option; its free text was not, and speaks for nobody.",
    "Small models lean on the order of options: figures are means over orders and wordings.",
)
"""What a reader of a card must know of any model that learned from these prompts."""


@dataclass(frozen=True)
class Example:
    """One prompt with the shares of its options, in the order shown."""

    community: str
    prompt: str
    shares: tuple[float, ...]
    n: int
    """How many people answered."""


def read_examples(context: Context) -> dict[str, list[Example]]:
    """The rows of every community given, in the datasets' own order."""
    found: dict[str, list[Example]] = {}
    for given in context.inputs("data"):
        for row in read_rows(given.files / "items.parquet").to_dicts():
            example = Example(row["community"], row["prompt"], tuple(row["shares"]), row["n"])
            found.setdefault(example.community, []).append(example)
    return found


def community_weights(given: Mapping[str, float], communities: Sequence[str]) -> dict[str, float]:
    """The weight of each community; raises UsageError on a weight that cannot be."""
    for name, weight in given.items():
        if weight < 0:
            raise UsageError(f"params.weights.{name} is negative")
    weights = {community: given.get(community, 1.0) for community in communities}
    if sum(weights.values()) <= 0:
        raise UsageError("params.weights leave no community any weight")
    return weights
