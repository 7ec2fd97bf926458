"""Value profiles: who a community is, what it holds, and what it allows (schema version 2).

This module is the typed form of `profile.yaml`. Its tables are in `profile_tables`, its life in
`profile_life`, and the folder that holds all of them in `profile_folder`.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from registry.consent import Consent, Date, Permission
from registry.declaration import Slug
from registry.licences import held_back
from registry.message import Message, about
from registry.typed import Frozen

SCHEMA_VERSION = 2

Kind = Literal["self-described", "survey-population", "opinion-cluster"]
Mode = Literal["overton", "steerable", "distributional"]
Sensitivity = Literal["party", "religion", "ethnicity", "health", "sexuality", "union"]


def check_sha256(value: str) -> str:
    """Returns `value` if it is a SHA-256 digest in hex."""
    if not re.fullmatch(r"[0-9a-f]{64}", value):
        raise ValueError(Message("write the SHA-256 digest as 64 small hex digits"))
    return value


def check_language(value: str) -> str:
    """Returns `value` if it has the shape of a BCP-47 language tag."""
    if not re.fullmatch(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*", value):
        raise ValueError(Message('write a language as a tag in quotes, like "en-US" or "no"'))
    return value


def check_reference(value: str) -> str:
    """Returns `value` if it refers to a contact without holding the address itself."""
    if "@" in value or re.search(r"[0-9]{6,}", re.sub(r"[\s().+/-]", "", value)):
        raise ValueError(
            Message(
                "write a reference such as `register:42`, never an address or a telephone number; "
                "those are kept outside the project"
            )
        )
    return value


NO_WEIGHTS_BY_LICENCE = Message(
    "a licence grants publish-weights only after a recorded review of purpose, identifiability and "
    "harm (an event 'release-reviewed'); remove it from consent.uses"
)

Sha256 = Annotated[str, AfterValidator(check_sha256)]
Language = Annotated[str, AfterValidator(check_language)]
Reference = Annotated[str, Field(min_length=3, max_length=200), AfterValidator(check_reference)]
PublicKey = Annotated[str, Field(pattern=r"^ed25519:[A-Za-z0-9+/]{43}=$")]
Signature = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{86}==$")]
Url = Annotated[str, Field(pattern=r"^https?://[^\s]+$", max_length=500)]


class Source(Frozen):
    """Where a profile's figures come from."""

    title: str = Field(min_length=3, max_length=300)
    """The title of the source."""
    publisher: str = Field(min_length=2, max_length=200)
    """Who published it."""
    citation: str = Field(min_length=10, max_length=600)
    """How to cite it."""
    url: Url
    """Where a reader finds it."""
    licence: str = Field(min_length=2, max_length=100)
    """SPDX identifier of its licence."""
    sha256: Sha256
    """Digest of the file that the figures were computed from."""
    row_id: str | None = Field(default=None, max_length=100)
    """The column of that file that tells its rows apart, if it has one."""


class Fielded(Frozen):
    """When people were asked."""

    start: Date
    """The first day."""
    end: Date
    """The last day."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.end < self.start:
            raise ValueError(Message("the last day lies before the first"))
        return self


class Opinions(Frozen):
    """What `opinions.csv` and `evaluation/opinions.csv` hold."""

    instrument: Slug
    """The questionnaire whose items the tables name."""
    fielded: Fielded
    """When people were asked."""
    weighting: str = Field(min_length=3, max_length=300)
    """How `share` was weighted."""
    held_out: bool = True
    """Whether other respondents were kept for evaluation; without them nothing can be measured."""
    override: str | None = Field(default=None, min_length=10, max_length=500)
    """Why it was imported although the groups hardly differ, if they do."""


class Steward(Frozen):
    """Who answers for the profile on the community's side."""

    organisation: str = Field(min_length=2, max_length=200)
    """The body."""
    role: str = Field(min_length=2, max_length=100)
    """The role of the person, not their name."""
    contact: Reference
    """Where the project keeps the address: a reference, never the address itself."""
    key: PublicKey | None = None
    """The public key that the steward signs with, as `chorus profile key new` prints it."""


class Authority(Frozen):
    """What gives the body the right to speak."""

    basis: Literal["board-vote", "assembly", "survey", "individual"]
    """How it was decided."""
    evidence_sha256: Sha256
    """Digest of the minutes or the result, which stay with the community."""


class Elicitation(Frozen):
    """How the content was gathered."""

    method: Literal["survey", "assembly", "polis", "interviews", "written-by-the-body"]
    """The way."""
    dates: Fielded
    """When."""
    invited: int | None = Field(default=None, ge=1)
    """How many were invited, if known."""
    took_part: int = Field(ge=1)
    """How many took part."""
    payment: str = Field(min_length=2, max_length=200)
    """What they were paid, or `none`."""
    facilitator: str | None = Field(default=None, max_length=200)
    """Who led it, as a role."""

    @model_validator(mode="after")
    def _not_more_than_invited(self) -> Self:
        if self.invited is not None and self.took_part > self.invited:
            raise ValueError(Message("more people took part than were invited"))
        return self


