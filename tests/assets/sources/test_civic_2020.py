"""The four profiles by age: estimates with known answers, the split, and the committed bytes."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from assets.sources import civic_2020
from registry.errors import UsageError
from registry.profile import read_profile
from registry.strict_yaml import read

ROOT = Path(__file__).resolve().parents[3]
RESPONSES = ROOT.parent / "shared" / "data" / "nonvoters538" / "nonvoters_data.csv.gz"
OPTIONS = civic_2020.read_options(civic_2020.INSTRUMENT)
BATTERIES = read(civic_2020.INSTRUMENT, "civic-2020.yaml")[0].data["batteries"]  # type: ignore[union-attr]
AGES = {"age-22-34": 22, "age-35-49": 49, "age-50-64": 50, "age-65-plus": 94}


def row(number: int, age: int, **changed: str) -> dict[str, str]:
    """A respondent who chose the first option everywhere, but for what is changed."""
    first = dict.fromkeys(OPTIONS, "1")
    return {"RespId": f"{number:04}", "weight": "1.0", "ppage": str(age), **first, **changed}


def crowd(each: int) -> list[dict[str, str]]:
    """As many respondents in each band, with ages at the bands' edges."""
    ages = [age for age in AGES.values() for _ in range(each)]
    return [row(number, age) for number, age in enumerate(ages)]


def write_csv(path: Path, rows: Iterable[Mapping[str, str]]) -> Path:
    """Writes a respondent file, with a column that the module must not mind."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["RespId", "weight", *OPTIONS, "ppage", "party"])
        writer.writeheader()
        writer.writerows({"party": "none", **one} for one in rows)
    return path


def table(path: Path, item: str) -> list[dict[str, str]]:
    """The rows of one item in a table of opinions."""
    with path.open(newline="", encoding="utf-8") as file:
        return [one for one in csv.DictReader(file) if one["item"] == item]


def composed(battery: str, item: str, wording: str) -> str:
    """The whole question of an item in one wording."""
    phrase = BATTERIES[battery]["items"][item].get(wording, "")
    return str(BATTERIES[battery]["wordings"][wording].replace("{item}", phrase))


def test_shares_are_weighted_and_kish_is_exact() -> None:
    answers = [(1, 1.0)] * 50 + [(2, 3.0)] * 50
    result = civic_2020.estimate(answers, 2, "a group")
    assert result.counts == (50, 50)
    assert result.shares == (250_000, 750_000)
    assert result.n == 100
    assert result.n_effective == pytest.approx(200**2 / (50 * 1 + 50 * 9))


def test_shares_of_thirds_still_sum_to_one() -> None:
    result = civic_2020.estimate([(code, 0.7) for code in (1, 2, 3)] * 20, 3, "a group")
    assert result.shares == (333_334, 333_333, 333_333)


def test_a_rare_answer_is_published_as_five_and_never_as_zero() -> None:
    answers = [(1, 1.0)] * 60 + [(2, 2.0)] * 37 + [(3, 9.0)] * 3
    result = civic_2020.estimate(answers, 4, "a group")
    assert result.counts == (60, 37, 5, 0)
    assert result.rounded == (False, False, True, False)
    assert result.n == 102
    rest = 1 - 5 / 102
    expected = (rest * 60 / 134, rest * 74 / 134, 5 / 102, 0)
    assert result.shares == pytest.approx([share * 1e6 for share in expected], abs=1)
    assert sum(result.shares) == 1_000_000
    assert result.n_effective == pytest.approx((60 + 74 + 27) ** 2 / (60 + 37 * 4 + 3 * 81))


@pytest.mark.parametrize(("people", "rounded"), [(1, True), (4, True), (5, False)])
def test_only_fewer_than_five_people_are_rounded(people: int, rounded: bool) -> None:
    result = civic_2020.estimate([(1, 1.0)] * 60 + [(2, 1.0)] * people, 2, "a group")
    assert result.counts == (60, 5)
    assert result.rounded == (False, rounded)


def test_fewer_than_fifty_answers_are_refused() -> None:
    assert civic_2020.estimate([(1, 1.0)] * 50, 2, "a group").n == 50
    with pytest.raises(UsageError, match="a group: only 49 people answered; at least 50"):
        civic_2020.estimate([(1, 1.0)] * 49, 2, "a group")


@given(some.lists(some.tuples(some.integers(1, 4), some.floats(0.2, 4)), min_size=50, max_size=120))
def test_every_estimate_is_a_distribution(answers: list[tuple[int, float]]) -> None:
    result = civic_2020.estimate(answers, 4, "a group")
    assert sum(result.shares) == 1_000_000
    chosen = {code - 1 for code, _ in answers}
    assert {index for index, count in enumerate(result.counts) if count >= 5} == chosen
    assert {index for index, share in enumerate(result.shares) if share > 0} == chosen
    assert result.n_effective <= len(answers) + 1e-9


def test_the_split_takes_half_whatever_the_order() -> None:
    ids = [f"{number:02}" for number in range(11)]
    half = civic_2020.learning_half(ids)
    assert half == civic_2020.learning_half(reversed(ids))
    assert sorted(half) == ["00", "01", "04", "05", "08"]


def test_each_half_is_counted_apart(tmp_path: Path) -> None:
    rows = crowd(200)
    learning = civic_2020.learning_half(one["RespId"] for one in rows)
    for one in rows:
        one["Q5"] = "1" if one["RespId"] in learning else "2"
    folders = civic_2020.write_profiles(write_csv(tmp_path / "in.csv", rows), tmp_path / "out")
    assert [folder.name for folder in folders] == list(AGES)
    for folder in folders:
        of_band = [one for one in rows if int(one["ppage"]) == AGES[folder.name]]
        learned = sum(one["RespId"] in learning for one in of_band)
        first, second = table(folder / "opinions.csv", "Q5")
        assert (first["count"], first["share"], second["count"]) == (str(learned), "1.000000", "0")
        first, second = table(folder / "evaluation" / "opinions.csv", "Q5")
        assert (first["count"], second["count"], second["n"]) == (
            "0",
            str(200 - learned),
            str(200 - learned),
        )


def test_refusals_are_dropped_item_by_item(tmp_path: Path) -> None:
    rows = crowd(240)
    for number, one in enumerate(rows):
        one["Q6"] = ("-1", "2", "NA", "4", "2", "4")[number % 6]
    folders = civic_2020.write_profiles(write_csv(tmp_path / "in.csv", rows), tmp_path / "out")
    for folder in folders:
        tables = (folder / "opinions.csv", folder / "evaluation" / "opinions.csv")
        assert sum(int(table(path, "Q6")[0]["n"]) for path in tables) == 160
        assert sum(int(table(path, "Q7")[0]["n"]) for path in tables) == 240
        assert [one["option"] for one in table(tables[0], "Q6")] == list(OPTIONS["Q6"])
        assert [one["position"] for one in table(tables[0], "Q6")] == ["1", "2", "3", "4"]


def test_a_small_group_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    rows = crowd(200)
    for one in rows:
        if one["ppage"] == "94":
            one["Q17_4"] = "-1"
    responses = write_csv(tmp_path / "in.csv", rows)
    with pytest.raises(UsageError, match=r"age-65-plus \(learning\), Q17_4: only 0 people"):
        civic_2020.write_profiles(responses, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("ppage", "21", "respondent 0000: has the age '21'"),
        ("weight", "0", "respondent 0000: has the weight '0'"),
        ("weight", "nan", "respondent 0000: has the weight 'nan'"),
        ("weight", "-1", "respondent 0000: has the weight '-1'"),
        ("Q5", "3", "respondent 0000, Q5: has the code '3'; codes run from 1 to 2"),
        ("Q5", "1.0", "respondent 0000, Q5: has the code '1.0'"),
        ("RespId", "0001", "has the same RespId twice"),
    ],
)
def test_a_value_that_the_survey_does_not_have_is_refused(
    tmp_path: Path, column: str, value: str, message: str
) -> None:
    rows = crowd(60)
    rows[0][column] = value
    with pytest.raises(UsageError) as caught:
        civic_2020.write_profiles(write_csv(tmp_path / "in.csv", rows), tmp_path / "out")
    assert message in str(caught.value)


def test_the_command_line_writes_profiles_that_can_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = write_csv(tmp_path / "in.csv", crowd(200))
    packed = tmp_path / "in.csv.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert civic_2020.main([str(packed), str(tmp_path / "packed")]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 4
    folders = civic_2020.write_profiles(plain, tmp_path / "plain")
    assert contents(tmp_path / "plain") == contents(tmp_path / "packed")
    for folder in folders:
        profile, problems = read_profile(folder, tmp_path)
        assert not problems
        assert profile is not None
        assert profile.stage == "admitted"


def test_another_file_is_refused_with_the_exit_code_of_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.csv"
    other.write_text("name,age\nsomebody,40\n", encoding="utf-8")
    assert civic_2020.main([str(other), str(tmp_path / "out")]) == 2
    assert "lacks the columns RespId, weight, ppage, Q2_1" in capsys.readouterr().err


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder of profiles, but what people decided about them later."""
    files = (path for band in AGES for path in (folder / band).rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in files
        if "release-reviewed" not in path.name
    }


