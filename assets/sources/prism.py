"""PRISM: what people asked models, and how they rated what the models said.

People's words are under CC BY 4.0, models' words under CC BY-NC 4.0, and both stand side by side in
`utterances.jsonl`. So `text: people` gives the openings of conversations alone, and `text: pairs`
adds answers, a rated pair a row, with a licence for each column; a declaration of pairs must be
non-commercial. Who somebody is never leaves `survey.jsonl`: it is read to leave out those who did
not consent. In rows, people are told apart by a digest of their pseudonym.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from assets.rows import LIBRARIES, REJECTED, ROWS, row_id, row_schema, write_rows
from registry.errors import MethodError, Place, Problem, ProblemsError
from registry.method import Method, SourcePath
from registry.typed import Frozen

if TYPE_CHECKING:
    from registry.context import Context

PEOPLE, MODELS = "CC-BY-4.0", "CC-BY-NC-4.0"
LINE_BYTES = 4 * 1024 * 1024
MOST_PROBLEMS = 20
_BEST, _WORST = 100, 1
_TEXTS = ("user_id", "conversation_id", "user_prompt", "model_response")
_CONSENTED = ("yes", "i consent", "true")


class Params(Frozen):
    """Which files, and which words of them."""

    survey: SourcePath
    """`survey.jsonl`, from the project's root."""
    utterances: SourcePath
    """`utterances.jsonl`, from the project's root."""
    text: Literal["people", "pairs"] = "people"
    """What people wrote, or pairs of models' answers that they rated."""
    margin: int = Field(default=10, ge=1, le=99)
    """How much higher the better answer of a pair was rated, of 100."""
    rows: int = Field(default=1_000_000, ge=1)
    """Utterances of a file; one with more is refused."""
    characters: int = Field(default=32_000, ge=1)
    """Characters of a text; a longer one is left out."""


@dataclass(frozen=True)
class Utterance:
    """One answer of a model to what a person wrote."""

    person: str
    conversation: str
    turn: int
    prompt: str
    response: str
    score: int


def licence(params: Params) -> str:
    """The licence of what is read."""
    return PEOPLE if params.text == "people" else MODELS


def consenting(path: Path, shown: str) -> set[str]:
    """The people who consented; raises ProblemsError with every line that is wrong."""
    found: set[str] = set()
    problems: list[Problem] = []
    for line, row in _lines(path, shown):
        person, consent = row.get("user_id"), row.get("consent", True)
        if not isinstance(person, str) or not person:
            problems.append(Problem(Place(shown, line), "has no `user_id`", "give the whole file"))
        elif person in found:
            problems.append(
                Problem(Place(shown, line), f"names {person[:40]!r} twice", "keep one line")
            )
        elif consent is True or str(consent).strip().casefold().startswith(_CONSENTED):
            found.add(person)
        if len(problems) >= MOST_PROBLEMS:
            break
    if problems:
        raise ProblemsError(problems)
    return found


def utterances(path: Path, shown: str, most: int) -> Iterator[Utterance]:
    """The utterances of a file, a line at a time; raises ProblemsError at the first wrong one."""
    for line, row in _lines(path, shown):
        if line > most:
            raise MethodError(f"{shown} has more than {most:,} lines", mend="raise `rows`")
        wrong = [name for name in _TEXTS if not isinstance(row.get(name), str) or not row[name]]
        turn: Any = row.get("turn")
        score: Any = row.get("score")
        if not isinstance(turn, int) or isinstance(turn, bool) or turn < 0:
            wrong.append("turn")
        rated = isinstance(score, int | float) and not isinstance(score, bool)
        if not rated or not _WORST <= score <= _BEST:
            wrong.append("score")
        if wrong:
            what = f"`{wrong[0]}` is {json.dumps(row.get(wrong[0]))[:60]}"
            mend = "texts are not empty, turns count from 0, scores go from 1 to 100"
            raise ProblemsError([Problem(Place(shown, line), what, mend)])
        texts = [row[name] for name in _TEXTS]
        yield Utterance(texts[0], texts[1], turn, texts[2], texts[3], round(score))


