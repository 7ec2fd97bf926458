"""A community's own tests, put to a model: what passes, what fails, and by which figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from assets.answering import greedy_answer, mean_log_probability, option_shares
from assets.compute import load_model
from assets.evaluation import community_tests
from assets.evaluation.answer import answer
from assets.evaluation.community_tests import Params, judge_answer, judge_options
from assets.option_prompt import encode
from assets.rows import read_rows
from registry.context import Input, ProfileView
from registry.errors import ProblemsError
from registry.profile_tests import CommunityTest, plain_answer
from registry.results import read_results, read_verdicts

if TYPE_CHECKING:
    from tests.assets.conftest import Build

QUESTION, OPTIONS = "What do you drink in the morning?", ("Tea", "Coffee", "Water")


def case(number: int, **said: Any) -> CommunityTest:
    given = {
        "id": f"test-{number}",
        "question": QUESTION,
        "wrong": "Coffee",
        "why": "Nobody here drinks that.",
        "model": "own@north",
        "content": "ab" * 32,
        "on": "2026-11-23",
        "by": "register:7",
    }
    return CommunityTest.model_validate({**given, **said})


# The rule, by numbers that a person can check.


@pytest.mark.parametrize(
    ("shares", "better", "why"),
    [
        ((0.5, 0.3, 0.2), None, ""),
        ((0.3, 0.5, 0.2), None, "it puts 'Coffee' first (50.0%)"),
        ((0.4, 0.4, 0.2), None, "it puts 'Coffee' first (40.0%)"),
        ((0.5, 0.3, 0.2), "Tea", ""),
        ((0.5, 0.3, 0.2), "Water", "it puts 'Water' (20.0%) no higher than 'Coffee' (30.0%)"),
        ((0.5, 0.25, 0.25), "Water", "it puts 'Water' (25.0%) no higher than 'Coffee' (25.0%)"),
    ],
)
def test_the_wrong_option_is_not_first_and_the_better_one_lies_above_it(
    shares: tuple[float, ...], better: str | None, why: str
) -> None:
    test = case(1, options=OPTIONS, better=better)
    found = judge_options(test, dict(zip(OPTIONS, shares, strict=True)))
    assert found["why_not"] == why
    assert found["wrong_share"] == shares[1]


@pytest.mark.parametrize(
    ("said", "logs", "passed"),
    [
        ("Tea.", (-1.0,), True),
        ("  coffee!", (-9.0,), False),
        ("Coffee, with milk", (-1.0,), True),
        ("Tea.", (-2.0, -1.0), True),
        ("Tea.", (-1.0, -2.0), False),
        ("Tea.", (-1.0, -1.0), False),
        ("Coffee", (-9.0, -1.0), False),
    ],
)
def test_a_free_answer_is_not_the_wrong_one_and_the_better_one_is_likelier(
    said: str, logs: tuple[float, ...], passed: bool
) -> None:
    test = case(1, better="Tea" if len(logs) > 1 else None)
    assert (judge_answer(test, said, *logs)["why_not"] == "") == passed


def test_the_mean_is_over_the_tokens_of_the_answer_each_given_all_before(
    lively_model: Path,
) -> None:
    model, tokenizer = load_model(lively_model, torch.device("cpu"), "float32")
    prompt, words = encode(tokenizer, QUESTION), tokenizer.encode("Tea", add_special_tokens=False)
    assert len(words) == 3  # a token is a byte
    logs = []
    for place, word in enumerate(words):
        with torch.inference_mode():
            logits = model(torch.tensor([[*prompt, *words[:place]]])).logits[0, -1]
        logs.append(float(logits.log_softmax(-1)[word]))
    found = mean_log_probability(model, tokenizer, QUESTION, "Tea")
    assert found == pytest.approx(sum(logs) / 3, abs=1e-5)


# The method.


def put(
    build: Build, files: Path, folder: Path, tests: list[CommunityTest], dtype: str = "bfloat16"
) -> Path:
    lines = "".join(test.model_dump_json(exclude_defaults=True) + "\n" for test in tests)
    (folder / "tests.jsonl").write_text(lines)
    view = ProfileView("north", "the north", folder, ("tests.jsonl",), {})
    context = build(
        Params(dtype=dtype),  # type: ignore[arg-type]
        inputs={"model": [Input("own", "north", files)]},
        profiles=[view],
    )
    community_tests.run(context)
    return context.out


def test_what_a_person_was_shown_is_what_is_tested(
    build: Build, lively_model: Path, tmp_path: Path
) -> None:
    shares = answer(lively_model, QUESTION, OPTIONS).options
    ranked = sorted(shares, key=lambda option: shares[option])
    said = answer(lively_model, QUESTION, ()).text
    assert said
    tests = [
        case(1, options=OPTIONS, wrong=ranked[-1]),
        case(2, options=OPTIONS, wrong=ranked[0]),
        case(3, options=OPTIONS, wrong=ranked[1], better=ranked[-1]),
        case(4, options=OPTIONS, wrong=ranked[1], better=ranked[0]),
        case(5, wrong=plain_answer(said)),
        case(6, wrong="x" + plain_answer(said)),
    ]
    out = put(build, lively_model, tmp_path, tests)
    verdicts = {v.test: v for v in read_verdicts(out)}
    assert [verdicts[t.id].passed for t in tests] == [False, True, True, False, False, True]
    assert all(verdicts[t.id].sha256 == t.sha256 for t in tests)
    rows = {row["test"]: row for row in read_rows(out / "tests.parquet").to_dicts()}
    assert rows["test-1"]["wrong_share"] == pytest.approx(shares[ranked[-1]])
    assert rows["test-5"]["said"] == said
    assert rows["test-5"]["wrong_log"] < 0
    assert rows["test-1"]["parents"] == ["test-1"]
    (result,) = read_results(out)
    assert (result.about, result.community, result.value, result.items) == (
        "own@north", "north", 0.5, 6,
    )  # fmt: skip
    assert json.loads((out / "headline.json").read_text()) == {"tests": 6, "tests passed": 3}


def test_a_model_that_says_the_wrong_words_again_fails(
    build: Build, small_model: Path, tmp_path: Path
) -> None:
    model, tokenizer = load_model(small_model, torch.device("cpu"), "float32")
    said = greedy_answer(model, tokenizer, QUESTION)
    logs = {w: mean_log_probability(model, tokenizer, QUESTION, w) for w in ("zz", "Tea")}
    better, worse = sorted(logs, key=lambda w: -logs[w])
    tests = [
        case(1, wrong="never said", better=None),
        case(2, wrong=worse, better=better),
        case(3, wrong=better, better=worse),
    ]
    if repeated := plain_answer(said):
        tests.append(case(4, wrong=f"{repeated.upper()}."))
    out = put(build, small_model, tmp_path, tests, "float32")
    passed = [verdict.passed for verdict in read_verdicts(out)]
    assert passed[:3] == [True, True, False]
    assert passed[3:] in ([], [False])


def test_no_test_gives_an_empty_table_with_the_same_columns(
    build: Build, small_model: Path, tmp_path: Path
) -> None:
    empty = put(build, small_model, tmp_path, [])
    full = put(build, small_model, tmp_path, [case(1, options=OPTIONS)])
    one, two = (read_rows(out / "tests.parquet") for out in (empty, full))
    assert (one.height, two.height) == (0, 1)
    assert one.schema == two.schema
    assert read_results(empty) == ()
    assert read_verdicts(empty) == ()


def test_a_broken_table_is_said_with_its_line(
    build: Build, small_model: Path, tmp_path: Path
) -> None:
    with pytest.raises(ProblemsError, match=r"tests.jsonl:2: id: 'test-1' stands on line 1"):
        put(build, small_model, tmp_path, [case(1), case(1)])


def test_shares_sum_to_one_and_do_not_hang_on_the_order(lively_model: Path) -> None:
    model, tokenizer = load_model(lively_model, torch.device("cpu"), "float32")
    shares, outside = option_shares(model, tokenizer, QUESTION, OPTIONS)
    turned, same = option_shares(model, tokenizer, QUESTION, tuple(reversed(OPTIONS)))
    assert sum(shares) == pytest.approx(1)
    assert list(reversed(turned)) == pytest.approx(shares)
    assert outside == pytest.approx(same)
    assert 0 <= outside <= 1
