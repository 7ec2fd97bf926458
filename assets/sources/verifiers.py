r"""Whether a completion answers a task: the answer is taken out first, and must be wholly right.

The tasks and their scorers are reasoning-gym's. Its scorers give partial credit for answers that
are nearly right or hidden in other text, and some run the answer as code. So here an answer counts
only with a score of 1.0, and no text of a model is ever run: where reasoning-gym would, the check
is written anew, or the text must be plain mathematics.

An answer may be marked as `<answer>...</answer>`, as `\boxed{...}` or by a line `Answer: ...`,
looked for in that order; a completion without any mark is an answer as a whole. Text before
`</think>` is a thought and never an answer. Two different answers are none.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from functools import cache
from typing import Any

from assets.sources.mathematics import calculate, fraction_parts, is_expression, number
from registry.errors import UsageError
from registry.strict_yaml import nearest

Check = Callable[[str, Mapping[str, Any]], bool]
LIBRARIES = ("reasoning-gym",)
REFUSED = {
    "boxnet": "it gives no reference answer",
    "codeio": "it runs code that a language model wrote",
    "composite": "it is made of other generators; name those",
    "game_of_life_halting": "its verifier takes any answer for right",
    "graph_color": "it gives no reference answer",
    "gsm_symbolic": "it repeats test questions of GSM8K, so that a model trained on it cannot be "
    "measured there",
    "propositional_logic": "it gives no reference answer",
    "rubiks_cube": "it gives no reference answer",
    "rush_hour": "it gives no reference answer",
}
"""Generators of reasoning-gym that are not used, and why."""
VALUE_TASKS = frozenset({
    "basic_arithmetic", "calendar_arithmetic", "chain_sum", "coin_flip", "count_bits",
    "count_primes", "decimal_arithmetic", "decimal_chain_sum", "dice", "gcd", "lcm",
    "leg_counting", "letter_counting", "number_sequence", "power_function", "products",
    "rectangle_count", "simple_equations", "simple_geometry",
})  # fmt: skip
"""Tasks that ask for a number, in whatever form: 0.5, 1/2 and 2/4 are one answer."""

_LONGEST = 4000
"""Characters of an answer; a longer one is no answer to any of these tasks."""
_ANSWER_TAG = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
_TAG_LEFT = re.compile(r"<\s*/?\s*answer\b", re.IGNORECASE)
_ANSWER_LINE = re.compile(
    r"^\s*(?:\*\*)?(?:the\s+)?(?:final\s+)?answer(?:\s+is\s*:?|\s*:)(?:\*\*)?\s*(\S.*?)\s*$",
    re.IGNORECASE | re.MULTILINE,
)


def extract(text: str) -> str | None:
    """The answer that a completion gives; None where it gives none, or two that differ."""
    given = _after_thought(text)
    if given is None:
        return None
    for found in (_tagged(given), _boxed(given), _on_lines(given)):
        if found is None:
            return None
        if found:
            return _only(found)
    return _only([given])


def verify(task: str, entry_json: str, completion: str) -> bool:
    """Whether a completion answers an entry of a generator wholly right.

    Raises UsageError where the generator is unknown or refused, or the entry is none.
    """
    require_task(task)
    entry = read_entry(entry_json)
    answer = extract(completion)
    if answer is None or len(answer) > _LONGEST:
        return False
    own = _OWN.get(task)
    if own is not None:
        return own(answer, entry)
    if answer == entry["answer"] or _same_number(task, answer, entry["answer"]):
        return True
    if task in _SYMBOLIC and not all(is_expression(text) for text in _evaluated(answer, entry)):
        return False
    try:
        return float(_scorer(task)(answer, entry)) >= 1.0
    except Exception:  # noqa: BLE001 - scorers raise anything at all on an answer they cannot read
        return False


def require_task(task: str) -> None:
    """Raises UsageError unless a generator of this name exists and its verifier can be trusted."""
    if task in REFUSED:
        raise UsageError(
            f"the generator {task!r} is not used: {REFUSED[task]}",
            mend="take another; docs/tasks.md lists those that are refused",
        )
    known = task_names()
    if task not in known:
        mend = nearest(task, list(known)) or "known: " + ", ".join(known)
        raise UsageError(f"reasoning-gym has no generator {task!r}", mend=mend)
    if task not in _OWN and task not in _SYMBOLIC and _evaluates(task):
        raise UsageError(
            f"the generator {task!r} may run an answer as code",
            why="what a model writes is never run",
            mend="take another, or add a check of its own to assets/sources/verifiers.py",
        )


@cache
def task_names() -> tuple[str, ...]:
    """The names of reasoning-gym's generators, without those that are refused."""
    from reasoning_gym.factory import DATASETS

    return tuple(sorted(set(DATASETS) - set(REFUSED)))


