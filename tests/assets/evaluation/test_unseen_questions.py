"""Models beside the mean of the battery, on answers whose figures are known."""

from __future__ import annotations

import numpy as np
import pytest

from assets.evaluation.predictors import Item
from assets.evaluation.unseen_questions import (
    FLOOR,
    OWN,
    POOLED_MODEL,
    SHRUNK,
    TABLE,
    UNIFORM,
    Params,
    Unseen,
    Validated,
    compared,
    in_order,
    page,
    shrunk,
    table_of,
)
from assets.opinion_tables import OpinionTable

ITEMS = {
    name: Item(name, battery, ("Yes", "No"), held_out=False)
    for name, battery in (("a1", "a"), ("a2", "a"), ("b1", "b"), ("b2", "b"))
}
PARTS = {"a1": 0, "a2": 1, "b1": 0, "b2": 1}
SHARES = {
    "a1": np.array([0.9, 0.1]),
    "a2": np.array([0.7, 0.3]),
    "b1": np.array([0.2, 0.8]),
    "b2": np.array([0.4, 0.6]),
}


def test_options_stand_as_the_questionnaire_has_them():
    assert in_order(ITEMS["a1"], np.array([0.3, 0.7])).tolist() == [0.7, 0.3]


def test_the_table_is_the_mean_of_what_was_learned_of_the_battery():
    assert table_of(ITEMS["a1"], ITEMS, PARTS, SHARES).tolist() == [0.7, 0.3]
    whole = {"a1": 0, "a2": 0, "b1": 1, "b2": 1}
    assert table_of(ITEMS["a1"], ITEMS, whole, SHARES) == pytest.approx([0.3, 0.7])
    alone = {"a1": 0, "a2": 0, "b1": 0, "b2": 0}
    assert table_of(ITEMS["a1"], ITEMS, alone, SHARES).tolist() == [0.5, 0.5]


def test_nothing_is_taken_of_a_model_that_knows_less_than_the_table():
    table = {item: table_of(one, ITEMS, PARTS, SHARES) for item, one in ITEMS.items()}
    wrong = {item: np.array([0.0, 1.0] if item[0] == "a" else [1.0, 0.0]) for item in ITEMS}
    moved, taken = shrunk(wrong, table, SHARES, PARTS, (0.0, 0.5, 1.0))
    assert taken == {0: 0.0, 1: 0.0}
    assert all(np.array_equal(moved[item], table[item]) for item in ITEMS)
    moved, taken = shrunk(SHARES, table, SHARES, PARTS, (0.0, 0.5, 1.0))
    assert taken == {0: 1.0, 1: 1.0}
    assert all(np.allclose(moved[item], SHARES[item]) for item in ITEMS)


def test_what_is_taken_of_a_part_is_chosen_on_the_others():
    """The model knows part 1 exactly and part 0 not at all: each is judged by the other."""
    table = {item: table_of(one, ITEMS, PARTS, SHARES) for item, one in ITEMS.items()}
    half = {item: SHARES[item] if PARTS[item] else SHARES[item][::-1] for item in ITEMS}
    _, taken = shrunk(half, table, SHARES, PARTS, (0.0, 1.0))
    assert taken == {0: 1.0, 1: 0.0}


def validated(said):
    return Validated("items", PARTS, ["north"], said)


def by_name(answers):
    """As the cross-validation keeps them: options sorted by their names."""
    return {item: answer[::-1] for item, answer in answers.items()}


def held(shares):
    return {item: OpinionTable(tuple(one), 400, 400.0) for item, one in shares.items()}


def test_each_answerer_has_its_known_distance_and_seeds_are_averaged_first():
    far = {item: answer[::-1] for item, answer in SHARES.items()}
    found = validated({
        "north": {0: by_name(SHARES), 1: by_name(far)},
        "pooled": {0: by_name(far), 1: by_name(far)},
    })  # fmt: skip
    unseen = Unseen(found, ITEMS, {"north": SHARES}, (0.0, 1.0))
    said, taken = unseen.answers("north")
    figures, rows = compared(
        said, ITEMS, held(SHARES), Params(resamples=100), np.random.default_rng(1)
    )
    tv = {row["answerer"]: row["tv"] for row in figures}
    apart = np.mean([0.8, 0.4, 0.6, 0.2])
    assert tv[FLOOR] == pytest.approx(0)
    assert tv[UNIFORM] == pytest.approx(np.mean([0.4, 0.2, 0.3, 0.1]))
    assert tv[TABLE] == pytest.approx(0.2)
    assert tv[POOLED_MODEL] == pytest.approx(apart)
    assert tv[OWN] == pytest.approx(apart / 2)
    assert tv[SHRUNK] == pytest.approx(0.1)
    assert taken[SHRUNK] == [{0: 1.0, 1: 1.0}, {0: 0.0, 1: 0.0}]
    difference = next(r for r in rows if (r["answerer"], r["rival"]) == (SHRUNK, TABLE))
    assert difference["difference"] == pytest.approx(-0.1)
    assert difference["p_batteries"] == difference["smallest_p"] == 0.5
    head = {"left_out": "items", "community": "north"}
    told = [head | row | {"p_people_holm": 1.0, "p_batteries_holm": 1.0} for row in rows]
    text = page([head | row for row in figures], told)
    assert "| own battery mean | 0.200 (" in text
    assert "cannot be told apart" in text
