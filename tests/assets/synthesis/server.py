"""A small server that speaks OpenAI's protocol, and fails as it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = Callable[[str, dict[str, Any]], str]


@dataclass
class Server:
    """What a test tells it, and what it saw."""

    reply: Reply = lambda prompt, _: f"{prompt}!"
    """The text of an answer, from the prompt and the whole request."""
    statuses: list[int] = field(default_factory=list)
    """What the next requests are refused with, before any is answered."""
    broken: Callable[[str], int] = lambda _: 0
    """A status for every request whose prompt it is not 0 for."""
    delay: float = 0
    model: str = "said-1"
    seen: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    url: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)
    most_open: int = 0
    open_now: int = 0


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            import time

            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            prompt = body.get("prompt") or body["messages"][-1]["content"]
            with server.lock:
                server.seen.append(body)
                server.keys.append(self.headers["Authorization"])
                server.open_now += 1
                server.most_open = max(server.most_open, server.open_now)
                status = server.statuses.pop(0) if server.statuses else server.broken(prompt)
            time.sleep(server.delay)
            if status:
                self._send(status, {"error": {"message": f"no: {status}", "type": "x"}})
            else:
                self._send(200, self._answer(body, prompt))
            with server.lock:
                server.open_now -= 1

        def _answer(self, body: dict[str, Any], prompt: str) -> dict[str, Any]:
            text = server.reply(prompt, body)
            choice: dict[str, Any] = {"index": 0, "finish_reason": "stop"}
            if "messages" in body:
                choice["message"] = {"role": "assistant", "content": text}
            else:
                choice["text"] = text
            if body.get("logprobs"):
                told = [{"token": "a", "logprob": p, "bytes": None, "top_logprobs": []}
                        for p in (-1.0, -2.0)]  # fmt: skip
                choice["logprobs"] = {"content": told, "token_logprobs": [-1.0, -2.0]}
            return {
                "id": "1", "object": "chat.completion", "created": 0, "model": server.model,
                "system_fingerprint": "fp-7", "choices": [choice],
                "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
            }  # fmt: skip

        def _send(self, status: int, value: dict[str, Any]) -> None:
            content = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


@contextmanager
def serve() -> Iterator[Server]:
    """A server on a free port of this machine."""
    server = Server()
    http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(server))
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    server.url = f"http://127.0.0.1:{http.server_address[1]}/v1"
    try:
        yield server
    finally:
        http.shutdown()
        thread.join()
        http.server_close()
