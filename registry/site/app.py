"""The partner's pages as a web application: which address does what.

Every page is made on the server and works without JavaScript. What a visitor sends is saved as a
draft first, and the answer is always a redirection to a page that only reads: reloading and going
back are safe.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware

from registry.errors import ChorusError, ProblemsError, UsageError
from registry.profile_content import ACCEPTED
from registry.profile_life import read_life
from registry.site.answers import add_answers
from registry.site.drafts import Draft, Drafts
from registry.site.findings import check
from registry.site.guard import (
    HEADERS,
    MAX_BODY,
    ForgedError,
    Guard,
    TooLargeError,
    from_elsewhere,
    key_of,
    new_name,
    own_visitor,
    read_form,
    remember,
    require_own,
    token_of,
    visitor_of,
)
from registry.site.messages import Catalogue, catalogue, catalogues, require_language
from registry.site.pages import STYLE, form_page, render, shown_findings, templates
from registry.site.receiving import Sent, receive
from registry.unfinished import ANSWERS, DRAFTS

LOCAL = ("localhost", "127.0.0.1")
_log = logging.getLogger(__name__)


class Site:
    """What the pages need to know: the project, the drafts, and the secret that signs tokens."""

    def __init__(self, root: Path, secret: bytes, language: str) -> None:
        self.root, self.secret, self.language = root, secret, language
        self.drafts = Drafts(root / DRAFTS, secret)
        self.answers = Drafts(root / ANSWERS, secret)

    def words(self, request: Request) -> Catalogue:
        """The catalogue of the language that an address starts with."""
        code = request.url.path.split("/")[1]
        return catalogue(code if code in catalogues() else self.language)

    def draft(self, request: Request, token: str) -> Draft:
        """The visitor's draft; raises HTTPException where there is none."""
        found = self.drafts.find(visitor_of(request), token)
        if found is None or self._withdrawn(found):
            raise HTTPException(404)
        return found

    def _withdrawn(self, draft: Draft) -> bool:
        """Whether a draft holds words of a profile that was withdrawn; then it is removed."""
        base = draft.state.base
        if base is None:
            return False
        gone = read_life(self.root / ACCEPTED / base.id, self.root)[0].stage == "withdrawn"
        if gone:
            self.drafts.remove(draft)
        return gone

    def take(self, visitor: str, data: FormData) -> tuple[Draft, Sent]:
        """Takes a sent form into its draft, or into a new one."""
        texts = tuple((n, v) for n, v in data.multi_items() if isinstance(v, str))
        files: dict[str, IO[bytes]] = {
            name: upload.file
            for name, upload in data.multi_items()
            if not isinstance(upload, str) and (upload.filename or upload.size)
        }
        sent = Sent(texts, files, str(data.get("act", "check")))
        found = self.drafts.find(visitor, str(data.get("draft", "")))
        usable = found and not found.state.receipt and not self._withdrawn(found)
        draft = found if found and usable else self.drafts.new(visitor)
        return receive(self.drafts, draft, sent), sent


def build_app(
    root: Path,
    secret: bytes,
    *,
    language: str = "en",
    hosts: Sequence[str] = LOCAL,
    limit: int = MAX_BODY,
) -> FastAPI:
    """The form for the project in `root`, answering to the names in `hosts` only."""
    site = Site(root, secret, catalogue(language).language)
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False)
    app.add_middleware(Guard, limit=limit)
    _files(app, site)
    _pages(app, site)
    _sending(app, site)
    _changing(app, site)
    add_answers(app, site)
    _failures(app, site)
    return app


def _files(app: FastAPI, site: Site) -> None:
    """The style sheet, the tables' templates, and the way to the first page."""

    @app.get("/")
    def first() -> Response:
        return RedirectResponse(f"/{site.language}/", 303)

    @app.get("/style.css")
    def style() -> Response:
        return Response(STYLE, media_type="text/css")

    @app.get("/templates/{name}")
    def template(name: str) -> Response:
        content = templates().get(name)
        if content is None:
            raise HTTPException(404)
        kept = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(content, media_type="text/csv", headers=kept)


