"""What stands between a stranger's request and the form: size, origin, token, strict headers."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
from pathlib import Path

from starlette.datastructures import FormData, Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from registry.errors import UsageError
from registry.profile_tables import MAX_BYTES

MAX_BODY = 100 * 1024 * 1024
"""Bytes of one request, of which the large ones are files and go to disk."""
_DRAINED = 32 * 1024 * 1024
"""Bytes past the limit that are thrown away, so that a browser stays to read the answer."""
_MAX_FIELDS, _MAX_FILES, _MAX_TEXT = 4000, 64, 256 * 1024
COOKIE = "chorus_visitor"
_NAME = 32
COOKIE_AGE = 7 * 24 * 3600
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}


class TooLargeError(Exception):
    """A request with more bytes than the form takes."""


class ForgedError(Exception):
    """A request that did not come from a page of ours."""


class Guard:
    """Counts a request's bytes as they come, and puts strict headers on every answer."""

    def __init__(self, app: ASGIApp, limit: int = MAX_BODY) -> None:
        self._app, self._limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Counted(receive, self._limit, Headers(scope=scope).get("content-length", ""))

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        await self._app(scope, body.receive, guarded)


class Parser(MultiPartParser):
    """Reads a sent form; of a file that is too large no more is kept than shows that it is.

    So the texts beside it still arrive, and nothing that was typed is lost.
    """

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        """Takes a piece of a text or a file."""
        file = self._current_part.file
        if file is None or (file.size or 0) <= MAX_BYTES:
            super().on_part_data(data, start, end)


async def read_form(request: Request) -> FormData:
    """A sent form; raises HTTPException where it cannot be read, or holds too many parts."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise HTTPException(400)
    parser = Parser(
        request.headers,
        request.stream(),
        max_files=_MAX_FILES,
        max_fields=_MAX_FIELDS,
        max_part_size=_MAX_TEXT,
    )
    try:
        return await parser.parse()
    except MultiPartException:
        raise HTTPException(400) from None


class _Counted:
    """A request's body, cut off where it is too long."""

    def __init__(self, receive: Receive, limit: int, announced: str) -> None:
        self._receive, self._limit, self._seen = receive, limit, 0
        self._too_long = announced.isdigit() and int(announced) > limit

    async def receive(self) -> Message:
        """The next part; raises TooLargeError past the limit."""
        if self._too_long:
            await self._drain()
        message = await self._receive()
        self._seen += len(message.get("body", b""))
        if self._seen > self._limit:
            await self._drain()
        return message

    async def _drain(self) -> None:
        while self._seen <= self._limit + _DRAINED:
            message = await self._receive()
            self._seen += len(message.get("body", b""))
            if message["type"] != "http.request" or not message.get("more_body"):
                break
        raise TooLargeError


def read_secret(root: Path) -> bytes:
    """The project's secret for forms, made the first time; drafts outlast a restart through it."""
    path = root / ".chorus" / "site-secret"
    path.parent.mkdir(exist_ok=True)
    with contextlib.suppress(FileExistsError):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as stream:
            stream.write(secrets.token_bytes(_NAME))
    secret = path.read_bytes()
    if len(secret) != _NAME:
        raise UsageError("is no secret of the form", where=str(path), mend="remove that file")
    return secret


def visitor_of(request: Request) -> str:
    """The random name of a visitor's browser, or nothing where it has none yet."""
    value = request.cookies.get(COOKIE, "")
    return value if len(value) == 2 * _NAME and value.isalnum() else ""


def new_name() -> str:
    """A random name for a browser that has none yet."""
    return secrets.token_hex(_NAME)


def remember(request: Request, response: Response, visitor: str) -> None:
    """Has a browser keep its name for as long as a draft is kept."""
    response.set_cookie(
        COOKIE,
        visitor,
        max_age=COOKIE_AGE,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )


def token_of(secret: bytes, visitor: str) -> str:
    """The token that a visitor's forms carry: no other site can know it."""
    return hmac.new(secret, f"form\0{visitor}".encode(), hashlib.sha256).hexdigest()


def key_of(secret: bytes, visitor: str, draft: str) -> str:
    """The key of what a visitor hands in: shown to that browser again, and kept nowhere."""
    return hmac.new(secret, f"key\0{visitor}\0{draft}".encode(), hashlib.sha256).hexdigest()


def from_elsewhere(request: Request) -> bool:
    """Whether a browser says that another site sent the visitor here."""
    return request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin")


def own_visitor(request: Request) -> str:
    """The visitor who sends a form; raises ForgedError where another site sends it."""
    if from_elsewhere(request):
        raise ForgedError
    return visitor_of(request)


def require_own(secret: bytes, visitor: str, token: object) -> None:
    """Raises ForgedError unless a form carries the token of its visitor."""
    good = token_of(secret, visitor)
    if not visitor or not isinstance(token, str):
        raise ForgedError
    if not hmac.compare_digest(good.encode(), token.encode()):
        raise ForgedError
