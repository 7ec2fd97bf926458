"""The pages for asking a model and for marking its answer wrong."""

from __future__ import annotations

import re
import shutil
import threading
import time
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from registry.answering import BusyError, Reply, TooSlowError
from registry.errors import ChorusError
from registry.site import answers
from registry.site.app import build_app
from registry.test_desk import accepted, proposals
from tests.conftest import ROOT
from tests.site.filled import SECRET, parsed

GROUP = "age-22-34"
MODEL = f"parrot@{GROUP}"
REPLY = Reply(
    content="ab" * 32,
    communities=(GROUP,),
    text=None,
    options={"A lot": 0.2, "<b>Some</b>": 0.7, "None": 0.1},
    outside=0.05,
    taken="<b>Some</b>",
    notice="It speaks for no one.",
    label="near",
    item="Q8_7",
    community=GROUP,
    wording="How much trust do you feel, {{7*7}}?",
    similarity=0.71,
    held_out=True,
)
FREE = REPLY.model_copy(
    update={"options": {}, "text": "<script>x</script> It is so.", "taken": "It is so.",
            "label": "never asked", "held_out": False}
)  # fmt: skip


class Asker:
    """Somebody with a browser that runs no scripts."""

    def __init__(self, root: Path, language: str = "en") -> None:
        self.client = TestClient(
            build_app(root, SECRET), base_url="http://localhost", raise_server_exceptions=False
        )
        self.language = language
        self.page = self.client.get(f"/{language}/ask").text
        self.address = ""
        self.status = 200

    def send(self, address: str, **typed: str) -> str:
        data = {"token": parsed(self.page).values["token"][0], **typed}
        answer = self.client.post(address, data=data, files={"nothing": ("", b"")})
        self.page, self.address, self.status = answer.text, answer.url.path, answer.status_code
        return self.page

    def ask(self, **typed: str) -> str:
        given = {"model": MODEL, "question": "How much do you trust the news?", "options": ""}
        return self.send(f"/{self.language}/ask", **{**given, **typed})

    def mark(self, **typed: str) -> str:
        given = {"community": GROUP, "why": "Nobody here says so.", "better": "", "by": "board:2"}
        return self.send(f"{self.address}/wrong", **{**given, **typed})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "registry").mkdir()
    shutil.copytree(ROOT / "value_profiles" / GROUP, tmp_path / "value_profiles" / GROUP)
    return tmp_path


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[Reply | ChorusError]:
    """What the model says next; it is asked for real in the tests of `registry.answering`."""
    waiting: list[Reply | ChorusError] = [REPLY]

    def reply(_root: Path, _question: object) -> Reply:
        if isinstance(waiting[0], ChorusError):
            raise waiting[0]
        return waiting[0]

    class Offered:
        id, community = MODEL, GROUP

    monkeypatch.setattr(answers, "reply", reply)
    monkeypatch.setattr(answers, "models", lambda _graph: [Offered])
    return waiting


@pytest.fixture
def asker(root: Path, said: list[Reply | ChorusError]) -> Asker:
    return Asker(root)


