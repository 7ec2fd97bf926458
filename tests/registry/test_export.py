"""Lineage for other programs: each form holds what the records hold, whatever names contain."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest

from registry.artifact import InputEntry, Manifest, MethodEntry
from registry.export.mermaid import MOST, as_mermaid
from registry.export.openlineage import as_openlineage, events
from registry.export.walked import Walked
from tests.conftest import Folder
from tests.registry.conftest import NODE, TAG


def manifest(node: str, *inputs: str) -> Manifest:
    return Manifest(
        node=node, kind="dataset", licence="CC0-1.0", params={}, seed=0, threads=1, device="cpu",
        method=MethodEntry(name="m", code="c" * 64, distribution="d", version="1"), dtype=None,
        libraries={}, inputs=tuple(InputEntry(role="r", node=i, content="0" * 64) for i in inputs),
        profiles=(), sources=(), checks=(), rows={"rows.parquet": 3}, content="1" * 64,
        files=({"path": "rows.parquet", "size": 7, "sha256": "2" * 64},),
    )  # fmt: skip


def walk(*manifests: Manifest) -> Walked:
    day = dt.date(2026, 11, 23)
    return Walked("abc", manifests[-1].node, "", day, {m.node: m for m in manifests}, Path())


def test_json_holds_every_manifest_and_edge(released_toy: Folder) -> None:
    told = released_toy.chorus("lineage", "export", TAG).json
    assert set(told["nodes"]) == {NODE, "letters@age-22-34", "words"}
    assert {(edge["from"], edge["to"]) for edge in told["edges"]} == {
        ("words", NODE), ("letters@age-22-34", NODE)}  # fmt: skip
    here = released_toy.chorus("lineage", "export", NODE, "--out", "out.json")
    assert here.out == ""
    told_here = json.loads((released_toy.root / "out.json").read_text())
    assert told_here["nodes"] == told["nodes"]
    wrong = released_toy.chorus("lineage", "export", NODE, "--format", "x", expect=2).err
    assert "formats: json, mermaid, openlineage" in wrong


def test_mermaid_draws_inputs_into_users(released_toy: Folder) -> None:
    drawn = released_toy.chorus("lineage", "export", TAG, "--format", "mermaid").out.splitlines()
    assert drawn[0] == "flowchart TD"
    assert drawn[1].startswith('  n0["count@age-22-34<br/>')
    assert "  n1 --> n0" in drawn


def test_mermaid_draws_no_more_than_can_be_followed() -> None:
    many = [manifest("n0"), *(manifest(f"n{i}", f"n{i - 1}") for i in range(1, 80))]
    drawn = as_mermaid(walk(*many))
    assert drawn.count('[("') == MOST
    assert f"and {80 - MOST} more artifacts further up" in drawn


@pytest.mark.parametrize("name", ['a"]; click n0 "javascript:x"', "<script>", "end", "a\nb", "🎭#"])
def test_names_stay_text(name: str) -> None:
    lines = as_mermaid(walk(manifest(name))).splitlines()
    assert len(lines) == 2
    inside = lines[1].removeprefix('  n0[("').removesuffix('")]').replace("<br/>", "")
    assert not set(inside) & set('"<>[]()`\n;') - {";"}
    assert "javascript:x" in inside or "javascript" not in name


def test_openlineage_is_built_by_its_own_client_and_says_the_same_twice() -> None:
    one = walk(manifest("a"), manifest("b", "a"))
    first, second = events(one)
    assert second.inputs[0].name == "a"
    assert second.outputs[0].outputFacets["outputStatistics"].rowCount == 3
    assert as_openlineage(one) == as_openlineage(one)
    told = [json.loads(line) for line in as_openlineage(one).splitlines()]
    assert told[0]["run"]["runId"] == first.run.runId != told[1]["run"]["runId"]
    assert told[1]["eventTime"] == "2026-11-23T00:00:00Z"
    assert told[1]["job"] == {**told[1]["job"], "namespace": "chorus:abc", "name": "b"}


def test_openlineage_of_a_release_names_tables_and_fields(released_toy: Folder) -> None:
    lines = released_toy.chorus(
        "lineage", "export", TAG, "--format", "openlineage"
    ).out.splitlines()
    last = json.loads(lines[-1])
    assert {one["name"] for one in last["inputs"]} == {
        "words", "letters@age-22-34", "value_profiles/age-22-34/opinions.csv",
        "value_profiles/age-22-34/profile.yaml#opinions"}  # fmt: skip
    assert {json.loads(line)["eventType"] for line in lines} == {"COMPLETE"}
