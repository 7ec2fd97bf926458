"""Pages: templates of ours filled with escaped text, and spreadsheets to fill in."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from registry.site.drafts import Draft, Finding
from registry.site.fields import (
    FIELDS,
    FILES,
    FOLDER,
    MAX_ROWS,
    NEVER,
    SECTIONS,
    TABLES,
    TERMS_TEXT,
)
from registry.site.form import row_count
from registry.site.messages import Catalogue, catalogues

HERE = Path(__file__).parent
STYLE = (HERE / "static" / "style.css").read_bytes()


def _opinion(option: str, position: str, count: str, share: str) -> dict[str, str]:
    n = "100" if count in ("60", "40") else "60"
    return {"item": "water-free", "option": option, "position": position, "count": count,
            "share": share, "n": n, "n_effective": n, "mark": ""}  # fmt: skip


ROWS: Mapping[str, Sequence[Mapping[str, str]]] = {
    "values": [
        {
            "id": "shared-water",
            "statement": "Water from the common spring belongs to everybody.",
            "rationale": "Our grandparents dug the channels together.",
            "strength": "5",
            "agreement": "0.92",
            "n": "84",
            "dissent": "Some would charge visitors.",
        }
    ],
    "guidance": [
        {
            "id": "ask-elders",
            "when": "Somebody asks how to settle a quarrel over land.",
            "prefer": "Suggest asking the elders first.",
            "avoid": "Do not send people straight to court.",
            "values": "shared-water",
        }
    ],
    "norms": [
        {
            "id": "greet-first",
            "situation": "Somebody walks past a neighbour without a greeting.",
            "rule": "It is good to greet whoever one meets.",
            "judgement": "-1",
            "agreement": "3",
            "foundations": "care-harm",
            "item": "",
        }
    ],
    "examples": [
        {
            "id": "leaving-food",
            "prompt": "A guest has left food on the plate. Is that rude?",
            "preferred": "Not with us: it says that there was enough.",
            "dispreferred": "Yes, it is always rude.",
            "values": "shared-water",
            "author": "the baker",
            "item": "",
        }
    ],
    "preferences": [
        {
            "id": "first-pair",
            "prompt": "May I take water for my garden in August?",
            "chosen": "Ask at the spring house first; in August each house has its day.",
            "rejected": "Take as much as you like.",
            "agreement": "0.8",
            "n": "40",
            "item": "",
        }
    ],
    "opinions": [_opinion("Yes", "1", "60", "0.6"), _opinion("No", "2", "40", "0.4")],
    "held-out": [_opinion("Yes", "1", "30", "0.5"), _opinion("No", "2", "30", "0.5")],
}
"""A row or two of each table, as its template shows them."""


@cache
def templates() -> Mapping[str, bytes]:
    """For each table that is uploaded by itself, a CSV with its columns and one row."""
    found: dict[str, bytes] = {}
    for name in ROWS:
        out = io.StringIO(newline="")
        writer = csv.DictWriter(out, FILES[name].columns, lineterminator="\r\n")
        writer.writeheader()
        writer.writerows(ROWS[name])
        # The mark at the start makes spreadsheets read it as UTF-8.
        found[f"{name}.csv"] = out.getvalue().encode("utf-8-sig")
    return found


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(name: str, words: Catalogue, **values: Any) -> str:
    """A page of ours in one language."""
    template = _environment().get_template(name)
    others = {code: found("language") for code, found in catalogues().items()}
    return template.render(t=words, languages=others, changed=changed, sheets=tuple(ROWS), **values)


def form_page(
    words: Catalogue, draft: Draft, findings: Sequence[Finding], token: str, *, fresh: bool
) -> str:
    """The form with everything that was typed, and the messages beside their fields."""
    beside: dict[str, list[Finding]] = {}
    for finding in findings:
        beside.setdefault(finding.field, []).append(finding)
    return render(
        "form.html",
        words,
        sections=SECTIONS,
        draft=draft,
        state=draft.state,
        findings=findings,
        beside=beside,
        anchors=[_anchor(finding.field, draft) for finding in findings],
        labels=[label(words, finding.field) for finding in findings],
        counts=_counts(findings),
        row_count=row_count,
        max_rows=MAX_ROWS,
        token=token,
        fresh=fresh,
        never=NEVER,
        terms_text=TERMS_TEXT,
        files=FILES,
        tables=TABLES,
        folder=FOLDER,
        sizes={name: -(-draft.table(name).stat().st_size // 1024) for name in draft.files},
    )


def shown_findings(draft: Draft, findings: Sequence[Finding]) -> list[Finding]:
    """What the visitor asked to see: nothing is called wrong before it was asked about."""
    checked = draft.state.checked
    wanted = [f for f in findings if "all" in checked or f.field.partition(".")[0] in checked]
    refused = {finding.field for finding in draft.state.refused}
    # A table whose file was not taken says so; that it is missing would be said twice.
    return [*draft.state.refused, *(f for f in wanted if f.field not in refused)]


def label(words: Catalogue, name: str) -> str:
    """What people call a field: its label, and the row it stands in."""
    if not name:
        return words("summary.whole")
    if name in FIELDS:
        return words(f"field.{name}.label")
    if name == FOLDER:
        return words("folder.title")
    table, _, rest = name.partition(".")
    row, _, column = rest.partition(".")
    if table not in TABLES:
        return words(f"file.{table}")
    shown = words(f"table.{table}.title")
    if row:
        shown = words("summary.row", table=shown, row=int(row) + 1)
    return f"{shown}: {words(f'column.{table}.{column}.label')}" if column else shown


def changed(words: Catalogue, where: str) -> str:
    """What people call what a change speaks of: a field, a table, or a file."""
    table = next((table for table in TABLES.values() if ".".join(table.at) == where), None)
    if table is not None and where:
        return words(f"table.{table.name}.title")
    file = next((name for name, shape in FILES.items() if shape.file == where), None)
    return words(f"file.{file}") if file else words.maybe(f"field.{where}.label") or where


def _anchor(name: str, draft: Draft) -> str:
    table = name.partition(".")[0]
    if table in TABLES and table in draft.files:
        return f"f-{table}"
    return f"f-{name}" if name else "summary"


def _counts(findings: Sequence[Finding]) -> dict[str, int]:
    """How many things there are to fix in each section."""
    counts: dict[str, int] = {}
    for section in SECTIONS:
        names = section.names
        mine = [f for f in findings if f.field in names or f.field.partition(".")[0] in names]
        counts[section.name] = len(mine)
    return counts
