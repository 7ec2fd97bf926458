"""How a model does on tasks that a program checks: what it answers, and what it expects.

Beside the share of right answers stands the cross-entropy of the reference answer, which moves long
before a small model gets an answer wholly right; and the floor, which is what somebody gets right
who has not read the question.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.alignment.scoring import token_log_probs
from assets.alignment.sequences import TokenSequence, of_completion
from assets.sources.verifiers import extract, verify
from assets.synthesis.journal import ask_all
from assets.synthesis.sampling import Sampling, seed_of
from assets.synthesis.teachers import ModelTeacher, Request
from registry.errors import MethodError

if TYPE_CHECKING:
    from registry.context import Context

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Scored:
    """How one task went."""

    row_id: str
    task: str
    text: str
    """What the model answered."""
    answered: bool
    """Whether an answer could be taken out of it at all."""
    correct: bool
    """Whether the verifier takes it for wholly right."""
    nats: float
    """Cross-entropy of the reference answer, per token."""

    def to_row(self) -> dict[str, Any]:
        """The same as a row of a table."""
        return asdict(self)


def require_tasks(rows: Sequence[Row], where: str) -> None:
    """Raises MethodError unless rows are tasks that a verifier knows."""
    if not rows:
        raise MethodError("holds no tasks", where=where)
    if lacking := [name for name in ("task", "answer", "entry") if name not in rows[0]]:
        raise MethodError(
            f"has no column {', '.join(lacking)}",
            where=where,
            why="there is nothing to check an answer with",
            mend="give tasks made by `reasoning-tasks`",
        )


def floor(rows: Iterable[Row]) -> dict[str, float]:
    """For each kind of task, the share that its most common answer gets right."""
    answers: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        answers[row["task"]][row["answer"].strip()] += 1
    return {task: max(found.values()) / found.total() for task, found in sorted(answers.items())}


def score_tasks(
    context: Context,
    model: Any,
    tokenizer: Any,
    rows: Sequence[Row],
    sampling: Sampling,
    *,
    batch_size: int,
    folder: Path,
    progress: Callable[[int, int], None],
) -> list[Scored]:
    """Lets a model answer every task, and scores it; what lies in `folder` is not asked again."""
    teacher = ModelTeacher(model, tokenizer, context.node, sampling, batch_size)
    asked = [Request(r["row_id"], r["prompt"], seed_of(context.seed, r["row_id"])) for r in rows]
    answered = ask_all(teacher, asked, folder, lambda done, total, _: progress(done, total))
    if answered.refused:
        name, why = next(iter(answered.refused.items()))
        raise MethodError(f"task {name} cannot be put to the model: {why}", where=context.node)
    expected = reference_nats(
        model,
        [
            of_completion(tokenizer, r["prompt"], r["completion"], chat=sampling.chat_template)
            for r in rows
        ],
        tokenizer.pad_token_id or 0,
        batch_size,
    )
    found = []
    for row, nats in zip(rows, expected, strict=True):
        text = answered.completions[row["row_id"]].text
        found.append(
            Scored(
                row_id=row["row_id"],
                task=row["task"],
                text=text,
                answered=extract(text) is not None,
                correct=verify(row["task"], row["entry"], text),
                nats=nats,
            )
        )
    return found


def reference_nats(
    model: Any, sequences: Sequence[TokenSequence], pad: int, batch_size: int
) -> list[float]:
    """Mean cross-entropy of each sequence's learned tokens, in nats; the end of turn counts."""
    import torch

    by_length = sorted(range(len(sequences)), key=lambda i: (len(sequences[i].ids), i))
    found: dict[int, float] = {}
    for start in range(0, len(by_length), batch_size):
        chosen = by_length[start : start + batch_size]
        first = min(sequences[i].learned.index(True) for i in chosen)
        with torch.inference_mode():
            given = -token_log_probs(model, [sequences[i].ids for i in chosen], first, pad).cpu()
        for place, index in enumerate(chosen):
            learned = torch.tensor(sequences[index].learned[first:])
            found[index] = float(given[place, : len(learned)][learned].double().mean())
    return [found[index] for index in range(len(sequences))]
