"""The floor that every profile passes: it dehumanises nobody and calls for harm to nobody.

A list of phrases (`floor.yaml`) flags, and a reviewer decides and writes down why. The list cannot
see much, so each reviewer also states that they looked.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import yaml
from pydantic import Field

from registry.errors import Place, Problem, relative
from registry.message import Message
from registry.profile_folder import Profile
from registry.profile_rows import lines, texts
from registry.profile_tables import SHAPES
from registry.typed import Frozen

CANNOT_SEE = (
    "The list sees phrases in English and German. It does not see irony, other languages, "
    "misspellings, codes, or words that degrade people in another way. Read the profile yourself."
)
_SOFT = dict.fromkeys(map(ord, "\u00ad\u200c\u200d"))
"""Characters inside a word that a reader does not see."""
_SLOT = re.compile(r"\{([a-z]+)\}")


class Pattern(Frozen):
    """Phrases that are flagged for one reason."""

    id: str
    """Its id, which a decision names."""
    language: str
    """The language of its phrases."""
    phrases: tuple[str, ...] = Field(min_length=1)
    """Phrases; a name in braces stands for any word of that list."""
    why: str
    """What is wrong with them."""


class Floor(Frozen):
    """The whole list."""

    schema_version: int = Field(ge=1, le=1)
    """The version of this schema."""
    people: dict[str, tuple[str, ...]]
    """Words for people, by language."""
    words: dict[str, dict[str, tuple[str, ...]]]
    """Other lists that phrases name, by language."""
    patterns: tuple[Pattern, ...]
    """What is flagged."""

    def compiled(self, pattern: Pattern) -> re.Pattern[str]:
        """A pattern as an expression over folded text."""
        lists = {"people": self.people} | self.words

        def either(found: re.Match[str]) -> str:
            words = lists[found[1]][pattern.language]
            parts = [re.escape(folded(word)) for word in sorted(words, key=len, reverse=True)]
            return f"(?:{'|'.join(parts)})"

        phrases = [_SLOT.sub(either, _escaped(phrase)) for phrase in pattern.phrases]
        # Blanks are left open: where a word of a list is empty, two stand beside each other.
        joined = "|".join(phrases).replace(r"\ ", r"\s*").replace(" ", r"\s*")
        return re.compile(rf"(?<!\w)(?:{joined})(?!\w)")


def _escaped(phrase: str) -> str:
    parts = re.split(r"(\{[a-z]+\})", folded(phrase))
    return "".join(part if part.startswith("{") else re.escape(part) for part in parts)


def folded(text: str) -> str:
    """Text as it is compared: one form of each letter, no case, nothing invisible."""
    plain = unicodedata.normalize("NFKC", text).translate(_SOFT)
    return " ".join(plain.casefold().split())


@cache
def floor() -> Floor:
    """The list, as it comes with Chorus."""
    text = (files("registry") / "floor.yaml").read_text(encoding="utf-8")
    return Floor.model_validate(yaml.safe_load(text))


@cache
def _expressions() -> tuple[tuple[Pattern, re.Pattern[str]], ...]:
    return tuple((pattern, floor().compiled(pattern)) for pattern in floor().patterns)


@dataclass(frozen=True)
class Flag:
    """Words that the floor flags."""

    place: str
    """A table and row such as `values.csv:mend-first`, or a field of the profile."""
    pattern: str
    why: str
    words: str
    shown: Place

    def problem(self, profile: str) -> Problem:
        """The flag as something to fix or to decide."""
        why = Message(self.why)
        what = Message("the floor flags {words!r}, which {why}", words=self.words, why=why)
        mend = Message(
            "say it without that; or a reviewer decides that it may stay and why: chorus profile "
            "floor {profile} --keep {place} --by maintainer:1 --reason ...",
            profile=profile,
            place=self.place,
        )
        return Problem(self.shown, what, mend)


def flags(profile: Profile) -> Iterator[Flag]:
    """Everything in a profile that the floor flags, decided or not."""
    shown = Place(relative(profile.folder / "profile.yaml", profile.folder.parents[1]))
    for name in ("name", "description", "scope"):
        yield from _flagged(str(getattr(profile.profile, name)), name, shown)
    tables = profile.tables()
    for shape in SHAPES:
        for line, row in lines(tables, shape.file):
            place = f"{shape.file}:{shape.identity(row)}"
            at = Place(profile.shown(shape.file), line)
            for _, text in texts(row):
                yield from _flagged(text, place, at)


def _flagged(text: str, place: str, shown: Place) -> Iterator[Flag]:
    plain = folded(text)
    for pattern, expression in _expressions():
        if found := expression.search(plain):
            yield Flag(place, pattern.id, pattern.why, found[0], shown)


def undecided(profile: Profile) -> list[Flag]:
    """What the floor flags and no reviewer has decided for exactly this content."""
    same = profile.life.content_before(profile.digest)
    decided: Mapping[tuple[str, str], bool] = {
        (event.decision.place, event.decision.pattern): True
        for event in (happened.event for happened in profile.life.events)
        if event.decision and event.profile_sha256 in same
    }
    return [flag for flag in flags(profile) if (flag.place, flag.pattern) not in decided]