def _pages(app: FastAPI, site: Site) -> None:
    """Pages that only read."""

    @app.get("/{language}/")
    def start(request: Request, language: str) -> Response:
        require_language(language)
        return HTMLResponse(render("start.html", site.words(request), rest=""))

    @app.get("/{language}/form")
    def empty_form(request: Request, language: str) -> Response:
        require_language(language)
        if from_elsewhere(request):
            # A strict cookie is not sent along from another site; naming the visitor anew here
            # would part them from their draft.
            return RedirectResponse(f"/{language}/", 303)
        visitor = visitor_of(request) or new_name()
        token = token_of(site.secret, visitor)
        text = form_page(site.words(request), site.drafts.new(visitor), [], token, fresh=True)
        return _remembering(request, visitor, text)

    @app.get("/{language}/form/{token}")
    def form(request: Request, language: str, token: str) -> Response:
        require_language(language)
        draft = site.draft(request, token)
        if draft.state.receipt:
            return RedirectResponse(f"/{language}/form/{token}/receipt", 303)
        findings = shown_findings(draft, check(draft, site.root) if draft.state.checked else [])
        signed = token_of(site.secret, visitor_of(request))
        return HTMLResponse(form_page(site.words(request), draft, findings, signed, fresh=False))

    @app.get("/{language}/form/{token}/preview")
    def preview(request: Request, language: str, token: str, unsure: str = "") -> Response:
        require_language(language)
        draft = site.draft(request, token)
        if draft.state.receipt:
            return RedirectResponse(f"/{language}/form/{token}/receipt", 303)
        return _preview(site, request, draft, unconfirmed=bool(unsure))

    @app.get("/{language}/form/{token}/receipt")
    def receipt(request: Request, language: str, token: str) -> Response:
        require_language(language)
        draft = site.draft(request, token)
        if not draft.state.receipt:
            raise HTTPException(404)
        text = render(
            "receipt.html",
            site.words(request),
            rest=f"form/{draft.token}/receipt",
            receipt=dict(draft.state.receipt),
            key=key_of(site.secret, visitor_of(request), draft.token),
        )
        return HTMLResponse(text)


def _preview(site: Site, request: Request, draft: Draft, *, unconfirmed: bool) -> Response:
    from registry.site.submitting import shown_profile

    words = site.words(request)
    seen = shown_profile(draft, site.root)
    if seen is None:
        return RedirectResponse(f"/{words.language}/form/{draft.token}#summary", 303)
    text = render(
        "preview.html",
        words,
        rest=f"form/{draft.token}/preview",
        seen=seen,
        draft=draft,
        token=token_of(site.secret, visitor_of(request)),
        unconfirmed=unconfirmed,
    )
    return HTMLResponse(text)


def _sending(app: FastAPI, site: Site) -> None:
    """What changes something: only with the token that the visitor's own page carried."""

    @app.post("/{language}/form")
    async def save(request: Request, language: str) -> Response:
        require_language(language)
        visitor = own_visitor(request)
        data = await read_form(request)
        try:
            require_own(site.secret, visitor, data.get("token"))
            draft, sent = await run_in_threadpool(site.take, visitor, data)
        finally:
            await data.close()
        verb, _, name = sent.act.partition(".")
        spoken = name if verb == "language" and name in catalogues() else language
        address = f"/{spoken}/form/{draft.token}"
        if sent.act == "preview":
            findings = await run_in_threadpool(check, draft, site.root)
            if not findings and not draft.state.refused:
                return RedirectResponse(f"{address}/preview", 303)
        at = {"more": f"#t-{name}", "drop": f"#t-{name}", "read": f"#t-{name}"}.get(
            verb, "#summary"
        )
        return RedirectResponse(address + at, 303)

    @app.post("/{language}/form/{token}/submit")
    async def submit(request: Request, language: str, token: str) -> Response:
        from registry.site.submitting import hand_in

        require_language(language)
        visitor = own_visitor(request)
        data = await read_form(request)
        await data.close()
        require_own(site.secret, visitor, data.get("token"))
        sure = bool(data.get("sure"))
        draft = site.draft(request, token)
        address = f"/{language}/form/{draft.token}"
        if draft.state.receipt:
            return RedirectResponse(f"{address}/receipt", 303)
        if not sure:
            return RedirectResponse(f"{address}/preview?unsure=1#hand-in", 303)
        try:
            key = key_of(site.secret, visitor, draft.token)
            receipt = await run_in_threadpool(hand_in, draft, site.root, key)
        except ProblemsError:
            return RedirectResponse(f"{address}#summary", 303)
        await run_in_threadpool(site.drafts.keep_receipt, draft, receipt)
        return RedirectResponse(f"{address}/receipt", 303)