def write_entry(entry: Mapping[str, Any]) -> str:
    """An entry of a generator as JSON; tuples stay tuples, since some scorers look.

    Raises UsageError where it holds what JSON cannot.
    """
    try:
        return json.dumps(_plain(dict(entry)), ensure_ascii=False, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise UsageError(f"an entry cannot be written down: {error}") from None


def read_entry(text: str) -> dict[str, Any]:
    """The entry that `write_entry` wrote; raises UsageError where it is none."""
    try:
        entry = json.loads(text, object_hook=_restored)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the entry is no JSON: {error}") from None
    parts = ("answer", str), ("metadata", dict)
    if not isinstance(entry, dict) or not all(isinstance(entry.get(k), t) for k, t in parts):
        raise UsageError(
            "the entry lacks `answer` or `metadata`",
            mend="take the column `entry` as reasoning-tasks wrote it",
        )
    return entry


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return {"__tuple__": [_plain(one) for one in value]}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        if wrong := [key for key in value if not isinstance(key, str)]:
            raise TypeError(f"the key {wrong[0]!r} is no text")
        return {key: _plain(one) for key, one in value.items()}
    return value


def _restored(found: dict[str, Any]) -> Any:
    return tuple(found["__tuple__"]) if found.keys() == {"__tuple__"} else found


def _after_thought(text: str) -> str | None:
    """What follows the thought; None where a thought does not end."""
    if text.count("<think>") > text.count("</think>"):
        return None
    return text.rpartition("</think>")[2]


def _tagged(text: str) -> list[str] | None:
    """The tagged answers; None where tags do not match."""
    found = _ANSWER_TAG.findall(text)
    if _TAG_LEFT.search(_ANSWER_TAG.sub("", text)) or any(_TAG_LEFT.search(one) for one in found):
        return None
    inner = [(_boxed(one), one) for one in found]
    return [boxed[0] if boxed else one for boxed, one in inner]


def _boxed(text: str) -> list[str] | None:
    """The contents of every box; None where braces do not match."""
    found = []
    for start in re.finditer(r"\\boxed\s*\{", text):
        depth, end = 1, start.end()
        while depth and end < len(text):
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            end += 1
        if depth:
            return None
        found.append(text[start.end() : end - 1])
    return found


def _on_lines(text: str) -> list[str]:
    return [_without_stop(found) for found in _ANSWER_LINE.findall(text)]


def _without_stop(text: str) -> str:
    bare = text.removesuffix("**")
    return bare[:-1] if bare.endswith(".") and not bare.endswith("..") else bare


def _only(found: list[str]) -> str | None:
    answers = {one.strip() for one in found}
    return next(iter(answers)) or None if len(answers) == 1 else None


def _same_number(task: str, answer: str, reference: str) -> bool:
    if task not in VALUE_TASKS:
        return False
    found, wanted = number(answer), number(reference)
    return found is not None and found == wanted


def _exact(answer: str, entry: Mapping[str, Any]) -> bool:
    return bool(answer.strip() == entry["answer"].strip())


def _one_of_valid(answer: str, entry: Mapping[str, Any]) -> bool:
    return answer in entry["metadata"].get("valid_answers", ())


def _same_list(answer: str, entry: Mapping[str, Any]) -> bool:
    """Whether two lists of numbers are equal; reasoning-gym would let each be off by one."""
    found, wanted = _numbers(answer), _numbers(entry["answer"])
    return found is not None and found == wanted


def _numbers(text: str) -> list[Fraction] | None:
    try:
        found = json.loads(text.replace("'", '"'))
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, list):
        return None
    read = [value for one in found if (value := number(str(one))) is not None]
    return read if len(read) == len(found) else None


