"""The questionnaire: every item in every wording, and held-out items that ids alone decide."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as some

from assets.rows import read_rows
from assets.sources import questionnaire
from assets.sources.questionnaire import Instrument, Params, compose
from registry.errors import ProblemsError
from registry.profile_tables import held_out
from registry.strict_yaml import read, typed

if TYPE_CHECKING:
    from tests.assets.conftest import Build

SMALL = """\
schema_version: 1
id: tea
title: "Tea and coffee"
language: en
licence: CC0-1.0
citation: "Written for the tests of Chorus."
fielded: {start: "2020-01-01", end: "2020-01-02"}
batteries:
  drinks:
    options: ["Often", "Never"]
    wordings:
      a: "How often do you drink {item}?"
      unseen: "Do you ever have {item}?"
    items:
      tea: {a: "tea", unseen: "a cup of tea"}
      coffee: {a: "coffee", unseen: "a cup of coffee"}
  late:
    options: ["Yes", "No", "At times"]
    wordings:
      a: "Do you drink it late?"
      unseen: "Is a late cup for you?"
    items:
      late: {}
"""


def parsed(text: str, folder: Path) -> Instrument:
    path = folder / "tea.yaml"
    path.write_text(text, encoding="utf-8")
    document, problems = read(path, "tea.yaml")
    assert document is not None, problems
    instrument, problems = typed(Instrument, document)
    assert instrument is not None, problems
    return instrument


def refused(text: str, folder: Path, build: Build) -> list[str]:
    (folder / "tea.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ProblemsError) as caught:
        questionnaire.run(build(Params(instrument="tea.yaml"), root=folder))
    return [f"{problem.place}: {problem.what}" for problem in caught.value.problems]


def test_the_shipped_questionnaire_has_43_items_in_four_wordings(civic: Path) -> None:
    rows = read_rows(civic / "items.parquet").to_dicts()
    assert len(rows) == 43 * 4
    assert len({row["item"] for row in rows}) == 43
    assert Counter(row["wording"] for row in rows) == dict.fromkeys(("a", "b", "c", "unseen"), 43)
    counts = {row["item"]: len(row["options"]) for row in rows}
    assert Counter(counts.values()) == {4: 41, 2: 2}
    assert {item for item, count in counts.items() if count == 2} == {"Q5", "Q7"}


def test_mixed_stems_and_phrases_are_of_wordings_for_learning_only(tmp_path: Path) -> None:
    more = SMALL.replace(
        "    items:\n      tea: {", '    items:\n      tea: {b: "any tea", '
    ).replace("coffee: {", 'coffee: {b: "any coffee", ')
    stems = more.replace(
        '    wordings:\n      a: "How', '    wordings:\n      b: "Fond of {item}?"\n      a: "How'
    )
    tea = parsed(stems.replace('      a: "Do you', '      b: "Late?"\n      a: "Do you'), tmp_path)
    plain, mixed = compose(tea, 0.0), compose(tea, 0.0, mixed=True)
    assert [row for row in mixed if row in plain] == plain
    added = {(r["item"], r["wording"]): r["question"] for r in mixed if r not in plain}
    assert added == {
        ("tea", "a+b"): "How often do you drink any tea?",
        ("tea", "b+a"): "Fond of tea?",
        ("coffee", "a+b"): "How often do you drink any coffee?",
        ("coffee", "b+a"): "Fond of coffee?",
    }


def test_all_wordings_of_an_item_are_held_out_or_none(civic: Path) -> None:
    rows = read_rows(civic / "items.parquet").to_dicts()
    sides = {(row["item"], row["held_out"]) for row in rows}
    assert len(sides) == 43
    assert {item for item, held_out in sides if held_out} == {
        *("Q2_1", "Q2_2", "Q2_3", "Q2_7", "Q2_9", "Q3_2", "Q3_4", "Q3_5"),
        *("Q4_1", "Q4_5", "Q16", "Q17_2"),
    }, "figures on unseen questions compare only while these stay the same"


def test_row_ids_are_unique_and_come_from_content_alone(
    civic: Path, build: Build, tmp_path: Path
) -> None:
    ids = read_rows(civic / "items.parquet")["row_id"].to_list()
    assert len(set(ids)) == len(ids)
    params = Params(instrument="registry/instruments/civic-2020.yaml", held_out_share=0.2)
    again = build(params, seed=7)
    questionnaire.run(again)
    assert (again.out / "items.parquet").read_bytes() == (civic / "items.parquet").read_bytes()
    rows = compose(parsed(SMALL, tmp_path), 0.25)
    assert [row["row_id"] for row in rows] == [
        "26ea31355eb1fdb1",
        "8aadf243dd769da8",
        "659701d2c05ac0de",
        "a768a098ddcd35e0",
        "7732913580e2ab38",
        "d19c24ef08e4972f",
    ], "row ids are part of every lineage record: they must never change"


def test_a_question_is_its_stem_with_the_items_phrase(tmp_path: Path) -> None:
    rows = compose(parsed(SMALL, tmp_path), 0.0)
    assert {(row["item"], row["wording"]): row["question"] for row in rows} == {
        ("tea", "a"): "How often do you drink tea?",
        ("tea", "unseen"): "Do you ever have a cup of tea?",
        ("coffee", "a"): "How often do you drink coffee?",
        ("coffee", "unseen"): "Do you ever have a cup of coffee?",
        ("late", "a"): "Do you drink it late?",
        ("late", "unseen"): "Is a late cup for you?",
    }
    assert not any(row["held_out"] for row in rows)


def test_what_is_held_out_does_not_depend_on_what_stands_beside_it(tmp_path: Path) -> None:
    instrument = parsed(SMALL, tmp_path)
    turned = instrument.model_copy(
        update={"batteries": dict(reversed(list(instrument.batteries.items())))}
    )
    alone = instrument.model_copy(update={"batteries": {"late": instrument.batteries["late"]}})

    def sides(given: Instrument) -> dict[str, bool]:
        return {row["item"]: row["held_out"] for row in compose(given, 0.5)}

    assert sides(turned) == sides(instrument)
    assert sides(alone).items() <= sides(instrument).items()


@given(some.text(max_size=20), some.floats(0, 0.999), some.floats(0, 0.999))
def test_a_larger_share_only_adds_items(item: str, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert held_out("tea", item, high) or not held_out("tea", item, low)
    assert not held_out("tea", item, 0)


def test_the_share_of_items_held_out_is_about_the_one_asked_for() -> None:
    count = sum(held_out("tea", str(number), 0.2) for number in range(10_000))
    assert count == pytest.approx(2_000, abs=4 * 40)


@pytest.mark.parametrize(
    ("old", "new", "place", "what"),
    [
        (
            ', unseen: "a cup of tea"',
            "",
            8,
            "batteries: drinks: item tea lacks a phrase for wording 'unseen'",
        ),
        (
            '      a: "Do you drink it late?"\n',
            "",
            8,
            "batteries: every battery needs the same wordings",
        ),
        ("unseen", "d", 8, "batteries: every battery needs a wording 'unseen', for evaluations"),
        ('options: ["Often", "Never"]', 'options: ["Often"]', 10, "must name at least 2"),
        ('title: "Tea and coffee"\n', "", None, "title"),
    ],
)
def test_a_questionnaire_that_cannot_be_asked_is_refused_with_its_place(
    old: str, new: str, place: int | None, what: str, build: Build, tmp_path: Path
) -> None:
    assert old in SMALL
    (found,) = refused(SMALL.replace(old, new), tmp_path, build)
    assert found.startswith("tea.yaml" if place is None else f"tea.yaml:{place}")
    assert what in found


def test_broken_yaml_is_refused_with_its_place(build: Build, tmp_path: Path) -> None:
    text = SMALL.replace("      coffee: {", "      tea: {")
    found = refused(text, tmp_path, build)
    assert found[0].startswith("tea.yaml:16:")
