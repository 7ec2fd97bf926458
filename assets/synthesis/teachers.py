"""Teachers: whatever writes text when asked, a model of the registry or a server, behind one form.

Each answer has a seed of its own, from the node's seed and the identity of what was asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, Protocol

from assets.compute import Dtype, load_model, prepare
from assets.synthesis.generation import Written, write_answers
from assets.synthesis.sampling import Sampling
from registry.errors import MethodError

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from registry.context import Context, Input

_REMEMBERED = 4096
"""Prompts whose tokens are kept at hand."""
FinishReason = Literal["stop", "length", "content_filter"]


@dataclass(frozen=True)
class Request:
    """One answer that is asked for."""

    id: str
    """What it is known by; different for each sample of a prompt."""
    prompt: str
    """What the teacher reads."""
    seed: int
    """The seed of its draws."""


@dataclass(frozen=True)
class Completion:
    """One answer."""

    text: str
    finish_reason: FinishReason
    """`stop` where it ended by itself, `length` where it was cut."""
    tokens: int | None
    """Tokens that the teacher wrote, with the one that ended the answer; None where unknown."""
    logprob: float | None
    """Mean of what the teacher itself gave each token, in nats; None where a server tells none."""
    served_by: str | None = None
    """What a server said it is."""


@dataclass(frozen=True)
class Refusal:
    """No answer, since the teacher does not take this prompt."""

    reason: str


Reply = Completion | Refusal


class Teacher(Protocol):
    """Writes answers."""

    name: str
    """The node, or the name that a server knows it by."""
    batch: int
    """How many requests it takes at once."""
    whole_batches: bool
    """Whether a batch is repeated whole, since who else is in it can move the last digits."""

    def size(self, request: Request) -> int:
        """How long a request is, for putting those of one length together."""
        ...

    def refuse(self, request: Request) -> str | None:
        """Why a request cannot be put to this teacher; None where it can."""
        ...

    def complete(self, requests: Sequence[Request]) -> Iterator[tuple[Request, Reply]]:
        """The answers, each as soon as it is there."""
        ...

    def describe(self) -> dict[str, Any]:
        """What is known of the teacher after its answers."""
        ...


class ModelTeacher:
    """A model of the registry, read with transformers."""

    whole_batches = True

    def __init__(
        self, model: Any, tokenizer: Any, name: str, sampling: Sampling, batch: int
    ) -> None:
        if sampling.chat_template and not tokenizer.chat_template:
            raise MethodError(
                f"the tokenizer of {name} has no chat template",
                why="the prompt cannot be put as a chat",
                mend="set `chat_template: false` in the sampling, or choose a chat model",
            )
        self.name, self.batch = name, batch
        self._model, self._tokenizer, self._sampling = model, tokenizer, sampling
        self._ends = _ends(model, tokenizer, sampling)
        self._window = getattr(model.config, "max_position_embeddings", None)
        self._marks = tuple(sorted(set(tokenizer.all_special_tokens), key=len))
        self._encode = lru_cache(maxsize=_REMEMBERED)(self._encode_anew)
        _speed_up_head(model)

    def size(self, request: Request) -> int:
        """Tokens of the prompt."""
        return len(self._encode(request.prompt))

    def refuse(self, request: Request) -> str | None:
        """A prompt without words, with marks of the chat itself, or without room for an answer."""
        if not request.prompt.strip():
            return "the prompt is empty"
        for mark in self._marks:
            if mark in request.prompt:
                return f"the prompt holds {mark}, which the model reads as a part of the chat"
        needed = self.size(request) + self._sampling.max_new_tokens
        if self._window is not None and needed > self._window:
            return f"prompt and answer need {needed} tokens; the model reads {self._window}"
        return None

    def complete(self, requests: Sequence[Request]) -> Iterator[tuple[Request, Reply]]:
        """All answers at the end of the batch."""
        written = write_answers(
            self._model,
            [self._encode(request.prompt) for request in requests],
            [request.seed for request in requests],
            self._sampling,
            self._ends,
            self._tokenizer.pad_token_id or 0,
        )
        for request, one in zip(requests, written, strict=True):
            yield request, self._completion(one)

    def describe(self) -> dict[str, Any]:
        """The node."""
        return {"kind": "model", "model": self.name}

    def _encode_anew(self, prompt: str) -> list[int]:
        if not self._sampling.chat_template:
            ids: list[int] = self._tokenizer.encode(prompt)
            return ids
        encoded = self._tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
        )
        templated: list[int] = encoded["input_ids"]
        return templated

    def _completion(self, written: Written) -> Completion:
        text = str(self._tokenizer.decode(written.tokens, skip_special_tokens=True))
        if self._sampling.until == "end of line":
            text = text.partition("\n")[0]
        return Completion(
            text=text,
            finish_reason="stop" if written.ended else "length",
            tokens=len(written.tokens),
            logprob=sum(written.logprobs) / len(written.logprobs),
        )


def load_teacher(
    context: Context, given: Input, sampling: Sampling, batch: int, dtype: Dtype
) -> ModelTeacher:
    """The model of an artifact as a teacher."""
    device = prepare(context)
    model, tokenizer = load_model(given.files, device, dtype)
    return ModelTeacher(model, tokenizer, given.label, sampling, batch)


def _ends(model: Any, tokenizer: Any, sampling: Sampling) -> frozenset[int]:
    """The tokens that end an answer: those that the model or its tokenizer names, and line ends."""
    named: Any = getattr(model.generation_config, "eos_token_id", None)
    ids = set(named if isinstance(named, list) else [named]) | {tokenizer.eos_token_id}
    if sampling.until == "end of line":
        words = tokenizer.batch_decode([[token] for token in range(len(tokenizer))])
        ids |= {token for token, word in enumerate(words) if "\n" in word}
    return frozenset(int(token) for token in ids if token is not None)


def _speed_up_head(model: Any) -> None:
    """Lets the output layer of a bfloat16 model multiply in bfloat16 and add up in float32.

    Both factors are bfloat16 numbers, so that nothing is lost, and it takes a third of the time.
    The rest of the model keeps its precision: positions are no bfloat16 numbers.
    """
    import torch

    head = model.get_output_embeddings()
    if head.weight.dtype != torch.bfloat16:
        return
    plain: Callable[[torch.Tensor], torch.Tensor] = head.forward

    def forward(hidden: torch.Tensor) -> torch.Tensor:
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("medium")
        try:
            return plain(hidden)
        finally:
            torch.set_float32_matmul_precision(before)

    head.forward = forward
