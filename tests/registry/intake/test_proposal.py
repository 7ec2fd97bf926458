"""All or nothing, never over somebody's work."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest

from registry.errors import UsageError
from registry.intake.proposal import write_files
from registry.strict_yaml import parse


def test_nothing_is_written_where_a_check_fails(tmp_path: Path) -> None:
    def check(_: Path) -> NoReturn:
        raise UsageError("is wrong")

    folder = tmp_path / "proposals"
    with pytest.raises(UsageError):
        write_files({"a/x": "1"}, folder, replace=False, check=check)
    assert list(folder.iterdir()) == []


def test_what_is_there_stays_unless_it_may_go(tmp_path: Path) -> None:
    write_files({"a/x": "1", "b": "1"}, tmp_path, replace=False)
    with pytest.raises(UsageError, match="exists already"):
        write_files({"c": "2", "a/x": "2"}, tmp_path, replace=False)
    assert not (tmp_path / "c").exists()
    write_files({"a/y": "2", "b": "2"}, tmp_path, replace=True)
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*")) == [
        "a", "a/y", "b",
    ]  # fmt: skip


def test_a_life_is_never_overwritten(tmp_path: Path) -> None:
    write_files({"a/events/0001-submitted.yaml": "x"}, tmp_path, replace=False)
    with pytest.raises(UsageError, match="its life has begun"):
        write_files({"a/x": "2"}, tmp_path, replace=True)


def test_links_are_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "a").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="is a link"):
        write_files({"a/x": "1"}, tmp_path, replace=True)
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_failing_move_puts_everything_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files({"a/x": "old", "b/x": "old"}, tmp_path, replace=False)
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if self.name == "b" and self.parent.name == "proposals":
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="No space"):
        write_files({"a/x": "new", "b/x": "new", "c/x": "new"}, tmp_path, replace=True)
    found = {p.relative_to(tmp_path).as_posix(): p.read_text() for p in tmp_path.glob("*/x")}
    assert found == {"a/x": "old", "b/x": "old"}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]


def test_yaml_is_what_the_strict_reader_reads() -> None:
    from registry.intake.proposal import yaml_text

    shared = ["yes", "no: maybe", "2024-01-01", "1", "a\nb"]
    document, problems = parse(yaml_text({"a": shared, "b": shared}).encode(), "x.yaml")
    assert problems == []
    assert document is not None
    assert document.data == {"a": shared, "b": shared}