def plain(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def test_the_answer_stands_with_label_notice_and_nearest_item(asker: Asker) -> None:
    page = asker.ask(options="A lot\n<b>Some</b>\r\n\nNone")
    assert re.fullmatch("/en/ask/[0-9a-f]{32}", asker.address)
    for part in (
        "70.0 %",
        "5.0 % of the probability lay outside",
        "Near",
        "0.71",
        "Q8_7",
        "respondents aged 22-34, 2020 survey",
        "it speaks for no one",
        "a question and its opposite lie near too",
        "No model learned from these words",
    ):
        assert part in plain(page), part
    assert "<b>" not in page
    assert "&lt;b&gt;Some" in page
    assert "{{7*7}}" in page
    assert parsed(page).active == []
    assert "script" not in parsed(page).tags
    assert asker.client.get(asker.address).text == page


def test_a_free_answer_is_text_whatever_it_holds(
    asker: Asker, said: list[Reply | ChorusError]
) -> None:
    said[0] = FREE
    page = asker.ask()
    assert "&lt;script&gt;x" in page
    assert "Never asked" in page
    assert "No model learned" not in page


def test_a_mark_lands_as_a_proposal_and_never_as_a_test(root: Path, asker: Asker) -> None:
    asker.ask()
    page = asker.mark(better="A lot")
    assert asker.address.endswith("/receipt")
    ((name, one),) = proposals(root, GROUP).items()
    assert name in page
    assert (one.wrong, one.better, one.by) == ("<b>Some</b>", "A lot", "board:2")
    assert one.content == REPLY.content
    assert accepted(root, GROUP).tests.rows == ()
    # Pressing again, going back, or reloading makes no second one.
    address = asker.address.removesuffix("/receipt")
    assert asker.client.get(address).url.path.endswith("/receipt")
    assert len(proposals(root, GROUP)) == 1


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ({"why": ""}, "Please fill this in."),
        ({"by": ""}, "Please fill this in."),
        ({"by": "me@example.org"}, "never an address"),
        ({"why": "It\u202eis simply not so."}, "turns the direction of writing"),
        ({"better": "Something else"}, "is none of the options"),
        ({"community": "age-65-plus"}, "does not rest on"),
        ({"community": "../../etc"}, "does not rest on"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_typed_is_lost(
    root: Path, asker: Asker, typed: dict[str, str], message: str
) -> None:
    asker.ask()
    page = asker.mark(**{"why": "Nobody here says so.", **typed})
    assert message in plain(page).replace("&#39;", "'")
    kept = parsed(page).values
    assert kept["by"] == [typed.get("by", "board:2")]
    assert kept["why"] == [typed.get("why", "Nobody here says so.")]
    assert not (root / "proposals").exists()


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        (BusyError("busy"), "Another question is being answered right now"),
        (TooSlowError("slow"), "took too long and was stopped"),
        (ChorusError("the model broke off: killed"), "the model broke off: killed"),
    ],
)
def test_a_question_that_got_no_answer_is_kept(
    asker: Asker, said: list[Reply | ChorusError], problem: ChorusError, message: str
) -> None:
    said[0] = problem
    page = asker.ask(question="Is it so, or is it not?", options="Yes\nNo")
    assert message in plain(page)
    kept = parsed(page).values
    assert (kept["question"], kept["options"]) == (["Is it so, or is it not?"], ["Yes\nNo"])
    said[0] = REPLY
    assert "What the model answers" in asker.ask(question="Is it so, or is it not?")


def test_a_question_that_is_none_is_said_beside_its_field(asker: Asker) -> None:
    assert "Please fill this in." in plain(asker.ask(question=" "))
    assert "must have at most 4000" in plain(asker.ask(question="w" * 5000))
    assert "no model that may be asked" in plain(asker.ask(model="smollm2-135m"))
    assert "should match pattern" in plain(asker.ask(model="../../etc/passwd"))


def test_nobody_else_sees_the_answer_or_marks_it(root: Path, asker: Asker) -> None:
    asker.ask()
    other = Asker(root)
    assert other.client.get(asker.address).status_code == 404
    other.address = asker.address
    other.mark()
    assert other.status == 404
    forged = asker.client.post(
        f"{asker.address}/wrong",
        data={"token": "0" * 64, "why": "Nobody here says so."},
        files={"nothing": ("", b"")},
    )
    assert forged.status_code == 403
    elsewhere = asker.client.post(
        "/en/ask", data={}, files={"nothing": ("", b"")}, headers={"sec-fetch-site": "cross-site"}
    )
    assert elsewhere.status_code == 403
    assert not (root / "proposals").exists()


def test_the_same_in_german(root: Path, said: list[Reply | ChorusError]) -> None:
    asker = Asker(root, "de")
    page = asker.ask()
    assert "Was das Modell antwortet" in page
    assert "Nah sagt nichts darüber" in page
    assert "Als falsch gemeldet" in asker.mark()


def test_without_a_made_model_it_says_so(root: Path) -> None:
    assert "none was made yet" in Asker(root).page


def test_the_page_stays_open_while_a_model_answers(
    root: Path, said: list[Reply | ChorusError], monkeypatch: pytest.MonkeyPatch
) -> None:
    started, go_on = threading.Event(), threading.Event()

    def slow(_root: Path, _question: object) -> Reply:
        started.set()
        go_on.wait(20)
        return REPLY

    monkeypatch.setattr(answers, "reply", slow)
    asker = Asker(root)
    thread = threading.Thread(target=asker.ask)
    thread.start()
    assert started.wait(20)
    before = time.monotonic()
    assert asker.client.get("/en/ask").status_code == 200
    assert time.monotonic() - before < 10
    go_on.set()
    thread.join(20)
    assert "What the model answers" in asker.page
