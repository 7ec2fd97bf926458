"""Text in a profile that reads like an instruction to a model, or like code: shown to reviewers.

It is not refused, since a community may hold something about such things. It is data wherever it
goes: pages escape it, and a model meets it only where the words of a user stand. A reviewer sees
each place, and judges.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Any

from registry.errors import Place, Problem
from registry.message import Message, about
from registry.partly import Key
from registry.plain_words import shortened
from registry.profile_folder import Profile
from registry.profile_rows import Tables, lines

MAX = 50
"""Notices of one profile that are shown."""
_AROUND = 40
_LOOK = Message("read it with care; it is kept as text and never followed")
INSTRUCTION = Message("reads like an instruction to a model")
CODE = Message("holds what a page or a template could run")
CONTROL = Message("holds marks that part the turns of a conversation")
_PATTERNS: tuple[tuple[Message, re.Pattern[str]], ...] = (
    (INSTRUCTION, re.compile(
        r"\b(?:ignore|disregard|override)[^\w.!?]+(?:\w+[^\w.!?]+){0,4}?"
        r"(?:instructions?|prompts?|rules|messages|guidelines|everything|above)\b"
        r"|\bforget[^\w.!?]+(?:all|everything|your|the|any)\b[^.!?\n]{0,30}?"
        r"\b(?:instructions?|prompts?|rules|above|before)\b"
        r"|\b(?:you are now|from now on,? you|new instructions?:|system prompt|jailbreak)\b"
        r"|\b(?:ignorier\w*|missacht\w*|vergiss|vergesst)[^\w.!?]+(?:\w+[^\w.!?]+){0,4}?"
        r"(?:anweisung\w*|vorgabe\w*|regeln|alles|nachricht\w*)\b"
        r"|\b(?:ab jetzt bist du|du bist (?:jetzt|nun|ab jetzt)|neue anweisung\w*:|systemprompt)\b"
        r"|\b(?:ignora|olvida|oublie[zr]?|ignorez)[^\w.!?]+(?:\w+[^\w.!?]+){0,4}?"
        r"(?:instrucci\w+|instructions|istruzioni|consignes)\b"
    )),
    (CODE, re.compile(
        r"<\s*/?\s*(?:script|style|iframe|img|svg|object|embed|form|input|a|body|html|meta|link)\b"
        r"|javascript\s*:|\bon(?:error|load|click|mouseover)\s*="
        r"|\{\{|\{%|\$\{|<%|#\{"
    )),
    (CONTROL, re.compile(
        r"<\|[^|>\n]{1,40}\|>|\[/?inst\]|<</?sys>>|</?s>|<(?:start|end)_of_turn>"
        r"|(?m:^\s*(?:system|assistant|user|human)\s*:)"
    )),
)  # fmt: skip


def notices(profile: Profile, tables: Tables) -> list[Problem]:
    """Every place of a profile whose text reads so, each once; at most `MAX`."""
    found: list[Problem] = []
    for place, at, text in _texts(profile, tables):
        for what, excerpt in suspicious(text):
            said = Message("{what}: {excerpt!r}", what=what, excerpt=excerpt)
            found.append(Problem(place, about(at, said), _LOOK))
            if len(found) >= MAX:
                return found
    return found


def suspicious(text: str) -> Iterator[tuple[Message, str]]:
    """Each kind of such text in a text, and the words around its first place."""
    plain = unicodedata.normalize("NFKC", text)
    folded = plain.casefold()
    for what, pattern in _PATTERNS:
        if match := pattern.search(folded):
            start = max(match.start() - _AROUND // 2, 0)
            same = len(folded) == len(plain)
            yield what, shortened((plain if same else folded)[start : match.end() + _AROUND], 100)


def _texts(profile: Profile, tables: Tables) -> Iterator[tuple[Place, str, str]]:
    """Every text of a profile, with its place and what it is called."""
    for key, text in _scalars(profile.document.data, ()):
        yield profile.document.place(key), ".".join(map(str, key)), text
    for name in tables:
        for line, row in lines(tables, name):
            for column, text in row:
                if isinstance(text, str):
                    yield Place(profile.shown(name), line), column, text


def _scalars(data: Any, key: Key) -> Iterator[tuple[Key, str]]:
    if isinstance(data, str):
        yield key, data
    elif isinstance(data, dict):
        for name, value in data.items():
            yield from _scalars(value, (*key, name))
    elif isinstance(data, list):
        for number, value in enumerate(data):
            yield from _scalars(value, (*key, number))
