"""What the partner's form asks, in order: the one list that pages, drafts and messages share.

A field's name is its key in `profile.yaml`, parted by dots; the name of a field in a row is
`<table>.<row>.<column>`. Labels and explanations are in the catalogues, under the same names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal, get_args

from registry.consent import Use
from registry.profile import Mode, Rival, Sensitivity, Threshold
from registry.profile_tables import (
    EXAMPLES,
    GUIDANCE,
    HELD_OUT,
    NORMS,
    OPINIONS,
    PREFERENCES,
    VALUES,
    Foundation,
    Shape,
)

Widget = Literal["line", "text", "choice", "ticks", "words", "listed", "digest", "until"]
"""How a field is shown: one line, several, one of a few, some of a few, words parted by blanks, a
list parted by commas, a digest that may be computed from a file, or a last day that may be `never`.
"""

MAX_ROWS = 40
"""Rows of a table that are edited on the page; a longer table is kept as the file that it is."""


@dataclass(frozen=True)
class Field:
    """One thing that the form asks."""

    name: str
    widget: Widget = "line"
    options: tuple[str, ...] = ()
    optional: bool = False
    near: bool = False
    """Whether a column stands with those that are required although it is optional."""

    @property
    def key(self) -> tuple[str, ...]:
        """Where it stands in `profile.yaml`."""
        return tuple(self.name.split("."))


@dataclass(frozen=True)
class Table:
    """A table that the form asks for, as rows on the page or as a file."""

    name: str
    columns: tuple[Field, ...]
    start: int
    """How many empty rows the page starts with."""
    shape: Shape[Any] | None = None
    """Its file; None where its rows stand in `profile.yaml`."""
    optional: bool = False
    at: tuple[str, ...] = ()
    """Where its rows stand in `profile.yaml`."""

    @property
    def more(self) -> bool:
        """Whether it has columns that the page shows only when asked."""
        return any(column.optional and not column.near for column in self.columns)

    @property
    def file(self) -> str:
        """The name of its file in a profile folder."""
        return self.shape.file if self.shape else ""


@dataclass(frozen=True)
class Section:
    """A part of the page."""

    name: str
    fields: tuple[Field, ...] = ()
    tables: tuple[Table, ...] = ()
    files: tuple[str, ...] = ()
    """Tables that are only uploaded, by the form's names for them."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its fields, tables and files, in order."""
        tables = (table.name for table in self.tables)
        return (*(field.name for field in self.fields), *tables, *self.files)


def _options(kind: Any) -> tuple[str, ...]:
    return tuple(str(option) for option in get_args(kind))


_ID = Field("id", optional=True)
_ITEM = Field("item", optional=True)
_LINKED = Field("values", "words", optional=True)
STRENGTHS = ("1", "2", "3", "4", "5")
JUDGEMENTS = ("-2", "-1", "0", "1", "2")
AGREEMENTS = ("0", "1", "2", "3", "4")
METRICS = _options(Threshold.model_fields["metric"].annotation)
RIVALS = _options(Rival)

