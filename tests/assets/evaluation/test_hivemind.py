"""How alike models answer, from artifacts of answers to figures and pictures."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars
import pytest

from assets.diversity.homogeneity import exchangeable_mixing
from assets.evaluation import hivemind
from assets.evaluation.answer_pool import Pool, read_pool
from assets.evaluation.hivemind import Params
from assets.evaluation.likeness import (
    ABOVE,
    BETWEEN,
    DISTINCT,
    SOURCES,
    WITHIN,
    Measure,
    between_models,
    liken,
    measures_of,
)
from assets.evaluation.validity import Yield, named_answer, verified_answer, yield_of
from assets.rows import read_rows, row_id, write_rows
from assets.sources.verifiers import write_entry
from registry.context import Input
from registry.errors import MethodError
from registry.results import read_results
from tests.assets.encoders import write_tiny_encoder

if TYPE_CHECKING:
    from tests.assets.conftest import Build

HOT = {"temperature": 1.0, "top_p": 0.9}
Text = Callable[[int, int], str]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_encoder(tmp_path_factory.mktemp("encoders") / "tiny")


def answers(
    folder: Path,
    model: str,
    text: Text,
    *,
    prompts: Sequence[int] = range(6),
    samples: int = 4,
    chat_template: bool = True,
    sampling: dict[str, Any] = HOT,
) -> Input:
    """An artifact of answers, where `text` gives the answer to a prompt's sample."""
    rows = [
        {
            "row_id": row_id(model, [prompt, sample, chat_template, sampling]),
            "parents": [f"p{prompt}"],
            "prompt_id": f"p{prompt}",
            "prompt": f"prompt {prompt}",
            "sample": sample,
            "text": text(prompt, sample),
            "finish_reason": "stop",
            "tokens": 5,
            "logprob": -1.0,
            "model": model,
            "chat_template": chat_template,
            "sampling": json.dumps({**sampling, "chat_template": chat_template}),
            "seed": 0,
        }
        for prompt in prompts
        for sample in range(samples)
    ]
    target = folder / f"{model}-{chat_template}-{len(list(folder.iterdir()))}"
    write_rows(target / "answers.parquet", rows)
    return Input(target.name, None, target)


def varied(name: str) -> Text:
    return lambda prompt, sample: f"{name} says {prompt * 31} and {sample * 17} of it"


def measured(pool: Pool, vectors: np.ndarray) -> dict[tuple[str, str, str], Measure]:
    found = measures_of(pool, vectors, liken(pool, vectors, None), 200, 0)
    return {(one.measure, one.model, one.other): one for one in found}


def unit(rows: int, seed: int = 0, width: int = 400) -> np.ndarray:
    found = np.random.default_rng(seed).normal(size=(rows, width))
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def test_a_greedy_model_repeats_itself_wholly(build: Build, encoder: Path, tmp_path: Path) -> None:
    given = answers(tmp_path, "greedy", lambda prompt, _: f"always {prompt}",
                    sampling={"temperature": 0.0})  # fmt: skip
    context = build(Params(resamples=50), inputs={"answers": [given], "encoder": encoder})
    hivemind.run(context)
    rows = {row["measure"]: row for row in read_rows(context.out / "measures.parquet").to_dicts()}
    assert rows[WITHIN]["value"] == pytest.approx(1, abs=1e-5)
    assert rows[ABOVE]["value"] == 1
    assert rows[DISTINCT]["value"] == pytest.approx(1 / 4)
    assert rows[WITHIN]["setting"] == "chat template, temperature 0"
    assert rows[WITHIN]["chance"] < rows[WITHIN]["value"]


