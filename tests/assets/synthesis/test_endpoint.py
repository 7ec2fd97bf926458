"""A server as a teacher: what it is asked, what is noted, and what happens when it fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from assets.synthesis.endpoint import Endpoint, EndpointTeacher
from assets.synthesis.journal import ask_all
from assets.synthesis.sampling import Sampling
from assets.synthesis.teachers import Completion, Request
from registry.errors import MethodError, UsageError
from tests.assets.synthesis.server import Server, serve

REQUESTS = [Request(f"r{n}", f"prompt {n}", 100 + n) for n in range(6)]


@pytest.fixture
def server() -> Iterator[Server]:
    with serve() as found:
        yield found


def teacher(server: Server, sampling: Sampling | None = None, **given: Any) -> EndpointTeacher:
    settings = {"retries": 0, **given}
    endpoint = Endpoint(base_url=server.url, model="asked", **settings)
    return EndpointTeacher(endpoint, sampling or Sampling(temperature=0.7, top_p=0.9))


def asked(one: EndpointTeacher, folder: Path, requests: list[Request] = REQUESTS):
    return ask_all(one, requests, folder, lambda *_: None)


def test_answers_come_with_what_the_server_said_it_is(server: Server, tmp_path: Path) -> None:
    found = asked(teacher(server, logprobs=True), tmp_path)
    assert list(found.completions) == [request.id for request in REQUESTS]
    assert found.completions["r3"] == Completion("prompt 3!", "stop", 2, -1.5, "said-1 fp-7")
    body = next(b for b in server.seen if b["messages"][0]["content"] == "prompt 3")
    assert body == {
        "model": "asked", "messages": [{"role": "user", "content": "prompt 3"}], "seed": 103,
        "temperature": 0.7, "top_p": 0.9, "max_completion_tokens": 256, "logprobs": True,
    }  # fmt: skip


def test_without_a_chat_template_the_bare_text_is_continued(server: Server, tmp_path: Path) -> None:
    sampling = Sampling(
        chat_template=False, until="end of line", top_k=5, min_p=0.1, max_new_tokens=9
    )
    one = teacher(server, sampling, extensions=True, logprobs=True)
    found = asked(one, tmp_path, REQUESTS[:1])
    assert found.completions["r0"].text == "prompt 0!"
    assert found.completions["r0"].logprob == -1.5
    (body,) = server.seen
    assert body == {
        "model": "asked", "prompt": "prompt 0", "seed": 100, "temperature": 1.0, "top_p": 1.0,
        "max_tokens": 9, "stop": ["\n"], "top_k": 5, "min_p": 0.1, "logprobs": 1,
    }  # fmt: skip


def test_settings_that_the_protocol_lacks_are_refused(server: Server) -> None:
    with pytest.raises(UsageError, match=r"top_k and min_p.*\n.*extensions: true"):
        teacher(server, Sampling(min_p=0.1))


def test_a_server_that_is_busy_is_asked_again(server: Server, tmp_path: Path) -> None:
    server.statuses = [429, 500]
    found = asked(teacher(server, retries=2, concurrency=1), tmp_path, REQUESTS[:2])
    assert len(found.completions) == 2
    assert len(server.seen) == 4


def test_what_came_before_a_failure_is_kept_and_not_asked_again(
    server: Server, tmp_path: Path
) -> None:
    server.broken = lambda prompt: 503 if prompt in ("prompt 4", "prompt 5") else 0
    with pytest.raises(MethodError, match=r"no answer after 0 retries: .*503") as caught:
        asked(teacher(server, concurrency=1), tmp_path)
    assert "the answers so far are kept" in str(caught.value)
    assert len(server.seen) < 6 or server.seen[-1]["messages"][0]["content"] == "prompt 5"
    server.broken = lambda _: 0
    server.seen.clear()
    found = asked(teacher(server), tmp_path)
    assert {b["messages"][0]["content"] for b in server.seen} == {"prompt 4", "prompt 5"}
    assert [c.text for c in found.completions.values()] == [f"prompt {n}!" for n in range(6)]
    server.seen.clear()
    assert asked(teacher(server), tmp_path) == found
    assert not server.seen


def test_a_prompt_that_the_server_refuses_is_left_out_with_the_reason(
    server: Server, tmp_path: Path
) -> None:
    server.broken = lambda prompt: 400 if prompt == "prompt 2" else 0
    found = asked(teacher(server), tmp_path)
    assert len(found.completions) == 5
    assert "the server refused it: " in found.refused["r2"]
    assert "no: 400" in found.refused["r2"]
    assert asked(teacher(server), tmp_path) == found
    assert len(server.seen) == 6


def test_a_server_that_is_slow_or_absent_ends_with_a_clear_word(
    server: Server, tmp_path: Path
) -> None:
    server.delay = 0.5
    with pytest.raises(MethodError, match="gave no answer after 0 retries"):
        asked(teacher(server, timeout_seconds=0.05), tmp_path / "slow", REQUESTS[:1])
    endpoint = Endpoint(base_url="http://127.0.0.1:9/v1", model="asked", retries=0)
    with pytest.raises(MethodError, match=r"127\.0\.0\.1:9.*gave no answer"):
        asked(EndpointTeacher(endpoint, Sampling()), tmp_path / "absent", REQUESTS[:1])


def test_no_more_requests_are_open_or_started_than_allowed(server: Server, tmp_path: Path) -> None:
    import time

    server.delay = 0.05
    asked(teacher(server, concurrency=2), tmp_path / "two")
    assert server.most_open == 2
    started = time.monotonic()
    asked(teacher(server, requests_per_minute=600), tmp_path / "paced")
    assert time.monotonic() - started >= 0.5  # six at 0.1 s, the first at once


def test_the_key_comes_from_the_environment_and_stays_there(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="variable CHORUS_TEST_KEY is empty"):
        teacher(server, key_variable="CHORUS_TEST_KEY")
    monkeypatch.setenv("CHORUS_TEST_KEY", "secret-77")
    one = teacher(server, key_variable="CHORUS_TEST_KEY")
    asked(one, tmp_path, REQUESTS[:2])
    assert set(server.keys) == {"Bearer secret-77"}
    assert "secret-77" not in json.dumps(one.describe())
    assert "secret-77" not in "".join(p.read_text() for p in tmp_path.iterdir())
    server.broken = lambda _: 401
    with pytest.raises(MethodError, match="the server refuses the key") as caught:
        asked(one, tmp_path / "refused", REQUESTS[:1])
    assert "check the key in CHORUS_TEST_KEY" in str(caught.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"base_url": "ftp://host/v1"}, "write the address like"),
        ({"base_url": "https://me:secret@host/v1"}, "an address holds no name, password"),
        ({"base_url": "https://host/v1?key=1"}, "an address holds no name, password"),
        ({"base_url": "http://host/v1", "key_variable": "KEY"}, "use https"),
        ({"base_url": "https://host/v1", "key_variable": "sk-123"}, "key_variable"),
    ],
)
def test_addresses_that_would_give_a_key_away_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Endpoint(model="m", **given)


def test_text_that_cannot_be_written_down_is_mended(server: Server, tmp_path: Path) -> None:
    server.reply = lambda *_: "a\ud800b\x00"
    found = asked(teacher(server), tmp_path, REQUESTS[:1])
    assert found.completions["r0"].text == "a?b\x00"


def test_a_reply_without_an_answer_is_no_answer(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.assets.synthesis import server as module

    monkeypatch.setattr(module, "Reply", None)
    one = teacher(server)
    monkeypatch.setattr(
        one._client.chat.completions, "create", lambda **_: "<html>a proxy's page</html>"
    )
    with pytest.raises(MethodError, match=r"no answer in its reply(.|\n)*ends in /v1"):
        asked(one, tmp_path, REQUESTS[:1])
