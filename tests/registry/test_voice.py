"""What `chorus make` says while it works: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import time
from pathlib import Path

import pytest

from registry.cli.voice import Voice
from registry.runs import RunFiles
from tests.conftest import Folder

SHOWN, HIDDEN = b"\x1b[?25h", b"\x1b[?25l"


def on_terminal(folder: Folder, *arguments: str, kill: str = "", **env: str) -> tuple[int, bytes]:
    """Runs `chorus` on a terminal of 80 columns; `kill` ends the method, or chorus itself."""
    master, slave = pty.openpty()
    os.set_blocking(master, False)
    process = subprocess.Popen(
        folder.command(*arguments),
        cwd=folder.root,
        env={**folder.env, "TERM": "xterm-256color", "COLUMNS": "80", **env},
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    said, killed, deadline = b"", False, time.monotonic() + 60
    while time.monotonic() < deadline:
        if select.select([master], [], [], 0.1)[0]:
            try:
                part = os.read(master, 65536)
            except OSError:
                break
            if not part:
                break
            said += part
        if kill and not killed and b" left" in said:
            killed = True
            if kill == "method":
                os.kill(_child_of(process.pid), signal.SIGKILL)
            else:
                process.send_signal(getattr(signal, kill))
    os.close(master)
    return process.wait(60), said


def _child_of(parent: int) -> int:
    for path in Path("/proc").glob("[0-9]*/stat"):
        fields = path.read_text().rpartition(")")[2].split()
        if int(fields[1]) == parent:
            return int(path.parent.name)
    raise AssertionError("it has no child")


@pytest.fixture
def slow(toy: Folder) -> Folder:
    toy.edit("registry/datasets/words.yaml", "rows: 5", "rows: 40, seconds: 4")
    return toy


def test_a_terminal_shows_a_bar_that_vanishes(slow: Folder) -> None:
    code, said = on_terminal(slow, "make", "words")
    assert code == 0
    assert re.search(rb"\d+/40.*loss 0\.\d{3}.*0:0\d left", said)
    assert said.rindex(SHOWN) > said.rindex(HIDDEN)
    assert re.search(rb"made     words in \d\.\d s", said)
    assert b"Checking" not in said, "DVC draws no bars beside ours"


def test_several_nodes_have_a_bar_each(toy: Folder) -> None:
    toy.edit("registry/datasets/letters.yaml", "rows: 3", "rows: 40, seconds: 4")
    code, said = on_terminal(toy, "make", "letters", "--jobs", "2")
    assert code == 0
    plain = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", said)
    together = rb"letters@age-22-34 [^\n]*left[^\n]*\nletters@age-65-plus [^\n]*left"
    assert re.search(together, plain.replace(b"\r", b""))


@pytest.mark.parametrize(
    ("kill", "code", "says"),
    [
        ("method", 1, b"was killed by signal 9"),
        ("SIGINT", 130, b"interrupted; what was being made is kept"),
        ("SIGTERM", 130, b"interrupted; what was being made is kept"),
    ],
)
def test_whatever_is_killed_the_terminal_is_clean(
    slow: Folder, kill: str, code: int, says: bytes
) -> None:
    ended, said = on_terminal(slow, "make", "words", kill=kill)
    assert ended == code
    assert said.rindex(SHOWN) > said.rindex(HIDDEN)
    assert says in said
    assert "━".encode() not in said[said.rindex(SHOWN) :]
    assert b"Traceback" not in said


def test_a_terminal_that_cannot_draw_gets_plain_lines(slow: Folder) -> None:
    code, said = on_terminal(slow, "make", "words", TERM="dumb")
    assert code == 0
    assert b"\x1b" not in said.removesuffix(b"\x1b[0m"), "DVC ends with that"
    assert b"making   words\r\n" in said


def test_plain_lines_come_where_something_has_happened(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = RunFiles(tmp_path, "run")
    with Voice(every=0.02) as voice:
        listener = voice.listener()
        listener.waiting("words", "1234")
        listener.started("words", files)
        time.sleep(0.2)
        files.events.write_text(json.dumps({"time": 0, "done": 1, "total": 9, "loss": 2}) + "\n")
        time.sleep(0.3)
    assert capsys.readouterr().err.splitlines() == [
        "waiting  words is being made by process 1234",
        "making   words",
        "making   words: 1 of 9, loss 2.000",
    ]
