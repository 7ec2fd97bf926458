"""Verdicts in words, for readers who meet them for the first time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from registry.lineage import Hop, Verification

MEANING: Mapping[str, str] = {
    "verified": "Every byte on the way is what the records say.",
    "unsigned": "Every byte is what the records say, but nobody has signed it.",
    "unrecorded": "Whole, but no record covers it.",
    "ended": "Every byte is what the records say, but a permission has ended.",
    "erased": "What is still here is what the records say; some of it was erased by a withdrawal.",
    "broken": "Bytes differ from what the records say.",
}
"""What each verdict says."""
TONE: Mapping[str, str] = {
    "verified": "good", "unsigned": "unsure", "unrecorded": "unsure",
    "ended": "unsure", "erased": "unsure", "broken": "bad",
}  # fmt: skip
"""Which colour goes with it; the word always stands beside the colour."""
_GRAVITY = ("broken", "erased", "ended", "unrecorded", "unsigned", "verified")


class Verdict(NamedTuple):
    """One verdict as a page shows it."""

    state: str
    where: str = ""
    """The hop that it comes from."""
    finding: str = ""
    """What was found there."""

    @property
    def meaning(self) -> str:
        """What it says, in a sentence."""
        return MEANING.get(self.state, "")

    @property
    def tone(self) -> str:
        """Which colour goes with it."""
        return TONE.get(self.state, "unsure")


def verdict_of(found: Verification) -> Verdict:
    """The verdict of a walk, with the first hop that it comes from."""
    state = found.verdict
    if state == "verified":
        return Verdict(state)
    hop = next(hop for hop in found.hops if hop.state == state)
    return Verdict(state, hop.name, "; ".join(hop.findings))


def gravest(states: Iterable[str]) -> str:
    """The gravest of some states; a state that is not known is as grave as a broken one."""
    found = set(states)
    if found - set(_GRAVITY):
        return "broken"
    return next((state for state in _GRAVITY if state in found), "verified")


def gravest_by_name(hops: Iterable[Hop]) -> dict[str, str]:
    """The gravest state of each hop by its name; one may be met twice."""
    found: dict[str, str] = {}
    for hop in hops:
        found[hop.name] = gravest([hop.state, found.get(hop.name, "verified")])
    return found
