"""A profile's norms and examples as samples; nothing stands beside what is held out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assets.alignment.spectrum import processes_from
from assets.rows import read_rows
from assets.synthesis import community_sequences
from assets.synthesis.community_sequences import SHARED_AUTHOR, Params
from registry.context import ProfileView
from registry.errors import MethodError
from registry.profile_tables import held_out

ROOT = Path(__file__).resolve().parents[3]
COOP = "example-tidewater-coop"
FIELDS = {"evaluation": {"held_out_share": 0.25}}


def view(folder, **fields):
    tables = ("norms.csv", "examples.jsonl")
    return ProfileView(COOP, "Tidewater Cooperative", folder, tables, FIELDS | fields)


def examples():
    lines = (ROOT / "value_profiles" / COOP / "examples.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture
def made(build):
    context = build(Params(), profiles=[view(ROOT / "value_profiles" / COOP)])
    community_sequences.run(context)
    return context


def test_no_row_and_no_author_is_in_both_splits(made):
    rows = read_rows(made.out / "rows.parquet").to_dicts()
    learned = {row["parents"][0] for row in rows}
    held = {one["id"] for one in examples() if held_out(COOP, one["id"], 0.25)}
    assert held
    assert not learned & held
    assert not any(held_out(COOP, parent, 0.25) for parent in learned)
    authors = [
        {one["author"] for one in examples() if one["id"] in side} for side in (learned, held)
    ]
    assert authors[0]
    assert not authors[0] & authors[1]


def test_every_row_left_out_has_its_reason(made):
    rows = read_rows(made.out / "rows.parquet")
    left_out = read_rows(made.out / "rejected.parquet")
    assert rows.height + left_out.height == 40 + 16
    assert set(left_out["reason"]) == {"held out for evaluation", SHARED_AUTHOR}


def test_norms_and_examples_are_two_sources(made):
    rows = read_rows(made.out / "rows.parquet").to_dicts()
    norms, answers = processes_from(rows, "test")
    assert (norms.id, answers.id) == (f"{COOP}/norms", f"{COOP}/examples")
    assert "Tidewater Cooperative" in norms.description
    assert set(json.loads(norms.samples[0].given)) == {"situation", "rule"}
    assert {sample.output for sample in norms.samples} <= {
        "very bad", "bad", "all right, or it depends", "good", "very good",
    }  # fmt: skip
    assert answers.samples[0].output in {one["preferred"] for one in examples()}


def test_what_is_off_limits_is_left_out(build):
    topic = {"id": "bait", "terms": ["net"]}
    context = build(Params(), profiles=[view(ROOT / "value_profiles" / COOP, off_limits=[topic])])
    community_sequences.run(context)
    rows = read_rows(context.out / "rows.parquet").to_dicts()
    assert rows
    assert not any(" net " in f" {row['prompt']} {row['completion']} " for row in rows)
    assert "off limits: bait" in set(read_rows(context.out / "rejected.parquet")["reason"])


def test_a_profile_without_norms_is_refused_with_the_mend(build, tmp_path):
    (tmp_path / "examples.jsonl").write_text(json.dumps(examples()[0]))
    with pytest.raises(MethodError, match=r"has no norms\.csv") as caught:
        community_sequences.run(build(Params(), profiles=[view(tmp_path)]))
    assert "leave example-tidewater-coop out" in caught.value.mend