SECTIONS = (
    Section("about", (
        Field("name"),
        Field("id"),
        Field("description", "text"),
        Field("scope", "text"),
        Field("languages", "words"),
        Field("sensitive", "ticks", _options(Sensitivity), optional=True),
    )),
    Section("body", (
        Field("steward.organisation"),
        Field("steward.role"),
        Field("steward.contact"),
        Field("steward.key", optional=True),
        Field("authority.basis", "choice", ("board-vote", "assembly", "survey", "individual")),
        Field("authority.evidence_sha256", "digest"),
        Field("attribution", "choice", ("named", "pseudonymous", "none")),
    )),
    Section("gathered", (
        Field("elicitation.method", "choice",
              ("survey", "assembly", "polis", "interviews", "written-by-the-body")),
        Field("elicitation.dates.start"),
        Field("elicitation.dates.end"),
        Field("elicitation.invited", optional=True),
        Field("elicitation.took_part"),
        Field("elicitation.payment"),
        Field("elicitation.facilitator", optional=True),
    ), (
        Table("participants", (Field("group"), Field("n")), 1, optional=True, at=("participants",)),
    )),
    Section("hold", tables=(
        Table("values", (
            Field("statement", "text"),
            Field("strength", "choice", STRENGTHS),
            Field("agreement"),
            Field("n"),
            Field("rationale", "text", optional=True),
            Field("dissent", "text", optional=True),
            _ID,
        ), 3, VALUES),
        Table("guidance", (
            Field("when", "text"),
            Field("prefer", "text"),
            Field("avoid", "text", optional=True),
            _LINKED,
            _ID,
        ), 1, GUIDANCE, optional=True),
        Table("norms", (
            Field("situation", "text"),
            Field("rule", "text"),
            Field("judgement", "choice", JUDGEMENTS),
            Field("agreement", "choice", AGREEMENTS),
            Field("foundations", "ticks", _options(Foundation), optional=True),
            _ITEM,
            _ID,
        ), 1, NORMS, optional=True),
    )),
    Section("show", tables=(
        Table("examples", (
            Field("prompt", "text"),
            Field("preferred", "text"),
            Field("dispreferred", "text"),
            Field("author"),
            _LINKED,
            _ITEM,
            _ID,
        ), 5, EXAMPLES),
        Table("preferences", (
            Field("prompt", "text"),
            Field("chosen", "text"),
            Field("rejected", "text"),
            Field("agreement", optional=True, near=True),
            Field("n", optional=True, near=True),
            _ITEM,
            _ID,
        ), 1, PREFERENCES, optional=True),
    )),
    Section("figures", (
        Field("opinions.instrument", optional=True),
        Field("opinions.fielded.start", optional=True),
        Field("opinions.fielded.end", optional=True),
        Field("opinions.weighting", optional=True),
        Field("opinions.held_out", "choice", ("true", "false"), optional=True),
        Field("opinions.override", "text", optional=True),
    ), (
        Table("sources", (
            Field("title", "text"),
            Field("publisher"),
            Field("citation", "text"),
            Field("url"),
            Field("licence"),
            Field("sha256", "digest"),
            Field("row_id", optional=True),
        ), 1, optional=True, at=("sources",)),
    ), ("opinions", "held-out")),
    Section("allow", (
        Field("permission", "choice", ("consent", "mandate")),
        Field("consent.uses", "ticks", _options(Use)),
        Field("consent.statement", "text"),
        Field("consent.granted_by"),
        Field("consent.granted_on"),
        Field("consent.expires_on", "until"),
        Field("consent.review_by", optional=True),
        Field("consent.terms_version"),
        Field("consent.terms_sha256", "digest"),
        Field("consent.jurisdiction", optional=True),
        Field("licence", "choice", ("none-granted", "CC-BY-4.0", "CC-BY-SA-4.0", "CC0-1.0")),
        Field("labels", "words", optional=True),
        Field("modes", "ticks", _options(Mode)),
    )),
    Section("judge", (
        Field("evaluation.held_out_share", optional=True),
        Field("evaluation.sign_off", optional=True),
    ), (
        Table("thresholds", (
            Field("metric", "choice", METRICS),
            Field("slice", optional=True),
            Field("at_most", optional=True, near=True),
            Field("at_least", optional=True, near=True),
            Field("beats", "ticks", RIVALS, optional=True),
            Field("evaluation", optional=True),
        ), 1, optional=True, at=("evaluation", "thresholds")),
    )),
    Section("leave", (
        Field("withdrawal.contact"),
        Field("withdrawal.notice_days"),
        Field("withdrawal.releases", "choice", ("retire", "retrain", "leave-with-notice")),
    )),
    Section("limits", tables=(
        Table("off_limits", (
            Field("topic", optional=True, near=True),
            Field("terms", "listed", optional=True, near=True),
            Field("steward_only", "ticks", ("true",), optional=True, near=True),
            _ID,
        ), 1, optional=True, at=("off_limits",)),
    )),
)  # fmt: skip

FIELDS = {field.name: field for section in SECTIONS for field in section.fields}
TABLES = {table.name: table for section in SECTIONS for table in section.tables}
FILES: dict[str, Shape[Any]] = {
    "values": VALUES,
    "guidance": GUIDANCE,
    "norms": NORMS,
    "examples": EXAMPLES,
    "preferences": PREFERENCES,
    "opinions": OPINIONS,
    "held-out": HELD_OUT,
}
"""Every table that a profile folder may hold, by the name that the form uses for it."""
FOLDER = "folder"
"""The upload of a whole profile folder, or of a `profile.yaml`."""
TERMS_TEXT = "consent.terms_sha256.text"
"""Where terms are pasted, to have their digest computed."""
NEVER = "consent.expires_on.never"
"""The tick that says that a consent has no last day."""

_CELL = re.compile(r"([a-z_]{1,20})\.([0-9]{1,2})\.([a-z_]{1,20})")


def cell(name: str) -> tuple[Table, int, Field] | None:
    """The table, row and column that a form field's name speaks of, or None."""
    found = _CELL.fullmatch(name)
    if not found or found[1] not in TABLES or int(found[2]) >= MAX_ROWS:
        return None
    table = TABLES[found[1]]
    column = next((column for column in table.columns if column.name == found[3]), None)
    canonical = column and name == f"{table.name}.{int(found[2])}.{column.name}"
    return (table, int(found[2]), column) if column and canonical else None


def digested(name: str) -> bool:
    """Whether a field holds a digest, for which a file may be sent."""
    found = cell(name)
    asked = found[2] if found else FIELDS.get(name)
    return asked is not None and asked.widget == "digest"


def known(name: str) -> bool:
    """Whether the form has a field of this name."""
    return name in FIELDS or name in (TERMS_TEXT, NEVER) or cell(name) is not None