class Participants(Frozen):
    """One aggregate about who took part; no cell of fewer than ten people."""

    group: str = Field(min_length=2, max_length=100)
    """The group, in the community's own words."""
    n: int = Field(ge=10)
    """How many of them; smaller groups are merged or left out."""


class OffLimits(Frozen):
    """A topic on which nothing may be generated."""

    id: Slug
    """Its id."""
    topic: str | None = Field(default=None, min_length=3, max_length=200)
    """The topic in words; left out where even naming it would disclose it."""
    terms: tuple[str, ...] = Field(default=(), max_length=50)
    """Words that give it away, for checks of generated rows."""
    steward_only: bool = False
    """Whether only the steward's own copy names it."""

    @model_validator(mode="after")
    def _kept_back(self) -> Self:
        if self.steward_only and (self.topic or self.terms):
            raise ValueError(
                Message("a topic for the steward only is not written here: leave its words out")
            )
        if not self.steward_only and not self.topic:
            raise ValueError(Message("name the topic, or mark it `steward_only: true`"))
        return self


Rival = Literal["uniform", "pooled", "conditioned", "base", "pooled-table", "battery-means"]
"""What a model is compared with: uniform answers, models for all, or tables without a model."""


class Threshold(Frozen):
    """What a model must reach before the community lets it be released as its own."""

    metric: Literal[
        "total variation",
        "skill",
        "norm agreement",
        "preference accuracy",
        "community tests passed",
    ]
    """What is measured."""
    evaluation: Slug | None = None
    """The evaluation that measures it; where left out, every one that is current counts."""
    slice: str | None = Field(default=None, min_length=2, max_length=60)
    """On which part of the material; the questions that were asked where left out."""
    at_most: float | None = None
    """The highest value that will do."""
    at_least: float | None = None
    """The lowest value that will do."""
    beats: tuple[Rival, ...] = ()
    """Whom it must be nearer to the community than, beyond what chance explains."""

    @model_validator(mode="after")
    def _one_demand(self) -> Self:
        given = [self.at_most is not None, self.at_least is not None, bool(self.beats)]
        if sum(given) != 1:
            raise ValueError(Message("give `at_most`, `at_least` or `beats`, one of them"))
        if self.beats and self.metric != "total variation":
            raise ValueError(
                about("beats", Message("only `total variation` is compared with other answerers"))
            )
        if twice := next((one for one in self.beats if self.beats.count(one) > 1), None):
            raise ValueError(about("beats", Message("{word!r} stands twice", word=twice)))
        return self


class Evaluation(Frozen):
    """How the community wants models of it to be judged."""

    held_out_share: float = Field(default=0.2, ge=0.05, le=0.5)
    """The share of its norms, examples and pairs that no model learns from."""
    thresholds: tuple[Threshold, ...] = ()
    """What a model must reach before it is released as the community's own."""
    sign_off: str | None = Field(default=None, max_length=100)
    """Which role on the community's side signs off."""


class Withdrawal(Frozen):
    """What was agreed, in advance, about leaving."""

    contact: Reference
    """Where to say so: a reference, never an address."""
    notice_days: int = Field(ge=0, le=365)
    """How many days between the word and the deed."""
    releases: Literal["retire", "retrain", "leave-with-notice"]
    """What happens to models that are released already."""


BEATS = Threshold(metric="total variation", beats=("uniform", "pooled"))
"""What a community that holds opinions demands, unless its profile says whom to beat."""