def test_models_that_have_nothing_in_common(tmp_path: Path) -> None:
    pool = read_pool([answers(tmp_path, name, varied(name)) for name in ("one", "two")])
    directions = np.eye(len(pool.rows))
    found = measured(pool, directions)
    assert found[WITHIN, "one", ""].value == pytest.approx(0, abs=1e-12)
    assert found[WITHIN, "one", ""].published == pytest.approx(1 / 4, abs=1e-12)
    assert found[BETWEEN, "one", "two"].value == pytest.approx(0, abs=1e-12)
    assert found[WITHIN, "one", ""].chance == pytest.approx(0, abs=1e-12)


def test_models_that_agree_with_each_other_more_than_with_themselves(tmp_path: Path) -> None:
    pool = read_pool([answers(tmp_path, name, varied(name), samples=2) for name in ("a", "b")])
    basis = np.eye(40)
    vectors = np.array([
        basis[2 * int(row["prompt_id"][1:]) + row["sample"]] for row in pool.rows
    ])  # fmt: skip
    found = measured(pool, vectors)
    assert found[WITHIN, "a", ""].value == pytest.approx(0)
    assert found[BETWEEN, "a", "b"].value == pytest.approx(0.5)
    assert found[BETWEEN, "", ""].value == pytest.approx(0.5)
    assert found[SOURCES, "", ""].chance == pytest.approx(exchangeable_mixing([2, 2], 2))


def test_separate_models_do_not_mix_and_one_model_in_two_names_does(tmp_path: Path) -> None:
    pool = read_pool([
        answers(tmp_path, name, varied(name), samples=5) for name in ("a", "b", "c")
    ])  # fmt: skip
    centres = unit(3)[pool.model_of] + 0.01 * unit(len(pool.rows), 1)
    apart = centres / np.linalg.norm(centres, axis=1, keepdims=True)
    likeness = liken(pool, apart, 4)
    assert likeness.sources == pytest.approx(1)
    together = liken(pool, np.tile(unit(1), (len(pool.rows), 1)), 4)
    assert together.sources == pytest.approx(together.one_model)


def test_the_same_model_asked_otherwise_is_no_other_model(tmp_path: Path) -> None:
    given = [
        answers(tmp_path, "one", varied("x"), chat_template=True),
        answers(tmp_path, "one", varied("y"), chat_template=False),
        answers(tmp_path, "two", varied("z"), chat_template=False),
    ]
    pool = read_pool(given)
    assert [arm.label for arm in pool.arms] == [
        "one (bare text, temperature 1, top-p 0.9)",
        "one (chat template, temperature 1, top-p 0.9)",
        "two (bare text, temperature 1, top-p 0.9)",
    ]
    found = list(measures_of(pool, unit(len(pool.rows)), liken(pool, unit(len(pool.rows)), None),
                             100, 0))  # fmt: skip
    pairs = [one for one in found if one.other]
    compared = [(o.model, o.chat_template, o.other, o.other_chat_template) for o in pairs]
    assert set(compared) == {
        ("one", False, "two", False), ("one", True, "two", False),
    }  # fmt: skip


def test_prompts_that_only_one_model_answered_are_not_compared(tmp_path: Path) -> None:
    given = [
        answers(tmp_path, "a", varied("a"), prompts=range(6)),
        answers(tmp_path, "b", varied("b"), prompts=range(4, 9)),
    ]
    pool = read_pool(given)
    likeness = liken(pool, unit(len(pool.rows)), None)
    assert (~np.isnan(between_models(pool, likeness.between))).sum() == 2
    found = measured(pool, unit(len(pool.rows)))
    assert found[BETWEEN, "a", "b"].prompts == 2
    assert found[WITHIN, "b", ""].prompts == 5


def test_empty_answers_are_left_out_with_the_reason(
    build: Build, encoder: Path, tmp_path: Path
) -> None:
    given = answers(tmp_path, "a", lambda p, s: "  " if s == 0 else f"{p} {s}")
    context = build(Params(resamples=50), inputs={"answers": [given], "encoder": encoder})
    hivemind.run(context)
    rejected = read_rows(context.out / "rejected.parquet")
    assert set(rejected["reason"]) == {"the answer is empty"}
    assert len(rejected) == 6
    assert set(read_rows(context.out / "prompts.parquet")["answers"]) == {3}


