"""Teachers behind a server that speaks OpenAI's protocol; vLLM and most others do.

The key is read from an environment variable when it is needed, and stands in no file. Every answer
notes what the server said it is, since one name can stand for different models over time.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from ipaddress import ip_address
from typing import TYPE_CHECKING, Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from assets.synthesis.sampling import Sampling
from assets.synthesis.teachers import Completion, FinishReason, Refusal, Reply, Request
from registry.errors import MethodError, UsageError
from registry.typed import Frozen

if TYPE_CHECKING:
    import openai

_LONGEST = 300
"""Characters of a server's message that an error shows."""
_BATCH = 256
"""Requests in a batch, more than are ever open at once."""
_REASONS: dict[str, FinishReason] = {"length": "length", "content_filter": "content_filter"}


def _check_address(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("write the address like `https://host/v1`")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("an address holds no name, password or query; name the key's variable")
    return value


def _is_this_machine(address: str) -> bool:
    host = urlsplit(address).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Endpoint(Frozen):
    """A server, and how it is asked."""

    base_url: Annotated[str, AfterValidator(_check_address)]
    """Its address, such as `http://localhost:8000/v1`."""
    model: str = Field(min_length=1, max_length=200)
    """The model, by the server's name for it."""
    key_variable: str | None = Field(default=None, pattern=r"^[A-Z][A-Z0-9_]*$")
    """The environment variable that holds the key; the key itself is stored nowhere."""
    concurrency: int = Field(default=8, ge=1, le=256)
    """Requests that are open at once."""
    requests_per_minute: float | None = Field(default=None, gt=0)
    """The most requests that are started in a minute."""
    timeout_seconds: float = Field(default=120, gt=0)
    """How long one request may take."""
    retries: int = Field(default=5, ge=0, le=20)
    """How often a request is repeated that timed out or that the server could not take, each time
    after a longer wait."""
    logprobs: bool = False
    """Whether the server is asked for the probability of each token."""
    extensions: bool = False
    """Whether the server reads `top_k` and `min_p`, which vLLM does and OpenAI's own does not."""

    @model_validator(mode="after")
    def _key_stays_secret(self) -> Self:
        plain = urlsplit(self.base_url).scheme == "http"
        if self.key_variable and plain and not _is_this_machine(self.base_url):
            raise ValueError("a key would cross the network unencrypted; use https")
        return self


class EndpointTeacher:
    """A model behind a server."""

    batch = _BATCH
    whole_batches = False

    def __init__(self, endpoint: Endpoint, sampling: Sampling) -> None:
        import openai

        if (sampling.top_k or sampling.min_p) and not endpoint.extensions:
            raise UsageError(
                "top_k and min_p are no part of OpenAI's protocol",
                where="params.sampling",
                mend="leave them out, or set `extensions: true` where the server is vLLM",
            )
        self.name = endpoint.model
        self._endpoint, self._sampling = endpoint, sampling
        self._key = _read_key(endpoint)
        self._client = openai.OpenAI(
            api_key=self._key or "none",
            base_url=endpoint.base_url,
            timeout=endpoint.timeout_seconds,
            max_retries=endpoint.retries,
        )
        self._lock = threading.Lock()
        self._next = 0.0

    def size(self, request: Request) -> int:  # noqa: ARG002
        """The same for all: a server sorts for itself."""
        return 0

    def refuse(self, request: Request) -> str | None:
        """A prompt without words."""
        return None if request.prompt.strip() else "the prompt is empty"

    def complete(self, requests: Sequence[Request]) -> Iterator[tuple[Request, Reply]]:
        """The answers as they come; where one fails for good, those under way are still taken."""
        import openai

        failed: openai.OpenAIError | None = None
        with ThreadPoolExecutor(self._endpoint.concurrency) as pool:
            open_ones = {pool.submit(self._ask, request): request for request in requests}
            for future in as_completed(open_ones):
                if future.cancelled():
                    continue
                try:
                    answer = future.result()
                except openai.OpenAIError as error:
                    failed = failed or error
                    for other in open_ones:
                        other.cancel()
                else:
                    yield open_ones[future], answer
        if failed is not None:
            raise self._stopped(failed)

    def describe(self) -> dict[str, Any]:
        """The server's address and the model that was asked for."""
        return {"kind": "endpoint", "base_url": self._endpoint.base_url, "model": self.name}

    def _ask(self, request: Request) -> Reply:
        import openai

        self._wait_for_turn()
        try:
            return self._chat(request) if self._sampling.chat_template else self._continue(request)
        except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
            return Refusal(f"the server refused it: {self._said(error)}")

    def _chat(self, request: Request) -> Completion:
        given = {"logprobs": True} if self._endpoint.logprobs else {}
        create: Any = self._client.chat.completions.create
        reply = create(
            messages=[{"role": "user", "content": request.prompt}],
            max_completion_tokens=self._sampling.max_new_tokens,
            **self._settings(request),
            **given,
        )
        choice = _first_choice(reply)
        found = getattr(getattr(choice, "logprobs", None), "content", None) or ()
        return _completion(reply, choice, choice.message.content, [t.logprob for t in found])

    def _continue(self, request: Request) -> Completion:
        given = {"logprobs": 1} if self._endpoint.logprobs else {}
        create: Any = self._client.completions.create
        reply = create(
            prompt=request.prompt,
            max_tokens=self._sampling.max_new_tokens,
            **self._settings(request),
            **given,
        )
        choice = _first_choice(reply)
        found = getattr(getattr(choice, "logprobs", None), "token_logprobs", None) or ()
        return _completion(reply, choice, choice.text, [p for p in found if p is not None])

    def _settings(self, request: Request) -> dict[str, Any]:
        sampling = self._sampling
        settings: dict[str, Any] = {
            "model": self._endpoint.model,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": request.seed,
        }
        if sampling.until == "end of line":
            settings["stop"] = ["\n"]
        if self._endpoint.extensions:
            settings["extra_body"] = {"top_k": sampling.top_k or -1, "min_p": sampling.min_p}
        return settings

    def _wait_for_turn(self) -> None:
        if self._endpoint.requests_per_minute is None:
            return
        with self._lock:
            now = time.monotonic()
            start = max(now, self._next)
            self._next = start + 60 / self._endpoint.requests_per_minute
        time.sleep(start - now)

    def _said(self, error: openai.OpenAIError) -> str:
        words = " ".join(str(error).split())
        return (words.replace(self._key, "...") if self._key else words)[:_LONGEST]

    def _stopped(self, error: openai.OpenAIError) -> MethodError:
        import openai

        where = self._endpoint.base_url
        if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
            named = self._endpoint.key_variable
            return MethodError(
                "the server refuses the key" if named else "the server asks for a key",
                where=where,
                mend=f"check the key in {named}"
                if named
                else "name the variable that holds it in `endpoint.key_variable`",
            )
        return MethodError(
            f"the server gave no answer after {self._endpoint.retries} retries: "
            f"{self._said(error)}",
            where=where,
            why="the answers so far are kept",
            mend="run the same command again when the server answers; it goes on from there",
        )


def _read_key(endpoint: Endpoint) -> str:
    if endpoint.key_variable is None:
        return ""
    key = os.environ.get(endpoint.key_variable, "")
    if not key:
        raise UsageError(
            f"the environment variable {endpoint.key_variable} is empty",
            where="params.endpoint.key_variable",
            mend="set it to the key of the server, in the shell that runs the command",
        )
    return key


def _first_choice(reply: Any) -> Any:
    choices = getattr(reply, "choices", None)
    if not choices:
        raise MethodError(
            "the server sent no answer in its reply",
            why="it may not speak OpenAI's protocol",
            mend="check `endpoint.base_url`; it usually ends in /v1",
        )
    return choices[0]


def _completion(reply: Any, choice: Any, text: str | None, logprobs: Sequence[float]) -> Completion:
    usage = getattr(reply, "usage", None)
    told = (str(part) for part in (reply.model, getattr(reply, "system_fingerprint", None)) if part)
    return Completion(
        text=(text or "").encode("utf-8", "replace").decode(),
        finish_reason=_REASONS.get(str(choice.finish_reason), "stop"),
        tokens=usage.completion_tokens if usage is not None else None,
        logprob=sum(logprobs) / len(logprobs) if logprobs else None,
        served_by=" ".join(told) or None,
    )