class ValueProfile(Frozen):
    """A community's `profile.yaml`."""

    schema_version: int = Field(ge=SCHEMA_VERSION, le=SCHEMA_VERSION)
    """The version of this schema."""
    id: Slug
    """The community's id; the same as the folder's name."""
    revision: int = Field(ge=1)
    """Counts up with each change that the community makes."""
    supersedes: Sha256 | None = None
    """Digest of the previous revision's `profile.yaml`."""
    kind: Kind
    """Who speaks: a body that answers to its members, sampled people, or a cluster of votes."""
    fictional: bool = False
    """Whether it is made up, for tests and tutorials; kept out of every reported result."""
    name: str = Field(min_length=3, max_length=100)
    """What readers see; only a self-described profile is called a community."""
    description: str = Field(min_length=20, max_length=2000)
    """What this profile is."""
    scope: str = Field(min_length=20, max_length=2000)
    """Whom it speaks for, and whom not."""
    languages: tuple[Language, ...] = Field(min_length=1)
    """The languages of its material, as BCP-47 tags."""
    sensitive: tuple[Sensitivity, ...] = ()
    """Whether the people are grouped by something that can endanger them."""
    steward: Steward | None = None
    """Who answers for it on the community's side."""
    authority: Authority | None = None
    """What gives the body the right to speak."""
    elicitation: Elicitation | None = None
    """How the content was gathered."""
    participants: tuple[Participants, ...] = ()
    """Who took part, as aggregates only."""
    sources: tuple[Source, ...] = ()
    """Where its figures come from."""
    licence: str = Field(min_length=2, max_length=100)
    """SPDX identifier of the licence of its content, or `none-granted`."""
    labels: tuple[Url, ...] = ()
    """Addresses of Local Contexts labels, which inform and do not bind."""
    attribution: Literal["named", "pseudonymous", "none"]
    """How those who wrote it are named."""
    permission: Permission
    """Why Chorus may use it."""
    consent: Consent
    """What that permission grants, and until when."""
    withdrawal: Withdrawal | None = None
    """What was agreed about leaving."""
    modes: tuple[Mode, ...] = Field(min_length=1)
    """Which forms of pluralism it is meant for."""
    opinions: Opinions | None = None
    """Its table of opinions, if it has one."""
    off_limits: tuple[OffLimits, ...] = Field(default=(), max_length=200)
    """Topics on which nothing may be generated."""
    evaluation: Evaluation = Evaluation()
    """How the community wants models of it to be judged."""

    @property
    def described_by_itself(self) -> bool:
        """Whether a body that answers to its members wrote or approved it."""
        return self.kind == "self-described"

    @property
    def demands(self) -> tuple[Threshold, ...]:
        """What every model of it must reach: its thresholds, and the rule for opinions."""
        given = self.evaluation.thresholds
        ruled = self.opinions is None or any(threshold.beats for threshold in given)
        return given if ruled else (BEATS, *given)

    @model_validator(mode="after")
    def _permission_fits(self) -> Self:
        if self.permission == "licence" and self.described_by_itself and not self.fictional:
            raise ValueError(Message("a self-described profile rests on consent or a mandate"))
        return self

    @model_validator(mode="after")
    def _licence_grants_it(self) -> Self:
        if self.permission == "licence":
            for licence in (self.licence, *(source.licence for source in self.sources)):
                if refused := held_back(licence, self.consent.uses):
                    raise ValueError(about("consent.uses", refused))
        return self

    @model_validator(mode="after")
    def _weights_are_granted_by_people(self) -> Self:
        if self.permission == "licence" and "publish-weights" in self.consent.uses:
            raise ValueError(NO_WEIGHTS_BY_LICENCE)
        return self

    @model_validator(mode="after")
    def _somebody_granted_it(self) -> Self:
        if self.permission != "licence" and self.consent.granted_by is None:
            raise ValueError(about("consent.granted_by", Message("say which role granted it")))
        return self

    @model_validator(mode="after")
    def _terms_are_known(self) -> Self:
        if self.permission != "licence" and self.consent.terms_sha256 is None:
            what = Message("give the digest of the terms as signed")
            raise ValueError(about("consent.terms_sha256", what))
        return self

    @model_validator(mode="after")
    def _kind_fits(self) -> Self:
        required = ("steward", "authority", "elicitation", "withdrawal")
        if self.described_by_itself:
            if lacking := [name for name in required if getattr(self, name) is None]:
                needed = ", ".join(lacking)
                raise ValueError(Message("a self-described profile needs {names}", names=needed))
            return self
        if given := [n for n in ("steward", "authority") if getattr(self, n) is not None]:
            what = Message(
                "a profile of kind {kind} has no {names}",
                kind=self.kind,
                names=" and no ".join(given),
            )
            raise ValueError(what)
        if not self.sources and not self.fictional:
            what = Message("a profile of kind {kind} names the sources of its figures",
                           kind=self.kind)  # fmt: skip
            raise ValueError(what)
        return self

    @model_validator(mode="after")
    def _sensitive_stays_home(self) -> Self:
        weights = "publish-weights" in self.consent.uses
        if self.sensitive and weights and not self.described_by_itself:
            raise ValueError(
                Message(
                    "weights of people grouped by {group} are published only where they "
                    "describe themselves and their consent names it",
                    group=self.sensitive[0],
                )
            )
        return self

    @model_validator(mode="after")
    def _nothing_twice(self) -> Self:
        named: dict[str, list[str]] = {
            "off_limits": [topic.id for topic in self.off_limits],
            "modes": [*self.modes],
            "consent.uses": [*self.consent.uses],
        }
        for name, given in named.items():
            if twice := next((one for one in given if given.count(one) > 1), None):
                raise ValueError(about(name, Message("{word!r} stands twice", word=twice)))
        return self

    @model_validator(mode="after")
    def _revision_has_a_past(self) -> Self:
        if (self.revision > 1) != (self.supersedes is not None):
            what = Message(
                "the digest of the previous revision belongs to every revision after the first"
            )
            raise ValueError(about("supersedes", what))
        return self