def _changing(app: FastAPI, site: Site) -> None:
    """The way to a form that starts with an accepted profile."""

    @app.get("/{language}/change")
    def ask(request: Request, language: str) -> Response:
        require_language(language)
        if from_elsewhere(request):
            return RedirectResponse(f"/{language}/", 303)
        return _ask_which(site, request, visitor_of(request) or new_name())

    @app.post("/{language}/change")
    async def change(request: Request, language: str) -> Response:
        from registry.site.revising import begin

        require_language(language)
        visitor = own_visitor(request)
        data = await read_form(request)
        await data.close()
        require_own(site.secret, visitor, data.get("token"))
        name, key = (str(data.get(part, "")).strip() for part in ("id", "key"))
        fresh = site.drafts.new(visitor)
        try:
            draft = await run_in_threadpool(begin, site.root, site.drafts, fresh, name, key)
        except UsageError as error:
            return _ask_which(site, request, visitor, name, error)
        return RedirectResponse(f"/{language}/form/{draft.token}", 303)


def _ask_which(
    site: Site, request: Request, visitor: str, name: str = "", error: UsageError | None = None
) -> Response:
    text = render("change.html", site.words(request), rest="change", asked=name, error=error,
                  token=token_of(site.secret, visitor))  # fmt: skip
    return _remembering(request, visitor, text, 409 if error else 200)


def _remembering(request: Request, visitor: str, text: str, status: int = 200) -> Response:
    """A page that gives a browser its name, or has it keep it."""
    page = HTMLResponse(text, status_code=status)
    remember(request, page, visitor)
    return page


def _failures(app: FastAPI, site: Site) -> None:
    """A plain page for everything that goes wrong; what went wrong inside is never shown."""

    def failed(request: Request, status: int, key: str, detail: str = "") -> Response:
        words = site.words(request)
        text = render("failed.html", words, rest="", key=key, detail=detail)
        return HTMLResponse(text, status_code=status, headers=HEADERS)

    @app.exception_handler(TooLargeError)
    def too_large(request: Request, _error: Exception) -> Response:
        return failed(request, 413, "too-large")

    @app.exception_handler(ForgedError)
    def forged(request: Request, _error: Exception) -> Response:
        return failed(request, 403, "forged")

    @app.exception_handler(HTTPException)
    def refused(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 400
        key = {400: "unreadable", 404: "missing"}.get(status, "unreadable")
        return failed(request, status, key)

    @app.exception_handler(ChorusError)
    def explained(request: Request, error: Exception) -> Response:
        words = site.words(request)
        what = f"{words.checker(error.what)}. " if isinstance(error, ChorusError) else ""
        mend = words.checker(error.mend) if isinstance(error, ChorusError) else ""
        return failed(request, 409, "refused", what + mend)

    @app.exception_handler(Exception)
    def broken(request: Request, error: Exception) -> Response:
        _log.error("a page of the form failed", exc_info=error)
        return failed(request, 500, "broken")
