"""Token sequences to learn from, each token marked as learned or only read.

A loss falls on completions and the end of a turn, never on prompts, headers or what follows a turn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from registry.errors import MethodError

IGNORED = -100
"""The label of a token that is only read."""


@dataclass(frozen=True)
class TokenSequence:
    """Tokens, and which of them are learned."""

    ids: tuple[int, ...]
    learned: tuple[bool, ...]

    @property
    def labels(self) -> list[int]:
        """The tokens that are learned, and IGNORED elsewhere."""
        return [token if on else IGNORED for token, on in zip(self.ids, self.learned, strict=True)]


Message = Mapping[str, str]
"""One turn: its `role` and its `content`."""


def has_template(tokenizer: Any) -> bool:
    """Whether a tokenizer knows how turns are written."""
    return bool(getattr(tokenizer, "chat_template", None))


def of_completion(tokenizer: Any, prompt: str, completion: str, *, chat: bool) -> TokenSequence:
    """A prompt that is read, and a completion with its end of turn that is learned."""
    if chat:
        turns = [{"role": "user", "content": prompt}, {"role": "assistant", "content": completion}]
        return of_chat(tokenizer, turns)
    read = tokenizer(prompt, add_special_tokens=True)["input_ids"]
    learned = tokenizer(completion, add_special_tokens=False)["input_ids"]
    learned = [*learned, tokenizer.eos_token_id]
    return TokenSequence((*read, *learned), (*(False for _ in read), *(True for _ in learned)))


def of_chat(tokenizer: Any, turns: Sequence[Message]) -> TokenSequence:
    """A conversation in which what the assistant says is learned, up to the end of its turn.

    Each turn is found as what the template adds to the turns before it, so that any template will
    do which writes turns one after the other. What it writes after an end of turn, such as a line
    break, is read only.
    """
    if not has_template(tokenizer):
        raise MethodError(
            "the model's tokenizer has no chat template",
            mend="set `chat_template: false`, or start from a model that has one",
        )
    if not turns or turns[0]["role"] == "assistant":
        raise MethodError("a conversation begins with a question, not with an answer")
    ids: list[int] = []
    learned: list[bool] = []
    for index, turn in enumerate(turns):
        is_answer = turn["role"] == "assistant"
        whole = _rendered(tokenizer, turns[: index + 1], prompt=False)
        if is_answer:
            head = _rendered(tokenizer, turns[:index], prompt=True)
            _require_prefix(head, whole)
            learned += [False] * (len(head) - len(ids))
            ids = head
        _require_prefix(ids, whole)
        added = whole[len(ids) :]
        learned += [is_answer] * len(added)
        if is_answer and tokenizer.eos_token_id in added:
            after = len(added) - 1 - added[::-1].index(tokenizer.eos_token_id)
            for place in range(len(whole) - len(added) + after + 1, len(whole)):
                learned[place] = False
        ids = whole
    while learned and not learned[-1]:
        learned.pop()
    return TokenSequence(tuple(ids[: len(learned)]), tuple(learned))


ROLES = ("system", "user", "assistant", "tool")
"""Who may speak in a conversation."""


def problem_of_chat(turns: Sequence[Any]) -> str:
    """Why a conversation cannot be learned from, or nothing."""
    for turn in turns:
        role, content = (turn or {}).get("role"), (turn or {}).get("content")
        if not isinstance(role, str) or not isinstance(content, str):
            return "a turn of its conversation has no role or no text"
        if role not in ROLES:
            return f"a turn of its conversation is by {role[:20]!r}, not by {', '.join(ROLES)}"
    first = next((turn["role"] for turn in turns if turn["role"] != "system"), "")
    if first != "user":
        return "its conversation does not begin with a question"
    if not any(turn["role"] == "assistant" and turn["content"].strip() for turn in turns):
        return "nobody answers in its conversation"
    return ""


def mark_in(tokenizer: Any, texts: Sequence[str]) -> str:
    """A special token that is written out in one of the texts, or nothing.

    The model would read it as the mark itself, so that anybody's words could end a turn.
    """
    return next((m for m in tokenizer.all_special_tokens if any(m in t for t in texts)), "")


def _rendered(tokenizer: Any, turns: Sequence[Message], *, prompt: bool) -> list[int]:
    from jinja2.exceptions import TemplateError

    try:
        encoded = tokenizer.apply_chat_template(
            list(turns), tokenize=True, add_generation_prompt=prompt, return_dict=True
        )
    except TemplateError as error:
        raise MethodError(
            f"the model's chat template refuses a conversation: {error}",
            why=f"its turns are by {', '.join(turn['role'] for turn in turns)}",
            mend="give conversations in the form that the model was taught",
        ) from error
    return list(encoded["input_ids"])


def _require_prefix(head: Sequence[int], whole: Sequence[int]) -> None:
    if list(whole[: len(head)]) != list(head):
        raise MethodError(
            "the model's chat template rewrites earlier turns when one is added",
            why="which tokens are an answer could not be told",
            mend="use a template that writes turns one after the other",
        )