def test_everything_is_written_for_several_models(
    build: Build, encoder: Path, tmp_path: Path
) -> None:
    given = [answers(tmp_path, name, varied(name)) for name in ("a", "b")]
    given.append(answers(tmp_path, "b", varied("c"), chat_template=False))
    context = build(Params(resamples=50), inputs={"answers": given, "encoder": encoder})
    hivemind.run(context)
    for name in ("within-models.png", "between-models.png"):
        assert (context.out / name).read_bytes()[:4] == b"\x89PNG"
    rows = read_rows(context.out / "measures.parquet")
    assert set(rows["measure"]) == {WITHIN, ABOVE, DISTINCT, BETWEEN, SOURCES}
    assert not [name for name, kind in rows.schema.items() if kind == polars.Null]
    for row in rows.to_dicts():
        assert row["low"] - 1e-9 <= row["value"] <= row["high"] + 1e-9
    results = read_results(context.out)
    assert {result.about for result in results} == {"a", "b"}
    assert all(result.people is None for result in results)
    likeness = [result for result in results if result.metric == WITHIN]
    assert all(set(result.beside) == {"random answers"} for result in likeness)
    headline = json.loads((context.out / "headline.json").read_text())
    assert all(isinstance(value, int | float) for value in headline.values())
    summary = json.loads((context.out / "summary.json").read_text())
    for shares in summary["share_of_prompts_by_likeness"].values():
        assert sum(shares.values()) == pytest.approx(1)


def test_the_same_seed_gives_the_same_bytes_and_parts_are_found_again(
    build: Build, encoder: Path, tmp_path: Path
) -> None:
    given = [answers(tmp_path, name, varied(name)) for name in ("a", "b")]
    contexts = [
        build(Params(resamples=50), inputs={"answers": given, "encoder": encoder}) for _ in range(2)
    ]
    for context in contexts:
        hivemind.run(context)
    first, second = (
        {path.name: path.read_bytes() for path in context.out.iterdir()} for context in contexts
    )
    assert first == second


def test_the_order_of_artifacts_changes_nothing(tmp_path: Path) -> None:
    given = [answers(tmp_path, name, varied(name)) for name in ("a", "b")]
    one, other = read_pool(given), read_pool(given[::-1])
    assert one.rows == other.rows
    assert one.arms == other.arms


def test_answers_given_twice_are_an_error(tmp_path: Path) -> None:
    given = answers(tmp_path, "a", varied("a"))
    with pytest.raises(MethodError, match="is given twice"):
        read_pool([given, given])


def test_what_are_no_answers_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MethodError, match=r"has no answers\.parquet"):
        read_pool([Input("x", None, tmp_path)])
    write_rows(tmp_path / "answers.parquet", [{"row_id": "1", "text": "a"}])
    with pytest.raises(MethodError, match="has no column 'prompt_id'"):
        read_pool([Input("x", None, tmp_path)])


def test_nothing_to_compare_is_an_error(build: Build, encoder: Path, tmp_path: Path) -> None:
    silent = answers(tmp_path, "a", lambda *_: "")
    with pytest.raises(MethodError, match="no answer has any text"):
        read_pool([silent])
    once = answers(tmp_path, "b", varied("b"), samples=1)
    context = build(Params(resamples=50), inputs={"answers": [once], "encoder": encoder})
    with pytest.raises(MethodError, match="no prompt has two answers"):
        hivemind.run(context)


def test_one_answer_each_of_two_models_can_be_compared(
    build: Build, encoder: Path, tmp_path: Path
) -> None:
    given = [answers(tmp_path, name, varied(name), samples=1) for name in ("a", "b")]
    context = build(Params(resamples=50), inputs={"answers": given, "encoder": encoder})
    hivemind.run(context)
    rows = read_rows(context.out / "measures.parquet").filter(measure=WITHIN)
    assert set(rows["value"]) == {None}


