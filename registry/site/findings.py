"""The checker's messages, each beside the field that it concerns.

A draft is written as a profile folder into a temporary directory and read by the same functions as
`chorus profile check`. Nothing is checked a second way here.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from registry.errors import Problem
from registry.message import ABOUT, Message
from registry.partly import Key
from registry.plain_words import FOUND
from registry.profile_check import Checked, check_folder
from registry.profile_content import ACCEPTED, PROPOSALS
from registry.profile_desk import digest_of_yaml
from registry.profile_folder import CONTENT, NAMED_OTHERWISE, Profile
from registry.profile_revisions import too_near
from registry.profile_rows import TOO_FEW
from registry.site.drafts import Base, Draft, Finding
from registry.site.fields import FIELDS, FILES, SECTIONS, TABLES
from registry.site.form import NAMELESS, Built, build
from registry.strict_yaml import LACKS, WHOLE
from registry.tombstones import FOLDER as TOMBSTONES

_BLANK = "lead.blank"


def check(draft: Draft, root: Path) -> tuple[Finding, ...]:
    """Everything that is wrong with a draft, in the order of the form."""
    with looked_at(draft, root) as (built, seen):
        found = [*_all(seen.problems, built, draft), *standing(root, built.id, draft.state.base)]
    return tuple(sorted(found, key=_order))


@contextlib.contextmanager
def looked_at(draft: Draft, root: Path) -> Iterator[tuple[Built, Checked]]:
    """A draft as a profile folder that is there for a while, and what the checker says of it.

    A change of a profile carries its events on: they say which rows members took back.
    """
    built, base = build(draft), draft.state.base
    with tempfile.TemporaryDirectory(prefix="chorus-form-") as scratch:
        folder = Path(scratch) / PROPOSALS / built.id
        built.write(folder)
        past = root / ACCEPTED / base.id / "events" if base else None
        if past and past.is_dir():
            shutil.copytree(past, folder / "events")
        seen = check_folder(folder, Path(scratch))
        if seen.profile:
            seen.problems.extend(near_to_published(root, seen.profile, base))
        yield built, seen


def near_to_published(root: Path, profile: Profile, base: Base | None) -> list[Problem]:
    """Figures that differ from published ones by a few people.

    Without the edit key nothing is said here: whoever tries figures could find out the true ones.
    Reviewers are told in any case, and cannot go on.
    """
    return list(too_near(root, profile)) if base and base.opened else []


def standing(root: Path, name: str, base: Base | None) -> Iterator[Finding]:
    """What keeps a profile of this id from being handed in: one that is here already."""
    if name == NAMELESS:
        return
    waiting, accepted = root / PROPOSALS / name, root / ACCEPTED / name
    if base and _is_there(waiting):
        what = Message("a change of this profile is waiting for its reviewers already")
        mend = Message("wait until they have decided, or ask a maintainer to remove it")
        yield Finding(field="id", what=what, mend=mend)
    elif base:
        file = accepted / "profile.yaml"
        if not file.is_file() or digest_of_yaml(accepted) != base.sha256:
            what = Message("another revision stands here since you opened this one")
            mend = Message("keep your texts, open the profile anew, and put them in there")
            yield Finding(field="id", what=what, mend=mend)
    else:
        for folder, place in ((waiting, PROPOSALS), (accepted, ACCEPTED)):
            if _is_there(folder):
                what = Message("{name!r} is taken: a profile of this id is in {place}/ already",
                               name=name, place=place)  # fmt: skip
                mend = Message("choose another id, or change that profile from the first page")
                yield Finding(field="id", what=what, mend=mend, lead="lead.taken")
                return
        if (root / TOMBSTONES / name).is_dir():
            what = Message("{name!r} belongs to a community that left", name=name)
            mend = Message("choose another id; what is said under it would seem to come from them")
            yield Finding(field="id", what=what, mend=mend, lead="lead.taken")


def _is_there(folder: Path) -> bool:
    return folder.exists() or folder.is_symlink()


def _all(problems: Iterable[Problem], built: Built, draft: Draft) -> Iterator[Finding]:
    for problem in problems:
        inside = problem.place.path.partition(f"{PROPOSALS}/{built.id}/")[2]
        what = Message.of(problem.what)
        if inside.startswith(f"{CONTENT}/"):
            yield _in_table(problem, what, inside.removeprefix(f"{CONTENT}/"), built, draft)
        elif what.template != NAMED_OTHERWISE or what.values["folder"] != NAMELESS:
            yield _in_profile(problem, what, built)


def _in_profile(problem: Problem, what: Message, built: Built) -> Finding:
    """A message about `profile.yaml`, beside the field whose key it speaks of."""
    if what.template == WHOLE:
        what = Message.of(str(what.values["what"])) if not isinstance(
            what.values["what"], Message) else what.values["what"]  # fmt: skip
    at = what.values.get("at")
    key = _key(str(at)) if at else built.keys.get(problem.place.line or 0, ())
    name = _field(key, built)
    lead = _BLANK if what.template == LACKS else ""
    return Finding(field=name, what=_inner(what) if name else what, mend=problem.mend, lead=lead)


def _inner(what: Message) -> Message:
    """A message without the name of the field beside which it stands."""
    said = what.values.get("what")
    parted = what.template in (ABOUT, "{at} {what}")
    return said if parted and isinstance(said, Message) else what


def _key(dotted: str) -> Key:
    return tuple(int(step) if step.isdecimal() else step for step in dotted.split("."))


def _field(key: Key, built: Built) -> str:
    """The form field for a key, or nothing where the form does not ask for it."""
    for table in TABLES.values():
        depth = len(table.at)
        if table.at and key[:depth] == table.at:
            rows, row = built.rows[table.name], key[depth] if len(key) > depth else None
            if not isinstance(row, int) or row not in rows:
                return table.name
            columns = {column.name for column in table.columns}
            column = [f".{step}" for step in key[depth + 1 : depth + 2] if step in columns]
            return f"{table.name}.{rows[row]}{''.join(column)}"
    while key:
        name = ".".join(map(str, key))
        if name in FIELDS:
            return name
        inside = [asked for asked in FIELDS if asked.startswith(f"{name}.")]
        if inside:
            return inside[0]
        key = key[:-1]
    return ""


def _in_table(problem: Problem, what: Message, file: str, built: Built, draft: Draft) -> Finding:
    """A message about a table, beside the cell, the row, or the upload that it came from."""
    name = next((name for name, shape in FILES.items() if shape.file == file), "")
    lines = built.rows.get(name)
    if lines is None or not name:
        there = file in {*built.tables, *built.files}
        line = problem.place.line
        if line and name in draft.state.shifted:
            line += 1
        mend, lead = (problem.mend, "") if there else ("", _BLANK)
        return Finding(field=name, what=what, mend=mend, line=line, lead=lead)
    row = lines.get(problem.place.line or 0)
    if row is None or what.template == TOO_FEW:
        return Finding(field=name, what=what, mend=problem.mend)
    columns = {asked.name for asked in TABLES[name].columns}
    column = what.values.get("at") if what.template == ABOUT else None
    if column not in columns:
        return Finding(field=f"{name}.{row}", what=what, mend=problem.mend)
    said = _inner(what)
    typed = draft.state.fields.get(f"{name}.{row}.{column}", ())
    blank = not any(typed) or (said.template == FOUND and said.values["given"] == "")
    return Finding(
        field=f"{name}.{row}.{column}",
        what=said,
        mend=problem.mend,
        lead=_BLANK if blank else "",
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
