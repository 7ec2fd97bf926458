"""What a visitor sent, taken into the draft: text as it is, files as far as they can be read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import IO

from registry.artifact import write_atomically
from registry.site.drafts import Draft, Drafts, State
from registry.site.fields import FILES, FOLDER, MAX_ROWS, TABLES, TERMS_TEXT, digested, known
from registry.site.form import row_count
from registry.site.opening import Taking, clean, open_profile, sheet_of, take_sheet
from registry.site.sheets import read_sheet
from registry.site.uploads import UploadRefusedError, digest_of, read_folder, read_whole

MORE = 2
"""How many rows are added at once."""


@dataclass(frozen=True)
class Sent:
    """A form as it was sent: its texts, its files, and the button that was pressed."""

    texts: tuple[tuple[str, str], ...]
    files: Mapping[str, IO[bytes]] = field(repr=False)
    act: str = "check"


def receive(drafts: Drafts, draft: Draft, sent: Sent) -> Draft:
    """Takes what was sent into a draft and saves it; raises UsageError where there is no room."""
    state = draft.state
    kept = _of_tables_kept_as_files(draft)
    taking = Taking(
        fields={**kept, **_texts(sent.texts)},
        rows=dict(state.rows),
        carried=dict(state.carried),
        shifted=set(state.shifted),
        refused=[],
        tables={},
    )
    for name, stream in sent.files.items():
        try:
            _take_file(taking, name, stream)
        except UploadRefusedError as error:
            taking.refused += error.findings
    if pasted := next(iter(taking.fields.get(TERMS_TEXT, ())), ""):
        taking.fields["consent.terms_sha256"] = (hashlib.sha256(pasted.encode()).hexdigest(),)
    _act(taking, sent.act)
    changed = replace(draft, state=State(
        base=state.base,
        fields=taking.fields,
        rows=taking.rows,
        carried=taking.carried,
        shifted=tuple(sorted(taking.shifted)),
        refused=tuple(taking.refused),
        checked=_checked(state, sent),
    ))  # fmt: skip
    drafts.save(changed)
    for name, content in taking.tables.items():
        if content is None:
            changed.table(name).unlink(missing_ok=True)
        else:
            write_atomically(changed.table(name), content)
    return changed


def _checked(state: State, sent: Sent) -> tuple[str, ...]:
    """What is checked from now on: all of it once asked for, else the tables sent."""
    if sent.act in ("check", "preview") or FOLDER in sent.files:
        return ("all",)
    return tuple(sorted({*state.checked, *(name for name in sent.files if name in FILES)}))


def _texts(sent: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """What was typed into fields that the form has; anything else is not looked at."""
    found: dict[str, tuple[str, ...]] = {}
    for name, text in sent:
        if known(name) and (cleaned := clean(text)):
            found[name] = (*found.get(name, ()), cleaned)
    return found


def _of_tables_kept_as_files(draft: Draft) -> dict[str, tuple[str, ...]]:
    """Rows typed before a file took their place: they are not on the page, and not lost."""
    hidden = tuple(f"{name}." for name in draft.files if name in TABLES)
    return {n: texts for n, texts in draft.state.fields.items() if hidden and n.startswith(hidden)}


def _take_file(taking: Taking, name: str, stream: IO[bytes]) -> None:
    if digested(name):
        taking.fields[name] = (digest_of(stream, name),)
        taking.fields.pop(f"{name}.text", None)
    elif name in FILES:
        take_sheet(taking, name, read_sheet(read_whole(stream, name), name))
    elif name == FOLDER:
        folder = read_folder(stream)
        sheets = {table: sheet_of(raw, table) for table, raw in folder.tables.items()}
        if folder.profile is not None:
            open_profile(taking, folder.profile)
        for table, sheet in sheets.items():
            take_sheet(taking, table, sheet)


def _act(taking: Taking, act: str) -> None:
    """What a button asks besides keeping what was typed: more rows, or a file's removal."""
    verb, _, name = act.partition(".")
    if verb == "more" and name in TABLES:
        rows = State(rows=taking.rows)
        taking.rows[name] = min(row_count(rows, TABLES[name]) + MORE, MAX_ROWS)
    elif verb == "drop" and name in FILES:
        taking.tables[name] = None
        taking.shifted -= {name}
