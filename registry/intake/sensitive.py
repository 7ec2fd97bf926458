"""Does a grouping look like one that can endanger people?

Only the person who imports knows; a look at the names catches what was forgotten.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import get_args

from registry.errors import UsageError
from registry.profile import Sensitivity

_SIGNS: dict[Sensitivity, str] = {
    "party": r"part(y|ies|ei)|partisan\w*|pid[37]?|democrats?|republicans?|labour|conservatives?",
    "religion": r"relig\w*|church|faith|denomination|christians?|catholics?|muslims?|jew(s|ish)?|"
    r"hindus?|buddhists?|atheists?",
    "ethnicity": r"race\w*|ethn\w*|hispanic|latin[oax]s?|black|white|asian|non-?white|"
    r"indigenous|roma",
    "health": r"health|disab\w*|diagnos\w*|illness|depress\w*|hiv",
    "sexuality": r"sexual\w*|orientation|lgbt\w*|gay|lesbian|bisexual|queer|straight",
    "union": r"unions?|trade[ _-]?unions?",
}


def looks_sensitive(column: str, labels: Iterable[str]) -> Sensitivity | None:
    """What a group column and its labels look like, if it is something sensitive."""
    words = {word for text in (column, *labels) for word in re.split(r"[\s/,;_()]+", text.lower())}
    for kind, pattern in _SIGNS.items():
        if any(re.fullmatch(pattern, word) for word in words):
            return kind
    return None


def declared(given: Sequence[str], column: str, labels: Iterable[str]) -> tuple[Sensitivity, ...]:
    """What was declared about a grouping, `none` being an answer too.

    Raises:
        UsageError: It looks sensitive and nothing was declared, or an unknown word was.
    """
    known: tuple[Sensitivity, ...] = get_args(Sensitivity)
    if wrong := [name for name in given if name not in (*known, "none")]:
        raise UsageError(
            f"does not know {wrong[0]!r}",
            where="--sensitive",
            mend=f"write one of: {', '.join(known)}, none",
        )
    if not given and (found := looks_sensitive(column, labels)):
        raise UsageError(
            f"look like a division by {found}, and nothing was declared",
            where=f"the groups of {column or 'the table'}",
            why="such profiles can endanger people: they stay in scratch projects, and no weights "
            "are published",
            mend=f"give --sensitive {found}, or --sensitive none if it is something else",
        )
    return tuple(kind for kind in known if kind in given)
