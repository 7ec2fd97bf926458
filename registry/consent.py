"""The gate: may Chorus use this profile, for this, now?

Unknown, missing or expired grants nothing.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from registry.message import Message
from registry.typed import Frozen

Use = Literal["train-sft", "train-rl", "evaluate", "publish-data", "publish-weights", "commercial"]
Permission = Literal["consent", "mandate", "licence"]


def check_date(value: str) -> str:
    """Returns `value` if it is a calendar date such as `2026-11-23`."""
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        raise ValueError(Message('write a date as year-month-day in quotes, like "2026-11-23"'))
    try:
        dt.date.fromisoformat(value)
    except ValueError:
        raise ValueError(Message("is not a day of the calendar")) from None
    return value


def check_expiry(value: str) -> str:
    """Returns `value` if it is a date or the word `never`."""
    return value if value == "never" else check_date(value)


Date = Annotated[str, AfterValidator(check_date)]
Expiry = Annotated[str, AfterValidator(check_expiry)]


def today() -> dt.date:
    """The day on which a permission must hold: that of the place where the work is done."""
    return dt.date.today()  # noqa: DTZ011


class Consent(Frozen):
    """What a profile's people, its body, or its licence allow."""

    terms_version: str = Field(min_length=1, max_length=100)
    """The version of the terms, or the licence's name."""
    uses: tuple[Use, ...]
    """What it grants; anything not listed is not granted."""
    granted_on: Date
    """The day from which it holds."""
    expires_on: Expiry
    """The last day on which it holds, or `never`."""
    terms_sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    """Digest of the terms as they were signed; a licence may leave it out."""
    granted_by: str | None = Field(default=None, min_length=2, max_length=200)
    """Which role or body granted it; a licence has none."""
    review_by: Date | None = None
    """The day by which both sides look at it again."""
    jurisdiction: str | None = Field(default=None, max_length=100)
    """The law under which it was granted."""
    statement: str = Field(min_length=10, max_length=500)
    """One sentence that cards and pages print beside the profile's name."""

    def refusal(self, use: Use, today: dt.date) -> tuple[str, str] | None:
        """Why `use` is not granted on `today`, with the mend; None where it is granted."""
        if use not in self.uses:
            granted = ", ".join(self.uses) or "nothing"
            return (
                f"does not grant {use!r} (it grants {granted})",
                "ask for this use, or narrow the declaration to other communities",
            )
        return self.lapse(today)

    def lapse(self, today: dt.date) -> tuple[str, str] | None:
        """Why it does not hold on `today`, whatever it grants; None where it holds."""
        if dt.date.fromisoformat(self.granted_on) > today:
            return f"holds only from {self.granted_on}", "wait, or mend granted_on"
        if self.expires_on != "never" and dt.date.fromisoformat(self.expires_on) < today:
            mend = (
                "renew the consent in profile.yaml, or suspend the profile, "
                "which takes it out of gathering nodes"
            )
            return f"expired on {self.expires_on}", mend
        return None
