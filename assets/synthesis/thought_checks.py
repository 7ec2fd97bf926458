"""Whether an answer with a thought is well formed, and in the wanted languages throughout.

A thought stands first, between `<think>` and `</think>`, and an answer follows it. A text is mixed
where any part of it is not in a wanted language: letters of another script, or a stretch that a
detector takes for another language. Here a doubt counts against the text, since another sample
costs little; filters of people's own rows judge the other way round.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import groupby
from typing import Literal

from pydantic import Field

from assets.diversity.filtering.language import detector, wanted
from registry.errors import UsageError
from registry.typed import Frozen

LIBRARIES = ("py3langid",)
OPENS, CLOSES = "<think>", "</think>"
_WINDOW = 8
"""Words of a stretch that is looked at by itself."""
_SCRIPTS = {
    "ARABIC": "ar ary arz fa ku ps sd ug ur",
    "ARMENIAN": "hy",
    "BENGALI": "as bn",
    "BOPOMOFO": "zh",
    "CJK": "ja ko wuu yue zh",
    "CYRILLIC": "ba be bg crh kk ky mk mn ru sr tg tt uk uz",
    "DEVANAGARI": "gom hi mr ne sa",
    "ETHIOPIC": "am ti",
    "GEORGIAN": "ka",
    "GREEK": "el grc",
    "GUJARATI": "gu",
    "GURMUKHI": "pa",
    "HANGUL": "ko",
    "HEBREW": "hbo he yi",
    "HIRAGANA": "ja",
    "IDEOGRAPHIC": "ja wuu yue zh",
    "KANNADA": "kn",
    "KATAKANA": "ja",
    "KHMER": "km",
    "LAO": "lo",
    "LATIN": "crh ku sr tt uz",
    "MALAYALAM": "ml",
    "MYANMAR": "my",
    "ORIYA": "or",
    "SINHALA": "si",
    "TAMIL": "ta",
    "TELUGU": "te",
    "THAANA": "dv",
    "THAI": "th",
    "TIBETAN": "bo dz",
}
"""Languages by what the names of their letters begin with in Unicode; all others are Latin."""
_ANYWHERE = ("MODIFIER",)
"""Letters that many scripts share."""
_MATHEMATICS = frozenset("\u03b1\u03b2\u03b3\u03b4\u03b5\u03b8\u03bb\u03bc\u03c0\u03c3\u03c4\u03c6"
                         "\u03c9\u0394\u03a3\u03a9\u00aa\u00ba")  # fmt: skip
"""Letters of other scripts that formulas use in any language."""
_SHORT = 3
"""Such letters, or Latin ones, in a row: formulas, units and names of functions have no more."""
_FENCE = re.compile(r"```|~~~")


class ThoughtParams(Frozen):
    """What an answer must look like to be kept."""

    thought: Literal["optional", "required", "none"] = "optional"
    """Whether a thought must, may or must not stand before the answer."""
    languages: tuple[str, ...] = ()
    """The languages of the whole text; without any, languages are not looked at."""
    least_letters: int = Field(default=30, ge=1)
    """Letters below which a stretch is too short to tell languages of one script apart. Sentences
    of thirty letters are told apart with few errors; another script is seen in a single letter."""
    longest_paragraph: int = Field(default=2000, ge=0)
    """Characters of a thought's longest paragraph; 0 allows any. DeepSeek-R1 drops long paragraphs
    and names no length; this is about a page without a break."""
    code_in_thought: bool = False
    """Whether a thought may hold blocks of code, which DeepSeek-R1 drops."""


def require_known(languages: Sequence[str]) -> None:
    """Raises UsageError where the detector cannot tell one of the languages from others."""
    known = tuple(detector().labels)
    for tag in languages:
        if not wanted((tag,), known):
            raise UsageError(
                f"the detector does not know the language {tag!r}",
                why="no text could be said to be in it",
                mend="leave `languages` empty; then languages are not looked at",
            )


def split_thought(text: str) -> tuple[str | None, str] | None:
    """The thought, if any, and the answer after it; None where they are not well formed."""
    opened, closed = text.count(OPENS), text.count(CLOSES)
    if opened == closed == 0:
        return None if re.search(r"<\s*/?\s*think\b", text, re.IGNORECASE) else (None, text)
    if opened != 1 or closed != 1 or not text.lstrip().startswith(OPENS):
        return None
    before, _, answer = text.partition(CLOSES)
    return before.partition(OPENS)[2], answer


def fault(text: str, params: ThoughtParams) -> str:
    """Why an answer is not kept, whatever it says; nothing where it may be."""
    parts = split_thought(text)
    if parts is None:
        return "its thought is malformed"
    thought, answer = parts
    if not answer.strip():
        return "there is no answer" if thought is None else "no answer follows the thought"
    found = _without_thought(params) if thought is None else _thought_fault(thought, params)
    return found or ("it mixes languages" if is_mixed(text, params) else "")


def _without_thought(params: ThoughtParams) -> str:
    return "it has no thought" if params.thought == "required" else ""


def _thought_fault(thought: str, params: ThoughtParams) -> str:
    longest = max(len(part) for part in re.split(r"\n\s*\n", thought))
    if params.thought == "none":
        return "it has a thought"
    if not thought.strip():
        return "its thought is empty"
    if not params.code_in_thought and _FENCE.search(thought):
        return "its thought holds code"
    if params.longest_paragraph and longest > params.longest_paragraph:
        return "its thought has a very long paragraph"
    return ""


def is_mixed(text: str, params: ThoughtParams) -> bool:
    """Whether a part of a text is not in the wanted languages."""
    if not params.languages:
        return False
    plain = _without_marks(text)
    if _foreign_script(plain, params.languages):
        return True
    accepted = wanted(params.languages, tuple(detector().labels))
    return any(_is_foreign(part, accepted, params.least_letters) for part in _stretches(plain))


def _without_marks(text: str) -> str:
    """The words of a text: no tags, addresses or names of commands, and one form of each letter."""
    bare = re.sub(r"</?\w+>|\\[A-Za-z]+|\S*(?:://|@)\S*", " ", text)
    return unicodedata.normalize("NFKC", bare)


def _foreign_script(text: str, languages: Sequence[str]) -> bool:
    """Whether a letter is of no script that the wanted languages are written in."""
    scripts = {script for tag in languages for script in _scripts_of(tag)}
    for word in re.findall(r"[^\W\d_]+", text):
        for script, letters in groupby(word, _script):
            run = "".join(letters)
            known = script == "LATIN" or set(run) <= _MATHEMATICS
            formula = known and len(run) <= _SHORT
            if script not in scripts and not formula:
                return True
    return False


def _scripts_of(tag: str) -> tuple[str, ...]:
    main = tag.partition("-")[0].lower()
    found = tuple(script for script, named in _SCRIPTS.items() if main in named.split())
    return (*(found or ("LATIN",)), *_ANYWHERE)


@cache
def _script(letter: str) -> str:
    name = unicodedata.name(letter, "UNKNOWN")
    return name.partition(" ")[0].partition("-")[0]


def _stretches(text: str) -> Iterator[str]:
    """Sentences, and every few words in a row: a foreign sentence may stand in the middle."""
    for sentence in re.split(r"[.!?\n;:]+", text):
        yield sentence
        words = sentence.split()
        for start in range(0, len(words) - _WINDOW, _WINDOW // 2):
            yield " ".join(words[start : start + _WINDOW])


def _is_foreign(text: str, accepted: frozenset[str], least: int) -> bool:
    """Whether the detector finds all wanted languages together less likely than the others."""
    if sum(letter.isalpha() for letter in text) < least:
        return False
    found = sum(chance for code, chance in detector().rank(text) if code in accepted)
    return bool(found < 0.5)  # noqa: PLR2004 - less likely than not
