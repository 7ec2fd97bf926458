"""Tasks with a worked solution: each step a program's own, and the answer that follows from them.

A cold start needs thoughts, and generators give answers only. For kinds that a few lines of
arithmetic or spelling solve, a program writes its steps down as a thought and its result as the
answer. It never looks at the reference answer; where the task's verifier refuses the result, the
row is left out, as are tasks of all other kinds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from assets.evaluation.tasks import require_tasks
from assets.rows import (
    LIBRARIES,
    REJECTED,
    ROWS,
    read_rows,
    reason_schema,
    row_id,
    turned_away,
    write_rows,
)
from assets.sources.verifiers import LIBRARIES as TASK_LIBRARIES
from assets.sources.verifiers import read_entry, verify
from assets.synthesis.profile_rows import require_side
from registry.errors import MethodError
from registry.method import Method, Role
from registry.typed import Frozen

if TYPE_CHECKING:
    from registry.context import Context


@dataclass(frozen=True)
class Solution:
    """How a task is solved, and what comes of it."""

    steps: tuple[str, ...]
    """A sentence each."""
    answer: str

    def __str__(self) -> str:
        thought = "\n".join(self.steps)
        return f"<think>\n{thought}\n</think>\n<answer>{self.answer}</answer>"


class Params(Frozen):
    """Nothing is left open: every kind is worked out in one way."""


def chain_sum(expression: str) -> Solution:
    """A sum of whole numbers, term by term."""
    first, *rest = expression.split()
    total, steps = int(first), []
    for sign, term in zip(rest[::2], rest[1::2], strict=True):
        after = total + int(term) if sign == "+" else total - int(term)
        steps.append(f"{total} {sign} {term} = {after}.")
        total = after
    return Solution(tuple(steps), str(total))


def greatest_common_divisor(numbers: Sequence[int]) -> Solution:
    """Euclid's algorithm, from the first number on."""
    found, steps = numbers[0], []
    for number in numbers[1:]:
        large, small = max(found, number), min(found, number)
        while small:
            times, left = divmod(large, small)
            steps.append(f"{large} = {times} x {small} + {left}.")
            large, small = small, left
        found = large
        steps.append(f"Nothing is left, so it is {found}.")
    return Solution(tuple(steps), str(found))


def legs(animals: Mapping[str, int], each: Mapping[str, int]) -> Solution:
    """The legs of each kind of animal, and their sum."""
    steps, total = [], 0
    for animal, count in animals.items():
        own = count * each[animal]
        total += own
        steps.append(f"{animal}: {count} x {each[animal]} = {own}, {total} in all.")
    return Solution(tuple(steps), str(total))


def letters(words: Sequence[str], letter: str) -> Solution:
    """How often a letter stands in each word, large or small, and in all."""
    steps, total = [], 0
    for word in words:
        total += word.lower().count(letter)
        steps.append(f"{word}: {word.lower().count(letter)}, {total} so far.")
    return Solution(tuple(steps), str(total))


def backward(word: str) -> Solution:
    """A word letter by letter, and from its end."""
    steps = f"The letters are {' '.join(word)}.", f"From the end: {' '.join(reversed(word))}."
    return Solution(steps, word[::-1])


def _legs(known: Mapping[str, Any]) -> Solution:
    from reasoning_gym.arithmetic.leg_counting import ANIMALS

    return legs(known["animals"], ANIMALS)


WORKERS: Mapping[str, Callable[[Mapping[str, Any]], Solution]] = {
    "chain_sum": lambda known: chain_sum(known["expression"]),
    "gcd": lambda known: greatest_common_divisor(known["numbers"]),
    "leg_counting": _legs,
    "letter_counting": lambda known: letters(known["span"], known["target_letter"]),
    "spell_backward": lambda known: backward(known["word"]),
}
"""The kinds of task that are worked out, each from what its question says."""


def solve(row: Mapping[str, Any]) -> tuple[Solution | None, str]:
    """The solution of a task; none, and the reason, where a program has none that is right."""
    worker = WORKERS.get(row["task"])
    if worker is None:
        return None, f"no program works out {row['task']}"
    try:
        found = worker(read_entry(row["entry"])["metadata"])
    except (KeyError, TypeError, ValueError, IndexError):
        return None, "its entry does not say what the question asks"
    if not verify(row["task"], row["entry"], str(found)):
        return None, "the verifier refuses the answer"
    return found, ""


def _rows(
    tasks: Sequence[Mapping[str, Any]], rejected: list[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    for row in tasks:
        found, reason = solve(row)
        if found is None:
            rejected.append({**row, **turned_away(row["row_id"], reason)})
            continue
        text = str(found)
        own = row_id("worked-solutions", [row["row_id"], text])
        yield {**row, "row_id": own, "parents": [row["row_id"]], "completion": text}


def run(context: Context) -> None:
    """Works out every task that it can."""
    given = context.input("tasks")
    frame = read_rows(given.files / ROWS)
    tasks = frame.to_dicts()
    require_tasks(tasks, given.label)
    require_side(tasks, "learning", given.label)
    rejected: list[dict[str, Any]] = []
    rows = list(_rows(tasks, rejected))
    if not rows:
        reason, _ = Counter(one["reason"] for one in rejected).most_common(1)[0]
        raise MethodError(
            f"none of {len(tasks)} tasks can be worked out",
            where=given.label,
            why=f"the most common reason: {reason}",
            mend="give tasks of these kinds: " + ", ".join(sorted(WORKERS)),
        )
    schema = dict(frame.schema)
    write_rows(context.out / ROWS, rows, schema)
    write_rows(context.out / REJECTED, rejected, schema | reason_schema())


method = Method(
    name="worked-solutions",
    kind="dataset",
    description="Tasks with the steps of a program that solves them as a thought, and its answer.",
    params=Params,
    run=run,
    inputs={"tasks": Role("dataset", "tasks of kinds that a program works out")},
    libraries=(*LIBRARIES, *TASK_LIBRARIES),
    limits=("Its thoughts are the steps of programs, in English: right, and all of one cut.",),
)
