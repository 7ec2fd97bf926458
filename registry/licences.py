"""What the licences of published data hold back, whatever a person writes into `uses`.

Read from the parts of a Creative Commons name: NC keeps out commercial use; SA and ND keep data
made from it from being published here, since nothing proves that it would carry the same terms.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from registry.consent import Use
from registry.message import Message

_PARTS = re.compile(r"CC-BY((?:-(?:NC|SA|ND))+)-[0-9.]+(?:-.*)?", re.IGNORECASE)
_HELD_BACK: dict[str, tuple[Use, Message]] = {
    "NC": ("commercial", Message("it is for non-commercial use")),
    "SA": ("publish-data", Message("what is made from it must be shared under the same licence")),
    "ND": ("publish-data", Message("what is made from it must not be shared")),
}


def conditions(licence: str) -> frozenset[str]:
    """Which of NC, SA and ND a licence has; none for a licence of another family."""
    found = _PARTS.fullmatch(licence.strip())
    return frozenset(found[1].upper().strip("-").split("-")) if found else frozenset()


def held_back(licence: str, uses: Iterable[Use]) -> Message | None:
    """Why a licence does not grant one of some uses; None where it holds none of them back."""
    wanted = set(uses)
    for part in sorted(conditions(licence)):
        use, why = _HELD_BACK[part]
        if use in wanted:
            return Message(
                "the licence {licence} does not grant {use!r}: {why}; take it out of `uses`",
                licence=licence,
                use=use,
                why=why,
            )
    return None


def dropped(declared: str, source: str) -> str:
    """The conditions of a source's licence that a declared one lacks, like `NC, SA`."""
    return ", ".join(sorted(conditions(source) - conditions(declared)))


def licence_url(licence: str) -> str:
    """Where a licence is read: the SPDX page of a name that is one, the name otherwise."""
    is_spdx = re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+-]*", licence) and licence != "none-granted"
    return f"https://spdx.org/licenses/{licence}.html" if is_spdx else licence
