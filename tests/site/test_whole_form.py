"""Everything that a profile may hold can be filled in, and every example on the page is right."""

from __future__ import annotations

import dataclasses

import pytest

from registry.message import ABOUT
from registry.partly import model_in
from registry.profile import ValueProfile
from registry.profile_check import check_folder
from registry.site.drafts import Drafts, State
from registry.site.fields import FIELDS, FILES, NEVER, SECTIONS, TABLES
from registry.site.findings import check
from registry.site.form import build
from registry.site.messages import catalogue
from registry.site.pages import templates
from registry.site.sheets import read_sheet
from registry.translation import said

OURS = {"schema_version", "revision", "supersedes", "kind"}
"""What the form writes itself."""
CARRIED = {"fictional"}
"""What only an uploaded `profile.yaml` says: it loosens rules, and no partner is made up."""
PRINTED = ("choice", "ticks")


def leaves(model, before=""):
    """Every field of a model that holds no further model, by dotted name."""
    for name, info in model.model_fields.items():
        nested = model_in(info.annotation)
        if nested is None:
            yield f"{before}{name}"
        else:
            yield from leaves(nested, f"{before}{name}.")


def test_every_field_of_a_profile_is_asked_for():
    asked = set(FIELDS)
    for table in TABLES.values():
        asked |= {".".join([*table.at, column.name]) for column in table.columns if table.at}
    assert asked == set(leaves(ValueProfile)) - OURS - CARRIED


def test_every_table_can_be_uploaded_and_has_a_template_that_is_right(root):
    uploaded = {table.name for table in TABLES.values() if table.shape}
    uploaded |= {name for section in SECTIONS for name in section.files}
    assert uploaded == set(FILES)
    for name in FILES:
        sheet = read_sheet(templates()[f"{name}.csv"], name)
        assert sheet.rows or sheet.raw


def example(words, key, asked):
    """What the page gives as an example, or the first choice where it gives choices."""
    if asked.widget in PRINTED:
        return (asked.options[0],)
    return (words(f"{key}.example"),)


@pytest.mark.parametrize("language", ["en", "de"])
def test_the_examples_of_all_fields_together_are_a_whole_profile(root, language):
    words = catalogue(language)
    texts = {name: example(words, f"field.{name}", asked) for name, asked in FIELDS.items()}
    for table in TABLES.values():
        for row in range(5 if table.name == "examples" else 1):
            for column in table.columns:
                key = f"column.{table.name}.{column.name}"
                texts[f"{table.name}.{row}.{column.name}"] = example(words, key, column)
    for row in range(1, 5):
        texts[f"examples.{row}.id"] = (f"another-{row}",)
    for column in ("id", "values"):
        texts[f"values.0.{column}"] = ("value-1",)
    del texts["thresholds.0.at_least"], texts["thresholds.0.beats"]
    del texts["off_limits.0.steward_only"]
    texts["sensitive"] = ()
    state = State(fields={name: given for name, given in texts.items() if given})
    draft = dataclasses.replace(Drafts(root / "drafts", b"s" * 32).new("v" * 64), state=state)
    assert check(draft, root) == ()
    folder = root / "proposals" / build(draft).id
    build(draft).write(folder)
    profile = check_folder(folder, root).profile.profile
    assert (profile.evaluation.held_out_share, profile.evaluation.thresholds[0].at_most) == (
        0.2,
        0.3,
    )
    assert profile.participants[0].n == 24
    assert profile.sources[0].licence == "CC-BY-4.0"
    assert profile.labels
    assert profile.opinions.held_out
    assert len(profile.off_limits[0].terms) == 2


WRONG = {
    "steward.key": ("ssh-ed25519 AAAA", "`chorus profile key new`"),
    "participants.0.group": ("a", "must have at least 2 characters"),
    "participants.0.n": ("4", "must be 10 or more"),
    "sources.0.url": ("ftp://x", "must be a web address"),
    "sources.0.sha256": ("abc", "64 small hex digits"),
    "labels": ("javascript:alert(1)", "must be a web address"),
    "evaluation.held_out_share": ("0,9", "must be 0.5 or less"),
    "thresholds.0.at_most": ("low", "must be a number"),
    "opinions.instrument": ("Our Survey", "small letters"),
    "opinions.fielded.start": ("spring", "year-month-day"),
    "opinions.held_out": ("perhaps", "must be `true` or `false`"),
    "preferences.0.agreement": ("0,2", "must be 0.5 or more"),
    "preferences.0.chosen": ("x", "must have at least 3 characters"),
    "off_limits.0.terms": ("a, b", "name the topic"),
}


@pytest.mark.parametrize("field", WRONG)
def test_a_message_stands_beside_it_and_is_that_of_the_command(root, field):
    from tests.site.filled import FIELDS as TYPED

    text, says = WRONG[field]
    texts = {n: tuple([t] if isinstance(t, str) else t) for n, t in TYPED.items()}
    draft = Drafts(root / "drafts", b"s" * 32).new("v" * 64)
    draft = dataclasses.replace(draft, state=State(fields=texts | {field: (text,)}))
    found = check(draft, root)
    beside = "off_limits.0" if field.startswith("off_limits") else field
    assert says in " ".join(f.what for f in found if f.field == beside), found
    folder = root / "proposals" / build(draft).id
    build(draft).write(folder)
    problems = check_folder(folder, root).problems
    for language in ("en", "de"):
        printed = " ".join(said(problem.what, language) for problem in problems)
        assert all(said(finding.what, language) in printed for finding in found)
    assert any(problem.what.template != ABOUT or problem.what.values["at"] for problem in problems)


def test_no_last_day_is_still_one_of_the_fields():
    assert NEVER.startswith("consent.expires_on")
