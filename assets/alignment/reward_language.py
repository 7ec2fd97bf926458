"""The share of a text's words that are in wanted languages.

A text is cut into stretches of one script, and those into sentences. What is too short to be told
counts as wanted, as it does where rows are filtered; writing in a script other than Latin is told
from two letters on.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import groupby

from assets.diversity.filtering.language import STRETCH, detector, foreignness, wanted
from registry.errors import MethodError

_EAST = ("CJK", "HIRAGANA", "KATAKANA", "BOPOMOFO")
"""Scripts that stand in one text of one language, written without spaces: each letter is a word."""
_TELLING = 2
"""Letters from which a language is told by a script other than Latin."""


def accepted_languages(languages: Sequence[str], where: str) -> frozenset[str]:
    """The detector's codes of these languages; raises MethodError where it does not know one."""
    found = wanted(languages, tuple(detector().labels))
    if not found:
        raise MethodError(
            f"the detector of languages cannot judge {', '.join(languages) or 'no language'}",
            where=where,
            why="answers would be paid for looking like other languages",
            mend="take the reward `language` out of params.rewards",
        )
    return found


def wanted_share(text: str, accepted: frozenset[str], letters: int) -> float:
    """The share of words in accepted languages; 0 for a text without words.

    Args:
        text: The text.
        accepted: The detector's codes of wanted languages.
        letters: Letters of Latin writing that are needed before its language is judged.
    """
    judge = detector()
    total, good = 0, 0.0
    for script, stretch in _stretches(text):
        needed = letters if script == "LATIN" else _TELLING
        count = _words(script, stretch)
        total += count
        good += count * (1 - foreignness(stretch, accepted, needed, False, judge))
    return good / total if total else 0.0


def _words(script: str, stretch: str) -> int:
    if script == "EAST":
        return sum(c.isalpha() for c in stretch)
    return len(re.findall(r"\w+", stretch))


def _stretches(text: str) -> Iterator[tuple[str, str]]:
    """Stretches of one script each, no longer than the detector is sure of."""
    pieces = [(_script(piece), piece) for piece in re.findall(r"\w+\W*", _parted(text))]
    for script, run in groupby(pieces, key=lambda piece: piece[0]):
        for sentence in re.split(r"(?<=[.!?;:\n])\s+", "".join(piece for _, piece in run)):
            yield from ((script, part) for part in _cut(sentence) if part.strip())


def _parted(text: str) -> str:
    """The text with a space wherever the script changes."""
    runs = groupby(text, key=lambda c: _script(c) if c.isalpha() else "")
    return "".join(
        f" {''.join(run)} " if script == "EAST" else "".join(run) for script, run in runs
    )


def _cut(sentence: str) -> Iterator[str]:
    words = sentence.split(" ")
    part: list[str] = []
    for word in words:
        if part and len(" ".join([*part, word])) > STRETCH:
            yield " ".join(part)
            part = []
        part.append(word)
    yield " ".join(part)


def _script(text: str) -> str:
    letter = next((c for c in text if c.isalpha()), "")
    name = unicodedata.name(letter, "").partition(" ")[0].partition("-")[0] if letter else "LATIN"
    return "EAST" if name in _EAST else name
