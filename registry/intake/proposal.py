"""Writes proposed profiles, all of them or none: `proposals/<id>/`, never `value_profiles/`.

A proposal has no events: its life begins when somebody submits it. Beside the profiles lie the
questionnaire that their tables name, and a record of the import with its figures.
"""

from __future__ import annotations

import csv
import io
import json
import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from registry.artifact import sync_directory, sync_tree
from registry.errors import Problem, ProblemsError, UsageError
from registry.profile_check import check_folder
from registry.profile_tables import Shape
from registry.typed import Frozen

_SHARES = {"share": ".6f", "n_effective": ".1f"}


@dataclass(frozen=True)
class Proposal:
    """One profile to be, and its tables."""

    id: str
    profile: Mapping[str, Any]
    """The content of `profile.yaml`."""
    tables: Mapping[str, str]
    """The text of each table, by its file name."""


def csv_text(shape: Shape[Any], rows: Sequence[Frozen]) -> str:
    """Rows as the text of a CSV table."""
    output = io.StringIO(newline="")
    writer = csv.writer(output, lineterminator="\n")
    writer.writerow(shape.columns)
    for row in rows:
        writer.writerow([_cell(name, getattr(row, name)) for name in shape.columns])
    return output.getvalue()


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        return " ".join(value)
    return format(value, _SHARES.get(name, ""))


def jsonl_text(rows: Sequence[Frozen]) -> str:
    """Rows as the text of a JSONL table."""
    return "".join(
        json.dumps(row.model_dump(exclude_none=True), ensure_ascii=False) + "\n" for row in rows
    )


def yaml_text(data: Mapping[str, Any]) -> str:
    """A mapping as YAML that `registry.strict_yaml` reads: no anchors, text in quotes."""
    import yaml

    class _Plain(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
            return True

    return yaml.dump(dict(data), Dumper=_Plain, sort_keys=False, allow_unicode=True, width=100)


def json_text(data: Mapping[str, Any]) -> str:
    """A mapping as JSON for a record."""
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def write_proposals(
    proposals: Sequence[Proposal], beside: Mapping[str, str], folder: Path, *, replace: bool
) -> tuple[Path, ...]:
    """Writes proposals and the files beside them; where one breaks a rule, none is written.

    Args:
        proposals: The profiles.
        beside: The text of each file beside them, by its name.
        folder: Where proposals lie.
        replace: Whether earlier proposals of the same names give way.

    Returns:
        Every folder and file that was written.

    Raises:
        UsageError: A proposal exists already.
        ProblemsError: What was made breaks a rule of profiles.
    """
    files = dict(beside)
    for proposal in proposals:
        files[f"{proposal.id}/profile.yaml"] = yaml_text(proposal.profile)
        files |= {f"{proposal.id}/{name}": text for name, text in proposal.tables.items()}

    def check(new: Path) -> None:
        problems: list[Problem] = []
        for proposal in proposals:
            problems += check_folder(new / proposal.id, new.parent).problems
        if problems:
            raise ProblemsError(problems)

    return write_files(files, folder, replace=replace, check=check)


def write_files(
    files: Mapping[str, str],
    folder: Path,
    *,
    replace: bool,
    check: Callable[[Path], None] = lambda _: None,
) -> tuple[Path, ...]:
    """Writes files below a folder, all of them or none.

    Everything is written into a folder aside, checked there, and only then moved into place.

    Args:
        files: The text of each file, by its path below `folder`. What stands first in a path is
            replaced as a whole.
        folder: Where they go.
        replace: Whether what is there gives way.
        check: Looks at what was written aside, and raises.

    Raises:
        UsageError: Something is there already.
    """
    names = list(dict.fromkeys(PurePosixPath(name).parts[0] for name in files))
    for name in names:
        _make_way(folder / name, replace=replace)
    folder.mkdir(parents=True, exist_ok=True)
    scratch = folder / f".import-{secrets.token_hex(4)}"
    new, old = scratch / "proposals", scratch / "old"
    try:
        old.mkdir(parents=True)
        for name, text in files.items():
            path = new / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
        check(new)
        sync_tree(new)
        _move(names, new, folder, old)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    sync_directory(folder)
    return tuple(folder / name for name in names)


def _make_way(path: Path, *, replace: bool) -> None:
    """Raises unless a path is free, or may be replaced."""
    if path.is_symlink():
        raise UsageError("is a link", where=str(path), mend="remove it")
    if path.exists() and not replace:
        raise UsageError(
            "exists already",
            where=str(path),
            why="somebody may have worked on that proposal",
            mend="give --replace, or another folder with --into",
        )
    if (path / "events").exists():
        raise UsageError(
            "has events: its life has begun",
            where=str(path),
            why="what happened to a profile is never overwritten",
            mend="import into another folder with --into, and compare",
        )


def _move(names: Sequence[str], new: Path, folder: Path, old: Path) -> None:
    """Moves everything into place, and back where one move fails."""
    try:
        for name in names:
            if (folder / name).exists():
                (folder / name).rename(old / name)
            (new / name).rename(folder / name)
    except OSError:
        for name in names:
            if not (new / name).exists():
                (folder / name).rename(new / name)
            if (old / name).exists():
                (old / name).rename(folder / name)
        raise
