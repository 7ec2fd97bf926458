"""The checker's messages, each beside the field that it concerns.

A draft is written as a profile folder into a temporary directory and read by the same functions as
`chorus profile check`. Nothing is checked a second way here.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from registry.errors import Place, Problem, ProblemsError, relative
from registry.profile_content import ACCEPTED, PROPOSALS
from registry.profile_folder import CONTENT, Profile, check_tables, read_profile
from registry.profile_tables import read_table
from registry.site.drafts import Draft, Finding
from registry.site.fields import FIELDS, FILES, SECTIONS, TABLES
from registry.site.form import NAMELESS, Built, build

_LACKS = re.compile(r"lacks the key '([a-z_0-9]+)'")
_NAMED = re.compile(r"\b[a-z_]+(\.[a-z_]+)+\b")
_OF_THE_TABLE = re.compile(r"holds [0-9]+ examples")
_EMPTY = "(found '')"


def check(draft: Draft, root: Path) -> tuple[Finding, ...]:
    """Everything that is wrong with a draft, in the order of the form."""
    built = build(draft)
    with tempfile.TemporaryDirectory(prefix="chorus-form-") as scratch:
        folder = Path(scratch) / PROPOSALS / built.id
        built.write(folder)
        _, problems = inspect(folder, Path(scratch))
    found = [*_all(problems, built, draft), *standing(root, built.id)]
    return tuple(sorted(found, key=_order))


def inspect(folder: Path, root: Path) -> tuple[Profile | None, tuple[Problem, ...]]:
    """A profile folder and every problem in it; tables are read even where the profile is wrong."""
    profile, problems = read_profile(folder, root)
    if profile is not None:
        problems += check_tables(profile)
    else:
        for shape in FILES.values():
            path = folder / CONTENT / shape.file
            shown = relative(path, root)
            if path.exists():
                problems += read_table(path, shown, shape).problems
            elif "self-described" in shape.required:
                problems.append(Problem(Place(shown), "is missing", "add the table"))
    return profile, ProblemsError(problems).problems if problems else ()


def standing(root: Path, name: str) -> Iterator[Finding]:
    """What keeps a new profile of this id from being handed in: one that is here already."""
    if name == NAMELESS:
        return
    for place in (PROPOSALS, ACCEPTED):
        folder = root / place / name
        if folder.exists() or folder.is_symlink():
            yield Finding(
                field="id",
                what=f"{name!r} is taken: a profile of this id is in {place}/ already",
                mend="choose another id; a new revision goes through `chorus profile submit`",
                lead="lead.taken",
            )
            return


def _all(problems: Iterable[Problem], built: Built, draft: Draft) -> Iterator[Finding]:
    for problem in problems:
        inside = problem.place.path.partition(f"{PROPOSALS}/{built.id}/")[2]
        if inside.startswith(f"{CONTENT}/"):
            yield _in_table(problem, inside.removeprefix(f"{CONTENT}/"), built, draft)
        elif not problem.what.endswith(f"in the folder {NAMELESS!r}"):
            yield _in_profile(problem, built)


def _in_profile(problem: Problem, built: Built) -> Finding:
    """A message about `profile.yaml`, beside the field whose key it speaks of."""
    key = built.keys.get(problem.place.line or 0, ())
    what, blank = problem.what, ""
    if lacks := _LACKS.match(what):
        key = (*(() if problem.place.line == 1 else key), lacks[1])
        blank = "lead.blank"
    elif what.startswith("the file: "):
        what = what.removeprefix("the file: ")
        named = _NAMED.search(what)
        key = tuple(named[0].split(".")) if named else (what.partition(":")[0],)
    elif what.startswith(f"{'.'.join(map(str, key[:-1]))}: "):
        key = key[:-1]  # an item of a list starts where its first key does
    dotted = ".".join(map(str, key))
    name = _field(key, built)
    what = what.removeprefix(f"{dotted}: ") if name else what
    return Finding(field=name, what=what, mend=problem.mend, lead=blank)


def _field(key: tuple[str | int, ...], built: Built) -> str:
    """The form field for a key, or nothing where the form does not ask for it."""
    if key[:1] == ("off_limits",):
        rows, row = built.rows["off_limits"], key[1] if len(key) > 1 else None
        if not isinstance(row, int) or row not in rows:
            return "off_limits"
        columns = {column.name for column in TABLES["off_limits"].columns}
        column = [f".{step}" for step in key[2:3] if step in columns]
        return f"off_limits.{rows[row]}{''.join(column)}"
    while key:
        name = ".".join(map(str, key))
        if name in FIELDS:
            return name
        inside = [asked for asked in FIELDS if asked.startswith(f"{name}.")]
        if inside:
            return inside[0]
        key = key[:-1]
    return ""


def _in_table(problem: Problem, file: str, built: Built, draft: Draft) -> Finding:
    """A message about a table, beside the cell, the row, or the upload that it came from."""
    name = next((name for name, shape in FILES.items() if shape.file == file), "")
    column, parted, rest = problem.what.partition(": ")
    lines = built.rows.get(name)
    if lines is None or not name:
        mend = "" if file not in {*built.tables, *built.files} else problem.mend
        lead = "" if mend else "lead.blank"
        line = problem.place.line
        if line and name in draft.state.shifted:
            line += 1
        # A problem on line 1 speaks of the whole table only where it names no column.
        return Finding(field=name, what=problem.what, mend=mend, line=line, lead=lead)
    row = lines.get(problem.place.line or 0)
    if row is None or _OF_THE_TABLE.match(problem.what):
        return Finding(field=name, what=problem.what, mend=problem.mend)
    columns = {asked.name for asked in TABLES[name].columns}
    if not parted or column not in columns:
        return Finding(field=f"{name}.{row}", what=problem.what, mend=problem.mend)
    blank = rest.endswith(_EMPTY) or not any(draft.state.fields.get(f"{name}.{row}.{column}", ()))
    return Finding(
        field=f"{name}.{row}.{column}",
        what=rest,
        mend=problem.mend,
        lead="lead.blank" if blank else "",
    )


_PLACES = {name: number for number, name in enumerate(name for s in SECTIONS for name in s.names)}


def _order(finding: Finding) -> tuple[int, int, int, str]:
    """Where a finding stands on the page."""
    table, _, rest = finding.field.partition(".")
    at = _PLACES.get(finding.field, _PLACES.get(table, -1 if not finding.field else len(_PLACES)))
    row, _, column = rest.partition(".")
    if not row.isdigit() or table not in TABLES:
        return at, -1, finding.line or 0, finding.what
    columns = [asked.name for asked in TABLES[table].columns]
    return at, int(row), columns.index(column) if column in columns else -1, finding.what
