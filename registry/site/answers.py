"""Pages on which a visitor asks a made model, sees its answer, and can mark it wrong.

What was asked and answered is kept as a draft of its own, so that the answer's page only reads and
a reload asks nothing again. A marked answer becomes a proposed test, never a test: a maintainer
takes it over.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException

from registry.answering import BusyError, Question, Reply, TooSlowError, models, reply
from registry.consent import today
from registry.errors import ChorusError, UsageError
from registry.graph import load_graph
from registry.message import ABOUT, Message
from registry.plain_words import in_plain_words
from registry.profile_tests import Marked
from registry.site.drafts import Draft, Finding, State
from registry.site.guard import (
    from_elsewhere,
    new_name,
    own_visitor,
    read_form,
    remember,
    require_own,
    token_of,
    visitor_of,
)
from registry.site.messages import require_language
from registry.site.pages import render
from registry.test_desk import propose

if TYPE_CHECKING:
    from registry.site.app import Site

_ASKED = ("model", "question", "options")
_MARKED = ("community", "why", "better", "by")


def add_answers(app: FastAPI, site: Site) -> None:
    """Adds the pages for asking."""
    _reading(app, site)
    _sending(app, site)


def _reading(app: FastAPI, site: Site) -> None:
    """Pages that only read."""

    @app.get("/{language}/ask")
    def empty(request: Request, language: str) -> Response:
        require_language(language)
        if from_elsewhere(request):
            # See the form's first page: a strict cookie is not sent along from another site.
            return RedirectResponse(f"/{language}/", 303)
        visitor = visitor_of(request) or new_name()
        page = HTMLResponse(_ask_page(site, request, None, token_of(site.secret, visitor)))
        remember(request, page, visitor)
        return page

    @app.get("/{language}/ask/{token}")
    def answer(request: Request, language: str, token: str) -> Response:
        require_language(language)
        draft = _found(site, request, token)
        if draft.state.receipt:
            return RedirectResponse(f"/{language}/ask/{token}/receipt", 303)
        signed = token_of(site.secret, visitor_of(request))
        if not draft.state.one("reply"):
            return HTMLResponse(_ask_page(site, request, draft, signed))
        return HTMLResponse(_answer_page(site, request, draft, signed))

    @app.get("/{language}/ask/{token}/receipt")
    def receipt(request: Request, language: str, token: str) -> Response:
        require_language(language)
        draft = _found(site, request, token)
        if not draft.state.receipt:
            raise HTTPException(404)
        words, rest = site.words(request), f"ask/{draft.token}/receipt"
        said = dict(draft.state.receipt)
        return HTMLResponse(render("marked.html", words, rest=rest, receipt=said))


def _sending(app: FastAPI, site: Site) -> None:
    """What changes something: only with the token that the visitor's own page carried."""

    @app.post("/{language}/ask")
    async def put(request: Request, language: str) -> Response:
        require_language(language)
        visitor, data = await _sent(site, request)
        draft = await run_in_threadpool(_asked, site, visitor, data)
        return RedirectResponse(f"/{language}/ask/{draft.token}", 303)

    @app.post("/{language}/ask/{token}/wrong")
    async def wrong(request: Request, language: str, token: str) -> Response:
        require_language(language)
        _, data = await _sent(site, request)
        draft = _found(site, request, token)
        address = f"/{language}/ask/{draft.token}"
        if not draft.state.receipt and not await run_in_threadpool(_marked, site, draft, data):
            return RedirectResponse(f"{address}#wrong", 303)
        return RedirectResponse(f"{address}/receipt", 303)


def _found(site: Site, request: Request, token: str) -> Draft:
    found = site.answers.find(visitor_of(request), token)
    if found is None:
        raise HTTPException(404)
    return found


async def _sent(site: Site, request: Request) -> tuple[str, FormData]:
    """The visitor and what they sent; raises ForgedError where it is not from our page."""
    visitor = own_visitor(request)
    data = await read_form(request)
    await data.close()
    require_own(site.secret, visitor, data.get("token"))
    return visitor, data