@pytest.mark.skipif(not RESPONSES.is_file(), reason="the survey's file is not beside the project")
def test_the_committed_profiles_are_rebuilt_byte_for_byte(tmp_path: Path) -> None:
    civic_2020.write_profiles(RESPONSES, tmp_path)
    rebuilt = contents(tmp_path)
    assert len(rebuilt) == 16
    assert rebuilt == contents(ROOT / "value_profiles")


@pytest.mark.parametrize(
    ("battery", "item"), [(name, item) for name in BATTERIES for item in BATTERIES[name]["items"]]
)
def test_every_item_has_four_different_questions(battery: str, item: str) -> None:
    wordings = ("a", "b", "c", "unseen")
    assert tuple(BATTERIES[battery]["wordings"]) == wordings
    questions = [composed(battery, item, wording) for wording in wordings]
    assert len({question.casefold() for question in questions}) == 4
    for question in questions:
        assert "{" not in question
        assert question.rstrip('"')[-1] in "?."
        assert len(question.split()) <= 35


def test_the_questionnaire_has_forty_three_items_with_their_options() -> None:
    assert len(OPTIONS) == 43
    for battery in BATTERIES.values():
        assert len(set(battery["options"])) == len(battery["options"])
        for item, phrases in battery["items"].items():
            stems = battery["wordings"].values()
            assert all(("{item}" in stem) == bool(phrases) for stem in stems), item
