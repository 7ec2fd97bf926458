"""The rewards that a declaration of GRPO may list, each with its weight and its own settings.

What a reward pays is paid to each answer by itself. A reward that does not apply to a prompt says
nothing of its answers, and they are compared by the others.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from registry.typed import Frozen


def _name_of_tag(value: str) -> str:
    if not value.isascii() or not value.isidentifier():
        raise ValueError("is no name of a tag; use letters, digits and underscores")
    return value


class TermOfReward(Frozen):
    """What every reward has."""

    weight: float = Field(default=1.0, ge=0, le=1000)
    """What it is multiplied by before rewards are added; 0 records it and pays nothing."""
    on: Literal["all", "tasks", "prompts"] = "all"
    """Which prompts it applies to: all, those with an answer to check, or those without one."""


class AccuracyReward(TermOfReward):
    """1 for an answer that the task's verifier takes for wholly right, else 0."""

    kind: Literal["accuracy"]
    """Which reward."""


class FormatReward(TermOfReward):
    """1 for an answer in the form that is asked for, else 0."""

    kind: Literal["format"]
    """Which reward."""
    tags: tuple[Annotated[str, AfterValidator(_name_of_tag)], ...] = ("think", "answer")
    """Tags that stand once each, in this order, with text in them; without any, one answer must be
    found in the text, marked or not."""
    alone: bool = True
    """Whether nothing but blanks may stand outside the tags."""


class LanguageReward(TermOfReward):
    """The share of an answer's words that are in the wanted languages."""

    kind: Literal["language"]
    """Which reward."""
    languages: tuple[
        Annotated[str, Field(pattern=r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$")], ...
    ] = ()
    """Wanted languages as BCP-47 tags; where none is given, those of the profile."""
    letters: int = Field(default=20, ge=1)
    """Letters that a stretch needs before its language is judged; a shorter one counts as wanted.
    Detectors are wrong about shorter ones. Writing that no wanted language uses is told at once."""


class PreferenceReward(TermOfReward):
    """What a reward model of the community gives the answer."""

    kind: Literal["preference"]
    """Which reward."""
    reads: Literal["answer", "whole"] = "answer"
    """Whether it reads what follows the thought, as DeepSeek-R1 does, or the thought as well."""
    limit: float = Field(default=5.0, gt=0)
    """How far from zero it can pay: a reward model is worst where it is most sure."""


class MatchReward(TermOfReward):
    """log p(a) - log q(a): how much rarer the model gives an answer than people did.

    For questions whose answer is one letter, the first token. Its policy gradient is that of minus
    the Kullback-Leibler divergence of the model's option probabilities q from people's shares p.
    """

    kind: Literal["match"]
    """Which reward."""
    outside_margin: float = Field(default=1.0, gt=0)
    """How far below the lowest possible match an answer outside the options is paid."""


class SharesReward(TermOfReward):
    """p(a) - c / (G - 2): how much rarer a group of answers gives a label than people did.

    For sampled text from which an answer is read; c counts the other members with the same label.
    """

    kind: Literal["shares"]
    """Which reward."""
    outside_margin: float = Field(default=1.0, gt=0)
    """How far below the lowest possible pay an answer outside the options is paid."""


class NormsReward(TermOfReward):
    """How near the judgement in an answer is to the community's: 1 the same, 0 the opposite end.

    The judgement is read by a classifier that has shown that it hears a "not".
    """

    kind: Literal["norms"]
    """Which reward."""
    reads: Literal["answer", "whole"] = "answer"
    """Whether the classifier reads what follows the thought, or the thought as well."""
    must_hear: float = Field(default=0.8, ge=0.7, le=1)
    """The share of negated rules whose judgement must turn for the classifier to be taken. It is
    not 1, since a rule does not always speak of the very deed that it judges."""


class DiversityReward(TermOfReward):
    """What an answer adds to the diversity of its group: D(S) - D(S without it).

    D is the sum of the distances of all pairs over G - 1, among valid answers only, so that an
    answer is paid between 0 (the same as all others) and 1 (unlike any of G - 1 others). Valid is
    what ended by itself, says something, and is right where the prompt is a task.
    """

    kind: Literal["diversity"]
    """Which reward."""
    of: Literal["words", "meaning"] = "words"
    """Distance by shared words (Jaccard's), or by the cosine of a sentence encoder's vectors. An
    encoder hears no "not" and reads only the beginning of long texts; words need none."""
    reads: Literal["answer", "whole"] = "whole"
    """Whether what follows the thought is compared, or the thought as well."""


class LengthReward(TermOfReward):
    """0 up to a length, then falling evenly to -1."""

    kind: Literal["length"]
    """Which reward."""
    free: int = Field(default=256, ge=0)
    """Tokens that cost nothing."""
    most: int = Field(default=512, ge=1)
    """Tokens at which -1 is reached; what is cut gets -1 whatever its length."""

    @model_validator(mode="after")
    def _falls(self) -> Self:
        if self.most <= self.free:
            raise ValueError("`most` must be larger than `free`")
        return self


class OffLimitsReward(TermOfReward):
    """-1 for an answer that names what the community put off limits, else 0."""

    kind: Literal["off-limits"]
    """Which reward."""


RewardTerm = Annotated[
    AccuracyReward
    | FormatReward
    | LanguageReward
    | PreferenceReward
    | MatchReward
    | SharesReward
    | NormsReward
    | DiversityReward
    | LengthReward
    | OffLimitsReward,
    Field(discriminator="kind"),
]


def name_of(term: RewardTerm) -> str:
    """What a reward is called in curves."""
    return term.kind.replace("-", "_")
