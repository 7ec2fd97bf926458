"""How a model judges norms: known figures, and a real model read like any other question."""

from __future__ import annotations

import json

import numpy as np
import polars
import pytest
import torch

from assets.answering import option_shares
from assets.compute import load_model
from assets.evaluation import norm_answers
from assets.evaluation.norm_answers import (
    AGREEMENT,
    COMMONEST,
    DISTANCE,
    UNIFORM,
    Judged,
    Params,
    agreement,
    distance,
    point,
    read_judged,
    results_of,
    uniform,
)
from assets.rows import ROWS, read_rows, write_rows
from assets.sources.norm_questions import question_schema
from registry.context import Input
from registry.errors import MethodError
from registry.results import read_results

SCALE = ["Very bad.", "Not right.", "It depends.", "Good.", "Very good."]


def question(community, name, judgement, wording="a", **other):
    content = {"question": f"What of {name} ({wording})?", "judgement": judgement}
    return {"row_id": f"{community}-{name}-{wording}", "parents": [name], "source": "norms",
            "community": community, "norm": name, "item": None, "wording": wording,
            "options": SCALE, "agreement": 3, "commonest": -1, "held_out": True,
            **content, **other}  # fmt: skip


def write(folder, rows):
    folder.mkdir(parents=True, exist_ok=True)
    write_rows(folder / ROWS, rows, question_schema())
    return folder


def test_agreement_and_distance_of_known_answers():
    assert agreement(point(-2), -1) == 1
    assert agreement(point(0), -1) == 0
    assert agreement(uniform(), 2) == pytest.approx(0.4)
    assert agreement(uniform(), 0) == pytest.approx(0.2)
    assert distance(point(2), -2) == 1
    assert distance(point(-1), -2) == 0.25
    assert distance(uniform(), 0) == pytest.approx((2 + 1 + 0 + 1 + 2) / 5 / 4)
    shares = np.array([0.5, 0.1, 0.1, 0.1, 0.2])
    assert agreement(shares, -1) == pytest.approx(0.6)
    assert distance(shares, -2) == pytest.approx((0.1 + 0.2 + 0.3 + 0.8) / 4)


def test_a_model_is_read_as_any_question_with_options_is(build, lively_model, tmp_path):
    rows = [question("shore", "n1", -1), question("shore", "n2", 2), question("hill", "n1", 1)]
    context = build(
        Params(dtype="float32", batch_size=2),
        inputs={"model": lively_model, "norms": write(tmp_path, rows)},
    )
    norm_answers.run(context)
    model, tokenizer = load_model(lively_model, torch.device("cpu"), "float32")
    for row, judged in zip(rows, read_judged(context.out), strict=True):
        shares, outside = option_shares(model, tokenizer, row["question"], SCALE)
        assert judged.shares == pytest.approx(np.array(shares), abs=1e-5)
        assert judged.outside == pytest.approx(outside, abs=1e-5)
        assert (judged.community, judged.norm) == (row["community"], row["norm"])
    found = {(one.community, one.metric): one for one in read_results(context.out)}
    assert set(found) == {(c, m) for c in ("shore", "hill") for m in (AGREEMENT, DISTANCE)}
    one = found["shore", AGREEMENT]
    assert (one.slice, one.items) == ("held-out norms", 2)
    assert one.beside == {UNIFORM: pytest.approx(0.4), COMMONEST: pytest.approx(0.5)}
    table = read_rows(context.out / "probabilities.parquet")
    assert table.height == 3 * 2 * 5
    assert set(table["parents"].explode()) == {row["row_id"] for row in rows}
    headline = json.loads((context.out / "headline.json").read_text())
    assert 0 <= headline["probability outside the scale"] <= 1


def test_wordings_and_orders_are_averaged_after_each_is_divided_by_its_sum(tmp_path):
    def rows(wording, order, shown, outside):
        return [
            {"row_id": "r", "parents": [], "community": "shore", "norm": "n", "item": "Q1",
             "wording": wording, "judgement": 1, "agreement": 3, "commonest": None,
             "order": order, "option": option, "probability": value, "outside": outside}
            for option, value in zip((-2, -1, 0, 1, 2), shown, strict=True)
        ]  # fmt: skip

    given = [
        *rows("a", "forward", (0.1, 0.1, 0, 0, 0), 0.8),
        *rows("b", "forward", (0, 0, 0, 0.5, 0.5), 0),
    ]
    write_rows(tmp_path / "probabilities.parquet", given, norm_answers.answer_schema())
    (judged,) = read_judged(tmp_path)
    assert judged.shares == pytest.approx(np.array([0.25, 0.25, 0, 0.25, 0.25]))
    assert (judged.outside, judged.cluster) == (pytest.approx(0.4), "item Q1")
    broken = polars.DataFrame(given).with_columns(probability=polars.lit(0.0))
    broken.write_parquet(tmp_path / "probabilities.parquet")
    with pytest.raises(MethodError, match="are no probabilities"):
        read_judged(tmp_path)


def test_a_community_s_model_has_figures_on_its_own_people_only():
    judged = [Judged(c, "n", None, 1, None, uniform(), 0.0) for c in ("shore", "hill")]
    assert {one.community for one in results_of("m@hill", "hill", judged)} == {"hill"}
    assert {one.community for one in results_of("m", None, judged)} == {"shore", "hill"}
    (only, _) = results_of("m@hill", "hill", judged)
    assert only.beside == {UNIFORM: pytest.approx(0.4)}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([question("shore", "n", 1), question("shore", "n", 1)], "the same norm is given twice"),
        ([question("shore", "n", 1, held_out=False)], "is not held out"),
    ],
)
def test_norms_that_would_mislead_are_refused(build, lively_model, tmp_path, rows, said):
    inputs = {"model": lively_model, "norms": write(tmp_path, rows)}
    with pytest.raises(MethodError, match=said):
        norm_answers.run(build(Params(), inputs=inputs))


def test_what_is_no_norm_is_refused(build, lively_model, tmp_path):
    write_rows(tmp_path / ROWS, [{"row_id": "x", "prompt": "y"}])
    inputs = {"model": lively_model, "norms": [Input("rows", None, tmp_path)]}
    with pytest.raises(MethodError, match="has no column 'parents'") as caught:
        norm_answers.run(build(Params(), inputs=inputs))
    assert caught.value.where == "rows"