def _same_integer(answer: str, entry: Mapping[str, Any]) -> bool:
    try:
        return int(answer, 0) == int(entry["answer"], 0)
    except ValueError:
        return False


def _moves(answer: str, entry: Mapping[str, Any]) -> bool:
    """Moves only, since reasoning-gym passes over every other letter."""
    if not re.fullmatch("[UDLR]+", answer):
        return False
    return float(_scorer("sokoban")(answer, entry)) >= 1.0


def _same_claims(answer: str, entry: Mapping[str, Any]) -> bool:
    """Whether the same is said of the same people; reasoning-gym passes over what is added."""
    return _claims(answer) == _claims(entry["answer"])


def _claims(text: str) -> set[str]:
    parts = re.split(r",\s*(?:and\s+)?|\s+and\s+|\.", text.lower())
    return {" ".join(part.split()) for part in parts} - {""}


def _same_fraction(answer: str, entry: Mapping[str, Any]) -> bool:
    """Whether numerator and denominator are the same, in whatever notation."""
    return fraction_parts(answer) is not None and (
        fraction_parts(answer) == fraction_parts(entry["answer"])
    )


def _near(answer: str, entry: Mapping[str, Any]) -> bool:
    """Whether a number is within a thousandth; reasoning-gym would take 0 for a small chance."""
    found, wanted = number(answer), number(entry["answer"])
    return found is not None and wanted is not None and abs(found - wanted) <= abs(wanted) / 1000


def _reaches(target: Callable[[Mapping[str, Any]], Any]) -> Check:
    """Checks that an expression uses exactly the given numbers and reaches the target."""

    def check(answer: str, entry: Mapping[str, Any]) -> bool:
        found, metadata = calculate(answer), entry["metadata"]
        if found is None:
            return False
        value, used = found
        return sorted(used) == sorted(metadata.get("numbers", ())) and value == target(metadata)

    return check


_OWN: dict[str, Check] = {
    "binary_matrix": _exact,
    "bitwise_arithmetic": _same_integer,
    "coin_flip": _near,
    "countdown": _reaches(lambda metadata: metadata.get("target")),
    "fraction_simplification": _same_fraction,
    "knights_knaves": _same_claims,
    "n_queens": _one_of_valid,
    "number_sorting": _same_list,
    "puzzle24": _reaches(lambda _: 24),
    "sokoban": _moves,
    "spiral_matrix": _exact,
    "string_insertion": _exact,
}
"""Tasks whose scorer in reasoning-gym runs the answer as code, or takes wrong ones for right."""
_SYMBOLIC = frozenset(
    {"intermediate_integration", "polynomial_multiplication", "simple_integration"}
)
"""Tasks whose scorer gives the answer to sympy, which evaluates it: plain mathematics only."""


def _evaluated(answer: str, entry: Mapping[str, Any]) -> Iterator[str]:
    """What such a scorer evaluates."""
    yield answer
    yield str(entry["metadata"].get("integrand", entry["answer"]))


@cache
def _scorer(task: str) -> Callable[[str, Mapping[str, Any]], float]:
    from reasoning_gym.factory import get_score_answer_fn

    found: Callable[[str, Mapping[str, Any]], float] = get_score_answer_fn(task)
    return found


@cache
def _evaluates(task: str) -> bool:
    """Whether a scorer of the installed reasoning-gym mentions what evaluates text."""
    from reasoning_gym.factory import DATASETS

    source = inspect.getsource(sys.modules[DATASETS[task][0].__module__])
    scorer = inspect.getsource(DATASETS[task][0].score_answer)
    calls = r"(?<![\w.])(?:eval|exec|parse_expr|sympify)\(|\.(?:parse_expr|sympify)\("
    return bool(re.search(calls, scorer)) or bool(re.search(calls, source) and "verify" in scorer)
