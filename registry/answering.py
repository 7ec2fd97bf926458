"""Answers for the pages: a model loads in a child process, one at a time, within a time limit.

The server itself never loads a model, so that it stays small and quick, and a model that hangs or
takes all memory takes nothing else along. The child is `python -P -m registry.answering`.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from registry.ask import Answer, ask, nearest, notice, taken_for
from registry.child import die_with_parent, environment
from registry.consent import today
from registry.errors import ChorusError, UsageError
from registry.graph import Graph, Node, load_graph
from registry.message import Message
from registry.plain_words import in_plain_words
from registry.profile_tables import Long
from registry.profile_tests import MAX_OPTIONS, NODE, Said
from registry.typed import Frozen

SECONDS = 120.0
"""How long one answer may take."""
THREADS = 1


class BusyError(ChorusError):
    """Another question is being answered."""


class TooSlowError(ChorusError):
    """The answer took longer than the limit."""


class Question(Frozen):
    """What a visitor asks."""

    model: str = Field(pattern=NODE, max_length=200)
    """The node of the model."""
    question: Long
    """The question."""
    options: tuple[Said, ...] = Field(default=(), max_length=MAX_OPTIONS)
    """The options, or none."""


class Reply(Frozen):
    """What a model answered, and what a reader must know of it."""

    content: str
    """The digest of the model's content."""
    communities: tuple[str, ...]
    """The profiles that the model rests on."""
    text: str | None
    """Its words, where no options were given."""
    options: dict[str, float]
    """The probability of each option."""
    outside: float | None
    """What it gave to anything but the options."""
    taken: str
    """The one answer it comes to."""
    notice: str
    """The sentence that belongs beside it, where no community endorsed it."""
    label: str = ""
    """Whether its profiles were asked this; nothing where it rests on none."""
    item: str = ""
    """The nearest item."""
    community: str = ""
    """The profile that holds it."""
    wording: str = ""
    """Its words."""
    similarity: float | None = None
    """How near it lies."""
    held_out: bool = False
    """Whether no model learned from those words."""


class Failure(Frozen):
    """Why there is no answer."""

    what: Message
    """What is wrong."""
    mend: Message = Message("")
    """What to do."""


def models(graph: Graph) -> list[Node]:
    """The models that visitors may ask: made, and permitted to be measured today."""
    known = graph.project.profiles
    return [
        node
        for node in graph.nodes.values()
        if node.declaration.kind == "model"
        and graph.artifact(node).manifest.is_file()
        and not any(known[c].refusal("evaluate", today()) for c in graph.permissions(node))
    ]


def reply(root: Path, question: Question, seconds: float = SECONDS) -> Reply:
    """The answer to one question, from a child process.

    Raises:
        BusyError: Another question is being answered.
        TooSlowError: It took longer than `seconds`.
        UsageError: The model cannot answer this.
    """
    with _one_question(root):
        request = {"root": str(root), "parent": os.getpid(), **question.model_dump(mode="json")}
        limits = {"threads": THREADS, "network": False, "device": "cpu"}
        try:
            done = subprocess.run(
                [sys.executable, "-P", "-m", "registry.answering"],
                input=json.dumps(request).encode(),
                capture_output=True,
                env=environment(limits, os.environ),
                cwd=root,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise TooSlowError(f"took longer than {seconds:.0f} s", where=question.model) from None
    try:
        said = json.loads(done.stdout)
    except ValueError:
        last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise ChorusError(f"the model broke off: {last}", where=question.model) from None
    if "what" in said:
        failure = Failure.model_validate(said)
        raise UsageError(failure.what, where=question.model, mend=failure.mend)
    return Reply.model_validate(said)


@contextlib.contextmanager
def _one_question(root: Path) -> Iterator[None]:
    """Holds the project's lock on answering; raises BusyError where it is taken."""
    folder = root / ".chorus" / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "answering.lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError("another question is being answered", where=str(root)) from None
        yield


def answered(graph: Graph, question: Question) -> Reply:
    """Lets the model answer, in this process."""
    node = graph.node(question.model)
    said: Answer = ask(graph, node, question.question, question.options)
    manifest = graph.artifact(node).read_manifest()
    found: dict[str, Any] = {}
    if near := nearest(graph, node, question.question):
        found = {"label": near.label, "similarity": near.similarity}
        if near.wording:
            found |= {"item": near.wording.item, "community": near.wording.profile}
            found |= {"wording": near.wording.text, "held_out": near.wording.held_out}
    return Reply(
        content=manifest.content if manifest else "",
        communities=tuple(graph.permissions(node)),
        text=said.text,
        options=said.options,
        outside=said.outside,
        taken=taken_for(said),
        notice=notice(graph, node),
        **found,
    )


def main() -> int:
    """Answers the request on standard input, on standard output."""
    die_with_parent()
    out = os.dup(1)
    os.dup2(2, 1)  # what libraries print belongs elsewhere
    request = json.loads(sys.stdin.read())
    if os.getppid() != request.pop("parent"):
        return 1
    root = Path(request.pop("root"))
    try:
        text = answered(load_graph(root), Question.model_validate(request)).model_dump_json()
    except ChorusError as error:
        failure = Failure(what=Message.of(error.what), mend=Message.of(error.mend))
        text = failure.model_dump_json()
    except ValidationError as error:
        text = Failure(what=in_plain_words(error.errors()[0])).model_dump_json()
    with os.fdopen(out, "w") as stream:
        stream.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
