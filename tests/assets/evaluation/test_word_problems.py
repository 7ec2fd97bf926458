"""Numbers are taken out of answers by a fixed rule, and compared exactly."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest

from assets.evaluation import word_problems
from assets.evaluation.intervals import wilson
from assets.evaluation.word_problems import (
    Params,
    in_asked_form,
    last_number,
    results_of,
    solved,
)
from assets.rows import ROWS, read_rows, write_rows
from assets.sources.word_problems_file import problem_schema
from registry.errors import MethodError
from registry.results import read_results


@pytest.mark.parametrize(
    ("text", "asked", "last"),
    [
        ("2 + 2 = 4\n#### 4", 4, 4),
        ("#### 1,234.", 1234, 1234),
        ("####$18.00", 18, 18),
        ("#### -3", -3, -3),
        ("#### $-3", -3, -3),
        ("So it is 3/4.", None, Fraction(3, 4)),
        ("#### 0.5\n\nNext question: 9 boats. #### 7", Fraction(1, 2), Fraction(1, 2)),
        ("The answer is 42 fish.", None, 42),
        ("It costs $1,050.50.", None, Fraction(2101, 2)),
        (r"So \boxed{12} of the 30 nets", None, 12),
        (r"So \boxed{\frac{1}{2}} of 30", None, Fraction(1, 2)),
        ("From 3-5 boats", None, 5),
        ("model7b says x2", None, None),
        ("#### four of 9", None, 9),
        ("no number", None, None),
        ("", None, None),
        ("1/0", None, None),
        ("#" * 1000 + "9" * 500, None, None),
    ],
)
def test_numbers_out_of_answers(text, asked, last):
    assert in_asked_form(text) == asked
    assert last_number(text) == last


def problem(place, number="4", prompt=None):
    return {"row_id": f"p{place}", "parents": [], "prompt": prompt or f"Net {place} and two more?",
            "completion": f"Easy.\n#### {number}", "source": "p.jsonl", "community": None,
            "number": number, "line": place + 1}  # fmt: skip


def test_answers_are_checked_exactly():
    row = problem(0, "1/2")
    assert solved(row, "#### 0.5", "stop").correct_in_form
    assert solved(row, "It is 0.50", "stop").correct
    assert not solved(row, "It is 0.50", "stop").correct_in_form
    assert not solved(row, "#### 0.51", "stop").correct
    assert solved(row, "nothing", "length").found is None


def test_accuracy_has_wilsons_interval_and_the_commonest_answer():
    found = [solved(problem(0), "#### 4", "stop"), solved(problem(1), "It is 4", "stop"),
             solved(problem(2, "5"), "#### 4", "stop")]  # fmt: skip
    anyhow, form = results_of(found, "model")
    assert (anyhow.value, form.value) == (pytest.approx(2 / 3), pytest.approx(1 / 3))
    assert (anyhow.low, anyhow.high) == wilson(2 / 3, 3)
    assert anyhow.beside == {"always the commonest answer": pytest.approx(2 / 3)}


def given(folder, rows):
    write_rows(folder / ROWS, rows, problem_schema())
    return folder


def test_every_problem_is_put(build, lively_model, tmp_path):
    rows = [problem(place) for place in range(3)]
    examples = given(tmp_path / "e", [problem(7), problem(8)])
    params = Params(shots=2, batch_size=2, sampling={"temperature": 0, "max_new_tokens": 8})
    inputs = {"model": lively_model, "problems": given(tmp_path / "p", rows), "examples": examples}
    context = build(params, inputs=inputs)
    word_problems.run(context)
    assert [one.items for one in read_results(context.out)] == [3, 3]
    table = read_rows(context.out / "answers.parquet")
    assert table["parents"].to_list() == [["p0"], ["p1"], ["p2"]]
    headline = json.loads((context.out / "headline.json").read_text())
    assert headline["always the commonest answer"] == 1


def test_a_worked_problem_that_is_measured_on_is_refused(build, small_model, tmp_path):
    shared = [problem(0, prompt="net 3  AND two more?")]
    inputs = {"model": small_model, "problems": given(tmp_path / "p", [problem(3)]),
              "examples": given(tmp_path / "e", shared)}  # fmt: skip
    with pytest.raises(MethodError, match="p0 is also measured on"):
        word_problems.run(build(Params(shots=1), inputs=inputs))
    with pytest.raises(MethodError, match="`shots` is 0, and `examples` is given"):
        word_problems.run(build(Params(), inputs=inputs))
    with pytest.raises(MethodError, match="has 1 problems, and `shots` is 2"):
        word_problems.run(build(Params(shots=2), inputs=inputs))


def test_rows_without_numbers_are_refused(build, small_model, tmp_path):
    write_rows(tmp_path / ROWS, [{"row_id": "a", "prompt": "b", "completion": "c"}])
    with pytest.raises(MethodError, match="has no column 'number'"):
        word_problems.run(build(Params(), inputs={"model": small_model, "problems": tmp_path}))
