"""Prompts and completions as token ids, and which of them have no gradient to speak of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from registry.errors import UsageError

Reason = Literal[
    "empty completion",
    "nothing before the completion",
    "longer than the context",
    "gradient not finite",
]
"""Why a row has no vector."""


@dataclass(frozen=True)
class Encoded:
    """A row as the model reads it: the prompt's tokens, then those that the loss is over."""

    ids: tuple[int, ...]
    supervised: int
    """How many of the last tokens the model has to write: the completion and its end."""

    @property
    def prompt(self) -> int:
        """How many tokens come before the completion."""
        return len(self.ids) - self.supervised


@dataclass(frozen=True)
class Unusable:
    """A row without a vector, and why."""

    reason: Reason
    tokens: int | None = None
    """Its length in tokens, where that is known."""


@dataclass(frozen=True)
class Encoder:
    """Turns rows into tokens, the same way for every engine."""

    tokenizer: Any
    context: int
    """The longest row that is taken, in tokens."""
    chat_template: bool = True
    """Whether the prompt is put as a user's message in the tokenizer's own form."""

    def __post_init__(self) -> None:
        if self.chat_template and not getattr(self.tokenizer, "chat_template", None):
            raise UsageError(
                "the proxy model's tokenizer has no chat template",
                where="params.chat_template",
                why="prompts would be put in a form that the model never saw",
                mend="set `chat_template: false` to put prompts as plain text, or choose a model "
                "that was taught to chat",
            )

    def __call__(self, prompt: str | None, completion: str | None) -> Encoded | Unusable:
        """The tokens of a row, or why it has no gradient."""
        if completion is None or not completion.strip():
            return Unusable("empty completion")
        before = self._prompt(prompt or "")
        if not before:
            return Unusable("nothing before the completion")
        written = list(self.tokenizer(completion, add_special_tokens=False)["input_ids"])
        if self.tokenizer.eos_token_id is not None:
            written.append(self.tokenizer.eos_token_id)
        if (tokens := len(before) + len(written)) > self.context:
            return Unusable("longer than the context", tokens)
        return Encoded((*before, *written), len(written))

    def _prompt(self, prompt: str) -> list[int]:
        if not self.chat_template:
            plain: list[int] = self.tokenizer(prompt)["input_ids"]
            bos = self.tokenizer.bos_token_id
            return plain or ([bos] if bos is not None else [])
        encoded = self.tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
        )
        ids: list[int] = encoded["input_ids"]
        return ids


def context_length(model: Any) -> int:
    """The most tokens that a model can read, by its configuration."""
    config = model.config.get_text_config()
    found = getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None)
    return int(found) if found else 1 << 20


def batches(rows: Sequence[Encoded], tokens: int) -> Iterator[list[int]]:
    """Positions of rows, alike in length, so that each batch holds at most `tokens` with padding.

    The order is by length and then by position, so that the same rows fall into the same batches.
    A row that is longer than `tokens` is a batch of its own.
    """
    found: list[int] = []
    for index in sorted(range(len(rows)), key=lambda i: (len(rows[i].ids), i)):
        if found and (len(found) + 1) * len(rows[index].ids) > tokens:
            yield found
            found = []
        found.append(index)
    if found:
        yield found
