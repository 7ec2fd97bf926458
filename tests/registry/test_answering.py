"""A model answers in a child process: one at a time, in limited time, and nothing else falls."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from registry.answering import BusyError, Question, Reply, TooSlowError, reply
from registry.errors import ChorusError, UsageError
from tests.conftest import Folder

MODEL = "parrot@age-22-34"


@pytest.fixture
def root(talking: Folder, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose model comes from a package of its own; the child finds it too."""
    for name in ("PYTHONPATH", "HF_HUB_OFFLINE"):
        if name in talking.env:
            monkeypatch.setenv(name, talking.env[name])
    return talking.root


def question(**changed: object) -> Question:
    said = {"model": MODEL, "question": "How much do you trust the news media?"}
    return Question.model_validate({**said, **changed})


def test_it_answers_with_all_that_a_reader_must_know(root: Path) -> None:
    said = reply(root, question(options=("A lot", "Some", "None")))
    assert sum(said.options.values()) == pytest.approx(1)
    assert said.taken == max(said.options, key=lambda option: said.options[option])
    assert said.communities == ("age-22-34",)
    assert "it speaks for no one" in said.notice
    assert len(said.content) == 64
    assert (said.label, said.community) in (("near", "age-22-34"), ("unknown", ""))
    assert Reply.model_validate_json(said.model_dump_json()) == said


def test_a_second_question_is_told_to_wait_and_the_lock_goes_with_the_first(root: Path) -> None:
    locks = root / ".chorus" / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    with (locks / "answering.lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        with pytest.raises(BusyError):
            reply(root, question())
    with pytest.raises(TooSlowError, match="took longer"):
        reply(root, question(), seconds=0.05)
    with pytest.raises(UsageError, match="no node is called"):
        reply(root, question(model="parrot@age-65-pluss"))


def test_a_child_that_breaks_off_is_said(root: Path) -> None:
    weights = root / "data/parrot/age-22-34/files/model.safetensors"
    weights.write_bytes(b"not weights")
    with pytest.raises(ChorusError, match="the model broke off"):
        reply(root, question())


def test_an_orphan_does_not_answer(root: Path) -> None:
    request = {"root": str(root), "parent": 1, **question().model_dump(mode="json")}
    command = [sys.executable, "-P", "-m", "registry.answering"]
    done = subprocess.run(
        command, input=json.dumps(request), env=os.environ, capture_output=True, text=True,
        check=False, cwd=root,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")


def test_only_made_models_whose_permission_holds_are_offered(talking: Folder) -> None:
    script = (
        "from registry.answering import models; from registry.graph import load_graph; "
        "print([n.id for n in models(load_graph())])"
    )
    offered = talking.run(sys.executable, "-P", "-c", script).out
    assert offered == f"['random', '{MODEL}']\n"
    talking.edit("value_profiles/age-22-34/profile.yaml", "evaluate, ", "")
    assert talking.run(sys.executable, "-P", "-c", script).out == "['random']\n"


def test_every_part_of_a_question_is_checked() -> None:
    for changed in ({"question": "?"}, {"question": "a\u202eb c"}, {"model": "a b"},
                    {"options": [""]}, {"options": ["x"] * 27}):  # fmt: skip
        with pytest.raises(ValueError, match="validation error"):
            question(**changed)