def prompts(folder: Path) -> Path:
    schema = {"row_id": polars.String, "prompt": polars.String,
              "valid_answers": polars.List(polars.String)}  # fmt: skip
    rows = [
        {"row_id": "p0", "prompt": "?", "valid_answers": ["Guinea", "Guinea-Bissau", "Mali"]},
        {"row_id": "p1", "prompt": "?", "valid_answers": []},
    ]
    write_rows(folder / "rows.parquet", rows, schema)
    return folder


def test_the_yield_of_prompts_with_known_answers(
    build: Build, encoder: Path, tmp_path: Path
) -> None:
    said = ["Mali", "I say: Guinea-Bissau!", "Mali or Guinea", "Atlantis"]
    given = answers(tmp_path, "a", lambda _, sample: said[sample], prompts=range(2))
    (tmp_path / "prompts").mkdir()
    inputs = {"answers": [given], "encoder": encoder, "prompts": prompts(tmp_path / "prompts")}
    context = build(Params(resamples=50), inputs=inputs)
    hivemind.run(context)
    (row,) = read_rows(context.out / "yield.parquet").to_dicts()
    assert (row["prompt_id"], row["answers"], row["valid"], row["yield"]) == ("p0", 4, 2, 2)
    assert (row["validity"], row["diversity"]) == (0.5, 1)


def test_prompts_of_which_none_can_be_judged_are_an_error(
    build: Build, encoder: Path, tmp_path: Path
) -> None:
    given = answers(tmp_path, "a", varied("a"), prompts=range(1, 4))
    (tmp_path / "prompts").mkdir()
    inputs = {"answers": [given], "encoder": encoder, "prompts": prompts(tmp_path / "prompts")}
    with pytest.raises(MethodError, match="no answer is to a prompt that can be judged"):
        hivemind.run(build(Params(resamples=50), inputs=inputs))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Mali", "Mali"),
        ("mali.", "Mali"),
        ("A country is Mali, and Mali it is.", "Mali"),
        ("Guinea-Bissau", "Guinea-Bissau"),
        ("guinea bissau", "Guinea-Bissau"),
        ("Guinea", "Guinea"),
        ("Sao Tome", "São Tomé"),
        ("Mali, Guinea", None),
        ("Malian", None),
        ("", None),
    ],
)
def test_the_one_valid_answer_that_a_text_names(text: str, name: str | None) -> None:
    assert named_answer(["Guinea", "Guinea-Bissau", "Mali", "São Tomé"])(text) == name


def test_numbers_are_whole_words() -> None:
    judge = named_answer([str(n) for n in range(1, 51)])
    assert judge("17") == "17"
    assert judge("The number is 5.") == "5"
    assert judge("517") is None


def test_a_verified_answer_is_the_one_that_was_extracted() -> None:
    entry = write_entry({"question": "?", "answer": "42", "metadata": {}})
    judge = verified_answer("chain_sum", entry)
    assert judge("<think>40 + 2</think><answer>42</answer>") == "42"
    assert judge("41") is None


def test_uniform_draws_of_fifty_yield_forty_three() -> None:
    source = np.random.default_rng(0)
    states = [f"state{n}x" for n in range(50)]
    judge, drawn = named_answer(states), []
    for _ in range(60):
        texts = [states[n] for n in source.integers(50, size=100)]
        found = yield_of(texts, judge, 50)
        assert found.validity == 1
        assert found.even == pytest.approx(43.37, abs=0.005)
        drawn.append(found.distinct)
    assert np.mean(drawn) == pytest.approx(43.37, abs=0.8)


def test_no_valid_answer_has_no_diversity() -> None:
    found = yield_of(["a", "b"], named_answer(["Mali"]), 1)
    assert found == Yield(2, 0, 0, 0.0, (), 1)
    assert np.isnan(found.diversity)
