"""How profiles are spoken of wherever people read: for whom they speak, and on what permission."""

from __future__ import annotations

from registry.profile import ValueProfile

SPEAKS = {
    "self-described": "Written or approved by a body that answers to its members.",
    "survey-population": (
        "Estimates what survey respondents answered. Nobody who answered has endorsed this model; "
        "it speaks for no one."
    ),
    "opinion-cluster": (
        "Estimates how a cluster of voters voted. Nobody who voted has endorsed this model; it "
        "speaks for no one."
    ),
}
"""For whom figures about a profile of each kind speak."""
OUT_OF_SCOPE = (
    "in place of a poll or of asking people; imitating members of a group; persuasion; targeting"
)
"""What nothing made from a profile is for."""


def permission_words(profile: ValueProfile) -> str:
    """The permission of a profile, what it grants and until when, in one sentence."""
    consent = profile.consent
    granted = ", ".join(consent.uses) or "nothing"
    until = "no end" if consent.expires_on == "never" else f"until {consent.expires_on}"
    terms = f"{profile.permission} of {profile.id} ({consent.terms_version})"
    return f"{terms}: {granted}; {until}; {consent.statement}"
