"""Answers are kept as they come, so that a run that was stopped asks for none of them again.

Requests are put in batches that depend on nothing but themselves. Each batch has a file of lines,
an answer a line; a line that is only half there counts as not there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from assets.synthesis.teachers import Completion, Refusal, Reply, Request, Teacher
from registry.errors import MethodError

Progress = Callable[[int, int, int], None]
"""Told after each batch: answers so far, answers wanted, tokens written for this batch now."""


@dataclass(frozen=True)
class Answered:
    """What came of a set of requests."""

    completions: Mapping[str, Completion]
    """By the request's id, in the order of the requests."""
    refused: Mapping[str, str]
    """Why a request was not put or not taken, by its id."""


def ask_all(
    teacher: Teacher,
    requests: Sequence[Request],
    folder: Path,
    progress: Progress,
) -> Answered:
    """Puts every request to the teacher, but those whose answers lie in `folder` already.

    Args:
        teacher: Who answers.
        requests: What is asked; ids differ.
        folder: Where answers are kept; it belongs to these requests alone.
        progress: Told after each batch.
    """
    if len({request.id for request in requests}) != len(requests):
        raise MethodError("two requests have the same id", why="their answers would be mixed up")
    refused = {r.id: why for r in requests if (why := teacher.refuse(r)) is not None}
    put = [request for request in requests if request.id not in refused]
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, Reply] = {}
    for index, batch in enumerate(_batches(put, teacher)):
        replies, tokens = _ask_batch(teacher, batch, folder / f"{index:06d}.jsonl")
        found |= replies
        progress(len(found), len(put), tokens)
    answers = {}
    for request in put:
        match found[request.id]:
            case Completion() as answer:
                answers[request.id] = answer
            case Refusal(reason):
                refused[request.id] = reason
    return Answered(answers, refused)


def _batches(requests: Sequence[Request], teacher: Teacher) -> Iterator[list[Request]]:
    """Batches of requests of about one length, those of one prompt beside each other."""
    sizes = {prompt: teacher.size(r) for prompt, r in {r.prompt: r for r in requests}.items()}
    ordered = sorted(requests, key=lambda r: (sizes[r.prompt], r.prompt))
    for start in range(0, len(ordered), teacher.batch):
        yield ordered[start : start + teacher.batch]


def _ask_batch(
    teacher: Teacher, batch: Sequence[Request], path: Path
) -> tuple[dict[str, Reply], int]:
    """The answers of a batch, and how many tokens were written for it now."""
    found = _read(path, {request.id for request in batch})
    missing = [request for request in batch if request.id not in found]
    if not missing:
        return found, 0
    if teacher.whole_batches:
        path.unlink(missing_ok=True)
        found, missing = {}, list(batch)
    _end_last_line(path)
    tokens = 0
    with path.open("a", encoding="utf-8") as file:
        for request, reply in teacher.complete(missing):
            found[request.id] = reply
            tokens += (reply.tokens or 0) if isinstance(reply, Completion) else 0
            file.write(json.dumps({"id": request.id, **asdict(reply)}) + "\n")
            file.flush()
        os.fsync(file.fileno())
    return found, tokens


def _read(path: Path, wanted: set[str]) -> dict[str, Reply]:
    """The answers that a batch has already; lines that are not whole are passed over."""
    found: dict[str, Reply] = {}
    if not path.is_file():
        return found
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
        try:
            kept = json.loads(line)
            name = kept.pop("id")
            reply = Refusal(**kept) if "reason" in kept else Completion(**kept)
        except (ValueError, TypeError, KeyError, AttributeError):
            continue
        if name in wanted:
            found[name] = reply
    return found


def _end_last_line(path: Path) -> None:
    """Ends a line that was only half written, so that the next one stands by itself."""
    if path.is_file() and (written := path.read_bytes()) and not written.endswith(b"\n"):
        with path.open("ab") as file:
            file.write(b"\n")
