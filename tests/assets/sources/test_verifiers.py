"""Answers are taken out first, must be wholly right, and are never run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import reasoning_gym
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.sources.mathematics import calculate, is_expression, number
from assets.sources.verifiers import (
    REFUSED,
    VALUE_TASKS,
    extract,
    read_entry,
    require_task,
    task_names,
    verify,
    write_entry,
)
from registry.errors import UsageError

pytestmark = [
    # reasoning-gym's data packages leave a file open.
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
SLOW = {"knight_swap"}
"""Its generator searches for many seconds."""


def entry(answer: str, **metadata: Any) -> str:
    return write_entry({"question": "?", "answer": answer, "metadata": metadata})


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("42", "42"),
        ("  42 \n", "42"),
        ("<answer>42</answer>", "42"),
        ("First 40, then 2.\n<answer> 42 </answer>", "42"),
        ("<answer>42</answer> so <answer>42</answer>", "42"),
        (r"so it is \boxed{42}.", "42"),
        (r"so it is \boxed{\frac{1}{2}}.", r"\frac{1}{2}"),
        (r"<answer>\boxed{42}</answer>", "42"),
        ("I add them.\nAnswer: 42", "42"),
        ("I add them.\nThe answer is 42.", "42"),
        ("**Final answer:** 42", "42"),
        ("<think>maybe 41</think>42", "42"),
        ("<think></think>42", "42"),
        ("<think>\n\n</think>\n\n<answer>42</answer>", "42"),
        ("a thought that the prompt opened</think>42", "42"),
        ("1 2\n3 4", "1 2\n3 4"),
        ("a < b", "a < b"),
    ],
)
def test_an_answer_is_taken_out(text: str, answer: str) -> None:
    assert extract(text) == answer


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   \n",
        "<answer></answer>",
        "<answer>42",
        "42</answer>",
        "<answer>42<answer>",
        "<Answer>42</Answer>",
        "<answer><answer>42</answer></answer>",
        "<answer>41</answer><answer>42</answer>",
        r"\boxed{41} or \boxed{42}",
        r"\boxed{42",
        "Answer: 41\nAnswer: 42",
        "<think>42",
        "<think>42</think>",
        "<think><think>41</think>42",
    ],
    ids=lambda text: text or "empty",
)
def test_no_answer_or_two_are_none(text: str) -> None:
    assert extract(text) is None


def test_the_thought_never_counts() -> None:
    given = entry("42")
    assert verify("chain_sum", given, "<think>41</think>42")
    assert not verify("chain_sum", given, "<think>42</think>41")
    assert not verify("chain_sum", given, "<think>42</think>")


@pytest.mark.parametrize("text", ["1/2", "2/4", "0.5", "0.50", r"\frac{1}{2}", r"$\dfrac{2}{4}$"])
def test_equivalent_fractions_are_one_number(text: str) -> None:
    assert number(text) == number("1/2")
    assert verify("dice", entry("1/2"), text)


def test_form_counts_where_form_is_the_task() -> None:
    given = entry(r"$\frac{1}{2}$", simplified_numerator=1, simplified_denominator=2)
    assert "fraction_simplification" not in VALUE_TASKS
    assert verify("fraction_simplification", given, r"$\frac{1}{2}$")
    assert not verify("fraction_simplification", given, r"$\frac{2}{4}$")


@pytest.mark.parametrize("text", ["", "x", "1/0", "1e9", "--1", "1,23", "0x10", "½", "٣", "1/2/3"])
def test_what_is_no_number(text: str) -> None:
    assert number(text) is None


def test_partial_credit_is_none() -> None:
    given = entry("42")
    assert not verify("chain_sum", given, "it could be 42 or 43")
    assert not verify("gcd", given, "420")


@pytest.mark.parametrize("task", [t for t in task_names() if t not in SLOW])
def test_every_generator_accepts_its_own_answer_and_no_other(task: str) -> None:
    require_task(task)
    questions = reasoning_gym.create_dataset(task, size=2, seed=7)
    for index in range(2):
        made = questions[index]
        text = write_entry(made)
        assert read_entry(text)["answer"] == made["answer"]
        assert verify(task, text, made["answer"])
        assert verify(task, text, f"<think>so</think>\n<answer>{made['answer']}</answer>")
        for wrong in (
            "",
            "I do not know.",
            "[]",
            "None",
            f"{made['answer']} x {made['answer']}z",
        ):
            assert wrong == made["answer"] or not verify(task, text, wrong), (made["answer"], wrong)


@pytest.mark.parametrize("task", sorted(REFUSED))
def test_generators_that_cannot_be_trusted_are_refused(task: str) -> None:
    with pytest.raises(UsageError, match=re.escape(REFUSED[task][:20])):
        verify(task, entry("1"), "1")


def test_an_unknown_generator_is_named_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="chain_sum"):
        verify("chain_sums", entry("1"), "1")


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"answer": 1}', "[" * 100_000])
def test_a_broken_entry_is_an_error(text: str) -> None:
    with pytest.raises(UsageError, match="entry"):
        verify("chain_sum", text, "1")


def test_tuples_of_an_entry_stay_tuples() -> None:
    given = {"question": "?", "answer": "1", "metadata": {"pairs": ((1, 2), [3, (4,)])}}
    assert read_entry(write_entry(given)) == given


@pytest.mark.parametrize("value", [{1: "a"}, float("nan"), {1, 2}, object()])
def test_what_json_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises(UsageError, match="cannot be written down"):
        write_entry({"answer": "1", "metadata": {"x": value}})


HOSTILE = "__import__('pathlib').Path({path!r}).write_text('ran')"


@pytest.mark.parametrize("task", [t for t in task_names() if t not in SLOW])
def test_no_answer_is_ever_run(task: str, tmp_path: Path) -> None:
    path = tmp_path / "ran"
    made = reasoning_gym.create_dataset(task, size=1, seed=7)[0]
    code = HOSTILE.format(path=str(path))
    for text in (code, f"[{code}]", f"<answer>{code}</answer>", f"1 + ({code} or 0)"):
        assert not verify(task, write_entry(made), text)
    assert not path.exists()


@pytest.mark.parametrize("task", ["intermediate_integration", "simple_integration"])
def test_no_entry_is_ever_run(task: str, tmp_path: Path) -> None:
    path = tmp_path / "ran"
    code = HOSTILE.format(path=str(path))
    assert not verify(task, entry("x", integrand=code, variable="x"), "x**2")
    assert not verify("polynomial_multiplication", entry(code), "x**2")
    assert not verify("bitwise_arithmetic", entry("0x1", problem=code), "0x2")
    assert not verify("number_sorting", entry(code, direction="ascending"), "[1]")
    assert not path.exists()


@pytest.mark.parametrize(
    "text",
    ["9**9**9", "(((9**30)**30)**30)", "x**31", "2**(9**9)", "x.real", "f(x)", "a b", "x!",
     "x if x else x", "lambda x: x", "[x for x in y]", "sin(x, y=1)", "__import__", "x" * 401,
     "1e400000000"],
)  # fmt: skip
def test_what_is_no_plain_mathematics(text: str) -> None:
    assert not is_expression(text)


@pytest.mark.parametrize(
    "text",
    ["-X**5/7 - X**3/2 + C", "exp(x)*sin(x)", "sqrt(x**2 + 1)", "C1", "x**(-1/2)", "2.5*x",
     "3*Integral(x**3*cos(3*x), x)"],
)  # fmt: skip
def test_what_is_plain_mathematics(text: str) -> None:
    assert is_expression(text)


def test_countdown_uses_each_number_once() -> None:
    given = entry("(2 + 3)*4", numbers=[2, 3, 4], target=20)
    assert verify("countdown", given, "4*(3 + 2)")
    for wrong in ("20", "5*4", "2*10", "4*4 + 4", "(2 + 3)*4 + 0", "2 + 3*4"):
        assert not verify("countdown", given, wrong)


def test_twenty_four_takes_the_given_numbers_only() -> None:
    given = entry("1*2*3*4", numbers=[1, 2, 3, 4])
    assert verify("puzzle24", given, "4*3*2*1")
    assert not verify("puzzle24", given, "6*4*1*1")
    assert not verify("puzzle24", given, "(4 + 3)*(2 + 1) + 0")


def test_a_sorted_list_must_be_the_same_list() -> None:
    given = entry("['1', '2', '3']", direction="ascending")
    assert verify("number_sorting", given, "[1, 2.0, 3]")
    assert not verify("number_sorting", given, "[1, 2, 4]")


def test_whole_answers_only() -> None:
    people = entry("Ann is a knight, and Bo is a knave.")
    assert verify("knights_knaves", people, "Bo is a knave and Ann is a knight")
    for wrong in ("Ann is a knight", "Ann is a knight, Bo is a knave, Bo is a knight"):
        assert not verify("knights_knaves", people, wrong)
    for form in ("1/2", r"$\frac{1}{2}$", r"\dfrac{1}{2}"):
        assert verify("fraction_simplification", entry(form), "1/2")
    assert not verify("fraction_simplification", entry("1/2"), "1/2 or 1/3")


def test_prose_does_not_move_a_box() -> None:
    made = reasoning_gym.create_dataset("sokoban", size=1, seed=7)[0]
    assert not verify("sokoban", write_entry(made), f"It goes {made['answer']}")


def test_arithmetic_is_exact() -> None:
    assert calculate("1/3*3") == (1, [1, 3, 3])
    assert calculate("1/0") is None
    assert calculate("(" * 150) is None


@given(st.text())
@settings(max_examples=300, deadline=None)
def test_any_text_at_all_is_judged(text: str) -> None:
    extract(text)
    number(text)
    calculate(text)
    is_expression(text)
    assert verify("chain_sum", entry("42"), text) in (True, False)
