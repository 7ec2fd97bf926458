"""Survey microdata: figures by hand, the same split however it is read, and bad files."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from assets.sources import civic_2020
from registry.errors import ChorusError, ProblemsError, UsageError
from registry.intake import tables
from registry.intake.codebook import Codebook, read_about
from registry.intake.estimates import is_learned_from
from registry.intake.imports import from_survey
from registry.intake.survey import Columns, read_survey
from registry.profile_check import check_tables
from registry.profile_folder import read_profile
from tests.registry.intake.material import CODEBOOK, nonvoters_codebook, published, write_yaml

COLUMNS = Columns("side", "w", "id")


def rows(n: int = 800, gap: float = 0.5, seed: int = 0) -> list[dict[str, Any]]:
    random = np.random.default_rng(seed)
    found = []
    for person in range(n):
        east = person % 2 == 0
        p = [0.2 + gap * east, 0.3, 0.5 - gap * east]
        found.append(
            {
                "id": f"p{person}",
                "side": "East" if east else "West",
                "w": str(random.choice([0.5, 1.0, 2.0])),
                "Q1": str(random.choice(["1", "2", "3"], p=p)),
                "Q2": str(random.choice(["1", "2", "3", "-1"], p=[*(x * 0.9 for x in p), 0.1])),
            }
        )
    return found


def write_csv(path: Path, people: list[dict[str, Any]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, people[0])
        writer.writeheader()
        writer.writerows(people)
    return path


def test_figures_are_those_counted_one_by_one(tmp_path: Path, codebook: Path) -> None:
    people = rows()
    book = read_about(codebook, Codebook)
    found = read_survey(write_csv(tmp_path / "a.csv", people), book, COLUMNS)
    assert (found.grouped, found.outside) == (800, 0)
    for group, side in zip(found.groups, ("East", "West"), strict=True):
        for half, answers in ((True, group.learning), (False, group.held_out or {})):
            own = [p for p in people if p["side"] == side and is_learned_from(0, p["id"]) == half]
            for item in ("Q1", "Q2"):
                answered = [p for p in own if p[item] != "-1"]
                weights = [float(p["w"]) for p in answered]
                assert answers[item].n == len(answered)
                assert answers[item].counts[0] == sum(p[item] == "1" for p in answered)
                assert answers[item].shares[0] == pytest.approx(
                    sum(float(p["w"]) for p in answered if p[item] == "1") / sum(weights)
                )
                assert answers[item].n_effective == pytest.approx(
                    sum(weights) ** 2 / sum(w * w for w in weights)
                )


def test_csv_gzip_parquet_and_any_order_of_rows_give_the_same(
    tmp_path: Path, codebook: Path
) -> None:
    people = rows(300)
    book = read_about(codebook, Codebook)
    plain = write_csv(tmp_path / "a.csv", people)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(plain.read_bytes()))
    turned = write_csv(tmp_path / "b.csv", people[::-1])
    frame = pl.DataFrame(people).with_columns(
        pl.col("w").cast(pl.Float64), pl.col("Q1", "Q2").cast(pl.Float64)
    )
    frame.write_parquet(tmp_path / "a.parquet")
    found = [
        read_survey(path, book, COLUMNS)
        for path in (plain, tmp_path / "a.csv.gz", turned, tmp_path / "a.parquet")
    ]
    assert all(other == found[0] for other in found[1:])


def test_without_an_id_rows_are_numbered(tmp_path: Path, codebook: Path) -> None:
    people = rows(400)
    book = read_about(codebook, Codebook)
    found = read_survey(write_csv(tmp_path / "a.csv", people), book, Columns("side"))
    east = sum(is_learned_from(0, str(n)) for n, p in enumerate(people, 1) if p["side"] == "East")
    assert found.groups[0].people[0] == east


def test_bins(tmp_path: Path, codebook: Path) -> None:
    people = [{**p, "age": str(15 + n % 60)} for n, p in enumerate(rows(600))]
    book = read_about(codebook, Codebook)
    path = write_csv(tmp_path / "a.csv", people)
    found = read_survey(path, book, Columns("age", "w", "id"), (18, 35, 50))
    assert [g.id for g in found.groups] == ["town-2024-18-34", "town-2024-35-49",
                                            "town-2024-50-plus"]  # fmt: skip
    assert found.outside == sum(int(p["age"]) < 18 for p in people)
    with pytest.raises(UsageError, match="do not rise"):
        read_survey(path, book, Columns("age"), (35, 18))
    with pytest.raises(UsageError, match="which is no number"):
        read_survey(path, book, COLUMNS, (18, 35))
    with pytest.raises(UsageError, match="at most 50 groups are made"):
        read_survey(path, book, Columns("id"))


def edited(people: list[dict[str, Any]], **values: str) -> list[dict[str, Any]]:
    return [*people[:20], {**people[20], **values}, *people[21:]]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"w": "-1"}, "respondent 21, column w"),
        ({"w": "0"}, "'0'"),
        ({"w": "nan"}, "'nan'"),
        ({"w": "inf"}, "'inf'"),
        ({"w": ""}, "a weight is a number above 0"),
        ({"w": "a lot"}, "'a lot'"),
        ({"id": "p1"}, "one person could stand in both halves"),
        ({"id": ""}, "ids stand twice or are empty"),
        ({"Q1": "9"}, "holds the code '9' (1 times), which the codebook does not know"),
        ({"Q1": "-2"}, "column Q1"),
        ({"side": "east"}, "holds the groups 'East' and 'east', which both become town-2024-east"),
        ({"side": "../.."}, "makes no id for a profile"),
    ],
)
def test_impossible_values_are_named(
    tmp_path: Path, codebook: Path, values: dict[str, str], words: str
) -> None:
    path = write_csv(tmp_path / "a.csv", edited(rows(100), **values))
    with pytest.raises(ChorusError) as caught:
        read_survey(path, read_about(codebook, Codebook), COLUMNS)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda raw: raw.replace(b"p20,East", b"p20,\xff\xfe"), "is not UTF-8 text"),
        (lambda raw: b"\xff" + raw, ":1: is not UTF-8 text"),
        (lambda raw: raw.replace(b"p20,East", b"p20,East,more"), ":22: is no row like the others"),
        (lambda raw: raw.replace(b"p20,East", b'p20,"East'), "is no row like the others"),
        (lambda raw: raw.replace(b",", b";"), "parts its columns by semicolons"),
        (lambda raw: raw.replace(b"Q2", b"Q1", 1), "has the column 'Q1' twice"),
        (lambda raw: raw.replace(b"side", b"sides", 1), "has no column 'side'"),
        (lambda raw: b"\0" + raw, "is no line of text"),
        (lambda raw: raw.splitlines(keepends=True)[0], "holds no respondent"),
        (lambda raw: b"\x1f\x8b" + raw, "cannot be read"),
        (lambda raw: b"PAR1" + raw, "cannot be read"),
    ],
)
def test_broken_files_are_refused(tmp_path: Path, codebook: Path, change: Any, words: str) -> None:
    path = write_csv(tmp_path / "a.csv", rows(100))
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(UsageError) as caught:
        read_survey(path, read_about(codebook, Codebook), COLUMNS)
    assert words in str(caught.value)


def test_a_nul_in_an_id_or_a_group_is_refused(tmp_path: Path, codebook: Path) -> None:
    path = write_csv(tmp_path / "a.csv", rows(100))
    path.write_bytes(path.read_bytes().replace(b"East", b"Ea\0t"))
    with pytest.raises(UsageError):
        read_survey(path, read_about(codebook, Codebook), COLUMNS)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"licence": "none-granted"}, "figures that nobody licensed cannot be imported"),
        ({"groups": {"North": {"id": "north", "name": "the north"}}}, "has no group 'North'"),
        ({"groups": {"East": {"id": "../x", "name": "east"}}}, "3 to 48 small letters"),
        ({"groups": {"East": {"id": "x\0y", "name": "east"}}}, "U+0000"),
        ({"groups": {"East": {"id": "one", "name": "the east"},
                     "West": {"id": "one", "name": "the west"}}}, "two groups have the id 'one'"),
        ({"questions": {"../Q": CODEBOOK["questions"]["Q1"]}}, "is no id"),
        ({"questions": {"Q1": {"text": "What?", "options": {"1": "Yes", "2": "Yes"}}}},
         "two codes have the label 'Yes'"),
        ({"questions": {"Q1": {"text": "What?", "options": {"1": "=1+1", "2": "No"}}}},
         "which a spreadsheet runs as a formula"),
        ({"missing": ["1"]}, "lists '1', which is missing"),
        ({"uses": ["publish-weights"]}, "a licence grants publish-weights only after"),
        ({"fielded": {"start": "2024-02-01", "end": "2024-01-01"}}, "lies before the first"),
    ],
)  # fmt: skip
def test_wrong_codebooks_write_nothing(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    path = write_csv(tmp_path / "a.csv", rows())
    book = write_yaml(tmp_path / "codebook.yaml", {**CODEBOOK, **change})
    with pytest.raises(ChorusError) as caught:
        from_survey(path, book, COLUMNS).write(tmp_path / "proposals", None, replace=False)
    assert words in str(caught.value)
    assert not list((tmp_path / "proposals").glob("*"))


def test_a_proposal_is_a_profile_without_a_life(tmp_path: Path, codebook: Path) -> None:
    found = from_survey(write_csv(tmp_path / "a.csv", rows()), codebook, COLUMNS)
    assert found.separation.usable
    paths = found.write(tmp_path / "proposals", None, replace=False)
    assert [path.name for path in paths] == [
        "town-2024.instrument.yaml", "town-2024.import.json", "town-2024-east", "town-2024-west",
    ]  # fmt: skip
    folder = tmp_path / "proposals" / "town-2024-east"
    profile, problems = read_profile(folder, tmp_path)
    assert profile is not None
    assert problems == []
    assert check_tables(profile) == []
    assert profile.stage == "draft"
    assert not (folder / "events").exists()
    assert profile.profile.kind == "survey-population"
    assert profile.profile.consent.uses == ("train-sft", "train-rl", "evaluate")
    assert profile.profile.sources[0].row_id == "id"
    assert "it speaks for no one" in profile.profile.scope
    record = json.loads((tmp_path / "proposals" / "town-2024.import.json").read_text())
    assert record["separation"]["usable"]
    assert record["overridden"] is None


def test_the_same_file_gives_the_same_bytes(tmp_path: Path, codebook: Path) -> None:
    path = write_csv(tmp_path / "a.csv", rows())
    for name in ("one", "two"):
        from_survey(path, codebook, COLUMNS).write(tmp_path / name, None, replace=False)
    one, two = (
        {p.relative_to(tmp_path / name): p.read_bytes()
         for p in (tmp_path / name).rglob("*") if p.is_file()}
        for name in ("one", "two")
    )  # fmt: skip
    assert one == two


def test_groups_that_do_not_differ_are_not_proposed(tmp_path: Path, codebook: Path) -> None:
    found = from_survey(write_csv(tmp_path / "a.csv", rows(gap=0)), codebook, COLUMNS)
    assert "do not differ beyond noise" in found.refusal(None)
    assert found.refusal("to show that it fails") == ""
    found.write(tmp_path / "proposals", "to show that it fails", replace=False)
    record = json.loads((tmp_path / "proposals" / "town-2024.import.json").read_text())
    assert record["overridden"] == "to show that it fails"
    assert not record["separation"]["usable"]
    profile, _ = read_profile(tmp_path / "proposals" / "town-2024-east", tmp_path)
    assert profile is not None
    assert "WARNING" in profile.profile.description
    assert "to show that it fails" in profile.profile.description


def test_a_small_group_is_left_out(tmp_path: Path, codebook: Path) -> None:
    people = rows(800)
    people += [{**p, "id": f"n{p['id']}", "side": "North"} for p in rows(60)]
    found = from_survey(write_csv(tmp_path / "a.csv", people), codebook, COLUMNS)
    assert [group.id for group in found.kept] == ["town-2024-east", "town-2024-west"]
    assert set(found.groups[1].left_out) == {"Q1", "Q2"}


def test_a_column_of_free_text_is_refused(
    tmp_path: Path, codebook: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from registry.intake import survey

    monkeypatch.setattr(survey, "MOST_CODES", 5)
    with pytest.raises(UsageError, match="no free text"):
        from_survey(write_csv(tmp_path / "a.csv", rows()), codebook, COLUMNS)


def test_memory_is_limited_and_the_scratch_goes(
    tmp_path: Path, codebook: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    path = write_csv(tmp_path / "a.csv", rows(100))
    with tables.opened(path, {"g": "side"}) as connection:
        limit = connection.execute("SELECT current_setting('memory_limit')").fetchone()
    assert limit == ("1.0 GiB",)
    assert not list((tmp_path / "scratch").iterdir())
    assert codebook.is_file()


@pytest.mark.parametrize("group", ["race", "party", "Religion"])
def test_a_sensitive_grouping_must_be_declared(tmp_path: Path, codebook: Path, group: str) -> None:
    people = [{**p, group: p["side"]} for p in rows()]
    path = write_csv(tmp_path / "a.csv", people)
    columns = Columns(group, "w", "id")
    with pytest.raises(UsageError, match="nothing was declared"):
        from_survey(path, codebook, columns)
    assert from_survey(path, codebook, columns, sensitive=["none"]).sensitive == ()
    found = from_survey(path, codebook, columns, sensitive=["health"])
    assert found.sensitive == ("health",)
    found.write(tmp_path / "proposals", None, replace=False)
    profile, _ = read_profile(tmp_path / "proposals" / "town-2024-east", tmp_path)
    assert profile is not None
    assert profile.profile.sensitive == ("health",)
    with pytest.raises(UsageError, match="does not know"):
        from_survey(path, codebook, columns, sensitive=["harmless"])


def test_the_2020_survey_by_age_agrees_with_the_profiles_that_are_shipped(tmp_path: Path) -> None:
    path = published("nonvoters538/nonvoters_data.csv.gz")
    found = from_survey(
        path, nonvoters_codebook(tmp_path), Columns("ppage", "weight", "RespId"),
        bins=(22, 35, 50, 65),
    )  # fmt: skip
    assert [group.total for group in found.groups] == [1310, 1193, 1743, 1590]
    assert found.separation.usable
    assert found.separation.ratio == pytest.approx(3.35, abs=0.02)
    options = civic_2020.read_options(civic_2020.INSTRUMENT)
    people = civic_2020.read_respondents(gzip.decompress(path.read_bytes()).decode(), options)
    for band, group in zip(civic_2020.AGE_BANDS, found.groups, strict=True):
        own = [one for one in people if one.band == band.id]
        for item in ("Q2_1", "Q9_1"):
            answers = [group.learning[item], (group.held_out or {})[item]]
            assert sum(a.n for a in answers) == sum(item in one.codes for one in own)
            counted = [sum(one.codes.get(item) == c for one in own) for c in (1, 2, 3, 4)]
            assert [sum(x) for x in zip(*(a.counts for a in answers), strict=True)] == counted
            assert sum(sum(a.weights) for a in answers) == pytest.approx(
                sum(one.weight for one in own if item in one.codes)
            )


def test_codes_of_all_questions_are_reported_at_once(tmp_path: Path, codebook: Path) -> None:
    people = edited(edited(rows(100), Q1="7"), Q2="8")
    with pytest.raises(ProblemsError) as caught:
        read_survey(write_csv(tmp_path / "a.csv", people), read_about(codebook, Codebook), COLUMNS)
    assert len(caught.value.problems) == 1 + 1
