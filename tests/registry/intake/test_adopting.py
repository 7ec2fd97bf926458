"""Norms that somebody else wrote down become a community's own only where it names them."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry.errors import ChorusError
from registry.intake.adopting import adopt
from registry.profile_check import check_tables
from registry.profile_folder import read_profile
from tests.conftest import Folder
from tests.registry.proposals import ID, propose

HEAD = "id,situation,rule,judgement,agreement,foundations,item\n"
FILE = (
    HEAD
    + "sc-1,lending a boat,It's good to lend a boat,1,3,care-harm,\n"
    + 'sc-2,"being late, again","It\'s rude, really, to be late",-1,2,,\n'
    + "sc-3,singing at work,It's fine to sing at work,0,2,,\n"
)
SOURCE = f"""\
title: Social Chemistry 101
publisher: Forbes et al.
citation: Forbes et al., Social Chemistry 101, EMNLP 2020
url: https://example.org/social-chemistry
licence: CC-BY-SA-4.0
sha256: {"5" * 64}
row_id: rot-id
"""


@pytest.fixture
def imported(tmp_path: Path) -> Path:
    folder = tmp_path / "social-chemistry-101"
    folder.mkdir()
    (folder / "source.yaml").write_text(SOURCE)
    (folder / "norms.csv").write_text(FILE)
    return folder / "norms.csv"


def read(folder: Path):
    profile, problems = read_profile(folder, folder.parents[1])
    assert profile is not None
    assert not problems
    assert not check_tables(profile)
    return profile


def test_the_named_rows_come_over_with_their_source(toy: Folder, imported: Path) -> None:
    folder = propose(toy.root)
    before = (folder / "content/norms.csv").read_bytes()
    done = adopt(toy.root, folder, imported, ["sc-2"])
    assert [row.id for row in done.rows] == ["sc-2"]
    profile = read(folder)
    rows = {row.id: row for row in profile.tables()["norms.csv"].rows}
    assert set(rows) == {"borrowing", "teaching", "sc-2"}
    assert rows["sc-2"].item == "social-chemistry-101:sc-2"
    assert rows["sc-2"].rule == "It's rude, really, to be late"
    assert (folder / "content/norms.csv").read_bytes().startswith(before)
    (source,) = profile.profile.sources
    assert (source.licence, source.row_id) == ("CC-BY-SA-4.0", "rot-id")


def test_a_second_time_adds_only_what_is_new_and_cites_once(toy: Folder, imported: Path) -> None:
    folder = propose(toy.root)
    adopt(toy.root, folder, imported, ["sc-1"])
    path = folder / "content/norms.csv"
    path.write_text(path.read_text().replace("It's good to lend a boat", "Lend your boat"))
    done = adopt(toy.root, folder, imported, None)
    assert [row.id for row in done.rows] == ["sc-2", "sc-3"]
    assert done.already == ("sc-1",)
    profile = read(folder)
    assert len(profile.profile.sources) == 1
    assert "Lend your boat" in path.read_text()


SHA = "4" * 64
INDENTED = f"""\
sources:
  - {{title: A book, publisher: Us, citation: A book of ours, url: 'https://example.org',
     licence: CC0-1.0, sha256: '{SHA}'}}
"""
FLUSH = f"""\
sources:  # ours
- title: A book
  publisher: Us
  citation: A book of ours
  url: https://example.org
  licence: CC0-1.0
  sha256: '{SHA}'
"""


@pytest.mark.parametrize("sources", [INDENTED, FLUSH, "sources: []\n"])
def test_other_sources_stay(toy: Folder, imported: Path, sources: str) -> None:
    folder = propose(toy.root)
    path = folder / "profile.yaml"
    path.write_text(path.read_text() + sources + "labels: []\n")
    had = len(read(folder).profile.sources)
    adopt(toy.root, folder, imported, ["sc-1"])
    assert len(read(folder).profile.sources) == had + 1


def refused(toy: Folder, folder: Path, file: Path, rows: list[str], said: str) -> None:
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    with pytest.raises(ChorusError, match=said):
        adopt(toy.root, folder, file, rows)
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before


def test_what_is_wrong_changes_nothing(toy: Folder, imported: Path) -> None:
    folder = propose(toy.root)
    refused(toy, folder, imported, ["sc-1", "sc-9"], "holds no row sc-9")
    path = folder / "profile.yaml"
    plain = path.read_text()
    path.write_text(plain + "sources: [{title: x}]\n")
    refused(toy, folder, imported, ["sc-1"], "sources")
    path.write_text(plain)
    imported.write_text(FILE.replace("It's fine", "=cmd()"))
    refused(toy, folder, imported, ["sc-1"], "runs as a formula")
    (imported.parent / "source.yaml").unlink()
    refused(toy, folder, imported, ["sc-1"], "under which licence, would be lost")


def test_nothing_is_adopted_without_a_word(toy: Folder, imported: Path) -> None:
    propose(toy.root)
    done = toy.chorus("profile", "adopt", ID, str(imported), expect=2)
    assert "nothing becomes a norm of yours without your saying so" in done.err
    done = toy.chorus("profile", "adopt", ID, str(imported), "--rows", "sc-1,sc-3")
    assert "adopted  sc-1  It's good to lend a boat" in done.out
    assert "shared under CC-BY-SA-4.0 too" in done.err
    done = toy.chorus("profile", "adopt", "age-22-34", str(imported), "--all", expect=2)
    assert "is not a proposal" in done.err
