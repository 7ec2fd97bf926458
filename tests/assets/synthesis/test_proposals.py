"""A teacher proposes settings and wording; the generator and its verifier decide what is right."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from assets.sources.verifiers import verify
from assets.synthesis.candidates import Candidate, Plan
from assets.synthesis.few_shots import plans_from
from assets.synthesis.proposals import (
    OPENINGS,
    ProposalParams,
    ProposalWriter,
    bounds,
    choose_task,
    make_entry,
    read_line,
    start_line,
    vary,
)
from assets.synthesis.teachers import Request
from registry.errors import MethodError, UsageError
from tests.assets.synthesis.scripted import Scripted, good_line, task_rows

POOL = task_rows("gcd", "chain_sum")
PLANS = plans_from(POOL, 6, 3, "even", 0, "single")


def line(settings: str, opening: str = '"Here is one."', task: str = "gcd") -> str:
    return f'{{"task": "{task}", "settings": {settings}, "opening": {opening}}}'


def written(reply: Any, folder: Path, **params: Any) -> list[Candidate]:
    writer = ProposalWriter(Scripted(reply), ProposalParams(**params))
    return writer.write(PLANS, folder, lambda *_: None)


def test_the_teacher_goes_on_with_a_line_for_a_task_of_its_examples() -> None:
    for plan in PLANS:
        task = choose_task(plan)
        prompt = start_line(plan, task, ProposalParams())
        _head, *lines, start = prompt.split("\n")
        assert len(lines) == 5
        for one in lines:
            settings, opening = read_line(one, task, 4)
            assert opening in OPENINGS
            make_entry(task, settings, 0)
        assert start == f'{{"task": "{task}", "settings": {{"{next(iter(bounds(task, 4)))}":'
        assert task in {row["task"] for row in plan.examples}
    assert len({choose_task(plan) for plan in PLANS}) == 2


def test_rows_that_were_proposed_show_their_own_settings() -> None:
    own = '{"max_value": 77}'
    row = {**POOL[0], "settings": own, "opening": "Mind <data> the gap."}
    prompt = start_line(Plan("p", 0, (row,)), "gcd", ProposalParams(lines=2))
    first = json.loads(prompt.split("\n")[1])
    assert first == {
        "task": "gcd", "settings": {"max_value": 77}, "opening": "Mind < data> the gap."
    }  # fmt: skip


def test_a_good_proposal_becomes_a_row_that_its_verifier_accepts(tmp_path: Path) -> None:
    found = written(good_line, tmp_path)
    kept = [c for c in found if c.reason is None]
    assert [c.reason for c in found] == [None] * 6
    for plan, candidate in zip(PLANS, kept, strict=True):
        row = candidate.row
        assert row["parents"] == [
            example["row_id"] for example in plan.examples if example["task"] == row["task"]
        ]
        assert row["prompt"] == f"Here is one for you.\n\n{candidate.question}"
        assert verify(row["task"], row["entry"], row["completion"])
        assert not verify(row["task"], row["entry"], row["completion"] + "1")
        assert row["source"] == f"synthetic:{row['task']}"
        assert (row["seed"], row["teacher"]) == (plan.seed, "scripted")
        assert json.loads(row["sampling"])["until"] == "end of line"
        assert json.loads(row["settings"])
    assert len({c.row["row_id"] for c in kept}) == 6


def test_the_question_is_the_generators_own_whatever_the_opening_says(tmp_path: Path) -> None:
    plain = written(good_line, tmp_path / "plain", openings=False)
    for said in (
        "Ignore the numbers.", "What is 2 + 2?", "The answer is 3.", "x" * 200 + ".", "no stop",
        "As an AI language model I count!", "Say {this} instead.", "1 more!", "",
    ):  # fmt: skip
        reply = lambda request, said=said: good_line(request).replace(  # noqa: E731
            "Here is one for you.", said
        )
        found = written(reply, tmp_path / str(abs(hash(said))))
        assert [c.reason for c in found] == [None] * 6, said
        assert [c.row["opening"] for c in found] == [None] * 6, said
        assert [c.row["prompt"] for c in found] == [c.row["prompt"] for c in plain]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("no line at all", "the line is no JSON"),
        ("[" * 100_000, "the line is no JSON"),
        ("[1]", "the line has no settings"),
        (line('"many"'), "the line has no settings"),
        (line("{}", task="lcm"), "the line names another task"),
        (line('{"size": 9}'), "it sets what the generator does not have"),
        (line('{"__class__": 9}'), "it sets what the generator does not have"),
        (line('{"max_value": "9"}'), "a setting is no number"),
        (line('{"max_value": true}'), "a setting is no number"),
        (line('{"max_value": 1000000000000}'), "a setting is out of bounds"),
        (line('{"max_value": -4001}'), "a setting is out of bounds"),
        (line('{"max_value": NaN}'), "a setting is out of bounds"),
        (line('{"max_value": 1e999}'), "a setting is out of bounds"),
        (line('{"max_value": 9.5}'), "a setting is no whole number"),
    ],
)
def test_hostile_lines_are_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_line(text, "gcd", 4)
    assert caught.value.what == reason


def test_bounds_stretch_with_the_defaults() -> None:
    assert bounds("gcd", 4) == {
        "min_numbers": 20, "max_numbers": 20, "min_value": 20, "max_value": 4000
    }  # fmt: skip
    assert read_line(line('{"max_value": 4000}'), "gcd", 4) == ({"max_value": 4000}, "Here is one.")


def test_settings_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(UsageError, match="does not take these settings together"):
        make_entry("gcd", {"min_value": 20, "max_value": 3}, 0)


def test_varied_settings_are_ones_that_generators_take() -> None:
    for task in ("gcd", "calendar_arithmetic", "word_sorting", "number_sorting", "spell_backward"):
        source = random.Random(1)
        drawn = [vary(task, source) for _ in range(5)]
        assert len({json.dumps(one) for one in drawn}) > 1
        for settings in drawn:
            make_entry(task, settings, 3)


def test_what_is_left_out_keeps_what_the_teacher_said(tmp_path: Path) -> None:
    found = written(lambda _: " 3, and then I lost the thread", tmp_path)
    for candidate in found:
        assert candidate.reason == "the line is no JSON"
        assert candidate.row["prompt"].endswith("and then I lost the thread")
        assert candidate.row["completion"] == ""
    long = written(good_line, tmp_path / "long", longest_prompt=60)
    assert {c.reason for c in long} == {"longer than 60 characters"}
    assert all(c.score == len(c.row["prompt"]) for c in long)


def test_the_same_seed_gives_the_same_rows_and_another_gives_others(tmp_path: Path) -> None:
    first, again = (written(good_line, tmp_path / name) for name in "ab")
    assert [c.row for c in first] == [c.row for c in again]
    other = plans_from(POOL, 6, 3, "even", 1, "single")
    writer = ProposalWriter(Scripted(good_line), ProposalParams())
    third = writer.write(other, tmp_path / "c", lambda *_: None)
    assert [c.question for c in third] != [c.question for c in first]


def test_examples_without_tasks_and_refused_tasks_are_errors() -> None:
    with pytest.raises(MethodError, match=r"examples name no task(.|\n)*larger teacher"):
        choose_task(Plan("p", 0, ({"row_id": "a", "prompt": "x"},)))
    with pytest.raises(UsageError, match="gsm_symbolic"):
        choose_task(Plan("p", 0, ({"row_id": "a", "prompt": "x", "task": "gsm_symbolic"},)))


def test_difficult_rows_are_shown_more_often() -> None:
    rows = [{"row_id": str(n), "difficulty": d} for n, d in enumerate((1.0, 3.0, None, 0.0))]
    plans = plans_from(rows, 3000, 1, "difficulty", 0, "x")
    share = sum(plan.examples[0]["row_id"] == "1" for plan in plans) / 3000
    assert share == pytest.approx(3 / 6, abs=0.03)
    pairs = plans_from(rows, 50, 9, "difficulty", 0, "x")
    assert all(len({row["row_id"] for row in plan.examples}) == 4 for plan in pairs)
    assert isinstance(pairs[0].seed, int)
    assert Request("a", "b", 1) == Request("a", "b", 1)
