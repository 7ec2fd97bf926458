"""The steps of a filter as a declaration lists them, told from one another by their `kind`."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from registry.profile import Language
from registry.typed import Frozen

Part = Literal["prompt", "completion", "both"]
"""Which text of a row a step looks at; `both` is the prompt, a line break, and the completion."""


class ExactStep(Frozen):
    """Leaves out rows whose text is that of a better-ranked row that was kept.

    Compared in Unicode's form NFKC, in small letters, with any run of white space as one space.
    """

    kind: Literal["exact"]
    """Exact repetition."""
    of: Part = "both"
    """The text that is compared."""


class NearStep(Frozen):
    """Leaves out rows that share most of their word sequences with one that was kept (MinHash)."""

    kind: Literal["near"]
    """Near repetition."""
    of: Part = "both"
    """The text that is compared."""
    threshold: float = Field(default=0.8, ge=0.3, le=1)
    """The estimated Jaccard similarity from which a row is left out."""
    words: int = Field(default=5, ge=1, le=50)
    """How many words in a row count as one sequence; a shorter text is one sequence."""
    permutations: int = Field(default=128, ge=16, le=1024)
    """Numbers in a signature; the estimate's standard error is sqrt(J (1 - J) / permutations)."""
    ignore_common: int | None = Field(default=None, ge=1)
    """A sequence in more rows than this is a template, and is not counted, as long as a row has
    others; without it tasks made from one template are taken for repetitions of one another."""


class SemanticStep(Frozen):
    """Leaves out rows whose vector is close to that of one that was kept, in the same cluster.

    Needs `features`; without `clusters` every row is compared with every other.
    """

    kind: Literal["semantic"]
    """Repetition in other words."""
    threshold: float = Field(default=0.95, gt=0, le=1)
    """The cosine from which a row is left out."""


class LinesStep(Frozen):
    """Takes lines out of completions that are seen too often in all completions together.

    A row that loses a line becomes a new row with the old one as its parent; one that loses every
    line is left out. It changes texts, so it stands before all other steps.
    """

    kind: Literal["lines"]
    """Lines that are seen too often."""
    at_most: int = Field(default=6, ge=1)
    """How often a line may be seen; one that is seen more often is taken out everywhere."""
    shortest: int = Field(default=20, ge=1)
    """Characters that a line needs to be counted: a bracket or a bare answer says nothing."""


class OverlapStep(Frozen):
    """Leaves out rows that hold most of the word sequences of a prompt of an evaluation.

    Needs `against`.
    """

    kind: Literal["overlap"]
    """The words of an evaluation."""
    of: Part = "both"
    """The text of the row that is searched; of the evaluation it is always the prompt."""
    threshold: float = Field(default=0.5, gt=0, le=1)
    """The share of the evaluation row's sequences that a row may not reach."""
    words: int = Field(default=8, ge=2, le=50)
    """How many words in a row count as one sequence; a shorter prompt is one sequence."""
    shortest: int = Field(default=4, ge=1)
    """Words that an evaluation's prompt needs; fewer are found everywhere."""
    ignore_common: int = Field(default=10, ge=1)
    """A sequence in more rows of the evaluations than this is a template, and is not counted."""


class ParaphraseStep(Frozen):
    """Leaves out rows whose vector is close to that of a row of an evaluation.

    Needs `features` and `against_features`, both made by the same encoder.
    """

    kind: Literal["paraphrase"]
    """An evaluation in other words."""
    threshold: float = Field(default=0.9, gt=0, le=1)
    """The cosine that a row may not reach."""


class LengthStep(Frozen):
    """Leaves out rows that are too short or too long."""

    kind: Literal["length"]
    """Length."""
    of: Part = "completion"
    """The text that is measured."""
    unit: Literal["characters", "words", "tokens"] = "characters"
    """What is counted; `tokens` needs `tokenizer`."""
    at_least: int | None = Field(default=None, ge=0)
    """The shortest length that is kept."""
    at_most: int | None = Field(default=None, ge=0)
    """The longest length that is kept."""

    @model_validator(mode="after")
    def _bounds_fit(self) -> Self:
        if self.at_least is None and self.at_most is None:
            raise ValueError("give `at_least`, `at_most`, or both")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError("at_least is greater than at_most: no row could be kept")
        return self


class LanguageStep(Frozen):
    """Leaves out long rows that are surely in a language that is not wanted.

    Short texts, formulas and code stay, and so does a text with one stretch in a wanted language:
    people mix languages and spell as they speak.
    """

    kind: Literal["language"]
    """Language."""
    of: Part = "both"
    """The text that is judged."""
    languages: tuple[Language, ...] = ()
    """Wanted languages as BCP-47 tags; where none is given, those of the profile."""
    threshold: float = Field(default=0.99, gt=0.5, le=1)
    """How sure the detector must be that no wanted language is there."""
    letters: int = Field(default=100, ge=20)
    """Letters that a text needs to be judged."""
    mixing: Literal["keep", "leave out"] = "keep"
    """Whether a text with one stretch in a wanted language is kept whatever the rest is in."""


class ScoreCriterion(Frozen):
    """One way for a row to pass: a column that is high enough."""

    column: str = Field(min_length=1, max_length=100)
    """A number of each row, from the rows or from `ratings`; a row without one does not pass."""
    at_least: float | None = None
    """The lowest value that passes."""
    top_share: float | None = Field(default=None, gt=0, le=1)
    """The share of rows with the highest values that pass; those equal to the last one do too."""

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        if (self.at_least is None) == (self.top_share is None):
            raise ValueError("give `at_least` or `top_share`, one of them")
        return self


class ScoresStep(Frozen):
    """Leaves out rows that pass none of several criteria (Llama 3 keeps what any scorer likes)."""

    kind: Literal["scores"]
    """Quality and difficulty."""
    any_of: tuple[ScoreCriterion, ...] = Field(min_length=1)
    """A row that passes one of them is kept."""


class OffLimitsStep(Frozen):
    """Leaves out rows that name what a profile puts off limits.

    A profile's topics bind the rows of its community, and those that belong to none.
    """

    kind: Literal["off-limits"]
    """What may not be generated."""
    terms: tuple[str, ...] = ()
    """Further words that no row may hold, whatever the profiles say."""


FilterStep = Annotated[
    ExactStep
    | NearStep
    | SemanticStep
    | LinesStep
    | OverlapStep
    | ParaphraseStep
    | LengthStep
    | LanguageStep
    | ScoresStep
    | OffLimitsStep,
    Field(discriminator="kind"),
]


def label(number: int, step: FilterStep) -> str:
    """What a step is called in tables: its kind and its place in the list, from 1."""
    return f"{step.kind.replace('-', '_')}_{number}"
