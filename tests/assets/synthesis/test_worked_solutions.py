"""The steps of a worked solution are right, and what a program cannot work out is left out."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.rows import REJECTED, ROWS, read_rows, row_id, write_rows
from assets.sources.reasoning_tasks import TaskGenerator, draw, task_schema
from assets.sources.verifiers import verify
from assets.synthesis.thought_checks import ThoughtParams, fault
from assets.synthesis.worked_solutions import (
    WORKERS,
    Params,
    backward,
    chain_sum,
    greatest_common_divisor,
    legs,
    letters,
    run,
    solve,
)
from registry.errors import MethodError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.assets.conftest import Build


def test_a_sum_goes_term_by_term():
    found = chain_sum("4 - 9 + 12")
    assert found.steps == ("4 - 9 = -5.", "-5 + 12 = 7.")
    assert str(found) == "<think>\n4 - 9 = -5.\n-5 + 12 = 7.\n</think>\n<answer>7</answer>"


def test_euclid_divides_until_nothing_is_left():
    found = greatest_common_divisor([18, 48])
    assert found.steps == ("48 = 2 x 18 + 12.", "18 = 1 x 12 + 6.", "12 = 2 x 6 + 0.",
                           "Nothing is left, so it is 6.")  # fmt: skip


@given(st.lists(st.integers(1, 10_000), min_size=2, max_size=5))
def test_euclid_finds_what_the_library_finds(numbers):
    assert greatest_common_divisor(numbers).answer == str(math.gcd(*numbers))


@given(st.lists(st.integers(0, 999), min_size=1, max_size=6))
def test_a_chain_of_differences_is_right(numbers):
    assert chain_sum(" - ".join(map(str, numbers))).answer == str(numbers[0] - sum(numbers[1:]))


def test_legs_letters_and_words():
    assert (
        legs({"dog": 2, "ant": 1}, {"dog": 4, "ant": 6}).steps[-1] == "ant: 1 x 6 = 6, 14 in all."
    )
    assert letters(["Apple", "a", "pear"], "a").answer == "3"
    assert backward("sun").steps[1] == "From the end: n u s."


@pytest.mark.parametrize("kind", sorted(WORKERS))
def test_every_kind_is_worked_out_and_its_thoughts_would_be_kept(kind):
    for level in (1, 2):
        drawn = draw(TaskGenerator(name=kind, rows=20, levels=(1, 2)), level, 3, 2000, {})
        for row in (one for one, reason in drawn if not reason):
            found, why = solve(row)
            assert found is not None, why
            assert verify(row["task"], row["entry"], str(found))
            wanted = ThoughtParams(thought="required", languages=("en",), least_letters=60)
            assert fault(str(found), wanted) == ""


def task(name: str, prompt: str, answer: str, **metadata: Any) -> dict[str, Any]:
    entry = json.dumps({"question": prompt, "answer": answer, "metadata": metadata})
    return {
        **dict.fromkeys(task_schema()),
        "row_id": row_id("test", [name, prompt]), "parents": [], "prompt": prompt,
        "completion": answer, "source": "test", "task": name, "answer": answer, "entry": entry,
    }  # fmt: skip


def written(folder: Path, rows: list[dict[str, Any]]) -> Path:
    write_rows(folder / ROWS, rows, task_schema())
    return folder


def test_rows_name_their_task_and_the_rest_its_reason(build: Build, tmp_path: Path):
    rows = [
        task("spell_backward", "sun", "nus", word="sun"),
        task("spell_backward", "moon", "wrong", word="moon"),
        task("caesar_cipher", "KHOOR", "HELLO", rotation=3),
        task("gcd", "no numbers", "3"),
        task("gcd", "none at all", "3", numbers=[]),
        task("leg_counting", "a beast of no kind", "3", animals={"yeti": 1}),
        task("chain_sum", "odd", "3", expression="1 +"),
    ]
    context = build(Params(), inputs={"tasks": written(tmp_path, rows)})
    run(context)
    (kept,) = read_rows(context.out / ROWS).to_dicts()
    assert kept["parents"] == [rows[0]["row_id"]]
    assert kept["completion"].endswith("<answer>nus</answer>")
    assert kept["task"] == "spell_backward"
    left = {row["row_id"]: row["reason"] for row in read_rows(context.out / REJECTED).to_dicts()}
    assert [left[row["row_id"]] for row in rows[1:3]] == [
        "the verifier refuses the answer",
        "no program works out caesar_cipher",
    ]
    assert {left[row["row_id"]] for row in rows[3:]} == {
        "its entry does not say what the question asks"
    }


def test_nothing_that_can_be_worked_out_is_an_error(build: Build, tmp_path: Path):
    rows = [task("caesar_cipher", "KHOOR", "HELLO", rotation=3)]
    with pytest.raises(MethodError) as caught:
        run(build(Params(), inputs={"tasks": written(tmp_path, rows)}))
    assert "no program works out caesar_cipher" in caught.value.why
    assert "spell_backward" in caught.value.mend
    write_rows(tmp_path / ROWS, [{"row_id": "a", "prompt": "?", "completion": "!"}])
    with pytest.raises(MethodError, match="has no column task"):
        run(build(Params(), inputs={"tasks": tmp_path}))
