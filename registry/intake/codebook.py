"""The codebook: what a source is, and what its columns and codes mean, as a person wrote it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self, TypeVar

from pydantic import AfterValidator, Field, model_validator

from registry.consent import Date, Use
from registry.declaration import Slug
from registry.errors import ProblemsError, UsageError
from registry.licences import held_back
from registry.profile import Fielded, Language, Url
from registry.profile_tables import check_text
from registry.strict_yaml import read, typed
from registry.typed import Frozen

_ITEM = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_NOTHING_GRANTED = frozenset(
    {"none-granted", "none", "unknown", "proprietary", "all rights reserved"}
)

Line = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(check_text)]
Sentence = Annotated[str, Field(min_length=20, max_length=700), AfterValidator(check_text)]
Code = Annotated[str, Field(min_length=1, max_length=200)]


class Question(Frozen):
    """One question, and what its codes mean."""

    text: Annotated[str, Field(min_length=3, max_length=1000), AfterValidator(check_text)]
    """The question as people were asked it."""
    options: dict[Code, Line] = Field(min_length=2, max_length=50)
    """For each code its label, in the order of the answers."""

    @model_validator(mode="after")
    def _labels_differ(self) -> Self:
        labels = list(self.options.values())
        if twice := sorted({label for label in labels if labels.count(label) > 1}):
            raise ValueError(f"two codes have the label {twice[0]!r}")
        return self

    def position(self, code: str) -> int | None:
        """Where an answer stands among the options, by its code or its label; None if nowhere."""
        codes = list(self.options)
        labels = list(self.options.values())
        if code in codes:
            return codes.index(code)
        return labels.index(code) if code in labels else None


class Named(Frozen):
    """One group of people, as its profile names it."""

    id: Slug
    """The id of its profile."""
    name: Annotated[str, Field(min_length=3, max_length=100), AfterValidator(check_text)]
    """What readers see."""
    n: int | None = Field(default=None, ge=1)
    """How many people it has, where the file does not say."""
    n_effective: float | None = Field(default=None, gt=0)
    """Kish's effective number of them, where the file does not say."""

    @model_validator(mode="after")
    def _not_more_effective_than_real(self) -> Self:
        if self.n is not None and self.n_effective is not None and self.n_effective > self.n:
            raise ValueError("n_effective is larger than n")
        return self


class About(Frozen):
    """What a source is: title, publisher, licence, dates."""

    schema_version: int = Field(ge=1, le=1)
    """The version of this schema."""
    instrument: Slug
    """The id of the questionnaire, the conversation or the collection."""
    title: Line
    """Its title."""
    publisher: Annotated[str, Field(min_length=2, max_length=200), AfterValidator(check_text)]
    """Who published it."""
    citation: Annotated[str, Field(min_length=10, max_length=600), AfterValidator(check_text)]
    """How to cite it."""
    url: Url
    """Where a reader finds it."""
    licence: Annotated[str, Field(min_length=2, max_length=100), AfterValidator(check_text)]
    """SPDX identifier of its licence."""
    language: Language
    """The language that people were asked in."""
    fielded: Fielded
    """When people were asked."""
    weighting: str = Field(default="none: everybody counts the same", min_length=3, max_length=300)
    """How the shares were weighted."""
    population: Sentence
    """Whom the figures cover, and whom not."""
    uses: tuple[Use, ...] = ("train-sft", "train-rl", "evaluate")
    """What the licence grants."""
    granted_on: Date | None = None
    """The day from which the licence holds; the last day of asking where left out."""

    @model_validator(mode="after")
    def _something_is_granted(self) -> Self:
        if self.licence.casefold() in _NOTHING_GRANTED:
            raise ValueError("licence: figures that nobody licensed cannot be imported")
        if refused := held_back(self.licence, self.uses):
            raise ValueError(f"uses: {refused}")
        return self


class Codebook(About):
    """What a survey is, and what its columns and codes mean."""

    questions: dict[str, Question] = Field(min_length=1, max_length=5000)
    """For each question column its text and its options."""
    missing: tuple[str, ...] = ("", "NA")
    """Codes that are no answer: refused, not asked, not known."""
    groups: dict[str, Named] = Field(default_factory=dict, max_length=100)
    """For each value of the group column, or each age band, the id and name of its profile."""

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        for item in self.questions:
            if not _ITEM.fullmatch(item):
                raise ValueError(f"questions: {item!r} is no id: use letters, digits, _ . and -")
        for what in ("id", "name"):
            given = [getattr(group, what) for group in self.groups.values()]
            if twice := sorted({value for value in given if given.count(value) > 1}):
                raise ValueError(f"groups: two groups have the {what} {twice[0]!r}")
        for item, question in self.questions.items():
            if absent := sorted(set(question.options) & set(self.missing)):
                raise ValueError(f"questions: {item} lists {absent[0]!r}, which is missing")
        return self


Written = TypeVar("Written", bound=About)


def read_about(path: Path, model: type[Written]) -> Written:
    """Reads a codebook, or the part of one that a source without questions needs.

    Raises:
        ProblemsError: Everything that is wrong in the file.
    """
    document, problems = read(path, str(path))
    if document is None:
        raise ProblemsError(problems)
    found, problems = typed(model, document)
    if found is None:
        raise ProblemsError(problems)
    return found


def named_groups(
    values: Mapping[str, str], codebook: Codebook, where: str, column: str
) -> dict[str, Named]:
    """For each group of a file the id and the name of its profile.

    Args:
        values: For each group, as the file or the age bands have it, words for a reader.
        codebook: May name some or all of them.
        where: The file, for messages.
        column: The group column, for messages.

    Raises:
        UsageError: The codebook names a group that the file lacks, or two groups get one id.
    """
    if unknown := sorted(set(codebook.groups) - set(values)):
        raise UsageError(
            f"has no group {unknown[0]!r}, which the codebook names",
            where=f"{where}, column {column}",
            why="a misspelt group would silently lose its people",
            mend=f"the groups are: {', '.join(sorted(values)[:20])}",
        )
    found: dict[str, Named] = {}
    by_id: dict[str, str] = {}
    for value, words in values.items():
        named = codebook.groups.get(value) or _default(codebook.instrument, value, words, where)
        if named.id in by_id:
            raise UsageError(
                f"holds the groups {by_id[named.id]!r} and {value!r}, which both become {named.id}",
                where=f"{where}, column {column}",
                why="one group in two spellings would be two profiles of the same people",
                mend="give both one spelling in the file, or name them under `groups:` in the "
                "codebook",
            )
        by_id[named.id] = value
        found[value] = named
    return found


def _default(instrument: str, value: str, words: str, where: str) -> Named:
    slug = re.sub(r"[^a-z0-9]+", "-", value.lower()).strip("-")
    try:
        return Named(id=f"{instrument}-{slug}", name=f"respondents {words}, {instrument}")
    except ValueError:
        raise UsageError(
            f"holds the group {value[:60]!r}, which makes no id for a profile",
            where=where,
            mend="name it under `groups:` in the codebook: `VALUE: {id: ..., name: ...}`",
        ) from None
