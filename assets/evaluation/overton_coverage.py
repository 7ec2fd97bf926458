"""Which of a situation's views a response covers: sentences, and arithmetic over their scores.

Modular Pluralism (Feng et al. 2024) takes, for each view, the highest entailment over the
response's sentences, and the mean over views. OvertonScore counts the views that are covered, each
alike or by its prevalence: the share of people who hold it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Form = Literal["covered", "published", "topic"]
"""What is scored: whether a sentence entails a view (`covered`), whether a view's explanation
entails a sentence (`published`), or how near both are in topic."""
Pair = tuple[str, str]
_END = re.compile(r"(?<=[.!?\u2026\u3002\uff01\uff1f])[\"'\u2019\u201d)\]*_]*\s+(?![a-z])")
"""Before a small letter a sentence goes on."""
_BULLET = re.compile(r"^\s*(?:[-*\u2022]|\(?\d{1,3}[.)]|#{1,6})\s+")
_SHORT = re.compile(
    r"(?:^|[\s(])(?:e\.g|i\.e|etc|vs|mr|mrs|ms|dr|prof|st|no|cf|approx"
    r"|(?:[a-z]\.)*[a-z])\.$",
    re.IGNORECASE,
)
"""Endings after which a full stop ends no sentence; single letters are initials."""


def sentences(text: str) -> list[str]:
    """The sentences of a response, in their order; a line of a list is one by itself."""
    found: list[str] = []
    for line in text.splitlines():
        start = 0
        bare = _BULLET.sub("", line, count=1).strip()
        for end in _END.finditer(bare):
            if not _SHORT.search(bare[start : end.start()]):
                found.append(bare[start : end.end()].strip())
                start = end.end()
        found.append(bare[start:].strip())
    return [one for one in found if any(character.isalnum() for character in one)]


def pair(form: Form, sentence: str, view: str, explanation: str | None) -> Pair:
    """What a scorer reads: the premise, and what is asked of it."""
    return (explanation or view, sentence) if form == "published" else (sentence, view)


@dataclass(frozen=True)
class Coverage:
    """How a response covers the views of a situation."""

    best: tuple[float, ...]
    """For each view, the highest score over the sentences; 0 where there is no sentence."""
    at: tuple[int | None, ...]
    """For each view, the place of that sentence."""
    covered: tuple[bool, ...]
    """Whether each view's best score is above the threshold."""

    @property
    def mean(self) -> float:
        """The mean of the best scores."""
        return sum(self.best) / len(self.best)

    @property
    def share(self) -> float:
        """The share of views that are covered."""
        return sum(self.covered) / len(self.covered)

    def weighted(self, weights: Sequence[float]) -> float:
        """The share of all weight that the covered views have."""
        heard = sum(
            weight for weight, covered in zip(weights, self.covered, strict=True) if covered
        )
        return heard / sum(weights)


def coverage(
    scores: Mapping[Pair, float],
    form: Form,
    response: Sequence[str],
    views: Sequence[tuple[str, str | None]],
    above: float,
) -> Coverage:
    """The coverage of views by a response.

    Args:
        scores: The score of every pair that is read here.
        form: What is scored.
        response: The response's sentences.
        views: Each view with its explanation, if it has one.
        above: The score above which a view counts as covered.
    """
    best: list[float] = []
    at: list[int | None] = []
    for view, explanation in views:
        found = [scores[pair(form, one, view, explanation)] for one in response]
        place = max(range(len(found)), key=found.__getitem__) if found else None
        at.append(place)
        best.append(0.0 if place is None else found[place])
    return Coverage(tuple(best), tuple(at), tuple(score > above for score in best))
