"""Version 1 of `profile.yaml`: survey figures under a licence. Read for ever, written no more."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, model_validator

from registry.consent import Consent, Permission
from registry.declaration import Slug
from registry.message import Message
from registry.profile import (
    NO_WEIGHTS_BY_LICENCE,
    SCHEMA_VERSION,
    Kind,
    Language,
    Opinions,
    Source,
    ValueProfile,
)
from registry.typed import Frozen


class ValueProfileV1(Frozen):
    """A `profile.yaml` of version 1."""

    schema_version: int = Field(ge=1, le=1)
    """The version of this schema."""
    id: Slug
    """The community's id; the same as the folder's name."""
    revision: int = Field(ge=1)
    """Counts up with each change that the community makes."""
    kind: Kind
    """Who speaks."""
    name: str = Field(min_length=3, max_length=100)
    """What readers see."""
    description: str = Field(min_length=20, max_length=2000)
    """What this profile is."""
    scope: str = Field(min_length=20, max_length=2000)
    """Whom it speaks for, and whom not."""
    languages: tuple[Language, ...] = Field(min_length=1)
    """The languages of its material."""
    source: Source
    """Where its figures come from."""
    permission: Permission
    """Why Chorus may use it."""
    consent: Consent
    """What that permission grants, and until when."""
    opinions: Opinions
    """Its table of opinions."""

    @model_validator(mode="after")
    def _is_no_more_than_version_1_held(self) -> Self:
        if self.permission != "licence" or self.kind == "self-described":
            raise ValueError(
                Message(
                    "what rests on consent or a mandate, or describes itself, is written as "
                    "version 2 (`chorus profile new`)"
                )
            )
        if "publish-weights" in self.consent.uses:
            raise ValueError(NO_WEIGHTS_BY_LICENCE)
        return self


def migrate(old: ValueProfileV1) -> dict[str, Any]:
    """The same profile as version 2: nothing is made up, and nothing that methods read changes."""
    data = old.model_dump(mode="json", exclude_none=True)
    source = data.pop("source")
    data["schema_version"] = SCHEMA_VERSION
    data["sources"] = [source]
    data["licence"] = source["licence"]
    data["attribution"] = "none"
    data["modes"] = ["distributional", "steerable"]
    data["revision"] = 1  # version 1 kept no digest of the revision before
    return data


def upgraded(old: ValueProfileV1) -> ValueProfile:
    """A profile of version 1 as the rest of Chorus reads it."""
    found = ValueProfile.model_validate(migrate(old))
    return found.model_copy(update={"revision": old.revision})
