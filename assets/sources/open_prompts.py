"""Prompts written for this project: open-ended ones by kind, and ones with countable answers.

The kinds are the seventeen of the Infinity-Chat study (Jiang et al., 2025, arXiv:2510.22954, table
2) in its six classes. Prompts have no completion: models answer them, and the answers are measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, model_validator

from assets.rows import LIBRARIES, ROWS, row_id, row_schema, write_rows
from registry.errors import MethodError, ProblemsError, UsageError
from registry.method import Method, SourcePath
from registry.strict_yaml import read, typed
from registry.typed import Frozen

if TYPE_CHECKING:
    from registry.context import Context

PromptKind = Literal[
    "creative-content",
    "brainstorm",
    "philosophical",
    "abstract-conceptual",
    "ambiguous-everyday",
    "analytical",
    "speculative",
    "value-laden",
    "controversial",
    "communication-styles",
    "writing-genres",
    "problem-solving",
    "decision-support",
    "skill-development",
    "recommendations",
    "concept-explanations",
    "personal-advice",
]
CLASSES: dict[str, tuple[PromptKind, ...]] = {
    "creative content generation": ("creative-content",),
    "brainstorm and ideation": ("brainstorm",),
    "open-endedness": (
        "philosophical",
        "abstract-conceptual",
        "ambiguous-everyday",
        "analytical",
        "speculative",
    ),
    "alternative perspectives": ("value-laden", "controversial"),
    "alternative styles": ("communication-styles", "writing-genres"),
    "information-seeking": (
        "problem-solving",
        "decision-support",
        "skill-development",
        "recommendations",
        "concept-explanations",
        "personal-advice",
    ),
}
"""The study's classes and their kinds; the first two have no kinds of their own but themselves."""
_CLASS_OF = {kind: name for name, kinds in CLASSES.items() for kind in kinds}


class WrittenPrompt(Frozen):
    """One prompt."""

    text: str = Field(min_length=10, max_length=400)
    """What is asked."""
    labels: tuple[PromptKind, ...] = ()
    """The kinds that it belongs to; the one that it was written for comes first."""
    place: str = ""
    """A country that it speaks of."""
    valid_answers: tuple[str, ...] = ()
    """Every right answer, where they can be listed."""

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if not self.labels and not self.valid_answers:
            raise ValueError("give `labels`, `valid_answers` or both")
        if len(set(self.valid_answers)) != len(self.valid_answers):
            raise ValueError("a valid answer stands twice")
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("a label stands twice")
        return self


class PromptFile(Frozen):
    """A file of prompts."""

    schema_version: int = Field(ge=1, le=1)
    """The version of this schema."""
    title: str = Field(min_length=3)
    """Its title."""
    language: str
    """The language of its prompts, as a BCP-47 tag."""
    licence: str
    """SPDX identifier of its licence."""
    prompts: tuple[WrittenPrompt, ...] = Field(min_length=1)
    """The prompts."""


class Params(Frozen):
    """Which prompts."""

    prompts: SourcePath
    """The YAML file of prompts, from the project's root."""
    kinds: tuple[PromptKind, ...] | None = Field(default=None, min_length=1)
    """Only prompts of these kinds; without it, all."""


def prompt_rows(found: PromptFile, path: str) -> Iterator[dict[str, Any]]:
    """One row for each prompt."""
    for prompt in found.prompts:
        yield {
            "row_id": row_id("open-prompts", prompt.text),
            "parents": [],
            "prompt": prompt.text,
            "completion": None,
            "source": path,
            "community": None,
            "labels": list(prompt.labels),
            "classes": list(dict.fromkeys(_CLASS_OF[label] for label in prompt.labels)),
            "place": prompt.place or None,
            "language": found.language,
            "valid_answers": list(prompt.valid_answers),
        }


def run(context: Context) -> None:
    """Reads the prompts."""
    import polars

    params = context.typed(Params)
    document, problems = read(context.source(params.prompts), params.prompts)
    if document is None:
        raise UsageError(str(ProblemsError(problems)))
    found, problems = typed(PromptFile, document)
    if found is None:
        raise UsageError(str(ProblemsError(problems)))
    rows = list(prompt_rows(found, params.prompts))
    texts = [row["prompt"] for row in rows]
    if twice := next((text for text in texts if texts.count(text) > 1), None):
        raise MethodError(f"{twice!r} stands twice", where=params.prompts, mend="delete one")
    if params.kinds is not None:
        rows = [row for row in rows if set(row["labels"]) & set(params.kinds)]
        if not rows:
            raise MethodError("no prompt is of these kinds", where=params.prompts)
    text, texts_type = polars.String, polars.List(polars.String)
    own = {"labels": texts_type, "classes": texts_type, "place": text, "language": text}
    schema = row_schema() | own | {"valid_answers": texts_type}
    write_rows(context.out / ROWS, rows, schema)
    context.progress(1, 1)


method = Method(
    name="open-prompts",
    kind="dataset",
    description="Prompts that were written for this project, labelled by kind.",
    params=Params,
    run=run,
    libraries=LIBRARIES,
)
