"""A questionnaire: every item of an instrument in every wording, and which items are held out.

Whether an item is held out is a function of its id alone, so that it is the same for all
communities, tables and models, and all wordings of an item fall on the same side.
"""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, Field

from assets.rows import LIBRARIES, row_id, write_rows
from registry.declaration import Slug
from registry.errors import ProblemsError
from registry.method import Method, SourcePath
from registry.profile import Fielded
from registry.profile_tables import held_out
from registry.strict_yaml import read, typed
from registry.typed import Frozen

if TYPE_CHECKING:
    from registry.context import Context

UNSEEN = "unseen"
"""The wording that only evaluations read."""
MIXED = "+"
"""What stands between the wordings of stem and phrase, where they differ."""


def _fill(template: str, phrase: str) -> str:
    return template.replace("{item}", phrase)


class Battery(Frozen):
    """Items that share a stem and a scale."""

    options: tuple[str, ...] = Field(min_length=2, max_length=26)
    """The options, in the order of the survey's codes."""
    wordings: dict[str, str]
    """One stem a wording; `{item}` stands for the item's phrase."""
    items: dict[str, dict[str, str]]
    """For each item its phrase in each wording; none where the stem is the whole question."""


def _check_wordings(batteries: dict[str, Battery]) -> dict[str, Battery]:
    names = {tuple(sorted(battery.wordings)) for battery in batteries.values()}
    if len(names) != 1:
        raise ValueError("every battery needs the same wordings")
    if UNSEEN not in next(iter(names)):
        raise ValueError(f"every battery needs a wording {UNSEEN!r}, for evaluations")
    for name, battery in batteries.items():
        for item, phrases in battery.items.items():
            for wording, stem in battery.wordings.items():
                if "{item}" in stem and wording not in phrases:
                    raise ValueError(f"{name}: item {item} lacks a phrase for wording {wording!r}")
    return batteries


class Instrument(Frozen):
    """The file of a questionnaire."""

    schema_version: int = Field(ge=1, le=1)
    """The version of this schema."""
    id: Slug
    """The instrument's id, which profiles name."""
    title: str = Field(min_length=3)
    """Its title."""
    language: str
    """The language of its wordings, as a BCP-47 tag."""
    licence: str
    """SPDX identifier of its licence."""
    citation: str = Field(min_length=10)
    """How to cite it."""
    fielded: Fielded
    """When people were asked."""
    batteries: Annotated[dict[str, Battery], AfterValidator(_check_wordings)]
    """Its batteries."""


class Params(Frozen):
    """Which questionnaire, and how much of it is held out."""

    instrument: SourcePath
    """The instrument's YAML file, from the project's root."""
    held_out_share: float = Field(default=0.25, ge=0, lt=1)
    """The share of items that no model learns from."""
    mixed: bool = False
    """Whether each stem for learning also stands with the phrases of the other wordings for
    learning, as wording `a+b`. Three wordings make nine questions of an item, so that a model hears
    the phrase whatever stem it stands in. Some sound odd: learn from them, ask people the three."""


def asked_as(battery: Battery, item: str, *, mixed: bool) -> dict[str, str]:
    """The question of an item in each wording, by the wording's name; no text stands twice."""
    phrases = battery.items[item]
    names = sorted(battery.wordings)
    found = {name: _fill(battery.wordings[name], phrases.get(name, "")) for name in names}
    learned = [name for name in names if name != UNSEEN]
    for stem, phrase in permutations(learned, 2) if mixed else ():
        text = _fill(battery.wordings[stem], phrases.get(phrase, ""))
        if text not in found.values():
            found[f"{stem}{MIXED}{phrase}"] = text
    return found


def compose(
    instrument: Instrument, held_out_share: float, *, mixed: bool = False
) -> list[dict[str, Any]]:
    """One row for every item and wording."""
    rows = []
    for battery_id, battery in instrument.batteries.items():
        for item in battery.items:
            for wording, question in asked_as(battery, item, mixed=mixed).items():
                content = {
                    "instrument": instrument.id,
                    "battery": battery_id,
                    "item": item,
                    "wording": wording,
                    "question": question,
                    "options": list(battery.options),
                    "held_out": held_out(instrument.id, item, held_out_share),
                }
                rows.append({"row_id": row_id(f"instrument:{instrument.id}", content), **content})
    return rows


def run(context: Context) -> None:
    """Composes every question of the instrument."""
    params = context.typed(Params)
    document, problems = read(context.source(params.instrument), params.instrument)
    if document is None:
        raise ProblemsError(problems)
    instrument, problems = typed(Instrument, document)
    if instrument is None:
        raise ProblemsError(problems)
    write_rows(
        context.out / "items.parquet",
        compose(instrument, params.held_out_share, mixed=params.mixed),
    )


method = Method(
    name="questionnaire",
    kind="dataset",
    description="Every item of a survey instrument in every wording.",
    params=Params,
    run=run,
    libraries=LIBRARIES,
)
