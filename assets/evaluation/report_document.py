"""A page before it is HTML or Markdown: the same words, tables and pictures in both.

Names come from strangers. `clean` takes out what would steer a terminal or turn a line around, and
sets a name that reads from right to left apart from the sentence around it; escaping is the work of
the two writers.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

Tone = Literal["", "good", "bad", "unsure", "missing"]
LONGEST = 120
"""Characters of a name that a page shows."""
_ISOLATE, _END = "\u2068", "\u2069"
_RIGHT_TO_LEFT = {"R", "AL", "AN"}


def clean(name: str) -> str:
    """A stranger's name in one line, without control characters, no longer than `LONGEST`."""
    kept = "".join(" " if c.isspace() else c for c in name if c.isspace() or _visible(c))
    line = " ".join(kept.split()) or "(no name)"
    line = line if len(line) <= LONGEST else line[: LONGEST - 1].rstrip() + "…"
    if any(unicodedata.bidirectional(c) in _RIGHT_TO_LEFT for c in line):
        return f"{_ISOLATE}{line}{_END}"
    return line


def _visible(character: str) -> bool:
    # U+200D joins the parts of one emoji.
    return character == "\u200d" or unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co"}


@dataclass(frozen=True)
class Cell:
    """One cell of a table."""

    text: str
    more: str = ""
    """A smaller second line."""
    tone: Tone = ""
    """What colour repeats of the words; never said by colour alone."""
    link: str = ""
    """Another page, without its suffix."""


@dataclass(frozen=True)
class Table:
    """Figures with what they rest on."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    """How to read it."""


@dataclass(frozen=True)
class Picture:
    """A picture that lies beside the page, and inside the HTML page."""

    name: str
    """Its file without suffix."""
    says: str
    """What it shows, for those who do not see it."""
    caption: str
    """What its colours and dots mean."""


@dataclass(frozen=True)
class Points:
    """A list of sentences."""

    lines: tuple[str, ...]


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


Block = Table | Picture | Points | Text


@dataclass(frozen=True)
class Answer:
    """A question that every reader brings, and what was found."""

    question: str
    answer: str
    """In one line or several."""
    tone: Tone = ""


@dataclass(frozen=True)
class Section:
    """A part of a page under its own heading."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Document:
    """One page."""

    name: str
    """Its path without suffix, from the folder of pages."""
    title: str
    about: str
    """Where it comes from, in a line above the title."""
    speaks: tuple[str, ...]
    """For whom it speaks, or rather does not."""
    answers: tuple[Answer, ...]
    """What is read in ten seconds."""
    first: tuple[Block, ...]
    """What stands on the first screen below the answers."""
    sections: tuple[Section, ...]
    others: tuple[tuple[str, str], ...] = field(default=())
    """Further pages: their title and path without suffix, seen from this page."""

    def pictures(self) -> Iterator[Picture]:
        """Every picture of the page."""
        for blocks in (self.first, *(section.blocks for section in self.sections)):
            yield from (block for block in blocks if isinstance(block, Picture))
