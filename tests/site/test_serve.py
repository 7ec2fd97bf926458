"""`chorus site serve`, as a partner's host starts it."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

SERVE = "import registry.cli.site as site; site.site_app()"


@pytest.fixture
def started(root):
    """The command in a process of its own, on a free port."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", SERVE, "serve", "--port", "0", "--lang", "de"],
        cwd=root, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    yield process
    process.kill()
    process.wait(timeout=20)
    process.stderr.close()


def test_serves_this_machine_only_until_it_is_interrupted(root, started):
    line = started.stderr.readline()
    address = re.search(r"http://127\.0\.0\.1:[0-9]+/", line)
    assert address, line
    with urllib.request.urlopen(address[0], timeout=20) as page:
        assert page.url.endswith("/de/")
        assert b"Formular beginnen" in page.read()
        assert "server" not in page.headers
    assert (root / ".chorus" / "site-secret").stat().st_mode & 0o777 == 0o600
    started.send_signal(signal.SIGINT)
    assert started.wait(timeout=20) == 0


def test_a_port_in_use_is_said_plainly(root):
    from registry.cli.site import serve
    from registry.errors import UsageError

    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        with pytest.raises(UsageError, match="choose another with --port"):
            serve(port=taken.getsockname()[1])