def _texts(data: FormData, names: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """What was typed, with line ends as one character."""
    typed = {name: str(data.get(name, "")).replace("\r\n", "\n") for name in names}
    return {name: (text,) for name, text in typed.items()}


def _asked(site: Site, visitor: str, data: FormData) -> Draft:
    """Puts a question to a model and keeps the answer, or why there is none."""
    typed = _texts(data, _ASKED)
    draft = site.answers.new(visitor)
    draft = replace(draft, state=State(fields=typed))
    site.answers.save(draft)  # first, so that a server that dies loses no word
    findings: list[Finding] = []
    try:
        question = Question(
            model=typed["model"][0],
            question=typed["question"][0],
            options=tuple(o for line in typed["options"][0].split("\n") if (o := line.strip())),
        )
        _require_offered(site.root, question.model)
        said = reply(site.root, question)
        typed["reply"] = (said.model_dump_json(),)
    except ValidationError as error:
        findings = _findings(error)
    except BusyError:
        findings = [Finding(field="", what=Message(""), lead="ask.busy")]
    except TooSlowError:
        findings = [Finding(field="", what=Message(""), lead="ask.slow")]
    except ChorusError as error:
        findings = _whole(error)
    draft = replace(draft, state=State(fields=typed, refused=tuple(findings)))
    site.answers.save(draft)
    return draft


def _require_offered(root: Path, model: str) -> None:
    if model not in {node.id for node in models(load_graph(root))}:
        raise UsageError(Message("no model that may be asked is called {name!r}", name=model))


def _findings(error: ValidationError) -> list[Finding]:
    found = []
    for one in error.errors():
        place, what = str(one["loc"][0]) if one["loc"] else "", in_plain_words(one)
        if what.template == ABOUT:
            place, what = str(what.values["at"]), Message.of(str(what.values["what"]))
        blank = not str(one["input"]).strip() and place != "options"
        found.append(Finding(field=place, what=what, lead="lead.blank" if blank else ""))
    return found


def _whole(error: ChorusError) -> list[Finding]:
    """What is wrong, where it belongs to no field."""
    return [Finding(field="", what=Message.of(error.what), mend=Message.of(error.mend))]


def _marked(site: Site, draft: Draft, data: FormData) -> bool:
    """Makes a marked answer a proposed test; False where something is to be mended first."""
    said = Reply.model_validate_json(draft.state.one("reply") or "{}")
    typed = {**draft.state.fields, **_texts(data, _MARKED)}
    community = typed["community"][0]
    findings: list[Finding] = []
    try:
        if community not in said.communities:
            raise UsageError(Message("the model does not rest on {profile!r}", profile=community))
        options = tuple(said.options)
        one = Marked(
            question=typed["question"][0],
            options=options,
            wrong=said.taken,
            better=typed["better"][0].strip() or None,
            why=typed["why"][0],
            model=typed["model"][0],
            content=said.content,
            on=today().isoformat(),
            by=typed["by"][0].strip(),
        )
        name = propose(site.root, community, one)
    except ValidationError as error:
        findings = _findings(error)
    except ChorusError as error:
        findings = _whole(error)
    if findings:
        state = State(fields=typed, refused=tuple(findings))
        site.answers.save(replace(draft, state=state))
        return False
    kept = {"profile": community, "name": name, "on": one.on, "by": one.by}
    kept |= {"question": one.question, "wrong": one.wrong, "token": draft.token}
    site.answers.keep_receipt(draft, tuple(kept.items()))
    return True


def _ask_page(site: Site, request: Request, draft: Draft | None, token: str) -> str:
    graph = load_graph(site.root)
    rest = f"ask/{draft.token}" if draft else "ask"
    known = graph.project.profiles
    named = [
        (node.id, known[node.community].profile.name if node.community else "")
        for node in models(graph)
    ]
    state = draft.state if draft else State()
    return render(
        "ask.html",
        site.words(request),
        rest=rest,
        models=named,
        state=state,
        beside=_beside(state),
        token=token,
    )


def _answer_page(site: Site, request: Request, draft: Draft, token: str) -> str:
    said = Reply.model_validate_json(draft.state.one("reply"))
    profiles = load_graph(site.root).project.profiles
    names: dict[str, Any] = {
        community: profiles[community].profile.name
        for community in said.communities
        if community in profiles
    }
    return render(
        "answer.html",
        site.words(request),
        rest=f"ask/{draft.token}",
        draft=draft,
        state=draft.state,
        said=said,
        names=names,
        beside=_beside(draft.state),
        token=token,
    )


def _beside(state: State) -> dict[str, list[Finding]]:
    """The messages beside each field, none where all is well; under nothing, those of the whole."""
    found: dict[str, list[Finding]] = {name: [] for name in ("", "wrong", *_ASKED, *_MARKED)}
    for finding in state.refused:
        found.setdefault(finding.field, []).append(finding)
    return found
