"""What a visitor sent, taken into the draft: text as it is, files as far as they can be read."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import IO, Any

from registry.artifact import write_atomically
from registry.profile import ValueProfile
from registry.site.drafts import Draft, Drafts, Finding, State
from registry.site.fields import (
    DIGESTED,
    FIELDS,
    FILES,
    FOLDER,
    MAX_ROWS,
    NEVER,
    TABLES,
    TERMS_TEXT,
    UPLOADS,
    known,
)
from registry.site.form import row_count
from registry.site.sheets import Sheet, read_sheet
from registry.site.uploads import (
    PROFILE,
    UploadRefusedError,
    digest_of,
    read_folder,
    read_whole,
    refused,
)
from registry.strict_yaml import parse, typed

MORE = 2
"""How many rows are added at once."""
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Sent:
    """A form as it was sent: its texts, its files, and the button that was pressed."""

    texts: tuple[tuple[str, str], ...]
    files: Mapping[str, IO[bytes]] = field(repr=False)
    act: str = "check"


@dataclass
class _Taking:
    """The draft while it changes."""

    fields: dict[str, tuple[str, ...]]
    rows: dict[str, int]
    carried: dict[str, Any]
    shifted: set[str]
    refused: list[Finding]
    tables: dict[str, bytes | None]
    """Files to keep, and those to remove."""


def receive(drafts: Drafts, draft: Draft, sent: Sent) -> Draft:
    """Takes what was sent into a draft and saves it; raises UsageError where there is no room."""
    state = draft.state
    kept = _of_tables_kept_as_files(draft)
    taking = _Taking(
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
    return tuple(sorted({*state.checked, *(name for name in sent.files if name in UPLOADS)}))


def clean(text: str) -> str:
    """Text as it is kept: one kind of line end, letters composed, nothing around it."""
    text = _SURROGATE.sub("\ufffd", text).replace("\r\n", "\n").replace("\r", "\n")
    return unicodedata.normalize("NFC", text).strip()


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


def _take_file(taking: _Taking, name: str, stream: IO[bytes]) -> None:
    if name in DIGESTED:
        taking.fields[name] = (digest_of(stream, name),)
        taking.fields.pop(f"{name}.text", None)
    elif name in UPLOADS:
        _take_sheet(taking, name, read_sheet(read_whole(stream, name), name))
    elif name == FOLDER:
        folder = read_folder(stream)
        sheets = {table: _sheet_of_folder(raw, table) for table, raw in folder.tables.items()}
        if folder.profile is not None:
            _open(taking, folder.profile)
        for table, sheet in sheets.items():
            _take_sheet(taking, table, sheet)


def _sheet_of_folder(raw: bytes, table: str) -> Sheet:
    return read_sheet(raw, table) if table in TABLES else Sheet(raw=raw)


def _take_sheet(taking: _Taking, name: str, sheet: Sheet) -> None:
    """Puts a table in the place of the one that was there."""
    taking.shifted -= {name}
    if sheet.raw is not None:
        taking.tables[name] = sheet.raw
        taking.shifted |= {name} if sheet.shifted else set()
        return
    taking.tables[name] = None
    _put_rows(taking, name, sheet.rows)


def _put_rows(taking: _Taking, name: str, rows: Iterable[Mapping[str, str]]) -> None:
    table = TABLES[name]
    for old in [old for old in taking.fields if old.startswith(f"{name}.")]:
        del taking.fields[old]
    number = 0
    for number, row in enumerate(rows, 1):
        for column in table.columns:
            if text := clean(row.get(column.name, "")):
                parts = tuple(text.split()) if column.widget == "ticks" else (text,)
                taking.fields[f"{name}.{number - 1}.{column.name}"] = parts
    taking.rows[name] = max(number, table.start)


def _open(taking: _Taking, raw: bytes) -> None:
    """Takes a `profile.yaml` apart into fields, and keys that the form does not ask for."""
    document, problems = parse(raw, PROFILE)
    data = document.data if document is not None else None
    if document is None or not isinstance(data, dict):
        found = [
            Finding(field=FOLDER, what=f"{p.place.path}: {p.what}", mend=p.mend,
                    line=p.place.line, lead="lead.not-taken")
            for p in problems
        ]  # fmt: skip
        what = "holds no profile"
        raise UploadRefusedError(found) if found else refused(FOLDER, what, "see the example")
    described = data.get("kind", "self-described") == "self-described"
    if not described or data.get("permission") == "licence":
        mend = "hand it in with `chorus profile submit`"
        raise refused(
            FOLDER, "is not a community's own description, given by consent or mandate", mend
        )
    carried = dict(data)
    carried.pop("kind", None)
    fields: dict[str, tuple[str, ...]] = {}
    for name, asked in FIELDS.items():
        value = _take_out(carried, asked.key)
        if value is None:
            continue
        if isinstance(value, str) and asked.widget != "ticks":
            fields[name] = (clean(value),)
        elif isinstance(value, list) and all(isinstance(each, str) for each in value):
            ticked = asked.widget == "ticks"
            fields[name] = tuple(map(clean, value)) if ticked else (" ".join(value),)
        else:
            problems = typed(ValueProfile, document)[1]
            raise refused(FOLDER, f"{PROFILE}: {name} is not of the kind that belongs there",
                          problems[0].mend if problems else "see the example")  # fmt: skip
    if fields.get("consent.expires_on") == ("never",):
        fields[NEVER] = ("true",)
        del fields["consent.expires_on"]
    topics = _topics(carried.get("off_limits"))
    taking.carried = carried
    taking.fields = {n: t for n, t in taking.fields.items() if n not in FIELDS and n != NEVER}
    taking.fields |= fields
    if topics is not None:
        del carried["off_limits"]
        _put_rows(taking, "off_limits", topics)


def _take_out(data: dict[str, Any], key: tuple[str, ...]) -> Any:
    """Takes the value of a key out of nested data, and the groups that are empty then.

    Where a group is no mapping, `{}` stands for a value that fits no field.
    """
    head, rest = key[0], key[1:]
    if head not in data:
        return None
    if not rest:
        return data.pop(head)
    if not isinstance(data[head], dict):
        return {}
    data[head] = dict(data[head])
    found = _take_out(data[head], rest)
    if not data[head]:
        del data[head]
    return found


def _topics(given: Any) -> list[dict[str, str]] | None:
    """Topics off limits as rows on the page, or None where they do not fit there."""
    if not isinstance(given, list) or len(given) > MAX_ROWS:
        return None
    rows = []
    for topic in given:
        if not isinstance(topic, dict) or not set(topic) <= {
            "id",
            "topic",
            "terms",
            "steward_only",
        }:
            return None
        row = {name: text for name, text in topic.items() if isinstance(text, str)}
        terms = topic.get("terms", [])
        if not isinstance(terms, list) or not all(isinstance(term, str) for term in terms):
            return None
        if row.get("steward_only") != "true":
            row.pop("steward_only", None)
        rows.append({**row, "terms": ", ".join(terms)})
    return rows


def _act(taking: _Taking, act: str) -> None:
    """What a button asks besides keeping what was typed: more rows, or a file's removal."""
    verb, _, name = act.partition(".")
    if verb == "more" and name in TABLES:
        rows = State(rows=taking.rows)
        taking.rows[name] = min(row_count(rows, TABLES[name]) + MORE, MAX_ROWS)
    elif verb == "drop" and name in FILES:
        taking.tables[name] = None
        taking.shifted -= {name}
