"""A group of people and what they answered, in two halves: what every importer finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from registry.intake.codebook import Named
from registry.intake.estimates import FEWEST_ANSWERS, Answers


@dataclass(frozen=True)
class Group:
    """A group of people and what they answered."""

    named: Named
    """The id and name of its profile."""
    people: tuple[int, int]
    """How many of them are in the half for learning and in the half for evaluation."""
    learning: Mapping[str, Answers]
    """What may be learned from, for each item."""
    held_out: Mapping[str, Answers] | None
    """What only evaluations read; None where no other people were counted."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """For each item that is not published, why."""

    @property
    def id(self) -> str:
        """The id of its profile."""
        return self.named.id

    @property
    def total(self) -> int:
        """How many people it has."""
        return sum(self.people)

    def published(self) -> Group:
        """The group with those items only on which enough of its people are counted."""
        reasons = dict(self.left_out)
        for item, answers in self.learning.items():
            held = answers if self.held_out is None else self.held_out.get(item)
            if answers.n < FEWEST_ANSWERS:
                reasons[item] = f"fewer than {FEWEST_ANSWERS} answers to learn from"
            elif held is None or held.n < FEWEST_ANSWERS:
                reasons[item] = f"fewer than {FEWEST_ANSWERS} answers in the half for evaluation"
        keep = [item for item in self.learning if item not in reasons]
        held_out = self.held_out and {item: self.held_out[item] for item in keep}
        return replace(
            self,
            learning={item: self.learning[item] for item in keep},
            held_out=held_out,
            left_out=reasons,
        )
