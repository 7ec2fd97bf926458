"""What rewards pay, from answers alone: formulas without models, each with credit per member."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any

from assets.alignment.rewards import OUTSIDE
from assets.evaluation.validity import named_answer
from assets.sources.verifiers import extract, verify
from registry.errors import MethodError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LETTERED = re.compile(r"\(?([A-Z])(?:\)|[.:]|$)")
_LEAST = 3
"""Members of a group below which the other members' labels say nothing: G - 2 must be positive."""


@dataclass(frozen=True)
class Asked:
    """One prompt, and what is known of its answers."""

    id: str
    """The row that it comes from."""
    prompt: str
    """What the model reads."""
    question: str
    """The same without the instruction that stands after every prompt."""
    ids: tuple[int, ...] = ()
    """The prompt as tokens, up to where the answer begins."""
    task: str | None = None
    """The generator whose verifier checks its answers."""
    entry: str | None = None
    """What that verifier reads."""
    options: tuple[str, ...] = ()
    """The answers to a survey question, in the order shown."""
    shares: tuple[float, ...] = ()
    """The share of people who gave each."""
    people: int = 0
    """How many they were."""
    situation: str = ""
    """What a norm is about."""
    rule: str = ""
    """The norm as a rule of thumb."""
    judgement: int | None = None
    """How the community judges it, from -2 to 2."""


@dataclass(frozen=True)
class Answer:
    """One member of a group."""

    asked: Asked
    text: str
    tokens: tuple[int, ...] = field(default=(), repr=False)
    ended: bool = True
    """Whether it ended by itself, rather than being cut."""


Pay = Callable[[Sequence[Answer]], Sequence[float | None]]
"""What each answer gets; groups stand one after the other. None where a reward does not apply."""


def checked(name: str, paid: Sequence[float | None], expected: int) -> list[float | None]:
    """What a reward paid; raises MethodError where it is not one number for each answer."""
    found = [None if one is None else float(one) for one in paid]
    if len(found) != expected:
        raise MethodError(
            f"the reward {name!r} paid {len(found)} answers out of {expected}",
            why="each answer is paid by itself",
            mend="let it return one number for each answer, or None where it does not apply",
        )
    if wrong := next((one for one in found if one is not None and not isfinite(one)), None):
        raise MethodError(
            f"the reward {name!r} paid {wrong}",
            why="weights that follow from it mean nothing",
            mend=f"take {name!r} out of params.rewards, or mend what it reads",
        )
    return found


def groups_of(answers: Sequence[Answer], size: int) -> list[Sequence[Answer]]:
    """The answers to each prompt."""
    return [answers[start : start + size] for start in range(0, len(answers), size)]


def after_thought(text: str) -> str:
    """What follows the thought; nothing where a thought does not end."""
    if text.count("<think>") > text.count("</think>"):
        return ""
    return text.rpartition("</think>")[2].strip()


def is_right(answer: Answer) -> bool:
    """Whether the task's verifier takes an answer for wholly right."""
    asked = answer.asked
    if asked.task is None or asked.entry is None:
        return False
    return verify(asked.task, asked.entry, answer.text)


def is_valid(answer: Answer) -> bool:
    """Whether an answer ended, says something, and is right where that can be known."""
    said = answer.ended and bool(after_thought(answer.text))
    return said and (answer.asked.task is None or is_right(answer))


def keeps_format(text: str, tags: Sequence[str], *, alone: bool) -> bool:
    """Whether tags stand once each, in order, with text in them; without tags, see `extract`."""
    if not tags:
        return extract(text) is not None
    if any(text.count(mark) != 1 for tag in tags for mark in (f"<{tag}>", f"</{tag}>")):
        return False
    between = r"\s*" if alone else r".*"
    parts = between.join(rf"<{tag}>(.*?)</{tag}>" for tag in tags)
    found = re.fullmatch(f"{between}{parts}{between}", text, re.DOTALL)
    return found is not None and all(inner.strip() for inner in found.groups())


def length_pay(tokens: int, free: int, most: int, *, ended: bool) -> float:
    """0 up to `free` tokens, then falling evenly to -1 at `most`; -1 for what was cut."""
    if not ended:
        return -1.0
    return 0.0 - min(1.0, max(0.0, (tokens - free) / (most - free)))


def option_of(text: str, options: Sequence[str]) -> int:
    """The place of the option that a text gives, by its letter or by its name; else `OUTSIDE`.

    A letter counts if it stands alone or with a mark after it (`B`, `(B)`, `B. Never`); a text that
    names two options gives none.
    """
    answer = extract(text)
    if answer is None:
        return OUTSIDE
    if lettered := _LETTERED.match(answer):
        place = ord(lettered[1]) - ord("A")
        return place if place < len(options) else OUTSIDE
    named = named_answer(options)(answer)
    return options.index(named) if named is not None else OUTSIDE


def rarity(targets: Sequence[float], labels: Sequence[int], margin: float) -> list[float]:
    """p(a) - c / (G - 2) for each member's label, c the *other* members with the same label.

    The divisor is G - 2, since the group's mean, which is taken off later, contains what a member's
    own label costs the others. With G - 1 the model would lean towards the majority.

    Args:
        targets: The share p of each option.
        labels: The place of the option that each member gave, or `OUTSIDE`.
        margin: How far below the lowest possible pay a label outside the options is paid.
    """
    size = len(labels)
    if size < _LEAST:
        raise MethodError(
            f"a group of {size} answers is too small to say how rare each is",
            mend="set params.group_size to 3 or more",
        )
    counts = Counter(labels)
    lowest = min(targets) - (size - 1) / (size - 2) - margin
    return [
        lowest if label == OUTSIDE else targets[label] - (counts[label] - 1) / (size - 2)
        for label in labels
    ]


def contributions(distances: NDArray[Any], valid: Sequence[bool]) -> list[float]:
    """D(S) - D(S without i) for each member, D the sum of the distances of valid pairs over G - 1.

    A member that is not valid adds nothing.

    Args:
        distances: Between members, from 0 to 1, shape (G, G), symmetric.
        valid: Which members count.
    """
    import numpy

    kept = numpy.asarray(valid, dtype=numpy.float64)
    apart = numpy.array(distances, dtype=numpy.float64)
    numpy.fill_diagonal(apart, 0)
    added = kept * (apart @ kept) / (len(kept) - 1)
    return [float(one) for one in added]


def word_distances(texts: Sequence[str]) -> NDArray[Any]:
    """One minus Jaccard's index of the sets of words of every two texts."""
    import numpy

    words = [frozenset(re.findall(r"\w+", text.casefold())) for text in texts]
    found = numpy.zeros((len(texts), len(texts)))
    for i, one in enumerate(words):
        for j, other in enumerate(words[:i]):
            union = len(one | other)
            found[i, j] = found[j, i] = 1 - len(one & other) / union if union else 0.0
    return found


def cosine_distances(vectors: NDArray[Any]) -> NDArray[Any]:
    """One minus the cosine of every two unit vectors, a negative cosine taken as none."""
    import numpy

    exact = vectors.astype(numpy.float64)
    found: NDArray[Any] = 1 - (exact @ exact.T).clip(0, 1)
    return found
