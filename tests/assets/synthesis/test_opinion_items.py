"""Questions with a community's shares: what may be learned from, and what may not."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from assets.opinion_tables import read_opinions
from assets.option_prompt import render
from assets.rows import read_rows
from assets.sources.civic_2020 import INSTRUMENT, read_options
from assets.synthesis import opinion_items
from assets.synthesis.opinion_items import Params
from registry.context import ProfileView
from registry.errors import MethodError, UsageError

if TYPE_CHECKING:
    from tests.assets.conftest import Build

PROFILE = Path(__file__).resolve().parents[3] / "value_profiles" / "age-22-34"
Rows = list[dict[str, Any]]


def profile(instrument: str = "civic-2020", table: str = "opinions.csv") -> ProfileView:
    fields = {"opinions": {"instrument": instrument}}
    return ProfileView("age-22-34", "respondents aged 22-34", PROFILE, (table,), fields)


@pytest.fixture(scope="module")
def made(build: Build, civic: Path) -> Path:
    context = build(Params(), inputs={"questionnaire": civic}, profiles=[profile()])
    opinion_items.run(context)
    return context.out


@pytest.fixture(scope="module")
def items(made: Path) -> Rows:
    return read_rows(made / "items.parquet").to_dicts()


@pytest.fixture(scope="module")
def questions(civic: Path) -> dict[str, dict[str, Any]]:
    return {row["row_id"]: row for row in read_rows(civic / "items.parquet").to_dicts()}


def test_every_item_stands_in_three_wordings_and_both_orders(items: Rows) -> None:
    shown = Counter((row["item"], row["wording"], row["order"]) for row in items)
    assert set(shown.values()) == {1}
    names = {row["item"] for row in items}
    assert set(shown) == {
        (item, wording, order)
        for item in names
        for wording in "abc"
        for order in ("forward", "reversed")
    }


def test_nothing_that_is_kept_for_evaluation_can_be_learned(
    items: Rows, questions: dict[str, dict[str, Any]]
) -> None:
    held_out = {row["item"] for row in questions.values() if row["held_out"]}
    unseen = {row["question"] for row in questions.values() if row["wording"] == "unseen"}
    assert held_out
    assert not held_out & {row["item"] for row in items}
    assert {row["item"] for row in items} | held_out == {r["item"] for r in questions.values()}
    assert not any(row["held_out"] for row in items)
    assert not any(question in row["prompt"] for question in unseen for row in items)


def test_shares_stand_beside_the_options_they_belong_to(items: Rows) -> None:
    tables = read_opinions(PROFILE / "opinions.csv", read_options(INSTRUMENT))
    options = read_options(INSTRUMENT)
    for row in items:
        table = tables[row["item"]]
        expected = dict(zip(options[row["item"]], table.shares, strict=True))
        assert dict(zip(row["options"], row["shares"], strict=True)) == expected
        assert (row["n"], row["n_effective"]) == (table.n, table.n_effective)


def test_the_reversed_order_reverses_options_and_shares(items: Rows) -> None:
    rows = {(row["item"], row["wording"], row["order"]): row for row in items}
    for (item, wording, order), row in rows.items():
        other = rows[item, wording, "forward" if order == "reversed" else "reversed"]
        assert row["options"] == other["options"][::-1]
        assert row["shares"] == other["shares"][::-1]
        assert row["question"] == other["question"]
    first = rows["Q2_4", "a", "forward"]
    assert first["options"][0] == "Very important"


def test_the_prompt_is_the_question_with_the_options_as_shown(items: Rows) -> None:
    for row in items:
        assert row["prompt"] == render(row["question"], row["options"])


def test_every_row_leads_back_to_its_question(
    items: Rows, questions: dict[str, dict[str, Any]]
) -> None:
    assert len({row["row_id"] for row in items}) == len(items)
    for row in items:
        (parent,) = row["parents"]
        source = questions[parent]
        assert (row["item"], row["wording"]) == (source["item"], source["wording"])
        assert (row["question"], row["battery"]) == (source["question"], source["battery"])
        assert row["community"] == "age-22-34"


def test_what_is_left_out_is_named_with_its_reason_and_without_shares(
    made: Path, items: Rows, questions: dict[str, dict[str, Any]]
) -> None:
    frame = read_rows(made / "rejected.parquet")
    assert frame.columns == ["row_id", "item", "wording", "reason", "caused_by"]
    rejected = {row["caused_by"]: row for row in frame.to_dicts()}
    assert len(rejected) == frame.height
    assert rejected.keys() | {row["parents"][0] for row in items} == questions.keys()
    assert not rejected.keys() & {row["parents"][0] for row in items}
    for cause, row in rejected.items():
        source = questions[cause]
        assert (row["row_id"], row["item"], row["wording"]) == (
            cause,
            source["item"],
            source["wording"],
        )
        assert row["reason"] == (
            "item held out for evaluation" if source["held_out"] else "wording kept for evaluation"
        )
        assert source["held_out"] or source["wording"] == "unseen"


def test_one_order_gives_half_the_rows(build: Build, civic: Path, items: Rows) -> None:
    context = build(
        Params(orders=("reversed",)), inputs={"questionnaire": civic}, profiles=[profile()]
    )
    opinion_items.run(context)
    rows = read_rows(context.out / "items.parquet").to_dicts()
    assert rows == [row for row in items if row["order"] == "reversed"]
    with pytest.raises(ValidationError, match="orders"):
        Params(orders=())


def test_an_item_that_was_taken_back_is_left_out_with_its_reason(
    build: Build, civic: Path, items: Rows, tmp_path: Path
) -> None:
    view = profile()
    gone = items[0]["item"]
    lines = (view.folder / "opinions.csv").read_text().splitlines(keepends=True)
    folder = tmp_path / "less"
    folder.mkdir()
    (folder / "opinions.csv").write_text("".join(n for n in lines if not n.startswith(f"{gone},")))
    less = replace(view, folder=folder)
    context = build(Params(), inputs={"questionnaire": civic}, profiles=[less])
    opinion_items.run(context)
    rows = read_rows(context.out / "items.parquet").to_dicts()
    assert rows == [row for row in items if row["item"] != gone]
    rejected = read_rows(context.out / "rejected.parquet").to_dicts()
    reasons = [row["reason"] for row in rejected if row["item"] == gone]
    assert reasons == ["not in the profile's table"] * 3 + ["wording kept for evaluation"]


def test_opinions_on_another_questionnaire_are_refused(build: Build, civic: Path) -> None:
    context = build(Params(), inputs={"questionnaire": civic}, profiles=[profile("tea")])
    with pytest.raises(MethodError) as caught:
        opinion_items.run(context)
    assert "age-22-34 holds opinions on 'tea', the questionnaire is ['civic-2020']" in str(
        caught.value
    )
    assert not list(context.out.iterdir())


def test_the_other_half_of_the_respondents_is_out_of_reach(build: Build, civic: Path) -> None:
    assert opinion_items.method.reads == ("opinions.csv",)
    view = profile(table="evaluation/opinions.csv")
    with pytest.raises(UsageError, match=r"did not declare that it reads opinions\.csv"):
        opinion_items.run(build(Params(), inputs={"questionnaire": civic}, profiles=[view]))
