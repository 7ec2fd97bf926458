"""Languages, judged so that a text is left out only where it is surely in another one.

Detectors know a hundred languages out of thousands, and take dialects, creoles and the spelling of
chats for foreign ones. So: a text with few letters is not judged; close relatives of a wanted
language count as wanted; a language that the detector does not know cannot be missed; and one
stretch in a wanted language is enough, since people mix languages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

READ = 4_000
"""Characters of a text that are judged."""
STRETCH = 120
"""Characters of a stretch."""
_ENOUGH = 0.5
"""As soon as wanted languages are this likely anywhere, the rest is not looked at."""
_LETTERS_SHARE = 0.5
"""A text with a smaller share of letters is a formula, a table or code."""
_RELATIVES = (
    {"en", "pcm"},
    {"no", "nb", "nn", "da", "sv"},
    {"hr", "bs", "sr", "sh", "sl", "mk", "bg"},
    {"id", "ms", "jv", "ace"},
    {"cs", "sk"},
    {"es", "an", "ext", "gl", "pt", "ca", "oc"},
    {"fr", "wa", "ht", "gcf", "gcr", "oc"},
    {"it", "vec", "lij", "la"},
    {"de", "lb"},
    {"nl", "af", "fy"},
    {"zh", "yue", "wuu"},
    {"ar", "ary", "arz"},
    {"he", "hbo"},
    {"el", "grc"},
    {"ru", "uk", "be"},
    {"fa", "tg", "sdh", "ku"},
    {"uz", "uzs"},
    {"az", "tr", "tk", "crh"},
    {"kk", "ky", "tt", "ba"},
    {"hi", "mr", "ne", "sa", "ur"},
    {"mr", "gom"},
    {"lv", "ltg"},
    {"zu", "xh"},
    {"st", "nso"},
    {"rw", "lg", "kik", "sw"},
    {"qu", "gug"},
    {"da", "fo", "is"},
    {"ga", "gd"},
    {"tl", "bcl"},
)
"""Languages that the detector takes for one another in informal writing."""
_NONE = "zxx"
"""The detector's own code for what is no language."""


def wanted(languages: Sequence[str], known: Sequence[str]) -> frozenset[str]:
    """The detector's codes that count as wanted; none where it cannot judge one of `languages`."""
    main = {tag.partition("-")[0].lower() for tag in languages}
    if not main <= {code for group in _RELATIVES for code in group} | set(known):
        return frozenset()
    near = {code for group in _RELATIVES if group & main for code in group}
    accepted = main | near
    return frozenset({*accepted, _NONE}) if accepted & set(known) else frozenset()


@cache
def detector() -> LanguageIdentifier:
    """The detector, with probabilities that are calibrated over lengths."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def foreignness(
    text: str, accepted: frozenset[str], letters: int, mixing: bool, found: LanguageIdentifier
) -> float:
    """How sure it is that no accepted language is in a text, from 0 to 1; 0 where it is not judged.

    Args:
        text: The text.
        accepted: The detector's codes of wanted languages.
        letters: Letters that the text needs.
        mixing: Whether one stretch in an accepted language is enough.
        found: The detector.
    """
    plain = re.sub(r"\S*(?:://|@)\S*", " ", text[:READ])
    count = sum(c.isalpha() for c in plain)
    solid = sum(not c.isspace() for c in plain)
    if count < letters or count < _LETTERS_SHARE * solid:
        return 0.0
    best = 0.0
    for stretch in (plain, *(_stretches(plain) if mixing else ())):
        best = max(best, sum(p for code, p in found.rank(stretch) if code in accepted))
        if best >= _ENOUGH:
            break
    return 1 - min(best, 1.0)


def _stretches(text: str) -> Iterator[str]:
    """A text cut at spaces into stretches of about the same length; the last one is not short."""
    count = max(1, len(text) // STRETCH)
    size = -(-len(text) // count)
    start = 0
    while start < len(text):
        end = text.find(" ", start + size)
        end = len(text) if end < 0 or len(text) - end < STRETCH // 2 else end
        yield text[start:end]
        start = end
