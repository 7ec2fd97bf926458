"""What is left out together, that nothing of it is learned, and that stopping repeats no model."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import pytest

from assets.alignment.opinion_sft import Params as Training
from assets.evaluation import cross_validation
from assets.evaluation.cross_validation import Material, Params, Unit, deal, tried
from assets.option_prompt import arrange, render
from assets.rows import read_rows, write_rows
from registry.context import Input
from registry.errors import MethodError
from registry.typed import Frozen

pytestmark = pytest.mark.filterwarnings(  # peft 0.21 asks transformers 5.23 by the old name
    "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"
)
BATTERIES = {
    f"{battery}{n}": battery
    for battery, count in (("a", 4), ("b", 2), ("c", 2))
    for n in range(count)
}
QUICKLY = Training(steps=3, batch_size=2, trained_layers=1, adapter_rank=2, checkpoint_every=0)
QUICK = Params(
    parts=2,
    trials={"quick": QUICKLY},
)


def test_items_of_a_battery_are_shared_out_and_every_item_stands_once():
    parts = deal(BATTERIES, Params(parts=2), 3)
    assert set(parts) == set(BATTERIES)
    assert Counter(parts.values()) == {0: 4, 1: 4}
    for battery in "abc":
        own = Counter(parts[item] for item in parts if item.startswith(battery))
        assert own[0] == own[1]
    assert deal(BATTERIES, Params(parts=2), 3) == parts
    assert any(deal(BATTERIES, Params(parts=2), seed) != parts for seed in range(20))


def test_whole_batteries_stay_together_in_parts_of_like_size():
    parts = deal(BATTERIES, Params(parts=2, leave_out="batteries"), 0)
    assert all(len({parts[i] for i in parts if i.startswith(b)}) == 1 for b in "abc")
    assert Counter(parts.values()) == {0: 4, 1: 4}


def test_more_parts_than_there_is_to_deal_are_refused():
    with pytest.raises(MethodError, match="3 batteries cannot be dealt into 4 parts"):
        deal(BATTERIES, Params(parts=4, leave_out="batteries"), 0)
    with pytest.raises(ValueError, match="each model is kept as it ends"):
        Params(trials={"kept": Training(checkpoint_every=5)})


def rows_of(community):
    return [
        {
            "community": community,
            "battery": battery,
            "item": item,
            "wording": "a",
            "order": order,
            "options": list(arrange(("Tea", "Coffee"), order)),
            "shares": list(arrange((0.9, 0.1), order)),
            "n": 100,
            "prompt": render(f"What about {item}?", arrange(("Tea", "Coffee"), order)),
        }
        for item, battery in BATTERIES.items()
        for order in ("forward", "reversed")
    ]


def test_a_model_learns_from_the_other_parts_and_is_asked_about_its_own():
    material = Material([*rows_of("north"), *rows_of("south")], deal(BATTERIES, QUICK, 0))
    alone, pooled = Unit("quick", "north", 1, 0), Unit("quick", "pooled", 1, 0)
    asked = {row["prompt"] for row in material.asked(alone)}
    assert len(asked) == 8
    learned = {one.prompt for one in material.learned(alone)["north"]}
    assert not asked & learned
    assert len(asked | learned) == 16
    assert set(material.learned(alone)) == {"north"}
    assert set(material.learned(pooled)) == {"north", "south"}


@pytest.fixture
def items(build):
    found = []
    for community in ("north", "south"):
        folder = build(Frozen()).out
        write_rows(folder / "items.parquet", rows_of(community))
        found.append(Input("opinion-items", community, folder))
    return found


def test_what_was_finished_is_not_trained_again(build, lively_model, items, monkeypatch):
    context = build(QUICK, inputs={"base": lively_model, "items": items})
    plain, seen = cross_validation._train, []

    def dies(attempt, params, material, unit, done, whole):
        if len(seen) == 4:
            raise KeyboardInterrupt
        seen.append(unit)
        return plain(attempt, params, material, unit, done, whole)

    monkeypatch.setattr(cross_validation, "_train", dies)
    with pytest.raises(KeyboardInterrupt):
        cross_validation.run(context)
    first, seen[:] = list(seen), []
    monkeypatch.setattr(
        cross_validation, "_train", lambda *given: (seen.append(given[3]), plain(*given))[1]
    )
    cross_validation.run(replace(context, events=None))
    assert [unit.name for unit in seen] == ["quick-pooled-0-0", "quick-pooled-1-0"]
    assert [unit.learner for unit in first] == ["north", "north", "south", "south"]
    answers = read_rows(context.out / "probabilities.parquet").to_dicts()
    assert len(answers) == 3 * 16 * 2
    assert {row["learner"] for row in answers} == {"north", "south", "pooled"}
    assert all(0 < row["probability"] < 1 for row in answers)
    losses = read_rows(context.out / "losses.parquet").to_dicts()
    assert Counter(row["learner"] for row in losses) == {"north": 6, "south": 6, "pooled": 6}
    told = json.loads((context.out / "parts.json").read_text())
    parts = told["parts"]
    assert told["trials"] == ["quick"]
    rows = read_rows(context.out / "trials.parquet").to_dicts()
    assert [(row["learner"], row["distances"]) for row in rows] == [
        ("north", 8),
        ("south", 8),
        ("pooled", 16),
    ]
    assert "| quick | pooled | 0." in (context.out / "trials.md").read_text()
    asked = {(row["learner"], row["part"], row["item"]) for row in answers}
    assert all(parts[item] == part for _, part, item in asked)
    assert not list(context.out.rglob("*.safetensors"))


def test_a_wording_is_left_out_wherever_its_stem_or_phrase_stands():
    rows = [
        row | {"wording": wording, "prompt": f"{wording} {row['prompt']}"}
        for row in rows_of("north")
        for wording in ("a", "b", "a+b", "b+a", "c", "a+c")
    ]
    material = Material(rows, {"a": 0, "b": 1, "c": 2}, "wording")
    unit = Unit("quick", "north", 2, 0)
    assert {row["wording"] for row in material.asked(unit)} == {"c"}
    learned = {one.prompt.split()[0] for one in material.learned(unit)["north"]}
    assert learned == {"a", "b", "a+b", "b+a"}


def test_what_was_tried_is_told_by_its_distance_to_the_shares():
    material = Material(rows_of("north"), dict.fromkeys(BATTERIES, 0))
    said = {"trial": "plain", "learner": "north", "part": 0, "seed": 0}
    answers = [
        said | {"item": item, "option": option, "probability": p * mass}
        for item in BATTERIES
        for mass in (0.5, 1.0)
        for option, p in (("Tea", 0.6), ("Coffee", 0.4))
    ]
    losses = [said | {"step": step, "loss": loss} for step, loss in ((1, 2.0), (2, 1.5))]
    (row,) = tried(answers, losses, material)
    assert row["tv"] == pytest.approx(0.3)
    assert (row["distances"], row["lowest_loss"]) == (8, 1.5)


def test_several_ways_to_learn_and_part_of_the_items(build, lively_model, items):
    params = QUICK.model_copy(
        update={"trials": {"one": QUICKLY, "two": QUICKLY}, "asked_share": 0.6}
    )
    context = build(params, inputs={"base": lively_model, "items": items[:1]})
    cross_validation.run(context)
    rows = read_rows(context.out / "trials.parquet").to_dicts()
    assert [(row["trial"], row["learner"]) for row in rows] == [("one", "north"), ("two", "north")]
    assert 2 <= rows[0]["distances"] < len(BATTERIES)
    assert rows[0]["distances"] == rows[1]["distances"]
