"""What models would be taught from a profile, and what is kept back and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry.errors import ChorusError
from registry.held_out import instrument_share, kept_back
from registry.profile_folder import Profile
from registry.profile_tables import held_out
from registry.project import load_project
from registry.strict_yaml import read

SHOWN = 10
_JUDGED = {
    -2: "That is very bad.",
    -1: "That is bad.",
    0: "That depends, or is all right.",
    1: "That is good.",
    2: "That is very good.",
}


@dataclass(frozen=True)
class Taught:
    """One prompt, the answer that is taught, and the one that is not."""

    table: str
    id: str
    prompt: str
    answer: str
    avoid: str = ""


@dataclass(frozen=True)
class Dropped:
    """A row that no model learns from, and why."""

    table: str
    id: str
    why: str


def preview(profile: Profile, root: Path) -> tuple[list[Taught], list[Dropped]]:
    """Everything that would be taught, and everything that would not."""
    taught: list[Taught] = []
    dropped: list[Dropped] = []
    asked = profile.profile.opinions
    instrument = asked.instrument if asked else ""
    questions = held_out_share(root, instrument)
    back_here = set(kept_back(profile, questions))
    kept = [(row, (row.table, row.id) in back_here) for row in _rows(profile)]
    kept += [(row, held_out(instrument, row.id, questions)) for row in _opinions(profile, root)]
    for row, back in kept:
        if back:
            dropped.append(Dropped(row.table, row.id, "kept back, so that models can be measured"))
        else:
            taught.append(row)
    return taught, dropped


def held_out_share(root: Path, instrument: str) -> float:
    """The share of a questionnaire's items that its declaration holds out; 0 where none does."""
    try:
        return instrument_share(load_project(root), instrument)
    except ChorusError:
        return 0.0


def mixed(rows: list[Taught], count: int = SHOWN) -> list[Taught]:
    """Some rows of every table, in turn."""
    tables: dict[str, list[Taught]] = {}
    for row in rows:
        tables.setdefault(row.table, []).append(row)
    found: list[Taught] = []
    while len(found) < count and any(tables.values()):
        found += [part.pop(0) for part in tables.values() if part]
    return found[:count]


def _rows(profile: Profile) -> Iterator[Taught]:
    tables = profile.tables()
    for row in _of(tables, "examples.jsonl"):
        yield Taught("examples.jsonl", row.id, row.prompt, row.preferred, row.dispreferred)
    for row in _of(tables, "norms.csv"):
        answer = f"{_JUDGED[row.judgement]} {row.rule}"
        yield Taught("norms.csv", row.id, row.situation, answer)
    for row in _of(tables, "guidance.csv"):
        yield Taught("guidance.csv", row.id, row.when, row.prefer, row.avoid or "")
    for row in _of(tables, "preferences.jsonl"):
        yield Taught("preferences.jsonl", row.id, row.prompt, row.chosen, row.rejected)


def _of(tables: dict[str, Any], name: str) -> tuple[Any, ...]:
    return tables[name].rows if name in tables else ()


def _opinions(profile: Profile, root: Path) -> Iterator[Taught]:
    """Each item with the shares in which people answered; the words are the questionnaire's."""
    wordings = _wordings(profile, root)
    items: dict[str, list[Any]] = {}
    for row in _of(profile.tables(), "opinions.csv"):
        items.setdefault(row.item, []).append(row)
    for item, rows in items.items():
        answer = ", ".join(f"{row.option} {row.share:.0%}" for row in rows)
        yield Taught("opinions.csv", item, wordings.get(item, item), answer)


def _wordings(profile: Profile, root: Path) -> dict[str, str]:
    opinions = profile.profile.opinions
    path = root / "registry" / "instruments" / f"{opinions.instrument if opinions else ''}.yaml"
    document = read(path, path.name)[0] if path.is_file() else None
    found: dict[str, str] = {}
    for battery in (document.data.get("batteries", {}) if document else {}).values():
        for item, phrases in battery["items"].items():
            wording = next(iter(battery["wordings"]))
            found[item] = battery["wordings"][wording].replace("{item}", phrases.get(wording, ""))
    return found
