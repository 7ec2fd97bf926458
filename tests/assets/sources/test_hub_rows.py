"""Rows of a hub's dataset at a pinned revision, from a server on this machine."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from assets.rows import read_rows
from registry.child import environment
from registry.errors import ExitCode

REPOSITORY, REVISION = "some/rows", "0123456789abcdef0123456789abcdef01234567"
FILES = {
    "data/x.jsonl": b'{"prompt": "A", "completion": "B"}\n',
    "data/other.jsonl": b'{"prompt": "C", "completion": "D"}\n',
    "loader.py": b"raise SystemExit('run')\n",
}


@dataclass
class Hub:
    """One dataset at one revision."""

    url: str = ""
    asked: list[str] = field(default_factory=list)

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        self.asked.append(path)
        api = f"/api/datasets/{REPOSITORY}"
        kind = {"Content-Type": "application/json"}
        if path.startswith(f"{api}/tree/{REVISION}"):
            entries = [
                {"type": "file", "path": name, "size": len(body), "oid": _oid(body)}
                for name, body in FILES.items()
            ]
            return 200, kind, json.dumps(entries).encode()
        if path.startswith(f"{api}/revision/{REVISION}"):
            siblings = [{"rfilename": name} for name in FILES]
            body = {"id": REPOSITORY, "sha": REVISION, "siblings": siblings}
            return 200, kind, json.dumps(body).encode()
        name = path.removeprefix(f"/datasets/{REPOSITORY}/resolve/{REVISION}/")
        if name in FILES:
            body = FILES[name]
            return 200, {"ETag": f'"{_oid(body)}"', "X-Repo-Commit": REVISION}, body
        return 404, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "RepoNotFound"}, b""


def _oid(body: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    served = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = served.answer(self.path)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def do_HEAD(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        served.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield served
        server.shutdown()
        thread.join()


def download(hub: Hub, folder: Path, **given: Any) -> tuple[int, dict[str, str]]:
    """Runs the method as every door does, in a child process; its exit code and its error."""
    for name in ("files", "work"):
        (folder / name).mkdir(parents=True)
    params = {"repository": REPOSITORY, "revision": REVISION, "files": ["data/x.jsonl"],
              "columns": {"completion": "completion"}, **given}  # fmt: skip
    request = {
        "method": "hub-rows", "node": "from-hub", "community": None, "params": params, "seed": 0,
        "device": "cpu", "threads": 1, "network": True, "out": str(folder / "files"),
        "work": str(folder / "work"), "root": str(folder), "events": str(folder / "events.jsonl"),
        "error": str(folder / "error.json"), "parent": os.getpid(), "roles": {}, "profiles": [],
    }  # fmt: skip
    base = {name: value for name, value in os.environ.items() if not name.lower().endswith("proxy")}
    base |= {"HF_ENDPOINT": hub.url, "HF_HOME": str(folder / "home"), "HF_TOKEN": ""}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "registry.child"],
        input=json.dumps(request),
        env=environment(request, base),
        cwd=folder,
        text=True,
        capture_output=True,
        check=False,
        timeout=120,
    )
    error = folder / "error.json"
    return done.returncode, json.loads(error.read_text()) if error.exists() else {}


def test_only_the_named_files_come_at_the_revision(hub: Hub, tmp_path: Path) -> None:
    code, error = download(hub, tmp_path / "node")
    assert (code, error) == (ExitCode.OK, {})
    rows = read_rows(tmp_path / "node" / "files" / "rows.parquet")
    assert list(rows["prompt"]) == ["A"]
    assert set(rows["source"]) == {"some/rows@0123456789ab/data/x.jsonl"}
    downloads = {path for path in hub.asked if "/resolve/" in path}
    assert downloads == {f"/datasets/{REPOSITORY}/resolve/{REVISION}/data/x.jsonl"}


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"revision": "f" * 40}, "some/rows at ffffffffffff could not be downloaded"),
        ({"repository": "someone/else"}, "someone/else at 0123456789ab could not be"),
        ({"files": ["data/none.jsonl"]}, "the revision has no such file"),
    ],
)
def test_what_the_hub_does_not_give_is_a_clear_error(
    hub: Hub, tmp_path: Path, given: dict[str, Any], what: str
) -> None:
    code, error = download(hub, tmp_path / "node", **given)
    assert code == ExitCode.CHECKS_FAILED
    assert error["kind"] == "MethodError"
    assert what in error["what"]
    assert not list((tmp_path / "node" / "files").iterdir())
