"""Social Chemistry 101: rules become norms; bad rows are left out and counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry.errors import UsageError
from registry.intake.imports import write_norms
from registry.intake.norms import read_norms
from registry.profile_tables import NORMS, read_table

COLUMNS = [
    "area",
    "m",
    "split",
    "rot-agree",
    "rot-categorization",
    "rot-moral-foundations",
    "rot-char-targeting",
    "rot-bad",
    "rot-judgment",
    "action",
    "action-agency",
    "action-moral-judgment",
    "action-agree",
    "action-legal",
    "action-pressure",
    "action-char-involved",
    "action-hypothetical",
    "situation",
    "situation-short-id",
    "rot",
    "rot-id",
    "rot-worker-id",
    "breakdown-worker-id",
    "n-characters",
    "characters",
]
FIRST = {
    "area": "dearabby", "m": "1", "split": "train", "rot-agree": "3.0", "rot-bad": "0",
    "rot-moral-foundations": "care-harm|fairness-cheating", "action-moral-judgment": "-1.0",
    "situation": "borrowing a book", "rot": 'It is rude to keep what you "borrowed".',
    "rot-id": "rot/dearabby/1/2",
}  # fmt: skip


def tsv(folder: Path, *rows: dict[str, str]) -> Path:
    path = folder / "social-chem-101.v1.0.tsv"
    lines = [COLUMNS, *([row.get(name, "") for name in COLUMNS] for row in rows)]
    quoted = [
        ['"' + cell.replace('"', '""') + '"' if '"' in cell else cell for cell in line]
        for line in lines
    ]
    path.write_text("".join("\t".join(line) + "\n" for line in quoted), encoding="utf-8")
    return path


def test_rules_become_norms(tmp_path: Path) -> None:
    found = read_norms(
        tsv(
            tmp_path,
            FIRST,
            {**FIRST, "rot-id": "two", "rot-bad": "1"},
            {**FIRST, "rot-id": "three", "rot-agree": ""},
            {**FIRST, "rot-id": "four", "rot": "=1+1 is a rule"},
            {**FIRST, "rot-id": "five", "rot": "x" * 300},
        )
    )
    (norm,) = found.rows
    assert norm.situation == "borrowing a book"
    assert norm.rule == 'It is rude to keep what you "borrowed".'
    assert (norm.judgement, norm.agreement) == (-1, 3)
    assert norm.foundations == ("care-harm", "fairness-cheating")
    assert found.left_out == {
        "marked as bad by the worker": 1,
        "without an answer": 1,
        "rule: too long, too short, or no plain text": 2,
    }


def test_several_judgements_of_one_rule_become_their_median(tmp_path: Path) -> None:
    rows = [{**FIRST, "action-moral-judgment": str(j), "rot-agree": str(a)}
            for j, a in ((-2, 4), (-1, 3), (1, 3))]  # fmt: skip
    (norm,) = read_norms(tsv(tmp_path, *rows)).rows
    assert (norm.judgement, norm.agreement) == (-1, 3)


def test_area_split_and_number(tmp_path: Path) -> None:
    rows = [{**FIRST, "rot-id": str(n), "split": "test" if n % 2 else "train"} for n in range(20)]
    path = tsv(tmp_path, *rows)
    assert len(read_norms(path).rows) == 20
    assert len(read_norms(path, split="test").rows) == 10
    few = read_norms(path, at_most=3).rows
    assert len(few) == 3
    assert few == read_norms(tsv(tmp_path, *rows[::-1]), at_most=3).rows
    with pytest.raises(UsageError, match="has no rule of this area"):
        read_norms(path, area="elsewhere")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"action-moral-judgment": "3"}, "outside the buckets"),
        ({"rot-agree": "-1"}, "outside the buckets"),
        ({"rot-agree": "often"}, "outside the buckets"),
        ({"rot-agree": "2.5"}, "outside the buckets"),
    ],
)
def test_other_figures_are_refused(tmp_path: Path, values: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        read_norms(tsv(tmp_path, FIRST, {**FIRST, "rot-id": "x", **values}))


def test_they_are_written_with_their_source(tmp_path: Path, about: Path) -> None:
    path = tsv(tmp_path, FIRST)
    done = write_norms(path, about, tmp_path / "proposals")
    folder = tmp_path / "proposals" / "town-2024"
    assert done.paths == (folder,)
    table = read_table(folder / "norms.csv", "norms.csv", NORMS)
    assert table.problems == ()
    assert len(table.rows) == 1
    assert "CC-BY-4.0" in (folder / "source.yaml").read_text()
    with pytest.raises(UsageError, match="exists already"):
        write_norms(path, about, tmp_path / "proposals")
    write_norms(path, about, tmp_path / "proposals", replace=True)
