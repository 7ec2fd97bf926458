"""What some events say beyond who, when and why: a row that left, an answer, a release, a decision.

Each detail belongs to the events that `OF` names, and to no other.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from registry.profile import Sha256
from registry.typed import Frozen

OF: dict[str, str] = {
    "release-reviewed": "review",
    "item-withdrawn": "item",
    "answered": "answer",
    "release-noticed": "release",
    "release-held": "release",
    "release-freed": "release",
    "floor-decided": "decision",
}
"""The detail that an event must have."""
DETAILS = tuple(dict.fromkeys(OF.values()))


class ReleaseReview(Frozen):
    """Whether weights that rest on licensed figures may be published, and why.

    A licence says that figures may be used. It does not say that the people behind them are well
    served by a published model, so a person looks at that and writes down what they found.
    """

    purpose: str = Field(min_length=20, max_length=1000)
    """What a published model is for."""
    identifiability: str = Field(min_length=20, max_length=1000)
    """Whether anybody could be recognised from it."""
    harm: str = Field(min_length=20, max_length=1000)
    """What it could do to the people that it speaks about, and what stands against that."""
    granted: bool
    """Whether weights may be published."""


class LeftItem(Frozen):
    """One row that a member took back: its name, and never its words or a digest of them."""

    table: str = Field(min_length=3, max_length=60)
    """The table that held it."""
    row: str = Field(min_length=1, max_length=100)
    """Its id; of opinions, the item."""
    profile_after: Sha256
    """Digest of the profile and its tables without it."""


class Answer(Frozen):
    """What two maintainers answered to somebody whom a profile speaks about."""

    objection: str = Field(pattern=r"^[0-9]{4}-objected$")
    """The event that it answers."""
    outcome: Literal["kept", "suspended"]
    """Whether the profile stays, or is taken out of every gathering."""


class ReleaseMatter(Frozen):
    """The release that a notice, or a hold, speaks about."""

    name: str = Field(min_length=3, max_length=120)
    """The model's name among releases, such as `voice/harbour-menders`."""
    version: str = Field(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+$")
    """The version that it would have."""
    content: Sha256 | None = None
    """Content digest of the model, in a notice; a hold covers whatever has this version."""


class FloorDecision(Frozen):
    """What a reviewer decided about words that the floor flags."""

    place: str = Field(min_length=3, max_length=200)
    """Where they stand: a table and row such as `values.csv:mend-first`, or a field."""
    pattern: str = Field(min_length=2, max_length=60)
    """The id of the pattern that found them."""
