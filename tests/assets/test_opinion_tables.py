"""Opinion tables: the shipped ones, and every kind of wrong row by its line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from assets.opinion_tables import OpinionTable, read_opinions
from assets.sources.civic_2020 import INSTRUMENT, read_options
from registry.errors import ProblemsError

ROOT = Path(__file__).resolve().parents[2]
HEADER = "item,option,position,count,share,n,n_effective,mark"
OPTIONS = {"one": ("Yes", "No"), "two": ("Yes", "No"), "three": ("Good", "Fair", "Bad")}
RIGHT = [
    "one,Yes,1,60,0.600000,100,80.5,",
    "one,No,2,40,0.400000,100,80.5,",
    "two,No,2,5,0.040000,125,125.0,rounded",
    "two,Yes,1,120,0.960000,125,125.0,",
    "three,Good,1,30,0.333333,90,90.4,",
    "three,Fair,2,30,0.333333,90,90.4,",
    "three,Bad,3,30,0.333334,90,90.4,",
]

Write = Callable[[Sequence[str]], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def table(rows: Sequence[str], header: str = HEADER) -> Path:
        path = tmp_path / "a-group" / "opinions.csv"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
        return path

    return table


def changed(line: int, text: str) -> list[str]:
    """The right table with one line (counted from 1, the header's) replaced."""
    return [*RIGHT[: line - 2], text, *RIGHT[line - 1 :]]


def refused(path: Path) -> list[str]:
    """What is wrong with a table, as places and words."""
    with pytest.raises(ProblemsError) as caught:
        read_opinions(path, OPTIONS)
    return [f"{problem.place}: {problem.what}" for problem in caught.value.problems]


def test_shares_stand_in_the_questionnaires_order_whatever_the_rows_order(write: Write) -> None:
    tables = read_opinions(write(RIGHT), OPTIONS)
    assert tables["one"] == OpinionTable((0.6, 0.4), 100, 80.5)
    assert tables["two"] == OpinionTable((0.96, 0.04), 125, 125.0)
    assert list(tables) == ["one", "two", "three"]


@pytest.mark.parametrize("name", ["opinions.csv", "evaluation/opinions.csv"])
@pytest.mark.parametrize("profile", ["age-22-34", "age-35-49", "age-50-64", "age-65-plus"])
def test_the_shipped_tables_answer_the_whole_questionnaire(profile: str, name: str) -> None:
    options = read_options(INSTRUMENT)
    tables = read_opinions(ROOT / "value_profiles" / profile / name, options)
    assert list(tables) == list(options)
    for item, table in tables.items():
        assert len(table.shares) == len(options[item])
        assert sum(table.shares) == pytest.approx(1, abs=1e-9)
        assert 50 <= table.n_effective <= table.n


@pytest.mark.parametrize(
    ("line", "text", "what"),
    [
        (2, "ten,Yes,1,60,0.6,100,80.5,", "names the item 'ten', which the questionnaire does"),
        (3, "one,Perhaps,2,40,0.4,100,80.5,", "item one: the questionnaire has no option 'Perh"),
        (3, "one,Yes,2,40,0.4,100,80.5,", "item one: the option 'Yes' stands twice"),
        (3, "one,No,2,40,much,100,80.5,", "item one: share, n and n_effective must be numbers"),
        (3, "one,No,2,40,0.4,1.5,80.5,", "item one: share, n and n_effective must be numbers"),
        (3, "one,No,2,40,0.4", "item one: share, n and n_effective must be numbers"),
        (3, "one,No,2,40,-0.4,100,80.5,", "item one: share -0.4, n 100, n_effective 80.5 cannot"),
        (3, "one,No,2,40,1.4,100,80.5,", "item one: share 1.4, n 100, n_effective 80.5 cannot"),
        (3, "one,No,2,40,nan,100,80.5,", "item one: share nan, n 100, n_effective 80.5 cannot"),
        (3, "one,No,2,40,0.4,0,80.5,", "item one: share 0.4, n 0, n_effective 80.5 cannot be"),
        (3, "one,No,2,40,0.4,0,0.3,", "item one: share 0.4, n 0, n_effective 0.3 cannot be"),
        (3, "one,No,2,40,0.4,100,0,", "item one: share 0.4, n 100, n_effective 0.0 cannot be"),
        (3, "one,No,2,40,0.4,100,101,", "item one: share 0.4, n 100, n_effective 101.0 cannot"),
        (3, "one,No,2,40,0.4,100,inf,", "item one: share 0.4, n 100, n_effective inf cannot be"),
    ],
)
def test_a_wrong_row_is_named_with_its_line(write: Write, line: int, text: str, what: str) -> None:
    found = refused(write(changed(line, text)))
    assert any(one.startswith(f"a-group/opinions.csv:{line}: {what}") for one in found)


def test_a_wrong_row_is_not_called_missing_as_well(write: Write) -> None:
    assert refused(write(changed(3, "one,No,2,40,much,100,80.5,"))) == [
        "a-group/opinions.csv:3: item one: share, n and n_effective must be numbers"
    ]


def test_shares_that_do_not_sum_to_one_are_named_with_the_items_first_line(write: Write) -> None:
    assert refused(write(changed(6, "three,Good,1,30,0.433333,90,90.4,"))) == [
        "a-group/opinions.csv:6: item three: the shares sum to 1.1000"
    ]


def test_rows_of_an_item_that_count_different_people_are_refused(write: Write) -> None:
    assert refused(write(changed(3, "one,No,2,40,0.4,99,80.5,"))) == [
        "a-group/opinions.csv:2: item one: n and n_effective differ between its rows"
    ]


def test_a_missing_option_is_named(write: Write) -> None:
    assert refused(write(RIGHT[:-1])) == [
        "a-group/opinions.csv: lacks the option 'Bad' of item three"
    ]


def test_everything_wrong_is_said_at_once(write: Write) -> None:
    rows = [
        "ten,Yes,1,60,0.6,100,80.5,",
        *changed(3, "one,No,2,40,much,100,80.5,")[:-1],
        "three,Bad,3,30,1.3,90,90.4,",
        "two,Yes,1,120,0.96,125,125.0,",
    ]
    assert refused(write(rows)) == [
        "a-group/opinions.csv:2: names the item 'ten', which the questionnaire does not have",
        "a-group/opinions.csv:4: item one: share, n and n_effective must be numbers",
        "a-group/opinions.csv:9: item three: share 1.3, n 90, n_effective 90.4 cannot be",
        "a-group/opinions.csv:10: item two: the option 'Yes' stands twice",
    ]


def test_other_columns_are_refused_on_line_one(tmp_path: Path) -> None:
    path = tmp_path / "a-group" / "evaluation" / "opinions.csv"
    path.parent.mkdir(parents=True)
    path.write_text("item,option,share\none,Yes,0.6\n", encoding="utf-8")
    assert refused(path) == [
        "a-group/evaluation/opinions.csv:1: has the columns item, option, share"
    ]