def _lines(path: Path, shown: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    if not path.is_file():
        raise MethodError(f"there is no file {shown}", mend="check the path")
    with path.open("rb") as stream:
        number = 0
        while raw := stream.readline(LINE_BYTES + 1):
            number += 1
            try:
                if len(raw) > LINE_BYTES:
                    raise ValueError(f"is longer than {LINE_BYTES // 2**20} MiB")
                row = json.loads(raw)
                if not isinstance(row, dict):
                    raise TypeError("is no JSON object")
            except (ValueError, TypeError, RecursionError) as error:
                problem = Problem(Place(shown, number), f"cannot be read: {error}"[:200])
                raise ProblemsError([problem]) from None
            yield number, row


def run(context: Context) -> None:
    """Reads both files and writes rows with the licence of each text."""
    params = context.typed(Params)
    allowed = consenting(context.source(params.survey), params.survey)
    found = utterances(context.source(params.utterances), params.utterances, params.rows)
    rows: list[dict[str, Any]] = []
    rejected: dict[str, dict[str, Any]] = {}
    waiting: dict[tuple[str, int], list[Utterance]] = {}
    for one in found:
        reason = _unusable(one, allowed, params)
        if reason:
            own = row_id("prism", [one.conversation, one.turn, one.prompt])
            rejected[own] = {"row_id": own, "reason": reason, "caused_by": own}
        else:
            waiting.setdefault((one.conversation, one.turn), []).append(one)
    for answers in waiting.values():
        rows += _people(answers) if params.text == "people" else _pairs(answers, params.margin)
    if not rows:
        raise MethodError(
            "no row is left",
            where=params.utterances,
            why=next(iter(rejected.values()))["reason"] if rejected else "nobody rated two answers",
            mend="give both files of one release, or lower `margin`",
        )
    import polars

    text = polars.String
    schema = row_schema() | {"prompt_licence": text, "completion_licence": text, "person": text}
    if params.text == "pairs":
        schema |= {"rejected": text, "rejected_licence": text}
    write_rows(context.out / ROWS, rows, schema)
    reasons = {"row_id": text, "reason": text, "caused_by": text}
    write_rows(context.out / REJECTED, list(rejected.values()), reasons)
    context.progress(1, 1)


def _unusable(one: Utterance, allowed: set[str], params: Params) -> str:
    if one.person not in allowed:
        return "the survey does not say that its author consented"
    longest = len(one.prompt) if params.text == "people" else len(one.prompt + one.response)
    if longest > params.characters:
        return f"longer than {params.characters:,} characters"
    if params.text == "people" and one.turn:
        return "it answers a model, whose words are under another licence"
    if params.text == "pairs" and one.turn:
        return "what was said before it is not in the row"
    return ""


def _people(answers: list[Utterance]) -> Iterator[dict[str, Any]]:
    first = answers[0]
    yield _row(first, None, {})


def _pairs(answers: list[Utterance], margin: int) -> Iterator[dict[str, Any]]:
    best, worst = max(answers, key=lambda a: a.score), min(answers, key=lambda a: a.score)
    if best.score - worst.score >= margin and best.response != worst.response:
        rejected = {"rejected": worst.response, "rejected_licence": MODELS}
        yield _row(best, best.response, rejected)


def _row(one: Utterance, completion: str | None, more: Mapping[str, Any]) -> dict[str, Any]:
    content = {"prompt": one.prompt, "completion": completion, **more}
    person = row_id("prism person", one.person)
    return {
        "row_id": row_id("prism", [one.conversation, one.turn, content]),
        "parents": [],
        "source": "prism",
        "community": None,
        "prompt_licence": PEOPLE,
        "completion_licence": MODELS if completion else None,
        "person": person,
        **content,
    }


method = Method(
    name="prism",
    kind="dataset",
    description="What people asked models, or pairs of rated answers, from the files of PRISM.",
    params=Params,
    run=run,
    libraries=LIBRARIES,
    licence=licence,
    limits=("PRISM's people were paid to talk to models; whoever is in it endorses no model.",),
)
