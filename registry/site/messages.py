"""The form's words, in catalogues: one YAML file a language, all with the same keys.

Catalogues are ours, never a visitor's; placeholders are names in braces.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException

from registry.errors import ChorusError, ProblemsError
from registry.strict_yaml import read
from registry.translation import said

FOLDER = Path(__file__).parent / "texts"


@dataclass(frozen=True)
class Catalogue:
    """The words of one language, by dotted key."""

    language: str
    words: Mapping[str, str] = field(repr=False)

    def __call__(self, key: str, **values: object) -> str:
        """The words of a key, with its placeholders filled; raises KeyError where it has none."""
        text = self.words[key]
        return text.format_map(values) if values else text

    def checker(self, text: str) -> str:
        """A message of the checker in this language."""
        return said(text, self.language)

    def maybe(self, key: str) -> str:
        """The words of a key that not every field has, or nothing."""
        return self.words.get(key, "")


@cache
def catalogues() -> Mapping[str, Catalogue]:
    """Every catalogue that is shipped, by language."""
    paths = sorted(FOLDER.glob("*.yaml"))
    return {path.stem: Catalogue(path.stem, dict(_flat(_data(path)))) for path in paths}


def catalogue(language: str) -> Catalogue:
    """The catalogue of a language; raises ChorusError where there is none."""
    found = catalogues().get(language)
    if found is None:
        known = ", ".join(catalogues())
        raise ChorusError(f"the form does not speak {language!r}", mend=f"choose one of: {known}")
    return found


def require_language(language: str) -> None:
    """Raises HTTPException where an address starts with no language of ours."""
    if language not in catalogues():
        raise HTTPException(404)


def _data(path: Path) -> Any:
    document, problems = read(path, path.name)
    if document is None:
        raise ProblemsError(problems)
    return document.data


def _flat(data: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for key, value in data.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", str(value)
