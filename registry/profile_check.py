"""Everything that is wrong with a profile folder, in one pass.

What can be known is said at once: tables are read, and rules across them and across fields are run,
even where `profile.yaml` itself is wrong.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from registry.errors import Problem, ProblemsError
from registry.profile_folder import Profile, known_part, read_profile, table_problems
from registry.profile_notices import notices
from registry.profile_rows import RULES, Tables


class Checked(NamedTuple):
    """What a look at a profile folder finds."""

    profile: Profile | None
    """The profile; None where it is wrong."""
    problems: list[Problem]
    """Everything that is to be mended."""
    notices: list[Problem]
    """What is not wrong, and what a reviewer should see."""


def check_folder(folder: Path, root: Path) -> Checked:
    """Looks at a profile folder; each problem is said once, in the order of the files."""
    found = _checked(folder, root)
    return found._replace(problems=list(ProblemsError(found.problems).problems))


def _checked(folder: Path, root: Path) -> Checked:
    profile, problems = read_profile(folder, root)
    if profile is not None:
        tables, found = _read(profile)
        problems += found
        problems += [problem for rule in RULES for problem in rule(profile, tables)]
        return Checked(profile, problems, notices(profile, tables))
    part = known_part(folder, root)
    if part.stage != "withdrawn":
        problems += _as_far_as_known(table_problems(part, root))
    tables, found = _read(part)
    problems += found
    for rule in RULES:
        problems += _as_far_as_known(rule(part, tables))
    return Checked(None, problems, notices(part, tables))


def check_tables(profile: Profile) -> list[Problem]:
    """Everything wrong with the rows of a profile, across its tables too."""
    tables, problems = _read(profile)
    return [*problems, *(problem for rule in RULES for problem in rule(profile, tables))]


def _read(profile: Profile) -> tuple[Tables, list[Problem]]:
    tables = profile.tables()
    found = [problem for read in tables.values() for problem in read.problems]
    return tables, [*found, *profile.tests.problems]


def _as_far_as_known(found: Iterable[Problem]) -> Iterator[Problem]:
    """What a rule finds, up to where it asks for a field that is not known."""
    with contextlib.suppress(AttributeError):
        yield from found
