"""Known confusions, scikit-learn beside them, and a model that is really asked."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from assets.evaluation import attribute_accuracy
from assets.evaluation.attribute_accuracy import Params, question_of
from assets.evaluation.attribute_figures import (
    ACCURACY,
    ALL,
    BALANCED,
    CHANCE,
    CLEAR,
    COMMONEST,
    MACRO,
    beside,
    confusion,
    figures,
    intervals,
)
from assets.evaluation.multiple_choice import Chosen
from assets.rows import ROWS, read_rows, write_rows
from assets.sources.attribute_rows import LABELS, attribute_schema
from registry.errors import MethodError
from registry.results import read_results


def row(place, label, situation="lending a boat"):
    return {"row_id": f"r{place}", "parents": [], "prompt": situation, "completion": None,
            "source": "rows.csv", "community": None, "statement": f"value {place}",
            "label": label, "line": place + 2}  # fmt: skip


def says(label):
    return Chosen(tuple(float(one == label) for one in LABELS))


def test_figures_are_those_of_scikit_learn():
    source = np.random.default_rng(0)
    truth = [LABELS[i] for i in source.choice(3, 60, p=[0.6, 0.3, 0.1])]
    said = [LABELS[i] for i in source.choice(3, 60)]
    found = figures(confusion(truth, truth, [says(one) for one in said], LABELS).total)
    assert found[ACCURACY] == pytest.approx(accuracy_score(truth, said))
    assert found[BALANCED] == pytest.approx(balanced_accuracy_score(truth, said))
    assert found[MACRO] == pytest.approx(f1_score(truth, said, average="macro"))


def test_who_reads_nothing_gains_by_accuracy_only():
    truth = ["supports"] * 8 + ["opposes"] * 2
    one = confusion(truth, truth, [says("supports")] * 10, LABELS)
    found = figures(one.total)
    assert found[ACCURACY] == 0.8
    assert found[BALANCED] == 0.5  # of the labels that occur, one is always right
    assert found[MACRO] == pytest.approx(0.5 * 16 / 18)
    easy = {name: figures(table) for name, table in beside(one).items()}
    assert easy[COMMONEST] == pytest.approx(found)
    assert (easy[CHANCE][ACCURACY], easy[CHANCE][BALANCED]) == pytest.approx((1 / 3, 1 / 3))


def test_a_constant_scorer_has_chance_and_not_luck():
    """All labels alike: each counts its part, so that the order of labels decides nothing."""
    truth = ["supports", "opposes", "either"]
    found = figures(confusion(truth, truth, [Chosen((0.2, 0.2, 0.2))] * 3, LABELS).total)
    assert found == pytest.approx({ACCURACY: 1 / 3, BALANCED: 1 / 3, MACRO: 1 / 3})


def test_intervals_are_over_situations():
    truth = ["supports", "opposes"] * 20
    said = [says("supports")] * 40
    alone = confusion(truth, [str(i) for i in range(40)], said, LABELS)
    paired = confusion(truth, [str(i // 2) for i in range(40)], said, LABELS)
    source = np.random.default_rng(0)
    low, high = intervals(alone, 2000, source)[ACCURACY]
    assert high - low == pytest.approx(2 * 1.96 * 0.5 / np.sqrt(40), abs=0.05)
    assert intervals(paired, 500, source)[ACCURACY] == (0.5, 0.5)  # each situation has one of both


def test_slots_that_stand_in_a_row_are_not_looked_into():
    given = row(0, "supports", "{statement}") | {"statement": "{situation}"}
    asked = question_of(given, Params(question="{situation} | {statement}"), LABELS)
    assert asked["prompt"] == "{statement} | {situation}"
    turned = question_of(given, Params(question="{statement} | {situation}"), LABELS)
    assert turned["prompt"] == "{situation} | {statement}"


ROWS_GIVEN = [
    row(n, label, f"deed {n % 3}")
    for n, label in enumerate(["supports", "opposes", "either", "supports", "opposes"])
]


def measure(build, model, folder, rows, **params):
    write_rows(folder / ROWS, rows, attribute_schema())
    context = build(Params(dtype="float32", draws=200, **params),
                    inputs={"model": model, "rows": folder})  # fmt: skip
    attribute_accuracy.run(context)
    return context.out


def test_both_ways_with_intervals_and_floors(build, lively_model, tmp_path):
    out = measure(build, lively_model, tmp_path, ROWS_GIVEN)
    results = read_results(out)
    assert {(r.slice, r.metric) for r in results} == {
        (part, metric) for part in (ALL, CLEAR) for metric in (ACCURACY, BALANCED, MACRO)
    }
    found = {(r.slice, r.metric): r for r in results}
    assert (found[ALL, ACCURACY].items, found[CLEAR, ACCURACY].items) == (5, 4)
    assert found[ALL, ACCURACY].beside == {CHANCE: pytest.approx(1 / 3), COMMONEST: 0.4}
    assert found[CLEAR, ACCURACY].beside[CHANCE] == 0.5
    table = read_rows(out / "answers.parquet")
    assert table.height == 9
    clear = table.filter(table["part"] == CLEAR)
    assert clear["either"].null_count() == 4
    rights = table.filter(table["part"] == ALL)["right"].mean()
    assert found[ALL, ACCURACY].value == pytest.approx(rights)
    text = (out / "attributes.md").read_text()
    assert "5 rows of 3 situations." in text
    assert (out / "confusion.png").read_bytes().startswith(b"\x89PNG")
    headline = json.loads((out / "headline.json").read_text())
    assert 0 <= headline["mean probability outside the letters"] <= 1


def test_without_clear_rows_of_both_labels_there_is_no_second_way(build, lively_model, tmp_path):
    rows = [row(0, "supports"), row(1, "either")]
    results = read_results(measure(build, lively_model, tmp_path, rows))
    assert {one.slice for one in results} == {ALL}


def test_rows_that_would_mislead_are_refused(build, lively_model, tmp_path):
    with pytest.raises(MethodError, match="all rows have one label"):
        measure(build, lively_model, tmp_path, [row(0, "either"), row(1, "either")])
    with pytest.raises(MethodError, match="has the label 'perhaps'"):
        measure(build, lively_model, tmp_path, [row(0, "perhaps"), row(1, "either")])
    write_rows(tmp_path / ROWS, [{"row_id": "x"}])
    context = build(Params(), inputs={"model": lively_model, "rows": tmp_path})
    with pytest.raises(MethodError, match="has no column 'parents'"):
        attribute_accuracy.run(context)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"question": "{situation}?"}, "must hold {statement} once"),
        ({"options": {"supports": "a", "opposes": "b"}}, "must name supports, opposes, either"),
        ({"options": {"supports": "a", "opposes": "A ", "either": "c"}}, "called the same"),
    ],
)
def test_params_that_cannot_be_asked_are_refused(wrong, said):
    with pytest.raises(ValidationError) as caught:
        Params(**wrong)
    assert said in str(caught.value)
