"""Stata and SPSS: the figures of the same people as CSV, labels, missing values, broken files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pyreadstat
import pytest

from registry.errors import ChorusError, UsageError
from registry.intake import labelled
from registry.intake.codebook import About, Codebook, read_about
from registry.intake.labelled import draft, read_labels
from registry.intake.survey import Columns, read_survey
from tests.registry.intake.material import ABOUT, CODEBOOK, write_yaml
from tests.registry.intake.test_survey import rows

SIDES = {1: "East", 2: "West"}
ANSWERS = {1: "Yes", 2: "Perhaps", 3: "No", 99: "Refused"}


def people(n: int = 400) -> pl.DataFrame:
    """The people of the CSV tests, as numbers; who did not answer Q2 has 99."""
    found = rows(n)
    return pl.DataFrame(
        {
            "id": [p["id"] for p in found],
            "side": [1.0 if p["side"] == "East" else 2.0 for p in found],
            "w": [float(p["w"]) for p in found],
            "Q1": [float(p["Q1"]) for p in found],
            "Q2": [99.0 if p["Q2"] == "-1" else float(p["Q2"]) for p in found],
        }
    )


def write(path: Path, table: pl.DataFrame) -> Path:
    options: dict[str, Any] = {
        "variable_value_labels": {"side": SIDES, "Q1": ANSWERS, "Q2": ANSWERS},
        "column_labels": {"Q1": "Is the park large enough?", "Q2": "Is the bus on time?"},
    }
    if path.suffix == ".dta":
        pyreadstat.write_dta(table, str(path), **options)
    else:
        pyreadstat.write_sav(table, str(path), missing_ranges={"Q2": [99.0]}, **options)
    return path


def book(folder: Path) -> Codebook:
    data = CODEBOOK | {"missing": ["99", "NA"]}
    return read_about(write_yaml(folder / "book.yaml", data), Codebook)


@pytest.mark.parametrize("ending", [".dta", ".sav"])
def test_figures_are_those_of_the_same_people_as_csv(
    tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labelled, "PIECE", 70)
    table = people()
    plain = tmp_path / "a.csv"
    words = table.with_columns(pl.col("side").replace_strict(SIDES, return_dtype=pl.String))
    words.write_csv(plain)
    columns = Columns("side", "w", "id")
    found = read_survey(write(tmp_path / f"a{ending}", table), book(tmp_path), columns)
    assert found == read_survey(plain, book(tmp_path), columns)
    assert [group.named.name for group in found.groups] == [
        "respondents with side = East, town-2024",
        "respondents with side = West, town-2024",
    ]


def test_bands_are_made_of_numbers_not_of_labels(tmp_path: Path) -> None:
    table = people().with_columns((pl.int_range(pl.len()) % 60 + 18).cast(pl.Float64).alias("age"))
    found = read_survey(
        write(tmp_path / "a.sav", table), book(tmp_path), Columns("age", "w", "id"), [18, 40]
    )
    assert [group.named.id for group in found.groups] == ["town-2024-18-39", "town-2024-40-plus"]


@pytest.mark.parametrize("ending", [".dta", ".sav"])
def test_a_draft_of_a_codebook_leaves_refusals_out(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path / f"a{ending}", people(40))
    about = read_about(write_yaml(tmp_path / "about.yaml", ABOUT), About)
    found = draft(path, about, ["Q1", "Q2"])
    assert found["questions"]["Q1"] == {
        "text": "Is the park large enough?",
        "options": {"1": "Yes", "2": "Perhaps", "3": "No"},
    }
    assert found["missing"] == ["", "99", "NA"]
    assert Codebook.model_validate(found).questions["Q2"].position("No") == 2
    with pytest.raises(UsageError, match="has no column 'Q9'"):
        draft(path, about, ["Q9"])
    with pytest.raises(UsageError, match="gives 0 labelled answers"):
        draft(path, about, ["w"])


def test_what_is_wrong_is_said_with_its_file(tmp_path: Path) -> None:
    whole = write(tmp_path / "a.sav", people(40))
    cut = tmp_path / "cut.sav"
    cut.write_bytes(whole.read_bytes()[:300])
    other = tmp_path / "other.dta"
    other.write_text("id,side\n1,East\n")
    columns = Columns("side", "w", "id")
    for path in (cut, other):
        with pytest.raises(UsageError, match=f"{path.name}.*cannot be read as a file of"):
            read_survey(path, book(tmp_path), columns)
    with pytest.raises(UsageError, match="has no column 'region'"):
        read_survey(whole, book(tmp_path), Columns("region", "w", "id"))
    with pytest.raises(UsageError, match="is no file"):
        read_labels(tmp_path / "none.dta")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (pl.lit(-1.0).alias("w"), "is a number above 0"),
        (pl.lit(None, dtype=pl.Float64).alias("w"), "is a number above 0"),
        (pl.lit("p1").alias("id"), "tells people apart in 1 ways"),
        (pl.lit(7.0).alias("Q1"), "holds the code '7'"),
    ],
    ids=["negative weights", "no weights", "one person twice", "an unknown code"],
)
@pytest.mark.parametrize("ending", [".dta", ".sav"])
def test_hostile_values_are_refused(
    tmp_path: Path, ending: str, change: pl.Expr, message: str
) -> None:
    path = write(tmp_path / f"a{ending}", people(80).with_columns(change))
    with pytest.raises(ChorusError, match=message):
        read_survey(path, book(tmp_path), Columns("side", "w", "id"))


def test_nobody_at_all_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.sav", people(80).head(0))
    with pytest.raises(ChorusError, match=r"holds no respondent|cannot be read"):
        read_survey(path, book(tmp_path), Columns("side", "w", "id"))
