"""Sentences for people that remember how they were made, so that another language can say them.

A `Message` is plain English text wherever it is printed, compared or stored. Beside that it keeps
its template and the values that were put into it; `registry.translation` looks the template up in a
catalogue and fills in the same values. Values are data: they are never read as templates.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

Part = str | int | float
ABOUT = "{at}: {what}"
"""The template of a message that names the field or column it speaks of."""


class Message(str):  # noqa: SLOT000 - what a draft stores of it is read back into its fields
    """A sentence in English, and what it takes to say it otherwise.

    `Message("lacks the key {name!r}", name="id") == "lacks the key 'id'"`. A value may itself be a
    message. Without values the template is taken as it is, braces and all.
    """

    template: str
    values: Mapping[str, Part]

    def __new__(cls, template: str, /, **values: Part) -> Self:
        """Fills the template in; `values` are named as in its braces."""
        made = super().__new__(cls, template.format(**values) if values else template)
        made.template, made.values = template, values
        return made

    @classmethod
    def of(cls, text: str) -> Message:
        """A text as a message; one that is none already is its own template."""
        return text if isinstance(text, Message) else cls(text)

    @classmethod
    def __get_pydantic_core_schema__(
        cls, _source: type[Any], _handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Stored as its template and values, so that a draft can be read in either language."""
        return core_schema.no_info_plain_validator_function(
            _read, serialization=core_schema.plain_serializer_function_ser_schema(_written)
        )


def about(at: str, what: str) -> Message:
    """A message about a field or column, which a form shows beside it."""
    return Message(ABOUT, at=at, what=what)


def _written(text: str) -> Any:
    if not isinstance(text, Message):
        return text
    return {"template": text.template, "values": {n: _written(v) if isinstance(v, str) else v
                                                  for n, v in text.values.items()}}  # fmt: skip


def _read(stored: Any) -> Message:
    if isinstance(stored, str):
        return Message.of(stored)
    values = {n: _read(v) if isinstance(v, dict) else v for n, v in stored["values"].items()}
    return Message(stored["template"], **values)
