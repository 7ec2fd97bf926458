"""What pydantic finds wrong, in words for people who do not program."""

from __future__ import annotations

from typing import Any

from pydantic_core import ErrorDetails

from registry.message import Message

_SHOWN = 80
"""Characters of a wrong value that a message shows."""
FOUND = "{what} (found {given!r})"
"""The template of a message that shows the value that was found."""
_PATTERNS = {
    r"^https?://[^\s]+$": Message("must be a web address that starts with https:// or http://"),
    r"^[0-9a-f]{64}$": Message("write the SHA-256 digest as 64 small hex digits"),
    r"^ed25519:[A-Za-z0-9+/]{43}=$": Message(
        "write the line that `chorus profile key new` calls public: ed25519: and 44 characters"
    ),
}
"""What each pattern of the schemas asks for."""
_WHOLE = Message("must be a whole number")
_NUMBER = Message("must be a number")
_TRUTH = Message("must be `true` or `false`")
_TEXT = Message("must be text")
_LIST = Message("must be a list")
_GROUP = Message("must be a group of keys, each with its own value")
_PLAIN = {
    "missing": Message("must be filled in"),
    "extra_forbidden": Message("is not known here"),
    "int_parsing": _WHOLE,
    "int_parsing_size": _WHOLE,
    "int_type": _WHOLE,
    "int_from_float": _WHOLE,
    "float_parsing": _NUMBER,
    "float_type": _NUMBER,
    "finite_number": _NUMBER,
    "bool_parsing": _TRUTH,
    "bool_type": _TRUTH,
    "string_type": _TEXT,
    "tuple_type": _LIST,
    "list_type": _LIST,
    "model_type": _GROUP,
    "model_attributes_type": _GROUP,
    "dict_type": _GROUP,
}
_BOUNDS = {
    "greater_than_equal": ("must be {bound} or more", "ge"),
    "less_than_equal": ("must be {bound} or less", "le"),
    "greater_than": ("must be more than {bound}", "gt"),
    "less_than": ("must be less than {bound}", "lt"),
    "string_too_short": ("must have at least {bound} characters", "min_length"),
    "string_too_long": ("must have at most {bound} characters", "max_length"),
    "too_short": ("must name at least {bound}", "min_length"),
    "too_long": ("may name at most {bound}", "max_length"),
}
"""For each kind of error, the words, and what pydantic calls the bound."""


def in_plain_words(detail: ErrorDetails) -> Message:
    """The message of one of pydantic's errors; the rules' own messages are kept as they are."""
    known: dict[str, Any] = detail.get("ctx") or {}
    kind = detail["type"]
    if kind == "value_error":
        said = next(iter(known["error"].args), "")
        return said if isinstance(said, Message) else Message(str(said))
    if kind in _BOUNDS:
        template, bound = _BOUNDS[kind]
        return Message(template, bound=f"{known[bound]:g}")
    if kind == "literal_error":
        return Message("must be one of: {known}", known=", ".join(choices(detail)))
    if kind == "union_tag_invalid":
        known_tags = str(known["expected_tags"]).replace("'", "")
        return Message("must be one of: {known}", known=known_tags)
    plain = (
        _PATTERNS.get(known["pattern"]) if kind == "string_pattern_mismatch" else _PLAIN.get(kind)
    )
    return plain or Message(detail["msg"])


def choices(detail: ErrorDetails) -> list[str]:
    """What may be written where only a few words are allowed."""
    import re

    expected = str((detail.get("ctx") or {})["expected"])
    return re.findall(r"'([^']*)'", expected) or re.split(r", | or ", expected)


def shortened(text: str, most: int = _SHOWN) -> str:
    """A stranger's text as a message may print it: on one line, and not too long."""
    line = "".join(c if c.isprintable() else "\ufffd" for c in text)
    return line if len(line) <= most else line[: most - 1] + "\u2026"


def found(what: Message, given: str) -> Message:
    """A message that shows the value that was found."""
    return Message(FOUND, what=what, given=given)
