"""Which rows came and went, known by hand, and through the command line between revisions."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from registry.dataset_diff import SHOWN, Version, difference
from registry.quality.drift import drift
from tests.conftest import Folder


def write(path: Path, columns: dict[str, Any]) -> Path:
    pl.DataFrame(columns).write_parquet(path)
    return path


@pytest.fixture
def differ(tmp_path):
    """The difference of two tables, each with what was left out of it."""

    def compare(before, after, left_out=None):
        sides = []
        for label, columns in (("before", before), ("after", after)):
            (tmp_path / label).mkdir()
            files = {"rows.parquet": write(tmp_path / label / "rows.parquet", columns)}
            sides.append(Version(label, files))
        if left_out:
            path = write(tmp_path / "after/rejected.parquet", left_out)
            sides[1] = Version("after", {**sides[1].files, "rejected.parquet": path})
        return {table.table: table for table in difference(*sides)}["rows.parquet"]

    return compare


class TestRows:
    def test_that_came_went_and_changed(self, differ):
        found = differ(
            {"row_id": ["a", "b", "c"], "text": ["one", "two", "three"]},
            {"row_id": ["b", "c", "d"], "text": ["two", "THREE", "four"]},
            {"row_id": ["a", "z"], "reason": ["too short", "another"]},
        )
        assert (found.before, found.after) == (3, 3)
        assert (found.came, found.went, found.changed) == (1, 1, 1)
        assert [row.row for row in found.came_rows] == ["d"]
        assert [(row.row, row.reason) for row in found.went_rows] == [("a", "too short")]
        assert [row.row for row in found.changed_rows] == ["c"]

    def test_in_another_order_and_with_columns_in_another_order_are_the_same(self, differ):
        found = differ({"row_id": ["a", "b"], "n": [1, 2]}, {"n": [2, 1], "row_id": ["b", "a"]})
        assert (found.came, found.went, found.changed) == (0, 0, 0)

    def test_without_ids_are_compared_as_a_whole_and_counted(self, differ):
        found = differ({"n": [1, 1, 2]}, {"n": [1, 2, 2, 3]})
        assert (found.came, found.went, found.changed) == (2, 1, 0)

    def test_whose_ids_repeat_are_compared_as_a_whole(self, differ):
        found = differ({"row_id": ["a", "a"], "n": [1, 2]}, {"row_id": ["a", "a"], "n": [1, 3]})
        assert (found.came, found.went) == (1, 1)

    def test_of_a_table_with_another_column_changed(self, differ):
        found = differ({"row_id": ["a"]}, {"row_id": ["a"], "n": [1]})
        assert (found.came, found.went, found.changed) == (0, 0, 1)

    def test_are_named_up_to_a_number(self, differ):
        found = differ({"row_id": ["a"]}, {"row_id": [f"r{n:03}" for n in range(100)]})
        assert found.came == 100
        assert len(found.came_rows) == SHOWN

    def test_of_a_table_that_is_new_all_came(self, tmp_path):
        path = write(tmp_path / "rows.parquet", {"row_id": ["a", "b"]})
        (found,) = difference(Version("one", {}), Version("two", {"rows.parquet": path}))
        assert (found.before, found.after, found.came, found.went) == (0, 2, 2, 0)
        assert found.moved == ()


class TestDrift:
    @pytest.fixture
    def moved(self, tmp_path):
        def measure(before: list[Any], after: list[Any], column: str = "a") -> float | None:
            old = write(tmp_path / "old.parquet", {column: before})
            new = write(tmp_path / "new.parquet", {column: after})
            found = drift(old, new)
            return found[0].distance if found else None

        return measure

    def test_is_half_the_sum_of_the_differences_of_shares(self, moved):
        assert moved(["x", "x", "y", "y"], ["x", "x", "x", "y"]) == 0.25
        assert moved(["x", "x"], ["y", "y"]) == 1
        assert moved(["x", "y", "x"], ["x", "x", "y", "x", "y", "x"]) == 0

    def test_counts_nulls_as_a_group(self, moved):
        assert moved(["x", "x", None, None], ["x", "x", "x", "x"]) == 0.5

    def test_puts_numbers_into_the_tenths_of_the_version_before(self, moved):
        before = [n / 100 for n in range(100)] * 2
        assert moved(before, before) == 0
        assert moved(before, [5.0] * 200) == pytest.approx(0.9)
        assert moved(before, [n + 0.5 for n in before]) == pytest.approx(0.5, abs=0.02)

    def test_of_texts_is_that_of_their_lengths(self, moved):
        before = [f"{n:03}" + "x" * (n % 60) for n in range(300)]
        assert moved(before, [f"{n:03}" + "y" * (n % 60) for n in range(300)]) == 0

    def test_of_ids_is_nothing(self, moved):
        ids = [f"row-{n}" for n in range(100)]
        assert moved(ids, ids[::-1], "row_id") is None

    def test_of_rows_that_are_all_gone_is_whole(self, tmp_path):
        old = write(tmp_path / "old.parquet", {"a": ["x", "x"]})
        pl.DataFrame({"a": []}, schema={"a": pl.String}).write_parquet(tmp_path / "new.parquet")
        assert drift(old, tmp_path / "new.parquet")[0].distance == 0.5

    def test_leaves_out_columns_of_another_type(self, tmp_path):
        old = write(tmp_path / "old.parquet", {"a": [1, 1], "b": ["x", "x"]})
        new = write(tmp_path / "new.parquet", {"a": ["1", "1"], "c": ["x", "x"]})
        assert drift(old, new) == ()


@pytest.fixture(scope="module")
def grown_once(_toy_template: Folder, tmp_path_factory: pytest.TempPathFactory) -> Folder:
    toy = _toy_template.copied(tmp_path_factory.mktemp("grown"))
    toy.chorus("make", "words")
    toy.run("git", "add", "-A")
    toy.run("git", "commit", "-qm", "five")
    toy.edit("registry/datasets/words.yaml", "rows: 5", "rows: 7")
    toy.chorus("make", "words")
    toy.run("git", "add", "-A")
    toy.run("git", "commit", "-qm", "seven")
    return toy


@pytest.fixture
def grown(grown_once: Folder, tmp_path: Path) -> Folder:
    """Words made and recorded with five rows, then with seven."""
    return grown_once.copied(tmp_path)


class TestCommands:
    def test_diff_compares_revisions_with_each_other_and_with_what_is_here(self, grown: Folder):
        for to in (["--to", "HEAD"], []):
            (table,) = grown.chorus("diff", "words", "--from", "HEAD~1", *to, "--json").json[
                "tables"
            ]
            assert (table["before"], table["after"], table["came"], table["went"]) == (5, 7, 2, 0)
        assert "the same 7 rows" in grown.chorus("diff", "words", "--from", "HEAD").out

    @pytest.mark.parametrize(
        ("revision", "said", "code"),
        [
            ("nowhere", "no revision is called 'nowhere'", 2),
            ("--help-me", "no revision is called '--help-me'", 2),
            ("HEAD; rm -rf .", "no revision is called", 2),
        ],
    )
    def test_diff_refuses_what_is_no_revision(self, grown: Folder, revision, said, code):
        done = grown.chorus("diff", "words", f"--from={revision}", expect=code)
        assert said in done.err
        assert "Traceback" not in done.err

    def test_diff_says_where_a_revision_records_nothing(self, grown: Folder):
        done = grown.chorus("diff", "letters@age-22-34", "--from", "HEAD", expect=2)
        assert "HEAD records no such artifact" in done.err

    def test_diff_says_where_bytes_are_not_here(self, grown: Folder):
        shutil.rmtree(grown.root / ".dvc/cache")
        done = grown.chorus("diff", "words", "--from", "HEAD~1", expect=3)
        assert "the bytes that HEAD~1 records are not here" in done.err
        assert "dvc fetch" in done.err

    def test_quality_says_what_holds_what_is_there_and_what_moved(self, grown: Folder):
        done = grown.chorus("quality", "words")
        assert "words: contract: 1 of 1 expectations met" in done.out
        assert "met      Every row is numbered once." in done.out
        assert "words.parquet: 7 rows, 5 before" in done.out
        (report,) = grown.chorus("quality", "words", "--json").json["reports"]
        assert report["contract"][0]["checker"] == "both"
        assert report["tables"][0]["rows"] == 7
        assert report["drift"]["words.parquet"]["rows"] == 5

    def test_quality_exits_1_where_the_contract_is_broken_and_shows_rows(self, grown: Folder):
        path = grown.root / "data/words/files/words.parquet"
        frame = pl.read_parquet(path)
        path.chmod(0o644)
        pl.concat([frame, frame.head(1)]).write_parquet(path)
        done = grown.chorus("quality", "words", expect=1)
        assert "BROKEN   Every row is numbered once." in done.out
        assert "2 rows break it" in done.out
        assert "times=2" in done.out

    def test_quality_of_what_was_not_made_says_so(self, toy: Folder):
        done = toy.chorus("quality", "words", expect=2)
        assert "was not made" in done.err
        assert "chorus make words" in done.err
        assert "name a node" in toy.chorus("quality", expect=2).err

    def test_quality_publishes_pages_and_results(self, grown: Folder):
        done = grown.chorus("quality", "--docs", "pages")
        assert "1 of 1 expectations met in 1 tables" in done.out
        assert "leaked" not in done.err
        assert (grown.root / "pages/index.html").is_file()
        page = (grown.root / "pages/words+words.html").read_text()
        assert "<script" not in page
        assert "https://" not in page
        assert "default-src 'none'" in page
        assert 'href="index.html"' in page
        assert "words+words.html" in (grown.root / "pages/index.html").read_text()
        (table,) = grown.chorus("quality", "--docs", "pages", "--json").json["tables"]
        assert (table["node"], table["table"]) == ("words", "words.parquet")
        assert len(table["suite"]) == len(table["content"]) == 64
        assert table["checks"][0]["success"] is table["checks"][0]["gate"] is True

    def test_quality_replaces_no_folder_of_something_else(self, grown: Folder):
        done = grown.chorus("quality", "--docs", "registry", expect=2)
        assert "the folder holds something else" in done.err
        assert (grown.root / "registry/datasets/words.yaml").is_file()
