"""A community takes imported norms over into its own proposal: the ones it names, and no other.

Each adopted row keeps the id of its source and names it as the item that it was derived from; the
source, with its licence, goes into the proposal's `sources:`.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from registry.artifact import write_atomically
from registry.errors import ProblemsError, UsageError, relative
from registry.intake.proposal import csv_text, yaml_text
from registry.profile import Source, ValueProfile
from registry.profile_content import PROPOSALS
from registry.profile_folder import Profile, read_profile
from registry.profile_tables import NORMS, Norm, parse_table, read_table
from registry.strict_yaml import parse, read, typed

_SHOWN = 5
_SOURCES = re.compile(
    r"^sources:[ \t]*(?P<inline>\[[ \t]*\])?[ \t]*(#[^\n]*)?\n(?P<dash> *- )?", re.MULTILINE
)


@dataclass(frozen=True)
class Adopted:
    """What was taken over."""

    rows: tuple[Norm, ...]
    already: tuple[str, ...]
    """Ids that the proposal had before; they stay as they are."""
    source: Source
    cited: bool
    """Whether the source was added to the proposal now."""


def adopt(root: Path, folder: Path, file: Path, chosen: Sequence[str] | None) -> Adopted:
    """Takes norms over into a proposal; all of them where nothing is chosen by name.

    Raises:
        UsageError: The folder is no proposal, or a row or the source is not there.
        ProblemsError: The file, or what the proposal would become, breaks a rule.
    """
    profile = _proposal(root, folder)
    origin = file.parent / "source.yaml"
    source = _source(origin)
    rows = _chosen(file, chosen)
    table = profile.table(NORMS.file)
    before = table.read_bytes() if table.is_file() else csv_text(NORMS, ()).encode()
    had = {row.id for row in parse_table(before, profile.shown(NORMS.file), NORMS).rows}
    marked = tuple(
        row.model_copy(update={"item": f"{file.parent.name}:{row.id}"[:100]})
        for row in rows
        if row.id not in had
    )
    text = profile.folder.joinpath("profile.yaml").read_text(encoding="utf-8")
    cited = source not in profile.profile.sources
    written = _with_source(text, origin, source, relative(folder, root)) if cited else text
    added = csv_text(NORMS, marked).partition("\n")[2]
    after = before + (b"" if before.endswith(b"\n") else b"\n") + added.encode()
    _require_whole(profile, written, after, root)
    if marked:
        table.parent.mkdir(exist_ok=True)
        write_atomically(table, after)
    if marked and cited:
        write_atomically(profile.folder / "profile.yaml", written.encode())
    return Adopted(marked, tuple(sorted(had & {row.id for row in rows})), source, cited)


def _proposal(root: Path, folder: Path) -> Profile:
    if folder.parent != root / PROPOSALS:
        raise UsageError(
            "is not a proposal",
            where=relative(folder, root),
            why="an accepted profile changes by a new revision only",
            mend="propose a new revision, and adopt into that",
        )
    profile, problems = read_profile(folder, root)
    if profile is None:
        raise ProblemsError(problems)
    if not profile.profile.described_by_itself:
        raise UsageError(
            f"is of kind {profile.profile.kind}",
            where=profile.id,
            why="only a body that answers to its members can say that it holds a norm",
            mend="adopt into a profile that describes itself",
        )
    return profile


def _source(path: Path) -> Source:
    if not path.is_file():
        raise UsageError(
            "is missing",
            where=str(path),
            why="whose words these are, and under which licence, would be lost",
            mend="give the norms.csv where `chorus profile import norms` wrote it",
        )
    document, problems = read(path, str(path))
    source = typed(Source, document)[0] if document else None
    if source is None:
        raise ProblemsError([*problems, *(typed(Source, document)[1] if document else ())])
    return source


def _chosen(file: Path, chosen: Sequence[str] | None) -> tuple[Norm, ...]:
    found = read_table(file, str(file), NORMS)
    if found.problems:
        raise ProblemsError(found.problems)
    if chosen is None:
        return found.rows
    known = {row.id: row for row in found.rows}
    if lacking := [name for name in dict.fromkeys(chosen) if name not in known]:
        shown = ", ".join(lacking[:_SHOWN])
        more = f" and {len(lacking) - _SHOWN} more" if lacking[_SHOWN:] else ""
        raise UsageError(
            f"holds no row {shown}{more}", where=str(file), mend="name ids from its first column"
        )
    return tuple(known[name] for name in dict.fromkeys(chosen))


def _with_source(text: str, origin: Path, source: Source, where: str) -> str:
    """The proposal's YAML with one more source; everything else stays as it was written."""
    entry = yaml_text(source.model_dump(exclude_none=True))
    found = _SOURCES.search(text)
    if found is None and re.search(r"^sources:", text, re.MULTILINE):
        raise UsageError(
            "has its sources on one line, where none can be added",
            where=where,
            mend=f"write them one below the other, or add the lines of {origin} yourself",
        )
    dash = (found["dash"] if found else None) or "  - "
    lines = textwrap.indent(entry, " " * len(dash))
    block = f"{dash}{lines[len(dash) :]}"
    if found is None:
        return f"{text.rstrip()}\nsources:\n{block}"
    head = text[: found.start()] + "sources:\n" + block
    return head + (found["dash"] or "") + text[found.end() :]


def _require_whole(profile: Profile, text: str, table: bytes, root: Path) -> None:
    """Raises ProblemsError where what would be written breaks a rule; nothing is written then."""
    shown = relative(profile.folder / "profile.yaml", root)
    document, problems = parse(text.encode(), shown)
    problems += typed(ValueProfile, document)[1] if document else []
    problems += parse_table(table, profile.shown(NORMS.file), NORMS).problems
    if problems:
        raise ProblemsError(problems)
