"""Messages in another language: a catalogue of ours, from English templates to templates.

A template that no catalogue holds is said in English; a test proves that this never happens to what
a profile's author can be told.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from registry.errors import Problem, ProblemsError, UsageError
from registry.message import Message
from registry.strict_yaml import read

FOLDER = Path(__file__).parent / "translations"
ENGLISH = "en"


@cache
def languages() -> tuple[str, ...]:
    """The languages in which messages can be said."""
    return tuple(sorted({ENGLISH, *(path.stem for path in FOLDER.glob("*.yaml"))}))


def require_language(language: str) -> str:
    """Returns `language` if messages can be said in it; raises UsageError where not."""
    if language not in languages():
        known = ", ".join(languages())
        raise UsageError(f"no message is kept in {language!r}", mend=f"choose one of: {known}")
    return language


@cache
def words(language: str) -> Mapping[str, str]:
    """The templates of a language by their English ones; none for English itself."""
    if language == ENGLISH:
        return {}
    path = FOLDER / f"{language}.yaml"
    document, problems = read(path, path.name)
    if document is None:
        raise ProblemsError(problems)
    return dict(document.data)


def said(text: str, language: str) -> str:
    """A text in a language: a message of ours translated, any other text as it is."""
    if language == ENGLISH or not isinstance(text, Message):
        return text
    template = words(language).get(text.template, text.template)
    if not text.values:
        return template
    return template.format(
        **{n: said(v, language) if isinstance(v, str) else v for n, v in text.values.items()}
    )


def translated(problem: Problem, language: str) -> Problem:
    """A problem with its texts in a language; its place stays what it is."""
    return Problem(problem.place, said(problem.what, language), said(problem.mend, language))


def printed(problem: Problem, language: str) -> str:
    """A problem as a terminal shows it: place, message, snippet and mend."""
    return translated(problem, language).told(said(Message("mend"), language))
