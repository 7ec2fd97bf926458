"""From typed text to a profile folder, and from the checker's messages back to the fields."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.errors import ProblemsError
from registry.profile_check import check_folder, check_tables
from registry.profile_folder import read_profile
from registry.site.drafts import Drafts, State
from registry.site.fields import FIELDS as ASKED
from registry.site.fields import FILES, TABLES, cell, known
from registry.site.findings import check
from registry.site.form import build, dump
from registry.strict_yaml import parse
from tests.site.filled import FIELDS, ID

VISITOR = "v" * 64


@pytest.fixture
def draft(root):
    drafts = Drafts(root / ".chorus" / "drafts", b"s" * 32)
    return drafts.new(VISITOR)


def typed(draft, **changed):
    """The whole form, typed in, but for what is changed."""
    fields = FIELDS | {name.replace("__", "."): text for name, text in changed.items()}
    texts = {n: tuple([t] if isinstance(t, str) else t) for n, t in fields.items() if t}
    return dataclasses.replace(draft, state=State(fields=texts))


def command_line(draft, root):
    """What `chorus profile check` says of the same folder."""
    folder = root / "proposals" / build(draft).id
    build(draft).write(folder)
    return ProblemsError(check_folder(folder, root).problems).problems


class TestFolder:
    def test_a_whole_form_is_a_whole_profile(self, draft, root):
        full = typed(draft)
        assert check(full, root) == ()
        folder = root / "proposals" / ID
        build(full).write(folder)
        profile, problems = read_profile(folder, root)
        assert profile
        assert not problems
        assert not check_tables(profile)
        assert profile.profile.languages == ("en", "de-AT")
        assert profile.profile.consent.uses == ("train-sft", "evaluate")
        values = profile.tables()["values.csv"].rows
        assert [(v.id, v.agreement, v.strength) for v in values] == [("value-1", 0.92, 5)]
        examples = profile.tables()["examples.jsonl"].rows
        assert [e.id for e in examples] == [f"example-{n}" for n in range(1, 6)]

    def test_rows_may_be_left_out_in_between(self, draft):
        rows = {"values__4__statement": "Bridges are mended together."}
        state = typed(draft, **rows).state.model_copy(update={"rows": {"values": 7}})
        built = build(dataclasses.replace(draft, state=state))
        assert built.rows["values"] == {2: 0, 3: 4}
        assert b"value-5" in built.tables["values.csv"]

    def test_a_cell_of_several_lines_keeps_the_map_of_lines(self, draft):
        rows = {"values__0__rationale": "One.\nTwo.", "values__1__statement": "Next."}
        built = build(typed(draft, **rows))
        assert built.rows["values"] == {3: 0, 4: 1}

    def test_every_use_that_is_not_ticked_is_not_granted(self, draft):
        assert "publish" not in build(typed(draft)).yaml

    def test_no_last_day_is_written_as_never(self, draft):
        built = build(typed(draft, consent__expires_on__never="true", consent__expires_on=""))
        assert 'expires_on: "never"' in built.yaml

    @pytest.mark.parametrize("name", ["../etc", "a/b", "A", "..", "a\0b", "x" * 60, "a--b"])
    def test_an_id_that_is_no_name_is_never_part_of_a_path(self, draft, root, name):
        wrong = typed(draft, id=name)
        assert build(wrong).id == "new-profile"
        assert [f.field for f in check(wrong, root)] == ["id"]


class TestYaml:
    @settings(max_examples=60)
    @given(st.text(), st.lists(st.text(), max_size=3))
    def test_reads_back_as_it_was_or_is_refused_on_its_line(self, text, listed):
        written, keys = dump({"a": {"b": text, "c": listed}, "d": [{"e": text}, {"f": "g"}]})
        document, problems = parse(written.encode(errors="replace"), "profile.yaml")
        if document is None:
            assert all(keys[p.place.line][0] in ("a", "d") for p in problems)
        else:
            expected = {"a": {"b": text, "c": listed}, "d": [{"e": text}, {"f": "g"}]}
            assert json.dumps(document.data) == json.dumps(expected)


BESIDE = {
    "off_limits.0.terms": "off_limits.0",
    "guidance.0.when": "guidance.0.prefer",
    "norms.0.judgement": "norms.0.situation",
}
"""Where something is typed, and another field of the same row is found lacking."""


class TestFindings:
    @pytest.mark.parametrize(
        ("field", "text", "says"),
        [
            ("name", "", "lacks the key 'name'"),
            ("steward.role", "", "lacks the key 'role'"),
            ("steward.contact", "me@example.org", "never an address"),
            ("authority.evidence_sha256", "abc", "64 small hex digits"),
            ("elicitation.took_part", "-5", "must be 1 or more"),
            ("elicitation.dates.start", "1.3.2026", "year-month-day"),
            ("languages", "English", "as a tag"),
            ("consent.uses", ["train-sft", "sell"], "cannot be 'sell'"),
            ("consent.granted_by", "", "say which role granted it"),
            ("consent.terms_sha256", "", "digest of the terms"),
            ("withdrawal.notice_days", "soon", "whole number"),
            ("licence", "", "lacks the key 'licence'"),
            ("modes", [], "lacks the key 'modes'"),
            ("off_limits.0.terms", "spring", "name the topic"),
            ("values.0.agreement", "92", "must be 1 or less"),
            ("values.0.n", "-84", "must be 1 or more"),
            ("values.0.statement", "=cmd|' /C calc'!A0", "runs as a formula"),
            ("values.0.id", "no such id", "small letters"),
            ("examples.2.author", "", "must be filled in"),
            ("examples.3.values", "value-9", "no value has the id"),
            ("examples.4.prompt", "Turn \u202e around", "direction of writing"),
            ("guidance.0.when", "Somebody asks.", "at least 3 characters"),
            ("norms.0.judgement", "-2", "at least 3 characters"),
        ],
    )
    def test_a_message_stands_beside_the_field_it_concerns(self, draft, root, field, text, says):
        beside = BESIDE.get(field, field)
        wrong = typed(draft, **{field.replace(".", "__"): text})
        found = check(wrong, root)
        assert says in " ".join(f.what for f in found if f.field == beside), found
        said = " ".join(p.what for p in command_line(wrong, root))
        assert all(f.what in said for f in found), (found, said)

    def test_every_message_of_the_command_is_shown_and_no_other(self, draft, root):
        wrong = typed(draft, values__0__n="", values__0__strength="9", examples__1__prompt="",
                      off_limits__0__topic="water", off_limits__0__terms="water")  # fmt: skip
        shown, said = check(wrong, root), command_line(wrong, root)
        assert len(shown) == len(said) == 8
        assert [f.field for f in shown if f.field.startswith("values")] == [
            "values.0.strength", "values.0.n"
        ]  # fmt: skip
        # The example without a prompt cannot be read: four are left.
        assert {"examples", "examples.1.prompt", "examples.0"} <= {f.field for f in shown}

    def test_findings_stand_in_the_order_of_the_page(self, draft, root):
        wrong = typed(draft, withdrawal__contact="", name="", values__0__n="0")
        assert [f.field for f in check(wrong, root)] == ["name", "values.0.n", "withdrawal.contact"]

    @pytest.mark.parametrize("place", ["proposals", "value_profiles"])
    def test_an_id_that_is_here_already_is_taken(self, draft, root, place):
        (root / place / ID).mkdir(parents=True)
        (found,) = check(typed(draft), root)
        assert found.field == "id"
        assert f"in {place}/ already" in found.what

    def test_a_hidden_character_is_found_before_anything_else_is_read(self, draft, root):
        found = check(typed(draft, description="Turn it \u202e around, twice over."), root)
        assert [f.field for f in found] == ["description"]
        assert "U+202E" in found[0].what


class TestFields:
    def test_every_key_that_a_self_described_profile_needs_is_asked_for(self):
        from registry.profile import ValueProfile

        ours = {"schema_version", "revision", "kind"}
        needed = {n for n, f in ValueProfile.model_fields.items() if f.is_required()} - ours
        needed |= {"steward", "authority", "elicitation", "withdrawal"}
        assert needed <= {name.split(".")[0] for name in ASKED}

    def test_every_column_is_asked_for(self):
        for name, table in TABLES.items():
            if name in FILES:
                assert {c.name for c in table.columns} == set(FILES[name].columns)
                optional = {n for n, f in FILES[name].model.model_fields.items()
                            if not f.is_required()} | {"id"}  # fmt: skip
                assert {c.name for c in table.columns if c.optional} == optional

    @pytest.mark.parametrize(
        "name", ["values.0.nope", "values.99.n", "values.00.n", "x.0.n", "token", "__class__", "",
                 "values.-1.n", "values.0.statement.x", "VALUES.0.n", "values.٣.n"],
    )  # fmt: skip
    def test_other_names_are_not_known(self, name):
        assert not known(name)

    def test_cells_are_known(self):
        assert cell("values.0.statement")
        assert known("off_limits.3.steward_only")
